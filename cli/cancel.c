/* starlane cancel: takes commands of a project back, or all its tasks, from outside. */
#include "cli/cli.h"

static int cancel(const cli_command *command, const sl_options *options, sl_remote *remote,
                  const uint64_t *ids, size_t count) {
    sl_command_state state;
    int code = 0;
    (void)options;
    for (size_t i = 0; i < count; i++)
        if (sl_remote_cancel_command(remote, ids[i]) != 0)
            return cli_fail(command, 1, "%s", sl_error_text());
    for (size_t i = 0; i < count; i++) {
        if (sl_remote_commands(remote, &ids[i], 1, &state) != 0)
            return cli_fail(command, 1, "%s", sl_error_text());
        if (state.stands == SL_COMMAND_UNKNOWN)
            code = cli_fail(command, 1, "there is no command %llx", (unsigned long long)ids[i]);
    }
    return code;
}

static int cancel_all(const cli_command *command, const sl_options *options, sl_remote *remote) {
    uint64_t count;
    if (sl_remote_cancel_project(remote, sl_options_get(options, "all-of"), &count) != 0)
        return cli_fail(command, 1, "%s", sl_error_text());
    printf("%llu tasks\n", (unsigned long long)count);
    return fflush(stdout) == 0 ? 0 : 1;
}

int cli_cancel(const cli_command *command, int argc, char **argv) {
    return cli_with_ids(command, argc, argv, cancel, cancel_all);
}
