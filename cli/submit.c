/* starlane submit: a function in a network, from outside. */
#include <string.h>

#include "cli/cli.h"

sl_remote *cli_connect(const cli_command *command, const sl_options *options) {
    const char *authority = sl_options_get(options, "tls-authority");
    sl_connect_options how = {.authority_file = *authority ? authority : NULL};
    sl_remote *remote = NULL;
    if (!sl_options_is_set(options, "connect") || !sl_options_is_set(options, "project")) {
        cli_fail(command, 0, "it takes --connect URL and --project NAME");
        return NULL;
    }
    if (sl_connect(sl_options_get(options, "connect"), NULL, sl_options_get(options, "project"),
                   &how, &remote) != 0)
        cli_fail(command, 0, "%s", sl_error_text());
    return remote;
}

/* The keys that the options name; 0, or why not has been said. NULL: tasks are not sealed. */
static int open_keys(const cli_command *command, const sl_options *options, sl_keys **keys) {
    const char *directory = sl_options_get(options, "sealed");
    *keys = NULL;
    if (!*directory)
        return 0;
    if (!sl_options_is_set(options, "authority"))
        return cli_fail(command, CLI_BAD_USAGE,
                        "--sealed goes with --authority: the fingerprint of who certifies the "
                        "nodes (starlane identity show)");
    if (sl_keys_open(directory, sl_options_get(options, "authority"),
                     sl_options_get(options, "revoked"), keys) != 0)
        return cli_fail(command, CLI_BAD_USAGE, "%s", sl_error_text());
    return 0;
}

static int submit(const cli_command *command, sl_remote *remote, sl_keys *keys,
                  const char *function, const char *text) {
    size_t bytes;
    int code = 0;
    const sl_seal seal = {.keys = keys};
    const sl_task_options sealed = {.sealed = keys ? &seal : NULL};
    sl_future *future = sl_remote_call(remote, function, text, strlen(text), &sealed);
    if (sl_wait(future, SL_FOREVER) == 0) {
        const void *data = sl_result_bytes(future, &bytes);
        if ((bytes && fwrite(data, 1, bytes, stdout) != bytes) || fflush(stdout) != 0)
            code = cli_fail(command, 1, "the result cannot be written");
    } else {
        code = cli_fail(command, 1, "%s", sl_error_text());
    }
    sl_release(future);
    return code;
}

int cli_submit(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    code = CLI_BAD_USAGE;
    int module = sl_options_is_set(options, "module");
    if (!module && (argc < 2 || argc > 3)) {
        cli_fail(command, 0, "it takes FUNCTION [TEXT], or --module FILE");
    } else {
        sl_keys *keys;
        sl_remote *remote = NULL;
        if (open_keys(command, options, &keys) == 0)
            remote = cli_connect(command, options);
        if (remote)
            code = module ? cli_submit_module(command, remote, options, argc - 1, argv + 1)
                          : submit(command, remote, keys, argv[1], argc > 2 ? argv[2] : "");
        sl_disconnect(remote);
        sl_keys_close(keys);
    }
    sl_options_destroy(options);
    return code;
}
