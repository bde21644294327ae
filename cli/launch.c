/* starlane launch: ranks of a program, of which one may die and the others go on. */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* -n is what launchers call it. */
static void long_names(int argc, char **argv) {
    static char ranks[] = "--ranks";
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "-n") == 0)
            argv[i] = ranks;
}

static int has_dashes(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--") == 0)
            return 1;
    return 0;
}

static int launch(const cli_command *command, const sl_options *options, int words,
                  char **program) {
    char self[4096];
    int code;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    sl_launch_request request = {.command = (const char *const *)program,
                                 .command_words = words,
                                 .guard = self[0] ? self : NULL,
                                 .messages = stderr,
                                 .results = stdout};
    if (sl_launch(options, &request, &code) != 0)
        return cli_fail(command, code, "%s", sl_error_text());
    return code;
}

int cli_launch(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    int dashes = has_dashes(argc, argv);
    long_names(argc, argv);
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    if (argc > 1 && !dashes)
        code = cli_fail(command, CLI_BAD_USAGE,
                        "give the program behind --, so that its flags are "
                        "not taken for launch's: -- %s",
                        argv[1]);
    else
        code = launch(command, options, argc - 1, argv + 1);
    sl_options_destroy(options);
    return code;
}
