"""The files of the tree, and C text without what only looks like code."""
import pathlib
import re
import subprocess

C_SUFFIXES = {".c", ".h", ".def", ".cu", ".cuh"}

TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/|//(?:\\\n|[^\n])*)"""
    r"""|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""",
    re.DOTALL)


def _blank(match):
    """Spaces for everything but line ends, so that line numbers stay true."""
    return re.sub(r"[^\n]", " ", match.group())


def strip_comments(text):
    return TOKEN.sub(lambda m: _blank(m) if m.group("comment") else m.group(), text)


def strip_strings(text):
    """Drops comments and the insides of strings; the quotes stay."""
    def replace(match):
        if match.group("comment"):
            return _blank(match)
        quote = match.group()[0]
        return quote + _blank(match)[1:-1] + quote
    return TOKEN.sub(replace, text)


def strip_directives(text):
    """Drops preprocessor lines with their continuations."""
    return re.sub(r"(?m)^[ \t]*#(?:\\\n|[^\n])*", _blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


class Tree:
    """The tracked files below `root` (every file, where git does not know the tree)."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.paths = sorted(self._tracked() or self._walked())
        self._texts = {}

    def _tracked(self):
        listed = subprocess.run(["git", "-C", str(self.root), "ls-files", "-z", "."],
                                capture_output=True, text=True)
        return [path for path in listed.stdout.split("\0") if path and (self.root / path).is_file()]

    def _walked(self):
        for path in self.root.rglob("*"):
            relative = path.relative_to(self.root)
            if path.is_file() and not relative.parts[0].startswith(("build", ".git")):
                yield relative.as_posix()

    def text(self, path):
        if path not in self._texts:
            raw = (self.root / path).read_bytes()
            self._texts[path] = "" if b"\0" in raw else raw.decode("utf-8", "replace")
        return self._texts[path]

    def c_files(self):
        return [path for path in self.paths if pathlib.PurePath(path).suffix in C_SUFFIXES]

    def exists(self, path):
        return (self.root / path).exists()
