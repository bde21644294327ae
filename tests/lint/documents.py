"""Documents: links that lead somewhere, commands that exist, no path of one particular machine."""
import pathlib
import re

from source import line_of

# Put together here, so that this file does not find itself.
MACHINE_PATHS = re.compile("|".join(re.escape(a + b) for a, b in [
    ("/wo", "rk/"), ("/tmp/", "b-"), ("/ro", "ot/"), ("/ho", "me/")]))
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"(?ms)^```[ \t]*(?:sh|bash|console|shell)[ \t]*\n(.*?)^```")
ANCHOR_DROPPED = re.compile(r"[^\w\- ]")


def anchors(text):
    for heading in re.findall(r"(?m)^#+[ \t]+(.*)$", text):
        yield ANCHOR_DROPPED.sub("", heading.strip().lower()).replace(" ", "-")


def check_links(tree, path):
    text = tree.text(path)
    for match in LINK.finditer(re.sub(r"(?ms)^```.*?^```", lambda m: re.sub(r"[^\n]", " ", m.group()), text)):
        target, _, anchor = match.group(1).partition("#")
        line = line_of(text, match.start())
        if re.match(r"[a-z]+:", target):
            continue
        place = pathlib.Path(path).parent / target if target else pathlib.Path(path)
        full = (tree.root / place).resolve()
        if not full.is_relative_to(tree.root) or not full.exists():
            yield path, line, f"the link {match.group(1)} leads nowhere"
        elif anchor and full.suffix == ".md" and anchor not in anchors(full.read_text()):
            yield path, line, f"{target or path} has no heading #{anchor}"


def dev_commands(tree):
    return set(re.findall(r"(?m)^command_(\w+)\(\)", tree.text("dev"))) | {"help", "packages"}


def subcommands(tree):
    """The subcommands of `starlane`, one file each in cli/ (empty while there is no cli/)."""
    return {match.group(1) for path in tree.paths if (match := re.match(r"cli/(?:cmd_|command_)?(\w+)\.c$", path))}


def check_commands(tree, path):
    text = tree.text(path)
    ours = subcommands(tree)
    for block in FENCE.finditer(text):
        for match in re.finditer(r"(?m)^[ \t$#]*(?:.*\s)?(\./dev|starlane)[ \t]+([a-z][\w-]*)", block.group(1)):
            line = line_of(text, block.start(1) + match.start(1))
            program, command = match.groups()
            if program == "./dev" and command not in dev_commands(tree):
                yield path, line, f"./dev has no command {command}"
            if program == "starlane" and ours and command.replace("-", "_") not in ours | {"help"}:
                yield path, line, f"cli/ has no subcommand {command}"
        for match in re.finditer(r"(?<![\w/.-])((?:examples|slurm|tests|bench)/[\w./-]+\w)", block.group(1)):
            if not tree.exists(match.group(1)):
                line = line_of(text, block.start(1) + match.start(1))
                yield path, line, f"there is no {match.group(1)}"


def check(tree):
    for path in tree.paths:
        text = tree.text(path)
        for match in MACHINE_PATHS.finditer(text):
            yield path, line_of(text, match.start()), f"{match.group()}… is a path of one machine"
        if path.endswith(".md"):
            yield from check_links(tree, path)
            yield from check_commands(tree, path)
