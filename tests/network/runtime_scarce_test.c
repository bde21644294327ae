/* Two nodes and everything that goes between them, where memory fails at every single call, once
 * and for ever: sends are refused or a peer is given up, never a crash, a leak or a wrong message.
 * Both loops are turned by one thread, so that a call has the same number every time. */
#include <stdlib.h>

#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/runtime_msgs.h"
#include "runtime/transport_thread.h"
#include "tests/lib/scarce.h"
#include "tests/lib/test.h"
#include "tests/lib/test_msgs.h"

enum { SLOT = 2, TURNS_MOST = 400, CALLS_MOST = 20000, BIG = 30000, TRIES_MOST = 3 };

/* What a teller has got from its peer. */
typedef struct heard {
    uint32_t numbers, urgent, parcels, everything, rooms;
    uint32_t wrong;
} heard;

static heard ears[2];

typedef struct teller {
    uint64_t timer;
    sl_addr child;
    uint32_t said, tries;
} teller;

/* ---- what is said: each thing in another way ---- */

static sl_err say_number(sl_actor *self, sl_addr to) {
    return test_number_send(self, to, &(test_number){.value = 7});
}

static sl_err say_urgent(sl_actor *self, sl_addr to) {
    return test_urgent_send(self, to, &(test_urgent){.value = 8});
}

/* More than a frame: encoded into a blob of its own. */
static sl_err say_big(sl_actor *self, sl_addr to) {
    uint8_t *bytes = malloc(BIG);
    if (!bytes)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a parcel");
    memset(bytes, 9, BIG);
    sl_err err = test_parcel_send(self, to, &(test_parcel){.filler = {bytes, BIG}});
    free(bytes);
    return err;
}

static sl_err say_blob(sl_actor *self, sl_addr to) {
    sl_blob *blob;
    SL_TRY(sl_blob_create(BIG, &blob));
    memset(blob->data, 9, BIG);
    sl_err err = test_parcel_send(self, to, &(test_parcel){.sequence = 1, .blob = blob});
    sl_blob_release(blob);
    return err;
}

static sl_err say_everything(sl_actor *self, sl_addr to) {
    test_point points[2] = {{1, 2}, {3, 4}};
    test_item item = {
        .name = sl_text_of("item"), .points = {points, 2}, .raw = {(uint8_t *)"x", 1}};
    sl_blob *blob;
    SL_TRY(sl_blob_copy("small", 5, &blob)); /* travels inside the frame */
    sl_err err = test_everything_send(self, to,
                                      &(test_everything){.u8 = 1,
                                                         .text = sl_text_of("text"),
                                                         .points = {points, 2},
                                                         .items = {&item, 1},
                                                         .first = blob});
    sl_blob_release(blob);
    return err;
}

static sl_err (*const sayings[])(sl_actor *, sl_addr) = {say_number, say_urgent, say_big,
                                                         say_everything, say_blob};
enum { SAYINGS = sizeof sayings / sizeof *sayings };

/* ---- the actors ---- */

static sl_err child_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self, (void)state, (void)message;
    return SL_OK;
}

static const sl_actor_class child_class = {
    .name = "child", .receive = child_receive, .state_bytes = 100};

static void fine(sl_err err) {
    if (err != SL_OK && err != SL_ERR_AGAIN && err != SL_ERR_NO_MEMORY && err != SL_ERR_DEAD &&
        err != SL_ERR_CLOSED)
        sl_test_fail(__FILE__, __LINE__, "%s: %s", sl_err_name(err), sl_err_detail());
}

/* Goes on with the next thing when one is said, and gives it up after some tries. */
static void say_next(sl_actor *self, teller *t) {
    sl_addr to = sl_addr_well_known(1 - sl_node_id(sl_actor_node(self)), SLOT);
    sl_err err = sayings[t->said % SAYINGS](self, to);
    fine(err);
    if (err == SL_ERR_AGAIN)
        sl_await_room(self, to);
    t->tries++;
    if (err == SL_OK || t->tries == TRIES_MOST)
        t->said++, t->tries = 0;
    fine(test_number_send(self, t->child, &(test_number){.value = 1}));
    if (t->said < 4 * SAYINGS)
        t->timer = sl_timer_start(self, 1, 0);
}

static sl_err teller_start(sl_actor *self, void *state, const void *arguments) {
    teller *t = state;
    (void)arguments;
    sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    fine(sl_spawn(self, &child_class, "argument", 9, &t->child));
    say_next(self, t);
    return SL_OK;
}

static bool all_nines(const uint8_t *data, uint64_t bytes) {
    for (uint64_t i = 0; i < bytes; i++)
        if (data[i] != 9)
            return false;
    return bytes == BIG;
}

