/* starlane key: API keys of a gateway, and what projects may use. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static int refused(const cli_command *command) {
    return cli_fail(command, CLI_BAD_USAGE, "%s", sl_error_text());
}

static int create(const cli_command *command, const sl_options *options) {
    char *key;
    double days = sl_options_number(options, "expires") / 86400;
    if (sl_api_key_create(sl_options_get(options, "gateway"), sl_options_get(options, "project"),
                          sl_options_get(options, "scope"), days, &key) != 0)
        return refused(command);
    fprintf(stderr, "starlane key: this is shown once; only a hash of it is kept\n");
    size_t bytes = strlen(key);
    printf("%s\n", key);
    int failed = fflush(stdout) != 0;
    memset(key, 0, bytes);
    sl_free(key);
    return failed ? cli_fail(command, 1, "the key cannot be written; revoke it: it was made") : 0;
}

static int quota(const cli_command *command, const sl_options *options) {
    double ucu_s = sl_options_number(options, "quota-ucu");
    uint64_t tasks = (uint64_t)sl_options_number(options, "quota-tasks");
    uint64_t bytes = (uint64_t)sl_options_number(options, "quota-bytes");
    uint64_t output = (uint64_t)sl_options_number(options, "quota-output");
    if (sl_api_quota(sl_options_get(options, "gateway"), sl_options_get(options, "project"), ucu_s,
                     tasks, bytes, output) != 0)
        return refused(command);
    return 0;
}

static int list(const cli_command *command, const sl_options *options) {
    char *text;
    if (sl_api_key_list(sl_options_get(options, "gateway"), sl_options_is_on(options, "json"),
                        &text) != 0)
        return refused(command);
    return cli_print(text, 0);
}

/* ---- from outside ---- */

static int list_there(const cli_command *command, const sl_options *options, sl_remote *remote) {
    char *text;
    if (sl_remote_keys(remote, sl_options_is_on(options, "json"), &text) != 0)
        return cli_fail(command, 1, "%s", sl_error_text());
    return cli_print(text, 0);
}

static int run_there(const cli_command *command, int count, char **words,
                     const sl_options *options) {
    const char *verb = count > 0 ? words[0] : "";
    int lists = strcmp(verb, "list") == 0 && count == 1;
    if (!lists && (strcmp(verb, "revoke") != 0 || count != 2))
        return cli_fail(command, CLI_BAD_USAGE,
                        "from outside it takes list, or revoke ID; the rest is done on the "
                        "gateway's host");
    sl_remote *remote = cli_connect(command, options);
    int code = CLI_BAD_USAGE;
    if (remote && lists)
        code = list_there(command, options, remote);
    else if (remote)
        code = sl_remote_revoke(remote, words[1]) == 0
                   ? 0
                   : cli_fail(command, 1, "%s", sl_error_text());
    sl_disconnect(remote);
    return code;
}

static int run(const cli_command *command, int count, char **words, const sl_options *options) {
    const char *verb = count > 0 ? words[0] : "";
    if (sl_options_is_set(options, "connect"))
        return run_there(command, count, words, options);
    if (strcmp(verb, "revoke") == 0 && count == 2)
        return sl_api_key_revoke(sl_options_get(options, "gateway"), words[1]) == 0
                   ? 0
                   : refused(command);
    if (strcmp(verb, "create") == 0 && count == 1)
        return create(command, options);
    if (strcmp(verb, "list") == 0 && count == 1)
        return list(command, options);
    if (strcmp(verb, "quota") == 0 && count == 1)
        return quota(command, options);
    return cli_fail(command, CLI_BAD_USAGE, "say create, list, revoke ID, or quota");
}

int cli_key(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    code = run(command, argc - 1, argv + 1, options);
    sl_options_destroy(options);
    return code;
}
