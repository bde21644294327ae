/* starlane logs: what commands of a project have written so far, and what detached calls have
 * answered, from outside. */
#include "cli/cli.h"

/* Half an output must not look like a whole one. */
static int tell_cut(const cli_command *command, sl_remote *remote, uint64_t id) {
    sl_command_state state;
    if (sl_remote_commands(remote, &id, 1, &state) != 0)
        return cli_fail(command, 1, "%s", sl_error_text());
    if (state.output_cut)
        return cli_fail(command, 1,
                        "the output of %llx was cut: it wrote more than its project may",
                        (unsigned long long)id);
    return 0;
}

/* A call's result is there once it has ended. */
static int print_call(const cli_command *command, sl_remote *remote, uint64_t id) {
    sl_future *future = sl_remote_collect(remote, id);
    int failed = sl_wait(future, SL_FOREVER);
    int code = failed ? cli_fail(command, 1, "%s", sl_error_text())
                      : cli_print_result(command, future) != 0;
    sl_release(future);
    return code;
}

static int print_one(const cli_command *command, const sl_options *options, sl_remote *remote,
                     uint64_t id) {
    sl_command_state state;
    int follow = sl_options_is_on(options, "follow"), errors = sl_options_is_on(options, "errors");
    if (sl_remote_commands(remote, &id, 1, &state) != 0)
        return cli_fail(command, 1, "%s", sl_error_text());
    if (!state.call)
        return cli_print_output(command, remote, id, errors, follow);
    int under_way = state.stands == SL_COMMAND_WAITS || state.stands == SL_COMMAND_RUNS;
    return errors || (under_way && !follow) ? 0 : print_call(command, remote, id);
}

static int print_logs(const cli_command *command, const sl_options *options, sl_remote *remote,
                      const uint64_t *ids, size_t count) {
    int code = 0;
    for (size_t i = 0; i < count && !code; i++) {
        code = print_one(command, options, remote, ids[i]);
        code = code ? code : tell_cut(command, remote, ids[i]);
    }
    return code;
}

int cli_logs(const cli_command *command, int argc, char **argv) {
    return cli_with_ids(command, argc, argv, print_logs, NULL);
}
