/* Frames and bulk data as a broken or hostile peer would send them: never a crash, always counted,
 * the peer dropped where it broke the protocol, other peers untouched. */
#include "tests/lib/test.h"

#include "runtime/node.h"
#include "runtime/log.h"
#include "runtime/runtime_msgs.h"
#include "tests/lib/fake_transport.h"
#include "tests/lib/test_msgs.h"

enum { HOSTILE = 1, GOOD = 2, NODES = 3 };

typedef struct stage {
    fake_transport *fake;
    sl_node *node;
    sl_addr sink; /* counts what it gets */
    uint64_t good_sequence;
} stage;

static uint64_t numbers_from[8], parcels, blob_bytes, others, events;

static sl_err sink_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self, (void)state;
    if (message->type == &test_number_type) {
        CHECK(message->from.node < NODES);
        numbers_from[message->from.node % 8]++;
    } else if (message->type == &test_parcel_type) {
        const test_parcel *parcel = message->body;
        uint64_t sum = 0;
        for (uint32_t i = 0; i < parcel->filler.bytes; i++)
            sum += parcel->filler.data[i];
        parcels++;
        blob_bytes += parcel->blob ? parcel->blob->bytes : 0;
        CHECK(sum < UINT64_MAX);
    } else if (message->type->lane == SL_LANE_LOCAL) {
        events++;
    } else {
        sl_strbuf json;
        sl_strbuf_init(&json, 0);
        sl_record_json(&message->type->record, message->body, &json);
        sl_strbuf_fini(&json);
        others++;
    }
    return SL_OK;
}

static const sl_actor_class sink_class = {.name = "sink", .receive = sink_receive};

/* What a hostile peer makes a node say is not for the test's reader. */
static void quiet(void) {
    static FILE *nowhere;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_WARN});
}

static void stage_open(stage *s) {
    *s = (stage){.fake = fake_transport_create(NODES)};
    memset(numbers_from, 0, sizeof numbers_from);
    parcels = blob_bytes = others = events = 0;
    quiet();
    sl_node_options options = {.transport = fake_transport_base(s->fake),
                               .incarnation = 1,
                               .blob_window_bytes = 1 << 20,
                               .close_timeout_ns = 20000000};
    CHECK_INT(sl_node_create(&options, &s->node), SL_OK);
    CHECK_INT(sl_node_spawn(s->node, SL_SLOT_FIRST_FREE, &sink_class, NULL, 0, &s->sink), SL_OK);
}

static void settle(stage *s) {
    while (sl_node_turn(s->node)) {
    }
}

/* The good peer's messages arrive, whatever the other one did. */
static void check_good(stage *s) {
    fake_writer w;
    uint64_t before = numbers_from[GOOD];
    test_number number = {5};
    fake_begin(&w, SL_LANE_DATA, s->good_sequence++);
    fake_record(&w, test_number_id, s->sink, 0, &number, sizeof number);
    fake_frame(s->fake, GOOD, w.frame, w.bytes);
    settle(s);
    CHECK_INT(numbers_from[GOOD], before + 1);
    CHECK(sl_node_peer_alive(s->node, GOOD));
}

static void stage_close(stage *s) {
    check_good(s);
    sl_node_destroy(s->node);
    CHECK_INT(sl_blob_alive_bytes(), 0);
}

static int64_t decode_errors(const stage *s) {
    return sl_metric_value(sl_node_metrics(s->node), SL_METRIC_decode_errors);
}

static void hostile(stage *s, const fake_writer *w) {
    fake_frame(s->fake, HOSTILE, w->frame, w->bytes);
    settle(s);
}

/* ---- one fault each ---- */

static void number_frame(stage *s, fake_writer *w) {
    test_number number = {1};
    fake_begin(w, SL_LANE_DATA, 0);
    fake_record(w, test_number_id, s->sink, 0, &number, sizeof number);
    fake_record(w, test_number_id, s->sink, 0, &number, sizeof number);
}

