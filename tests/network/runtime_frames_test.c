/* The edges of what goes into a frame and comes out of one, that whole networks seldom reach. */
#include "tests/lib/test.h"

#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/record.h"
#include "runtime/runtime_msgs.h"
#include "tests/lib/fake_transport.h"
#include "tests/lib/test_msgs.h"

enum { PEER = 1, NODES = 2, BLOB_BYTES = 3000 };

static uint32_t numbers, rooms, losses;

static sl_err sink_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self, (void)state;
    numbers += message->type == &test_number_type;
    rooms += message->type == &node_room_type;
    losses += message->type == &node_peer_lost_type;
    return SL_OK;
}

/* The test speaks as this actor, in between turns. */
static sl_actor *speaker;

static sl_err sink_start(sl_actor *self, void *state, const void *arguments) {
    (void)state, (void)arguments;
    speaker = self;
    sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    return SL_OK;
}

static const sl_actor_class sink_class = {
    .name = "sink", .start = sink_start, .receive = sink_receive};

typedef struct stage {
    fake_transport *fake;
    sl_node *node;
    sl_addr sink;
    sl_addr there; /* someone at the peer */
    uint64_t sequence[2];
} stage;

static void settle(stage *s) {
    while (sl_node_turn(s->node)) {
    }
}

static stage stage_open(uint64_t blob_window_bytes) {
    static FILE *nowhere;
    stage s = {.fake = fake_transport_create(NODES), .there = {PEER, SL_SLOT_FIRST_FREE, 0}};
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_WARN});
    numbers = rooms = losses = 0;
    sl_node_options options = {.transport = fake_transport_base(s.fake),
                               .incarnation = 1,
                               .blob_window_bytes = blob_window_bytes};
    CHECK_INT(sl_node_create(&options, &s.node), SL_OK);
    CHECK_INT(sl_node_spawn(s.node, SL_SLOT_FIRST_FREE, &sink_class, NULL, 0, &s.sink), SL_OK);
    settle(&s);
    return s;
}

static void stage_close(stage *s) {
    sl_node_destroy(s->node);
    CHECK_INT(sl_blob_alive_bytes(), 0);
}

static void frame(stage *s, sl_lane lane, uint16_t flags, uint64_t consumed_bulk) {
    fake_writer w;
    fake_begin(&w, lane, s->sequence[lane]++);
    fake_head(&w)->flags = flags;
    fake_head(&w)->consumed_bulk = consumed_bulk;
    fake_frame(s->fake, PEER, w.frame, w.bytes);
    settle(s);
}

/* ---- out ---- */

TEST(what_cannot_be_sent_is_refused_with_a_cause) {
    stage s = stage_open(0);
    static uint8_t bytes[1001];
    node_timer timer = {0};
    test_everything large = {.text = {(const char *)bytes, sizeof bytes}};
    CHECK_INT(node_timer_send(speaker, s.there, &timer), SL_ERR_INTERNAL);
    CHECK_CONTAINS(sl_err_detail(), "cannot leave the node");
    CHECK_INT(test_number_send(speaker, (sl_addr){NODES, 2, 0}, &(test_number){1}), SL_ERR_DEAD);
    CHECK_CONTAINS(sl_err_detail(), "no node 2");
    CHECK_INT(test_everything_send(speaker, s.there, &large), SL_ERR_TOO_LARGE);
    CHECK_CONTAINS(sl_err_detail(), "test_everything.text");
    settle(&s);
    CHECK_INT(fake_posted(s.fake, PEER), 0); /* no effect */
    sl_node_peer_lost(s.node, PEER);
    CHECK_INT(test_number_send(speaker, s.there, &(test_number){1}), SL_ERR_DEAD);
    sl_await_room(speaker, s.there); /* nobody to wait for: told at once, to try and hear so */
    settle(&s);
    CHECK_INT(rooms, 1);
    stage_close(&s);
}

