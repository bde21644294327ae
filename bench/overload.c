/* Overload: 100 senders and one actor that takes 20 us for each message. Memory has to stay flat,
 * and control messages have to come through.
 *
 * The slow actor is at node 0, the senders are at the last node; so is the prober, whose control
 * message goes to the slow actor and back every few milliseconds. */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/bench_msgs.h"
#include "bench/machine.h"
#include "bench/network.h"
#include "runtime/clock.h"
#include "runtime/runtime_msgs.h"

enum { SENDERS = 100, BURST = 64, WORK_NS = 20000 };

#define PROBE_EVERY_NS (5 * SL_NS_PER_MS)
#define METER_EVERY_NS (100 * SL_NS_PER_MS)

typedef struct overload {
    bool mpi;
    uint32_t nodes;
    uint64_t span_ns;
    /* out, at node 0 */
    samples round_trips_s;
    uint64_t handled;
    double seconds;
    uint64_t waiting_most;      /* messages at the slow actor's node */
    uint64_t sender_queue_most; /* bytes queued to leave the senders' node */
    int64_t growth_bytes;       /* of either process, after the first tenth of the time */
} overload;

/* ---- the slow actor ---- */

static void work(void) {
    uint64_t end_ns = sl_clock_now_ns() + WORK_NS;
    while (sl_clock_now_ns() < end_ns) {
    }
}

static sl_err slow_start(sl_actor *self, void *state, const void *arguments) {
    (void)self;
    *(overload **)state = *(overload *const *)arguments;
    return SL_OK;
}

static sl_err slow_receive(sl_actor *self, void *state, const sl_message *message) {
    if (message->type == &bench_probe_type)
        return bench_probe_send(self, message->from, message->body);
    work();
    (*(overload **)state)->handled++;
    return SL_OK;
}

static const sl_actor_class slow_class = {.name = "slow",
                                          .state_bytes = sizeof(overload *),
                                          .start = slow_start,
                                          .receive = slow_receive};

/* ---- the senders ---- */

static sl_err sender_start(sl_actor *self, void *state, const void *arguments) {
    (void)state, (void)arguments;
    return bench_go_send(self, sl_self(self), &(bench_go){});
}

static sl_err sender_receive(sl_actor *self, void *state, const sl_message *message) {
    sl_addr slow = sl_addr_well_known(0, SLOT_SINK);
    (void)message;
    for (uint32_t i = 0; i < BURST; i++) {
        sl_err err = bench_number_send(self, slow, &(bench_number){(*(uint64_t *)state)++});
        if (err == SL_ERR_AGAIN) {
            sl_await_room(self, slow);
            return SL_OK;
        }
        if (err == SL_ERR_DEAD) /* the other node has closed: it is over */
            return SL_OK;
        network_check(err, "a send");
    }
    return bench_go_send(self, sl_self(self), &(bench_go){});
}

static const sl_actor_class sender_class = {.name = "sender",
                                            .state_bytes = sizeof(uint64_t),
                                            .start = sender_start,
                                            .receive = sender_receive};

/* ---- the prober ---- */

static sl_err prober_start(sl_actor *self, void *state, const void *arguments) {
    (void)state, (void)arguments;
    sl_timer_start(self, PROBE_EVERY_NS, 0);
    return SL_OK;
}

static sl_err report_round_trip(sl_actor *self, const bench_probe *probe) {
    bench_figures figures = {.value = (double)(sl_clock_now_ns() - probe->time_ns) * 1e-9,
                             .memory_bytes = machine_rss_bytes(),
                             .queued = sl_node_loads(sl_actor_node(self)).queued_bytes};
    (void)bench_figures_send(self, sl_addr_well_known(0, SLOT_METER), &figures);
    return SL_OK;
}

static sl_err prober_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    if (message->type == &bench_probe_type)
        return report_round_trip(self, message->body);
    sl_timer_start(self, PROBE_EVERY_NS, 0);
    (void)bench_probe_send(self, sl_addr_well_known(0, SLOT_SINK),
                           &(bench_probe){sl_clock_now_ns()}); /* fails only when it is over */
    return SL_OK;
}

static const sl_actor_class prober_class = {
    .name = "prober", .start = prober_start, .receive = prober_receive};

/* ---- the meter ---- */

typedef struct meter {
    overload *o;
    double begin_s;
    uint64_t memory_bytes[2]; /* after the first tenth: here, and at the senders' */
} meter;

static sl_err meter_start(sl_actor *self, void *state, const void *arguments) {
    meter *m = state;
    m->o = *(overload *const *)arguments;
    m->begin_s = machine_now_s();
    sl_timer_start(self, METER_EVERY_NS, 0);
    return SL_OK;
}

static void keep_most(uint64_t *most, uint64_t value) {
    if (value > *most)
        *most = value;
}

