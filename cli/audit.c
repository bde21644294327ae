/* starlane audit: the end of a gateway's audit log, from outside. */
#include <string.h>

#include "cli/cli.h"

/* Where its last lines begin. */
static const char *last_lines(const char *text, size_t lines) {
    const char *at = text + strlen(text);
    while (at > text && (at[-1] != '\n' || !*at || --lines))
        at--;
    return at;
}

static int audit(const cli_command *command, const sl_options *options, sl_remote *remote) {
    char *text;
    if (sl_remote_audit(remote, &text) != 0)
        return cli_fail(command, 1, "%s", sl_error_text());
    int failed = fputs(last_lines(text, (size_t)sl_options_number(options, "lines")), stdout) < 0 ||
                 fflush(stdout) != 0;
    sl_free(text);
    return failed ? cli_fail(command, 1, "the lines cannot be written") : 0;
}

int cli_audit(const cli_command *command, int argc, char **argv) {
    return cli_with_remote(command, argc, argv, audit);
}
