#!/usr/bin/env python3
"""chaos.py STARLANE [--minutes M | --rounds N] [--seed S] [--kind KIND] [--tasks N]

Starts a real network with `starlane launch`, gives it tasks with known answers, injures it, and judges
what is left by the ledger, by results.jsonl and by what each task itself wrote down. A round is drawn
from a seed, which is printed; --seed and --kind repeat one. Exit code 1 when anything does not hold."""
import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
import zlib

RANKS = 4
IN_FLIGHT = 8 * RANKS  # tasks that run, and short ones that have ended but are not on disk yet
HANGS_S = 90  # a round takes seconds; longer is a hang
SILENT = ("--suspect-ms", "300", "--dead-ms", "1000")

figures = collections.defaultdict(list)


class Wrong(Exception):
    """Something that must hold does not."""


def require(condition, what):
    if not condition:
        raise Wrong(what)


# --- processes of a round: they all carry its mark in their environment ---------------------------


def environment(pid):
    try:
        words = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    return dict(word.decode(errors="replace").split("=", 1) for word in words if b"=" in word)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Network:
    """A directory, a workload in it, and the processes that work on it."""

    def __init__(self, starlane, folder, rng, tasks):
        self.starlane, self.folder, self.rng, self.tasks = starlane, folder, rng, tasks
        self.mark = uuid.uuid4().hex
        self.out, self.trail = folder / "out", folder / "trail"
        self.trail.mkdir()
        self.injured_at = self.ended_at = None
        self.victims, self.reported, self.starts_then = [], set(), {}
        self.injuries = 0
        script = folder / "task.sh"
        script.write_text('#!/bin/sh\necho start >>"trail/$1"\nsleep "$3"\necho end >>"trail/$1"\necho "$2"\n')
        script.chmod(0o755)

    def start(self, *words):
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("STARLANE_", "OMPI_", "PMIX_", "PMI_"))}
        environ |= {"CHAOS": self.mark, "STARLANE_CPUS": "1", "STARLANE_PROGRESS": "never",
                    "TMPDIR": str(self.folder)}
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [self.starlane, "launch", "-n", str(RANKS), "--", self.starlane, "run", *SILENT, *words],
            cwd=self.folder, env=environ, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def run(self, times=1, records=()):
        tasks = self.tasks * times
        self.names = {f"t{i}" for i in range(tasks)}
        with open(self.folder / "tasks.jsonl", "w", encoding="utf-8") as out:
            for i in range(tasks):
                seconds = f"{self.rng.uniform(0.005, 0.08):.3f}"
                words = [str(self.folder / "task.sh"), f"t{i}", answer(f"t{i}"), seconds]
                out.write(json.dumps({"name": f"t{i}", "command": words}) + "\n")
        self.start("--output", "out", *records, "tasks.jsonl")

    def resume(self):
        self.start("--resume", "out")

    def wait(self, code):
        try:
            got = self.process.wait(HANGS_S)
        except subprocess.TimeoutExpired:
            raise Wrong("it hangs") from None
        self.ended_at = time.time()
        require(got == code, f"exit code {got}, not {code}")

    def pids(self):
        return [int(p) for p in os.listdir("/proc") if p.isdigit() and environment(p).get("CHAOS") == self.mark
                and alive(p)]

    def ranks(self):
        """Rank -> process."""
        found = {}
        for pid in self.pids():
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            environ = environment(pid)
            rank = environ.get("OMPI_COMM_WORLD_RANK", environ.get("PMI_RANK"))
            if rank is not None and words[:2] == [self.starlane.encode(), b"run"]:
                found[int(rank)] = pid
        return found

    def started(self):
        return {p.name: p.read_text().count("start") for p in self.trail.iterdir()}

    def results(self):
        try:
            text = (self.out / "results.jsonl").read_text()
        except OSError:
            return []
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def await_moment(self, latest=None):
        """Some way into the run."""
        want, give_up = self.rng.randrange(10, latest or self.tasks * 2 // 3), time.time() + HANGS_S
        while sum("end" in p.read_text() for p in self.trail.iterdir()) < want:
            require(time.time() < give_up and self.process.poll() is None, "the run did not get going")
            time.sleep(0.005)

    def injure(self, ranks, number):
        """Sends a signal to some ranks, after noting what was reported done before."""
        pids = self.ranks()
        require(all(rank in pids for rank in ranks), f"ranks {sorted(pids)}, not all of {ranks}")
        self.note()
        self.victims += ranks
        for rank in ranks:
            os.kill(pids[rank], number)

    def note(self):
        self.reported |= {r["name"] for r in self.results()}
        self.starts_then = self.started()
        self.injuries += 1
        self.injured_at = time.time()


def answer(name):
    return f"{zlib.crc32(name.encode()):08x}"


# --- kinds of injury: each brings the run to its end ----------------------------------------------


def kill_one(net):
    net.run(records=("--metrics", "metrics.json"))
    net.await_moment()
    net.injure([net.rng.randrange(1, RANKS)], signal.SIGKILL)
    net.wait(0)
    told = {node["node"] for node in json.loads((net.folder / "metrics.json").read_text())}
    require(told == set(range(RANKS)) - set(net.victims), f"metrics of {told}, lost {net.victims}")
    measure_elsewhere(net)
    measure_exit(net)


def kill_two(net):
    net.run()
    net.await_moment()
    net.injure(net.rng.sample(range(1, RANKS), 2), signal.SIGKILL)
    net.wait(0)
    measure_exit(net)


def freeze(net):
    """Long enough to be taken for dead, or not; then it goes on, and nobody believes it. There is work
    for longer than it takes until it knows that it was cut off."""
    net.run(3)
    net.await_moment(20)
    rank = net.rng.randrange(1, RANKS)
    pid = net.ranks().get(rank)
    net.injure([rank], signal.SIGSTOP)
    time.sleep(net.rng.choice([0.2, 1.6, 2.5]))
    if net.process.poll() is None and alive(pid):
        os.kill(pid, signal.SIGCONT)
    net.wait(0)


def kill_owner(net):
    net.run()
    net.await_moment()
    net.injure([0], signal.SIGKILL)
    net.wait(0)
    measure_recovery(net)


def kill_at_end(net):
    """As traces and metrics are gathered: the rank hangs while it opens its part of the trace."""
    net.run(records=("--trace", "trace", "--metrics", "metrics"))
    rank = net.rng.randrange(RANKS)
    os.mkfifo(net.folder / f"trace.part-{rank}")
    others = [net.folder / f"trace.part-{other}" for other in range(RANKS) if other != rank]
    give_up = time.time() + HANGS_S
    while not all(part.exists() for part in others):
        require(time.time() < give_up and net.process.poll() is None, "the run did not come to its end")
        time.sleep(0.005)
    os.unlink(net.folder / f"trace.part-{rank}")  # it hangs all the same; who merges parts shall not
    net.injure([rank], signal.SIGKILL)
    net.wait(0)
    figures["killed at the end to exit"].append(net.ended_at - net.injured_at)
    require((net.folder / "metrics").exists(), "no metrics, which come first")
    log = (net.folder / "log").read_text()
    require(rank == 0 or f"no trace of rank {rank} on" in log, "the log does not say whose trace is missing")


def drain(net):
    net.run()
    net.await_moment()
    net.note()
    net.process.send_signal(net.rng.choice([signal.SIGTERM, signal.SIGUSR2]))
    net.wait(75)
    require(ledger(net, "select count(*) from session where end_s is null") == [(0,)], "the ledger is open")
    net.resume()
    net.wait(0)


def kill_all(net):
    net.run()
    net.await_moment()
    net.note()
    for pid in net.pids():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    net.process.wait()
    await_nobody(net)
    net.resume()
    net.wait(0)


KINDS = [kill_one, kill_two, freeze, kill_owner, kill_at_end, drain, kill_all]


# --- what must hold -------------------------------------------------------------------------------


def ledger(net, query, *arguments):
    connection = sqlite3.connect(f"file:{net.out}/ledger.db?mode=ro", uri=True)
    try:
        return connection.execute(query, arguments).fetchall()
    finally:
        connection.close()


def await_nobody(net):
    give_up = time.time() + 20
    while net.pids():
        require(time.time() < give_up, f"processes are left: {net.pids()}")
        time.sleep(0.02)


def check(net):
    names = net.names
    await_nobody(net)
    results = net.results()
    require(sorted(r["name"] for r in results) == sorted(names), "not one result of each task in results.jsonl")
    require(all(r["status"] == "done" and r["exit_code"] == 0 for r in results), "a task is not done")
    rows = ledger(net, "select name, state, exit_code from tasks")
    require({row[0] for row in rows} == names and len(rows) == len(names), "not every task is in the ledger")
    require(all(row[1:] == ("done", 0) for row in rows), "a task is not done in the ledger")
    for name in names:
        require((net.out / "stdout" / name).read_text() == answer(name) + "\n", f"{name}: another answer")
        require("end" in (net.trail / name).read_text(), f"{name}: reported, but it never ended")
    started = net.started()
    again = {n: c for n, c in started.items() if c > 1}
    for name in net.reported:
        require(started[name] == net.starts_then[name], f"{name}: reported done, and started again")
    require(sum(again.values()) - len(again) <= IN_FLIGHT * net.injuries, f"started again: {again}")
    last = ledger(net, "select reason, exit_code from session order by number desc limit 1")
    require(last == [("finished", 0)], f"the ledger ends with {last}")


# --- figures ---------------------------------------------------------------------------------------


def measure_elsewhere(net):
    """From the kill to the next start of each task that ran on the rank."""
    rows = ledger(net, "select b.start_s from attempt a join attempt b on b.task = a.task and "
                       "b.attempt = a.attempt + 1 where a.rank = ? and b.start_s > ?",
                  net.victims[0], net.injured_at)
    figures["killed rank's tasks run elsewhere"] += [row[0] - net.injured_at for row in rows]


def measure_exit(net):
    figures["last result to exit"].append(net.ended_at - max(r["end_s"] for r in net.results()))


def measure_recovery(net):
    rows = ledger(net, "select min(end_s) from attempt where session = 2 and state = 'done'")
    if rows[0][0]:
        figures["owner killed to first new result"].append(rows[0][0] - net.injured_at)


def say_figures():
    for what, values in figures.items():
        values.sort()
        p99 = values[min(len(values) - 1, int(len(values) * 0.99))]
        print(f"{what}: n {len(values)}, p50 {statistics.median(values) * 1e3:.0f} ms, "
              f"p99 {p99 * 1e3:.0f} ms, most {values[-1] * 1e3:.0f} ms")


# --- rounds ----------------------------------------------------------------------------------------


def one_round(starlane, kind, seed, tasks):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="starlane-chaos-"))
    net = Network(starlane, folder, random.Random(f"{kind.__name__} {seed}"), tasks)
    begin = time.time()
    try:
        kind(net)
        check(net)
    except Wrong as wrong:
        print(f"{kind.__name__} --seed {seed}: {wrong}; kept in {folder}")
        print("\n".join("    " + line for line in (folder / "log").read_text(errors="replace").split("\n")[-25:]))
        for pid in net.pids():
            os.kill(pid, signal.SIGKILL)
        return False
    print(f"{kind.__name__} --seed {seed}: held ({time.time() - begin:.1f} s)", flush=True)
    shutil.rmtree(folder)
    return True


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("starlane", type=os.path.abspath)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--rounds", type=int, default=1, help="of every kind")
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    parser.add_argument("--tasks", type=int, default=160, help="of a round, at least 20")
    parser.add_argument("--kind", action="append", choices=[kind.__name__ for kind in KINDS])
    arguments = parser.parse_args()
    kinds = [kind for kind in KINDS if not arguments.kind or kind.__name__ in arguments.kind]
    until = time.time() + arguments.minutes * 60 if arguments.minutes else None
    held = wrong = 0
    while held + wrong < arguments.rounds * len(kinds) if until is None else time.time() < until:
        number = held + wrong
        passed = one_round(arguments.starlane, kinds[number % len(kinds)], arguments.seed + number // len(kinds),
                           arguments.tasks)
        held, wrong = held + passed, wrong + (not passed)
    say_figures()
    print(f"chaos: {held} rounds held, {wrong} did not")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
