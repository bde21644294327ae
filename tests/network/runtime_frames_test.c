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
static uint32_t loses; /* whom the sink gives up when a number comes; 0: nobody */

static sl_err sink_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    numbers += message->type == &test_number_type;
    if (message->type == &test_number_type && loses)
        sl_node_peer_lost(sl_actor_node(self), loses);
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

static stage stage_open_as(uint64_t window_bytes, uint64_t blob_window_bytes) {
    static FILE *nowhere;
    stage s = {.fake = fake_transport_create(NODES), .there = {PEER, SL_SLOT_FIRST_FREE, 0}};
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_WARN});
    numbers = rooms = losses = 0;
    sl_node_options options = {.transport = fake_transport_base(s.fake),
                               .incarnation = 1,
                               .window_bytes = window_bytes,
                               .blob_window_bytes = blob_window_bytes};
    CHECK_INT(sl_node_create(&options, &s.node), SL_OK);
    CHECK_INT(sl_node_spawn(s.node, SL_SLOT_FIRST_FREE, &sink_class, NULL, 0, &s.sink), SL_OK);
    settle(&s);
    return s;
}

static stage stage_open(uint64_t blob_window_bytes) {
    return stage_open_as(0, blob_window_bytes);
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

/* Defined here alone: no protocol has so much in one message, or so many numbers in a flat one. */
TEST(messages_beyond_the_usual_are_sent_or_refused_by_their_size) {
    enum { NUMBERS = 50 };
    static sl_message_type huge = {.id = 0xfff0, .lane = SL_LANE_DATA};
    static sl_message_type wide = {.id = 0xfff1, .lane = SL_LANE_DATA};
    static const sl_field bytes[] = {{"bytes", "", NULL, 0, UINT32_MAX, SL_KIND_BYTES}};
    static sl_field numbers_of[NUMBERS];
    static sl_step steps[2], wide_steps[2 * NUMBERS];
    uint64_t values[NUMBERS] = {1};
    stage s = stage_open(0);
    sl_record_define(&huge.record, "huge", "", sizeof(sl_bytes), bytes, 1, steps);
    for (uint32_t i = 0; i < NUMBERS; i++)
        numbers_of[i] = (sl_field){"value", "", NULL, 8 * i, 0, SL_KIND_U64};
    sl_record_define(&wide.record, "wide", "", sizeof values, numbers_of, NUMBERS, wide_steps);
    CHECK(wide.record.flat);
    sl_bytes beyond = {(const uint8_t *)values, SL_MESSAGE_MAX_BYTES + 1u};
    CHECK_INT(sl_send(speaker, s.there, &huge, &beyond), SL_ERR_TOO_LARGE);
    CHECK_CONTAINS(sl_err_detail(), "huge: ");
    settle(&s);
    CHECK_INT(fake_posted(s.fake, PEER), 0);
    CHECK_INT(sl_send(speaker, s.there, &wide, values), SL_OK);
    settle(&s);
    CHECK_INT(fake_posted(s.fake, PEER), 1);
    CHECK_INT(memcmp((const uint8_t *)(fake_last(s.fake, PEER) + 1) + sizeof(sl_record_head),
                     values, sizeof values),
              0);
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

TEST(a_full_control_queue_opens_when_frames_leave) {
    stage s = stage_open(0);
    sl_err err;
    fake_close_window(s.fake, PEER, true);
    while ((err = test_urgent_send(speaker, s.there, &(test_urgent){1})) == SL_OK) {
    }
    CHECK_INT(err, SL_ERR_AGAIN);
    sl_await_room(speaker, s.there);
    settle(&s);
    CHECK_INT(rooms, 0);
    fake_close_window(s.fake, PEER, false);
    uint64_t acked = 0;
    for (int i = 0; i < 10000 && !rooms; i++) { /* as much as was sent is given back, and more is */
        fake_writer w;
        uint64_t posted = fake_posted(s.fake, PEER);
        settle(&s);
        fake_begin(&w, SL_LANE_CONTROL, s.sequence[SL_LANE_CONTROL]++);
        acked += (fake_posted(s.fake, PEER) - posted) *
                 (fake_last(s.fake, PEER)->bytes - sizeof(sl_frame_head));
        fake_head(&w)->consumed[SL_LANE_CONTROL] = acked;
        fake_frame(s.fake, PEER, w.frame, w.bytes);
    }
    CHECK_INT(rooms, 1);
    stage_close(&s);
}

/* Half a million transfers to one peer: its window would take more, the table of them not. */
TEST(so_many_transfers_and_no_more_are_under_way) {
    stage s = stage_open_as(UINT64_MAX / 2, UINT64_MAX / 2);
    uint32_t sent = 0;
    sl_blob *blob;
    sl_err err = SL_OK;
    CHECK_INT(sl_blob_create(BLOB_BYTES, &blob), SL_OK);
    while ((err = test_parcel_send(speaker, s.there, &(test_parcel){.blob = blob})) == SL_OK)
        sent++;
    CHECK_INT(err, SL_ERR_AGAIN);
    CHECK_INT(sent, SL_MAX_TRANSFERS / 2);
    sl_await_room(speaker, s.there);
    settle(&s);
    CHECK_INT(rooms, 0);
    fake_bulk_sent(s.fake);
    frame(&s, SL_LANE_CONTROL, 0, (uint64_t)sent * (BLOB_BYTES + SL_TRANSFER_WEIGHT));
    CHECK_INT(rooms, 1);
    sl_blob_release(blob);
    stage_close(&s);
}

TEST(a_bulk_part_over_the_bound_of_blobs_loses_the_peer) {
    stage s = stage_open(1 << 20);
    bulk_body(&s, (const uint64_t[]){64, SL_BLOB_MAX_BYTES + 1}, 2);
    CHECK(!sl_node_peer_alive(s.node, PEER));
    stage_close(&s);
}

/* Two fields of one message that name the same transfer: it can be only one's. */
TEST(a_body_of_more_parts_than_there_can_be_loses_the_peer) {
    stage s = stage_open(1 << 20);
    bulk_body(&s, (const uint64_t[SL_MESSAGE_MAX_BLOBS + 2]){64}, SL_MESSAGE_MAX_BLOBS + 2);
    CHECK(!sl_node_peer_alive(s.node, PEER));
    stage_close(&s);
}

/* A transport may still bring what belongs to an earlier life of the link. */
TEST(bulk_data_that_nobody_waits_for_are_passed_over) {
    stage s = stage_open(1 << 20);
    sl_blob *blob;
    bulk_body(&s, (const uint64_t[]){64}, 1);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(sl_blob_create(64, &blob), SL_OK);
        memset(blob->data, 0, 64);
        fake_stray(s.fake, PEER, 77, blob);
        fake_stray(s.fake, PEER, 78, NULL);
        settle(&s);
    }
    CHECK(sl_node_peer_alive(s.node, PEER) && losses == 0);
    stage_close(&s);
}

/* The first of two waits for its second part, and comes once more. */
TEST(bulk_data_that_came_already_are_passed_over) {
    stage s = stage_open(1 << 20);
    sl_blob *blob;
    bulk_body(&s, (const uint64_t[]){64, BLOB_BYTES}, 2);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(sl_blob_create(64, &blob), SL_OK);
        fake_stray(s.fake, PEER, 0, blob);
        settle(&s);
    }
    CHECK(sl_node_peer_alive(s.node, PEER) && losses == 0);
    stage_close(&s);
}

