#!/usr/bin/env python3
"""spares.py STARLANE [--seed S] [--tasks N]

Real networks with spare ranks: a rank that is killed, two, and one that is frozen, taken for dead and goes
on. The spares must have run nothing before, and tasks of the run after. All else as in chaos.py, which
judges. Exit code 1 when anything does not hold."""
import argparse
import os
import random
import signal
import subprocess
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


def refused(starlane):
    """More spares than can stand by."""
    done = subprocess.run([starlane, "launch", "-n", "1", "--spares", "1", "--", starlane, "run", "--spares", "2",
                           "--", "true"], capture_output=True, text=True, check=False)
    return done.returncode == 2 and "only 1 can stand by" in done.stderr


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("starlane", type=os.path.abspath)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    parser.add_argument("--tasks", type=int, default=160, help="of a round, at least 20")
    parser.add_argument("--kind", action="append", choices=[kind.__name__ for kind in KINDS])
    arguments = parser.parse_args()
    kinds = [kind for kind in KINDS if not arguments.kind or kind.__name__ in arguments.kind]
    wrong = [kind for kind in kinds
             if not chaos.one_round(arguments.starlane, kind, arguments.seed, arguments.tasks, Spared)]
    if not refused(arguments.starlane):
        print("too many spares were not refused")
        wrong.append(refused)
    chaos.say_figures()
    print(f"spares: {len(kinds) + 1 - len(wrong)} rounds held, {len(wrong)} did not")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
