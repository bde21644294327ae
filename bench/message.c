/* Messages: inside a node, between threads, between ranks. */
#include <stdio.h>

#include "bench/bench.h"
#include "bench/floor_local.h"
#include "bench/floor_mpi.h"
#include "bench/message_actors.h"

/* What a case is measured against, and the two sets of samples. */
typedef struct comparison {
    const char *what;
    report_unit unit;
    message_case c;
    double per_second; /* the figure is this many of them per message: 0 gives seconds a message */
    double (*floor)(const message_case *c);
    const char *floor_name;
    double goal_ratio, goal;
} comparison;

static double figure_of(const comparison *k) {
    double each_s = k->c.seconds / (double)k->c.count;
    if (k->unit == REPORT_SECONDS)
        return each_s / k->per_second;
    return k->per_second / each_s;
}

static void compare(bench *b, comparison k) {
    samples ours = {0}, floor = {0};
    if (!bench_wants(b, k.what))
        return;
    k.c.count = bench_amount(b, k.c.count);
    for (uint32_t round = 0; round < b->rounds; round++) {
        if (k.floor)
            samples_add(&floor, k.floor(&k.c));
        message_measure(&k.c);
        samples_add(&ours, figure_of(&k));
    }
    report_print(&b->report, &(report_row){.bench = "message",
                                           .what = k.what,
                                           .unit = k.unit,
                                           .ours = &ours,
                                           .floor_name = k.floor_name,
                                           .floor = &floor,
                                           .less_is_better = k.unit == REPORT_SECONDS,
                                           .goal_ratio = k.goal_ratio,
                                           .goal = k.goal});
    samples_fini(&ours);
    samples_fini(&floor);
}

/* ---- floors ---- */

static double ring_rate(const message_case *c) {
    return floor_ring_per_s(c->count);
}

static double ring_ping(const message_case *c) {
    return floor_ring_ping_s(2 * c->count);
}

static double thread_latency(const message_case *c) {
    return floor_thread_latency_s((uint32_t)c->count);
}

static double thread_rate(const message_case *c) {
    return floor_thread_stream_per_s(c->count);
}

static double mpi_latency(const message_case *c) {
    return floor_mpi_latency_s(8, (uint32_t)c->count, 3);
}

static double mpi_rate(const message_case *c) {
    return floor_mpi_stream_per_s(8, (uint32_t)c->count, 3);
}

/* Records of 16 bytes in full frames, never looked at. */
static double mpi_packed_rate(const message_case *c) {
    size_t frame = network_frame_bytes() ? network_frame_bytes() : 4096, records = frame / 16;
    uint32_t frames = (uint32_t)(c->count / records + 1);
    return floor_mpi_stream_per_s(frame, frames, 3) * (double)records;
}

static double mpi_bandwidth(const message_case *c) {
    return floor_mpi_bandwidth_bytes_per_s(c->bytes, c->window,
                                           (uint32_t)(c->count / c->window) + 1, 3);
}

/* ---- the parts ---- */

static void local_part(bench *b) {
    compare(b, (comparison){.what = "same node, send to handler",
                            .unit = REPORT_PER_S,
                            .c = {.kind = MESSAGE_BURSTS, .nodes = 1, .count = 4000000},
                            .per_second = 1,
                            .floor = ring_rate,
                            .floor_name = "a plain ring and a call through a pointer",
                            .goal = 30e6});
    compare(b, (comparison){.what = "same node, ping-pong, one way",
                            .unit = REPORT_SECONDS,
                            .c = {.kind = MESSAGE_PING, .nodes = 1, .count = 1000000},
                            .per_second = 2,
                            .floor = ring_ping,
                            .floor_name = "the same ring",
                            .goal = 50e-9});
}

