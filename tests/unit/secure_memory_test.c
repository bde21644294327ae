/* No memory: whichever of its allocations fails, sealing and opening say so, and leak nothing (the
 * sanitizer build looks). The linker puts the functions below in the place of the allocators. */
#include <openssl/evp.h>

#include "actors/secure/identity_file.h"
#include "actors/secure/parcel.h"
#include "actors/secure/secret.h"
#include "tests/lib/files.h"
#include "tests/lib/sealed.h"

static int left = -1; /* allocations until one fails; negative: none does */
static int seen;

static bool fails(void) {
    seen++;
    return left >= 0 && left-- == 0;
}

#define WRAP(type, name, parameters, arguments)                                                    \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters {                                                                \
        return fails() ? NULL : __real_##name arguments;                                           \
    }

WRAP(void *, malloc, (size_t bytes), (bytes))
WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes))
WRAP(void *, realloc, (void *memory, size_t bytes), (memory, bytes))
WRAP(void *, sodium_malloc, (size_t bytes), (bytes))
WRAP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, (void), ())
WRAP(EVP_MD_CTX *, EVP_MD_CTX_new, (void), ())
WRAP(EVP_CIPHER *, EVP_CIPHER_fetch, (OSSL_LIB_CTX * library, const char *name, const char *which),
     (library, name, which))
WRAP(EVP_MD *, EVP_MD_fetch, (OSSL_LIB_CTX * library, const char *name, const char *which),
     (library, name, which))

/* What there is so far; NULL where it failed. */
typedef struct things {
    sl_identity *client, *node, *loaded;
    sl_trust *trust;
    sl_replay *replay;
    sl_sealer *sealer;
    sl_opener *opener;
} things;

static sl_err somebody(sl_identity **made, const sl_identity *authority, sl_role role) {
    sl_certificate c = {.role = role, .name = "n", .validity = {1, SL_TEST_NOW_S + 1000}};
    SL_TRY(sl_identity_create(made));
    SL_TRY(sl_identity_renew(*made, SL_TEST_NOW_S, 1000));
    SL_TRY(sl_identity_request(*made, &c));
    SL_TRY(sl_identity_certify(authority, &c, c.validity, &c));
    return sl_identity_adopt(*made, &c);
}

static sl_err peer_of(sl_trust *trust, const sl_identity *identity, sl_peer *peer) {
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    size_t size;
    SL_TRY(sl_identity_credential(identity, credential, &size));
    return sl_trust_check(trust, credential, size, SL_TEST_NOW_S, peer);
}

static sl_err seal_and_open(things *t, const sl_peer to[2]) {
    sl_seal_request request = {.sender = t->client,
                               .recipients = to,
                               .recipient_count = 2,
                               .kind = SL_SEAL_TASK,
                               .shared = true,
                               .body_bytes = SL_BODY_UNKNOWN,
                               .now_s = SL_TEST_NOW_S,
                               .lifetime_s = 60};
    sl_open_request as = {.recipient = t->node,
                          .trust = t->trust,
                          .replay = t->replay,
                          .kind = SL_SEAL_TASK,
                          .now_s = SL_TEST_NOW_S};
    uint8_t head[2048], sealed[512], opened[8], stanza[SL_STANZA_BYTES];
    size_t size, made = 0;
    sl_flow flow = {0};
    SL_TRY(sl_seal_head_bytes(&request, &size));
    SL_TRY(sl_sealer_begin(t->sealer, &request, head));
    for (; !flow.done; made += flow.made)
        SL_TRY(sl_sealer_feed(t->sealer, "text", made ? 0 : 4, true, sealed + made, made ? 400 : 5,
                              &flow));
    SL_TRY(sl_seal_add_recipient(head, size, t->client, &to[0], stanza));
    SL_TRY(sl_opener_begin(t->opener, head, size, &as, NULL, NULL));
    SL_TRY(sl_opener_feed(t->opener, sealed, made, true, opened, 2, &flow));
    CHECK_INT(flow.taken, made);
    return SL_OK;
}

static sl_err wrap_and_unwrap(void) {
    uint8_t *key, *copy = NULL, parcel[SL_PARCEL_HEAD_BYTES + 4 + SL_CHUNK_TAG_BYTES], opened[4];
    SL_TRY(sl_parcel_key_create(&key));
    sl_err err = sl_parcel_key_copy(key, &copy);
    if (err == SL_OK)
        err = sl_parcel_seal(key, "text", 4, parcel);
    if (err == SL_OK)
        err = sl_parcel_open(copy, parcel, sizeof parcel, opened);
    sl_secret_destroy(key), sl_secret_destroy(copy);
    return err;
}

/* Everything that allocates. */
static sl_err everything(things *t, const sl_identity *authority, const char *directory) {
    sl_peer to[2];
    uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES] = {9};
    SL_TRY(somebody(&t->client, authority, SL_ROLE_CLIENT));
    SL_TRY(somebody(&t->node, authority, SL_ROLE_NODE));
    SL_TRY(sl_identity_open(directory, &t->loaded));
    SL_TRY(sl_identity_save(directory, t->loaded));
    SL_TRY(sl_trust_create(&t->trust));
    sl_test_pin(t->trust, authority);
    SL_TRY(sl_trust_revoke(t->trust, fingerprint));
    SL_TRY(peer_of(t->trust, t->node, &to[0]));
    SL_TRY(peer_of(t->trust, t->client, &to[1]));
    SL_TRY(sl_replay_create(10, &t->replay));
    SL_TRY(sl_sealer_create(&t->sealer));
    SL_TRY(sl_opener_create(&t->opener));
    SL_TRY(wrap_and_unwrap());
    return seal_and_open(t, to);
}

static void clear(things *t) {
    sl_identity_destroy(t->client), sl_identity_destroy(t->node), sl_identity_destroy(t->loaded);
    sl_trust_destroy(t->trust), sl_replay_destroy(t->replay);
    sl_sealer_destroy(t->sealer), sl_opener_destroy(t->opener);
}

TEST(whichever_allocation_fails) {
    sl_identity *authority = sl_test_authority();
    const char *directory = sl_test_path("keys");
    for (int n = 0;; n++) {
        things t = {0};
        left = n, seen = 0;
        sl_err err = everything(&t, authority, directory);
        bool failed = left < 0;
        left = -1;
        clear(&t);
        if (!failed) {
            CHECK_INT(err, SL_OK);
            CHECK(n > 20); /* so many there are at least: the linker did as it was told */
            break;
        }
        if (err != SL_ERR_NO_MEMORY)
            sl_test_fail(__FILE__, __LINE__, "allocation %d failed, and that came out: %s (%s)", n,
                         sl_err_name(err), sl_err_detail());
    }
    sl_identity_destroy(authority);
}
