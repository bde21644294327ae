/* Notes
 * The workers of a node are spawned first, so they live at the first free slots, and everyone knows
 * everyone's address. Quiescence is found by the driver of node 0: it asks all drivers for their
 * counts of sent and received until two rounds agree and nothing is under way (Mattern's four
 * counters). */
#include "tests/lib/scenario_graph.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime_msgs.h"
#include "tests/lib/test.h"
#include "tests/lib/test_msgs.h"

enum { PROBE_NS = 3000000, BIG = 4000000 };

typedef struct errand {
    uint32_t to; /* which worker of the network */
    uint32_t hops;
    uint32_t body_bytes;
    uint32_t blob_bytes; /* UINT32_MAX: no blob */
} errand;

typedef struct worker_arguments {
    const scenario_graph_options *options;
    scenario_graph_result *result;
} worker_arguments;

typedef struct worker {
    scenario_graph_options options;
    scenario_graph_result *result;
    sl_rng rng;
    uint32_t workers; /* of the network */
    uint64_t *next_out[SL_LANES];
    uint64_t *next_in[SL_LANES];
    errand *errands; /* to be sent, in order */
    uint32_t first, count, capacity;
    bool waiting;
    uint8_t *filler;
} worker;

/* ---- who is who ---- */

static sl_addr worker_address(const worker *w, uint32_t index) {
    uint32_t per_node = w->options.actors;
    return (sl_addr){index / per_node, SL_SLOT_FIRST_FREE + index % per_node, 0};
}

static uint32_t worker_index(const worker *w, sl_addr at) {
    return at.node * w->options.actors + (at.slot - SL_SLOT_FIRST_FREE);
}

/* ---- content ---- */

static void fill(uint8_t *data, uint64_t bytes, uint64_t sequence, uint32_t salt) {
    uint64_t word = (sequence + 1) * 0x9e3779b97f4a7c15u ^ salt;
    for (uint64_t i = 0; i < bytes; i += 8, word = word * 5 + i)
        memcpy(data + i, &word, bytes - i < 8 ? bytes - i : 8);
}

static bool filled(const uint8_t *data, uint64_t bytes, uint64_t sequence, uint32_t salt) {
    uint64_t word = (sequence + 1) * 0x9e3779b97f4a7c15u ^ salt;
    for (uint64_t i = 0; i < bytes; i += 8, word = word * 5 + i) {
        if (memcmp(data + i, &word, bytes - i < 8 ? bytes - i : 8) != 0)
            return false;
    }
    return true;
}

/* Mostly small, at times as large as allowed. */
static uint32_t random_size(sl_rng *rng, uint32_t most) {
    static const uint32_t scales[] = {64, 64, 200, 200, 2100, 2100, 9000, 20000, 20000, BIG};
    uint32_t scale = scales[sl_rng_below(rng, sizeof scales / sizeof *scales)];
    if (scale == BIG && sl_rng_below(rng, 3))
        scale = 300;
    return (uint32_t)sl_rng_below(rng, (scale < most ? scale : most) + 1ull);
}

static errand random_errand(worker *w, uint32_t hops) {
    errand e = {.to = (uint32_t)sl_rng_below(&w->rng, w->workers),
                .hops = hops,
                .body_bytes = random_size(&w->rng, w->options.body_bytes),
                .blob_bytes = UINT32_MAX};
    if (w->options.blob_bytes && !sl_rng_below(&w->rng, 3))
        e.blob_bytes = random_size(&w->rng, w->options.blob_bytes);
    return e;
}

/* ---- sending ---- */

static void push(worker *w, errand e) {
    if (w->count == w->capacity) {
        uint32_t capacity = w->capacity ? 2 * w->capacity : 16;
        errand *errands = malloc(capacity * sizeof *errands);
        for (uint32_t i = 0; i < w->count; i++)
            errands[i] = w->errands[(w->first + i) % w->capacity];
        free(w->errands);
        w->errands = errands;
        w->first = 0;
        w->capacity = capacity;
    }
    w->errands[(w->first + w->count++) % w->capacity] = e;
    w->result->sent++; /* or soon: until then the network is not at rest */
}

