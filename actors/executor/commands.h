/* Who runs an executor's commands: a minder, or a simulator in its place. */
#ifndef SL_ACTORS_EXECUTOR_COMMANDS_H
#define SL_ACTORS_EXECUTOR_COMMANDS_H

#include "actors/executor/minder.h"

/* As sl_minder_run() with `before` 0, else as sl_minder_run_after(); sl_minder_cancel();
 * sl_minder_recall(). `context` is the minder, or whatever else runs them. */
typedef struct sl_command_ops {
    sl_err (*run)(void *context, sl_minder_handle before, const sl_process_spec *spec,
                  sl_minder_done done, void *done_context, sl_minder_handle *handle);
    void (*cancel)(void *context, sl_minder_handle handle);
    void (*recall)(void *context, sl_minder_handle handle);
} sl_command_ops;

/* A minder's. */
extern const sl_command_ops sl_minder_commands;

#endif
