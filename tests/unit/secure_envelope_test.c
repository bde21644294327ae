/* Envelopes: what was sealed opens for whom it was sealed, and nothing else does. */
#include "actors/secure/body.h"
#include "tests/lib/sealed.h"

static const sl_suite suites[] = {SL_SUITE_XCHACHA20_POLY1305, SL_SUITE_AES256_GCM};

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
    sl_seal_head e;
    sl_peer sender;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 1000);
    request.runs = 3;
    uint8_t *sealed = seal(&request, &size);
    CHECK_INT(sl_seal_head_measure(sealed, size, &needed), SL_OK);
    REQUIRE(sl_seal_head_read(sealed, size, &e) == SL_OK);
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
    CHECK_INT(sl_seal_head_check(&e, w->trust, SL_TEST_NOW_S, &sender), SL_OK);
    CHECK_STR(sender.certificate.name, "alice");
    CHECK_STR(sender.certificate.project, "physics");
    CHECK(sl_seal_head_stanza(&e, w->node) != NULL);
    CHECK(sl_seal_head_stanza(&e, w->other) == NULL);
    free(sealed);
}

TEST(two_envelopes_have_nothing_in_common) {
    world *w = the_world();
    size_t size;
    sl_seal_head a, b;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 64);
    uint8_t *one = seal(&request, &size), *two = seal(&request, &size);
    REQUIRE(sl_seal_head_read(one, size, &a) == SL_OK && sl_seal_head_read(two, size, &b) == SL_OK);
    CHECK(memcmp(a.id, b.id, sizeof a.id) != 0);
    CHECK(memcmp(a.commitment, b.commitment, sizeof a.commitment) != 0);
    CHECK(memcmp(one + a.bytes + 4, two + b.bytes + 4, 64) != 0);
    free(one), free(two);
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
    sl_seal_head e;
    REQUIRE(sl_seal_head_read(sealed, size, &e) == SL_OK);
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
    sl_seal_head e, mine_e;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 40), mine = request;
    sl_open_request as = open_as(w, w->node);
    mine.sender = w->other;
    uint8_t *sealed = seal(&request, &size), *own = seal(&mine, &mine_size);
    REQUIRE(sl_seal_head_read(sealed, size, &e) == SL_OK);
    REQUIRE(sl_seal_head_read(own, mine_size, &mine_e) == SL_OK);
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
    sl_seal_head e;
    REQUIRE(sl_seal_head_read(sealed, size, &e) == SL_OK);
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
    sl_seal_head e;
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
    REQUIRE(sl_seal_head_read(sealed, size, &e) == SL_OK);
    uint8_t *added = malloc(size + SL_STANZA_BYTES);
    CHECK_INT(sl_seal_head_append(sealed, size, stanza, added), SL_OK);
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
    sl_seal_head e;
    uint8_t own_key[SL_DATA_KEY_BYTES] = {1}, stanza[SL_STANZA_BYTES];
    sl_seal_request request = seal_to(w, &w->to_node, 1, 40);
    sl_open_request as = open_as(w, w->node);
    uint8_t *sealed = seal(&request, &size);
    REQUIRE(sl_seal_head_read(sealed, size, &e) == SL_OK);
    REQUIRE(sl_body_wrap(own_key, e.hash, &w->to_node, stanza) == SL_OK);
    as.stanza = stanza;
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "committed");
    free(sealed);
}

/* Puts another body of `bytes` into `sealed`, as one who has the data key can. */
static void forge_body(uint8_t *sealed, const sl_seal_head *e, const sl_identity *insider,
                       size_t bytes) {
    sl_body forger = {0};
    uint8_t *at = sealed + e->bytes + 4;
    sl_test_need(sl_body_create(&forger), "forger");
    sl_test_need(sl_body_unwrap(e, insider, sl_seal_head_stanza(e, insider), forger.data_key),
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
    sl_seal_head e;
    const sl_peer group[] = {w->to_node, w->to_other};
    sl_seal_request request = seal_to(w, group, 2, 40);
    sl_open_request as = open_as(w, w->node);
    sl_test_need(sl_seal_layout(&request, &size, &body_at), "layout");
    uint8_t *sealed = calloc(1, size); /* a body of zeros */
    sl_test_need(sl_seal_whole(w->sealer, &request, sealed), "seal");
    REQUIRE(sl_seal_head_read(sealed, size, &e) == SL_OK);
    forge_body(sealed, &e, w->other, 40);
    CHECK_INT(open_copy(sealed, size, &as, 40), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "not the one its sender signed");
    free(sealed);
}

TEST(results_go_back_sealed) {
    world *w = the_world();
    size_t size;
    sl_seal_head task;
    sl_seal_request request = seal_to(w, &w->to_node, 1, 40);
    uint8_t *sealed = seal(&request, &size);
    sl_peer sender;
    REQUIRE(sl_seal_head_read(sealed, size, &task) == SL_OK);
    REQUIRE(sl_seal_head_check(&task, w->trust, SL_TEST_NOW_S, &sender) == SL_OK);
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
