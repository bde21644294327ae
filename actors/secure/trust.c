/* Design notes: the memory of credentials that held is a small table by hash, an entry a place:
 * what falls on an entry replaces it, so there is no bound to reach and nothing to sweep. It
 * remembers that signatures held, nothing else; times and revocations are looked at every time.
 */
#include "actors/secure/trust.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

enum { PINS_MAX = 64, REVOKED_MAX = 4096, REMEMBERED = 256 };

struct sl_trust {
    uint8_t pins[PINS_MAX][SL_KEY_FINGERPRINT_BYTES];
    uint32_t pin_count;
    pthread_mutex_t lock; /* what follows */
    uint8_t (*revoked)[SL_KEY_FINGERPRINT_BYTES];
    uint32_t revoked_count;
    uint8_t held[REMEMBERED][32]; /* SHA-256 of credentials */
};

sl_err sl_trust_create(sl_trust **trust) {
    if (sodium_init() < 0)
        return sl_fail(SL_ERR_UNAVAILABLE, "the system gives no random numbers for keys");
    sl_trust *made = calloc(1, sizeof *made);
    if (!made)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for pinned authorities");
    pthread_mutex_init(&made->lock, NULL);
    *trust = made;
    return SL_OK;
}

void sl_trust_destroy(sl_trust *trust) {
    if (!trust)
        return;
    pthread_mutex_destroy(&trust->lock);
    free(trust->revoked);
    free(trust);
}

static bool among(uint8_t (*all)[SL_KEY_FINGERPRINT_BYTES], uint32_t count, const uint8_t *one) {
    for (uint32_t i = 0; i < count; i++)
        if (memcmp(all[i], one, SL_KEY_FINGERPRINT_BYTES) == 0)
            return true;
    return false;
}

sl_err sl_trust_pin(sl_trust *trust, const uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES]) {
    if (among(trust->pins, trust->pin_count, fingerprint))
        return SL_OK;
    if (trust->pin_count == PINS_MAX)
        return sl_fail(SL_ERR_TOO_LARGE, "more than %d authorities are pinned", PINS_MAX);
    memcpy(trust->pins[trust->pin_count++], fingerprint, SL_KEY_FINGERPRINT_BYTES);
    return SL_OK;
}

static sl_err revoke(sl_trust *trust, const uint8_t *fingerprint) {
    if (among(trust->revoked, trust->revoked_count, fingerprint))
        return SL_OK;
    if (trust->revoked_count == REVOKED_MAX)
        return sl_fail(SL_ERR_TOO_LARGE,
                       "more than %d identities are revoked: a new authority "
                       "leaves all of them behind",
                       REVOKED_MAX);
    void *grown = realloc(trust->revoked, (trust->revoked_count + 1) * sizeof *trust->revoked);
    if (!grown)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for another revoked identity");
    trust->revoked = grown;
    memcpy(trust->revoked[trust->revoked_count++], fingerprint, SL_KEY_FINGERPRINT_BYTES);
    return SL_OK;
}

sl_err sl_trust_revoke(sl_trust *trust, const uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES]) {
    pthread_mutex_lock(&trust->lock);
    sl_err err = revoke(trust, fingerprint);
    pthread_mutex_unlock(&trust->lock);
    return err;
}

static sl_err read_credential(const void *credential, size_t size, sl_peer *peer) {
    sl_reader reader = {credential, (const uint8_t *)credential + size, false};
    SL_TRY(sl_certificate_read(&reader, &peer->certificate));
    SL_TRY(sl_box_key_read(&reader, &peer->box));
    if (reader.at != reader.end)
        return sl_fail(SL_ERR_DECODE, "%zu bytes follow a credential",
                       (size_t)(reader.end - reader.at));
    sl_key_id(peer->box.key, peer->key_id);
    return SL_OK;
}

static sl_err check_pinned(const sl_trust *trust, const sl_certificate *certificate) {
    uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES];
    char text[2 * SL_KEY_FINGERPRINT_BYTES + 1];
    sl_fingerprint(certificate->authority, fingerprint);
    for (uint32_t i = 0; i < trust->pin_count; i++)
        if (memcmp(trust->pins[i], fingerprint, sizeof fingerprint) == 0)
            return SL_OK;
    sl_hex(fingerprint, sizeof fingerprint, text);
    return sl_fail(SL_ERR_SEAL, "%s has a certificate of authority %s, which is not pinned here",
                   certificate->name, text);
}

static sl_err check_signatures(const sl_peer *peer) {
    SL_TRY(sl_certificate_verify(&peer->certificate));
    return sl_box_key_verify(&peer->box, peer->certificate.identity);
}

/* Signatures, unless they are known to hold; and revocations. */
static sl_err check_held(sl_trust *trust, const void *credential, size_t size,
                         const sl_peer *peer) {
    uint8_t hash[32], fingerprint[SL_KEY_FINGERPRINT_BYTES];
    crypto_hash_sha256(hash, credential, size);
    sl_fingerprint(peer->certificate.identity, fingerprint);
    uint8_t *place = trust->held[hash[0] % REMEMBERED];
    pthread_mutex_lock(&trust->lock);
    bool revoked = among(trust->revoked, trust->revoked_count, fingerprint);
    bool held = memcmp(place, hash, sizeof hash) == 0;
    pthread_mutex_unlock(&trust->lock);
    if (revoked)
        return sl_fail(SL_ERR_SEAL, "%s has been revoked", peer->certificate.name);
    if (held)
        return SL_OK;
    SL_TRY(check_signatures(peer));
    pthread_mutex_lock(&trust->lock);
    memcpy(place, hash, sizeof hash);
    pthread_mutex_unlock(&trust->lock);
    return SL_OK;
}

sl_err sl_trust_check(sl_trust *trust, const void *credential, size_t size, uint64_t now_s,
                      sl_peer *peer) {
    sl_peer read;
    SL_TRY(read_credential(credential, size, &read));
    SL_TRY(check_pinned(trust, &read.certificate));
    SL_TRY(sl_validity_check(&read.certificate.validity, now_s, "a certificate"));
    SL_TRY(sl_validity_check(&read.box.validity, now_s, "an encryption key"));
    SL_TRY(check_held(trust, credential, size, &read));
    *peer = read;
    return SL_OK;
}
