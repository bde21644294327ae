/* Function tasks: C functions that every rank registers under the same names.
 *
 * Register first, freeze, then look up: after the freeze the table is read-only and any thread may
 * use it. Ids are the places in the order of names, so ranks that registered the same names in
 * any order agree on ids; sl_functions_hash() lets them verify it. */
#ifndef SL_ACTORS_EXECUTOR_FUNCTIONS_H
#define SL_ACTORS_EXECUTOR_FUNCTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/blob.h"

#define SL_FUNCTION_NAME_MAX_BYTES 127u
#define SL_FUNCTIONS_MAX           65536u

/* What a function may want to know of its call. */
typedef struct sl_task_facts {
    uint32_t node;
    uint32_t attempt;         /* from 1 */
    uint32_t owner;           /* the node that the result goes to; SL_NO_NODE: it is lost */
    bool holds_objects;       /* the owner can: they may be returned */
    uint64_t keep_bytes;      /* a result of so many bytes may stay here, as an object that the
                                 owner holds */
    const char *function;     /* the name it was called by; NULL: not known */
    const sl_blob *apart;     /* large data that came with the arguments; NULL: none */
    const uint8_t *cancelled; /* set to 1, while it runs, when nobody wants its result any more */
    bool is_sealed;           /* nothing of it may go anywhere but into its answer */
} sl_task_facts;

/* The bytes a function task answers with: grows as they are written, up to a limit. */
typedef struct sl_task_output {
    const sl_task_facts *facts; /* borrowed for the call; NULL: nothing is known */
    unsigned char *data;        /* owned, unless it is `room` */
    unsigned char *room;        /* borrowed, for the first bytes; may be NULL */
    size_t size_bytes;
    size_t capacity_bytes;
    size_t limit_bytes;
    sl_blob *apart;  /* owned: large data that goes with what is written; NULL: none */
    bool of_failure; /* that goes to the owner also when the function fails */
    /* Once its fate is known, on any thread: has it been sent? NULL: nobody has to know. */
    void (*settle)(void *context, bool sent);
    void *settled;
} sl_task_output;

/* Empty, at most `limit_bytes` will be accepted. Allocates nothing. */
void sl_task_output_init(sl_task_output *output, size_t limit_bytes);

/* As above; outputs of up to `room_bytes` stay in `room`, which outlives them, and are then not to
 * be freed: what is taken is `room` itself. */
void sl_task_output_init_in(sl_task_output *output, size_t limit_bytes, void *room,
                            size_t room_bytes);

/* Frees what was written and is not taken, and lets go of `apart`; what is to be settled was not
 * sent. */
void sl_task_output_fini(sl_task_output *output);

/* Appends a copy of `bytes`. SL_ERR_TOO_LARGE over the limit or SL_ERR_NO_MEMORY: nothing added. */
sl_err sl_task_output_write(sl_task_output *output, const void *bytes, size_t size) SL_CHECKED;

/* Hands the bytes over (free() them; NULL when empty), sets `size_bytes`, leaves `output` empty. */
void *sl_task_output_take(sl_task_output *output, size_t *size_bytes);

/* A task's function: runs on a pool thread, several at once. `args` is borrowed for the call; what
 * it writes to `output` is its result. An error makes the task fail; sl_fail() gives its text. */
typedef sl_err (*sl_task_function)(const void *args, size_t args_bytes, sl_task_output *output,
                                   void *user);

typedef struct sl_functions sl_functions;

sl_err sl_functions_create(sl_functions **functions) SL_CHECKED;
void sl_functions_destroy(sl_functions *functions); /* NULL is fine */

/* Adds `function` as `name` (letters, digits and `_ - . :`; copied). `user` is handed to each call.
 * SL_ERR_INVALID: bad name or no function; SL_ERR_EXISTS; SL_ERR_CLOSED: frozen already;
 * SL_ERR_TOO_LARGE; SL_ERR_NO_MEMORY. One thread. */
sl_err sl_functions_register(sl_functions *functions, const char *name, sl_task_function function,
                             void *user) SL_CHECKED;

/* The same for a function that may wait for others, or take long: it never runs on the loop. */
sl_err sl_functions_register_slow(sl_functions *functions, const char *name,
                                  sl_task_function function, void *user) SL_CHECKED;

/* Every name with a `/` in it is a call of `function`, which never runs on the loop and learns from
 * its arguments what is meant. Such names have no ids of this table. Once; as above. */
sl_err sl_functions_register_family(sl_functions *functions, sl_task_function function,
                                    void *user) SL_CHECKED;

/* Ends registration and gives the ids. Safe to repeat. */
void sl_functions_freeze(sl_functions *functions);

/* The rest is for after the freeze. */

size_t sl_functions_count(const sl_functions *functions);

/* Is it a name of the family, and is there one? */
bool sl_functions_is_family(const sl_functions *functions, const char *name);

/* Id of `name`; SL_ERR_NOT_FOUND names it; SL_ERR_INVALID before the freeze. */
sl_err sl_functions_find(const sl_functions *functions, const char *name, uint32_t *id) SL_CHECKED;

/* Name of `id`, owned by the table, or NULL when there is none. */
const char *sl_functions_name(const sl_functions *functions, uint32_t id);

/* True when `id`, which exists, may run on the loop. Ids from sl_functions_count() on are those
 * that an executor gives to names of the family. */
bool sl_functions_may_be_inline(const sl_functions *functions, uint32_t id);

/* FNV-1a (64 bit, Fowler/Noll/Vo) over the names in order, each with its NUL: equal on two ranks
 * when, but for collisions, they registered the same names. */
uint64_t sl_functions_hash(const sl_functions *functions);

/* Calls function `id` here (from the count on: the family's) and returns what it returned; a value
 * outside sl_err becomes SL_ERR_FAILED. SL_ERR_NOT_FOUND when there is no such id. */
sl_err sl_functions_call(const sl_functions *functions, uint32_t id, const void *args,
                         size_t args_bytes, sl_task_output *output) SL_CHECKED;

#endif
