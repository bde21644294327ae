#!/usr/bin/env python3
"""trail.py FILE TASKS SLOTS: what tasks of a requeued job wrote, "SECONDS start|end NAME" a line.

A pause of more than 4 s (a requeue takes 6 s at least, tasks 1 s) parts one life from the next.
Tasks that ended 2 s or more before a life's last line were reported done and may not come again; at
most SLOTS tasks of a life, those that were running or just ending when it stopped, may."""
import sys

PAUSE_S = 4
SETTLED_S = 2


def lives(path):
    parts = []
    last = None
    for moment, what, name in sorted((float(m), w, n) for m, w, n in map(str.split, open(path))):
        if last is None or moment - last > PAUSE_S:
            parts.append([])
        parts[-1].append((moment, what, name))
        last = moment
    return parts


def main(path, tasks, slots):
    parts = lives(path)
    wrong = []
    settled = {}
    starts = {}
    for number, part in enumerate(parts):
        for moment, what, name in part:
            if what == "start":
                starts[name] = starts.get(name, 0) + 1
                if name in settled:
                    wrong.append(f"{name}: done in life {settled[name]}, again in {number}")
        before = part[-1][0] - SETTLED_S
        settled.update({n: number for m, w, n in part if w == "end" and m < before})
    ended = {name for part in parts for _, what, name in part if what == "end"}
    again = sum(starts.values()) - len(starts)
    if len(ended) != int(tasks):
        wrong.append(f"{len(ended)} of {tasks} tasks ended")
    if len(parts) < 2 or not settled:
        wrong.append(f"{len(parts)} lives: nothing done before a requeue, or nothing resumed")
    if again > int(slots) * (len(parts) - 1):
        wrong.append(f"{again} starts too many for {len(parts)} lives and {slots} slots")
    print(f"{len(parts)} lives of {[len(p) for p in parts]} lines, {again} tasks started again")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
