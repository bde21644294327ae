/* Idle: what a node that has nothing to do takes of a processor, and how soon a message wakes it.
 *
 * First nothing happens for some seconds but what the registries tell each other, as on every node,
 * and each node's meter looks at its processor time. Then, in a network without registries, node 0
 * sends a message to one of the others every few ten milliseconds, in turn with waking a
 * bare thread: so each has slept for a tenth of a second or so. Latency is from before the send to
 * the receive function, by the clock that all processes of the machine share. */
#include <stdio.h>

#include "actors/registry/registry.h"
#include "bench/bench.h"
#include "bench/bench_msgs.h"
#include "bench/floor_wake.h"
#include "bench/machine.h"
#include "bench/network.h"
#include "runtime/runtime_msgs.h"

enum { FIGURE_CPU, FIGURE_WAKE };

#define SETTLE_NS   (500 * SL_NS_PER_MS)
#define GAP_NS      (25 * SL_NS_PER_MS)
#define GAP_MORE_NS (35 * SL_NS_PER_MS)

typedef struct idle {
    bool mpi;
    bool registries; /* processor time is measured, else how soon a message wakes */
    uint32_t nodes;
    uint64_t span_ns;
    uint32_t steps;
    /* out, at node 0 */
    samples cpu_percent; /* one a node */
    samples wake_s;
    samples floor_s;
} idle;

/* ---- a node's meter ---- */

typedef struct meter {
    const idle *i;
    bool begun;
    double begin_s, begin_cpu_s;
} meter;

static double cpu_s(const meter *m) {
    return m->i->mpi ? machine_process_cpu_s() : machine_thread_cpu_s();
}

static sl_err meter_start(sl_actor *self, void *state, const void *arguments) {
    meter *m = state;
    m->i = *(const idle *const *)arguments;
    if (m->i->registries)
        sl_timer_start(self, SETTLE_NS, 0);
    return SL_OK;
}

static sl_err tell(sl_actor *self, uint32_t kind, double value) {
    return bench_figures_send(self, sl_addr_well_known(0, SLOT_CLERK),
                              &(bench_figures){.kind = kind, .value = value});
}

static sl_err meter_receive(sl_actor *self, void *state, const sl_message *message) {
    meter *m = state;
    if (message->type == &bench_probe_type) {
        uint64_t sent_ns = ((const bench_probe *)message->body)->time_ns;
        return tell(self, FIGURE_WAKE, (double)(sl_clock_now_ns() - sent_ns) * 1e-9);
    }
    if (m->begun)
        return tell(self, FIGURE_CPU,
                    100 * (cpu_s(m) - m->begin_cpu_s) / (machine_now_s() - m->begin_s));
    m->begun = true;
    m->begin_s = machine_now_s();
    m->begin_cpu_s = cpu_s(m);
    sl_timer_start(self, m->i->span_ns, 0);
    return SL_OK;
}

static const sl_actor_class meter_class = {
    .name = "meter", .state_bytes = sizeof(meter), .start = meter_start, .receive = meter_receive};

/* ---- the clerk, at node 0 ---- */

typedef struct clerk {
    idle *i;
    floor_wake *floor;
    uint32_t step;
} clerk;

static sl_err clerk_start(sl_actor *self, void *state, const void *arguments) {
    clerk *c = state;
    c->i = *(idle *const *)arguments;
    if (c->i->registries)
        return SL_OK;
    c->floor = floor_wake_create();
    sl_timer_start(self, SETTLE_NS, 0);
    return SL_OK;
}

static void clerk_stop(sl_actor *self, void *state) {
    clerk *c = state;
    (void)self;
    if (c->floor)
        floor_wake_destroy(c->floor, &c->i->floor_s);
}

static void next_step(sl_actor *self) {
    double share = sl_rng_double(sl_node_rng(sl_actor_node(self)));
    sl_timer_start(self, GAP_NS + (uint64_t)(share * (double)GAP_MORE_NS), 0);
}

