/* starlane identity: keys of nodes, clients and authorities. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static int create(const cli_command *command, int count, char **words) {
    if (count < 2 || count > 4)
        return cli_fail(command, CLI_BAD_USAGE, "create takes DIR ROLE [NAME [PROJECT]]");
    const char *name = count > 2 ? words[2] : NULL, *project = count > 3 ? words[3] : NULL;
    if (sl_keys_create(words[0], words[1], name, project) != 0)
        return cli_fail(command, CLI_BAD_USAGE, "%s", sl_error_text());
    return 0;
}

static int show(const cli_command *command, int count, char **words, int json) {
    char *text;
    if (count != 1)
        return cli_fail(command, CLI_BAD_USAGE, "show takes one DIR");
    if (sl_keys_show(words[0], json, &text) != 0)
        return cli_fail(command, CLI_BAD_USAGE, "%s", sl_error_text());
    return cli_print(text, 0);
}

static int sign(const cli_command *command, int count, char **words) {
    char *end = NULL;
    if (count < 3 || count > 4)
        return cli_fail(command, CLI_BAD_USAGE, "sign takes DIR REQUEST CERTIFICATE [DAYS]");
    double days = count > 3 ? strtod(words[3], &end) : 365;
    if (end && (end == words[3] || *end))
        return cli_fail(command, CLI_BAD_USAGE, "'%s' is no number of days", words[3]);
    if (sl_keys_sign(words[0], words[1], days, words[2]) != 0)
        return cli_fail(command, CLI_BAD_USAGE, "%s", sl_error_text());
    return 0;
}

static int renew(const cli_command *command, int count, char **words) {
    char *end = NULL;
    if (count < 1 || count > 2)
        return cli_fail(command, CLI_BAD_USAGE, "renew takes DIR [DAYS]");
    double days = count > 1 ? strtod(words[1], &end) : 365;
    if (end && (end == words[1] || *end))
        return cli_fail(command, CLI_BAD_USAGE, "'%s' is no number of days", words[1]);
    if (sl_keys_renew(words[0], days) != 0)
        return cli_fail(command, CLI_BAD_USAGE, "%s", sl_error_text());
    return 0;
}

static int run(const cli_command *command, int count, char **words, int json) {
    if (count < 1)
        return cli_fail(command, CLI_BAD_USAGE, "say create, show, sign or renew");
    if (strcmp(words[0], "create") == 0)
        return create(command, count - 1, words + 1);
    if (strcmp(words[0], "show") == 0)
        return show(command, count - 1, words + 1, json);
    if (strcmp(words[0], "sign") == 0)
        return sign(command, count - 1, words + 1);
    if (strcmp(words[0], "renew") == 0)
        return renew(command, count - 1, words + 1);
    return cli_fail(command, CLI_BAD_USAGE, "say create, show, sign or renew, not %s", words[0]);
}

int cli_identity(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    code = run(command, argc - 1, argv + 1, sl_options_is_on(options, "json"));
    sl_options_destroy(options);
    return code;
}