static sl_err send_parcel(sl_actor *self, worker *w, const errand *e) {
    uint64_t sequence = w->next_out[SL_LANE_DATA][e->to];
    test_parcel parcel = {
        .sequence = sequence, .hops = e->hops, .filler = {w->filler, e->body_bytes}};
    fill(w->filler, e->body_bytes, sequence, e->to);
    if (e->blob_bytes != UINT32_MAX) {
        SL_TRY(sl_blob_create(e->blob_bytes, &parcel.blob));
        fill(parcel.blob->data, e->blob_bytes, sequence, ~e->to);
    }
    sl_err err = test_parcel_send(self, worker_address(w, e->to), &parcel);
    sl_blob_release(parcel.blob);
    return err;
}

static void send_urgent(sl_actor *self, worker *w) {
    uint32_t to = (uint32_t)sl_rng_below(&w->rng, w->workers);
    test_urgent urgent = {w->next_out[SL_LANE_CONTROL][to]++};
    if (test_urgent_send(self, worker_address(w, to), &urgent) == SL_OK)
        w->result->sent++;
    else
        w->result->errors++;
}

/* Sends what waits, until it is refused. */
static void send_errands(sl_actor *self, worker *w) {
    while (w->count && !w->waiting) {
        const errand *e = &w->errands[w->first];
        sl_err err = send_parcel(self, w, e);
        if (err == SL_ERR_AGAIN) {
            w->result->refused++;
            w->waiting = true;
            sl_await_room(self, worker_address(w, e->to));
            return;
        }
        if (err != SL_OK) {
            sl_test_fail(__FILE__, __LINE__, "send: %s", sl_err_detail());
            w->result->errors++;
        }
        w->next_out[SL_LANE_DATA][e->to]++;
        w->first = (w->first + 1) % w->capacity;
        w->count--;
        if (w->options.urgent_each && !sl_rng_below(&w->rng, w->options.urgent_each))
            send_urgent(self, w);
    }
}

/* ---- receiving ---- */

static void expect(worker *w, bool good, const char *what, uint64_t sequence) {
    if (good)
        return;
    w->result->errors++;
    sl_test_fail(__FILE__, __LINE__, "message %llu: %s", (unsigned long long)sequence, what);
}

static void check_order(worker *w, const sl_message *message, sl_lane lane, uint64_t sequence) {
    uint32_t from = worker_index(w, message->from);
    if (from >= w->workers) {
        expect(w, false, "from nowhere", sequence);
        return;
    }
    expect(w, sequence == w->next_in[lane][from], "out of order", sequence);
    w->next_in[lane][from] = sequence + 1;
    w->result->received++;
}

static void check_parcel(sl_actor *self, worker *w, const test_parcel *parcel) {
    uint32_t me = worker_index(w, sl_self(self));
    expect(w, filled(parcel->filler.data, parcel->filler.bytes, parcel->sequence, me),
           "not what was sent", parcel->sequence);
    const sl_blob *blob = parcel->blob;
    expect(w, !blob || filled(blob->data, blob->bytes, parcel->sequence, ~me),
           "not the blob that was sent", parcel->sequence);
    uint64_t memory_bytes = sl_node_loads(sl_actor_node(self)).memory_bytes;
    if (memory_bytes > w->result->memory_bytes)
        w->result->memory_bytes = memory_bytes;
}

static sl_err worker_receive(sl_actor *self, void *state, const sl_message *message) {
    worker *w = state;
    if (message->type == &test_parcel_type) {
        const test_parcel *parcel = message->body;
        check_order(w, message, SL_LANE_DATA, parcel->sequence);
        check_parcel(self, w, parcel);
        if (parcel->hops)
            push(w, random_errand(w, parcel->hops - 1));
    } else if (message->type == &test_urgent_type) {
        check_order(w, message, SL_LANE_CONTROL, ((const test_urgent *)message->body)->value);
    } else if (message->type == &node_room_type) {
        w->waiting = false;
    }
    send_errands(self, w);
    return SL_OK;
}

static sl_err worker_start(sl_actor *self, void *state, const void *arguments) {
    worker *w = state;
    const worker_arguments *given = arguments;
    w->options = *given->options;
    w->result = given->result;
    w->workers = w->options.actors * sl_node_count(sl_actor_node(self));
    sl_rng_seed(&w->rng, w->options.seed * 1000003 + worker_index(w, sl_self(self)));
    for (int lane = 0; lane < SL_LANES; lane++) {
        w->next_out[lane] = calloc(w->workers, sizeof(uint64_t));
        w->next_in[lane] = calloc(w->workers, sizeof(uint64_t));
    }
    w->filler = malloc(w->options.body_bytes + 8);
    for (uint32_t i = 0; i < w->options.parcels; i++)
        push(w, random_errand(w, w->options.hops));
    return SL_OK;
}

