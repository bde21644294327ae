/* starlane top: a project and the network's nodes, again and again, from outside. */
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

static int show(const cli_command *command, sl_remote *remote, int json, int again) {
    struct timespec second = {.tv_sec = 1};
    char *text;
    do {
        if (sl_remote_top(remote, json, &text) != 0)
            return cli_fail(command, 1, "%s", sl_error_text());
        if (again && !json)
            fputs("\033[H\033[2J", stdout); /* home, and an empty screen */
        if (cli_print(text, 0) != 0)
            return 1;
    } while (again && nanosleep(&second, NULL) == 0);
    return 0;
}

int cli_top(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    int json = sl_options_is_on(options, "json");
    int again = isatty(STDOUT_FILENO) && !sl_options_is_on(options, "once") && !json;
    code = CLI_BAD_USAGE;
    sl_remote *remote = argc > 1 ? NULL : cli_connect(command, options);
    if (argc > 1)
        cli_fail(command, 0, "it takes no argument; %s is one", argv[1]);
    else if (remote)
        code = show(command, remote, json, again);
    sl_disconnect(remote);
    sl_options_destroy(options);
    return code;
}
