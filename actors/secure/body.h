/* What sealer and opener share: the data key of one envelope and what is derived from it; the
 * running digest of a shared body. Private to this room. */
#ifndef SL_SECURE_BODY_H
#define SL_SECURE_BODY_H

#include <openssl/evp.h>

#include "actors/secure/envelope.h"

enum { RECORD_HEAD_BYTES = 4, RECORD_EXTRA_BYTES = RECORD_HEAD_BYTES + SL_CHUNK_TAG_BYTES };

#define RECORD_LAST ((uint32_t)1 << 31)

/* Begins a large object in secret memory. */
typedef struct sl_body {
    uint8_t data_key[SL_DATA_KEY_BYTES];
    sl_chunks *chunks;
    EVP_MD *md;
    EVP_MD_CTX *digest;
    sl_seal_head envelope; /* what it points to is gone */
    uint64_t bytes;        /* of plain body so far */
    bool under_way;
} sl_body;

sl_err sl_body_create(sl_body *body) SL_CHECKED;
void sl_body_destroy(sl_body *body);

/* The commitment of a head to its data key. */
void sl_body_commit(const uint8_t data_key[SL_DATA_KEY_BYTES], uint8_t commitment[32]);

/* Begins with body->data_key and the head `envelope`. */
sl_err sl_body_begin(sl_body *body, const sl_seal_head *envelope, bool sealing) SL_CHECKED;

/* Wipes keys. */
void sl_body_end(sl_body *body);

/* Adds a whole record to the digest of a shared body. */
sl_err sl_body_digest(sl_body *body, const uint8_t *record, size_t bytes) SL_CHECKED;

/* The digest; sl_sign_parts() of these parts is the signature behind a shared body. */
sl_err sl_body_signed_parts(sl_body *body, uint8_t digest[32], sl_part parts[2]) SL_CHECKED;

/* A wrapped key for `peer`. */
sl_err sl_body_wrap(const uint8_t data_key[SL_DATA_KEY_BYTES],
                    const uint8_t hash[SL_ENVELOPE_HASH_BYTES], const sl_peer *peer,
                    uint8_t stanza[SL_STANZA_BYTES]) SL_CHECKED;

/* Opens a wrapped key, and holds it against the commitment. */
sl_err sl_body_unwrap(const sl_seal_head *envelope, const sl_identity *recipient,
                      const uint8_t stanza[SL_STANZA_BYTES],
                      uint8_t data_key[SL_DATA_KEY_BYTES]) SL_CHECKED;

#endif
