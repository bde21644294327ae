/* starlane down: ends a network that starlane up keeps running, from outside. */
#include "cli/cli.h"

static int down(const cli_command *command, const sl_options *options, sl_remote *remote) {
    if (sl_remote_down(remote, sl_options_number(options, "drain")) != 0)
        return cli_fail(command, 1, "%s", sl_error_text());
    return 0;
}

int cli_down(const cli_command *command, int argc, char **argv) {
    return cli_with_remote(command, argc, argv, down);
}
