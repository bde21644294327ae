/* A small world to seal and open in, with bodies that show when they are not what was sealed. */
#ifndef SL_TESTS_SEALED_H
#define SL_TESTS_SEALED_H

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

static inline void end_the_world(void);

static inline world *the_world(void) {
    static world w;
    if (w.authority)
        return &w;
    w.authority = sl_test_authority();
    atexit(end_the_world);
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

static inline void end_the_world(void) {
    world *w = the_world();
    sl_sealer_destroy(w->sealer), sl_opener_destroy(w->opener);
    sl_trust_destroy(w->trust);
    sl_identity_destroy(w->authority), sl_identity_destroy(w->client);
    sl_identity_destroy(w->node), sl_identity_destroy(w->other);
}

static inline sl_seal_request seal_to(const world *w, const sl_peer *recipients, uint32_t count,
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

static inline sl_open_request open_as(const world *w, const sl_identity *recipient) {
    return (sl_open_request){
        .recipient = recipient, .trust = w->trust, .kind = SL_SEAL_TASK, .now_s = SL_TEST_NOW_S};
}

/* A body of any size whose every byte depends on where it is. */
static inline void fill(uint8_t *body, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        body[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + 3);
}

static inline bool is_filled(const uint8_t *body, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (body[i] != (uint8_t)(i * 31 + (i >> 8) * 7 + 3))
            return false;
    return true;
}

/* The caller's. */
static inline uint8_t *seal(const sl_seal_request *request, size_t *size) {
    size_t body_at = 0;
    sl_test_need(sl_seal_layout(request, size, &body_at), "layout");
    uint8_t *bytes = malloc(*size);
    fill(bytes + body_at, request->body_bytes);
    sl_test_need(sl_seal_whole(the_world()->sealer, request, bytes), "seal");
    return bytes;
}

/* On a copy. What failed must not have left text behind. */
static inline sl_err open_copy(const uint8_t *bytes, size_t size, const sl_open_request *request,
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

enum { CHUNK = SL_CHUNK_LEAST_BYTES, EXTRA = 4 + SL_CHUNK_TAG_BYTES };

#endif
