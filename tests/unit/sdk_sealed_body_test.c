/* What is inside envelopes of tasks: sections of any size and cut, opened in place and beside; and
 * bodies that a client of good standing has sealed, but which are none. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/sealed_body.h"
#include "sdk/sealed_command.h"
#include "tests/lib/sealing.h"

typedef struct people {
    sl_identity *authority, *client, *node;
    sl_trust *trust;
    sl_peer to;
    sl_sealer *sealer;
    sl_opener *opener;
} people;

static people meet(void) {
    people p = {.authority = sl_test_authority()};
    p.client = sl_test_somebody(p.authority, SL_ROLE_CLIENT, "alice", "");
    p.node = sl_test_somebody(p.authority, SL_ROLE_NODE, "node", "");
    p.trust = sl_test_trust(p.authority);
    p.to = sl_test_peer(p.trust, p.node);
    sl_test_need(sl_sealer_create(&p.sealer), "sealer");
    sl_test_need(sl_opener_create(&p.opener), "opener");
    return p;
}

static void part(people *p) {
    sl_sealer_destroy(p->sealer), sl_opener_destroy(p->opener);
    sl_trust_destroy(p->trust);
    sl_identity_destroy(p->authority), sl_identity_destroy(p->client), sl_identity_destroy(p->node);
}

static sl_seal_request request_of(const people *p) {
    return (sl_seal_request){.sender = p->client,
                             .recipients = &p->to,
                             .recipient_count = 1,
                             .kind = SL_SEAL_TASK,
                             .now_s = SL_TEST_NOW_S,
                             .lifetime_s = 600};
}

static sl_open_request open_of(const people *p) {
    return (sl_open_request){
        .recipient = p->node, .trust = p->trust, .kind = SL_SEAL_TASK, .now_s = SL_TEST_NOW_S};
}

static sl_blob *seal(const people *p, const sl_sealing *what) {
    sl_seal_request request = request_of(p);
    size_t size;
    sl_blob *blob;
    sl_test_need(sl_sealing_measure(&request, what, &size), "measure");
    sl_test_need(sl_blob_create(size, &blob), "blob");
    sl_test_need(sl_sealing_write(p->sealer, &request, what, blob->data), "seal");
    return blob;
}

static uint8_t *pattern(size_t bytes, uint8_t seed) {
    uint8_t *data = malloc(bytes + 1);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)(seed + i * 7 + i / 251);
    return data;
}

/* Sections of these sizes, the last in parts of `step` bytes. */
static void check_round(const people *p, const size_t sizes[3], size_t step, bool in_place) {
    uint8_t *data[3];
    size_t count = sizes[2] / step + 1;
    sl_part parts[2], *pieces = malloc(count * sizeof *pieces);
    for (int i = 0; i < 3; i++)
        data[i] = pattern(sizes[i], (uint8_t)i);
    for (int i = 0; i < 2; i++)
        parts[i] = (sl_part){data[i], sizes[i]};
    for (size_t i = 0; i < count; i++)
        pieces[i] = (sl_part){data[2] + i * step, i + 1 < count ? step : sizes[2] - i * step};
    const sl_sealing what = {
        .form = SL_BODY_CALL,
        .code = 77,
        .sections = {{&parts[0], 1, false}, {&parts[1], 1, false}, {pieces, count, false}}};
    sl_blob *blob = seal(p, &what), *other = in_place ? NULL : sl_blob_retain(blob);
    sl_open_request request = open_of(p);
    sl_opened opened;
    CHECK_INT(sl_opened_take(p->opener, &request, blob, &opened), SL_OK);
    CHECK_INT(opened.form, SL_BODY_CALL);
    CHECK_INT(opened.code, 77);
    CHECK(in_place == (opened.blob == blob));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(opened.sections[i].bytes, sizes[i]);
        CHECK_INT((uintptr_t)opened.sections[i].data % SL_BODY_ALIGN, 0);
        CHECK(!sizes[i] || memcmp(opened.sections[i].data, data[i], sizes[i]) == 0);
        free(data[i]);
    }
    sl_opened_close(&opened);
    sl_blob_release(other), sl_blob_release(blob);
    free(pieces);
}

TEST(sections_of_any_size_and_cut) {
    people p = meet();
    const size_t sizes[][3] = {{0, 0, 0},          {1, 0, 0},        {0, 1, 64},
                               {63, 65, 128},      {5, 65536, 1},    {65408, 0, 3},
                               {7, 131072, 9999},  {3, 200, 400000}, {12, 65536 - 128, 65536},
                               {64, 64, 65536 * 3}};
    const size_t steps[] = {1 << 20, 65536, 1000, 97};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof steps / sizeof *steps; j++) {
            check_round(&p, sizes[i], steps[j], true);
            check_round(&p, sizes[i], steps[j], false);
        }
    CHECK_INT(sl_blob_alive_bytes(), 0);
    part(&p);
}