/* A message is done with, but not forgotten before an older one. */
TEST(bulk_data_of_what_is_done_with_are_passed_over) {
    stage s = stage_open(1 << 20);
    sl_blob *blob;
    bulk_body(&s, (const uint64_t[]){64}, 1);
    bulk_body(&s, (const uint64_t[]){64}, 1);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(sl_blob_create(64, &blob), SL_OK);
        memset(blob->data, 0xff, 64); /* no message: dropped when it is whole */
        fake_stray(s.fake, PEER, 1, blob);
        settle(&s);
    }
    CHECK_INT(sl_metric_value(sl_node_metrics(s.node), SL_METRIC_decode_errors), 1);
    CHECK(sl_node_peer_alive(s.node, PEER) && losses == 0);
    stage_close(&s);
}

TEST(a_transport_that_breaks_loses_who_waited_for_it) {
    for (int inward = 0; inward < 2; inward++) {
        stage s = stage_open(1 << 20);
        fake_bulk_limit(s.fake, 1);
        for (int i = 0; i < 2 && !inward; i++) /* the second has to wait */
            CHECK_INT(send_blob(&s), SL_OK);
        if (inward)
            bulk_body(&s, (const uint64_t[]){64, BLOB_BYTES}, 2);
        settle(&s);
        CHECK(sl_node_peer_alive(s.node, PEER));
        fake_bulk_breaks(s.fake);
        frame(&s, SL_LANE_CONTROL, 0, 0); /* an event, after which it is tried again */
        CHECK(!sl_node_peer_alive(s.node, PEER) && losses == 1);
        stage_close(&s);
    }
}

