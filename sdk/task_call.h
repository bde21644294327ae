/* The call of a task of the API: the values it got, and what it returns. */
#ifndef SL_SDK_TASK_CALL_H
#define SL_SDK_TASK_CALL_H

#include "actors/executor/functions.h"
#include "starlane.h"

/* Registers every task that SL_TASK() defined and that is not in the table yet, in no order. */
sl_err sl_task_calls_register(sl_functions *functions) SL_CHECKED;

/* A call of a task of a sealed module with arguments as they were in the envelope: as a call of the
 * family. */
struct sl_module_sealed;
sl_err sl_call_sealed_module(const struct sl_module_sealed *sealed, const void *args, size_t bytes,
                             sl_task_output *output) SL_CHECKED;

/* The name by which it is called when it has to wait for its arguments: in `room`, or its own. */
struct sl_task;
const char *sl_task_waiting_name(const struct sl_task *task, char *room, size_t size);

/* The task of that name that SL_TASK() defined here, or NULL. */
const struct sl_task *sl_task_defined(const char *name);

/* True when `task` is in a table: what a program submits must be. Any thread, after the above. */
bool sl_task_is_registered(const struct sl_task *task);

/* What is submitted when a program says `task`: that, or, in a body of a module that says another
 * of its own tasks, that one's task of the module, which is borrowed until the body has returned.
 * NULL, with an error. */
const struct sl_task *sl_task_to_submit(const struct sl_task *task);

/* One run of an actor's body, or of its start. */
typedef struct sl_actor_turn {
    const sl_actor_kind *kind;
    int (*body)(sl_call *call, void *state);
    void *state;
    const char *method;
    sl_actor_ref self;
    sl_task_facts facts;
    struct sl_pool *pool; /* whose thread runs it; NULL: a loop does */
    bool saves;           /* sl_call_save() was called */
    bool moves;           /* sl_call_migrate() was called */
    uint32_t move_to;
} sl_actor_turn;
sl_err sl_actor_turn_run(sl_actor_turn *turn, const void *args, size_t bytes,
                         sl_task_output *output) SL_CHECKED;

/* The kind of that name, or NULL. */
const sl_actor_kind *sl_actor_kind_of(const char *name);

/* On a pool thread that runs an actor's body: its pool, else NULL. */
struct sl_pool *sl_call_pool(void);

/* True on a thread that runs an actor's body. */
bool sl_call_is_actor(void);

/* True on a thread that runs the body of a task, at `node`. */
bool sl_call_runs_here(uint32_t *node);

/* True on a thread that runs the body of a task that is brief. */
bool sl_call_is_brief(void);

#endif
