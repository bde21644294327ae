#include "actors/secure/hkdf.h"

#include <assert.h>
#include <sodium.h>

static void feed(crypto_auth_hmacsha256_state *state, const sl_part *parts, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (parts[i].bytes)
            crypto_auth_hmacsha256_update(state, parts[i].data, parts[i].bytes);
}

void sl_hkdf_extract(const void *salt, size_t salt_bytes, const sl_part *parts, size_t count,
                     uint8_t secret[SL_HKDF_BYTES]) {
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, salt_bytes ? salt : (const void *)"", salt_bytes);
    feed(&state, parts, count);
    crypto_auth_hmacsha256_final(&state, secret);
    sodium_memzero(&state, sizeof state);
}

void sl_hkdf_expand(const uint8_t secret[SL_HKDF_BYTES], const sl_part *info, size_t count,
                    void *out, size_t bytes) {
    assert(bytes <= SL_HKDF_OUT_MAX);
    crypto_auth_hmacsha256_state state;
    uint8_t block[SL_HKDF_BYTES], *to = out;
    for (uint8_t number = 1; bytes > 0; number++) {
        crypto_auth_hmacsha256_init(&state, secret, SL_HKDF_BYTES);
        if (number > 1)
            crypto_auth_hmacsha256_update(&state, block, sizeof block);
        feed(&state, info, count);
        crypto_auth_hmacsha256_update(&state, &number, 1);
        crypto_auth_hmacsha256_final(&state, block);
        size_t some = bytes < sizeof block ? bytes : sizeof block;
        memcpy(to, block, some);
        to += some;
        bytes -= some;
    }
    sodium_memzero(block, sizeof block);
    sodium_memzero(&state, sizeof state);
}
