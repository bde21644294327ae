/* How actors, peers and networks end while messages and bulk data are under way. */
#include "tests/lib/test.h"

#include <unistd.h>

#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/runtime_msgs.h"
#include "runtime/transport_thread.h"
#include "tests/lib/test_msgs.h"
#include "tests/lib/world.h"

/* ---- an actor that counts, shared by the tests ---- */

typedef struct tally {
    uint64_t numbers, parcels, blob_bytes, lost, stops;
    bool out_of_order;
    uint64_t next;
    uint64_t last_parcel; /* with so many its node stops, with code 5; 0: not by that */
} tally;

static sl_err counter_start(sl_actor *self, void *state, const void *arguments) {
    (void)self;
    memcpy(state, arguments, sizeof(tally *));
    return SL_OK;
}

static sl_err counter_receive(sl_actor *self, void *state, const sl_message *message) {
    tally *t = *(tally **)state;
    if (message->type == &test_number_type) {
        uint64_t value = ((const test_number *)message->body)->value;
        t->out_of_order |= value != t->next;
        t->next = value + 1;
        t->numbers++;
    } else if (message->type == &test_parcel_type) {
        const test_parcel *parcel = message->body;
        t->parcels++;
        t->blob_bytes += parcel->blob ? parcel->blob->bytes : 0;
        if (t->parcels == t->last_parcel)
            sl_node_stop(sl_actor_node(self), 5);
    } else if (message->type == &node_peer_lost_type) {
        t->lost++;
    }
    return SL_OK;
}

static void counter_stop(sl_actor *self, void *state) {
    (void)self;
    (*(tally **)state)->stops++;
}

static const sl_actor_class counter_class = {.name = "counter",
                                             .state_bytes = sizeof(tally *),
                                             .start = counter_start,
                                             .receive = counter_receive,
                                             .stop = counter_stop};

static sl_addr counter(sl_node *node, tally *t) {
    sl_addr at = SL_NO_ADDR;
    CHECK_INT(sl_node_spawn(node, SL_SLOT_FIRST_FREE, &counter_class, &t, sizeof t, &at), SL_OK);
    return at;
}

/* ---- nodes turned by hand, one thread ---- */

enum { MOST = 4 };

typedef struct hand {
    sl_node *nodes[MOST];
    uint32_t count;
} hand;

static void hand_open(hand *h, uint32_t count, sl_node_options options) {
    sl_transport *transports[MOST];
    static FILE *nowhere;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_WARN});
    h->count = count;
    CHECK_INT(sl_thread_network_create(count, 2048, transports), SL_OK);
    for (uint32_t i = 0; i < count; i++) {
        options.transport = transports[i];
        options.incarnation = 1 + i;
        CHECK_INT(sl_node_create(&options, &h->nodes[i]), SL_OK);
    }
}

static void hand_settle(hand *h) {
    for (bool busy = true; busy;) {
        busy = false;
        for (uint32_t i = 0; i < h->count; i++)
            busy |= sl_node_turn(h->nodes[i]);
    }
}

static void hand_close(hand *h) {
    for (uint32_t i = 0; i < h->count; i++)
        sl_node_destroy(h->nodes[i]);
    CHECK_INT(sl_blob_alive_bytes(), 0);
}

static sl_err send_parcel(sl_node *node, sl_addr to, uint32_t body_bytes, uint32_t blob_bytes) {
    test_parcel parcel = {.filler = {calloc(1, body_bytes + 1), body_bytes}};
    if (blob_bytes)
        CHECK_INT(sl_blob_create(blob_bytes, &parcel.blob), SL_OK);
    sl_err err = sl_node_send(node, to, &test_parcel_type, &parcel);
    sl_blob_release(parcel.blob);
    free((void *)parcel.filler.data);
    return err;
}

static sl_err send_number(sl_node *node, sl_addr to, uint64_t value) {
    return sl_node_send(node, to, &test_number_type, &(test_number){value});
}

