/* starlane up: keeps a network running, for those who come from outside. */
#include "cli/cli.h"

int cli_up(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    sl_network *network;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    if (argc > 1) {
        cli_fail(command, 0, "it takes no argument; %s is one", argv[1]);
        sl_options_destroy(options);
        return CLI_BAD_USAGE;
    }
    if (!sl_options_is_set(options, "listen"))
        sl_options_set(options, "listen", "127.0.0.1:7433");
    if (sl_network_open(options, NULL, &network) != 0)
        return cli_not_open(command, options);
    code = 0;
    if (sl_up(network, stderr, &code) != 0)
        code = cli_fail(command, 1, "%s", sl_error_text());
    return cli_leave(network, options, code);
}
