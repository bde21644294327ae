/* Design notes
 * Everything is derived from the random data key by HKDF-Expand, one label a purpose; the keys of
 * the body and the wrapping are bound to the hash of the head, which is the whole transcript so
 * far. AEADs do not commit to their key: the commitment in the signed head does, so all recipients
 * of an envelope have the same key, and no one else's key can be put under its sender's name.
 *
 * A shared body needs more: each recipient knows the key and could seal another body with it for
 * the rest. So the sender signs a digest of all of it. (Tags would not do: who knows a key finds
 * two texts with one tag.) With one recipient nobody else knows the key, and it is left out,
 * because it costs more than the encryption itself.
 */
#include "actors/secure/body.h"

#include <sodium.h>

#include "actors/secure/hkdf.h"
#include "actors/secure/secret.h"

#define COMMIT_LABEL "starlane data key commitment v1"
#define BODY_LABEL   "starlane body key v1"
#define WRAP_LABEL   "starlane wrapped key v1"
#define SIGN_DOMAIN  "starlane body v1"

sl_err sl_body_create(sl_body *body) {
    SL_TRY(sl_chunks_create(&body->chunks));
    body->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    body->digest = EVP_MD_CTX_new();
    if (body->md && body->digest)
        return SL_OK;
    sl_body_destroy(body);
    return sl_fail(SL_ERR_NO_MEMORY, "OpenSSL gives no SHA-256");
}

void sl_body_destroy(sl_body *body) {
    sl_chunks_destroy(body->chunks);
    EVP_MD_CTX_free(body->digest);
    EVP_MD_free(body->md);
    *body = (sl_body){0};
}

void sl_body_commit(const uint8_t data_key[SL_DATA_KEY_BYTES], uint8_t commitment[32]) {
    const sl_part info = {COMMIT_LABEL, sizeof COMMIT_LABEL};
    sl_hkdf_expand(data_key, &info, 1, commitment, 32);
}

sl_err sl_body_begin(sl_body *body, const sl_seal_head *envelope, bool sealing) {
    uint8_t derived[SL_CHUNK_KEY_BYTES + SL_CHUNK_PREFIX_BYTES];
    const sl_part info[] = {{BODY_LABEL, sizeof BODY_LABEL},
                            {envelope->hash, sizeof envelope->hash}};
    body->envelope = *envelope;
    body->bytes = 0;
    sl_hkdf_expand(body->data_key, info, SL_PART_COUNT(info), derived, sizeof derived);
    sl_err err = sl_chunks_begin(body->chunks, envelope->suite, sealing, derived,
                                 derived + SL_CHUNK_KEY_BYTES);
    sl_secret_wipe(derived, sizeof derived);
    SL_TRY(err);
    if (envelope->shared &&
        (EVP_DigestInit_ex2(body->digest, body->md, NULL) != 1 ||
         EVP_DigestUpdate(body->digest, envelope->hash, sizeof envelope->hash) != 1))
        return sl_fail(SL_ERR_NO_MEMORY, "OpenSSL could not begin with SHA-256");
    body->under_way = true;
    return SL_OK;
}

void sl_body_end(sl_body *body) {
    sl_chunks_end(body->chunks);
    sl_secret_wipe(body->data_key, sizeof body->data_key);
    body->under_way = false;
}

sl_err sl_body_digest(sl_body *body, const uint8_t *record, size_t bytes) {
    if (body->envelope.shared && EVP_DigestUpdate(body->digest, record, bytes) != 1)
        return sl_fail(SL_ERR_NO_MEMORY, "OpenSSL could not hash");
    return SL_OK;
}

sl_err sl_body_signed_parts(sl_body *body, uint8_t digest[32], sl_part parts[2]) {
    if (EVP_DigestFinal_ex(body->digest, digest, NULL) != 1)
        return sl_fail(SL_ERR_NO_MEMORY, "OpenSSL could not hash");
    parts[0] = (sl_part){SIGN_DOMAIN, sizeof SIGN_DOMAIN};
    parts[1] = (sl_part){digest, 32};
    return SL_OK;
}

/* ---- wrapped keys ---- */

typedef struct wrap_info {
    char label[sizeof WRAP_LABEL];
    uint8_t hash[SL_ENVELOPE_HASH_BYTES];
} wrap_info;

static wrap_info wrap_info_of(const uint8_t hash[SL_ENVELOPE_HASH_BYTES]) {
    wrap_info info = {.label = WRAP_LABEL};
    memcpy(info.hash, hash, sizeof info.hash);
    return info;
}

sl_err sl_body_wrap(const uint8_t data_key[SL_DATA_KEY_BYTES],
                    const uint8_t hash[SL_ENVELOPE_HASH_BYTES], const sl_peer *peer,
                    uint8_t stanza[SL_STANZA_BYTES]) {
    wrap_info info = wrap_info_of(hash);
    const sl_hpke_binding binding = {{&info, sizeof info}, {peer->key_id, sizeof peer->key_id}};
    uint8_t *enc = sl_write_bytes(stanza, peer->key_id, sizeof peer->key_id);
    return sl_hpke_seal(peer->box.key, &binding, (sl_part){data_key, SL_DATA_KEY_BYTES}, enc,
                        enc + SL_HPKE_ENC_BYTES);
}

sl_err sl_body_unwrap(const sl_seal_head *envelope, const sl_identity *recipient,
                      const uint8_t stanza[SL_STANZA_BYTES], uint8_t data_key[SL_DATA_KEY_BYTES]) {
    const sl_hpke_keys *keys = stanza ? sl_identity_keys(recipient, stanza) : NULL;
    if (!keys)
        return sl_fail(SL_ERR_SEAL, "an envelope is not sealed to this identity, or to an "
                                    "encryption key that it no longer has");
    wrap_info info = wrap_info_of(envelope->hash);
    const sl_hpke_binding binding = {{&info, sizeof info}, {stanza, SL_KEY_ID_BYTES}};
    const uint8_t *enc = stanza + SL_KEY_ID_BYTES;
    uint8_t commitment[32];
    SL_TRY(sl_hpke_open(keys, &binding, enc,
                        (sl_part){enc + SL_HPKE_ENC_BYTES, SL_DATA_KEY_BYTES + SL_HPKE_TAG_BYTES},
                        data_key));
    sl_body_commit(data_key, commitment);
    if (sodium_memcmp(commitment, envelope->commitment, sizeof commitment) == 0)
        return SL_OK;
    sl_secret_wipe(data_key, SL_DATA_KEY_BYTES);
    return sl_fail(SL_ERR_SEAL, "a wrapped key is not the one its sender committed to");
}
