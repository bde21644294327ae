#!/usr/bin/env python3
"""Plants every kind of violation in a small tree, and things that only look like one beside it."""
import pathlib
import sys
import tempfile
import unittest

from lint import complaints

LONG = "int f(void) {\n" + "    g();\n" * 68 + "}\n"
CLEAN = {
    "runtime/err.h": "int e;\n",
    "runtime/x.def": "X(a)\n",
    "runtime/x.c": '#include "runtime/err.h"\n#include "runtime/x.def"\n#include <stdio.h>\n',
    "actors/store/store_msgs.def": 'SL_MESSAGE(store_a, 0x0901, SL_LANE_DATA, "a")\nSL_END(store_a)\n',
    "actors/store/store_protocol.h": '#include "actors/store/store_msgs.def"\n',
    "actors/store/store.h": "int s;\n",
    "mpi/transport_mpi.h": "#include <mpi.h>\n",
    "include/starlane.h": '#ifdef __cplusplus\nextern "C" {\n#endif\nint sl_f(void);\n#ifdef __cplusplus\n}\n#endif\n',
    "cli/run.c": "#include <starlane.h>\n",
    "dev": "command_test() {\n",
    "docs/a.md": "# One heading\n[here](#one-heading) and [there](../dev)\n```sh\n./dev test\nstarlane run x\n```\n",
}

# (file, text, part of the complaint, and its line)
PLANTED = [
    ("runtime/bad.c", '#include "mpi/transport_mpi.h"\n', "may not include mpi/transport_mpi.h", 1),
    ("runtime/bad.c", "\n#include <mpi.h>\n", "<mpi.h> may not be included here", 2),
    ("kernels/bad.c", '#include "runtime/err.h"\n', "kernels may not include", 1),
    ("kernels/cuda/bad.cu", '#include "runtime/err.h"\n', "kernels may not include", 1),
    ("mpi/bad.c", '#include "actors/store/store.h"\n', "mpi may not include", 1),
    ("actors/store/bad.c", '#  include "mpi/transport_mpi.h"\n', "may not include mpi", 1),
    ("actors/gateway/bad.c", '#include "actors/store/store.h"\n', "may not include actors/store/store.h", 1),
    ("actors/gateway/bad.c", "#include <sys/socket.h>\n", "sockets and TLS", 1),
    ("actors/executor/process_wire.c", "#include <netdb.h>\n", "sockets and TLS", 1),
    ("actors/gateway/bad.c", "#include <sqlite3.h>\n", "ledger", 1),
    ("cli/bad.c", '#include "runtime/err.h"\n', "cli may not include", 1),
    ("examples/bad.c", '#include "../runtime/err.h"\n', "no file of this tree", 1),
    ("sdk/bad.c", '#include "runtime/missing.h"\n', "no file of this tree", 1),
    ("bench/bad.c", '#include "mpi/transport_mpi.h"\n#include "actors/store/store.h"\n', "one layer", 1),
    ("runtime/bad.c", "int f(void) {\n    return clock_gettime(0, 0);\n}\n", "clock_gettime(): the clock", 2),
    ("kernels/bad.c", "int f(void) { return rand(); }\n", "rand(): chance", 1),
    ("actors/store/bad.c", "int f(void) { return sl_clock_now_ns() > 0; }\n", "sl_clock_now_ns(): the machine's time", 1),
    ("actors/store2/bad.c", "int f(void) { return pthread_create(0, 0, 0, 0); }\n", "pthread_create(): threads", 1),
    ("actors/store/bad.c", "int f(void) { return sl_rng_seed_from_system(0); }\n", "the machine's chance", 1),
    ("sdk/bad.c", "int f(void) { return getrandom(0, 0, 0); }\n", "getrandom(): chance", 1),
    ("actors/store2/bad.c", "int f(void) { return fsync(1); }\n", "fsync(): syncing", 1),
    ("runtime/actor.c", "int f(void) { return open(0, 0); }\n", "open(): opening files", 1),
    ("sdk/bad.c", "int f(void) { return fork (); }\n", "fork(): fork", 1),
    ("bench/bad.c", "int f(void) { return vfork(); }\n", "vfork(): fork", 1),
    ("net/bad.c", "void f(void) { exit(1); }\n", "exit(): ending", 1),
    ("sdk/bad.c", 'void f(void) { printf("x"); }\n', "printf(): standard output", 1),
    ("mpi/bad.c", "int c = MPI_COMM_WORLD;\n", "communicator that was given", 1),
    ("actors/store/bad.c", "#include <sodium.h>\n", "keys and ciphers", 1),
    ("sdk/bad.c", "void f(void *p) { randombytes_buf(p, 4); }\n", "chance for keys", 1),
    ("sdk/bad.c", 'int f(void) {\n    return sl_fail(1, "key %s",\n        k->secret);\n}\n', "tells a secret", 2),
    ("actors/secure/bad.c", 'int f(void) { return (sl_fail)(1, "%d", g(my_seed[0])); }\n', "tells a secret: my_seed", 1),
    ("cli/bad.c", "void f(void) { sl_hex(data_key, 32, text); }\n", "tells a secret: data_key", 1),
    ("runtime/bad.c", LONG.replace("{\n", "{\n    g();\n", 1), "f() has 71 lines", 1),
    ("runtime/bad.c", "int x;\n" * 601, "601 lines, more than 600", 601),
    ("runtime/bad.c", "int f(void) {\n", "braces do not pair", 1),
    ("runtime/lonely.def", "X(a)\n", "nothing includes this definition", 1),
    ("actors/store/store_msgs.def", 'SL_MESSAGE(a, 0x1, L, "")\nSL_END(a)\nSL_MESSAGE(b, 0x01, L, "")\n', "b, 0x01: a of", 3),
    ("actors/store/store_msgs.def", 'SL_MESSAGE(a, 1, L, "")\nSL_MESSAGE(a, 2, L, "")\n', "a, 2: a of", 2),
    ("docs/bad.md", "a\n[x](gone.md)\n", "leads nowhere", 2),
    ("docs/bad.md", "[x](a.md#another-heading)\n", "no heading #another-heading", 1),
    ("docs/bad.md", "```sh\n./dev dance\n```\n", "./dev has no command dance", 2),
    ("docs/bad.md", "```sh\nmpirun -n 4 starlane sing\n```\n", "no subcommand sing", 2),
    ("docs/bad.md", "```sh\nstarlane run examples/gone.jsonl\n```\n", "there is no examples/gone.jsonl", 2),
    ("docs/bad.md", "see /ro" + "ot/secret\n", "path of one machine", 1),
]

