/* Whom to believe: the authorities pinned, the identities revoked, and what their credentials say.
 *
 * Checking a credential takes two signatures; one that has held is remembered for as long as it is
 * valid. Any thread. */
#ifndef SL_SECURE_TRUST_H
#define SL_SECURE_TRUST_H

#include "actors/secure/certificate.h"

typedef struct sl_trust sl_trust;

/* Somebody whose credential holds. */
typedef struct sl_peer {
    sl_certificate certificate;
    sl_box_key box;
    uint8_t key_id[SL_KEY_ID_BYTES]; /* of `box` */
} sl_peer;

/* Believes nobody yet. */
sl_err sl_trust_create(sl_trust **trust) SL_CHECKED;
void sl_trust_destroy(sl_trust *trust); /* NULL is fine */

/* Believes certificates signed by the key with this fingerprint; and a self-signed one, if it is
 * the fingerprint of an identity. SL_ERR_TOO_LARGE: too many. Before others use it. */
sl_err sl_trust_pin(sl_trust *trust,
                    const uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES]) SL_CHECKED;

/* Believes nothing that the identity with this fingerprint says, from now on. */
sl_err sl_trust_revoke(sl_trust *trust,
                       const uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES]) SL_CHECKED;

/* Checks a credential: whole, signed by a pinned authority, both halves valid at `now_s`, not
 * revoked. SL_ERR_DECODE, SL_ERR_SEAL. */
sl_err sl_trust_check(sl_trust *trust, const void *credential, size_t size, uint64_t now_s,
                      sl_peer *peer) SL_CHECKED;

#endif
