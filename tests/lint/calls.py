"""Calls that only some files may make: the world (clock, chance, disk, processes) has one door each."""
import re

from source import line_of, strip_directives, strip_strings

LIBRARY = ("runtime/", "kernels/", "mpi/", "net/", "actors/", "sdk/")

# (what, names, files that may, what to do instead). A file matches by the beginning of its path.
RULES = [
    ("the clock", r"clock_gettime|gettimeofday|time|clock|ftime|timespec_get",
     ("runtime/clock", "bench/", "tests/", "examples/"), "use runtime/clock.h"),
    ("sleeping", r"sleep|usleep|nanosleep|clock_nanosleep",
     ("runtime/", "cli/", "bench/", "tests/", "examples/"), "use a timer (runtime/) or the pool"),
    ("chance", r"s?rand(?:_r|48)?|s?random(?:_r)?|[delmn]rand48|getrandom|getentropy|arc4random\w*",
     ("runtime/rng", "tests/"), "use runtime/rng.h"),
    ("syncing to disk", r"fsync|fdatasync|sync_file_range|syncfs|msync",
     ("runtime/disk", "actors/scheduler/ledger", "actors/store/", "sdk/atomic_file", "sdk/line_log", "bench/",
      "tests/"), "the ledger makes things durable"),
    ("opening files", r"open|openat|creat|fopen|fdopen|freopen|mkstemp|mkostemp|opendir|fdopendir",
     ("runtime/config", "runtime/disk", "runtime/log", "runtime/trace", "mpi/", "net/", "actors/executor/",
      "actors/registry/", "actors/scheduler/ledger", "actors/store/", "kernels/cuda/", "sdk/", "cli/", "bench/",
      "tests/", "examples/"), "reading and writing files is not this module's work"),
    # The guard and launch are small processes of one thread, whose children die with them: that posix_spawn cannot say.
    ("fork", r"v?fork|clone|clone3|system|popen",
     ("mpi/guard", "mpi/launcher", "sdk/launch_job", "tests/slurm/", "tests/unit/mpi_guard"), "use posix_spawn"),
    ("ending the process", r"exit|_exit|_Exit|quick_exit|abort|raise", ("cli/", "bench/", "tests/", "examples/",
     "mpi/guard", "mpi/watchdog", "sdk/launch_job", "runtime/message", "actors/executor/spawner/main"), "return an sl_err"),
    ("standard output", r"printf|puts|putchar|perror|vprintf", ("cli/", "bench/", "tests/", "examples/"),
     "a library is silent: log, or return text"),
]
# Words rather than calls: MPI is used on the communicator given, and streams belong to programs.
WORDS = [
    (r"MPI_COMM_WORLD", ("mpi/bootstrap", "bench/", "tests/"),
     "use the communicator that was given"),
    (r"\bstdout\b", ("cli/", "bench/", "tests/", "examples/", "actors/executor/", "sdk/"),
     "a library writes to streams it was given"),
    (r"\bSIGUSR1\b", ("mpi/guard", "tests/", "actors/executor/", "cli/"), "MPICH uses it: take SIGUSR2 or SIGTERM"),
]

# A call by that very name: no member (x->time(), no longer name.
CALLS = [(what, re.compile(rf"(?<![\w.])(?<!->)({names})\s*\("), files, advice)
         for what, names, files, advice in RULES]


def check(tree):
    for path in tree.c_files():
        if not path.startswith(LIBRARY + ("cli/", "examples/", "bench/", "tests/")):
            continue
        text = strip_directives(strip_strings(tree.text(path)))
        for what, pattern, files, advice in CALLS:
            if not path.startswith(files):
                for match in pattern.finditer(text):
                    yield path, line_of(text, match.start(1)), f"{match.group(1)}(): {what} is elsewhere: {advice}"
        for word, files, advice in WORDS:
            if not path.startswith(files):
                for match in re.finditer(word, text):
                    yield path, line_of(text, match.start()), f"{match.group()}: {advice}"
