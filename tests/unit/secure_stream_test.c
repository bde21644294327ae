/* Bodies of envelopes as streams and as chunks: cut, longer, out of order, mixed. */
#include "tests/lib/sealed.h"

/* ---- streaming ---- */

/* Feeds in pieces of `in_step` with room for `out_step` at a time. */
static size_t stream_seal(world *w, const uint8_t *body, size_t bytes, size_t in_step,
                          size_t out_step, uint8_t *to) {
    size_t taken = 0, made = 0;
    sl_flow flow = {0};
    for (int turns = 0; !flow.done && turns < 10000000; turns++) {
        size_t some = bytes - taken < in_step ? bytes - taken : in_step;
        sl_test_need(sl_sealer_feed(w->sealer, body + taken, some, taken + some == bytes, to + made,
                                    out_step, &flow),
                     "feed");
        taken += flow.taken;
        made += flow.made;
    }
    CHECK_INT(taken, bytes);
    return made;
}

static sl_err stream_open(world *w, const uint8_t *sealed, size_t bytes, size_t in_step,
                          size_t out_step, uint8_t *to, size_t *made) {
    size_t taken = 0;
    sl_flow flow = {0};
    *made = 0;
    while (!flow.done) {
        size_t some = bytes - taken < in_step ? bytes - taken : in_step;
        SL_TRY(sl_opener_feed(w->opener, sealed + taken, some, taken + some == bytes, to + *made,
                              out_step, &flow));
        taken += flow.taken;
        *made += flow.made;
    }
    CHECK_INT(taken, bytes);
    return SL_OK;
}

static void stream_there_and_back(size_t bytes, bool shared, size_t in_step, size_t out_step) {
    world *w = the_world();
    size_t head_bytes, made, room = bytes + 4096;
    sl_seal_request request = seal_to(w, &w->to_node, 1, SL_BODY_UNKNOWN);
    sl_open_request as = open_as(w, w->node);
    request.shared = shared;
    sl_test_need(sl_seal_head_bytes(&request, &head_bytes), "head");
    uint8_t *head = malloc(head_bytes), *body = malloc(bytes + 1),
            *sealed = malloc(room + out_step);
    uint8_t *opened = malloc(bytes + out_step);
    fill(body, bytes);
    sl_test_need(sl_sealer_begin(w->sealer, &request, head), "begin");
    size_t sealed_bytes = stream_seal(w, body, bytes, in_step, out_step, sealed);
    size_t chunks = bytes ? (bytes + CHUNK - 1) / CHUNK : 1;
    CHECK_INT(sealed_bytes, bytes + chunks * EXTRA + (shared ? SL_SIGNATURE_BYTES : 0));
    CHECK_INT(sl_opener_begin(w->opener, head, head_bytes, &as, NULL, NULL), SL_OK);
    CHECK_INT(stream_open(w, sealed, sealed_bytes, out_step, in_step, opened, &made), SL_OK);
    CHECK_INT(made, bytes);
    CHECK(memcmp(opened, body, bytes) == 0);
    free(head), free(body), free(sealed), free(opened);
}

TEST(streams_of_every_size_and_step) {
    const size_t sizes[] = {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 99};
    const size_t steps[] = {997, CHUNK - 3, CHUNK, CHUNK + EXTRA, 200000, 1 << 20};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
            for (size_t o = 0; o < sizeof steps / sizeof *steps; o++)
                stream_there_and_back(sizes[s], (s + i + o) % 2, steps[i], steps[o]);
    stream_there_and_back(CHUNK + 10, true, 1, 1);
}

TEST(a_cut_or_longer_stream_fails) {
    world *w = the_world();
    size_t size, made;
    sl_seal_head e;
    sl_seal_request request = seal_to(w, &w->to_node, 1, CHUNK + 100);
    sl_open_request as = open_as(w, w->node);
    request.shared = true;
    uint8_t *sealed = seal(&request, &size), *opened = malloc(4 * CHUNK);
    REQUIRE(sl_seal_head_read(sealed, size, &e) == SL_OK);
    uint8_t *longer = malloc(size + 1);
    memcpy(longer, sealed, size), longer[size] = 0;
    for (size_t cut = 1; cut < size - e.bytes; cut += cut < 300 ? 1 : 1777) {
        CHECK_INT(sl_opener_begin(w->opener, sealed, size, &as, NULL, NULL), SL_OK);
        CHECK_INT(
            stream_open(w, sealed + e.bytes, size - e.bytes - cut, 50000, 4 * CHUNK, opened, &made),
            SL_ERR_SEAL);
        CHECK_CONTAINS(sl_err_detail(), "cut");
    }
    CHECK_INT(sl_opener_begin(w->opener, sealed, size, &as, NULL, NULL), SL_OK);
    CHECK_INT(
        stream_open(w, longer + e.bytes, size + 1 - e.bytes, 4 * CHUNK, 4 * CHUNK, opened, &made),
        SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "follow the end");
    free(sealed), free(opened), free(longer);
}

