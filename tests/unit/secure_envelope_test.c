/* Envelopes: what was sealed opens for whom it was sealed, whole or streaming, and nothing else
 * does. */
#include "actors/secure/body.h"
#include "actors/secure/opener.h"
#include "tests/lib/sealing.h"

/* Made once: keys are many small maps of memory. */
typedef struct world {
    sl_identity *authority, *client, *node, *other;
    sl_trust *trust;
    sl_peer to_client, to_node, to_other;
    sl_sealer *sealer;
    sl_opener *opener;
} world;

static world *the_world(void) {
    static world w;
    if (w.authority)
        return &w;
    w.authority = sl_test_authority();
    w.client = sl_test_somebody(w.authority, SL_ROLE_CLIENT, "alice", "physics");
    w.node = sl_test_somebody(w.authority, SL_ROLE_NODE, "node-1", "");
    w.other = sl_test_somebody(w.authority, SL_ROLE_NODE, "node-2", "");
    w.trust = sl_test_trust(w.authority);
    w.to_client = sl_test_peer(w.trust, w.client);
    w.to_node = sl_test_peer(w.trust, w.node);
    w.to_other = sl_test_peer(w.trust, w.other);
    sl_test_need(sl_sealer_create(&w.sealer), "sealer");
    sl_test_need(sl_opener_create(&w.opener), "opener");
    return &w;
}

__attribute__((destructor)) static void end_the_world(void) {
    world *w = the_world();
    sl_sealer_destroy(w->sealer), sl_opener_destroy(w->opener);
    sl_trust_destroy(w->trust);
    sl_identity_destroy(w->authority), sl_identity_destroy(w->client);
    sl_identity_destroy(w->node), sl_identity_destroy(w->other);
}

static sl_seal_request seal_to(const world *w, const sl_peer *recipients, uint32_t count,
                               uint64_t body_bytes) {
    return (sl_seal_request){.sender = w->client,
                             .recipients = recipients,
                             .recipient_count = count,
                             .kind = SL_SEAL_TASK,
                             .body_bytes = body_bytes,
                             .now_s = SL_TEST_NOW_S,
                             .lifetime_s = 600,
                             .open_part = {"gpus 1", 6}};
}

static sl_open_request open_as(const world *w, const sl_identity *recipient) {
    return (sl_open_request){
        .recipient = recipient, .trust = w->trust, .kind = SL_SEAL_TASK, .now_s = SL_TEST_NOW_S};
}

/* A body of any size whose every byte depends on where it is. */
static void fill(uint8_t *body, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        body[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + 3);
}

static bool is_filled(const uint8_t *body, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (body[i] != (uint8_t)(i * 31 + (i >> 8) * 7 + 3))
            return false;
    return true;
}

/* The caller's. */
static uint8_t *seal(const sl_seal_request *request, size_t *size) {
    size_t body_at = 0;
    sl_test_need(sl_seal_layout(request, size, &body_at), "layout");
    uint8_t *bytes = malloc(*size);
    fill(bytes + body_at, request->body_bytes);
    sl_test_need(sl_seal_whole(the_world()->sealer, request, bytes), "seal");
    return bytes;
}

/* On a copy. What failed must not have left text behind. */
static sl_err open_copy(const uint8_t *bytes, size_t size, const sl_open_request *request,
                        size_t body_bytes) {
    uint8_t *copy = malloc(size ? size : 1), *body;
    size_t opened = 0;
    memcpy(copy, bytes, size);
    sl_err err = sl_open_whole(the_world()->opener, copy, size, request, NULL, &body, &opened);
    if (err == SL_OK && (opened != body_bytes || !is_filled(body, opened)))
        sl_test_fail(__FILE__, __LINE__, "another body was opened, of %zu bytes", opened);
    free(copy);
    return err;
}

static const sl_suite suites[] = {SL_SUITE_XCHACHA20_POLY1305, SL_SUITE_AES256_GCM};
enum { CHUNK = SL_CHUNK_LEAST_BYTES, EXTRA = 4 + SL_CHUNK_TAG_BYTES };

