/* The executor's protocol: what other actors include of it. */
#ifndef SL_EXECUTOR_MSGS_H
#define SL_EXECUTOR_MSGS_H

typedef enum sl_task_kind { SL_TASK_COMMAND, SL_TASK_FUNCTION, SL_TASK_KINDS } sl_task_kind;

/* How an attempt, or a task, ended. */
typedef enum sl_task_status {
    SL_TASK_DONE,      /* exit code 0, or SL_OK */
    SL_TASK_FAILED,    /* another exit code or error */
    SL_TASK_SIGNALLED, /* ended by a signal that was not ours */
    SL_TASK_TIMED_OUT,
    SL_TASK_CANCELLED,
    SL_TASK_NOT_STARTED, /* no such command, directory, function, … */
    SL_TASK_SKIPPED,     /* a task it comes after did not succeed */
    SL_TASK_LOST,        /* its node died */
    SL_TASK_STATUSES
} sl_task_status;

/* The functions as which sealed commands, and sealed tasks of modules, travel, so that who may not
 * let everybody run commands, or bring code, can tell them from sealed calls; a node runs them by
 * no other name. */
#define SL_SEALED_COMMAND "starlane.sealed_command"
#define SL_SEALED_MODULE  "starlane.sealed_module"

/* What who gets a function's result can hold. */
typedef enum sl_task_keep {
    SL_KEEP_NOTHING,
    SL_KEEP_OBJECTS, /* objects that the function returns */
    SL_KEEP_LARGEST, /* also a result of SL_KEEP_LARGEST_BYTES, which then stays where it was made
                      */
    SL_KEEP_RESULTS, /* also any large result, likewise: of as much as the executor's option says */
} sl_task_keep;

enum { SL_KEEP_LARGEST_BYTES = 64 << 20 };

#define SL_PROTOCOL "actors/executor/executor_msgs.def"
#include "runtime/protocol.h"
#endif
