/* The application interface: tasks and maps of a program on the public API, over two ranks. Such a
 * program is started for each case, because a process joins a network once. */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/machine.h"

enum { LINE_BYTES = 4 * PATH_MAX };

typedef struct api_case {
    const char *name;
    const char *what;
    uint64_t count;
    double goal, goal_ratio;
    const char *floor_name;
    bool seconds; /* each value is, rather than one per second */
    bool bytes;   /* … or bytes per second */
} api_case;

static void measure(const bench *b, const api_case *c, samples *ours, samples *floor) {
    char line[LINE_BYTES], path[PATH_MAX + 32], *rest;
    snprintf(path, sizeof path, "%s/api-%d", b->directory, (int)getpid());
    snprintf(line, sizeof line, "exec %s -n 2 '%s/starlane-bench-api' %s '%s' %llu %u", b->mpirun,
             b->programs, c->name, path, (unsigned long long)bench_amount(b, c->count), b->rounds);
    int code = machine_run_shell(line);
    FILE *file = fopen(path, "r");
    if (code != 0 || !file)
        bench_die("this ended with %d: %s", code, line);
    while (fgets(line, sizeof line, file)) {
        samples_add(ours, strtod(line, &rest));
        if (c->floor_name)
            samples_add(floor, strtod(rest, NULL));
    }
    fclose(file);
    unlink(path);
    snprintf(line, sizeof line, "exec rm -rf '%s-gateway'", path);
    machine_run_shell(line);
}

static const api_case cases[] = {
    {.name = "batch",
     .what = "submit and result, one worker rank, 200 k in a batch",
     .count = 200000,
     .goal = 1e6},
    {.name = "window",
     .what = "submit and result, one worker rank, 64 in flight",
     .count = 100000,
     .goal = 100e3},
    {.name = "brief", .what = "the same with a brief task", .count = 100000, .goal = 100e3},
    {.name = "remote",
     .what = "submit and result from outside, over TLS, 1024 in flight",
     .count = 100000,
     .goal = 20e3},
    {.name = "remote-one",
     .what = "submit to result from outside, over TLS, one at a time",
     .count = 3000,
     .goal = 300e-6,
     .seconds = true},
    {.name = "sealed",
     .what = "submit and result, sealed, one worker rank, 64 in flight",
     .count = 10000,
     .floor_name = "the same task not sealed"},
    {.name = "sealed-one",
     .what = "submit to result, sealed, one worker rank, one at a time",
     .count = 2000,
     .seconds = true,
     .floor_name = "the same task not sealed"},
    {.name = "sealed-bulk",
     .what = "a sealed argument of 64 MiB, from submit to result",
     .count = 8,
     .bytes = true,
     .floor_name = "AES-256-GCM by OpenSSL, encrypting and decrypting it, alone"},
    {.name = "module",
     .what = "submit and result of a module's task, 64 in flight",
     .count = 100000,
     .goal_ratio = 0.95,
     .floor_name = "the same task of the program"},
    {.name = "module-first",
     .what = "the first call of a module of 1 MiB: fetched, checked, loaded",
     .count = 20,
     .seconds = true},
    {.name = "map",
     .what = "map over 10 M floats, 2 ranks",
     .count = 10000000,
     .goal_ratio = 0.8,
     .floor_name = "MPI_Scatter, the loop, MPI_Gather"},
    {.name = "hop-1k",
     .what = "an actor of 1 KiB moves to the other rank, and back",
     .count = 20000,
     .goal = 10e-6,
     .seconds = true},
    {.name = "hop-1m",
     .what = "an actor of 1 MiB moves to the other rank, and back",
     .count = 1000,
     .goal = 600e-6,
     .seconds = true},
    {.name = "ask",
     .what = "ask an actor of another rank, and its answer",
     .count = 5000,
     .seconds = true},
    {.name = "send", .what = "send to an actor of another rank", .count = 500000},
    {.name = "roam",
     .what = "moves of random ones of 16 actors under traffic, order checked",
     .count = 200000},
};

void bench_api(bench *b) {
    if (b->ranks > 1)
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        samples ours = {0}, floor = {0};
        if (!bench_wants(b, cases[i].what))
            continue;
        measure(b, &cases[i], &ours, &floor);
        report_print(&b->report, &(report_row){.bench = "api",
                                               .what = cases[i].what,
                                               .unit = cases[i].bytes     ? REPORT_BYTES_PER_S
                                                       : cases[i].seconds ? REPORT_SECONDS
                                                                          : REPORT_PER_S,
                                               .less_is_better = cases[i].seconds,
                                               .ours = &ours,
                                               .floor_name = cases[i].floor_name,
                                               .floor = cases[i].floor_name ? &floor : NULL,
                                               .goal = cases[i].goal,
                                               .goal_ratio = cases[i].goal_ratio});
        samples_fini(&ours), samples_fini(&floor);
    }
}