static void hear_parcel(heard *h, const test_parcel *parcel) {
    h->parcels++;
    h->wrong += parcel->blob ? !all_nines(parcel->blob->data, parcel->blob->bytes)
                             : !all_nines(parcel->filler.data, parcel->filler.bytes);
}

static void hear_everything(heard *h, const test_everything *all) {
    h->everything++;
    h->wrong += all->points.count != 2 || all->items.count != 1 || !all->first ||
                all->first->bytes != 5 || memcmp(all->first->data, "small", 5) != 0;
}

static sl_err teller_receive(sl_actor *self, void *state, const sl_message *message) {
    heard *h = &ears[sl_node_id(sl_actor_node(self))];
    if (message->type == &test_number_type)
        h->numbers++, h->wrong += ((const test_number *)message->body)->value != 7;
    else if (message->type == &test_urgent_type)
        h->urgent++, h->wrong += ((const test_urgent *)message->body)->value != 8;
    else if (message->type == &test_parcel_type)
        hear_parcel(h, message->body);
    else if (message->type == &test_everything_type)
        hear_everything(h, message->body);
    else if (message->type == &node_room_type)
        h->rooms++;
    else if (message->type == &node_timer_type)
        say_next(self, state);
    return SL_OK;
}

static const sl_actor_class teller_class = {.name = "teller",
                                            .state_bytes = sizeof(teller),
                                            .start = teller_start,
                                            .receive = teller_receive};

/* ---- the network ---- */

static uint64_t virtual_ns;

static uint64_t now_ns(const sl_clock *clock) {
    (void)clock;
    return virtual_ns += 1000;
}

static sl_err open_nodes(const sl_clock *clock, sl_node *nodes[2]) {
    sl_transport *transports[2];
    SL_TRY(sl_thread_network_create(2, 2048, transports));
    sl_err err = SL_OK;
    for (uint32_t i = 0; i < 2; i++) {
        sl_node_options options = {.transport = transports[i],
                                   .clock = clock,
                                   .seed = i,
                                   .incarnation = 1,
                                   .window_bytes = 8192,
                                   .blob_window_bytes = 100000};
        if (err == SL_OK)
            err = sl_node_create(&options, &nodes[i]);
        if (!nodes[i])
            transports[i]->ops->close(transports[i]);
        else if (err == SL_OK)
            err = sl_node_spawn(nodes[i], SLOT, &teller_class, NULL, 0, NULL);
    }
    return err;
}

static bool closed(sl_node *const nodes[2]) {
    sl_err err;
    uint32_t code;
    return sl_node_closed(nodes[0], &err, &code) && sl_node_closed(nodes[1], &err, &code);
}

static void turn_all(sl_node *const nodes[2]) {
    for (int turn = 0; turn < TURNS_MOST && !closed(nodes); turn++) {
        sl_node_turn(nodes[0]);
        sl_node_turn(nodes[1]);
        if (turn == TURNS_MOST / 2) {
            sl_node_stop(nodes[0], 0);
            sl_node_stop(nodes[1], 0);
        }
    }
}

/* A whole life of the network; the error: it did not come to be. */
static sl_err live(void) {
    sl_clock clock = sl_clock_real;
    clock.now_ns = now_ns;
    sl_node *nodes[2] = {NULL, NULL};
    memset(ears, 0, sizeof ears);
    virtual_ns = 1;
    sl_err err = open_nodes(&clock, nodes);
    if (err == SL_OK)
        turn_all(nodes);
    sl_node_destroy(nodes[0]);
    sl_node_destroy(nodes[1]);
    return err;
}

static void check_whole(void) {
    for (int i = 0; i < 2; i++) {
        CHECK_INT(ears[i].numbers, 4);
        CHECK_INT(ears[i].urgent, 4);
        CHECK_INT(ears[i].parcels, 8);
        CHECK_INT(ears[i].everything, 4);
    }
}

static unsigned fail_everywhere(bool for_ever) {
    unsigned n = 1;
    for (; n < CALLS_MOST; n++) {
        scarce_begin(SCARCE_MEMORY, n, for_ever);
        sl_err err = live();
        bool failed = scarce_end();
        CHECK(err == SL_OK || err == SL_ERR_NO_MEMORY);
        CHECK_INT(ears[0].wrong + ears[1].wrong, 0);
        CHECK_INT(sl_blob_alive_bytes(), 0);
        if (!failed)
            break;
    }
    CHECK(n < CALLS_MOST);
    check_whole();
    return n;
}

/* What is not there to be cached is asked of memory. */
static void quiet(void) {
    static FILE *nowhere;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_INFO});
}

TEST(all_is_well_with_enough) {
    quiet();
    CHECK_INT(live(), SL_OK);
    check_whole();
}

TEST(memory_fails_once_at_every_call) {
    CHECK(fail_everywhere(false) > 50);
}

TEST(memory_fails_for_ever_from_every_call) {
    CHECK(fail_everywhere(true) > 50);
}
