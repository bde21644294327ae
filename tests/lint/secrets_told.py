"""Secrets: nothing whose name says that it is one may go where it is read: logs, errors, text."""
import re

from source import line_of, strip_directives, strip_strings

# What ends in a log, a message, a terminal or a report. Writing bytes to a file that was opened for
# them is not among these.
TELLING = re.compile(r"(?<![\w.])(?<!->)\(?(sl_log\w*|SL_LOG\w*|sl_fail|sl_reply_fail|sl_strbuf_\w+|sl_hex|"
                     r"v?[sfd]?n?printf|v?asprintf|fputs|puts|perror|syslog|sl_trace\w*|sl_metric\w*|"
                     r"sodium_bin2\w+)\)?\s*\(")
SECRET = re.compile(r"\b\w*(?:secret|data_key|private_key|passphrase)\w*\b")
# `seed` is a simulator's word elsewhere; in the room of keys it is one.
SEED = re.compile(r"\b\w*seed\w*\b")
KEYS = "actors/secure/"
TESTS = ("tests/", "bench/")


def arguments(text, start):
    """What stands between the bracket at `start` and its pair."""
    depth = 0
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return text[start + 1:at]
    return text[start + 1:]


def check(tree):
    for path in tree.c_files():
        if path.startswith(TESTS):
            continue
        text = strip_directives(strip_strings(tree.text(path)))
        for call in TELLING.finditer(text):
            told = arguments(text, call.end() - 1)
            found = SECRET.search(told) or (path.startswith(KEYS) and SEED.search(told))
            if found:
                yield path, line_of(text, call.start(1)), f"{call.group(1)}() tells a secret: {found.group()}"