/* ---- what opens ---- */

TEST(every_size_opens_whole) {
    world *w = the_world();
    const size_t sizes[] = {0, 1, 15, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17};
    for (int suite = 0; suite < 2; suite++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t size;
            sl_seal_request request = seal_to(w, &w->to_node, 1, sizes[i]);
            sl_open_request as = open_as(w, w->node);
            request.suite = suites[suite];
            request.shared = i % 2;
            uint8_t *sealed = seal(&request, &size);
            CHECK_INT(open_copy(sealed, size, &as, sizes[i]), SL_OK);
            free(sealed);
        }
}

TEST(every_chunk_size_opens) {
    world *w = the_world();
    for (uint32_t chunk = SL_CHUNK_LEAST_BYTES; chunk <= SL_CHUNK_MOST_BYTES; chunk *= 2) {
        size_t size;
        sl_seal_request request = seal_to(w, &w->to_node, 1, 2 * (size_t)chunk + 5);
        sl_open_request as = open_as(w, w->node);
        request.chunk_bytes = chunk;
        uint8_t *sealed = seal(&request, &size);
        CHECK_INT(open_copy(sealed, size, &as, 2 * (size_t)chunk + 5), SL_OK);
        free(sealed);
    }
}

TEST(the_head_says_what_everybody_may_know) {
    world *w = the_world();
    size_t size, needed = 0;
    sl_envelope e;
    sl_peer sender;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 1000);
    request.runs = 3;
    uint8_t *sealed = seal(&request, &size);
    CHECK_INT(sl_envelope_measure(sealed, size, &needed), SL_OK);
    REQUIRE(sl_envelope_read(sealed, size, &e) == SL_OK);
    CHECK_INT(e.bytes, needed);
    CHECK_INT(e.kind, SL_SEAL_TASK);
    CHECK_INT(e.suite, sl_suite_best());
    CHECK_INT(e.runs, 3);
    CHECK_INT(e.body_bytes, 1000);
    CHECK_INT(e.created_s, SL_TEST_NOW_S);
    CHECK_INT(e.expires_s, SL_TEST_NOW_S + 600);
    CHECK_INT(e.shared, false);
    CHECK_INT(e.open_part.bytes, 6);
    CHECK(memcmp(e.open_part.data, "gpus 1", 6) == 0);
    CHECK(memcmp(e.id, sl_sealer_id(w->sealer), sizeof e.id) == 0);
    CHECK_INT(sl_envelope_check(&e, w->trust, SL_TEST_NOW_S, &sender), SL_OK);
    CHECK_STR(sender.certificate.name, "alice");
    CHECK_STR(sender.certificate.project, "physics");
    CHECK(sl_envelope_stanza(&e, w->node) != NULL);
    CHECK(sl_envelope_stanza(&e, w->other) == NULL);
    free(sealed);
}

TEST(two_envelopes_have_nothing_in_common) {
    world *w = the_world();
    size_t size;
    sl_envelope a, b;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 64);
    uint8_t *one = seal(&request, &size), *two = seal(&request, &size);
    REQUIRE(sl_envelope_read(one, size, &a) == SL_OK && sl_envelope_read(two, size, &b) == SL_OK);
    CHECK(memcmp(a.id, b.id, sizeof a.id) != 0);
    CHECK(memcmp(a.commitment, b.commitment, sizeof a.commitment) != 0);
    CHECK(memcmp(one + a.bytes + 4, two + b.bytes + 4, 64) != 0);
    free(one), free(two);
}

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
    sl_envelope e;
    sl_seal_request request = seal_to(w, &w->to_node, 1, CHUNK + 100);
    sl_open_request as = open_as(w, w->node);
    request.shared = true;
    uint8_t *sealed = seal(&request, &size), *opened = malloc(4 * CHUNK);
    REQUIRE(sl_envelope_read(sealed, size, &e) == SL_OK);
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
    sl_envelope e;
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

/* ---- what does not open ---- */

