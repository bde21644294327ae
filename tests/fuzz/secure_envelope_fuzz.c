/* Envelopes of any bytes. A head that is read is written again as the same bytes; what opens has
 * the body that the seeds have; and behind a good head no bytes but its sealer's are ever taken for
 * the body.
 *
 * To make seeds: SL_FUZZ_SEEDS=FOLDER build/fuzz/tests/secure_envelope_fuzz -runs=0 */
#include "actors/secure/opener.h"
#include "tests/fuzz/secure_people.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEED_BODY_BYTES = 50, SEED_BODY = 0x5c, PIECES_MOST = 40 };

static sl_identity *authority, *client, *node;
static sl_trust *trust;
static sl_sealer *sealer;
static sl_opener *opener;
static uint8_t good_head[4096];
static size_t good_head_bytes;

static void check_whole(const uint8_t *data, size_t size, bool is_good) {
    const sl_open_request as = {
        .recipient = node, .trust = trust, .kind = SL_SEAL_TASK, .now_s = NOW_S};
    uint8_t *copy = malloc(size + 1), *body;
    size_t bytes;
    require(copy != NULL);
    memcpy(copy, data, size);
    sl_err err = sl_open_whole(opener, copy, size, &as, NULL, &body, &bytes);
    require(err == SL_OK || !is_good);
    if (err == SL_OK) {
        require(bytes == 0 || bytes == SEED_BODY_BYTES);
        for (size_t i = 0; i < bytes; i++)
            require(body[i] == SEED_BODY);
    }
    free(copy);
}

static void make_seed(const char *name, sl_seal_request request) {
    size_t size, body_at;
    uint8_t bytes[4096];
    require(sl_seal_layout(&request, &size, &body_at) == SL_OK && size <= sizeof bytes);
    memset(bytes + body_at, SEED_BODY, request.body_bytes);
    require(sl_seal_whole(sealer, &request, bytes) == SL_OK);
    seed_file(name, bytes, size);
    check_whole(bytes, size, true);
}

/* What lies in memory for secrets is not searched for pointers when leaks are. */
static void end(void) {
    sl_sealer_destroy(sealer), sl_opener_destroy(opener);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    authority = person(1, SL_ROLE_NODE, NULL);
    client = person(2, SL_ROLE_CLIENT, authority);
    node = person(3, SL_ROLE_NODE, authority);
    trust = trust_in(authority);
    require(sl_sealer_create(&sealer) == SL_OK && sl_opener_create(&opener) == SL_OK);
    atexit(end);
    const sl_peer to[] = {peer_of(trust, node), peer_of(trust, client)};
    sl_seal_request request = {.sender = client,
                               .recipients = to,
                               .recipient_count = 1,
                               .kind = SL_SEAL_TASK,
                               .body_bytes = SEED_BODY_BYTES,
                               .now_s = NOW_S,
                               .lifetime_s = UINT32_MAX,
                               .open_part = {"gpus 1", 6}};
    request.suite = SL_SUITE_AES256_GCM;
    make_seed("aes", request);
    request.suite = SL_SUITE_XCHACHA20_POLY1305;
    make_seed("xchacha", request);
    request.recipient_count = 2, request.shared = true;
    make_seed("shared", request);
    request.body_bytes = 0;
    make_seed("empty", request);
    request.recipient_count = 1, request.shared = false, request.body_bytes = SL_BODY_UNKNOWN;
    require(sl_seal_head_bytes(&request, &good_head_bytes) == SL_OK);
    require(sl_sealer_begin(sealer, &request, good_head) == SL_OK);
    return 0;
}

static void check_head(const uint8_t *data, size_t size) {
    static uint8_t again[SL_HEAD_MOST_BYTES];
    sl_seal_head e;
    sl_peer sender;
    size_t needed;
    if (sl_seal_head_measure(data, size, &needed) != SL_OK)
        return;
    require(needed > 0);
    if (sl_seal_head_read(data, size, &e) != SL_OK)
        return;
    require(e.bytes == needed && e.bytes <= size);
    size_t bytes = sl_seal_head_encode(&e, again);
    require(memcmp(again, data, bytes) == 0 && e.signature == data + bytes);
    (void)sl_seal_head_check(&e, trust, NOW_S, &sender);
    (void)sl_seal_head_stanza(&e, node);
}

/* In pieces whose size the data chooses; not too many. */
static void check_body(const uint8_t *data, size_t size) {
    static uint8_t out[1 << 17];
    const sl_open_request as = {
        .recipient = node, .trust = trust, .kind = SL_SEAL_TASK, .now_s = NOW_S};
    sl_flow flow = {0};
    size_t step = size / PIECES_MOST + (size ? data[0] % 64 : 0) + 1;
    require(sl_opener_begin(opener, good_head, good_head_bytes, &as, NULL, NULL) == SL_OK);
    for (size_t taken = 0;; taken += flow.taken) {
        size_t some = size - taken < step ? size - taken : step;
        if (sl_opener_feed(opener, data + taken, some, taken + some == size, out, sizeof out,
                           &flow) != SL_OK)
            return;
        require(!flow.done && flow.made == 0 && flow.taken == some && taken + some < size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_head(data, size);
    check_whole(data, size, false);
    check_body(data, size);
    return 0;
}
