/* Command tasks: `true` through scheduler, executor and spawner, beside what else starts programs.
 *
 * The programs it is compared with run as users run them: their own start counts, but each gets
 * enough commands that it matters little. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/farm.h"
#include "bench/machine.h"
#include "bench/worker.h"

#define RESIDENT_BYTES ((size_t)1 << 30)

static const char *const command[] = {"/bin/true", NULL};
static const char *const shell_command[] = {"/bin/sh", "-c", "true", NULL};

static double ours_per_s(uint32_t at_once, uint64_t count) {
    farm_plan plan = {.nodes = 1,
                      .cores = at_once,
                      .commands = true,
                      .batch = at_once,
                      .depth = 4 * (uint64_t)at_once,
                      .warm = 4 * (uint64_t)at_once,
                      .count = count};
    plan.payload_bytes = worker_command(command, plan.payload, sizeof plan.payload);
    farm_measure(&plan);
    return plan.per_s;
}

static double spawn_per_s(uint32_t at_once, uint64_t count) {
    return (double)count / machine_spawn_loop_s(command, (uint32_t)count, at_once);
}

static double shell_per_s(const char *line, uint64_t count) {
    double begin_s = machine_now_s();
    if (machine_run_shell(line) != 0)
        bench_die("this failed: %s", line);
    return (double)count / (machine_now_s() - begin_s);
}

static double xargs_per_s(uint32_t at_once, uint64_t count) {
    char line[128];
    snprintf(line, sizeof line, "seq %llu | xargs -n 1 -P %u /bin/true", (unsigned long long)count,
             at_once);
    return shell_per_s(line, count);
}

static double parallel_per_s(uint32_t at_once, uint64_t count) {
    char line[128];
    snprintf(line, sizeof line, "seq %llu | parallel --will-cite -j %u -n 0 /bin/true",
             (unsigned long long)count, at_once);
    return shell_per_s(line, count);
}

static void print(bench *b, const char *what, samples *ours, const char *floor_name, samples *floor,
                  double goal_ratio) {
    report_print(&b->report, &(report_row){.bench = "command",
                                           .what = what,
                                           .unit = REPORT_PER_S,
                                           .ours = ours,
                                           .floor_name = floor_name,
                                           .floor = floor,
                                           .goal_ratio = goal_ratio});
}

/* ---- with so many at once ---- */

static void beside_others(bench *b, uint32_t at_once) {
    samples ours = {0}, spawn = {0}, xargs = {0}, parallel = {0};
    uint64_t count = bench_amount(b, 500);
    bool has_parallel = machine_has_program("parallel");
    char what[64];
    for (uint32_t round = 0; round < b->rounds; round++) {
        samples_add(&spawn, spawn_per_s(at_once, count));
        samples_add(&ours, ours_per_s(at_once, count));
        samples_add(&xargs, xargs_per_s(at_once, count));
        if (has_parallel)
            samples_add(&parallel, parallel_per_s(at_once, count / 5));
    }
    snprintf(what, sizeof what, "true, %u at once", at_once);
    print(b, what, &ours, "a plain loop of posix_spawn and waitpid", &spawn, 0.9);
    print(b, what, &ours, "xargs -P", &xargs, 1.5);
    if (has_parallel)
        print(b, what, &ours, "GNU parallel -j", &parallel, 5);
    else
        report_remark(&b->report, "command", "GNU parallel is not installed: not compared");
    samples_fini(&ours), samples_fini(&spawn), samples_fini(&xargs), samples_fini(&parallel);
}

static void with_large_launcher(bench *b, uint32_t at_once) {
    samples large = {0}, small = {0};
    uint64_t count = bench_amount(b, 500);
    for (uint32_t round = 0; round < b->rounds; round++) {
        samples_add(&small, ours_per_s(at_once, count));
        char *memory = malloc(RESIDENT_BYTES);
        if (!memory)
            bench_die("no memory to be large");
        memset(memory, 1, RESIDENT_BYTES);
        samples_add(&large, ours_per_s(at_once, count));
        if (memory[RESIDENT_BYTES / 2] != 1)
            bench_die("memory forgets");
        free(memory);
    }
    print(b, "true, 1 GiB resident in the launcher", &large, "the same with a small launcher",
          &small, 0.9);
    samples_fini(&large), samples_fini(&small);
}

/* ---- end to end ---- */

static void write_lines(const char *path, uint64_t count) {
    FILE *file = fopen(path, "w");
    if (!file)
        bench_die("%s cannot be written", path);
    for (uint64_t i = 0; i < count; i++)
        fputs("true\n", file);
    if (fclose(file) != 0)
        bench_die("%s cannot be written", path);
}

static double run_per_s(const bench *b, uint64_t count) {
    char folder[] = "/starlane-bench-XXXXXX", place[PATH_MAX], line[4 * PATH_MAX];
    snprintf(place, sizeof place, "%s%s", b->directory, folder);
    if (!mkdtemp(place))
        bench_die("no folder in %s", b->directory);
    snprintf(line, sizeof line, "%s/tasks", place);
    write_lines(line, count);
    snprintf(line, sizeof line, "'%s/starlane' run --shell '%s/tasks' --output '%s/out'",
             b->programs, place, place);
    double begin_s = machine_now_s();
    int code = machine_run_shell(line);
    double seconds = machine_now_s() - begin_s;
    if (code != 0)
        bench_die("this ended with %d: %s", code, line);
    snprintf(line, sizeof line, "rm -rf '%s'", place);
    machine_run_shell(line);
    return (double)count / seconds;
}

static void end_to_end(bench *b) {
    samples ours = {0}, spawn = {0};
    uint32_t at_once = machine_cores(); /* as many as `starlane run` takes */
    uint64_t count = bench_amount(b, 1000);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/starlane", b->programs);
    if (access(path, X_OK) != 0) {
        report_remark(&b->report, "command",
                      "there is no `starlane` here: `starlane run` not measured");
        return;
    }
    for (uint32_t round = 0; round < b->rounds; round++) {
        samples_add(&spawn,
                    (double)count / machine_spawn_loop_s(shell_command, (uint32_t)count, at_once));
        samples_add(&ours, run_per_s(b, count));
    }
    print(b, "`starlane run --shell` of 1000 `true`, whole", &ours,
          "a plain loop of posix_spawn of sh -c true", &spawn, 0);
    samples_fini(&ours), samples_fini(&spawn);
}

void bench_command(bench *b) {
    if (b->ranks > 1)
        return;
    if (bench_wants(b, "1 at once"))
        beside_others(b, 1);
    if (bench_wants(b, "4 at once"))
        beside_others(b, 4);
    if (bench_wants(b, "1 GiB resident in the launcher"))
        with_large_launcher(b, 4);
    if (bench_wants(b, "`starlane run --shell` of 1000 `true`, whole"))
        end_to_end(b);
}