TEST(every_flipped_bit_fails) {
    world *w = the_world();
    for (int shared = 0; shared < 2; shared++) {
        size_t size;
        sl_seal_request request = seal_to(w, &w->to_node, 1, 40);
        sl_open_request as = open_as(w, w->node);
        request.shared = shared;
        uint8_t *sealed = seal(&request, &size);
        for (size_t at = 0; at < size; at++) {
            uint8_t bit = (uint8_t)(1u << (at % 8));
            sealed[at] ^= bit;
            if (open_copy(sealed, size, &as, 40) == SL_OK)
                sl_test_fail(__FILE__, __LINE__, "byte %zu of %zu may be changed", at, size);
            sealed[at] ^= bit;
        }
        CHECK_INT(open_copy(sealed, size, &as, 40), SL_OK);
        free(sealed);
    }
}

TEST(every_cut_fails) {
    world *w = the_world();
    size_t size;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 40);
    sl_open_request as = open_as(w, w->node);
    uint8_t *sealed = seal(&request, &size);
    for (size_t left = 0; left < size; left++)
        if (open_copy(sealed, left, &as, 40) == SL_OK)
            sl_test_fail(__FILE__, __LINE__, "%zu bytes of %zu are enough", left, size);
    free(sealed);
}

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
    sl_envelope e;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 2 * CHUNK + 7);
    b.bytes = seal(&request, &b.size);
    sl_test_need(sl_envelope_read(b.bytes, b.size, &e), "read");
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

TEST(only_recipients_open) {
    world *w = the_world();
    size_t size;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 40);
    sl_open_request as_other = open_as(w, w->other), as_sender = open_as(w, w->client);
    uint8_t *sealed = seal(&request, &size);
    CHECK_INT(open_copy(sealed, size, &as_other, 40), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "not sealed to this identity");
    CHECK_INT(open_copy(sealed, size, &as_sender, 40), SL_ERR_SEAL);
    /* Nor by calling a wrapped key one's own. */
    sl_envelope e;
    REQUIRE(sl_envelope_read(sealed, size, &e) == SL_OK);
    memcpy((uint8_t *)e.stanzas, w->to_other.key_id, SL_KEY_ID_BYTES);
    CHECK_INT(open_copy(sealed, size, &as_other, 40), SL_ERR_SEAL);
    free(sealed);
}

TEST(what_is_expected_must_be_so) {
    world *w = the_world();
    size_t size;
    uint8_t about[SL_ENVELOPE_ID_BYTES] = {1}, other[SL_ENVELOPE_ID_BYTES] = {2};
    sl_seal_request request = seal_to(w, &w->to_node, 1, 40);
    request.about = about;
    uint8_t *sealed = seal(&request, &size);
    const sl_open_request good = open_as(w, w->node);
    sl_open_request as = good;
    as.project = "physics", as.role = SL_ROLE_CLIENT, as.about = about;
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_OK);
    as = good, as.project = "chemistry";
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "project");
    as = good, as.role = SL_ROLE_NODE;
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_ERR_SEAL);
    as = good, as.about = other;
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_ERR_SEAL);
    as = good, as.kind = SL_SEAL_RESULT;
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_ERR_SEAL);
    as = good, as.now_s = SL_TEST_NOW_S + 600;
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "no longer valid");
    as = good, as.now_s = SL_TEST_NOW_S + 599;
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_OK);
    as = good, as.now_s = SL_TEST_NOW_S - 301; /* from the future, by more than clocks differ */
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_ERR_SEAL);
    as = good, as.now_s = SL_TEST_NOW_S - 300;
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_OK);
    free(sealed);
}

/* Somebody with a good certificate puts a body of his own under the head of another. */
TEST(a_head_cannot_be_given_another_body) {
    world *w = the_world();
    size_t size, mine_size;
    sl_envelope e, mine_e;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 40), mine = request;
    sl_open_request as = open_as(w, w->node);
    mine.sender = w->other;
    uint8_t *sealed = seal(&request, &size), *own = seal(&mine, &mine_size);
    REQUIRE(sl_envelope_read(sealed, size, &e) == SL_OK);
    REQUIRE(sl_envelope_read(own, mine_size, &mine_e) == SL_OK);
    CHECK_INT(size - e.bytes, mine_size - mine_e.bytes);
    memcpy(sealed + e.bytes, own + mine_e.bytes, size - e.bytes);
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_ERR_SEAL);
    memcpy((uint8_t *)e.stanzas, mine_e.stanzas, SL_STANZA_BYTES);
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "wrapped key");
    free(sealed), free(own);
}

