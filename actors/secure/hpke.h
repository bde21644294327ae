/* Hybrid public key encryption, RFC 9180: base mode, single shot, of the suite DHKEM(X25519,
 * HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. It wraps the key of an envelope for one recipient.
 *
 * It says nothing about who sealed: the envelope is signed. Any thread. */
#ifndef SL_SECURE_HPKE_H
#define SL_SECURE_HPKE_H

#include <stdint.h>

#include "actors/secure/wire.h"
#include "runtime/err.h"

enum { SL_HPKE_KEY_BYTES = 32, SL_HPKE_ENC_BYTES = 32, SL_HPKE_TAG_BYTES = 16 };

/* What a sealing is bound to, beside the recipient's key. */
typedef struct sl_hpke_binding {
    sl_part info;
    sl_part aad;
} sl_hpke_binding;

/* A key pair of X25519; the secret half belongs into memory of sl_secret_create(). */
typedef struct sl_hpke_keys {
    uint8_t secret[SL_HPKE_KEY_BYTES];
    uint8_t key[SL_HPKE_KEY_BYTES];
} sl_hpke_keys;

/* A new random pair. */
void sl_hpke_keys_make(sl_hpke_keys *keys);

/* Seals `plain` to the public key `to`: `enc` and plain.bytes + SL_HPKE_TAG_BYTES of `sealed`.
 * SL_ERR_SEAL when `to` is no key to which anything can be sealed. */
sl_err sl_hpke_seal(const uint8_t to[SL_HPKE_KEY_BYTES], const sl_hpke_binding *binding,
                    sl_part plain, uint8_t enc[SL_HPKE_ENC_BYTES], uint8_t *sealed) SL_CHECKED;

/* As above with an ephemeral pair given (wiped by the caller): for known answers. A pair must never
 * be used twice. */
sl_err sl_hpke_seal_with(const sl_hpke_keys *ephemeral, const uint8_t to[SL_HPKE_KEY_BYTES],
                         const sl_hpke_binding *binding, sl_part plain,
                         uint8_t enc[SL_HPKE_ENC_BYTES], uint8_t *sealed) SL_CHECKED;

/* Opens; `plain` gets sealed.bytes - SL_HPKE_TAG_BYTES, zeroed on failure. SL_ERR_SEAL when it was
 * not sealed to these keys, with this binding, or was changed. */
sl_err sl_hpke_open(const sl_hpke_keys *keys, const sl_hpke_binding *binding,
                    const uint8_t enc[SL_HPKE_ENC_BYTES], sl_part sealed,
                    uint8_t *plain) SL_CHECKED;

#endif