static sl_record_head *record_of(fake_writer *w) {
    return (sl_record_head *)(void *)(w->frame + sizeof(sl_frame_head));
}

typedef void spoil(fake_writer *w);

/* clang-format off */
static void bad_magic(fake_writer *w) { fake_head(w)->magic ^= 1; }
static void bad_version(fake_writer *w) { fake_head(w)->version++; }
static void bad_lane(fake_writer *w) { fake_head(w)->lane = SL_LANE_LOCAL; }
static void bad_length(fake_writer *w) { fake_head(w)->bytes--; }
static void torn(fake_writer *w) { w->bytes -= 5; }
static void torn_and_patched(fake_writer *w) { w->bytes -= 8; fake_head(w)->bytes -= 8; }
static void shorter_than_a_head(fake_writer *w) { w->bytes = sizeof(sl_frame_head) - 1; }
static void empty(fake_writer *w) { w->bytes = 0; }
static void longer(fake_writer *w) { w->bytes += 8; fake_head(w)->bytes += 8; }
static void too_few_records(fake_writer *w) { fake_head(w)->records--; }
static void too_many_records(fake_writer *w) { fake_head(w)->records++; }
static void most_records(fake_writer *w) { fake_head(w)->records = UINT16_MAX; }
static void later_sequence(fake_writer *w) { fake_head(w)->sequence++; }
static void huge_body(fake_writer *w) { record_of(w)->body_bytes = UINT32_MAX; }
static void huge_body_7(fake_writer *w) { record_of(w)->body_bytes = UINT32_MAX - 7; }
static void credit_of_control(fake_writer *w) { fake_head(w)->consumed[SL_LANE_CONTROL] = 1; }
static void credit_of_data(fake_writer *w) { fake_head(w)->consumed[SL_LANE_DATA] = UINT64_MAX; }
static void credit_of_bulk(fake_writer *w) { fake_head(w)->consumed_bulk = 1; }
static void bulk_body_odd(fake_writer *w) { record_of(w)->flags = SL_RECORD_BULK_BODY; record_of(w)->body_bytes = 7; }
static void bulk_body_empty(fake_writer *w) { record_of(w)->flags = SL_RECORD_BULK_BODY; record_of(w)->body_bytes = 0; }
static void bulk_body_huge(fake_writer *w) { record_of(w)->flags = SL_RECORD_BULK_BODY; memset(record_of(w) + 1, 0xff, 8); }
/* clang-format on */

TEST(a_broken_frame_loses_its_peer) {
    spoil *const spoils[] = {
        bad_magic,         bad_version,         bad_lane,       bad_length,    torn,
        torn_and_patched,  shorter_than_a_head, empty,          longer,        too_few_records,
        too_many_records,  most_records,        later_sequence, huge_body,     huge_body_7,
        credit_of_control, credit_of_data,      credit_of_bulk, bulk_body_odd, bulk_body_empty,
        bulk_body_huge};
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        stage s;
        fake_writer w;
        stage_open(&s);
        sl_node_watch_peers(s.node, s.sink);
        number_frame(&s, &w);
        spoils[i](&w);
        hostile(&s, &w);
        CHECK(!sl_node_peer_alive(s.node, HOSTILE));
        CHECK(fake_abandoned(s.fake, HOSTILE));
        CHECK_INT(decode_errors(&s), 1);
        CHECK_INT(events, 1); /* node_peer_lost */
        test_number number = {1};
        sl_addr there = {HOSTILE, 16, 0};
        CHECK_INT(sl_node_send(s.node, there, &test_number_type, &number), SL_ERR_DEAD);
        stage_close(&s);
    }
}

