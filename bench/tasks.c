/* Function tasks: submitted at rank 0, run by rank 1, results back at rank 0. */
#include "bench/bench.h"
#include "bench/farm.h"
#include "bench/floor_farm.h"
#include "bench/worker.h"

typedef struct shape {
    uint32_t batch;
    uint64_t depth;
    uint64_t warm, count;
} shape;

static const shape batched = {1024, 16384, 100000, 1000000};
static const shape single = {1, 64, 20000, 200000};
static const shape shallow = {256, 1024, 100000, 500000};
static const shape deep = {256, 1048576, 100000, 500000};

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

static void print(bench *b, report_row row) {
    row.bench = "tasks";
    row.unit = REPORT_PER_S;
    report_print(&b->report, &row);
}

static void measure_rates(bench *b) {
    samples ours = {0}, ours_single = {0}, floor = {0}, floor_single = {0};
    uint32_t floor_tasks = (uint32_t)bench_amount(b, 1000000);
    for (uint32_t round = 0; round < b->rounds; round++) {
        samples_add(&floor, floor_farm_per_s(floor_tasks, 32, 16 * 32));
        samples_add(&ours, measure(b, &batched));
        samples_add(&floor_single, floor_farm_per_s(floor_tasks / 4, 1, 64));
        samples_add(&ours_single, measure(b, &single));
    }
    print(b, (report_row){.what = "one worker rank, submitted 1024 at once",
                          .ours = &ours,
                          .floor_name = "raw MPI farm, 32 tasks a message, 16 under way",
                          .floor = &floor,
                          .goal = 2e6});
    print(b, (report_row){.what = "one at a time, 64 under way",
                          .ours = &ours_single,
                          .floor_name = "raw MPI farm, one task a message, 64 under way",
                          .floor = &floor_single,
                          .goal = 200e3});
    samples_fini(&ours), samples_fini(&ours_single);
    samples_fini(&floor), samples_fini(&floor_single);
}

static void measure_depth(bench *b) {
    samples at_depth = {0}, shallow_rate = {0};
    for (uint32_t round = 0; round < b->rounds; round++) {
        samples_add(&shallow_rate, measure(b, &shallow));
        samples_add(&at_depth, measure(b, &deep));
    }
    print(b, (report_row){.what = "with 1 M queued (256 at once)",
                          .ours = &at_depth,
                          .floor_name = "the same with 1 k queued",
                          .floor = &shallow_rate,
                          .goal_ratio = 0.9});
    samples_fini(&at_depth), samples_fini(&shallow_rate);
}

void bench_tasks(bench *b) {
    if (!bench_has_ranks(b, 2)) {
        report_remark(&b->report, "tasks", "measured through a worker rank: mpirun -n 2");
        return;
    }
    measure_rates(b);
    measure_depth(b);
}
