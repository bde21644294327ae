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

#define SL_SEALED_FUNCTION                                                                         \
    "starlane.sealed" /* and SL_SEALED_COMMAND and SL_SEALED_MODULE, for who knows messages alone  \
                       */

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
    bool command;               /* it is one */
    struct sl_future_seal *end; /* owned: for the future, to open its result with */
} sl_seal_made;

/* Seals `what` as `seal` says; `retries` as the task's options have them. `place` is told the size
 * and answers with where the envelope goes. */
struct sl_sealing;
sl_err sl_seal_make(const sl_seal *seal, const sl_seal_source *source,
                    const struct sl_sealing *what, uint32_t retries,
                    uint8_t *(*place)(void *context, size_t size), void *context,
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

/* The same of a call of a task of a sealed module, with values, or, `json` not NULL, with text;
 * then the result is text too. */
typedef struct sl_seal_module_asked {
    const struct sl_module_entry *entry;
    const sl_args *args;
    const char *json;
} sl_seal_module_asked;
sl_err sl_seal_module_call(const sl_seal *seal, const sl_seal_source *source,
                           const sl_seal_module_asked *asked, uint32_t retries,
                           uint8_t *(*place)(void *context, size_t size), void *context,
                           sl_seal_made *made) SL_CHECKED;

/* The arguments of the call that carries an envelope of `size` bytes: the envelope, if it is not
 * large enough to lie beside them; of a task of a module two values, the object with the sealed
 * file and the envelope. How many bytes they are; and, written to `out`, where in it the envelope
 * goes (NULL: beside). `object` NULL: of no module. */
size_t sl_seal_carrier_bytes(const sl_value *object, size_t size);
uint8_t *sl_seal_carrier_write(const sl_value *object, size_t size, uint8_t *out);
/* Of a task of a module, taken apart. SL_ERR_DECODE. */
sl_err sl_seal_carrier_read(const void *wire, size_t bytes, const sl_blob *apart,
                            sl_value values[2]) SL_CHECKED;

/* The same of a command. */
sl_err sl_seal_a_command(const sl_seal *seal, const sl_seal_source *source,
                         const sl_command *command, uint32_t retries,
                         uint8_t *(*place)(void *context, size_t size), void *context,
                         sl_seal_made *made) SL_CHECKED;

/* Opens what answers a task: in `apart`, or, with that NULL, at `wire`. Any thread, one at a time.
 */
struct sl_opened;
sl_err sl_seal_open(struct sl_future_seal *end, sl_blob *apart, const void *wire, size_t bytes,
                    struct sl_opened *opened) SL_CHECKED;

/* Seals data of a client's own for itself, and opens it; what comes out is to be freed. */
sl_err sl_keys_seal_own(sl_keys *keys, sl_part data, uint8_t **envelope, size_t *bytes) SL_CHECKED;
sl_err sl_keys_open_own(sl_keys *keys, uint8_t *envelope, size_t bytes, char **data,
                        size_t *size) SL_CHECKED;

/* A future has ended: opens its result, once; its error and value are what they are from then on.
 * No effect on others. Any thread. */
void sl_future_settle(sl_future *future);

/* remote_submit.c and client_submit.c: one command as a future, on its way. `options` has a seal;
 * `name` is the future's alone. `teller` may be NULL. */
struct sl_remote_teller;
sl_future *sl_remote_submit_command(sl_remote *remote, const char *name, const sl_command *command,
                                    const sl_task_options *options,
                                    const struct sl_remote_teller *teller);
sl_future *sl_client_submit_command(const sl_command *command, const sl_task_options *options);

/* True when it is of a sealed command: sl_result_sealed() says how it ended. */
bool sl_future_is_sealed_command(const sl_future *future);

/* The function as which it travels. */
const char *sl_future_seal_name(const struct sl_future_seal *end);

/* Lets go of that. NULL is fine. */
void sl_future_seal_drop(struct sl_future_seal *end);

#endif
