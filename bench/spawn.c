/* Actors: what one costs to start, and to have around doing nothing. */
#include <malloc.h>

#include "bench/bench.h"
#include "bench/bench_msgs.h"
#include "bench/floor_local.h"
#include "bench/machine.h"
#include "bench/network.h"
#include "runtime/runtime_msgs.h"

enum { STATE_BYTES = 16, OBJECT_BYTES = 128 };

typedef struct outcome {
    uint64_t count;           /* in: actors to start */
    double spawn_s;           /* each */
    double rss_bytes;         /* each */
    double heap_bytes;        /* each, as the allocator has it */
    double process_rss_bytes; /* with all alive */
} outcome;

static sl_err idle_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self, (void)state, (void)message;
    return SL_OK;
}

static const sl_actor_class idle_class = {
    .name = "idle", .state_bytes = STATE_BYTES, .receive = idle_receive};

static double heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return (double)(info.uordblks + info.hblkhd);
}

static sl_err driver_start(sl_actor *self, void *state, const void *arguments) {
    *(outcome **)state = *(outcome *const *)arguments;
    return bench_go_send(self, sl_self(self), &(bench_go){});
}

static sl_err driver_receive(sl_actor *self, void *state, const sl_message *message) {
    outcome *o = *(outcome **)state;
    (void)message;
    double rss = (double)machine_rss_bytes(), heap = heap_bytes(), begin_s = machine_now_s();
    for (uint64_t i = 0; i < o->count; i++) {
        sl_addr child;
        network_check(sl_spawn(self, &idle_class, NULL, 0, &child), "spawn");
    }
    o->spawn_s = (machine_now_s() - begin_s) / (double)o->count;
    o->process_rss_bytes = (double)machine_rss_bytes();
    o->rss_bytes = (o->process_rss_bytes - rss) / (double)o->count;
    o->heap_bytes = (heap_bytes() - heap) / (double)o->count;
    if (sl_node_loads(sl_actor_node(self)).actors < o->count)
        bench_die("fewer actors are alive than were started");
    network_stop(self);
    return SL_OK;
}

static const sl_actor_class driver_class = {.name = "driver",
                                            .state_bytes = sizeof(outcome *),
                                            .start = driver_start,
                                            .receive = driver_receive};

static void spawn(sl_node *node, void *context) {
    outcome *o = context;
    network_check(sl_node_spawn(node, SL_SLOT_DRIVER, &driver_class, &o, sizeof o, NULL), "driver");
}

static outcome measure(uint64_t count) {
    outcome o = {.count = count};
    malloc_trim(0); /* so that what becomes resident is new */
    network_run(&(network_plan){.nodes = 1, .spawn = spawn, .context = &o});
    return o;
}

static void print(bench *b, report_row row, samples *ours) {
    row.bench = "spawn";
    row.ours = ours;
    report_print(&b->report, &row);
    samples_fini(ours);
}

void bench_spawn(bench *b) {
    samples spawn_s = {0}, floor_s = {0}, rss = {0}, heap = {0}, all_s = {0}, all_bytes = {0};
    if (b->ranks > 1)
        return;
    uint64_t some = bench_amount(b, 1000000), many = bench_amount(b, 10000000);
    for (uint32_t round = 0; round < b->rounds; round++) {
        samples_add(&floor_s, floor_allocate_s(some, OBJECT_BYTES));
        outcome o = measure(some);
        samples_add(&spawn_s, o.spawn_s);
        samples_add(&rss, o.rss_bytes);
        samples_add(&heap, o.heap_bytes);
    }
    outcome all = measure(many);
    samples_add(&all_s, all.spawn_s);
    samples_add(&all_bytes, all.process_rss_bytes);
    print(b,
          (report_row){.what = b->quick ? "spawn, 100 k alive" : "spawn, 1 M alive",
                       .unit = REPORT_SECONDS,
                       .floor_name = "calloc of 128 B",
                       .floor = &floor_s,
                       .less_is_better = true,
                       .goal = 150e-9},
          &spawn_s);
    print(b,
          (report_row){.what = "an idle actor with 16 B of state, resident",
                       .unit = REPORT_BYTES,
                       .less_is_better = true,
                       .goal = 192},
          &rss);
    print(b,
          (report_row){.what = "the same, as the allocator counts it",
                       .unit = REPORT_BYTES,
                       .less_is_better = true,
                       .goal = 192},
          &heap);
    print(b,
          (report_row){.what = b->quick ? "spawn, 1 M alive" : "spawn, 10 M alive",
                       .unit = REPORT_SECONDS,
                       .less_is_better = true,
                       .goal = 150e-9},
          &all_s);
    print(b,
          (report_row){.what = b->quick ? "1 M alive, whole process" : "10 M alive, whole process",
                       .unit = REPORT_BYTES,
                       .less_is_better = true,
                       .goal = 2147483648.0},
          &all_bytes);
    samples_fini(&floor_s);
}
