"""Messages: every id is given to one message, of all *_msgs.def together, and so is every name."""
import re

from source import line_of, strip_comments

MESSAGE = re.compile(r"(?m)^SL_MESSAGE\(\s*(\w+)\s*,\s*(\w+)\s*,")


def check(tree):
    first = {}
    for path in tree.paths:
        if not path.endswith("_msgs.def"):
            continue
        text = strip_comments(tree.text(path))
        for match in MESSAGE.finditer(text):
            line = line_of(text, match.start())
            name, number = match.group(1), match.group(2)
            for key in (name, int(number, 0)):
                other = first.setdefault(key, (path, line, name))
                if other[:2] != (path, line):
                    yield path, line, f"{name}, {number}: {other[2]} of {other[0]}:{other[1]} has that already"
