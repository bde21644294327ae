/* Objects of a program on the public API, over two ranks of this host: handed over by their place,
 * fetched as bytes, and put. Such a program is started for each case. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/machine.h"

enum { LINE_BYTES = 4 * PATH_MAX };

#define MIB (UINT64_C(1) << 20)

typedef struct object_case {
    const char *name;
    const char *what;
    uint64_t bytes;
} object_case;

static const object_case cases[] = {
    {"hand", "hand over 1 KiB between ranks of a host", 1024},
    {"hand", "hand over 64 KiB", MIB / 16},
    {"hand", "hand over 1 MiB", MIB},
    {"hand", "hand over 16 MiB", 16 * MIB},
    {"hand", "hand over 256 MiB", 256 * MIB},
    {"get", "get 1 MiB as bytes", MIB},
    {"get", "get 16 MiB as bytes", 16 * MIB},
    {"get", "get 64 MiB as bytes", 64 * MIB},
    {"put", "put 1 MiB", MIB},
    {"put", "put 64 MiB", 64 * MIB},
    {"spill", "put 1 MiB where another is spilled for it", MIB},
    {"spill", "put 64 MiB where another is spilled for it", 64 * MIB},
    {"back", "get 1 MiB that was spilled", MIB},
    {"back", "get 64 MiB that was spilled", 64 * MIB},
};

static void measure(const bench *b, const object_case *c, samples *ours, samples *floor) {
    char line[LINE_BYTES], path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/objects-%d", b->directory, (int)getpid());
    snprintf(line, sizeof line, "exec %s -n 2 '%s/starlane-bench-objects' %s '%s' %llu %u",
             b->mpirun, b->programs, c->name, path, (unsigned long long)c->bytes,
             (unsigned)bench_amount(b, 20 * (uint64_t)b->rounds));
    int code = machine_run_shell(line);
    FILE *file = fopen(path, "r");
    if (code != 0 || !file)
        bench_die("this ended with %d: %s", code, line);
    while (fgets(line, sizeof line, file)) { /* ours and the floor */
        char *rest;
        samples_add(ours, strtod(line, &rest));
        samples_add(floor, strtod(rest, NULL));
    }
    fclose(file);
    unlink(path);
}

static void print(bench *b, const object_case *c, const samples *ours, const samples *floor) {
    bool hand = c->name[0] == 'h', get = c->name[0] == 'g', put = c->name[0] == 'p';
    report_print(&b->report,
                 &(report_row){.bench = "objects",
                               .what = c->what,
                               .unit = hand ? REPORT_SECONDS : REPORT_BYTES_PER_S,
                               .ours = ours,
                               .floor_name = hand                ? "MPI_Recv of the bytes"
                                             : get               ? "MPI_Recv"
                                             : put               ? "memcpy"
                                             : c->name[0] == 's' ? "memcpy, and pwrite of a file"
                                                                 : "pread of a file",
                               .floor = floor,
                               .less_is_better = hand,
                               .goal = hand ? 10e-6 : 0,
                               .goal_ratio = get ? 0.9 : 0});
}

void bench_objects(bench *b) {
    if (b->ranks > 1)
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        samples ours = {0}, floor = {0};
        if (!bench_wants(b, cases[i].what))
            continue;
        measure(b, &cases[i], &ours, &floor);
        print(b, &cases[i], &ours, &floor);
        samples_fini(&ours), samples_fini(&floor);
    }
}
