/* One node, and frames of a peer that it has not met, where memory fails at every single call: what
 * there is no memory to follow loses its sender, what cannot be sent is refused, and nothing is
 * left behind. */
#include <stdlib.h>

#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/runtime_msgs.h"
#include "tests/lib/fake_transport.h"
#include "tests/lib/scarce.h"
#include "tests/lib/test.h"
#include "tests/lib/test_msgs.h"

enum { PEER = 1, NODES = 3, CALLS_MOST = 1000, BULK_BYTES = 64 };

static uint32_t heard;

static sl_err sink_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self, (void)state;
    heard += message->type != &node_peer_lost_type;
    return SL_OK;
}

static const sl_actor_class sink_class = {.name = "sink", .receive = sink_receive};

typedef struct stage {
    fake_transport *fake;
    sl_node *node;
    sl_addr sink;
} stage;

static void stage_open(stage *s) {
    static FILE *nowhere;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_WARN});
    *s = (stage){.fake = fake_transport_create(NODES)};
    heard = 0;
    sl_node_options options = {.transport = fake_transport_base(s->fake), .incarnation = 1};
    CHECK_INT(sl_node_create(&options, &s->node), SL_OK);
    CHECK_INT(sl_node_spawn(s->node, SL_SLOT_FIRST_FREE, &sink_class, NULL, 0, &s->sink), SL_OK);
    sl_node_watch_peers(s->node, s->sink);
    while (sl_node_turn(s->node)) {
    }
}

static void settle(stage *s) {
    while (sl_node_turn(s->node)) {
    }
}

/* ---- what happens ---- */

static void frame_of(stage *s, uint16_t type, uint16_t flags, const void *body, size_t bytes) {
    fake_writer w;
    fake_begin(&w, SL_LANE_DATA, 0);
    fake_record(&w, type, s->sink, flags, body, bytes);
    fake_frame(s->fake, PEER, w.frame, w.bytes);
}

static void hear_flat(stage *s) {
    frame_of(s, test_number_id, 0, &(uint64_t){1}, 8);
}

static void hear_text(stage *s) {
    uint8_t wire[256];
    test_everything body = {.text = sl_text_of("text")};
    const sl_record *record = &test_everything_type.record;
    size_t bytes = sl_record_wire_bytes(record, &body);
    sl_blob_parts parts = {.count = 0};
    REQUIRE(bytes <= sizeof wire && sl_record_encode(record, &body, wire, &parts));
    frame_of(s, test_everything_id, 0, wire, bytes);
}

static void hear_bulk_body(stage *s) {
    frame_of(s, test_parcel_id, SL_RECORD_BULK_BODY, &(uint64_t){BULK_BYTES}, 8);
}

static void nothing(stage *s) {
    (void)s;
}

static void ask(stage *s) {
    sl_node_peer_ask(s->node, PEER);
}

static void hold(stage *s) {
    sl_node_peer_hold(s->node, PEER, true);
}

static void lose(stage *s) {
    sl_node_peer_lost(s->node, PEER);
}

static void send_flat(stage *s) {
    sl_addr to = {PEER, SL_SLOT_FIRST_FREE, 0};
    sl_err err = sl_node_send(s->node, to, &test_number_type, &(test_number){1});
    CHECK(err == SL_OK || err == SL_ERR_NO_MEMORY);
}

static void send_text(stage *s) {
    sl_addr to = {PEER, SL_SLOT_FIRST_FREE, 0};
    test_everything body = {.text = sl_text_of("text")};
    sl_err err = sl_node_send(s->node, to, &test_everything_type, &body);
    CHECK(err == SL_OK || err == SL_ERR_NO_MEMORY);
}

/* `before` is made ready while there is memory; the n-th call after it fails. True when it did. */
static bool try_at(void (*before)(stage *), void (*what)(stage *), unsigned n, bool for_ever) {
    stage s;
    stage_open(&s);
    before(&s);
    scarce_begin(SCARCE_MEMORY, n, for_ever);
    what(&s);
    settle(&s);
    bool failed = scarce_end();
    settle(&s);
    if (before == hear_flat || before == hear_text)
        CHECK(heard == 1 || !sl_node_peer_alive(s.node, PEER)); /* never lost without a word */
    if (what == lose)
        CHECK(!sl_node_peer_alive(s.node, PEER));
    sl_node_destroy(s.node);
    CHECK_INT(sl_blob_alive_bytes(), 0);
    return failed;
}

static void everywhere(void (*before)(stage *), void (*what)(stage *)) {
    unsigned n = 1;
    while (n < CALLS_MOST && try_at(before, what, n, false))
        n++;
    CHECK(n > 1 && n < CALLS_MOST); /* there were calls, and an end to them */
    for (unsigned i = 1; i < n; i++)
        CHECK(try_at(before, what, i, true));
}

TEST(what_is_heard_first_finds_no_memory) {
    everywhere(hear_flat, nothing);
    everywhere(hear_text, nothing);
    everywhere(hear_bulk_body, nothing);
}

TEST(what_is_sent_first_finds_no_memory) {
    everywhere(nothing, send_flat);
    everywhere(nothing, send_text);
}

TEST(peers_are_held_asked_and_lost_without_memory) {
    everywhere(nothing, ask);
    everywhere(nothing, hold);
    everywhere(nothing, lose);
}

/* It calls all others as soon as it is there. */
TEST(a_node_that_rejoins_finds_no_memory_for_its_links) {
    unsigned n = 1;
    for (bool failed = true; failed; n++) {
        sl_node *node = NULL;
        fake_transport *fake = fake_transport_create(NODES);
        sl_node_options options = {
            .transport = fake_transport_base(fake), .incarnation = 1, .rejoins = true};
        scarce_begin(SCARCE_MEMORY, n, false);
        sl_err err = sl_node_create(&options, &node);
        failed = scarce_end();
        CHECK(err == SL_OK || (failed && err == SL_ERR_NO_MEMORY));
        if (err == SL_OK)
            sl_node_destroy(node);
        else /* it stays the caller's */
            options.transport->ops->close(options.transport);
    }
    CHECK(n > 3);
}