/* Many items of little each: within every bound, and together far more than a frame. */
TEST(a_message_of_many_parts_goes_as_bulk_data) {
    stage s = stage_open((uint64_t)1 << 40);
    static uint8_t raw[5000];
    test_item *items = calloc(1000, sizeof *items);
    test_point *points = calloc(50, sizeof *points);
    REQUIRE(items && points);
    for (int i = 0; i < 1000; i++)
        items[i] = (test_item){.raw = {raw, sizeof raw}, .points = {points, 50}};
    test_everything body = {.items = {items, 1000}};
    CHECK_INT(test_everything_send(speaker, s.there, &body), SL_OK); /* 5.8 MB: as bulk data */
    free(items), free(points);
    settle(&s);
    stage_close(&s);
}

static sl_err send_blob(stage *s) {
    sl_blob *blob;
    CHECK_INT(sl_blob_create(BLOB_BYTES, &blob), SL_OK);
    memset(blob->data, 1, BLOB_BYTES);
    sl_err err = test_parcel_send(speaker, s->there, &(test_parcel){.blob = blob});
    sl_blob_release(blob);
    return err;
}

TEST(a_full_bulk_window_opens_with_credit) {
    stage s = stage_open(100000);
    uint64_t sent = 0;
    sl_err err;
    while ((err = send_blob(&s)) == SL_OK)
        sent++;
    CHECK_INT(err, SL_ERR_AGAIN);
    CHECK(sent > 2 && sent < 40);
    sl_await_room(speaker, s.there);
    settle(&s);
    CHECK_INT(rooms, 0);
    fake_bulk_sent(s.fake);
    frame(&s, SL_LANE_CONTROL, 0, sent * (BLOB_BYTES + SL_TRANSFER_WEIGHT));
    CHECK_INT(rooms, 1);
    CHECK_INT(send_blob(&s), SL_OK);
    stage_close(&s);
}

/* ---- in ---- */

static void bulk_body(stage *s, const uint64_t *sizes, uint32_t count) {
    fake_writer w;
    fake_begin(&w, SL_LANE_DATA, s->sequence[SL_LANE_DATA]++);
    fake_record(&w, test_everything_id, s->sink, SL_RECORD_BULK_BODY, sizes, count * 8);
    fake_frame(s->fake, PEER, w.frame, w.bytes);
    settle(s);
}

TEST(a_bulk_part_over_the_bound_of_blobs_loses_the_peer) {
    stage s = stage_open(1 << 20);
    bulk_body(&s, (const uint64_t[]){64, SL_BLOB_MAX_BYTES + 1}, 2);
    CHECK(!sl_node_peer_alive(s.node, PEER));
    stage_close(&s);
}

/* Two fields of one message that name the same transfer: it can be only one's. */
TEST(a_transfer_named_twice_is_dropped) {
    stage s = stage_open(1 << 20);
    sl_blob *blobs[2], *body;
    uint64_t sizes[] = {0, BLOB_BYTES};
    CHECK_INT(sl_blob_create(BLOB_BYTES, &blobs[0]), SL_OK);
    CHECK_INT(sl_blob_create(BLOB_BYTES, &blobs[1]), SL_OK);
    test_everything twice = {.first = blobs[0], .second = blobs[1]};
    const sl_record *record = &test_everything_type.record;
    sizes[0] = sl_record_wire_bytes(record, &twice);
    CHECK_INT(sl_blob_create(sizes[0], &body), SL_OK);
    sl_blob_parts parts = {.next_id = 1}; /* the body itself is transfer 0 */
    CHECK(sl_record_encode(record, &twice, body->data, &parts) == body->data + sizes[0]);
    /* The second blob comes last, its transfer's number and size at its end. */
    for (size_t i = 0; i + 8 <= sizes[0]; i++) {
        const uint64_t second = 2, first = 1;
        if (memcmp(body->data + i, &second, 8) == 0)
            memcpy(body->data + i, &first, 8);
    }
    bulk_body(&s, sizes, 2);
    fake_bulk(s.fake, PEER, 0, body);
    sl_blob_release(blobs[1]);
    fake_bulk(s.fake, PEER, 1, blobs[0]);
    settle(&s);
    CHECK_INT(sl_metric_value(sl_node_metrics(s.node), SL_METRIC_decode_errors), 1);
    CHECK(sl_node_peer_alive(s.node, PEER));
    stage_close(&s);
}

