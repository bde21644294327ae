/* starlane status: how a project, or all of them, is doing in a network, from outside. */
#include "cli/cli.h"

static int ask(const sl_options *options, sl_remote *remote, char **text) {
    int json = sl_options_is_on(options, "json");
    return sl_options_is_on(options, "all") ? sl_remote_projects(remote, json, text)
                                            : sl_remote_status(remote, json, text);
}

int cli_status(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    char *text = NULL;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    code = CLI_BAD_USAGE;
    sl_remote *remote = argc > 1 ? NULL : cli_connect(command, options);
    if (argc > 1)
        cli_fail(command, 0, "it takes no argument; %s is one", argv[1]);
    else if (remote && ask(options, remote, &text) == 0)
        code = cli_print(text, 0);
    else if (remote)
        code = cli_fail(command, 1, "%s", sl_error_text());
    sl_disconnect(remote);
    sl_options_destroy(options);
    return code;
}