static void thread_part(bench *b) {
    compare(b, (comparison){.what = "between threads, 8 B, one way",
                            .unit = REPORT_SECONDS,
                            .c = {.kind = MESSAGE_PING, .nodes = 2, .count = 50000},
                            .per_second = 2,
                            .floor = thread_latency,
                            .floor_name = "two threads polling a cache line"});
    compare(b, (comparison){.what = "between threads, 8 B, one a turn",
                            .unit = REPORT_PER_S,
                            .c = {.kind = MESSAGE_PER_TURN, .nodes = 2, .count = 500000},
                            .per_second = 1,
                            .floor = thread_rate,
                            .floor_name = "a ring between two threads"});
    compare(b, (comparison){.what = "between threads, 16 B, gathered",
                            .unit = REPORT_PER_S,
                            .c = {.kind = MESSAGE_FLOOD, .nodes = 2, .count = 3000000},
                            .per_second = 1,
                            .floor = thread_rate,
                            .floor_name = "a ring between two threads"});
    compare(b, (comparison){.what = "between threads, 1 MiB handed over",
                            .unit = REPORT_SECONDS,
                            .c = {.kind = MESSAGE_PARCELS,
                                  .nodes = 2,
                                  .count = 20000,
                                  .bytes = 1 << 20,
                                  .window = 1},
                            .per_second = 1});
}

/* The cases between two ranks, which share memory or, `apart`, do not. Goals are for those that do.
 */
static void between(bench *b, const char *who, bool apart) {
    comparison cases[] = {
        {.what = "8 B, one way",
         .unit = REPORT_SECONDS,
         .c = {.kind = MESSAGE_PING, .count = 50000},
         .per_second = 2,
         .floor = mpi_latency,
         .floor_name = "MPI_Send / MPI_Recv",
         .goal_ratio = 1.5},
        {.what = "8 B, one a turn",
         .unit = REPORT_PER_S,
         .c = {.kind = MESSAGE_PER_TURN, .count = 500000},
         .per_second = 1,
         .floor = mpi_rate,
         .floor_name = "a stream of MPI_Send / MPI_Recv",
         .goal_ratio = 0.8},
        {.what = "16 B, gathered",
         .unit = REPORT_PER_S,
         .c = {.kind = MESSAGE_FLOOD, .count = 3000000},
         .per_second = 1,
         .floor = mpi_packed_rate,
         .floor_name = "MPI_Send of full frames that nobody reads",
         .goal = 30e6},
        {.what = "1 MiB",
         .unit = REPORT_BYTES_PER_S,
         .c = {.kind = MESSAGE_PARCELS, .count = 400, .bytes = 1 << 20, .window = 8},
         .per_second = 1 << 20,
         .floor = mpi_bandwidth,
         .floor_name = "MPI_Isend / MPI_Irecv, as many under way",
         .goal_ratio = 0.95},
        {.what = "16 MiB",
         .unit = REPORT_BYTES_PER_S,
         .c = {.kind = MESSAGE_PARCELS, .count = 40, .bytes = 16 << 20, .window = 4},
         .per_second = 16 << 20,
         .floor = mpi_bandwidth,
         .floor_name = "MPI_Isend / MPI_Irecv, as many under way",
         .goal_ratio = 0.95},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char what[96];
        comparison *k = &cases[i];
        snprintf(what, sizeof what, "between %s, %s", who, k->what);
        k->what = what;
        k->c.mpi = true;
        k->c.apart = apart;
        k->c.nodes = b->ranks;
        if (apart)
            k->goal = k->goal_ratio = 0;
        compare(b, *k);
    }
}

static void mpi_part(bench *b) {
    between(b, "ranks", false);
    between(b, "ranks as of two hosts", true);
}

void bench_message(bench *b) {
    if (b->ranks > 1) {
        if (b->ranks == 2 && b->mpi_part)
            mpi_part(b);
        else
            report_remark(&b->report, "message", "measured between two ranks: mpirun -n 2");
        return;
    }
    if (b->local_part)
        local_part(b);
    if (b->thread_part)
        thread_part(b);
}
