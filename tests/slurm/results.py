#!/usr/bin/env python3
"""results.py DIR CONDITION...: Python expressions that must hold for a run's output directory.

In them: summary, and tasks (name -> its object of results.jsonl; its "out" is stdout/NAME)."""
import json
import pathlib
import sys


def load(directory):
    tasks = {}
    for line in (directory / "results.jsonl").read_text().splitlines():
        task = json.loads(line)
        if task["name"] in tasks:
            sys.exit(f"{directory}: two results for task {task['name']}")
        task["out"] = (directory / "stdout" / task["name"]).read_text()
        tasks[task["name"]] = task
    return {"tasks": tasks, "summary": json.loads((directory / "summary.json").read_text())}


def main(directory, *conditions):
    names = load(pathlib.Path(directory))
    false = [condition for condition in conditions if not eval(condition, names)]
    for condition in false:
        print(f"{directory}: does not hold: {condition}")
    if false:
        for task in list(names["tasks"].values())[:20]:
            print(task)
    return 1 if false else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
