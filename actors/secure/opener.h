/* Opening what was sealed: whole in place, streaming, or by chunks, as in sealer.h.
 *
 * What comes out before the end is provisional: an envelope that was cut, or whose shared body was
 * changed by another of its recipients, shows only there. Nothing may be done with it, or told of
 * it, before sl_flow.done, `*last`, or the whole is returned.
 *
 * An opener is made once and used for one envelope after another. One thread at a time. */
#ifndef SL_SECURE_OPENER_H
#define SL_SECURE_OPENER_H

#include "actors/secure/replay.h"
#include "actors/secure/sealer.h"

typedef struct sl_opener sl_opener;

/* Who opens, and what is expected. Borrowed until the envelope is done. */
typedef struct sl_open_request {
    const sl_identity *recipient;
    sl_trust *trust;
    sl_replay *replay;     /* counts what was opened; NULL: the caller sees to that (results) */
    const uint8_t *stanza; /* a wrapped key that came apart from the envelope; NULL: look in it */
    sl_seal_kind kind;     /* another kind is refused */
    sl_role role;          /* of the sender; 0: any */
    const char *project;   /* of the sender; NULL: any */
    const uint8_t *about;  /* what it must answer (SL_ENVELOPE_ID_BYTES); NULL: anything */
    uint64_t now_s;
} sl_open_request;

sl_err sl_opener_create(sl_opener **opener) SL_CHECKED;
void sl_opener_destroy(sl_opener *opener); /* wipes; NULL is fine */

/* Begins with a whole head (sl_seal_head_measure()); the body follows `envelope->bytes` behind it.
 * Checks sender, signature, times, replay and `request`, then opens the wrapped key. `envelope` and
 * `sender` may be NULL. SL_ERR_DECODE; SL_ERR_SEAL says what does not hold. */
sl_err sl_opener_begin(sl_opener *opener, const void *head, size_t size,
                       const sl_open_request *request, sl_seal_head *envelope,
                       sl_peer *sender) SL_CHECKED;

/* How many bytes the next chunk takes, as far as can be told from `size` bytes of it; at least as
 * many as its length field. */
sl_err sl_opener_measure(const sl_opener *opener, const void *record, size_t size,
                         size_t *needed) SL_CHECKED;

/* Opens the next chunk, of sl_opener_measure() bytes. `to` may be `bytes` + 4. With `*last`, all
 * of the body has been opened and held. */
sl_err sl_opener_chunk(sl_opener *opener, const uint8_t *bytes, size_t size, uint8_t *to,
                       size_t *opened, bool *last) SL_CHECKED;

/* Takes what it can of `in` (the body alone, behind the head) and gives what it has to `out`; to be
 * called until `flow->done`. With `end`, nothing follows `in`: an envelope that is not done then
 * was cut, SL_ERR_SEAL. */
sl_err sl_opener_feed(sl_opener *opener, const void *in, size_t in_bytes, bool end, uint8_t *out,
                      size_t room, sl_flow *flow) SL_CHECKED;

/* Opens a whole envelope in place: `*body`, `*body_bytes` of it, lies within `envelope`. On failure
 * nothing readable is left there. */
sl_err sl_open_whole(sl_opener *opener, uint8_t *envelope, size_t size,
                     const sl_open_request *request, sl_peer *sender, uint8_t **body,
                     size_t *body_bytes) SL_CHECKED;

/* Wipes keys. */
void sl_opener_end(sl_opener *opener);

#endif
