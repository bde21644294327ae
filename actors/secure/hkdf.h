/* HKDF-SHA256 (RFC 5869) over inputs in parts. Any thread. */
#ifndef SL_SECURE_HKDF_H
#define SL_SECURE_HKDF_H

#include "actors/secure/wire.h"

enum { SL_HKDF_BYTES = 32, SL_HKDF_OUT_MAX = 255 * SL_HKDF_BYTES };

/* Extract: a key of SL_HKDF_BYTES out of the input, which is `parts` one after another. */
void sl_hkdf_extract(const void *salt, size_t salt_bytes, const sl_part *parts, size_t count,
                     uint8_t secret[SL_HKDF_BYTES]);

/* Expand: `bytes` (at most SL_HKDF_OUT_MAX) for the purpose that `info`, one part after another,
 * tells. */
void sl_hkdf_expand(const uint8_t secret[SL_HKDF_BYTES], const sl_part *info, size_t count,
                    void *out, size_t bytes);

#endif