/* Stops an actor from outside any: by an actor that does nothing else. */
static sl_err stopper_start(sl_actor *self, void *state, const void *arguments) {
    (void)state;
    sl_addr whom;
    memcpy(&whom, arguments, sizeof whom);
    sl_stop(self, whom);
    sl_stop(self, sl_self(self)); /* in its start: ends when that has returned */
    return SL_OK;
}

static sl_err nothing_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self, (void)state, (void)message;
    return SL_OK;
}

static const sl_actor_class stopper_class = {
    .name = "stopper", .state_bytes = 64, .start = stopper_start, .receive = nothing_receive};

static void stop_actor(sl_node *node, sl_addr whom) {
    CHECK_INT(sl_node_spawn(node, SL_SLOT_FIRST_FREE, &stopper_class, &whom, sizeof whom, NULL),
              SL_OK);
}

/* ---- actors that end ---- */

TEST(messages_behind_bulk_data_keep_their_order) {
    hand h;
    tally t = {0};
    hand_open(&h, 2, (sl_node_options){0});
    sl_addr at = counter(h.nodes[1], &t);
    for (uint64_t i = 0; i < 300; i++) {
        CHECK_INT(send_number(h.nodes[0], at, i), SL_OK);
        CHECK_INT(send_parcel(h.nodes[0], at, i % 3 ? 10 : 50000, i % 2 ? 0 : 100000), SL_OK);
        sl_node_turn(h.nodes[i % 2]);
    }
    hand_settle(&h);
    CHECK(!t.out_of_order);
    CHECK_INT(t.numbers, 300);
    CHECK_INT(t.parcels, 300);
    CHECK_INT(t.blob_bytes, 150 * 100000);
    hand_close(&h);
}

TEST(bulk_data_for_an_actor_that_is_gone) {
    for (int turns = 0; turns < 12; turns++) {
        hand h;
        tally t = {0}, other = {0};
        hand_open(&h, 2, (sl_node_options){.blob_window_bytes = 1 << 20});
        sl_addr at = counter(h.nodes[1], &t), next = counter(h.nodes[1], &other);
        for (int i = 0; i < 20; i++)
            (void)send_parcel(h.nodes[0], at, i % 2 ? 10 : 20000, 100000);
        for (int i = 0; i < turns; i++) /* the actor ends at all stages of the transfer */
            sl_node_turn(h.nodes[i % 2]);
        stop_actor(h.nodes[1], at);
        CHECK_INT(t.stops, 1);
        hand_settle(&h);
        for (int i = 0; i < 30; i++) { /* the window is whole again, more than three times over */
            CHECK_INT(send_parcel(h.nodes[0], next, 20000, 100000), SL_OK);
            hand_settle(&h);
        }
        CHECK_INT(other.parcels, 30);
        CHECK_INT(sl_blob_alive_bytes(), 0);
        hand_close(&h);
    }
}

TEST(a_peer_lost_with_everything_under_way) {
    for (int turns = 0; turns < 16; turns++) {
        hand h;
        tally t[3] = {{0}};
        sl_addr at[3];
        hand_open(&h, 3, (sl_node_options){.blob_window_bytes = 1 << 20, .window_bytes = 1});
        for (uint32_t i = 0; i < 3; i++) {
            at[i] = counter(h.nodes[i], &t[i]);
            sl_node_watch_peers(h.nodes[i], at[i]);
        }
        for (uint32_t i = 0; i < 60; i++) {
            (void)send_parcel(h.nodes[i % 3], at[(i + 1) % 3], i % 4 ? 100 : 20000,
                              i % 2 ? 0 : 50000);
            (void)send_parcel(h.nodes[i % 3], at[(i + 2) % 3], i % 4 ? 20000 : 10,
                              i % 2 ? 50000 : 0);
        }
        for (int i = 0; i < turns; i++)
            sl_node_turn(h.nodes[i % 3]);
        sl_node_peer_lost(h.nodes[0], 2);
        if (turns % 2) { /* or at one end only */
            sl_node_peer_lost(h.nodes[2], 0);
            sl_node_peer_lost(h.nodes[1], 2);
        }
        CHECK_INT(send_number(h.nodes[0], at[2], 1), SL_ERR_DEAD);
        hand_settle(&h);
        CHECK_INT(t[0].lost, 1);
        CHECK_INT(sl_node_loads(h.nodes[0]).messages, 0);
        CHECK_INT(sl_node_loads(h.nodes[0]).queued_bytes, 0);
        uint64_t before = t[1].numbers;
        CHECK_INT(send_number(h.nodes[0], at[1], 1), SL_OK); /* others go on */
        hand_settle(&h);
        CHECK_INT(t[1].numbers, before + 1);
        hand_close(&h);
    }
}

