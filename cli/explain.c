/* starlane explain: why a task waits, where it ran and why there. */
#include "cli/cli.h"

int cli_explain(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    char *text = NULL;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    int json = sl_options_is_on(options, "json");
    sl_options_destroy(options);
    if (argc < 2 || argc > 3)
        return cli_fail(command, CLI_BAD_USAGE, "give the directory of a run, and a task's name");
    if (sl_explain(argv[1], argc > 2 ? argv[2] : NULL, json, &text) != 0)
        return cli_fail(command, CLI_BAD_USAGE, "%s", sl_error_text());
    return cli_print(text, 0);
}
