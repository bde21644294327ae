/* Data sealed under a key that travels elsewhere: inside the envelopes of those who may open it. So
 * it is sealed and sent once, and whoever gets the key, now or later, can open it.
 *
 *     "SLPRCL" version suite bytes:8 id:16            the head
 *     { ciphertext tag:16 } ...                       chunks of 64 KiB, the last one shorter
 *
 * The key is for one parcel alone. What a parcel is for is not said in it: who carries the key says
 * what the data are held against (of a module, its SHA-256), so that of several who know the key
 * none can put other data into its place.
 *
 * Decoders take any bytes. Any thread. */
#ifndef SL_SECURE_PARCEL_H
#define SL_SECURE_PARCEL_H

#include "actors/secure/chunks.h"

enum {
    SL_PARCEL_KEY_BYTES = 32,
    SL_PARCEL_HEAD_BYTES = 32,
    SL_PARCEL_CHUNK_BYTES = SL_CHUNK_LEAST_BYTES
};

/* A new key, in memory for secrets: the caller's, to be given back by sl_secret_destroy(). */
sl_err sl_parcel_key_create(uint8_t **data_key) SL_CHECKED;
/* The same key once more. */
sl_err sl_parcel_key_copy(const uint8_t data_key[SL_PARCEL_KEY_BYTES], uint8_t **copy) SL_CHECKED;

/* What so many bytes are as a parcel. */
uint64_t sl_parcel_bytes(uint64_t bytes);

/* Seals `bytes` to `out`, which has room for sl_parcel_bytes(). */
sl_err sl_parcel_seal(const uint8_t data_key[SL_PARCEL_KEY_BYTES], const void *from, uint64_t bytes,
                      uint8_t *out) SL_CHECKED;

/* How many bytes are in a parcel; `size` is all of it. SL_ERR_DECODE: it is none, or was cut. */
sl_err sl_parcel_measure(const void *parcel, uint64_t size, uint64_t *bytes) SL_CHECKED;

/* Opens it to `to`, which has room for what was measured; zeroed on failure. SL_ERR_SEAL: it was
 * changed, or sealed under another key. */
sl_err sl_parcel_open(const uint8_t data_key[SL_PARCEL_KEY_BYTES], const void *parcel,
                      uint64_t size, uint8_t *to) SL_CHECKED;

#endif
