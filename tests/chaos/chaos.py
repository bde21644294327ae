#!/usr/bin/env python3
"""chaos.py STARLANE [--minutes M | --rounds N] [--seed S] [--kind KIND] [--tasks N] [--injury LIBRARY]

Starts a real network with `starlane launch`, gives it tasks with known answers, injures it, and judges
what is left by the ledger, by results.jsonl and by what each task itself wrote down. A round is drawn
from a seed, which is printed; --seed and --kind repeat one. Exit code 1 when anything does not hold."""
import argparse
import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import uuid
import zlib

from hosts import alive

RANKS = 4
IN_FLIGHT = 8 * RANKS  # tasks that run, and short ones that have ended but are not on disk yet
HANGS_S = 90  # a round takes seconds; longer is a hang
SILENT = ("--suspect-ms", "300", "--dead-ms", "1000")
PATIENT = ("--suspect-ms", "5s", "--dead-ms", "10s")
KILLED, FROZEN = "ranks killed", "ranks frozen"  # what is counted over all rounds

figures = collections.defaultdict(list)  # in seconds
rates = collections.defaultdict(list)  # of 1
counts = collections.Counter()  # what was done, and what came of it


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


class Network:
    """A directory, a workload in it, and the processes that work on it. Here they are of one host; a network of
    several says otherwise in what it overrides."""

    parent = None  # of the folders: None is $TMPDIR
    ranks_started = RANKS
    output = "out"
    injury = None  # the library that is preloaded into ranks, see injury.c
    patience = SILENT

    def __init__(self, starlane, folder, rng, tasks):
        self.starlane, self.folder, self.rng, self.tasks = starlane, folder, rng, tasks
        self.mark = uuid.uuid4().hex
        self.out, self.trail = folder / self.output, folder / "trail"
        self.trail.mkdir()
        self.injured_at = self.ended_at = None
        self.victims, self.reported, self.starts_then = [], set(), {}
        self.injuries = 0
        script = folder / "task.sh"
        # Moments by the clock that nobody sets: seconds since the machine was started.
        script.write_text('#!/bin/sh\nread -r now rest </proc/uptime\necho "start $now" >>"trail/$1"\nsleep "$3"\n'
                          'read -r now rest </proc/uptime\necho "end $now" >>"trail/$1"\necho "$2"\n')
        script.chmod(0o755)

    def own_environment(self):
        return {"CHAOS": self.mark, "STARLANE_CPUS": "1", "STARLANE_PROGRESS": "never"}

    def start(self, *words):
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("STARLANE_", "OMPI_", "PMIX_", "PMI_"))}
        self.log = open(self.folder / "log", "ab")
        self.process = self.spawn(
            [self.starlane, "launch", "-n", str(self.ranks_started), *self.launch_words(), "--",
             self.starlane, "run", *self.patience, *words],
            env=environ | self.own_environment() | {"TMPDIR": str(self.folder)},
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def launch_words(self):
        return []

    def spawn(self, words, **more):
        return subprocess.Popen(words, cwd=self.folder, **more)

    def close(self):
        pass

    def run(self, times=1, seconds=(0.005, 0.08), records=()):
        """Some tasks come after another one."""
        tasks = self.tasks * times
        self.names = {f"t{i}" for i in range(tasks)}
        self.after = {}
        with open(self.folder / "tasks.jsonl", "w", encoding="utf-8") as out:
            for i in range(tasks):
                pause = f"{self.rng.uniform(*seconds):.3f}"
                task = {"name": f"t{i}", "command": [str(self.folder / "task.sh"), f"t{i}", answer(f"t{i}"), pause]}
                if i >= 10 and self.rng.random() < 0.2:
                    self.after[f"t{i}"] = f"t{self.rng.randrange(i)}"
                    task["after"] = [self.after[f"t{i}"]]
                out.write(json.dumps(task) + "\n")
        self.start("--output", self.output, *records, "tasks.jsonl")

    def resume(self, *words):
        self.start("--resume", self.output, *words)

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

    def ledger_path(self):
        return self.out / "ledger.db"

    def started(self):
        return {p.name: p.read_text().count("start") for p in self.trail.iterdir()}

    def moments(self, name, what):
        """When a task started, or ended, each time."""
        lines = map(str.split, (self.trail / name).read_text().splitlines())
        return [float(line[1]) for line in lines if len(line) == 2 and line[0] == what]

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
        self.note(KILLED if number == signal.SIGKILL else FROZEN, len(ranks))
        self.victims += ranks
        for rank in ranks:
            os.kill(pids[rank], number)

    def note(self, what, times=1):
        """What is about to be done to it."""
        counts[what] += times
        self.reported |= {r["name"] for r in self.results()}
        self.starts_then = self.started()
        self.injuries += 1
        self.injured_at = time.time()


class PreloadedNetwork(Network):
    """Its ranks' wall clocks and disks can be tampered with. No rank is silent in that."""

    patience = PATIENT

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.control = self.folder / "injury"
        self.control.write_bytes(bytes(24 * 64))

    def own_environment(self):
        return super().own_environment() | {"LD_PRELOAD": self.injury, "CHAOS_INJURY": str(self.control)}

    def tamper(self, rank, clock_off_s=0.0, sync_delay_s=0.0):
        with open(self.control, "r+b") as out:
            out.seek(24 * rank)
            out.write(struct.pack("=qq", int(clock_off_s * 1e9), int(sync_delay_s * 1e9)))

    def check_tampered(self):
        hits = [struct.unpack_from("=q", self.control.read_bytes(), 24 * rank + 16)[0] for rank in range(RANKS)]
        require(any(hits), "nothing was tampered with")
        require("is dead" not in (self.folder / "log").read_text(errors="replace"), "a rank was taken for dead")


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
    """Long enough to be taken for dead, or not; then it goes on, comes back as a new member, and takes up
    work again. There is enough of that left."""
    net.run(4)
    net.await_moment(20)
    rank = net.rng.randrange(1, RANKS)
    pid = net.ranks().get(rank)
    net.injure([rank], signal.SIGSTOP)
    time.sleep(net.rng.choice([0.2, 1.6, 2.5]))
    require(net.process.poll() is None and alive(pid), "the run ended before its frozen rank went on")
    thawed_at = time.time()
    os.kill(pid, signal.SIGCONT)
    net.wait(0)
    rows = ledger(net, "select min(start_s) from attempt where rank = ? and state = 'done' and start_s > ?",
                  rank, thawed_at)
    require(rows[0][0] is not None, f"rank {rank} went on and ran nothing any more")
    figures["frozen rank goes on to its next task"].append(rows[0][0] - thawed_at)


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
    net.note("runs drained")
    net.process.send_signal(net.rng.choice([signal.SIGTERM, signal.SIGUSR2]))
    net.wait(75)
    require(ledger(net, "select count(*) from session where end_s is null") == [(0,)], "the ledger is open")
    net.resume()
    net.wait(0)


def kill_all(net):
    net.run()
    net.await_moment()
    net.note(KILLED, len(net.ranks()))
    for pid in net.pids():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    net.process.wait()
    await_nobody(net)
    net.resume()
    net.wait(0)


def step_clocks(net):
    """Forwards and backwards, the owner's or others'; some of them twice."""
    net.run()
    for latest in (20, None):
        net.await_moment(latest)
        for rank in net.rng.sample(range(RANKS), net.rng.randrange(1, RANKS + 1)):
            net.tamper(rank, clock_off_s=net.rng.choice([-86400, -3600, -5, 5, 3600, 86400]))
    net.note("runs with clocks stepped")
    net.wait(0)
    net.check_tampered()
    for name, wall_s in ledger(net, "select name, wall_s from tasks"):
        require(0 <= wall_s < HANGS_S, f"{name} took {wall_s} s, they say")
    makespan_s = json.loads((net.out / "summary.json").read_text())["makespan_s"]
    require(0 < makespan_s < HANGS_S, f"all took {makespan_s} s, they say")


def slow_disk(net):
    """Of the owner, and of another rank. What waits for the disk is only what must."""
    net.run()
    net.await_moment()
    net.note("slow disks")
    for rank in (0, net.rng.randrange(1, RANKS)):
        net.tamper(rank, sync_delay_s=net.rng.uniform(0.5, 2))
    time.sleep(2)
    for rank in range(RANKS):
        net.tamper(rank)
    net.wait(0)
    net.check_tampered()


step_clocks.network = slow_disk.network = PreloadedNetwork

KINDS = [kill_one, kill_two, freeze, kill_owner, kill_at_end, drain, kill_all, step_clocks, slow_disk]


def throughput(net):
    """For a figure, not among the kinds: what the others achieve when a rank dies. Tasks only wait, so that on a
    machine with time to spare each rank ends as many as the next."""
    net.tasks = 100 * net.ranks_started
    net.run(seconds=(0.1, 0.1))
    net.await_moment(net.tasks // 2)
    while len(net.results()) < net.tasks * 2 // 5:
        time.sleep(0.01)
    net.injure([net.rng.randrange(1, net.ranks_started)], signal.SIGKILL)
    net.wait(0)
    measure_throughput(net)


# --- what must hold -------------------------------------------------------------------------------


def ledger(net, query, *arguments):
    connection = sqlite3.connect(f"file:{net.ledger_path()}?mode=ro", uri=True)
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
    for name, before in net.after.items():
        require(min(net.moments(name, "start")) >= min(net.moments(before, "end")), f"{name} began before {before} ended")
    started = net.started()
    again = {n: c for n, c in started.items() if c > 1}
    for name in net.reported:
        require(started[name] == net.starts_then[name], f"{name}: reported done, and started again")
    require(sum(again.values()) - len(again) <= IN_FLIGHT * net.injuries, f"started again: {again}")
    last = ledger(net, "select reason, exit_code from session order by number desc limit 1")
    require(last == [("finished", 0)], f"the ledger ends with {last}")


# --- figures ---------------------------------------------------------------------------------------


def measure_elsewhere(net, what="killed rank's tasks run elsewhere"):
    """From the kill to the next start of each task that ran on the rank."""
    rows = ledger(net, "select b.start_s from attempt a join attempt b on b.task = a.task and "
                       "b.attempt = a.attempt + 1 where a.rank = ? and b.start_s > ?",
                  net.victims[0], net.injured_at)
    figures[what] += [row[0] - net.injured_at for row in rows]


def measure_exit(net):
    figures["last result to exit"].append(net.ended_at - max(r["end_s"] for r in net.results()))


def measure_given_up(net):
    """How many that lived were taken for dead by others: on a machine with time to spare none should be."""
    log = (net.folder / "log").read_text(errors="replace")
    given_up = {int(node) for node in re.findall(r"node (\d+) \(.*\) is dead: (?!it has given this node up)", log)}
    counts["living ranks taken for dead"] += len(given_up - set(net.victims))


def measure_recovery(net):
    rows = ledger(net, "select min(end_s) from attempt where session = 2 and state = 'done'")
    if rows[0][0]:
        figures["owner killed to first new result"].append(rows[0][0] - net.injured_at)


def measure_throughput(net):
    ends = [row[0] - net.injured_at for row in ledger(
        net, "select end_s from attempt where state = 'done' and rank <> ?", net.victims[0])]

    def rate(since_s, until_s):
        return sum(since_s <= end < until_s for end in ends) / (until_s - since_s)

    before = rate(-2, 0)
    rates["others' throughput in the first second after a death, of that before"].append(rate(0, 1) / before)
    rates["... in the second and third"].append(rate(1, 3) / before)
    rates["... in the worst half second of these three"].append(min(rate(i / 2, i / 2 + 0.5) for i in range(6)) / before)
    rates["... in the worst half second of the two before"].append(min(rate(i / 2, i / 2 + 0.5) for i in range(-4, 0)) / before)


def say_figures():
    for what, count in counts.items():
        print(f"{what}: {count}")
    for what, values in rates.items():
        print(f"{what}: n {len(values)}, median {statistics.median(values):.1%}, least {min(values):.1%}")
    for what, values in figures.items():
        values.sort()
        p99 = values[min(len(values) - 1, int(len(values) * 0.99))]
        print(f"{what}: n {len(values)}, p50 {statistics.median(values) * 1e3:.0f} ms, "
              f"p99 {p99 * 1e3:.0f} ms, most {values[-1] * 1e3:.0f} ms")


# --- rounds ----------------------------------------------------------------------------------------


def one_round(network, starlane, kind, seed, tasks):
    network = getattr(kind, "network", network)  # some need one of their own
    folder = pathlib.Path(tempfile.mkdtemp(prefix="starlane-chaos-", dir=network.parent))
    try:
        net = network(starlane, folder, random.Random(f"{kind.__name__} {seed}"), tasks)
    except BaseException:
        shutil.rmtree(folder)
        raise
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
    finally:
        net.close()
    print(f"{kind.__name__} --seed {seed}: held ({time.time() - begin:.1f} s)", flush=True)
    shutil.rmtree(folder)
    return True


def main(usage=__doc__, kinds=None, network=Network):
    every = kinds or KINDS
    parser = argparse.ArgumentParser(usage=usage)
    parser.add_argument("starlane", type=os.path.abspath)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--rounds", type=int, default=1, help="of every kind")
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    parser.add_argument("--tasks", type=int, default=160, help="of a round, at least 20")
    parser.add_argument("--injury", type=os.path.abspath, help="without it, no kinds that need it")
    parser.add_argument("--kind", action="append", choices=[kind.__name__ for kind in [*every, throughput]])
    arguments = parser.parse_args()
    Network.injury = arguments.injury
    kinds = [kind for kind in every if not arguments.kind or kind.__name__ in arguments.kind]
    if "throughput" in (arguments.kind or ()):
        kinds.append(throughput)
    if not arguments.injury:
        kinds = [kind for kind in kinds if getattr(kind, "network", network) is not PreloadedNetwork]
    until = time.time() + arguments.minutes * 60 if arguments.minutes else None
    held = wrong = 0
    while held + wrong < arguments.rounds * len(kinds) if until is None else time.time() < until:
        number = held + wrong
        passed = one_round(network, arguments.starlane, kinds[number % len(kinds)],
                           arguments.seed + number // len(kinds), arguments.tasks)
        held, wrong = held + passed, wrong + (not passed)
    say_figures()
    print(f"chaos: {held} rounds held, {wrong} did not")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
