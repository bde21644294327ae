#!/usr/bin/env python3
"""coverage.py BUILD: what the tests of a coverage build have run.

Merges BUILD/profiles, prints a table of lines and branches per room, and leaves in BUILD/coverage: files.txt (the
same per file), missed.txt (each line that never ran, each branch that was never taken) and html/. Branches are the
outcomes of every condition, those of assertions included, whose other side no test can take.
"""
import collections
import pathlib
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ["runtime", "kernels", "mpi", "net"] + sorted(
    f"actors/{folder.name}" for folder in (SOURCE / "actors").iterdir() if folder.is_dir()) + ["sdk", "cli"]
# What several rooms add up to.
SUMS = {"actors": "actors/"}


class File:
    def __init__(self):
        self.lines = {}  # number -> times
        self.branches = collections.defaultdict(dict)  # line -> {which: times}

    def counts(self):
        taken = [times for line in self.branches.values() for times in line.values()]
        return (len(self.lines), sum(1 for times in self.lines.values() if times),
                len(taken), sum(1 for times in taken if times))


def run(*command):
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"coverage.py: {command[0]} failed: {done.stderr.strip()[:2000]}")
    return done.stdout


def objects(build):
    """The programs and libraries with a map of what they count, as llvm-cov wants to hear them."""
    found = []
    for folder in ("lib", "bin", "libexec", "tests"):
        for path in sorted((build / folder).rglob("*")):
            if path.is_symlink() or not path.is_file() or path.suffix in (".a", ".o"):
                continue
            content = path.read_bytes()
            if content[:4] == b"\x7fELF" and b"__llvm_covmap" in content:
                found.append(str(path))
    if not found:
        sys.exit(f"coverage.py: no program in {build} counts: is it a coverage build?")
    return [found[0]] + [word for path in found[1:] for word in ("-object", path)]


def read(lcov):
    """The files of an export, by name; those of no room are left out."""
    files, current = {}, None
    for line in lcov.splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            name = rest.removeprefix(f"{SOURCE}/")
            current = files.setdefault(name, File()) if room_of(name) else None
        elif current and kind == "DA":
            number, times = rest.split(",")[:2]
            current.lines[int(number)] = max(int(times), current.lines.get(int(number), 0))
        elif current and kind == "BRDA":
            number, *which, times = rest.split(",")
            times = 0 if times == "-" else int(times)
            known = current.branches[int(number)]
            known[tuple(which)] = max(times, known.get(tuple(which), 0))
    return files


def room_of(name):
    return next((room for room in ROOMS if name.startswith(room + "/")), None)


def row(name, files):
    counts = [sum(column) for column in zip(*(file.counts() for file in files))] or [0] * 4

    def share(have, of):
        return f"{100 * have / of:6.1f} %" if of else "       -"
    return (f"{name:40} {counts[1]:6} of {counts[0]:6} lines {share(counts[1], counts[0])}"
            f"   {counts[3]:6} of {counts[2]:6} branches {share(counts[3], counts[2])}")


def table(files):
    for room in ROOMS:
        inside = [file for name, file in files.items() if room_of(name) == room]
        if inside:
            yield row(room, inside)
    for name, prefix in SUMS.items():
        yield row(name + " (all)", [file for path, file in files.items() if path.startswith(prefix)])


def missed(files):
    for name in sorted(files):
        file, text = files[name], (SOURCE / name).read_text().splitlines()
        for number in sorted(file.lines.keys() | file.branches.keys()):
            never = sum(1 for times in file.branches[number].values() if not times)
            what = "" if file.lines.get(number, 1) else "never ran"
            if not what and never:
                what = f"{never} of {len(file.branches[number])} branches not taken"
            if what:
                yield f"{name}:{number}: {what}: {text[number - 1].strip()}"


def main(folder):
    build = pathlib.Path(folder).resolve()
    out = build / "coverage"
    out.mkdir(exist_ok=True)
    profiles = sorted(str(path) for path in (build / "profiles").glob("*.profraw"))
    if not profiles:
        sys.exit(f"coverage.py: no test has left a profile in {build}/profiles")
    run("llvm-profdata", "merge", "-sparse", *profiles, "-o", str(out / "all.profdata"))
    what = [*objects(build), f"-instr-profile={out / 'all.profdata'}", "-ignore-filename-regex=^(tests|bench)/"]
    files = read(run("llvm-cov", "export", "-format=lcov", *what))
    run("llvm-cov", "show", "-format=html", f"-output-dir={out / 'html'}", *what)
    (out / "missed.txt").write_text("".join(line + "\n" for line in missed(files)))
    (out / "files.txt").write_text("".join(row(name, [files[name]]) + "\n" for name in sorted(files)))
    print("\n".join(table(files)))
    print(f"\nper file: {out}/files.txt, what is missed: {out}/missed.txt, with the source: {out}/html/index.html")


if __name__ == "__main__":
    main(*sys.argv[1:])