TEST(what_waits_for_a_lost_peer_is_not_begun) {
    stage s = stage_open(1 << 20);
    fake_bulk_limit(s.fake, 1);
    CHECK_INT(send_blob(&s), SL_OK);
    CHECK_INT(send_blob(&s), SL_OK);
    settle(&s);
    sl_node_peer_lost(s.node, PEER);
    fake_bulk_breaks(s.fake);
    fake_frame(s.fake, NODES, "", 0); /* an event, after which the rest would be tried again */
    settle(&s);
    CHECK_INT(losses, 1);
    stage_close(&s);
}

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
    sl_await_room(speaker, s.there); /* there will be none: told at once */
    settle(&s);
    CHECK_INT(rooms, 1);
    fake_lost(s.fake, PEER); /* as it should, after its goodbye */
    settle(&s);
    CHECK_INT(losses, 0);
    stage_close(&s);
}

TEST(a_process_that_ends_with_data_under_way_is_lost_in_spite_of_its_goodbye) {
    stage s = stage_open(1 << 20);
    CHECK_INT(send_blob(&s), SL_OK);
    settle(&s);
    frame(&s, SL_LANE_CONTROL, SL_FRAME_GOODBYE, 0);
    fake_lost(s.fake, PEER);
    settle(&s);
    CHECK_INT(losses, 1);
    stage_close(&s);
}

/* Nothing of a message from it is given back any more. */
TEST(a_peer_may_be_lost_while_its_message_is_handled) {
    stage s = stage_open(0);
    fake_writer w;
    loses = PEER;
    fake_begin(&w, SL_LANE_DATA, s.sequence[SL_LANE_DATA]++);
    fake_record(&w, test_number_id, s.sink, 0, &(uint64_t){1}, 8);
    fake_frame(s.fake, PEER, w.frame, w.bytes);
    settle(&s);
    loses = 0;
    CHECK(numbers == 1 && losses == 1 && !sl_node_peer_alive(s.node, PEER));
    stage_close(&s);
}

TEST(room_at_nodes_that_are_not_spoken_to_is_told_at_once) {
    stage s = stage_open(0);
    sl_await_room(speaker, s.there);
    sl_await_room(speaker, (sl_addr){NODES + 7, SL_SLOT_FIRST_FREE, 0});
    settle(&s);
    CHECK_INT(rooms, 2);
    sl_node_peer_hold(s.node, PEER, false); /* it never was */
    sl_node_peer_lost(s.node, PEER);
    sl_node_peer_hold(s.node, PEER, true);
    sl_node_peer_ask(s.node, PEER);
    settle(&s);
    CHECK_INT(fake_posted(s.fake, PEER), 0);
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
    fake_frame(s.fake, 0, w.frame, w.bytes);     /* from the node itself */
    fake_frame(s.fake, NODES, w.frame, w.bytes); /* from beyond the network */
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

/* With a blob at its end that travels inside. */
TEST(a_message_cut_anywhere_does_not_decode) {
    uint8_t wire[256];
    size_t memory_bytes;
    const sl_record *record = &test_parcel_type.record;
    sl_blob *blob;
    CHECK_INT(sl_blob_copy("a blob", 6, &blob), SL_OK);
    test_parcel parcel = {.filler = {(const uint8_t *)"filler", 6}, .blob = blob};
    size_t bytes = sl_record_wire_bytes(record, &parcel);
    sl_blob_parts parts = {.count = 0};
    REQUIRE(bytes <= sizeof wire &&
            sl_record_encode(record, &parcel, wire, &parts) == wire + bytes);
    CHECK_INT(sl_record_measure(record, wire, bytes, &memory_bytes), SL_OK);
    for (size_t cut = 0; cut < bytes; cut++) {
        uint8_t *exact = malloc(cut + 1);
        REQUIRE(exact != NULL);
        memcpy(exact, wire, cut);
        CHECK_INT(sl_record_measure(record, exact, cut, &memory_bytes), SL_ERR_DECODE);
        free(exact);
    }
    sl_blob_release(blob);
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