TEST(destroyed_with_everything_under_way) {
    for (int turns = 0; turns < 12; turns++) {
        hand h;
        tally t[2] = {{0}};
        hand_open(&h, 2, (sl_node_options){.window_bytes = 1});
        for (uint32_t i = 0; i < 40; i++)
            (void)send_parcel(h.nodes[i % 2], counter(h.nodes[(i + 1) % 2], &t[(i + 1) % 2]),
                              i % 3 ? 100 : 20000, i % 4 ? 0 : 50000);
        for (int i = 0; i < turns; i++)
            sl_node_turn(h.nodes[i % 2]);
        hand_close(&h);
        CHECK_INT(t[0].stops + t[1].stops, 40);
    }
}

/* Actors come and go, messages of all kinds fly, peers are lost: no leak, no crash, any seed. */
static void chaos(uint64_t seed) {
    hand h;
    tally t[MOST] = {{0}};
    sl_addr actors[MOST][6];
    sl_rng rng;
    sl_rng_seed(&rng, seed);
    hand_open(&h, MOST, (sl_node_options){.window_bytes = 1, .blob_window_bytes = 200000});
    for (uint32_t n = 0; n < MOST; n++) {
        for (int i = 0; i < 6; i++)
            actors[n][i] = counter(h.nodes[n], &t[n]);
    }
    for (int step = 0; step < 600; step++) {
        uint32_t from = (uint32_t)sl_rng_below(&rng, MOST), to = (uint32_t)sl_rng_below(&rng, MOST);
        sl_addr *at = &actors[to][sl_rng_below(&rng, 6)];
        uint64_t what = sl_rng_below(&rng, 300);
        if (what < 100)
            (void)send_parcel(h.nodes[from], *at, (uint32_t)sl_rng_below(&rng, 9000),
                              (uint32_t)sl_rng_below(&rng, 2) *
                                  (uint32_t)sl_rng_below(&rng, 90000));
        else if (what < 110)
            stop_actor(h.nodes[to], *at);
        else if (what < 120)
            *at = counter(h.nodes[to], &t[to]);
        else if (what == 120 && from != to)
            sl_node_peer_lost(h.nodes[from], to);
        else
            sl_node_turn(h.nodes[from]);
    }
    if (seed % 2)
        hand_settle(&h);
    hand_close(&h);
}

TEST(chaos) {
    for (uint64_t seed = 1; seed <= 60; seed++)
        chaos(seed);
}

/* ---- start and stop that do what they should not mind ---- */

static int restless_stops, restless_starts;

static sl_err restless_start(sl_actor *self, void *state, const void *arguments) {
    (void)arguments;
    sl_addr child;
    *(uint64_t *)state = 7;
    restless_starts++;
    if (restless_starts < 4)
        CHECK_INT(sl_spawn(self, &stopper_class,
                           &(sl_addr){sl_self(self).node, sl_self(self).slot, 0}, sizeof(sl_addr),
                           &child),
                  SL_OK); /* the child stops its parent */
    return *(uint64_t *)state == 7 ? SL_OK : sl_fail(SL_ERR_INTERNAL, "the state is gone");
}

static void restless_stop(sl_actor *self, void *state) {
    sl_addr child;
    restless_stops++;
    sl_stop(self, sl_self(self));
    CHECK_INT(test_number_send(self, sl_self(self), &(test_number){1}), SL_OK); /* dropped */
    sl_err err = sl_spawn(self, &stopper_class, &(sl_addr){0, 99, 0}, sizeof(sl_addr), &child);
    CHECK(err == SL_OK || err == SL_ERR_CLOSED);
    CHECK_INT(*(uint64_t *)state, 7);
}

