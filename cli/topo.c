/* starlane topo: what the network consists of. */
#include "cli/cli.h"

int cli_topo(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    sl_network *network;
    char *text = NULL;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    if (argc > 1) {
        cli_fail(command, 0, "it takes no argument; %s is one", argv[1]);
        sl_options_destroy(options);
        return CLI_BAD_USAGE;
    }
    if (sl_network_open(options, NULL, &network) != 0)
        return cli_not_open(command, options);
    code = 0;
    if (sl_topo(network, sl_options_is_on(options, "json"), &text) != 0)
        code = cli_fail(command, 1, "%s", sl_error_text());
    if (text)
        code = cli_print(text, code);
    return cli_leave(network, options, code);
}
