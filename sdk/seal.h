/* Sealing tasks, for who submits them: a client's keys, the nodes that it may seal for, and the
 * ends of futures whose results are sealed.
 *
 * A task is sealed on the thread that submits it, and its result is opened on the thread that asks
 * for it: neither is fit for a loop. */
#ifndef SL_SDK_SEAL_H
#define SL_SDK_SEAL_H

#include "actors/roster/roster.h"
#include "sdk/client.h"
#include "actors/secure/wire.h"

#define SL_SEALED_FUNCTION "starlane.sealed"

/* Where nodes are learned: in the job, or over a connection. */
typedef struct sl_seal_source {
    uint64_t id; /* sl_seal_source_id() of that network or connection */
    /* What the nodes say they are; the list is the caller's. Any thread. */
    sl_err (*fetch)(void *context, sl_roster_node **list, uint32_t *count);
    void *context;
} sl_seal_source;

/* A number that no other source of this process has or had. */
uint64_t sl_seal_source_id(void);

/* A task sealed. */
typedef struct sl_seal_made {
    uint8_t *among; /* owned: bits of the nodes that can open it */
    uint32_t among_bytes;
    struct sl_future_seal *end; /* owned: for the future, to open its result with */
} sl_seal_made;

/* Seals `what` as `seal` says; `retries` as the task's options have them. `place` is told the size
 * and answers with where the envelope goes. */
struct sl_sealing;
sl_err sl_seal_make(const sl_seal *seal, const sl_seal_source *source, const struct sl_sealing *what,
                    uint32_t retries, uint8_t *(*place)(void *context, size_t size), void *context,
                    sl_seal_made *made) SL_CHECKED;

/* The same of a call of `function` with values, which must be data. */
sl_err sl_seal_call(const sl_seal *seal, const sl_seal_source *source, const char *function,
                    const sl_args *args, uint32_t retries,
                    uint8_t *(*place)(void *context, size_t size), void *context,
                    sl_seal_made *made) SL_CHECKED;

/* The same with the bytes that a registered function gets; its result is bytes too. */
sl_err sl_seal_bytes(const sl_seal *seal, const sl_seal_source *source, const char *function,
                     sl_part arguments, uint32_t retries,
                     uint8_t *(*place)(void *context, size_t size), void *context,
                     sl_seal_made *made) SL_CHECKED;

/* A future has ended: opens its result, once; its error and value are what they are from then on.
 * No effect on others. Any thread. */
void sl_future_settle(sl_future *future);

/* Lets go of that. NULL is fine. */
void sl_future_seal_drop(struct sl_future_seal *end);

#endif