static sl_err step(sl_actor *self, clerk *c) {
    uint32_t target = c->step++ % c->i->nodes;
    if (c->step > c->i->steps) {
        network_stop(self);
        return SL_OK;
    }
    next_step(self);
    if (target == 0) {
        floor_wake_once(c->floor);
        return SL_OK;
    }
    return bench_probe_send(self, sl_addr_well_known(target, SLOT_METER),
                            &(bench_probe){sl_clock_now_ns()});
}

static sl_err clerk_receive(sl_actor *self, void *state, const sl_message *message) {
    clerk *c = state;
    if (message->type != &bench_figures_type)
        return step(self, c);
    const bench_figures *figures = message->body;
    samples_add(figures->kind == FIGURE_CPU ? &c->i->cpu_percent : &c->i->wake_s, figures->value);
    if (figures->kind == FIGURE_CPU && c->i->cpu_percent.count == c->i->nodes)
        network_stop(self);
    return SL_OK;
}

static const sl_actor_class clerk_class = {.name = "clerk",
                                           .state_bytes = sizeof(clerk),
                                           .start = clerk_start,
                                           .receive = clerk_receive,
                                           .stop = clerk_stop};

static void spawn(sl_node *node, void *context) {
    idle *i = context;
    sl_registry_options registry = {.hostname = "a", .cores = 1, .incarnation = 1};
    if (i->registries)
        network_check(sl_node_spawn(node, SL_SLOT_REGISTRY, &sl_registry_class, &registry,
                                    sizeof registry, NULL),
                      "a registry");
    network_check(sl_node_spawn(node, SLOT_METER, &meter_class, &i, sizeof i, NULL), "a meter");
    if (sl_node_id(node) == 0)
        network_check(sl_node_spawn(node, SLOT_CLERK, &clerk_class, &i, sizeof i, NULL),
                      "the clerk");
}

/* ---- rows ---- */

static void print(bench *b, const char *where, const char *what, const samples *ours,
                  report_row row) {
    char name[96];
    snprintf(name, sizeof name, "%s: %s", where, what);
    row.bench = "idle";
    row.what = name;
    row.ours = ours;
    row.less_is_better = true;
    report_print(&b->report, &row);
}

static void print_p99(bench *b, const char *where, const idle *i) {
    samples ours = {0}, floor = {0};
    samples_add(&ours, samples_quantile(&i->wake_s, 0.99));
    samples_add(&floor, samples_quantile(&i->floor_s, 0.99));
    print(b, where, "wake, p99", &ours,
          (report_row){.unit = REPORT_SECONDS,
                       .floor = &floor,
                       .floor_name = "a thread woken by a futex, p99"});
    samples_fini(&ours), samples_fini(&floor);
}

static void measure(bench *b, const char *where, bool mpi, uint32_t nodes) {
    idle i = {.mpi = mpi,
              .nodes = nodes,
              .span_ns = bench_amount(b, 3 * SL_NS_PER_S),
              .steps = (uint32_t)bench_amount(b, 240)};
    for (int turn = 0; turn < 2; turn++) {
        i.registries = turn == 0;
        network_run(&(network_plan){.mpi = mpi, .nodes = nodes, .spawn = spawn, .context = &i});
    }
    if (b->rank == 0) {
        print(b, where, "a core's share, with registry", &i.cpu_percent,
              (report_row){.unit = REPORT_PERCENT, .goal = 1});
        print(b, where, "wake after 0.1-0.2 s of silence", &i.wake_s,
              (report_row){.unit = REPORT_SECONDS,
                           .floor = &i.floor_s,
                           .floor_name = "a thread woken by a futex",
                           .goal = 100e-6});
        print_p99(b, where, &i);
    }
    samples_fini(&i.cpu_percent), samples_fini(&i.wake_s), samples_fini(&i.floor_s);
}

void bench_idle(bench *b) {
    if (b->ranks > 1) {
        if (b->mpi_part)
            measure(b, "ranks", true, b->ranks);
    } else if (b->thread_part) {
        measure(b, "threads", false, 4);
    }
}