/* ---- several recipients ---- */

TEST(a_group_opens_each_for_itself) {
    world *w = the_world();
    size_t size;
    const sl_peer group[] = {w->to_node, w->to_other};
    sl_seal_request request = seal_to(w, group, 2, CHUNK + 5);
    sl_open_request as_node = open_as(w, w->node), as_other = open_as(w, w->other);
    sl_open_request as_sender = open_as(w, w->client);
    uint8_t *sealed = seal(&request, &size);
    sl_envelope e;
    REQUIRE(sl_envelope_read(sealed, size, &e) == SL_OK);
    CHECK_INT(e.shared, true);
    CHECK_INT(open_copy(sealed, size, &as_node, CHUNK + 5), SL_OK);
    CHECK_INT(open_copy(sealed, size, &as_other, CHUNK + 5), SL_OK);
    CHECK_INT(open_copy(sealed, size, &as_sender, CHUNK + 5), SL_ERR_SEAL);
    free(sealed);
}

/* The owner alone can open at first; the node is chosen later. */
TEST(the_owner_adds_a_recipient_later) {
    world *w = the_world();
    size_t size;
    uint8_t stanza[SL_STANZA_BYTES];
    sl_envelope e;
    sl_seal_request request = seal_to(w, &w->to_client, 1, 40);
    sl_open_request as_node = open_as(w, w->node);
    request.shared = true;
    uint8_t *sealed = seal(&request, &size);
    CHECK_INT(open_copy(sealed, size, &as_node, 40), SL_ERR_SEAL);
    REQUIRE(sl_seal_add_recipient(sealed, size, w->client, &w->to_node, stanza) == SL_OK);
    /* Apart from the envelope … */
    as_node.stanza = stanza;
    CHECK_INT(open_copy(sealed, size, &as_node, 40), SL_OK);
    stanza[SL_KEY_ID_BYTES + 3] ^= 1;
    CHECK_INT(open_copy(sealed, size, &as_node, 40), SL_ERR_SEAL);
    stanza[SL_KEY_ID_BYTES + 3] ^= 1;
    as_node.stanza = NULL;
    /* … or within it. */
    REQUIRE(sl_envelope_read(sealed, size, &e) == SL_OK);
    uint8_t *added = malloc(size + SL_STANZA_BYTES);
    CHECK_INT(sl_envelope_append(sealed, size, stanza, added), SL_OK);
    memcpy(added + e.bytes + SL_STANZA_BYTES, sealed + e.bytes, size - e.bytes);
    CHECK_INT(open_copy(added, size + SL_STANZA_BYTES, &as_node, 40), SL_OK);
    /* Who cannot open cannot add. */
    CHECK_INT(sl_seal_add_recipient(sealed, size, w->other, &w->to_other, stanza), SL_ERR_SEAL);
    free(sealed), free(added);
}

TEST(a_key_is_wrapped_later_by_who_still_has_it) {
    world *w = the_world();
    size_t size;
    uint8_t stanza[SL_STANZA_BYTES];
    sl_seal_request request = seal_to(w, NULL, 0, 40);
    sl_open_request as_node = open_as(w, w->node);
    uint8_t *sealed = seal(&request, &size);
    CHECK_INT(sl_sealer_wrap(w->sealer, &w->to_node, stanza), SL_OK);
    as_node.stanza = stanza;
    CHECK_INT(open_copy(sealed, size, &as_node, 40), SL_OK);
    /* For one alone: nobody but the two may know the key of a body that is not signed. */
    CHECK_INT(sl_sealer_wrap(w->sealer, &w->to_other, stanza), SL_ERR_REFUSED);
    CHECK_INT(sl_sealer_wrap(w->sealer, &w->to_client, stanza), SL_OK);
    sl_sealer_end(w->sealer);
    CHECK_INT(sl_sealer_wrap(w->sealer, &w->to_node, stanza), SL_ERR_INVALID);
    CHECK_INT(sl_seal_add_recipient(sealed, size, w->client, &w->to_node, stanza), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), "seal it as shared");
    free(sealed);
}

