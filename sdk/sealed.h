/* Sealed tasks, as a node runs them. To scheduler and executor such a task is a call of the
 * function `starlane.sealed`, whose argument, or, when it is large, whose data apart, is an
 * envelope (actors/secure/envelope.h); what is called, and with what, is inside (sealed_body.h).
 * On the pool thread that runs it, just before it runs, the envelope is opened; what the function
 * answers is sealed to the sender before it leaves that thread. So nobody else on the way needs to
 * know anything, and nobody does.
 *
 * A function that fails says why inside the sealed result; in the clear stands only that it did. */
#ifndef SL_SDK_SEALED_H
#define SL_SDK_SEALED_H

#include "actors/executor/functions.h"
#include "sdk/sealed_body.h"

/* Envelopes from this size on travel beside their task. */
enum { SL_SEALED_APART_BYTES = 32768 };

/* All borrowed, and outlive the object. */
typedef struct sl_sealed_options {
    const sl_identity *identity; /* the node's, with certificate and encryption key */
    sl_trust *trust;
    sl_replay *replay;
    const char *project;        /* only its clients' tasks are run; NULL: all projects' */
    uint64_t result_lifetime_s; /* results are to be read within so long */
    /* Who runs commands at a node of this process; NULL, and NULL from it: nobody. */
    struct sl_minder *(*minder_of)(void *context, uint32_t node);
    void *context;
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

/* Registers `starlane.sealed`, `starlane.sealed_command` and `starlane.sealed_module` in
 * `functions`, which also has the functions that sealed tasks call.
 * `*place` is the node when it is called; while it is NULL it fails and says that there is no
 * identity. Both are borrowed. Before the freeze. */
sl_err sl_sealed_register(sl_functions *functions, sl_sealed_place *place) SL_CHECKED;

/* The node's credential, for who seals for it. SL_ERR_UNAVAILABLE: it has no identity. */
sl_err sl_sealed_credential(const sl_sealed_place *place,
                            uint8_t credential[SL_CREDENTIAL_MOST_BYTES], size_t *bytes) SL_CHECKED;

#endif