static void watch_memory(meter *m, int which, uint64_t bytes) {
    if (machine_now_s() - m->begin_s < (double)m->o->span_ns * 1e-10)
        return;
    if (!m->memory_bytes[which])
        m->memory_bytes[which] = bytes;
    int64_t growth = (int64_t)(bytes - m->memory_bytes[which]);
    if (growth > m->o->growth_bytes)
        m->o->growth_bytes = growth;
}

static sl_err meter_receive(sl_actor *self, void *state, const sl_message *message) {
    meter *m = state;
    if (message->type == &bench_figures_type) {
        const bench_figures *figures = message->body;
        samples_add(&m->o->round_trips_s, figures->value);
        keep_most(&m->o->sender_queue_most, figures->queued);
        watch_memory(m, 1, figures->memory_bytes);
        return SL_OK;
    }
    keep_most(&m->o->waiting_most, sl_node_loads(sl_actor_node(self)).messages);
    watch_memory(m, 0, machine_rss_bytes());
    m->o->seconds = machine_now_s() - m->begin_s;
    if (m->o->seconds * 1e9 >= (double)m->o->span_ns)
        network_stop(self);
    else
        sl_timer_start(self, METER_EVERY_NS, 0);
    return SL_OK;
}

static const sl_actor_class meter_class = {
    .name = "meter", .state_bytes = sizeof(meter), .start = meter_start, .receive = meter_receive};

/* ---- the network ---- */

static void spawn_root(sl_node *node, uint32_t slot, const sl_actor_class *class, overload *o) {
    network_check(sl_node_spawn(node, slot, class, &o, sizeof o, NULL), class->name);
}

static void spawn(sl_node *node, void *context) {
    overload *o = context;
    if (sl_node_id(node) == 0) {
        spawn_root(node, SLOT_SINK, &slow_class, o);
        spawn_root(node, SLOT_METER, &meter_class, o);
    }
    if (sl_node_id(node) == o->nodes - 1) {
        for (uint32_t i = 0; i < SENDERS; i++)
            spawn_root(node, SL_SLOT_FIRST_FREE, &sender_class, o);
        spawn_root(node, SLOT_CLERK, &prober_class, o);
    }
}

static double work_per_s(void) {
    enum { TIMES = 5000 };
    double begin_s = machine_now_s();
    for (int i = 0; i < TIMES; i++)
        work();
    return TIMES / (machine_now_s() - begin_s);
}

/* ---- rows ---- */

static void print(bench *b, const char *where, const char *what, double value, report_row row) {
    char name[96];
    samples one = {0};
    samples_add(&one, value);
    snprintf(name, sizeof name, "%s: %s", where, what);
    row.bench = "overload";
    row.what = name;
    row.ours = &one;
    report_print(&b->report, &row);
    samples_fini(&one);
}

static void print_all(bench *b, const char *where, const overload *o, const samples *floor) {
    print(b, where, "control, to and fro, median", samples_median(&o->round_trips_s),
          (report_row){.unit = REPORT_SECONDS});
    print(b, where, "control, to and fro, p99", samples_quantile(&o->round_trips_s, 0.99),
          (report_row){.unit = REPORT_SECONDS, .less_is_better = true, .goal = 1e-3});
    print(b, where, "memory, growth", (double)o->growth_bytes,
          (report_row){.unit = REPORT_BYTES, .less_is_better = true, .goal = 1 << 20});
    print(b, where, "messages waiting, most", (double)o->waiting_most,
          (report_row){.unit = REPORT_COUNT});
    if (o->nodes > 1)
        print(b, where, "queued at the senders, most", (double)o->sender_queue_most,
              (report_row){.unit = REPORT_BYTES});
    print(b, where, "work done", (double)o->handled / o->seconds,
          (report_row){.unit = REPORT_PER_S,
                       .floor = floor,
                       .floor_name = "the work alone, without messages"});
}

static void measure(bench *b, const char *where, bool mpi, uint32_t nodes) {
    overload o = {.mpi = mpi, .nodes = nodes, .span_ns = bench_amount(b, 10 * SL_NS_PER_S)};
    samples floor = {0};
    samples_add(&floor, work_per_s());
    network_run(&(network_plan){.mpi = mpi, .nodes = nodes, .spawn = spawn, .context = &o});
    if (b->rank == 0)
        print_all(b, where, &o, &floor);
    samples_fini(&floor);
    samples_fini(&o.round_trips_s);
}

void bench_overload(bench *b) {
    if (b->ranks > 1) {
        if (b->mpi_part)
            measure(b, "between ranks", true, b->ranks);
        return;
    }
    if (b->local_part)
        measure(b, "same node", false, 1);
    if (b->thread_part)
        measure(b, "between threads", false, 2);
}
