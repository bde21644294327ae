/* Design notes: names follow RFC 9180. The labels of its LabeledExtract and LabeledExpand are
 * written out as parts, so nothing is copied together. With one message per key the sequence number
 * is always 0 and the nonce is the base nonce.
 */
#include "actors/secure/hpke.h"

#include <sodium.h>

#include "actors/secure/hkdf.h"

#define VERSION    "HPKE-v1"
#define KEM_SUITE  "KEM\x00\x20"
#define HPKE_SUITE "HPKE\x00\x20\x00\x01\x00\x03"
#define TEXT(text)                                                                                 \
    { text, sizeof(text) - 1 }
#define LENGTH(b)                                                                                  \
    { (const uint8_t[]){0, b}, 2 }

_Static_assert(SL_HPKE_KEY_BYTES == crypto_scalarmult_BYTES, "X25519");
_Static_assert(SL_HPKE_TAG_BYTES == crypto_aead_chacha20poly1305_ietf_ABYTES, "Poly1305");

/* On the stack of one call, wiped before it returns. */
typedef struct schedule {
    uint8_t dh[32];
    uint8_t shared_secret[32];
    uint8_t extracted[32];
    uint8_t key[crypto_aead_chacha20poly1305_ietf_KEYBYTES];
    uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
} schedule;

void sl_hpke_keys_make(sl_hpke_keys *keys) {
    randombytes_buf(keys->secret, sizeof keys->secret);
    crypto_scalarmult_base(keys->key, keys->secret);
}

/* ExtractAndExpand() of section 4.1, over the shared point s->dh. */
static void share(schedule *s, const uint8_t *enc, const uint8_t *to) {
    const sl_part extract[] = {TEXT(VERSION), TEXT(KEM_SUITE), TEXT("eae_prk"), {s->dh, 32}};
    const sl_part expand[] = {LENGTH(32),
                              TEXT(VERSION),
                              TEXT(KEM_SUITE),
                              TEXT("shared_secret"),
                              {enc, SL_HPKE_ENC_BYTES},
                              {to, SL_HPKE_KEY_BYTES}};
    sl_hkdf_extract(NULL, 0, extract, SL_PART_COUNT(extract), s->extracted);
    sl_hkdf_expand(s->extracted, expand, SL_PART_COUNT(expand), s->shared_secret, 32);
}

/* KeySchedule() of section 5.1. */
static void derive(schedule *s, sl_part info) {
    uint8_t context[1 + 32 + 32] = {0};
    const sl_part psk_id[] = {TEXT(VERSION), TEXT(HPKE_SUITE), TEXT("psk_id_hash")};
    const sl_part info_hash[] = {TEXT(VERSION), TEXT(HPKE_SUITE), TEXT("info_hash"), info};
    const sl_part no_psk[] = {TEXT(VERSION), TEXT(HPKE_SUITE), TEXT("secret")};
    const sl_part key[] = {LENGTH(sizeof s->key),
                           TEXT(VERSION),
                           TEXT(HPKE_SUITE),
                           TEXT("key"),
                           {context, sizeof context}};
    const sl_part nonce[] = {LENGTH(sizeof s->nonce),
                             TEXT(VERSION),
                             TEXT(HPKE_SUITE),
                             TEXT("base_nonce"),
                             {context, sizeof context}};
    sl_hkdf_extract(NULL, 0, psk_id, SL_PART_COUNT(psk_id), context + 1);
    sl_hkdf_extract(NULL, 0, info_hash, SL_PART_COUNT(info_hash), context + 33);
    sl_hkdf_extract(s->shared_secret, 32, no_psk, SL_PART_COUNT(no_psk), s->extracted);
    sl_hkdf_expand(s->extracted, key, SL_PART_COUNT(key), s->key, sizeof s->key);
    sl_hkdf_expand(s->extracted, nonce, SL_PART_COUNT(nonce), s->nonce, sizeof s->nonce);
}

/* crypto_scalarmult() refuses a result of zeros: a point of small order, which section 7.1.4 wants
 * refused too. */
static sl_err agree(schedule *s, const uint8_t *secret, const uint8_t *point, const char *whose) {
    if (crypto_scalarmult(s->dh, secret, point) != 0)
        return sl_fail(SL_ERR_SEAL, "%s is no point of X25519", whose);
    return SL_OK;
}

sl_err sl_hpke_seal_with(const sl_hpke_keys *ephemeral, const uint8_t to[SL_HPKE_KEY_BYTES],
                         const sl_hpke_binding *binding, sl_part plain,
                         uint8_t enc[SL_HPKE_ENC_BYTES], uint8_t *sealed) {
    schedule s;
    sl_err err = agree(&s, ephemeral->secret, to, "the recipient's key");
    if (err == SL_OK) {
        memcpy(enc, ephemeral->key, SL_HPKE_ENC_BYTES);
        share(&s, enc, to);
        derive(&s, binding->info);
        crypto_aead_chacha20poly1305_ietf_encrypt(sealed, NULL, plain.data, plain.bytes,
                                                  binding->aad.data, binding->aad.bytes, NULL,
                                                  s.nonce, s.key);
    }
    sodium_memzero(&s, sizeof s);
    return err;
}

sl_err sl_hpke_seal(const uint8_t to[SL_HPKE_KEY_BYTES], const sl_hpke_binding *binding,
                    sl_part plain, uint8_t enc[SL_HPKE_ENC_BYTES], uint8_t *sealed) {
    sl_hpke_keys ephemeral;
    sl_hpke_keys_make(&ephemeral);
    sl_err err = sl_hpke_seal_with(&ephemeral, to, binding, plain, enc, sealed);
    sodium_memzero(&ephemeral, sizeof ephemeral);
    return err;
}

sl_err sl_hpke_open(const sl_hpke_keys *keys, const sl_hpke_binding *binding,
                    const uint8_t enc[SL_HPKE_ENC_BYTES], sl_part sealed, uint8_t *plain) {
    if (sealed.bytes < SL_HPKE_TAG_BYTES)
        return sl_fail(SL_ERR_SEAL, "a wrapped key of %zu bytes is too short", sealed.bytes);
    schedule s;
    sl_err err = agree(&s, keys->secret, enc, "what came with a wrapped key");
    if (err == SL_OK) {
        share(&s, enc, keys->key);
        derive(&s, binding->info);
        if (crypto_aead_chacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed.data, sealed.bytes,
                                                      binding->aad.data, binding->aad.bytes,
                                                      s.nonce, s.key) != 0)
            err = sl_fail(SL_ERR_SEAL, "a wrapped key does not open: it was wrapped for another "
                                       "recipient or another envelope, or was changed");
    }
    if (err != SL_OK)
        memset(plain, 0, sealed.bytes - SL_HPKE_TAG_BYTES);
    sodium_memzero(&s, sizeof s);
    return err;
}