/* The wrapped key with which anybody may begin: the head's hash is public, the node's key too. The
 * commitment in the signed head says that it is not the sender's. */
TEST(a_data_key_of_somebody_else_is_refused) {
    world *w = the_world();
    size_t size;
    sl_envelope e;
    uint8_t own_key[SL_DATA_KEY_BYTES] = {1}, stanza[SL_STANZA_BYTES];
    sl_seal_request request = seal_to(w, &w->to_node, 1, 40);
    sl_open_request as = open_as(w, w->node);
    uint8_t *sealed = seal(&request, &size);
    REQUIRE(sl_envelope_read(sealed, size, &e) == SL_OK);
    REQUIRE(sl_body_wrap(own_key, e.hash, &w->to_node, stanza) == SL_OK);
    as.stanza = stanza;
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "committed");
    free(sealed);
}

/* Puts another body of `bytes` into `sealed`, as one who has the data key can. */
static void forge_body(uint8_t *sealed, const sl_envelope *e, const sl_identity *insider,
                       size_t bytes) {
    sl_body forger = {0};
    uint8_t *at = sealed + e->bytes + 4;
    sl_test_need(sl_body_create(&forger), "forger");
    sl_test_need(sl_body_unwrap(e, insider, sl_envelope_stanza(e, insider), forger.data_key),
                 "unwrap");
    sl_test_need(sl_body_begin(&forger, e, true), "begin");
    fill(at, bytes);
    sl_test_need(sl_chunks_seal(forger.chunks, at, bytes, true, at, at + bytes), "forge");
    sl_body_destroy(&forger);
}

/* One recipient of a shared envelope seals another body with its data key for the rest: every chunk
 * of it opens, but the sender has not signed it. */
TEST(a_recipient_cannot_seal_another_body_for_the_rest) {
    world *w = the_world();
    size_t size, body_at;
    sl_envelope e;
    const sl_peer group[] = {w->to_node, w->to_other};
    sl_seal_request request = seal_to(w, group, 2, 40);
    sl_open_request as = open_as(w, w->node);
    sl_test_need(sl_seal_layout(&request, &size, &body_at), "layout");
    uint8_t *sealed = calloc(1, size); /* a body of zeros */
    sl_test_need(sl_seal_whole(w->sealer, &request, sealed), "seal");
    REQUIRE(sl_envelope_read(sealed, size, &e) == SL_OK);
    forge_body(sealed, &e, w->other, 40);
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "not the one its sender signed");
    free(sealed);
}

TEST(results_go_back_sealed) {
    world *w = the_world();
    size_t size;
    sl_envelope task;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 40);
    uint8_t *sealed = seal(&request, &size);
    sl_peer sender;
    REQUIRE(sl_envelope_read(sealed, size, &task) == SL_OK);
    REQUIRE(sl_envelope_check(&task, w->trust, SL_TEST_NOW_S, &sender) == SL_OK);
    /* The node knows from the task alone to whom the result goes. */
    sl_seal_request answer = seal_to(w, &sender, 1, 5000);
    answer.sender = w->node, answer.kind = SL_SEAL_RESULT, answer.about = task.id;
    size_t result_size;
    uint8_t *result = seal(&answer, &result_size);
    sl_open_request as = open_as(w, w->client);
    as.kind = SL_SEAL_RESULT, as.role = SL_ROLE_NODE, as.about = task.id;
    CHECK_INT(open_copy(result, result_size, &as, 5000), SL_OK);
    as.recipient = w->other;
    CHECK_INT(open_copy(result, result_size, &as, 5000), SL_ERR_SEAL);
    free(sealed), free(result);
}