TEST(what_is_consumed_is_wiped) {
    people p = meet();
    enum { BYTES = 9 << 20 };
    uint8_t *data = aligned_alloc(4096, BYTES);
    memset(data, 0x5a, BYTES);
    const sl_part all = {data, BYTES};
    const sl_sealing what = {.form = SL_BODY_CALL, .sections = {{&all, 1, true}}};
    sl_blob *blob = seal(&p, &what);
    CHECK(sodium_is_zero(data, BYTES));
    sl_open_request request = open_of(&p);
    sl_opened opened;
    CHECK_INT(sl_opened_take(p.opener, &request, blob, &opened), SL_OK);
    memset(data, 0x5a, BYTES);
    CHECK(opened.sections[0].bytes == BYTES && memcmp(opened.sections[0].data, data, BYTES) == 0);
    sl_opened_close(&opened);
    sl_blob_release(blob);
    free(data);
    part(&p);
}

TEST(data_apart_outlive_the_rest) {
    people p = meet();
    const sl_part text = {"large data", 10};
    const sl_sealing what = {.form = SL_BODY_CALL,
                             .sections = {{NULL, 0, false}, {NULL, 0, false}, {&text, 1, false}}};
    sl_blob *blob = seal(&p, &what), *apart;
    sl_open_request request = open_of(&p);
    sl_opened opened;
    CHECK_INT(sl_opened_take(p.opener, &request, blob, &opened), SL_OK);
    CHECK_INT(sl_opened_apart(&opened, &apart), SL_OK);
    sl_opened_close(&opened);
    sl_blob_release(blob);
    CHECK(apart->bytes == 10 && memcmp(apart->data, "large data", 10) == 0);
    sl_blob_release(apart);
    CHECK_INT(sl_blob_alive_bytes(), 0);
    part(&p);
}

/* ---- bodies that are none ---- */

static void refuse(const people *p, const uint8_t *body, size_t bytes) {
    sl_seal_request request = request_of(p);
    sl_open_request opening = open_of(p);
    sl_opened opened;
    size_t size, at;
    request.body_bytes = bytes;
    sl_test_need(sl_seal_layout(&request, &size, &at), "layout");
    uint8_t *envelope = malloc(size);
    if (bytes)
        memcpy(envelope + at, body, bytes);
    sl_test_need(sl_seal_whole(p->sealer, &request, envelope), "seal");
    CHECK_INT(sl_opened_copy(p->opener, &opening, envelope, size, &opened), SL_ERR_DECODE);
    CHECK(!opened.blob);
    free(envelope);
}

TEST(bodies_that_are_none) {
    people p = meet();
    uint8_t body[200] = {0};
    for (size_t bytes = 0; bytes < 64; bytes++)
        refuse(&p, body, bytes); /* no head, and of no form */
    body[0] = SL_BODY_CALL;
    refuse(&p, body, 63);
    refuse(&p, body, 65); /* something is left over */
    body[0] = SL_BODY_MODULE + 1;
    refuse(&p, body, 64);
    body[0] = SL_BODY_CALL;
    body[8] = 1;
    refuse(&p, body, 64); /* the section is not there */
    for (int at = 8; at < 32; at++) {
        memset(body + 8, 0, 24);
        body[at] = 0xff;
        refuse(&p, body, 128);
        memset(body + 8, 0xff, 24);
        refuse(&p, body, 128);
    }
    part(&p);
}

/* ---- how a command ended ---- */

TEST(how_a_command_ended) {
    uint8_t bytes[SL_ENDED_BYTES + 5];
    char text[64];
    const sl_ended made = {.status = SL_PROCESS_SIGNALLED,
                           .exit_code = -1,
                           .signal = 9,
                           .user_us = 1,
                           .system_us = 2,
                           .max_rss_bytes = 1ull << 40};
    sl_ended read;
    sl_ended_write(&made, bytes);
    memcpy(bytes + SL_ENDED_BYTES, "words", 5);
    CHECK_INT(sl_ended_read((sl_part){bytes, sizeof bytes}, &read), SL_OK);
    CHECK_INT(read.exit_code, -1);
    CHECK_INT(read.signal, 9);
    CHECK_INT(read.max_rss_bytes, 1ull << 40);
    CHECK_STR(sl_ended_say(&read, text, sizeof text), "words");
    CHECK_INT(sl_ended_read((sl_part){bytes, SL_ENDED_BYTES}, &read), SL_OK);
    CHECK_CONTAINS(sl_ended_say(&read, text, sizeof text), "signal 9");
    for (size_t size = 0; size < SL_ENDED_BYTES; size++)
        CHECK_INT(sl_ended_read((sl_part){bytes, size}, &read), SL_ERR_DECODE);
    bytes[0] = SL_PROCESS_STATUS_COUNT;
    CHECK_INT(sl_ended_read((sl_part){bytes, sizeof bytes}, &read), SL_ERR_DECODE);
}
