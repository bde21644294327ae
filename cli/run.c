/* starlane run: a list of tasks. */
#include <string.h>

#include "cli/cli.h"

/* FILE or a command, as they are left in argv; CLI_GO_ON or an exit code. */
static int take_tasks(const cli_command *command, sl_options *options, int argc, char **argv,
                      int behind, sl_run_request *request) {
    int files = argc - 1 - (behind > 0 ? behind : 0);
    int resumes = sl_options_get(options, "resume")[0] != '\0';
    if (resumes && argc > 1)
        return cli_fail(command, CLI_BAD_USAGE, "--resume has its tasks already; give no others");
    if (resumes)
        return CLI_GO_ON;
    if (files > 1)
        return cli_fail(command, CLI_BAD_USAGE, "one FILE of tasks is read; %s is the second",
                        argv[2]);
    if (files == 1 && behind > 0)
        return cli_fail(command, CLI_BAD_USAGE, "give FILE or a command behind --, not both");
    if (files == 0 && behind <= 0)
        return cli_fail(command, CLI_BAD_USAGE,
                        "no tasks: give a FILE, - for standard input, or a command behind --");
    if (files == 1)
        request->tasks = argv[1];
    request->command = (const char *const *)(argv + 1);
    request->command_words = files == 1 ? 0 : behind;
    return CLI_GO_ON;
}

/* From outside: the network is there already. */
static int run_over_connection(const cli_command *command, sl_options *options,
                               const sl_run_request *request) {
    int code = CLI_BAD_USAGE;
    sl_remote *remote = cli_connect(command, options);
    if (remote && sl_remote_run(remote, options, request, &code) != 0)
        cli_fail(command, 0, "%s", sl_error_text());
    sl_disconnect(remote);
    sl_options_destroy(options);
    return code;
}

int cli_run(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    int behind = cli_words_behind_dashes(argc, argv);
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    sl_run_request request = {.take_signals = 1, .ends_process = 1, .messages = stderr};
    code = take_tasks(command, options, argc, argv, behind, &request);
    if (code != CLI_GO_ON) {
        sl_options_destroy(options);
        return code;
    }
    if (sl_options_is_on(options, "json"))
        request.results = stdout;
    if (sl_options_is_set(options, "connect"))
        return run_over_connection(command, options, &request);
    return cli_run_request(command, options, &request);
}