static void worker_stop(sl_actor *self, void *state) {
    (void)self;
    worker *w = state;
    for (int lane = 0; lane < SL_LANES; lane++) {
        free(w->next_out[lane]);
        free(w->next_in[lane]);
    }
    free(w->errands);
    free(w->filler);
}

static const sl_actor_class worker_class = {.name = "worker",
                                            .state_bytes = sizeof(worker),
                                            .start = worker_start,
                                            .receive = worker_receive,
                                            .stop = worker_stop,
                                            .mailbox_limit = 64};

/* ---- the drivers ---- */

typedef struct driver {
    scenario_graph_options options;
    scenario_graph_result *result;
    uint64_t round, reports;
    uint64_t sent, received, errors; /* of this round */
    uint64_t sent_before, received_before;
} driver;

/* The workers begin when their node runs: the others' may not be there before. */
static void start_workers(sl_actor *self, const driver *d) {
    test_number go = {0};
    for (uint32_t i = 0; i < d->options.actors; i++)
        CHECK_INT(
            test_number_send(self, (sl_addr){sl_self(self).node, SL_SLOT_FIRST_FREE + i, 0}, &go),
            SL_OK);
}

static void probe(sl_actor *self, driver *d) {
    d->round++;
    d->sent_before = d->sent;
    d->received_before = d->received;
    d->reports = d->sent = d->received = d->errors = 0;
    test_probe body = {d->round};
    for (uint32_t node = 0; node < sl_node_count(sl_actor_node(self)); node++)
        CHECK_INT(test_probe_send(self, sl_addr_well_known(node, SL_SLOT_DRIVER), &body), SL_OK);
}

static void stop_all(sl_actor *self) {
    node_stop body = {0};
    for (uint32_t node = 0; node < sl_node_count(sl_actor_node(self)); node++)
        CHECK_INT(node_stop_send(self, sl_addr_well_known(node, SL_SLOT_NODE), &body), SL_OK);
}

static void on_report(sl_actor *self, driver *d, const test_report *report) {
    CHECK_INT(report->round, d->round);
    d->sent += report->sent;
    d->received += report->received;
    d->errors += report->errors;
    if (++d->reports < sl_node_count(sl_actor_node(self)))
        return;
    if (d->sent && d->sent == d->received_before && d->sent_before == d->received_before) {
        d->result->total_received = d->received;
        d->result->total_errors = d->errors;
        stop_all(self);
    } else {
        sl_timer_start(self, PROBE_NS, 0);
    }
}

static sl_err driver_receive(sl_actor *self, void *state, const sl_message *message) {
    driver *d = state;
    if (message->type == &test_probe_type) {
        test_report report = {((const test_probe *)message->body)->round, d->result->sent,
                              d->result->received, d->result->errors};
        return test_report_send(self, message->from, &report);
    }
    if (message->type == &test_report_type)
        on_report(self, d, message->body);
    else if (message->type == &node_timer_type)
        probe(self, d);
    return SL_OK;
}

static sl_err driver_start(sl_actor *self, void *state, const void *arguments) {
    driver *d = state;
    const worker_arguments *given = arguments;
    d->options = *given->options;
    d->result = given->result;
    start_workers(self, d);
    if (sl_self(self).node == 0)
        sl_timer_start(self, PROBE_NS, 0);
    return SL_OK;
}

static const sl_actor_class driver_class = {.name = "driver",
                                            .state_bytes = sizeof(driver),
                                            .start = driver_start,
                                            .receive = driver_receive};

void scenario_graph_spawn(sl_node *node, const scenario_graph_options *options,
                          scenario_graph_result *result) {
    worker_arguments arguments = {options, result};
    *result = (scenario_graph_result){.sent = 0};
    for (uint32_t i = 0; i < options->actors; i++) {
        sl_addr at = SL_NO_ADDR;
        CHECK_INT(sl_node_spawn(node, SL_SLOT_FIRST_FREE, &worker_class, &arguments,
                                sizeof arguments, &at),
                  SL_OK);
        CHECK_INT(at.slot, SL_SLOT_FIRST_FREE + i);
    }
    CHECK_INT(
        sl_node_spawn(node, SL_SLOT_DRIVER, &driver_class, &arguments, sizeof arguments, NULL),
        SL_OK);
}

uint64_t scenario_graph_total(const scenario_graph_options *options, uint32_t nodes) {
    return (uint64_t)nodes * options->actors * options->parcels * (options->hops + 1);
}
