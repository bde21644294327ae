/* starlane logs: what commands of a project have written so far, from outside. */
#include "cli/cli.h"

static int print_logs(const cli_command *command, const sl_options *options, sl_remote *remote,
                      const uint64_t *ids, size_t count) {
    int code = 0;
    for (size_t i = 0; i < count && !code; i++)
        code = cli_print_output(command, remote, ids[i], sl_options_is_on(options, "errors"),
                                sl_options_is_on(options, "follow"));
    return code;
}

int cli_logs(const cli_command *command, int argc, char **argv) {
    return cli_with_ids(command, argc, argv, print_logs);
}
