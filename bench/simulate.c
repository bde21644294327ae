/* The simulator: events with bare actors, whole nodes against real time, seeds of small networks.
 */
#include "bench/bench.h"
#include "bench/bench_msgs.h"
#include "bench/machine.h"
#include "bench/network.h"
#include "runtime/simulator.h"
#include "sdk/simulation.h"

enum { BARE_NODES = 16, FACTOR_NODES = 5, SMALL_NODES = 3 };

/* ---- bare actors: each passes a message on to the next node ---- */

typedef struct passer {
    sl_actor *self;
} passer;

static sl_err passer_start(sl_actor *self, void *state, const void *arguments) {
    (void)arguments;
    ((passer *)state)->self = self;
    uint32_t node = sl_node_id(sl_actor_node(self));
    bench_number body = {node};
    return bench_number_send(self, sl_addr_well_known((node + 1) % BARE_NODES, SL_SLOT_DRIVER),
                             &body);
}

static sl_err passer_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    uint32_t node = sl_node_id(sl_actor_node(self));
    bench_number body = {((const bench_number *)message->body)->value + 1};
    return bench_number_send(self, sl_addr_well_known((node + 1) % BARE_NODES, SL_SLOT_DRIVER),
                             &body);
}

static const sl_actor_class passer_class = {.name = "passer",
                                            .state_bytes = sizeof(passer),
                                            .start = passer_start,
                                            .receive = passer_receive};

static double bare_events_per_s(uint64_t events) {
    sl_simulator *simulator;
    sl_simulator_options options = {.nodes = BARE_NODES, .seed = 1};
    network_check(sl_simulator_create(&options, &simulator), "simulator");
    for (uint32_t i = 0; i < BARE_NODES; i++) {
        sl_node_options node_options = {.incarnation = 1 + i};
        sl_node *node;
        network_check(sl_simulator_start(simulator, i, &node_options, &node), "node");
        network_check(sl_node_spawn(node, SL_SLOT_DRIVER, &passer_class, NULL, 0, NULL), "actor");
    }
    double begin_s = machine_now_s();
    while (sl_simulator_events(simulator) < events && sl_simulator_step(simulator, UINT64_MAX)) {
    }
    double rate = (double)sl_simulator_events(simulator) / (machine_now_s() - begin_s);
    sl_simulator_destroy(simulator);
    return rate;
}

/* ---- whole nodes ---- */

typedef struct pace {
    double seeds_per_s;
    double events_per_s;
    double factor; /* virtual seconds a second */
} pace;

static pace run_seeds(uint32_t nodes, uint64_t seeds) {
    uint64_t events = 0, virtual_ns = 0;
    double begin_s = machine_now_s();
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        sl_simulation_options options = {.nodes = nodes, .seed = seed};
        sl_simulation_result result;
        network_check(sl_simulation_run(&options, &result), "simulation");
        if (result.failed)
            bench_die("seed %llu of %u nodes failed: %s", (unsigned long long)seed, nodes,
                      result.violation);
        events += result.events;
        virtual_ns += result.virtual_ns;
    }
    double spent_s = machine_now_s() - begin_s;
    return (pace){(double)seeds / spent_s, (double)events / spent_s,
                  (double)virtual_ns / 1e9 / spent_s};
}

static void print(bench *b, report_row row, samples *ours) {
    row.bench = "simulate";
    row.ours = ours;
    report_print(&b->report, &row);
    samples_fini(ours);
}

void bench_simulate(bench *b) {
    samples bare = {0}, factor = {0}, whole = {0}, small = {0};
    if (b->ranks > 1)
        return;
    for (uint32_t round = 0; round < b->rounds; round++) {
        samples_add(&bare, bare_events_per_s(bench_amount(b, 2000000)));
        pace five = run_seeds(FACTOR_NODES, bench_amount(b, 100));
        samples_add(&factor, five.factor);
        samples_add(&whole, five.events_per_s);
        samples_add(&small, run_seeds(SMALL_NODES, bench_amount(b, 200)).seeds_per_s);
    }
    print(
        b,
        (report_row){.what = "events, bare actors on 16 nodes", .unit = REPORT_PER_S, .goal = 1e6},
        &bare);
    print(b,
          (report_row){.what = "events, seeds of 5 whole nodes", .unit = REPORT_PER_S, .goal = 1e6},
          &whole);
    print(b,
          (report_row){.what = "virtual seconds a second, 5 whole nodes",
                       .unit = REPORT_COUNT,
                       .goal = 1000},
          &factor);
    print(b, (report_row){.what = "seeds of 3 whole nodes", .unit = REPORT_PER_S, .goal = 150},
          &small);
}