TEST(an_encryption_key_that_was_renewed_twice_opens_nothing) {
    world *w = the_world();
    size_t size;
    sl_identity *node = sl_test_somebody(w->authority, SL_ROLE_NODE, "node-9", "");
    sl_peer to = sl_test_peer(w->trust, node);
    sl_seal_request request = seal_to(w, &to, 1, 40);
    sl_open_request as = open_as(w, node);
    uint8_t *sealed = seal(&request, &size);
    CHECK_INT(sl_identity_renew(node, SL_TEST_NOW_S, 3600), SL_OK);
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_OK);
    CHECK_INT(sl_identity_renew(node, SL_TEST_NOW_S, 3600), SL_OK);
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "no longer has");
    free(sealed);
    sl_identity_destroy(node);
}

/* ---- bad requests ---- */

TEST(requests_that_cannot_be_sealed) {
    world *w = the_world();
    const sl_seal_request good = seal_to(w, &w->to_node, 1, 40);
    sl_seal_request bad = good;
    size_t bytes;
    CHECK_INT(sl_seal_head_bytes(&good, &bytes), SL_OK);
    bad.chunk_bytes = 100000;
    CHECK_INT(sl_seal_head_bytes(&bad, &bytes), SL_ERR_INVALID);
    bad = good, bad.kind = 0;
    CHECK_INT(sl_seal_head_bytes(&bad, &bytes), SL_ERR_INVALID);
    bad = good, bad.lifetime_s = 0;
    CHECK_INT(sl_seal_head_bytes(&bad, &bytes), SL_ERR_INVALID);
    bad = good, bad.suite = 9;
    CHECK_INT(sl_seal_head_bytes(&bad, &bytes), SL_ERR_INVALID);
    bad = good, bad.open_part.bytes = SL_OPEN_PART_MOST_BYTES + 1;
    CHECK_INT(sl_seal_head_bytes(&bad, &bytes), SL_ERR_TOO_LARGE);
    bad = good, bad.recipient_count = SL_STANZAS_MOST + 1;
    CHECK_INT(sl_seal_head_bytes(&bad, &bytes), SL_ERR_TOO_LARGE);
    sl_identity *nobody;
    REQUIRE(sl_identity_create(&nobody) == SL_OK);
    bad = good, bad.sender = nobody;
    CHECK_INT(sl_seal_head_bytes(&bad, &bytes), SL_ERR_NOT_FOUND);
    sl_identity_destroy(nobody);
}

TEST(a_body_must_be_what_the_head_says) {
    world *w = the_world();
    uint8_t head[4096], record[4096], text[100] = {0};
    size_t bytes;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 40);
    REQUIRE(sl_seal_head_bytes(&request, &bytes) == SL_OK && bytes <= sizeof head);
    CHECK_INT(sl_sealer_chunk(w->sealer, text, 40, true, record), SL_ERR_INVALID);
    REQUIRE(sl_sealer_begin(w->sealer, &request, head) == SL_OK);
    CHECK_INT(sl_sealer_chunk(w->sealer, text, 40, false, record), SL_ERR_INVALID);
    CHECK_INT(sl_sealer_chunk(w->sealer, text, 41, true, record), SL_ERR_INVALID);
    CHECK_INT(sl_sealer_chunk(w->sealer, text, 39, true, record), SL_ERR_INVALID);
    CHECK_INT(sl_sealer_chunk(w->sealer, text, 40, true, record), SL_OK);
    CHECK_INT(sl_sealer_chunk(w->sealer, text, 0, true, record), SL_ERR_INVALID);
}

TEST(a_head_of_the_largest_size) {
    world *w = the_world();
    size_t size;
    static uint8_t most[SL_OPEN_PART_MOST_BYTES];
    sl_seal_request request = seal_to(w, &w->to_node, 1, 40);
    sl_open_request as = open_as(w, w->node);
    request.open_part = (sl_part){most, sizeof most};
    uint8_t *sealed = seal(&request, &size);
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_OK);
    free(sealed);
}
