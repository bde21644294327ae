#!/usr/bin/env python3
"""man_page.py STARLANE PAGE: the manual and --help tell the same story.

Every option and subcommand that `starlane --help` and `starlane SUBCOMMAND --help` print is in the page,
every option of the page is in some --help, and man renders the page without a warning.
"""
import pathlib
import re
import subprocess
import sys

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


def help_of(program, *words):
    done = subprocess.run([program, *words, "--help"], capture_output=True, text=True, timeout=30)
    if done.returncode != 0 or not done.stdout.strip():
        sys.exit(f"starlane {' '.join(words)} --help: exit code {done.returncode}, {done.stderr.strip()!r}")
    return done.stdout


def subcommands(text):
    """The words that begin the indented lines of the list under a line `commands:`."""
    listed = re.search(r"(?mi)^(?:\w+ )*commands:?[ \t]*\n((?:[ \t]+.*\n|\n)+)", text)
    return re.findall(r"(?m)^ {1,6}([a-z][a-z-]*)\b", listed.group(1)) if listed else []


def warnings_of(page):
    done = subprocess.run(["man", "--warnings=w", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(page)],
                          capture_output=True, text=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin",
                                                               "MANROFFSEQ": ""})
    return done.stderr.strip() or ("" if done.returncode == 0 else f"man ended with {done.returncode}")


def main(program, page):
    top = help_of(program)
    commands = subcommands(top)
    if not commands:
        sys.exit("starlane --help lists no commands")
    helps = top + "".join(help_of(program, command) for command in commands)
    manual = pathlib.Path(page).read_text().replace("\\-", "-")
    manual = re.sub(r"\\f[A-Z]", "", manual)

    wrong = [f"the page lacks {option}" for option in sorted(set(OPTION.findall(helps)) - set(OPTION.findall(manual)))]
    wrong += [f"no --help has {option}" for option in sorted(set(OPTION.findall(manual)) - set(OPTION.findall(helps)))]
    wrong += [f"the page lacks the command {command}" for command in commands
              if not re.search(rf"\b{re.escape(command)}\b", manual)]
    rendered = warnings_of(page)
    if rendered:
        wrong.append(rendered)
    print("\n".join(wrong) or f"{len(commands)} commands, {len(set(OPTION.findall(helps)))} options agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
