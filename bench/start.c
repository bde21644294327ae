/* A whole job: `mpirun -n 4 starlane run` of one trivial task, beside an MPI program that does
 * nothing. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/machine.h"

enum { LINE_BYTES = 4 * PATH_MAX };

static double timed_s(const char *line) {
    double begin_s = machine_now_s();
    int code = machine_run_shell(line);
    double seconds = machine_now_s() - begin_s;
    if (code != 0)
        bench_die("this ended with %d: %s", code, line);
    return seconds;
}

static double empty_s(const bench *b) {
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "%s -n 4 '%s/starlane-bench-empty-mpi'", b->mpirun, b->programs);
    return timed_s(line);
}

static double run_s(const bench *b, const char *folder) {
    char line[LINE_BYTES];
    snprintf(line, sizeof line,
             "cd '%s' && rm -rf out && echo true >task && "
             "exec %s -n 4 '%s/starlane' run --shell task --output out",
             folder, b->mpirun, b->programs);
    return timed_s(line);
}

static void compare(bench *b, const char *folder) {
    samples ours = {0}, floor = {0}, more = {0};
    for (uint32_t round = 0; round < b->rounds; round++) {
        samples_add(&floor, empty_s(b));
        samples_add(&ours, run_s(b, folder));
        samples_add(&more, ours.values[round] - floor.values[round]);
    }
    report_print(&b->report, &(report_row){.bench = "start",
                                           .what = "mpirun -n 4 starlane run, one task, whole",
                                           .unit = REPORT_SECONDS,
                                           .ours = &ours,
                                           .floor_name = "mpirun -n 4 of an empty MPI program",
                                           .floor = &floor,
                                           .less_is_better = true});
    report_print(&b->report, &(report_row){.bench = "start",
                                           .what = "the difference",
                                           .unit = REPORT_SECONDS,
                                           .ours = &more,
                                           .less_is_better = true,
                                           .goal = 0.3});
    samples_fini(&ours), samples_fini(&floor), samples_fini(&more);
}

void bench_start(bench *b) {
    char path[PATH_MAX + 16], folder[PATH_MAX + 32], line[PATH_MAX + 64];
    if (b->ranks > 1)
        return;
    snprintf(path, sizeof path, "%s/starlane", b->programs);
    if (access(path, X_OK) != 0) {
        report_remark(&b->report, "start", "there is no `starlane` here: nothing to measure");
        return;
    }
    snprintf(folder, sizeof folder, "%s/starlane-bench-XXXXXX", b->directory);
    if (!mkdtemp(folder))
        bench_die("no folder can be made in %s", b->directory);
    compare(b, folder);
    snprintf(line, sizeof line, "rm -rf '%s'", folder);
    machine_run_shell(line);
}
