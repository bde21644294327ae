/* starlane rerun: tasks of an earlier run once more. */
#include "cli/cli.h"

int cli_rerun(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    if (argc != 2) {
        sl_options_destroy(options);
        return cli_fail(command, CLI_BAD_USAGE, "give the directory of one run");
    }
    sl_run_request request = {
        .resume = argv[1], .take_signals = 1, .ends_process = 1, .messages = stderr};
    request.again = sl_options_is_on(options, "failed") ? SL_AGAIN_FAILED : SL_AGAIN_ALL;
    if (sl_options_is_on(options, "json"))
        request.results = stdout;
    return cli_run_request(command, options, &request);
}