TEST(after_a_failure_nothing_more_opens) {
    world *w = the_world();
    size_t size, bytes;
    bool last;
    sl_seal_head e;
    sl_flow flow;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 3 * CHUNK);
    sl_open_request as = open_as(w, w->node);
    uint8_t *sealed = seal(&request, &size), *to = malloc(CHUNK);
    REQUIRE(sl_opener_begin(w->opener, sealed, size, &as, &e, NULL) == SL_OK);
    const uint8_t *first = sealed + e.bytes, *second = first + CHUNK + EXTRA;
    CHECK_INT(sl_opener_chunk(w->opener, second, CHUNK + EXTRA, to, &bytes, &last), SL_ERR_SEAL);
    CHECK_INT(to[0] | to[CHUNK / 2] | to[CHUNK - 1], 0);
    CHECK_INT(sl_opener_chunk(w->opener, first, CHUNK + EXTRA, to, &bytes, &last), SL_ERR_INVALID);
    CHECK_INT(sl_opener_feed(w->opener, first, CHUNK, false, to, CHUNK, &flow), SL_ERR_INVALID);
    /* Nor is what was done before taken for this one. */
    REQUIRE(sl_opener_begin(w->opener, sealed, size, &as, NULL, NULL) == SL_OK);
    as.now_s += 10000;
    CHECK_INT(sl_opener_begin(w->opener, sealed, size, &as, NULL, NULL), SL_ERR_SEAL);
    CHECK_INT(sl_opener_feed(w->opener, first, CHUNK, false, to, CHUNK, &flow), SL_ERR_INVALID);
    free(sealed), free(to);
}

/* ---- order ---- */

/* Whole chunks taken out, doubled, swapped, added, taken from another envelope of the same sender;
 * with lengths known to the head and not. */
typedef struct body {
    uint8_t *bytes;
    size_t size;
    const uint8_t *records[3]; /* of 3 chunks: CHUNK, CHUNK, 7 */
} body;

static const size_t record_bytes[] = {CHUNK + EXTRA, CHUNK + EXTRA, 7 + EXTRA};

static body sealed_body(world *w) {
    body b;
    sl_seal_head e;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 2 * CHUNK + 7);
    b.bytes = seal(&request, &b.size);
    sl_test_need(sl_seal_head_read(b.bytes, b.size, &e), "read");
    b.records[0] = b.bytes + e.bytes;
    b.records[1] = b.records[0] + record_bytes[0];
    b.records[2] = b.records[1] + record_bytes[1];
    return b;
}

/* `order`: digits are records of `b`, letters those of `other`. */
static sl_err open_in_order(world *w, const body *b, const body *other, const char *order) {
    size_t head = (size_t)(b->records[0] - b->bytes), size = head;
    uint8_t *bytes = malloc(head + 8 * (CHUNK + EXTRA));
    sl_open_request as = open_as(w, w->node);
    memcpy(bytes, b->bytes, head);
    for (; *order; order++) {
        const body *from = *order >= 'a' ? other : b;
        int i = *order >= 'a' ? *order - 'a' : *order - '0';
        memcpy(bytes + size, from->records[i], record_bytes[i]);
        size += record_bytes[i];
    }
    sl_err err = open_copy(bytes, size, &as, 2 * CHUNK + 7);
    free(bytes);
    return err;
}

TEST(chunks_open_in_their_own_order_alone) {
    world *w = the_world();
    body b = sealed_body(w), other = sealed_body(w);
    const char *const wrong[] = {"",    "0",   "1",   "2",    "01",    "02",   "12",  "102",
                                 "021", "002", "112", "0012", "0112",  "0122", "210", "a12",
                                 "0b2", "01c", "abc", "012c", "01201", "20",   "0102"};
    CHECK_INT(open_in_order(w, &b, &other, "012"), SL_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (open_in_order(w, &b, &other, wrong[i]) == SL_OK)
            sl_test_fail(__FILE__, __LINE__, "chunks in the order %s open", wrong[i]);
    free(b.bytes), free(other.bytes);
}

/* The same without a length in the head, where only the last flag says where a body ends. */
TEST(a_chunk_cannot_be_made_the_last) {
    world *w = the_world();
    size_t head_bytes, bytes;
    bool last;
    sl_seal_request request = seal_to(w, &w->to_node, 1, SL_BODY_UNKNOWN);
    sl_open_request as = open_as(w, w->node);
    sl_test_need(sl_seal_head_bytes(&request, &head_bytes), "head");
    uint8_t *head = malloc(head_bytes), *record = malloc(CHUNK + EXTRA), *to = calloc(1, CHUNK);
    sl_test_need(sl_sealer_begin(w->sealer, &request, head), "begin");
    CHECK_INT(sl_sealer_chunk(w->sealer, to, CHUNK, false, record), SL_OK);
    record[3] |= 0x80;
    CHECK_INT(sl_opener_begin(w->opener, head, head_bytes, &as, NULL, NULL), SL_OK);
    CHECK_INT(sl_opener_chunk(w->opener, record, CHUNK + EXTRA, to, &bytes, &last), SL_ERR_SEAL);
    free(head), free(record), free(to);
}