# These are right, and only look wrong.
INNOCENT = [
    ("runtime/good.c", "/* fork() and clock_gettime() are not called\n * here */ // rand()\n"),
    ("runtime/good.c", 'const char *s = "fork() { exit(1)";\nchar c = \'{\';\n'),
    ("runtime/good.c", "int f(struct x *x) { return x->open(1) + x->ops.time(2) + sl_rand(3) + reopen(4); }\n"),
    ("runtime/good.c", '/* #include "mpi/transport_mpi.h" */\n'),
    ("runtime/clock.c", "int f(void) { return clock_gettime(0, 0); }\n"),
    ("actors/secure/good.c", 'int f(void) { use(secret); return sl_fail(1, "no secret here") + g(seed); }\n'),
    ("sdk/good.c", 'int f(void) { return sl_fail(1, "seed %d", seed); }\n'),
    ("runtime/good.c", LONG),
    ("runtime/good.c", "static const int t[] = {\n" + "    1,\n" * 90 + "};\n"),
    ("runtime/good.h", "#define F(x) \\\n    do { \\\n        fork(); \\\n    } while (0\n"),
    ("actors/gateway/good.c", '#include "actors/store/store_protocol.h"\n#include "runtime/err.h"\n'),
    ("bench/good.c", '#include "mpi/transport_mpi.h"\n#include "runtime/err.h"\n#include <mpi.h>\n'),
    ("docs/good.md", "```\n[x](gone.md)\n```\n[w](https://example.org/gone)\n"),
]


def lint_with(path=None, text=""):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {**CLEAN, **({path: text} if path else {})}.items():
            file = pathlib.Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        return complaints(folder)[0]


class Lint(unittest.TestCase):
    def test_the_clean_tree_has_no_complaint(self):
        self.assertEqual(lint_with(), [])

    def test_every_planted_violation_is_found_at_its_line(self):
        for path, text, reason, line in PLANTED:
            with self.subTest(path=path, reason=reason):
                found = lint_with(path, text)
                self.assertTrue(any(p == path and n == line and reason in why for p, n, why in found), found)

    def test_what_only_looks_wrong_passes(self):
        for path, text in INNOCENT:
            with self.subTest(path=path, text=text[:40]):
                self.assertEqual(lint_with(path, text), [])


if __name__ == "__main__":
    sys.exit(unittest.main())
