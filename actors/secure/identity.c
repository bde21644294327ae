/* Design notes
 * File: "SLKEYS" version keys seed:32 [secret:32 from_s:8 to_s:8] checksum:32, little endian. The
 * checksum (SHA-256 behind a domain) finds damage, not malice: who can write the file owns the
 * identity. Public halves are computed from the secret ones, so that they cannot disagree.
 */
#include "actors/secure/identity.h"

#include <sodium.h>

#include "actors/secure/secret.h"

#define MAGIC           "SLKEYS"
#define CHECKSUM_DOMAIN "starlane identity file v1"

enum { VERSION = 1, MAGIC_BYTES = 6, KEYS = 2, CHECKSUM_BYTES = 32, CLOCK_SLACK_S = 300 };

typedef struct box {
    sl_hpke_keys keys;
    sl_box_key signed_key;
    uint8_t id[SL_KEY_ID_BYTES];
    bool present;
} box;

struct sl_identity {
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    uint8_t key[SL_PUBLIC_KEY_BYTES];
    box boxes[KEYS]; /* the newest first */
    sl_certificate certificate;
    bool certified;
};

static sl_err from_seed(const uint8_t *seed, sl_identity **identity) {
    void *memory;
    SL_TRY(sl_secret_create(sizeof **identity, &memory));
    sl_identity *made = memory;
    crypto_sign_seed_keypair(made->key, made->secret, seed);
    *identity = made;
    return SL_OK;
}

sl_err sl_identity_create(sl_identity **identity) {
    void *seed;
    SL_TRY(sl_secret_create(crypto_sign_SEEDBYTES, &seed));
    randombytes_buf(seed, crypto_sign_SEEDBYTES);
    sl_err err = from_seed(seed, identity);
    sl_secret_destroy(seed);
    return err;
}

void sl_identity_destroy(sl_identity *identity) {
    sl_secret_destroy(identity);
}

const uint8_t *sl_identity_key(const sl_identity *identity) {
    return identity->key;
}

void sl_identity_sign(const sl_identity *identity, const sl_part *parts, size_t count,
                      uint8_t signature[SL_SIGNATURE_BYTES]) {
    sl_sign_parts(identity->secret, parts, count, signature);
}

/* ---- encryption keys ---- */

/* boxes[0] has its key pair and validity: signs it. */
static void finish_box(sl_identity *identity) {
    box *b = &identity->boxes[0];
    uint8_t encoded[SL_BOX_KEY_BYTES];
    sl_part parts[3];
    memcpy(b->signed_key.key, b->keys.key, sizeof b->signed_key.key);
    sl_box_key_encode(&b->signed_key, encoded);
    sl_box_key_signed_parts(encoded, identity->key, parts);
    sl_identity_sign(identity, parts, SL_PART_COUNT(parts), b->signed_key.signature);
    sl_key_id(b->keys.key, b->id);
    b->present = true;
}

sl_err sl_identity_renew(sl_identity *identity, uint64_t now_s, uint64_t lifetime_s) {
    if (!lifetime_s || now_s < CLOCK_SLACK_S || lifetime_s > UINT64_MAX - now_s)
        return sl_fail(SL_ERR_INVALID, "an encryption key cannot be valid for %llu s",
                       (unsigned long long)lifetime_s);
    identity->boxes[1] = identity->boxes[0];
    sl_hpke_keys_make(&identity->boxes[0].keys);
    identity->boxes[0].signed_key.validity =
        (sl_validity){now_s - CLOCK_SLACK_S, now_s + lifetime_s};
    finish_box(identity);
    return SL_OK;
}

const sl_hpke_keys *sl_identity_keys(const sl_identity *identity,
                                     const uint8_t id[SL_KEY_ID_BYTES]) {
    for (int i = 0; i < KEYS; i++)
        if (identity->boxes[i].present && memcmp(identity->boxes[i].id, id, SL_KEY_ID_BYTES) == 0)
            return &identity->boxes[i].keys;
    return NULL;
}

const sl_box_key *sl_identity_box(const sl_identity *identity) {
    return identity->boxes[0].present ? &identity->boxes[0].signed_key : NULL;
}

/* ---- certificates ---- */

static void sign_certificate(const sl_identity *authority, sl_certificate *certificate) {
    uint8_t encoded[SL_CERTIFICATE_MOST_BYTES];
    sl_part parts[2];
    memcpy(certificate->authority, authority->key, sizeof certificate->authority);
    sl_certificate_signed_parts(encoded, sl_certificate_encode(certificate, encoded), parts);
    sl_identity_sign(authority, parts, SL_PART_COUNT(parts), certificate->signature);
}

sl_err sl_identity_request(const sl_identity *identity, sl_certificate *certificate) {
    SL_TRY(sl_certificate_check_fields(certificate));
    memcpy(certificate->identity, identity->key, sizeof certificate->identity);
    sign_certificate(identity, certificate);
    return SL_OK;
}

sl_err sl_identity_certify(const sl_identity *authority, const sl_certificate *request,
                           sl_validity validity, sl_certificate *certificate) {
    if (memcmp(request->authority, request->identity, sizeof request->identity) != 0)
        return sl_fail(SL_ERR_INVALID, "this is the certificate of %s, not a request for one",
                       request->name);
    SL_TRY(sl_certificate_verify(request));
    sl_certificate made = *request;
    made.validity = validity;
    SL_TRY(sl_certificate_check_fields(&made));
    sign_certificate(authority, &made);
    *certificate = made;
    return SL_OK;
}

