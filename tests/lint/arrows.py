"""Which way includes run (docs/architecture.md), and which library is seen from which room."""
import pathlib
import re

from source import line_of, strip_comments

INCLUDE = re.compile(r'(?m)^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)')

ACTOR = "actors/"
API = "include"

# What a room may include beside itself. An actor sees another actor's protocol only (PROTOCOL below).
ARROWS = {
    "runtime": set(),
    "kernels": set(),
    API: set(),
    "mpi": {"runtime"},
    "net": {"runtime"},
    ACTOR: {"runtime", "kernels"},
    "sdk": {"runtime", "kernels", "mpi", "net", ACTOR, API},
    "cli": {API},
    "examples": {API},
}
PROTOCOL = re.compile(r"(?:.*_)?(?:protocol|msgs)\.(?:h|def)$")

# System headers that only some folders may include: (pattern, folders, what to do instead).
LIBRARIES = [
    (re.compile(r"(mpi|mpi-ext|nccl|pmix\w*)\.h$"), ("mpi/", "bench/", "tests/"),
     "use runtime/transport.h or runtime/collective.h"),
    (re.compile(r"(netdb|arpa/inet|netinet/\w+|sys/un|openssl/(ssl|tls1|bio)\w*)\.h$"),
     ("net/", "bench/", "tests/"), "sockets and TLS live in net/"),
    # A pair of connected sockets is how the executor talks to its own child, the spawner.
    (re.compile(r"sys/socket\.h$"), ("net/", "actors/executor/process_wire", "bench/", "tests/"),
     "sockets and TLS live in net/"),
    (re.compile(r"sqlite3\.h$"), ("actors/scheduler/ledger", "bench/", "tests/"), "go through the ledger"),
    (re.compile(r"hwloc(/.*)?\.h$"), ("actors/registry/", "runtime/", "bench/", "tests/"),
     "ask the registry"),
    (re.compile(r"(sodium(/.*)?|openssl/.*)\.h$"), ("actors/secure/", "actors/gateway/key_store", "net/", "bench/", "tests/"),
     "keys and ciphers live in actors/secure/"),
    (re.compile(r"cuda\w*\.h$"), ("kernels/cuda/", "actors/registry/", "tests/"),
     "CUDA is reached through its plug-in"),
]


def room_of(path):
    """The room a path lies in: the top folder, or actors/NAME."""
    parts = pathlib.PurePath(path).parts
    if parts[0] == "actors" and len(parts) > 2:
        return ACTOR + parts[1]
    return parts[0] if len(parts) > 1 else ""


def kind(room):
    return ACTOR if room.startswith(ACTOR) else room


def resolve(tree, path, name):
    """The file of ours that `#include "name"` in `path` means, or None (paths do not climb)."""
    if ".." in pathlib.PurePath(name).parts:
        return None
    beside = (pathlib.PurePath(path).parent / name).as_posix()
    for candidate in (name, beside, f"{API}/{name}"):
        if tree.exists(candidate):
            return candidate
    return None


def allowed(source, target, target_path):
    if source == target or kind(target) in ARROWS[kind(source)]:
        return True
    return kind(source) == kind(target) == ACTOR and bool(PROTOCOL.match(target_path))


def bench_layers(rooms):
    """A benchmark measures one layer: everything it includes must be visible from one single room."""
    rooms = rooms - {"bench", API, "tests"}
    visible = [{layer} | {room for room in rooms if kind(room) in ARROWS[kind(layer)]} for layer in rooms]
    return not rooms or any(rooms <= seen for seen in visible)


def check_system(path, line, name):
    for pattern, folders, advice in LIBRARIES:
        if pattern.match(name) and not path.startswith(folders):
            yield path, line, f"<{name}> may not be included here: {advice}"


def check_own(tree, path, line, name, rooms):
    source = room_of(path)
    found = resolve(tree, path, name)
    if found is None:
        if source in ARROWS or source.startswith(ACTOR):
            yield path, line, f'"{name}" is no file of this tree: write it from the top folder'
        return
    target = room_of(found)
    rooms.add(target)
    if kind(source) in ARROWS and not allowed(source, target, found):
        yield path, line, f"{source} may not include {found} (the arrows of docs/architecture.md)"


def check(tree):
    for path in tree.c_files():
        text, rooms = strip_comments(tree.text(path)), set()
        for match in INCLUDE.finditer(text):
            line = line_of(text, match.start())
            if match.group(2):
                yield from check_system(path, line, match.group(2))
            if match.group(1) or resolve(tree, path, match.group(2)):
                yield from check_own(tree, path, line, match.group(1) or match.group(2), rooms)
        if room_of(path) == "bench" and not bench_layers(rooms):
            yield path, 1, f"a benchmark looks at one layer, this one at {', '.join(sorted(rooms))}"
