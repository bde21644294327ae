/* starlane config: the options in force. */
#include "cli/cli.h"

int cli_config(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    if (argc > 1)
        code = cli_fail(command, CLI_BAD_USAGE, "it takes no argument; %s is one", argv[1]);
    else if (cli_speaks())
        code = cli_print(sl_options_print(options, sl_options_is_on(options, "json")), 0);
    else
        code = 0;
    sl_options_destroy(options);
    return code;
}
