/* The replay window. */
#include "actors/secure/opener.h"
#include "actors/secure/replay.h"
#include "tests/lib/sealing.h"

static const uint8_t alice[SL_PUBLIC_KEY_BYTES] = {1}, bob[SL_PUBLIC_KEY_BYTES] = {2};

static sl_seal_head envelope(uint32_t number, uint8_t runs, uint64_t expires_s) {
    sl_seal_head e = {.runs = runs, .expires_s = expires_s};
    memcpy(e.id, &number, sizeof number);
    return e;
}

TEST(an_envelope_is_taken_as_often_as_it_may_be) {
    sl_replay *replay;
    REQUIRE(sl_replay_create(100, &replay) == SL_OK);
    sl_seal_head once = envelope(1, 1, 100), thrice = envelope(2, 3, 100);
    CHECK_INT(sl_replay_check(replay, &once, alice), SL_OK);
    CHECK_INT(sl_replay_take(replay, &once, alice, 0), SL_OK);
    CHECK_INT(sl_replay_check(replay, &once, alice), SL_ERR_SEAL);
    CHECK_INT(sl_replay_take(replay, &once, alice, 0), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "a replay");
    CHECK_INT(sl_replay_take(replay, &once, bob, 0), SL_OK); /* another's with the same id */
    for (int i = 0; i < 3; i++)
        CHECK_INT(sl_replay_take(replay, &thrice, alice, 0), SL_OK);
    CHECK_INT(sl_replay_take(replay, &thrice, alice, 0), SL_ERR_SEAL);
    sl_replay_destroy(replay);
}

TEST(a_full_window_refuses_for_now_and_forgets_what_expired) {
    sl_replay *replay;
    REQUIRE(sl_replay_create(90, &replay) == SL_OK);
    uint32_t taken = 0;
    for (;; taken++) {
        sl_seal_head e = envelope(taken, 1, 100 + taken);
        uint8_t sender[SL_PUBLIC_KEY_BYTES] = {(uint8_t)(taken % 4)};
        if (sl_replay_take(replay, &e, sender, 0) != SL_OK)
            break;
        REQUIRE(taken < 10000);
    }
    CHECK(taken >= 90);
    /* What is in it is still known. */
    sl_seal_head first = envelope(0, 1, 100), more = envelope(70000, 1, 1000);
    uint8_t zero[SL_PUBLIC_KEY_BYTES] = {0};
    CHECK_INT(sl_replay_take(replay, &first, zero, 0), SL_ERR_SEAL);
    CHECK_INT(sl_replay_take(replay, &more, bob, 99), SL_ERR_AGAIN);
    CHECK_INT(sl_replay_take(replay, &more, bob, 100), SL_OK); /* the first has expired */
    for (uint32_t i = 1; i < taken; i++) {
        sl_seal_head e = envelope(i, 1, 100 + i);
        uint8_t sender[SL_PUBLIC_KEY_BYTES] = {(uint8_t)(i % 4)};
        if (sl_replay_check(replay, &e, sender) != SL_ERR_SEAL)
            sl_test_fail(__FILE__, __LINE__, "envelope %u was forgotten", i);
    }
    sl_replay_destroy(replay);
}

TEST(one_sender_cannot_fill_the_window) {
    sl_replay *replay;
    REQUIRE(sl_replay_create(90, &replay) == SL_OK);
    uint32_t taken = 0;
    for (;; taken++) {
        sl_seal_head e = envelope(taken, 1, 100);
        if (sl_replay_take(replay, &e, alice, 0) != SL_OK)
            break;
        REQUIRE(taken < 10000);
    }
    CHECK_CONTAINS(sl_err_detail(), "one sender");
    for (uint32_t i = 0; i < taken / 2; i++) {
        sl_seal_head e = envelope(i, 1, 100);
        CHECK_INT(sl_replay_take(replay, &e, bob, 0), SL_OK);
    }
    sl_replay_destroy(replay);
}

/* The opener counts what it has wholly opened, and nothing else. */
TEST(an_opener_refuses_replays) {
    sl_identity *authority = sl_test_authority();
    sl_identity *client = sl_test_somebody(authority, SL_ROLE_CLIENT, "alice", "p");
    sl_identity *node = sl_test_somebody(authority, SL_ROLE_NODE, "node-1", "");
    sl_trust *trust = sl_test_trust(authority);
    sl_peer to = sl_test_peer(trust, node);
    sl_replay *replay;
    sl_sealer *sealer;
    sl_opener *opener;
    sl_test_need(sl_replay_create(8, &replay), "replay");
    sl_test_need(sl_sealer_create(&sealer), "sealer");
    sl_test_need(sl_opener_create(&opener), "opener");
    const sl_seal_request request = {.sender = client,
                                     .recipients = &to,
                                     .recipient_count = 1,
                                     .kind = SL_SEAL_TASK,
                                     .runs = 2,
                                     .body_bytes = 8,
                                     .now_s = SL_TEST_NOW_S,
                                     .lifetime_s = 60};
    const sl_open_request as = {.recipient = node,
                                .trust = trust,
                                .replay = replay,
                                .kind = SL_SEAL_TASK,
                                .now_s = SL_TEST_NOW_S};
    size_t size, at, bytes;
    uint8_t *body, sealed[2048] = {0}, copy[2048];
    sl_test_need(sl_seal_layout(&request, &size, &at), "layout");
    REQUIRE(size <= sizeof sealed);
    sl_test_need(sl_seal_whole(sealer, &request, sealed), "seal");
    const sl_err expected[] = {SL_OK, SL_ERR_SEAL, SL_OK, SL_ERR_SEAL};
    for (int i = 0; i < 4; i++) {
        memcpy(copy, sealed, size);
        copy[size - 1] ^= i == 1; /* spoiled on its way: counts as nothing */
        CHECK_INT(sl_open_whole(opener, copy, size, &as, NULL, &body, &bytes), expected[i]);
    }
    CHECK_CONTAINS(sl_err_detail(), "a replay: this envelope was opened 2 times");
    sl_sealer_destroy(sealer), sl_opener_destroy(opener), sl_replay_destroy(replay);
    sl_identity_destroy(authority), sl_identity_destroy(client), sl_identity_destroy(node);
    sl_trust_destroy(trust);
}

TEST(bounds) {
    sl_replay *replay;
    CHECK_INT(sl_replay_create(UINT32_MAX, &replay), SL_ERR_TOO_LARGE);
    sl_replay_destroy(NULL);
}
