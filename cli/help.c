/* starlane help: the list of commands, or one command's help. */
#include "cli/cli.h"

int cli_help(const cli_command *command, int argc, char **argv) {
    const char *nearest;
    if (argc < 2 || argv[1][0] == '-') {
        if (cli_speaks())
            cli_print_commands(stdout);
        return 0;
    }
    const cli_command *of = cli_find(argv[1], &nearest);
    if (!of)
        return cli_fail(command, CLI_BAD_USAGE, "there is no command %.80s%s%s%s", argv[1],
                        nearest ? "; did you mean " : "", nearest ? nearest : "",
                        nearest ? "?" : "");
    cli_print_help(of);
    return 0;
}
