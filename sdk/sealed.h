/* Sealed function tasks. To scheduler and executor such a task is a call of the function
 * `starlane.sealed`, whose argument is an envelope (actors/secure/envelope.h); what is called, and
 * with what, is inside. On the pool thread that runs it, just before it runs, the envelope is
 * opened; what the function answers is sealed to the sender before it leaves that thread. So nobody
 * else on the way needs to know anything, and nobody does.
 *
 *     body of the task     executor_function, encoded
 *     body of the result   error:4 message-bytes:4 message output
 *
 * A function that fails says why inside the sealed result; in the clear stands only that it did. */
#ifndef SL_SDK_SEALED_H
#define SL_SDK_SEALED_H

#include "actors/executor/functions.h"
#include "actors/secure/opener.h"

#define SL_SEALED_FUNCTION     "starlane.sealed"
#define SL_CREDENTIAL_FUNCTION "starlane.credential"

/* ---- a node's side ---- */

/* All borrowed, and outlive the object. */
typedef struct sl_sealed_options {
    const sl_identity *identity; /* the node's, with certificate and encryption key */
    sl_trust *trust;
    sl_replay *replay;
    const char *project;        /* only its clients' tasks are run; NULL: all projects' */
    uint64_t result_lifetime_s; /* results are to be read within so long */
} sl_sealed_options;

typedef struct sl_sealed sl_sealed;

/* Where functions find the node. */
typedef struct sl_sealed_place {
    sl_sealed *_Atomic sealed; /* NULL: this process has no identity */
    const sl_functions *functions;
} sl_sealed_place;

/* A node that runs sealed tasks. */
sl_err sl_sealed_create(const sl_sealed_options *options, sl_sealed **sealed) SL_CHECKED;

/* When none of its tasks runs. NULL is fine. */
void sl_sealed_destroy(sl_sealed *sealed);

/* Registers `starlane.sealed` and `starlane.credential` (which answers with the node's credential)
 * in `functions`, which also has the functions that sealed tasks call. `*place` is the node when
 * they are called; while it is NULL they fail and say that there is no identity. Both are borrowed.
 * Before the freeze. */
sl_err sl_sealed_register(sl_functions *functions, sl_sealed_place *place) SL_CHECKED;

/* ---- a client's side ---- */

/* Seals a call of `function` as `request` says (kind and body_bytes are filled in): `*envelope`,
 * `*size` of it, is the argument for `starlane.sealed`, the caller's to free(). The id that the
 * result must be about is sl_sealer_id(). */
sl_err sl_sealed_call(sl_sealer *sealer, const sl_seal_request *request, const char *function,
                      const void *arguments, size_t argument_bytes, uint8_t **envelope,
                      size_t *size) SL_CHECKED;

/* What came back. Leads into the envelope that it was opened in. */
typedef struct sl_sealed_answer {
    sl_err err;      /* of the function */
    sl_part message; /* why it failed; no NUL behind it */
    sl_part output;
} sl_sealed_answer;

/* Opens a result in place; `request` (of which kind and role are filled in) says about which task.
 * SL_ERR_SEAL, SL_ERR_DECODE. */
sl_err sl_sealed_open_answer(sl_opener *opener, const sl_open_request *request, uint8_t *envelope,
                             size_t size, sl_sealed_answer *answer) SL_CHECKED;

#endif
