#!/usr/bin/env python3
"""lint.py [ROOT]: what no compiler checks. Prints FILE:LINE: reason, one a line; exit code 1 if any."""
import pathlib
import sys

import arrows
import calls
import documents
import messages
import secrets_told
import shape
from source import Tree

CHECKS = (arrows, calls, shape, documents, messages, secrets_told)


def complaints(root):
    tree = Tree(root)
    return sorted({found for check in CHECKS for found in check.check(tree)}), len(tree.paths)


def main(root=pathlib.Path(__file__).resolve().parents[2]):
    found, files = complaints(root)
    for path, line, reason in found:
        print(f"{path}:{line}: {reason}")
    print(f"lint: {files} files, {len(found)} complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