TEST(a_goodbye_said_twice_is_one) {
    stage s = stage_open(0);
    frame(&s, SL_LANE_CONTROL, SL_FRAME_GOODBYE, 0);
    frame(&s, SL_LANE_CONTROL, SL_FRAME_GOODBYE, 0);
    CHECK_INT(losses, 0);
    CHECK_INT(test_number_send(speaker, s.there, &(test_number){1}), SL_ERR_DEAD);
    stage_close(&s);
}

TEST(a_process_that_ends_without_goodbye_is_lost) {
    stage s = stage_open(0);
    fake_lost(s.fake, PEER);
    settle(&s);
    CHECK_INT(losses, 1);
    CHECK(!sl_node_peer_alive(s.node, PEER));
    fake_lost(s.fake, PEER); /* told again: nothing new */
    settle(&s);
    CHECK_INT(losses, 1);
    stage_close(&s);
}

TEST(frames_from_nobody_are_passed_over) {
    stage s = stage_open(0);
    fake_writer w;
    fake_begin(&w, SL_LANE_CONTROL, 0);
    fake_frame(s.fake, 0, w.frame, w.bytes); /* from the node itself */
    settle(&s);
    sl_node_peer_lost(s.node, PEER);
    fake_frame(s.fake, PEER, w.frame, w.bytes);
    settle(&s);
    CHECK_INT(sl_metric_value(sl_node_metrics(s.node), SL_METRIC_frames_received), 0);
    stage_close(&s);
}

/* ---- records ---- */

/* A record with a list of itself. */
typedef struct nest {
    struct {
        const struct nest *items;
        uint32_t count;
    } inside;
} nest;

TEST(lists_that_nest_too_deep_do_not_decode) {
    static sl_record record;
    static sl_step steps[4];
    static const sl_field fields[] = {
        {"inside", "", &record, offsetof(nest, inside), 10, SL_KIND_LIST}};
    sl_record_define(&record, "nest", "", sizeof(nest), fields, 1, steps);
    for (uint32_t depth = 1; depth <= 8; depth++) {
        uint8_t wire[64] = {0};
        const uint32_t one = 1;
        size_t memory_bytes;
        for (uint32_t i = 0; i < depth; i++)
            memcpy(wire + 4 * i, &one, 4);
        sl_err err = sl_record_measure(&record, wire, 4 * (depth + 1), &memory_bytes);
        CHECK_INT(err, depth <= SL_MESSAGE_MAX_DEPTH ? SL_OK : SL_ERR_DECODE);
        if (err != SL_OK)
            CHECK_CONTAINS(sl_err_detail(), "lists nest too deep");
    }
}

static bool equal(const test_everything *a, const test_everything *b) {
    return sl_record_equal(&test_everything_type.record, a, b);
}

TEST(records_differ_by_any_part) {
    sl_blob *x, *y, *longer;
    CHECK_INT(sl_blob_copy("x", 1, &x), SL_OK);
    CHECK_INT(sl_blob_copy("y", 1, &y), SL_OK);
    CHECK_INT(sl_blob_copy("xx", 2, &longer), SL_OK);
    const test_point points[] = {{1, 2}, {1, 3}};
    const test_item named[] = {{.name = {"a", 1}}, {.name = {"b", 1}}};
    const test_everything base = {
        .text = {"a", 1}, .points = {points, 1}, .items = {named, 1}, .first = x};
    test_everything other = base;
    CHECK(equal(&base, &other));
    other.first = y;
    CHECK(!equal(&base, &other));
    other.first = longer;
    CHECK(!equal(&base, &other));
    other.first = NULL;
    CHECK(!equal(&base, &other) && !equal(&other, &base));
    other = base, other.text.data = "b";
    CHECK(!equal(&base, &other));
    other = base, other.text.bytes = 0;
    CHECK(!equal(&base, &other));
    other = base, other.points.count = 2;
    CHECK(!equal(&base, &other));
    other = base, other.points.items = &points[1];
    CHECK(!equal(&base, &other));
    other = base, other.items.items = &named[1];
    CHECK(!equal(&base, &other));
    other = base, other.flag = true;
    CHECK(!equal(&base, &other));
    sl_blob_release(x), sl_blob_release(y), sl_blob_release(longer);
}