TEST(a_replayed_frame_loses_its_peer) {
    stage s;
    fake_writer w;
    stage_open(&s);
    number_frame(&s, &w);
    hostile(&s, &w);
    CHECK_INT(numbers_from[HOSTILE], 2);
    CHECK(sl_node_peer_alive(s.node, HOSTILE));
    hostile(&s, &w);
    CHECK_INT(numbers_from[HOSTILE], 2);
    CHECK(!sl_node_peer_alive(s.node, HOSTILE));
    stage_close(&s);
}

TEST(another_incarnation_loses_its_peer) {
    stage s;
    fake_writer w;
    stage_open(&s);
    number_frame(&s, &w);
    hostile(&s, &w);
    fake_begin(&w, SL_LANE_DATA, 1);
    fake_head(&w)->incarnation = 2;
    hostile(&s, &w);
    CHECK(!sl_node_peer_alive(s.node, HOSTILE));
    stage_close(&s);
}

TEST(messages_after_goodbye_lose_the_peer) {
    stage s;
    fake_writer w;
    stage_open(&s);
    fake_begin(&w, SL_LANE_CONTROL, 0);
    fake_head(&w)->flags = SL_FRAME_GOODBYE;
    hostile(&s, &w);
    fake_begin(&w, SL_LANE_CONTROL, 1); /* credit may follow */
    hostile(&s, &w);
    CHECK_INT(decode_errors(&s), 0);
    number_frame(&s, &w);
    hostile(&s, &w);
    CHECK_INT(decode_errors(&s), 1);
    CHECK_INT(numbers_from[HOSTILE], 0);
    stage_close(&s);
}

TEST(credit_that_goes_back_loses_the_peer) {
    stage s;
    fake_writer w;
    stage_open(&s);
    test_number number = {1};
    CHECK_INT(sl_node_send(s.node, (sl_addr){HOSTILE, 16, 0}, &test_number_type, &number), SL_OK);
    settle(&s);
    CHECK_INT(fake_posted(s.fake, HOSTILE), 1);
    fake_begin(&w, SL_LANE_CONTROL, 0);
    fake_head(&w)->consumed[SL_LANE_DATA] = 32;
    hostile(&s, &w);
    CHECK(sl_node_peer_alive(s.node, HOSTILE));
    fake_begin(&w, SL_LANE_CONTROL, 1);
    fake_head(&w)->consumed[SL_LANE_DATA] = 31;
    hostile(&s, &w);
    CHECK(!sl_node_peer_alive(s.node, HOSTILE));
    stage_close(&s);
}

/* ---- messages that are only dropped ---- */

static void check_dropped(uint16_t type, sl_lane lane, const void *body, size_t bytes) {
    stage s;
    fake_writer w;
    stage_open(&s);
    test_number number = {1};
    fake_begin(&w, lane, 0);
    fake_record(&w, type, s.sink, 0, body, bytes);
    hostile(&s, &w);
    CHECK_INT(decode_errors(&s), 1);
    CHECK_INT(others + parcels + events, 0);
    fake_begin(&w, SL_LANE_DATA, lane == SL_LANE_DATA);
    fake_record(&w, test_number_id, s.sink, 0, &number, sizeof number);
    hostile(&s, &w);
    CHECK_INT(numbers_from[HOSTILE], 1); /* what follows arrives */
    stage_close(&s);
}