static sl_err restless_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state, (void)message;
    sl_stop(self, sl_self(self));
    return sl_fail(SL_ERR_FAILED, "and it fails as well");
}

static const sl_actor_class restless_class = {.name = "restless",
                                              .state_bytes = 8,
                                              .start = restless_start,
                                              .receive = restless_receive,
                                              .stop = restless_stop,
                                              .max_restarts = 5,
                                              .window_ns = 1000000000};

TEST(actors_stop_themselves_and_each_other_anywhere) {
    hand h;
    hand_open(&h, 1, (sl_node_options){0});
    for (int i = 0; i < 10; i++) {
        sl_addr at;
        restless_starts = i ? 9 : 0;
        restless_stops = 0;
        CHECK_INT(sl_node_spawn(h.nodes[0], SL_SLOT_FIRST_FREE, &restless_class, NULL, 0, &at),
                  SL_OK);
        if (i)
            CHECK_INT(send_number(h.nodes[0], at, 1), SL_OK);
        hand_settle(&h);
        CHECK_INT(restless_stops, 1);
        CHECK_INT(sl_node_loads(h.nodes[0]).actors, 1);
    }
    hand_close(&h);
}

/* ---- networks that end ---- */

static void *stop_all_but_last(void *context) {
    world *w = context;
    for (uint32_t i = 0; i + 1 < w->count; i++) {
        usleep(3000 * (i % 5));
        sl_node_stop(w->nodes[i], i);
    }
    return NULL;
}

/* What an actor sent before its node stopped arrives, if the receiver's node still runs. */
TEST(nodes_stop_one_after_the_other) {
    enum { NODES = 6, EACH = 500 };
    world w;
    tally t[NODES] = {{0}};
    pthread_t thread;
    sl_addr last;
    REQUIRE(world_open(&w, &(world_options){.count = NODES, .frame_bytes = 1024}));
    t[NODES - 1].last_parcel = (NODES - 1) * EACH;
    for (uint32_t i = 0; i < NODES; i++)
        last = counter(w.nodes[i], &t[i]);
    for (uint32_t i = 0; i + 1 < NODES; i++) {
        for (uint64_t n = 0; n < EACH; n++)
            CHECK_INT(send_parcel(w.nodes[i], last, 20, n % 50 ? 0 : 10000), SL_OK);
    }
    pthread_create(&thread, NULL, stop_all_but_last, &w);
    world_run(&w);
    pthread_join(thread, NULL);
    for (uint32_t i = 0; i < NODES; i++) {
        CHECK_INT(w.results[i], SL_OK);
        CHECK_INT(w.codes[i], i);
        CHECK_INT(t[i].stops, 1);
    }
    CHECK_INT(t[NODES - 1].parcels, (NODES - 1) * EACH);
    world_close(&w);
    CHECK_INT(sl_blob_alive_bytes(), 0);
}

TEST(a_node_that_never_says_goodbye_is_named) {
    world w;
    REQUIRE(
        world_open(&w, &(world_options){.count = 4, .node = {.close_timeout_ns = SL_NS_PER_S}}));
    for (uint32_t i = 0; i < 4; i++)
        sl_node_stop(w.nodes[i], 0);
    for (uint32_t i = 0; i < 4; i += 1 + (i == 1)) /* 2 does not run */
        world_start(&w, i);
    for (uint32_t i = 0; i < 4; i += 1 + (i == 1)) {
        world_join(&w, i);
        CHECK_INT(w.results[i], SL_ERR_TIMEOUT);
        CHECK_STR(w.details[i], "at the end no goodbye came from node 2");
    }
    world_free(&w);
}

TEST(a_lost_node_is_not_waited_for) {
    world w;
    REQUIRE(world_open(&w, &(world_options){.count = 3}));
    for (uint32_t i = 0; i < 2; i++) {
        sl_node_peer_lost(w.nodes[i], 2);
        sl_node_stop(w.nodes[i], 0);
        world_start(&w, i);
    }
    for (uint32_t i = 0; i < 2; i++) {
        world_join(&w, i);
        CHECK_INT(w.results[i], SL_OK);
    }
    world_free(&w);
}
