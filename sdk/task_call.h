/* The call of a task of the API: the values it got, and what it returns. */
#ifndef SL_SDK_TASK_CALL_H
#define SL_SDK_TASK_CALL_H

#include "actors/executor/functions.h"

/* Registers every task that SL_TASK() defined and that is not in the table yet, in no order. */
sl_err sl_task_calls_register(sl_functions *functions) SL_CHECKED;

/* True when `task` is in a table: what a program submits must be. Any thread, after the above. */
struct sl_task;
bool sl_task_is_registered(const struct sl_task *task);

/* True on a thread that runs the body of a task, at `node`. */
bool sl_call_runs_here(uint32_t *node);

/* True on a thread that runs the body of a task that is brief. */
bool sl_call_is_brief(void);

#endif
