"""Calls that only some files may make: the world (clock, chance, disk, processes) has one door each."""
import re

from source import line_of, strip_directives, strip_strings

LIBRARY = ("runtime/", "kernels/", "mpi/", "net/", "actors/", "sdk/")

# (what, names, files that may, what to do instead). A file matches by the beginning of its path.
RULES = [
    ("the clock", r"clock_gettime|gettimeofday|time|clock|ftime|timespec_get",
     ("runtime/clock", "bench/", "tests/", "examples/"), "use runtime/clock.h"),
    # A node's time is its node's clock, which may be a simulated one: sl_now_ns(), sl_wall_s(), sl_thread_ns().
    ("the machine's time", r"sl_clock_now_ns|sl_clock_wall_s|sl_clock_thread_ns",
     ("runtime/clock", "runtime/log", "runtime/thread", "mpi/", "net/", "sdk/", "actors/registry/clock", "actors/executor/process",
      "actors/executor/spawner", "actors/executor/minder", "actors/scheduler/ledger.c", "bench/", "tests/", "examples/"),
     "ask the actor's clock: sl_now_ns(), sl_wall_s(), sl_thread_ns()"),
    ("the machine's chance", r"sl_rng_seed_from_system",
     ("runtime/rng", "mpi/", "net/", "sdk/", "bench/", "tests/", "examples/"), "use sl_node_rng()"),
    ("threads", r"pthread_create|thrd_create|sl_thread_start",
     ("runtime/pool", "runtime/thread", "runtime/collective", "mpi/", "net/", "sdk/", "actors/executor/minder",
      "actors/scheduler/ledger.c", "actors/store/", "bench/", "tests/", "examples/"),
     "a node's work is its loop's or its pool's: a simulated one has no threads"),
    ("sleeping", r"sleep|usleep|nanosleep|clock_nanosleep",
     ("runtime/", "cli/", "bench/", "tests/", "examples/"), "use a timer (runtime/) or the pool"),
    ("chance", r"s?rand(?:_r|48)?|s?random(?:_r)?|[delmn]rand48|getrandom|getentropy|arc4random\w*",
     ("runtime/rng", "tests/"), "use runtime/rng.h"),
    # Keys must not come from a simulated node's generator, nor anything else from the keys' one.
    ("chance for keys", r"randombytes\w*|RAND_bytes|RAND_priv_bytes", ("actors/secure/", "actors/gateway/key_store", "bench/", "tests/"),
     "keys are made in actors/secure, all else by sl_node_rng()"),
    ("syncing to disk", r"fsync|fdatasync|sync_file_range|syncfs|msync",
     ("runtime/disk", "actors/scheduler/ledger", "actors/secure/identity_file", "actors/store/", "sdk/atomic_file", "sdk/line_log", "net/tls", "actors/gateway/key_store", "bench/",
      "tests/"), "the ledger makes things durable"),
    ("opening files", r"open|openat|creat|fopen|fdopen|freopen|mkstemp|mkostemp|opendir|fdopendir",
     ("runtime/config", "runtime/disk", "runtime/log", "runtime/shared", "runtime/trace", "mpi/", "net/", "actors/executor/",
      "actors/registry/", "actors/scheduler/ledger", "actors/secure/identity_file", "actors/gateway/key_store", "actors/gateway/audit", "actors/gateway/gateway_output", "actors/store/", "kernels/cuda/", "sdk/", "cli/", "bench/",
      "tests/", "examples/"), "reading and writing files is not this module's work"),
    # The guard and launch are small processes of one thread, whose children die with them: that posix_spawn cannot say.
    ("fork", r"v?fork|clone|clone3|system|popen",
     ("mpi/guard", "mpi/launcher", "sdk/launch_job", "tests/slurm/", "tests/unit/mpi_guard", "tests/unit/runtime_shared"), "use posix_spawn"),
    ("ending the process", r"exit|_exit|_Exit|quick_exit|abort|raise", ("cli/", "bench/", "tests/", "examples/",
     "mpi/guard", "mpi/watchdog", "sdk/launch_job", "sdk/session", "runtime/message", "actors/executor/spawner/main"), "return an sl_err"),
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
