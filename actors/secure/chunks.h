/* A body in authenticated chunks: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár,
 * "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", CRYPTO 2015). The
 * nonce of a chunk is prefix || number (4 bytes) || 1 for the last chunk, else 0: a chunk that is
 * changed, cut, moved, doubled, left out, put behind the last, or taken from another body does not
 * open.
 *
 * Nonces never repeat under a key because a key is made for one body and its numbers only grow. */
#ifndef SL_SECURE_CHUNKS_H
#define SL_SECURE_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>

#include "actors/secure/wire.h"
#include "runtime/err.h"

/* How bodies are encrypted; the numbers are on the wire. */
typedef enum sl_suite {
    SL_SUITE_XCHACHA20_POLY1305 = 1, /* libsodium */
    SL_SUITE_AES256_GCM = 2          /* OpenSSL */
} sl_suite;

enum {
    SL_CHUNK_KEY_BYTES = 32,
    SL_CHUNK_PREFIX_BYTES = 19, /* of these AES-256-GCM uses the first 7 */
    SL_CHUNK_TAG_BYTES = 16,
    SL_CHUNK_LEAST_BYTES = 1 << 16,
    SL_CHUNK_MOST_BYTES = 1 << 20
};

/* The faster one on this processor: AES-256-GCM where it has instructions for both halves (AES,
 * carry-less multiplication), else XChaCha20-Poly1305. */
sl_suite sl_suite_best(void);

bool sl_suite_known(unsigned suite);

/* Seals or opens the chunks of one body after another. One thread at a time. */
typedef struct sl_chunks sl_chunks;

sl_err sl_chunks_create(sl_chunks **chunks) SL_CHECKED;
void sl_chunks_destroy(sl_chunks *chunks); /* wipes; NULL is fine */

/* Begins a body under a key of its own; `key` and `prefix` are copied. */
sl_err sl_chunks_begin(sl_chunks *chunks, sl_suite suite, bool sealing,
                       const uint8_t key[SL_CHUNK_KEY_BYTES],
                       const uint8_t prefix[SL_CHUNK_PREFIX_BYTES]) SL_CHECKED;

/* The next chunk, at most SL_CHUNK_MOST_BYTES; `to` may be `from`, and must not overlap it
 * otherwise. SL_ERR_TOO_LARGE behind 2^32 chunks. */
sl_err sl_chunks_seal(sl_chunks *chunks, const void *from, size_t bytes, bool last, uint8_t *to,
                      uint8_t tag[SL_CHUNK_TAG_BYTES]) SL_CHECKED;

/* SL_ERR_SEAL when it is not the chunk that was sealed there; `to` is zeroed then. */
sl_err sl_chunks_open(sl_chunks *chunks, const uint8_t *from, size_t bytes, bool last,
                      const uint8_t tag[SL_CHUNK_TAG_BYTES], uint8_t *to) SL_CHECKED;

/* Wipes the body's key; also done by the next begin. */
void sl_chunks_end(sl_chunks *chunks);

#endif
