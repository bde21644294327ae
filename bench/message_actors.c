/* A case has two phases: a tenth of the messages to warm up, then all of them, timed. In each the
 * sender announces how many will come (bench_expect), sends them, and the sink answers when it has
 * handled the last (bench_done). The sink checks the order of every message. */
#include "bench/message_actors.h"

#include "bench/bench_msgs.h"
#include "bench/machine.h"
#include "runtime/runtime_msgs.h"

enum { BURST = 256, FLOOD_BURST = 512 };

/* ---- the sink ---- */

typedef struct sink {
    uint64_t expected, handled;
    sl_addr reply;
} sink;

static sl_err sink_count(sl_actor *self, sink *s, uint64_t value) {
    if (value != s->handled)
        bench_die("message %llu came in place of %llu", (unsigned long long)value,
                  (unsigned long long)s->handled);
    if (++s->handled < s->expected)
        return SL_OK;
    return bench_done_send(self, s->reply, &(bench_done){});
}

static sl_err sink_receive(sl_actor *self, void *state, const sl_message *message) {
    sink *s = state;
    if (message->type == &bench_number_type) {
        uint64_t value = ((const bench_number *)message->body)->value;
        if (value % BURST == BURST - 1)
            network_check(bench_go_send(self, s->reply, &(bench_go){}), "go");
        return sink_count(self, s, value);
    }
    if (message->type == &bench_pair_type)
        return sink_count(self, s, ((const bench_pair *)message->body)->value);
    if (message->type == &bench_parcel_type) {
        network_check(bench_go_send(self, s->reply, &(bench_go){}), "go");
        return sink_count(self, s, ((const bench_parcel *)message->body)->value);
    }
    if (message->type == &bench_expect_type) {
        const bench_expect *expect = message->body;
        *s = (sink){.expected = expect->count, .reply = expect->reply};
    }
    return SL_OK;
}

static const sl_actor_class sink_class = {
    .name = "sink", .state_bytes = sizeof(sink), .receive = sink_receive};

/* Sends back what it gets. */
static sl_err echo_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    return bench_number_send(self, message->from, message->body);
}

static const sl_actor_class echo_class = {.name = "echo", .receive = echo_receive};

/* ---- the sender ---- */

typedef struct sender {
    message_case *c;
    sl_addr to;
    sl_blob *blob;
    uint64_t sent, total;
    uint32_t phase; /* 0: warming up, 1: timed, 2: over */
    uint32_t under_way;
    double begin_s;
} sender;

static sl_err send_one(sl_actor *self, sender *s) {
    sl_err err;
    switch (s->c->kind) {
    case MESSAGE_FLOOD:
        err = bench_pair_send(self, s->to, &(bench_pair){s->sent, 0});
        break;
    case MESSAGE_PARCELS:
        err = bench_parcel_send(self, s->to, &(bench_parcel){s->sent, s->blob});
        break;
    default:
        err = bench_number_send(self, s->to, &(bench_number){s->sent});
    }
    if (err == SL_OK)
        s->sent++;
    else if (err != SL_ERR_AGAIN)
        network_check(err, "a send");
    return err;
}

/* Up to `most`; waits for room when there is none. */
static bool send_some(sl_actor *self, sender *s, uint64_t most) {
    for (uint64_t i = 0; i < most && s->sent < s->total; i++)
        if (send_one(self, s) != SL_OK) {
            sl_await_room(self, s->to);
            return false;
        }
    return true;
}

/* The next messages, as the kind has it. */
static void send_on(sl_actor *self, sender *s) {
    switch (s->c->kind) {
    case MESSAGE_BURSTS:
        send_some(self, s, BURST);
        break;
    case MESSAGE_FLOOD: /* in pieces, so that the loop gets to do the rest of its work */
        if (send_some(self, s, FLOOD_BURST) && s->sent < s->total)
            network_check(bench_go_send(self, sl_self(self), &(bench_go){}), "go");
        break;
    case MESSAGE_PING:
        send_some(self, s, 1);
        break;
    case MESSAGE_PARCELS:
        while (s->under_way < s->c->window && s->sent < s->total && send_some(self, s, 1))
            s->under_way++;
        break;
    case MESSAGE_PER_TURN:
        break; /* drive() sends */
    }
}

static void begin_phase(sl_actor *self, sender *s) {
    s->sent = 0;
    s->under_way = 0;
    s->total = s->phase ? s->c->count : s->c->count / 10 + 1;
    if (s->c->kind == MESSAGE_BURSTS)
        s->total = (s->total + BURST - 1) / BURST * BURST;
    s->begin_s = machine_now_s();
    if (s->c->kind != MESSAGE_PING)
        network_check(bench_expect_send(self, s->to, &(bench_expect){s->total, sl_self(self)}),
                      "the announcement");
    send_on(self, s);
}

