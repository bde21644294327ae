#include "actors/executor/commands.h"

static sl_err run(void *context, sl_minder_handle before, const sl_process_spec *spec,
                  sl_minder_done done, void *done_context, sl_minder_handle *handle) {
    return before ? sl_minder_run_after(context, before, spec, done, done_context, handle)
                  : sl_minder_run(context, spec, done, done_context, handle);
}

static void cancel(void *context, sl_minder_handle handle) {
    sl_minder_cancel(context, handle);
}

static void recall(void *context, sl_minder_handle handle) {
    sl_minder_recall(context, handle);
}

const sl_command_ops sl_minder_commands = {run, cancel, recall};
