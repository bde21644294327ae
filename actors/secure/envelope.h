/* The head of an envelope: what everybody on its way may read, and nobody may change.
 *
 *     "SLSEAL" version suite head-bytes:4 kind flags runs chunk-log2 body-bytes:8 created_s:8
 *     expires_s:8 id:16 about:16 commitment:32 credential-bytes:2 open-bytes:4
 *     credential open-part signature:64
 *     count:2 { key-id:16 enc:32 wrapped:48 } ...          wrapped keys
 *     { length|last<<31 :4 ciphertext tag:16 } ...         the body (sealer.h)
 *     signature:64                                         if it is shared
 *
 * The signature is the sender's, over the SHA-256 of everything before it: the head's hash. That
 * hash goes into every key that is derived, so nothing of a head can be changed, and no wrapped key
 * or chunk moved to another. Wrapped keys stand outside, so that more can be added later.
 *
 * Decoders take any bytes. Any thread. */
#ifndef SL_SECURE_ENVELOPE_H
#define SL_SECURE_ENVELOPE_H

#include "actors/secure/chunks.h"
#include "actors/secure/identity.h"
#include "actors/secure/trust.h"

#define SL_BODY_UNKNOWN UINT64_MAX

enum {
    SL_ENVELOPE_ID_BYTES = 16,
    SL_ENVELOPE_HASH_BYTES = 32,
    SL_ENVELOPE_FIXED_BYTES = 110, /* before the credential */
    SL_OPEN_PART_MOST_BYTES = 1 << 16,
    SL_HEAD_MOST_BYTES = SL_ENVELOPE_FIXED_BYTES + SL_CREDENTIAL_MOST_BYTES +
                         SL_OPEN_PART_MOST_BYTES + SL_SIGNATURE_BYTES,
    SL_DATA_KEY_BYTES = 32,
    SL_STANZA_BYTES = SL_KEY_ID_BYTES + SL_HPKE_ENC_BYTES + SL_DATA_KEY_BYTES + SL_HPKE_TAG_BYTES,
    SL_STANZAS_MOST = 4096,
    SL_RUNS_MOST = 255
};

/* The numbers are on the wire. */
typedef enum sl_seal_kind { SL_SEAL_TASK = 1, SL_SEAL_RESULT = 2, SL_SEAL_DATA = 3 } sl_seal_kind;

/* What a head says. Pointers lead into the bytes that it was read from. */
typedef struct sl_seal_head {
    sl_seal_kind kind;
    sl_suite suite;
    bool shared;                         /* several can open it: the body is signed too */
    uint8_t runs;                        /* how often one recipient may open it, at least 1 */
    uint32_t chunk_bytes;                /* of every chunk of the body but the last */
    uint64_t body_bytes;                 /* before sealing, or SL_BODY_UNKNOWN */
    uint64_t created_s;                  /* seconds since 1970 */
    uint64_t expires_s;                  /* not to be opened from then on */
    uint8_t id[SL_ENVELOPE_ID_BYTES];    /* random: no other has it */
    uint8_t about[SL_ENVELOPE_ID_BYTES]; /* a result: the id of its task; else zeros */
    uint8_t commitment[32];              /* to the data key */
    sl_part credential;                  /* the sender's */
    sl_part open_part;                   /* what the sender wanted visible: resources, … */
    const uint8_t *signature;            /* SL_SIGNATURE_BYTES */
    const uint8_t *stanzas;              /* stanza_count of SL_STANZA_BYTES */
    uint32_t stanza_count;
    size_t bytes; /* all of this: where the body begins */
    uint8_t hash[SL_ENVELOPE_HASH_BYTES];
} sl_seal_head;

/* How many bytes the head at `bytes` has, as far as can be told from the `size` that are there: at
 * most `size` when it is all there, else more, and then worth another look when so many are there.
 * SL_ERR_DECODE: this is no head, whatever follows. */
sl_err sl_seal_head_measure(const void *bytes, size_t size, size_t *needed) SL_CHECKED;

/* Reads the head at `bytes`, which is all there; more may follow. No signature is checked.
 * SL_ERR_DECODE. */
sl_err sl_seal_head_read(const void *bytes, size_t size, sl_seal_head *envelope) SL_CHECKED;

/* Checks what everybody can: that the sender is somebody trusted, signed this head, and that it is
 * in force at `now_s`. For recipients, and for whoever lets envelopes in. SL_ERR_SEAL. */
sl_err sl_seal_head_check(const sl_seal_head *envelope, sl_trust *trust, uint64_t now_s,
                          sl_peer *sender) SL_CHECKED;

/* The wrapped key (SL_STANZA_BYTES) for one of the keys of `identity`, or NULL. */
const uint8_t *sl_seal_head_stanza(const sl_seal_head *envelope, const sl_identity *identity);

/* The head without signature and wrapped keys, `out` has room for SL_HEAD_MOST_BYTES; fills in the
 * hash. Returns its bytes. For the sealer. */
size_t sl_seal_head_encode(sl_seal_head *envelope, uint8_t *out);

/* What is signed: SL_PART_COUNT(parts) parts. */
void sl_seal_head_signed_parts(const sl_seal_head *envelope, sl_part parts[2]);

#endif