static void end_phase(sl_actor *self, sender *s) {
    s->c->seconds = machine_now_s() - s->begin_s;
    if (s->phase++ == 0)
        begin_phase(self, s);
    else
        network_stop(self);
}

static sl_err sender_start(sl_actor *self, void *state, const void *arguments) {
    sender *s = state;
    s->c = *(message_case *const *)arguments;
    s->to = sl_addr_well_known(s->c->nodes - 1, SLOT_SINK);
    if (s->c->kind == MESSAGE_PARCELS) {
        SL_TRY(sl_blob_create(s->c->bytes, &s->blob));
        for (uint64_t i = 0; i < s->c->bytes; i += 64)
            s->blob->data[i] = (uint8_t)(i >> 6);
    }
    return bench_go_send(self, sl_self(self), &(bench_go){}); /* when the loop runs */
}

static sl_err sender_receive(sl_actor *self, void *state, const sl_message *message) {
    sender *s = state;
    if (message->type == &bench_done_type ||
        (message->type == &bench_number_type && s->phase < 2 && s->sent == s->total))
        end_phase(self, s);
    else if (!s->total)
        begin_phase(self, s);
    else {
        if (message->type == &bench_go_type && s->under_way)
            s->under_way--;
        send_on(self, s);
    }
    return SL_OK;
}

static void sender_stop(sl_actor *self, void *state) {
    (void)self;
    sl_blob_release(((sender *)state)->blob);
}

static const sl_actor_class sender_class = {.name = "sender",
                                            .state_bytes = sizeof(sender),
                                            .start = sender_start,
                                            .receive = sender_receive,
                                            .stop = sender_stop};

/* ---- one message a turn: the loop is turned by hand ---- */

static sl_err clerk_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self;
    if (message->type == &bench_done_type)
        ++**(uint32_t **)state;
    return SL_OK;
}

static sl_err clerk_start(sl_actor *self, void *state, const void *arguments) {
    (void)self;
    *(uint32_t **)state = *(uint32_t *const *)arguments;
    return SL_OK;
}

static const sl_actor_class clerk_class = {.name = "clerk",
                                           .state_bytes = sizeof(uint32_t *),
                                           .start = clerk_start,
                                           .receive = clerk_receive};

static uint32_t clerk_done; /* phases the sink has seen the end of */

static void send_per_turn(sl_node *node, sl_addr to, uint64_t count) {
    bench_expect expect = {count, sl_addr_well_known(0, SLOT_CLERK)};
    network_check(sl_node_send(node, to, &bench_expect_type, &expect), "the announcement");
    for (uint64_t i = 0; i < count; i++) {
        bench_number number = {i};
        sl_err err;
        while ((err = sl_node_send(node, to, &bench_number_type, &number)) == SL_ERR_AGAIN)
            sl_node_turn(node);
        network_check(err, "a send");
        sl_node_turn(node);
    }
}

static void drive(sl_node *node, void *context) {
    message_case *c = context;
    if (sl_node_id(node) != 0 || c->kind != MESSAGE_PER_TURN)
        return;
    sl_addr to = sl_addr_well_known(c->nodes - 1, SLOT_SINK);
    clerk_done = 0;
    for (uint32_t phase = 0; phase < 2; phase++) {
        double begin_s = machine_now_s();
        send_per_turn(node, to, phase ? c->count : c->count / 10 + 1);
        while (clerk_done <= phase)
            sl_node_turn(node);
        c->seconds = machine_now_s() - begin_s;
    }
    for (uint32_t i = c->nodes; i-- > 0;)
        network_check(sl_node_send(node, sl_addr_well_known(i, SL_SLOT_NODE), &node_stop_type,
                                   &(node_stop){0}),
                      "stop");
}

/* ---- the network ---- */

static void spawn_root(sl_node *node, uint32_t slot, const sl_actor_class *class,
                       const void *argument, size_t bytes) {
    network_check(sl_node_spawn(node, slot, class, argument, bytes, NULL), class->name);
}

static void spawn(sl_node *node, void *context) {
    message_case *c = context;
    const uint32_t *done = &clerk_done;
    if (sl_node_id(node) == c->nodes - 1)
        spawn_root(node, SLOT_SINK, c->kind == MESSAGE_PING ? &echo_class : &sink_class, NULL, 0);
    if (sl_node_id(node) != 0)
        return;
    if (c->kind == MESSAGE_PER_TURN)
        spawn_root(node, SLOT_CLERK, &clerk_class, &done, sizeof done);
    else
        spawn_root(node, SL_SLOT_DRIVER, &sender_class, &c, sizeof c);
}

void message_measure(message_case *c) {
    network_plan plan = {.mpi = c->mpi,
                         .apart = c->apart,
                         .nodes = c->nodes,
                         .spawn = spawn,
                         .drive = drive,
                         .context = c};
    network_run(&plan);
}
