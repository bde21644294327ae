"""Sizes: functions that fit a screen, files about one thing, no definitions that nobody reads."""
import pathlib
import re

from source import line_of, strip_directives, strip_strings

MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 600
# The public API is one header, whatever it holds.
LONG_FILES = {"include/starlane.h"}

OPENING = re.compile(r"\)\s*(?:__attribute__\s*\(\(.*\)\)\s*)?$", re.DOTALL)


def functions(text):
    """(name, first line, last line) of every function body; raises ValueError when braces do not pair."""
    depth, start, head = 0, None, 0
    for match in re.finditer(r'[{};]|extern\s+"\s*"\s*\{', text):
        token = match.group()
        if token.startswith("extern"):
            head = match.end()
        elif token == "{":
            if depth == 0:
                before = text[head:match.start()]
                start = (before, match.start()) if OPENING.search(before.rstrip()) else None
            depth += 1
        elif token == "}":
            if depth == 0:
                # The end of an extern "C" block.
                head = match.end()
                continue
            depth -= 1
            if depth == 0:
                if start:
                    yield function_name(start[0]), line_of(text, start[1]), line_of(text, match.start())
                head, start = match.end(), None
        elif depth == 0:
            head = match.end()
    if depth:
        raise ValueError("braces do not pair")


def function_name(before):
    name = re.search(r"(\w+)\s*\(", before.strip())
    return name.group(1) if name else "?"


def check_functions(tree, path):
    text = strip_directives(strip_strings(tree.text(path)))
    try:
        for name, first, last in functions(text):
            lines = last - first + 1
            if lines > MAX_FUNCTION_LINES:
                yield path, first, f"{name}() has {lines} lines, more than {MAX_FUNCTION_LINES}: split it"
    except ValueError as error:
        yield path, 1, f"cannot follow it: {error} (a brace in one branch of an #if?)"


def check_definitions(tree):
    """Every .def is included by something."""
    texts = [tree.text(path) for path in tree.paths
             if pathlib.PurePath(path).suffix in {".c", ".h", ".cu", ".def", ".txt", ".cmake", ".py"}]
    for path in tree.paths:
        if path.endswith(".def") and not any(f"{path}" in text for text in texts):
            yield path, 1, "nothing includes this definition"


def check(tree):
    for path in tree.c_files():
        lines = tree.text(path).count("\n")
        if lines > MAX_FILE_LINES and path not in LONG_FILES:
            yield path, lines, f"{lines} lines, more than {MAX_FILE_LINES}: a file is about one thing"
        if not path.endswith(".def"):
            yield from check_functions(tree, path)
    yield from check_definitions(tree)
