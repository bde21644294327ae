#!/usr/bin/env python3
"""spares.py STARLANE [--minutes M | --rounds N] [--seed S] [--kind KIND] [--tasks N]

Real networks with spare ranks: a rank that is killed, two, and one that is frozen, taken for dead and goes
on. The spares must have run nothing before, and tasks of the run after. All else as in chaos.py, which
judges."""
import os
import signal
import sys
import time

import chaos
from chaos import RANKS, ledger, require


class Spared(chaos.Network):
    spares = 1

    def launch_words(self):
        return ["--spares", str(self.spares)]


def rows_of(net, rank):
    return ledger(net, "select start_s, state from attempt where rank = ? order by start_s", rank)


def took_over(net, spare):
    rows = rows_of(net, spare)
    require(any(state == "done" for _, state in rows), f"the spare, rank {spare}, ran nothing")
    require(rows[0][0] > net.injured_at, f"the spare, rank {spare}, ran something before anybody died")
    chaos.figures["killed to its spare's first task"].append(rows[0][0] - net.injured_at)


def kill_one(net):
    net.run(2)
    net.await_moment(40)
    net.injure([net.rng.randrange(1, RANKS)], signal.SIGKILL)
    net.wait(0)
    took_over(net, RANKS)


def kill_two(net):
    net.spares = 2
    net.run(2)
    net.await_moment(40)
    net.injure(net.rng.sample(range(1, RANKS), 2), signal.SIGKILL)
    net.wait(0)
    took_over(net, RANKS)
    took_over(net, RANKS + 1)


def kill_spare(net):
    """Who stands by may die, too; then there is nobody to take over, and the run goes on all the same."""
    net.run(2)
    net.await_moment(40)
    net.injure([RANKS], signal.SIGKILL)
    net.injure([1], signal.SIGKILL)
    net.wait(0)
    require(not rows_of(net, RANKS), "a dead spare ran something")


def freeze(net):
    """The spare takes the place, and leaves it when the frozen rank comes back."""
    net.run(4)
    net.await_moment(20)
    pid = net.ranks()[2]
    net.injure([2], signal.SIGSTOP)
    time.sleep(2.5)
    require(net.process.poll() is None, "the run ended before its frozen rank went on")
    os.kill(pid, signal.SIGCONT)
    thawed_at = time.time()
    net.wait(0)
    took_over(net, RANKS)
    require(any(start > thawed_at for start, _ in rows_of(net, 2)), "the frozen rank ran nothing any more")
    late = [start for start, _ in rows_of(net, RANKS) if start > thawed_at + 2]
    require(not late, "the spare was given tasks long after the frozen rank had come back")


def kill_owner(net):
    """All are started again, spares too."""
    net.run()
    net.await_moment()
    net.injure([0], signal.SIGKILL)
    net.wait(0)
    require(not rows_of(net, RANKS), "the spare ran something though no rank but the first died")


KINDS = [kill_one, kill_two, kill_spare, freeze, kill_owner]


if __name__ == "__main__":
    sys.exit(chaos.main(__doc__, KINDS, Spared))
