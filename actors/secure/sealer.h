/* Sealing: a head for everybody, and a body for recipients alone.
 *
 * Three ways, all with memory for one chunk at most beside the caller's:
 * - whole: the body lies in a buffer that has room for the envelope; sealed in place.
 * - streaming: bytes in, bytes out, as they come.
 * - by chunks, for who has its own buffers; the two above are made of it.
 *
 * A sealer is made once and used for one envelope after another: making one costs about as much as
 * sealing a small task. One thread at a time. */
#ifndef SL_SECURE_SEALER_H
#define SL_SECURE_SEALER_H

#include "actors/secure/envelope.h"

typedef struct sl_sealer sl_sealer;

/* What to seal. Zeroed fields mean what is said there. Borrowed until the envelope is done. */
typedef struct sl_seal_request {
    const sl_identity *sender; /* with a certificate and an encryption key */
    const sl_peer *recipients; /* checked by sl_trust_check() */
    uint32_t recipient_count;  /* 0: sl_sealer_wrap() before the sealer goes on to another */
    sl_seal_kind kind;
    sl_suite suite;       /* 0: sl_suite_best() */
    bool shared;          /* more recipients may be added; so it is with several anyway */
    uint8_t runs;         /* 0: 1 */
    uint32_t chunk_bytes; /* a power of two; 0: SL_CHUNK_LEAST_BYTES */
    uint64_t body_bytes;  /* or SL_BODY_UNKNOWN: then nobody sees it in the head */
    uint64_t now_s;
    uint64_t lifetime_s;  /* expires so long after now_s */
    const uint8_t *about; /* SL_ENVELOPE_ID_BYTES of what it answers; NULL: nothing */
    sl_part open_part;    /* visible to all, and authenticated */
} sl_seal_request;

sl_err sl_sealer_create(sl_sealer **sealer) SL_CHECKED;
void sl_sealer_destroy(sl_sealer *sealer); /* wipes; NULL is fine */

/* The bytes that the head of `request` takes. SL_ERR_INVALID, SL_ERR_TOO_LARGE, SL_ERR_NOT_FOUND
 * say what is wrong with it. */
sl_err sl_seal_head_bytes(const sl_seal_request *request, size_t *bytes) SL_CHECKED;

/* Begins an envelope under a new data key and writes its head, sl_seal_head_bytes() of it. */
sl_err sl_sealer_begin(sl_sealer *sealer, const sl_seal_request *request, uint8_t *head) SL_CHECKED;

/* The id of the envelope begun last (SL_ENVELOPE_ID_BYTES), as long as the sealer works on it. */
const uint8_t *sl_sealer_id(const sl_sealer *sealer);

/* The bytes that a chunk of `bytes` takes when sealed. */
size_t sl_sealer_chunk_bytes(const sl_sealer *sealer, size_t bytes, bool last);

/* Seals the next chunk: all but the last have the size asked for, and the last has some bytes
 * unless it is the only one. Writes sl_sealer_chunk_bytes() to `to`; `from` may be `to` + 4.
 * SL_ERR_INVALID when it does not fit what was promised in the head. */
sl_err sl_sealer_chunk(sl_sealer *sealer, const void *from, size_t bytes, bool last,
                       uint8_t *to) SL_CHECKED;

/* Wraps the data key for one more recipient (SL_STANZA_BYTES), who gets it apart from the envelope,
 * or within it (sl_seal_head_append()). Also after the last chunk, until the next begin or end.
 * SL_ERR_REFUSED when the envelope is not shared and has a recipient. */
sl_err sl_sealer_wrap(sl_sealer *sealer, const sl_peer *recipient,
                      uint8_t stanza[SL_STANZA_BYTES]) SL_CHECKED;

/* Wipes the data key; nothing can be wrapped any more. */
void sl_sealer_end(sl_sealer *sealer);

/* ---- streaming ---- */

typedef struct sl_flow {
    size_t taken; /* of the input */
    size_t made;  /* of the output */
    bool done;    /* the envelope's end has been given out */
} sl_flow;

/* Takes what it can of `in` and gives what it has to `out`; to be called until `flow->done`, with
 * `end` once nothing follows what is left of `in`. The head is sl_sealer_begin()'s. */
sl_err sl_sealer_feed(sl_sealer *sealer, const void *in, size_t in_bytes, bool end, uint8_t *out,
                      size_t room, sl_flow *flow) SL_CHECKED;

/* ---- whole ---- */

/* The bytes of the whole envelope, and where in a buffer of so many the body, request->body_bytes
 * of it, is to be put. */
sl_err sl_seal_layout(const sl_seal_request *request, size_t *bytes, size_t *body_at) SL_CHECKED;

/* Makes the envelope in `buffer`, of sl_seal_layout() bytes with the body in its place. */
sl_err sl_seal_whole(sl_sealer *sealer, const sl_seal_request *request, uint8_t *buffer) SL_CHECKED;

/* ---- recipients added later ---- */

/* The owner of a shared envelope, who is one of its recipients, wraps its data key for one more.
 * `head` is all of the head; the body is not needed. SL_ERR_REFUSED: not shared. */
sl_err sl_seal_add_recipient(const void *head, size_t size, const sl_identity *owner,
                             const sl_peer *recipient, uint8_t stanza[SL_STANZA_BYTES]) SL_CHECKED;

/* Writes the head with a wrapped key more, envelope.bytes + SL_STANZA_BYTES, to `out`. */
sl_err sl_seal_head_append(const void *head, size_t size, const uint8_t stanza[SL_STANZA_BYTES],
                           uint8_t *out) SL_CHECKED;

#endif
