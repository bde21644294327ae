/* Function tasks: submitted at rank 0, run by rank 1, results back at rank 0. */
#include <stddef.h>

#include "bench/bench.h"
#include "bench/farm.h"
#include "bench/floor_farm.h"
#include "bench/worker.h"

typedef struct shape {
    uint32_t batch; /* tasks of one submit */
    uint64_t depth; /* tasks submitted and not done */
    uint64_t warm, count;
} shape;

static double measure(const bench *b, const shape *s) {
    farm_plan plan = {.mpi = true,
                      .nodes = b->ranks,
                      .cores = 1,
                      .batch = s->batch,
                      .depth = s->depth,
                      .warm = bench_amount(b, s->warm),
                      .count = bench_amount(b, s->count)};
    plan.payload_bytes = worker_noop(plan.payload, sizeof plan.payload);
    farm_measure(&plan);
    return plan.per_s;
}

/* Starlane's side of a row, and what it is measured against. */
typedef struct comparison {
    const char *what;
    shape ours;
    const char *floor_name;
    shape floor_shape; /* of Starlane's too, when its depth is set */
    uint32_t farm_batch, farm_window;
    double goal, goal_ratio;
} comparison;

static double floor_per_s(const bench *b, const comparison *k) {
    if (k->floor_shape.depth)
        return measure(b, &k->floor_shape);
    return floor_farm_per_s((uint32_t)bench_amount(b, k->ours.count), k->farm_batch,
                            k->farm_window);
}

static void compare(bench *b, const comparison *k) {
    samples ours = {0}, floor = {0};
    if (!bench_wants(b, k->what))
        return;
    for (uint32_t round = 0; round < b->rounds; round++) {
        samples_add(&floor, floor_per_s(b, k));
        samples_add(&ours, measure(b, &k->ours));
    }
    report_print(&b->report, &(report_row){.bench = "tasks",
                                           .what = k->what,
                                           .unit = REPORT_PER_S,
                                           .ours = &ours,
                                           .floor_name = k->floor_name,
                                           .floor = &floor,
                                           .goal = k->goal,
                                           .goal_ratio = k->goal_ratio});
    samples_fini(&ours), samples_fini(&floor);
}

static const comparison comparisons[] = {
    {.what = "one worker rank, submitted 1024 at once",
     .ours = {1024, 16384, 100000, 1000000},
     .floor_name = "raw MPI farm, 32 tasks a message, 16 under way",
     .farm_batch = 32,
     .farm_window = 16 * 32,
     .goal = 2e6},
    {.what = "one at a time, 64 under way",
     .ours = {1, 64, 20000, 200000},
     .floor_name = "raw MPI farm, one task a message, 64 under way",
     .farm_batch = 1,
     .farm_window = 64,
     .goal = 200e3},
    {.what = "with 1 M queued (256 at once)",
     .ours = {256, 1048576, 100000, 500000},
     .floor_name = "the same with 1 k queued",
     .floor_shape = {256, 1024, 100000, 500000},
     .goal_ratio = 0.9},
};

void bench_tasks(bench *b) {
    if (!bench_has_ranks(b, 2)) {
        report_remark(&b->report, "tasks", "measured through a worker rank: mpirun -n 2");
        return;
    }
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
        compare(b, &comparisons[i]);
}
