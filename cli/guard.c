/* starlane guard: one rank under srun, whose end does not end its job. */
#include <string.h>

#include "cli/cli.h"

int cli_guard(const cli_command *command, int argc, char **argv) {
    int code = CLI_BAD_USAGE;
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        cli_print_help(command);
        return 0;
    }
    if (argc < 3 || strcmp(argv[1], "--") != 0)
        return cli_fail(command, CLI_BAD_USAGE, "give the program of the rank behind --");
    if (sl_guard((const char *const *)argv + 2, &code) != 0) {
        fprintf(stderr, "starlane guard: %s\n", sl_error_text()); /* any rank's trouble */
        return 127;
    }
    return code;
}
