/* starlane simulate: whole networks in virtual time, with faults from a seed. */
#include <stdlib.h>

#include "cli/cli.h"

int cli_simulate(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    if (argc > 1) {
        cli_fail(command, 0, "it takes no argument; %s is one", argv[1]);
        sl_options_destroy(options);
        return CLI_BAD_USAGE;
    }
    const char *seed = sl_options_get(options, "seed");
    sl_simulate_request request = {
        .nodes = sl_options_is_set(options, "nodes")
                     ? (uint32_t)strtoul(sl_options_get(options, "nodes"), NULL, 10)
                     : 0,
        .seed = strtoull(seed, NULL, 10),
        .random_seed = !*seed,
        .seeds = strtoull(sl_options_get(options, "seeds"), NULL, 10),
        .minutes = strtod(sl_options_get(options, "minutes"), NULL),
        .faults = sl_options_get(options, "faults"),
        .trace = sl_options_get(options, "trace"),
        .messages = stdout};
    if (sl_simulate(&request, &code) != 0)
        cli_fail(command, 0, "%s", sl_error_text());
    sl_options_destroy(options);
    return code;
}