sl_err sl_identity_adopt(sl_identity *identity, const sl_certificate *certificate) {
    SL_TRY(sl_certificate_check_fields(certificate));
    if (memcmp(certificate->identity, identity->key, sizeof identity->key) != 0)
        return sl_fail(SL_ERR_SEAL, "the certificate of %s is for another identity",
                       certificate->name);
    SL_TRY(sl_certificate_verify(certificate));
    identity->certificate = *certificate;
    identity->certified = true;
    return SL_OK;
}

const sl_certificate *sl_identity_certificate(const sl_identity *identity) {
    return identity->certified ? &identity->certificate : NULL;
}

sl_err sl_identity_credential(const sl_identity *identity, uint8_t *out, size_t *bytes) {
    if (!identity->certified)
        return sl_fail(SL_ERR_NOT_FOUND, "this identity has no certificate yet");
    if (!identity->boxes[0].present)
        return sl_fail(SL_ERR_NOT_FOUND, "this identity has no encryption key yet");
    size_t size = sl_certificate_encode(&identity->certificate, out);
    sl_box_key_encode(&identity->boxes[0].signed_key, out + size);
    *bytes = size + SL_BOX_KEY_BYTES;
    return SL_OK;
}

/* ---- the file's content ---- */

static void checksum(const uint8_t *content, size_t size, uint8_t sum[CHECKSUM_BYTES]) {
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const uint8_t *)CHECKSUM_DOMAIN, sizeof CHECKSUM_DOMAIN);
    crypto_hash_sha256_update(&state, content, size);
    crypto_hash_sha256_final(&state, sum);
    sodium_memzero(&state, sizeof state);
}

size_t sl_identity_encode(const sl_identity *identity, bool with_key, uint8_t *out) {
    const box *b = &identity->boxes[0];
    with_key = with_key && b->present;
    uint8_t *at = sl_write_bytes(out, MAGIC, MAGIC_BYTES);
    at = sl_write_number(at, VERSION, 1);
    at = sl_write_number(at, with_key, 1);
    crypto_sign_ed25519_sk_to_seed(at, identity->secret);
    at += crypto_sign_SEEDBYTES;
    if (with_key) {
        at = sl_write_bytes(at, b->keys.secret, sizeof b->keys.secret);
        at = sl_write_number(at, b->signed_key.validity.from_s, 8);
        at = sl_write_number(at, b->signed_key.validity.to_s, 8);
    }
    checksum(out, (size_t)(at - out), at);
    return (size_t)(at + CHECKSUM_BYTES - out);
}

static sl_err check_file(const uint8_t *bytes, size_t size) {
    uint8_t sum[CHECKSUM_BYTES];
    if (size < MAGIC_BYTES + 2 || memcmp(bytes, MAGIC, MAGIC_BYTES) != 0)
        return sl_fail(SL_ERR_DECODE, "this is no identity file of Starlane");
    if (bytes[MAGIC_BYTES] != VERSION)
        return sl_fail(SL_ERR_DECODE, "identity file of version %u: this program reads version %u",
                       bytes[MAGIC_BYTES], VERSION);
    unsigned keys = bytes[MAGIC_BYTES + 1];
    if (keys > 1 || size != (keys ? SL_IDENTITY_FILE_MOST_BYTES : SL_IDENTITY_FILE_LEAST_BYTES))
        return sl_fail(SL_ERR_DECODE,
                       "the identity file is damaged (its size is %zu bytes): put a "
                       "copy back, or remove it to get a new identity",
                       size);
    checksum(bytes, size - CHECKSUM_BYTES, sum);
    if (sodium_memcmp(sum, bytes + size - CHECKSUM_BYTES, CHECKSUM_BYTES) != 0)
        return sl_fail(SL_ERR_DECODE, "the identity file is damaged (its checksum is wrong): put a "
                                      "copy back, or remove it to get a new identity");
    return SL_OK;
}

sl_err sl_identity_decode(const void *bytes, size_t size, sl_identity **identity) {
    SL_TRY(check_file(bytes, size));
    sl_identity *made;
    sl_reader reader = {(const uint8_t *)bytes + MAGIC_BYTES + 1, (const uint8_t *)bytes + size,
                        false};
    bool has_key = sl_read_u8(&reader);
    SL_TRY(from_seed(sl_read_bytes(&reader, crypto_sign_SEEDBYTES), &made));
    if (has_key) {
        box *b = &made->boxes[0];
        sl_read_copy(&reader, b->keys.secret, sizeof b->keys.secret);
        b->signed_key.validity.from_s = sl_read_u64(&reader);
        b->signed_key.validity.to_s = sl_read_u64(&reader);
        crypto_scalarmult_base(b->keys.key, b->keys.secret);
        finish_box(made);
    }
    if (has_key &&
        made->boxes[0].signed_key.validity.from_s >= made->boxes[0].signed_key.validity.to_s) {
        sl_identity_destroy(made);
        return sl_fail(SL_ERR_DECODE, "the identity file's encryption key ends before it begins");
    }
    *identity = made;
    return SL_OK;
}
