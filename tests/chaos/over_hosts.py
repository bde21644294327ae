#!/usr/bin/env python3
"""over_hosts.py STARLANE [--minutes M | --rounds N] [--seed S] [--kind KIND] [--tasks N]

As chaos.py, with ranks on several hosts (hosts.py), and injuries to hosts, to the cables between them, and to
the disk they share. Exit code 77: hosts cannot be made here, and standard error says why."""
import os
import shutil
import signal
import sys
import time

import chaos
from chaos import require
from hosts import Hosts, Impossible

DISK_BYTES = 8 << 20
LOST, CUT = "hosts lost", "cables cut, or deaf one way"
SHORT_S, LONG_S = (0.2, 0.8), (1.5, 4.0)  # less, and more, than a rank may be silent


class Network(chaos.Network):
    """Rank 0, the owner of the run, is on the first host; launch and mpirun are on none of them."""

    parent = "/var/tmp"
    host_count, slots = 3, 2
    disk_bytes = None

    def __init__(self, starlane, folder, rng, tasks):
        super().__init__(starlane, folder, rng, tasks)
        self.ranks_started = self.host_count * self.slots
        self.hosts = Hosts(folder, self.host_count, self.own_environment(), [os.path.dirname(os.path.dirname(starlane))],
                           self.disk_bytes)

    def launch_words(self):
        return ["--launcher-args", self.hosts.mpirun_words(self.slots)]

    def spawn(self, words, **more):
        return self.hosts.spawn(words, **more)

    def close(self):
        self.hosts.close()

    def some_host(self):
        """One that the run can do without."""
        return self.hosts[self.rng.choice(self.hosts.names()[1:])]

    def some_rank(self):
        return self.rng.randrange(1, self.ranks_started)

    def gone_for(self):
        return self.rng.uniform(*self.rng.choice([SHORT_S, LONG_S]))


class LoneNetwork(Network):
    """Each rank alone on its host, where nobody but its silence tells of its end; for as long as it is by default."""

    host_count, slots = 4, 1
    patience = ()


class FullDiskNetwork(Network):
    disk_bytes = DISK_BYTES
    output = "disk/out"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.out = self.hosts.path(self.folder) / self.output

    def ledger_path(self):
        """SQLite does not follow where the path leads."""
        for path in self.out.glob("ledger.db*"):
            shutil.copy(path, self.folder)
        return self.folder / "ledger.db"


# --- kinds of injury ------------------------------------------------------------------------------


def kill_rank(net):
    net.run()
    net.await_moment()
    net.injure([net.some_rank()], signal.SIGKILL)
    net.wait(0)
    chaos.measure_elsewhere(net)
    chaos.measure_exit(net)


def kill_lone(net):
    net.run()
    net.await_moment()
    net.injure([net.some_rank()], signal.SIGKILL)
    net.wait(0)
    chaos.measure_elsewhere(net, "tasks of a killed rank that was alone on its host run elsewhere")
    chaos.measure_exit(net)
    chaos.measure_given_up(net)


def freeze_lone(net):
    """For about as long as it may be silent, so that it is given up and back at the same time, or was suspected only."""
    net.run(4)
    net.await_moment(20)
    for _ in range(2):
        rank = net.some_rank()
        pid = net.ranks()[rank]
        net.injure([rank], signal.SIGSTOP)
        time.sleep(net.rng.uniform(0.3, 0.6))
        os.kill(pid, signal.SIGCONT)
    net.wait(0)
    chaos.measure_given_up(net)


kill_lone.network = freeze_lone.network = LoneNetwork


def freeze_rank(net):
    net.run(2)
    net.await_moment(20)
    rank = net.some_rank()
    pid = net.ranks()[rank]
    net.injure([rank], signal.SIGSTOP)
    time.sleep(net.gone_for())
    if chaos.alive(pid):
        os.kill(pid, signal.SIGCONT)
    net.wait(0)


def kill_owner(net):
    net.run()
    net.await_moment()
    net.injure([0], signal.SIGKILL)
    net.wait(0)
    chaos.measure_recovery(net)


def lose_host(net):
    net.run()
    net.await_moment()
    net.note(LOST)
    net.some_host().lose(dark=net.rng.random() < 0.5)
    net.wait(0)
    chaos.measure_exit(net)


def lose_owner_host(net):
    """Launch cannot start ranks on a host that is gone: it says how to go on, and when the host is back one can."""
    net.run()
    net.await_moment()
    net.note(LOST)
    first = net.hosts["h1"]
    first.lose(dark=net.rng.random() < 0.5)
    net.wait(1)
    chaos.await_nobody(net)
    require("starlane run --resume" in (net.folder / "log").read_text(errors="replace"), "nobody says how to go on")
    first.boot()
    net.hosts.write_agent(net.own_environment())
    net.resume()
    net.wait(0)


def measure_return(net, host, since):
    """From its being whole again to the next task of a host."""
    rows = chaos.ledger(net, "select min(start_s) from attempt where host = ? and start_s > ? and state = 'done'",
                        host.name, since)
    if rows[0][0] is not None:
        chaos.figures["host whole again to its next task"].append(rows[0][0] - since)


def cut_host(net):
    """Its cable is pulled out, and put in again. What it worked at is done again elsewhere if that took long."""
    net.run(2)
    net.await_moment(20)
    net.note(CUT)
    host = net.some_host()
    host.link(False)
    time.sleep(net.gone_for())
    host.link(True)
    whole_at = time.time()
    net.wait(0)
    measure_return(net, host, whole_at)


def cut_one_way(net):
    """From one host to another nothing arrives, the other way all does."""
    net.run(2)
    net.await_moment(20)
    net.note(CUT)
    sender, receiver = net.rng.sample(net.hosts.names(), 2)
    net.hosts.cut(sender, receiver)
    time.sleep(net.gone_for())
    net.hosts.heal(sender, receiver)
    net.wait(0)


def freeze_host(net):
    net.run(2)
    net.await_moment(20)
    net.note("hosts frozen")
    host = net.some_host()
    host.freeze()
    time.sleep(net.gone_for())
    host.thaw()
    whole_at = time.time()
    net.wait(0)
    measure_return(net, host, whole_at)


def full_disk(net):
    """The run ends with a word about the disk; with room again it goes on. A task whose own output found no room has
    failed, as far as anybody can tell, and is run again when that is asked for."""
    net.run()
    net.await_moment()
    net.note("disks full")
    filler = net.hosts.path(net.folder) / "disk" / "filler"
    with open(filler, "wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            pass
    net.wait(1)
    chaos.await_nobody(net)
    log = (net.folder / "log").read_text(errors="replace")
    require("No space left" in log or "disk is full" in log, "nobody says that the disk is full")
    filler.unlink()
    net.resume("--rerun")
    net.wait(0)


full_disk.network = FullDiskNetwork

KINDS = [kill_rank, kill_lone, lose_host, cut_host, freeze_rank, freeze_lone, cut_one_way, freeze_host, kill_owner, full_disk, lose_owner_host]


if __name__ == "__main__":
    try:
        sys.exit(chaos.main(__doc__, KINDS, Network))
    except Impossible as why:
        print(f"over_hosts: skipped: {why}", file=sys.stderr)
        sys.exit(77)