TEST(a_message_that_does_not_decode_is_dropped_alone) {
    uint64_t words[4] = {(uintptr_t)words, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    check_dropped(0xfefe, SL_LANE_DATA, words, 8); /* unknown */
    check_dropped(test_number_id, SL_LANE_CONTROL, words, 8);
    check_dropped(test_urgent_id, SL_LANE_DATA, words, 8);
    check_dropped(node_event_id, SL_LANE_CONTROL, words, 8); /* would be a pointer */
    check_dropped(node_event_id, SL_LANE_DATA, words, 8);
    check_dropped(node_timer_id, SL_LANE_CONTROL, words, 16);
    check_dropped(test_number_id, SL_LANE_DATA, words, 7);
    check_dropped(test_number_id, SL_LANE_DATA, words, 16);
    check_dropped(test_parcel_id, SL_LANE_DATA, words, 0);
    check_dropped(test_parcel_id, SL_LANE_DATA, words, sizeof words);
}

TEST(a_message_to_nobody_is_a_dead_letter) {
    stage s;
    fake_writer w;
    test_number number = {1};
    stage_open(&s);
    sl_addr nobody[] = {{0, 17, 0}, {0, 16, 1}, {0, UINT32_MAX, 0}, {0, 1 << 20, 0}};
    fake_begin(&w, SL_LANE_DATA, 0);
    for (int i = 0; i < 4; i++)
        fake_record(&w, test_number_id, nobody[i], 0, &number, sizeof number);
    hostile(&s, &w);
    CHECK_INT(sl_metric_value(sl_node_metrics(s.node), SL_METRIC_dead_letters), 4);
    CHECK(sl_node_peer_alive(s.node, HOSTILE));
    stage_close(&s);
}

/* ---- windows ---- */

TEST(a_peer_that_sends_beyond_the_window_is_lost) {
    stage s;
    fake_writer w;
    stage_open(&s);
    static uint8_t wire[1800];
    uint32_t length = 1700;
    memcpy(wire + 12, &length, 4);
    uint64_t frames = 0;
    /* Nobody handles them: no turn runs actors between these. The transport's poll takes them all.
     */
    for (; frames < 1000; frames++) {
        fake_begin(&w, SL_LANE_DATA, frames);
        fake_record(&w, test_parcel_id, s.sink, 0, wire, 12 + 4 + 1700 + 1);
        fake_frame(s.fake, HOSTILE, w.frame, w.bytes);
    }
    sl_channels_poll(s.node);
    CHECK(sl_node_peer_alive(s.node, HOSTILE)); /* 64 at a time: still within 1 MiB */
    for (int i = 0; i < 1000; i++)              /* one by one, while so many wait */
        sl_channels_poll(s.node);
    CHECK(!sl_node_peer_alive(s.node, HOSTILE));
    CHECK(sl_node_loads(s.node).messages <= (1 << 20) / 1700);
    settle(&s);
    stage_close(&s);
}

static size_t parcel_wire(uint8_t *out, uint64_t sequence, uint64_t id, uint64_t bytes) {
    memset(out, 0, 64);
    memcpy(out, &sequence, 8);
    out[16] = 2; /* a blob that comes as a transfer */
    memcpy(out + 17, &id, 8);
    memcpy(out + 25, &bytes, 8);
    return 33;
}

static void announce(stage *s, uint64_t sequence, sl_addr to, uint64_t id, uint64_t bytes) {
    fake_writer w;
    uint8_t wire[64];
    size_t wire_bytes = parcel_wire(wire, sequence, id, bytes);
    fake_begin(&w, SL_LANE_DATA, sequence);
    fake_record(&w, test_parcel_id, to, 0, wire, wire_bytes);
    hostile(s, &w);
}

TEST(bulk_data_beyond_the_window_loses_the_peer) {
    stage s;
    stage_open(&s);
    announce(&s, 0, s.sink, 0, 3 << 20); /* alone it may be larger than the window */
    CHECK(sl_node_peer_alive(s.node, HOSTILE));
    announce(&s, 1, s.sink, 1, 5000);
    CHECK(!sl_node_peer_alive(s.node, HOSTILE));
    CHECK_INT(parcels, 0);
    stage_close(&s);
}

TEST(bulk_data_out_of_order_or_over_the_bound_loses_the_peer) {
    for (int i = 0; i < 3; i++) {
        stage s;
        stage_open(&s);
        announce(&s, 0, s.sink, i == 0 ? 1 : 0, i == 1 ? SL_BLOB_MAX_BYTES + 1 : 5000);
        CHECK(sl_node_peer_alive(s.node, HOSTILE) == (i > 0)); /* 1 does not decode */
        if (i == 2)
            announce(&s, 1, s.sink, 0, 5000); /* again the same */
        CHECK(sl_node_peer_alive(s.node, HOSTILE) == (i == 1));
        CHECK_INT(parcels, 0);
        stage_close(&s);
    }
}

TEST(bulk_data_of_a_lost_or_dead_receiver_is_thrown_away) {
    stage s;
    sl_blob *blob;
    stage_open(&s);
    announce(&s, 0, (sl_addr){0, 999, 9}, 0, 5000);
    announce(&s, 1, s.sink, 1, 6000);
    CHECK_INT(sl_blob_create(6000, &blob), SL_OK);
    fake_bulk(s.fake, HOSTILE, 1, blob);
    CHECK_INT(sl_blob_create(5000, &blob), SL_OK);
    fake_bulk(s.fake, HOSTILE, 0, blob);
    settle(&s);
    CHECK_INT(parcels, 1);
    CHECK_INT(blob_bytes, 6000);
    CHECK(fake_posted(s.fake, HOSTILE) > 0); /* both given back, as bulk credit */
    CHECK_INT(fake_last(s.fake, HOSTILE)->consumed_bulk, 11000 + 2 * SL_TRANSFER_WEIGHT);
    announce(&s, 2, s.sink, 2, 7000);
    fake_bulk(s.fake, HOSTILE, 2, NULL); /* it failed */
    settle(&s);
    CHECK(!sl_node_peer_alive(s.node, HOSTILE));
    stage_close(&s);
}

TEST(nothing_behind_a_message_that_will_never_be_whole_is_delivered) {
    stage s;
    fake_writer w;
    test_number number = {1};
    stage_open(&s);
    announce(&s, 0, s.sink, 0, 5000); /* its blob does not come */
    fake_begin(&w, SL_LANE_DATA, 1);
    fake_record(&w, test_number_id, s.sink, 0, &number, sizeof number);
    hostile(&s, &w);
    settle(&s);
    CHECK_INT(numbers_from[HOSTILE], 0);
    sl_node_peer_lost(s.node, HOSTILE);
    settle(&s);
    CHECK_INT(parcels, 0);
    CHECK_INT(numbers_from[HOSTILE], 0);
    stage_close(&s);
}

/* ---- bodies that come as bulk data ---- */

static void send_bulk_body(stage *s, const uint8_t *wire, size_t bytes, const uint64_t *blobs,
                           uint32_t blob_count) {
    fake_writer w;
    uint64_t sizes[5] = {bytes};
    sl_blob *blob;
    memcpy(sizes + 1, blobs, blob_count * sizeof *blobs);
    fake_begin(&w, SL_LANE_DATA, 0);
    fake_record(&w, test_parcel_id, s->sink, SL_RECORD_BULK_BODY, sizes, 8 + 8 * blob_count);
    hostile(s, &w);
    CHECK_INT(sl_blob_copy(wire, bytes, &blob), SL_OK);
    fake_bulk(s->fake, HOSTILE, 0, blob);
    for (uint32_t i = 0; i < blob_count; i++) {
        CHECK_INT(sl_blob_create(blobs[i], &blob), SL_OK);
        memset(blob->data, 0, blobs[i]);
        fake_bulk(s->fake, HOSTILE, 1 + i, blob);
    }
    settle(s);
}

TEST(a_bulk_body_is_checked_like_any_other) {
    uint8_t wire[64];
    uint64_t blobs[] = {4000, 5000};
    for (int i = 0; i < 5; i++) {
        stage s;
        stage_open(&s);
        size_t bytes = parcel_wire(wire, 1, i == 1 ? 0 : i == 2 ? 3 : 1, 4000);
        if (i == 3)
            bytes--;
        send_bulk_body(&s, wire, bytes, blobs, i == 4 ? 2 : 1);
        bool fine = i == 0 || i == 4; /* 4: one blob too many, which nobody names */
        CHECK_INT(parcels, fine);
        CHECK_INT(blob_bytes, fine ? 4000 : 0);
        CHECK_INT(decode_errors(&s), !fine);
        CHECK(sl_node_peer_alive(s.node, HOSTILE));
        stage_close(&s);
    }
}

TEST(transfers_wait_for_a_transport_that_has_too_many) {
    stage s;
    sl_blob *blob;
    stage_open(&s);
    fake_bulk_limit(s.fake, 3);
    test_parcel parcel = {.sequence = 1};
    CHECK_INT(sl_blob_create(5000, &parcel.blob), SL_OK);
    for (int i = 0; i < 7; i++)
        CHECK_INT(sl_node_send(s.node, (sl_addr){GOOD, 16, 0}, &test_parcel_type, &parcel), SL_OK);
    sl_blob_release(parcel.blob);
    for (uint64_t i = 0; i < 5; i++)
        announce(&s, i, s.sink, i, 5000);
    uint64_t id, bytes;
    CHECK(!fake_expected(s.fake, HOSTILE, &id, &bytes));
    for (int i = 0; i < 20; i++) {
        fake_bulk_sent(s.fake);
        if (fake_expected(s.fake, HOSTILE, &id, &bytes)) {
            CHECK_INT(sl_blob_create(bytes, &blob), SL_OK);
            fake_bulk(s.fake, HOSTILE, id, blob);
        }
        settle(&s);
    }
    CHECK_INT(parcels, 5);
    stage_close(&s);
}

/* ---- the end, as seen by a peer ---- */

static void say_goodbye(stage *s, uint32_t peer, uint64_t sequence) {
    fake_writer w;
    fake_begin(&w, SL_LANE_CONTROL, sequence);
    fake_head(&w)->flags = SL_FRAME_GOODBYE;
    fake_frame(s->fake, peer, w.frame, w.bytes);
}

TEST(goodbye_comes_after_all_that_was_sent) {
    stage s;
    fake_writer w;
    test_number number = {1};
    stage_open(&s);
    uint64_t sent = 0;
    while (sl_node_send(s.node, (sl_addr){GOOD, 16, 0}, &test_number_type, &number) == SL_OK)
        sent++;
    CHECK(sent * 32 > 1 << 20); /* more than its window takes without credit */
    sl_node_stop(s.node, 0);
    settle(&s);
    sl_node_turn(s.node);
    CHECK_INT(fake_last(s.fake, GOOD)->flags, 0);
    CHECK_INT(fake_last(s.fake, HOSTILE)->flags, SL_FRAME_GOODBYE);
    uint64_t posted = fake_posted(s.fake, GOOD);
    fake_begin(&w, SL_LANE_CONTROL, 0);
    fake_head(&w)->consumed[SL_LANE_DATA] = 32 * 1000;
    fake_frame(s.fake, GOOD, w.frame, w.bytes);
    settle(&s);
    CHECK(fake_posted(s.fake, GOOD) > posted);
    for (uint64_t i = 1; i < 3; i++) { /* as much as may be on its way, twice */
        fake_head(&w)->sequence = i;
        fake_head(&w)->consumed[SL_LANE_DATA] += (1 << 20) - 48 * 600;
        fake_frame(s.fake, GOOD, w.frame, w.bytes);
        settle(&s);
        sl_node_turn(s.node);
    }
    CHECK_INT(fake_last(s.fake, GOOD)->flags, SL_FRAME_GOODBYE);
    CHECK_INT(sl_node_loads(s.node).queued_bytes, 0);
    sl_node_destroy(s.node);
}

TEST(a_node_does_not_close_over_bulk_data_on_its_way) {
    for (int arrives = 0; arrives < 2; arrives++) {
        stage s;
        sl_blob *blob;
        stage_open(&s);
        announce(&s, 0, s.sink, 0, 5000);
        say_goodbye(&s, HOSTILE, 0);
        say_goodbye(&s, GOOD, 0);
        CHECK_INT(sl_blob_create(5000, &blob), SL_OK);
        if (arrives)
            fake_bulk(s.fake, HOSTILE, 0, blob);
        else
            sl_blob_release(blob);
        sl_node_stop(s.node, 0);
        CHECK_INT(sl_node_run(s.node, NULL), arrives ? SL_OK : SL_ERR_TIMEOUT);
        if (!arrives)
            CHECK_STR(sl_err_detail(), "at the end no goodbye came from node 1");
        sl_node_destroy(s.node);
        CHECK_INT(sl_blob_alive_bytes(), 0);
    }
}

/* ---- at random ---- */

static void random_body(sl_rng *rng, fake_writer *w, const stage *s) {
    const sl_message_type *types[64];
    size_t count = sl_message_types(types, 64);
    const sl_message_type *type = types[sl_rng_below(rng, count < 64 ? count : 64)];
    uint8_t wire[FAKE_FRAME_BYTES];
    void *body = sl_record_generate(&type->record, rng);
    size_t bytes = body ? sl_record_wire_bytes(&type->record, body) : 0;
    sl_blob_parts parts = {.count = 0, .next_id = sl_rng_below(rng, 3)};
    if (bytes > 0 && bytes + 200 < sizeof wire - w->bytes) {
        sl_record_encode(&type->record, body, wire, &parts);
        fake_record(w, type->id, sl_rng_below(rng, 10) ? s->sink : SL_NO_ADDR,
                    !sl_rng_below(rng, 20), wire, bytes);
    }
    if (body)
        sl_record_release(&type->record, body);
    free(body);
}

static void spoil_at_random(sl_rng *rng, fake_writer *w) {
    switch (sl_rng_below(rng, 4)) {
    case 0:
        w->bytes = sl_rng_below(rng, w->bytes + 1);
        break;
    case 1:
        for (uint64_t i = sl_rng_below(rng, 8); i > 0; i--)
            w->frame[sl_rng_below(rng, w->bytes)] ^= (uint8_t)(1u << sl_rng_below(rng, 8));
        break;
    case 2: /* behind the head only, which then is believed */
        for (uint64_t i = sl_rng_below(rng, 8); i > 0 && w->bytes > sizeof(sl_frame_head); i--)
            w->frame[sizeof(sl_frame_head) + sl_rng_below(rng, w->bytes - sizeof(sl_frame_head))] =
                (uint8_t)sl_rng_u64(rng);
        break;
    default:
        break;
    }
}

static void serve_bulk(stage *s, sl_rng *rng) {
    uint64_t id, bytes;
    sl_blob *blob;
    if (!fake_expected(s->fake, HOSTILE, &id, &bytes) || bytes > 1 << 20 || sl_rng_below(rng, 2))
        return;
    CHECK_INT(sl_blob_create(bytes, &blob), SL_OK);
    memset(blob->data, (int)sl_rng_below(rng, 3), bytes);
    fake_bulk(s->fake, HOSTILE, id, blob);
}

static void attack(uint64_t seed) {
    stage s;
    sl_rng rng;
    stage_open(&s);
    sl_rng_seed(&rng, seed);
    uint64_t sequence[SL_LANES] = {0, 0};
    for (int i = 0; i < 40 && sl_node_peer_alive(s.node, HOSTILE); i++) {
        fake_writer w;
        sl_lane lane = (sl_lane)sl_rng_below(&rng, SL_LANES);
        fake_begin(&w, lane, sequence[lane]++);
        for (uint64_t n = sl_rng_below(&rng, 4); n > 0; n--)
            random_body(&rng, &w, &s);
        if (!sl_rng_below(&rng, 3))
            spoil_at_random(&rng, &w);
        hostile(&s, &w);
        serve_bulk(&s, &rng);
        settle(&s);
    }
    stage_close(&s);
}

TEST(random_frames) {
    for (uint64_t seed = 1; seed <= 1500; seed++)
        attack(seed);
}
