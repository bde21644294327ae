/* People who are the same in every run, so that seeds stay good: identity files put together by
 * hand. */
#ifndef SL_TESTS_FUZZ_SECURE_PEOPLE_H
#define SL_TESTS_FUZZ_SECURE_PEOPLE_H

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/secure/identity.h"
#include "actors/secure/trust.h"

#define NOW_S ((uint64_t)1800000000)

static inline void require(bool holds) {
    if (!holds)
        abort();
}

/* As identity.c says: "SLKEYS", version 1, one key, seed, key, from 1 on, for ever, checksum. */
static inline size_t key_file(uint8_t which, uint8_t file[SL_IDENTITY_FILE_MOST_BYTES]) {
    static const char domain[] = "starlane identity file v1";
    crypto_hash_sha256_state state;
    size_t size = SL_IDENTITY_FILE_MOST_BYTES - 32;
    memset(file, which, size);
    memcpy(file, "SLKEYS\1\1", 8);
    memset(file + 72, 0, 8), file[72] = 1;
    memset(file + 80, 0xff, 8);
    require(sodium_init() >= 0);
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const uint8_t *)domain, sizeof domain);
    crypto_hash_sha256_update(&state, file, size);
    crypto_hash_sha256_final(&state, file + size);
    return SL_IDENTITY_FILE_MOST_BYTES;
}

static inline sl_identity *person(uint8_t which, sl_role role, const sl_identity *authority) {
    uint8_t file[SL_IDENTITY_FILE_MOST_BYTES];
    sl_identity *made;
    require(sl_identity_decode(file, key_file(which, file), &made) == SL_OK);
    sl_certificate c = {.role = role, .name = "fuzz", .project = "p", .validity = {1, UINT64_MAX}};
    require(sl_identity_request(made, &c) == SL_OK);
    if (authority)
        require(sl_identity_certify(authority, &c, c.validity, &c) == SL_OK);
    require(sl_identity_adopt(made, &c) == SL_OK);
    return made;
}

static inline sl_trust *trust_in(const sl_identity *authority) {
    sl_trust *trust;
    uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES];
    require(sl_trust_create(&trust) == SL_OK);
    sl_fingerprint(sl_identity_key(authority), fingerprint);
    require(sl_trust_pin(trust, fingerprint) == SL_OK);
    return trust;
}

static inline sl_peer peer_of(sl_trust *trust, const sl_identity *identity) {
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    size_t size;
    sl_peer peer;
    require(sl_identity_credential(identity, credential, &size) == SL_OK);
    require(sl_trust_check(trust, credential, size, NOW_S, &peer) == SL_OK);
    return peer;
}

/* Writes a seed to the folder that SL_FUZZ_SEEDS names, if it does. */
static inline void seed_file(const char *name, const void *bytes, size_t size) {
    char path[512];
    const char *folder = getenv("SL_FUZZ_SEEDS");
    if (!folder)
        return;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    require(out && fwrite(bytes, 1, size, out) == size && fclose(out) == 0);
}

#endif
