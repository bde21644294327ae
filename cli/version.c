/* starlane version. */
#include "cli/cli.h"

int cli_version(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    sl_options_destroy(options);
    if (cli_speaks())
        puts(sl_build_info());
    return 0;
}
