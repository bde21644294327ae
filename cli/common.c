#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

int cli_speaks(void) {
    return sl_launch_rank() == 0;
}

int cli_fail(const cli_command *command, int code, const char *format, ...) {
    va_list arguments;
    if (!cli_speaks())
        return code;
    fprintf(stderr, "starlane %s: ", command->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return code;
}

/* Thousands of simulated networks would log without end what is meant to happen to them: that is
 * for who asks for it. */
static int logs(const cli_command *command, const sl_options *options) {
    return strcmp(command->name, "simulate") != 0 || sl_options_is_set(options, "log-level");
}

int cli_load(const cli_command *command, int *argc, char **argv, sl_options **out) {
    sl_options *options;
    if (sl_options_create(&options) != 0)
        return cli_fail(command, 1, "%s", sl_error_text());
    if (sl_options_load(options, command->groups, argc, argv) != 0) {
        cli_fail(command, 0, "%s", sl_error_text());
        sl_options_destroy(options);
        return CLI_BAD_USAGE;
    }
    if (sl_options_is_on(options, "help")) {
        sl_options_destroy(options);
        cli_print_help(command);
        return 0;
    }
    if (cli_speaks())
        fputs(sl_options_warnings(options), stderr);
    if (logs(command, options))
        sl_options_start_log(options);
    *out = options;
    return CLI_GO_ON;
}

void cli_print_help(const cli_command *command) {
    if (!cli_speaks())
        return;
    char *options = sl_options_help(command->groups);
    printf("usage: starlane %s%s%s\n\n%s.\n", command->name, command->usage[0] ? " " : "",
           command->usage, command->what);
    if (command->more)
        printf("\n%s", command->more);
    printf("\noptions:\n%s", options ? options : "");
    sl_free(options);
}

void cli_print_commands(FILE *stream) {
    fprintf(stream,
            "usage: starlane COMMAND [OPTION...] [ARGUMENT...]\n\n"
            "Starlane makes one compute network out of an MPI allocation: start it with mpirun or\n"
            "srun, or by itself.\n\ncommands:\n");
    for (const cli_command *each = cli_commands; each->name; each++)
        fprintf(stream, "  %-9s %s\n", each->name, each->what);
    fprintf(
        stream,
        "\nstarlane COMMAND --help tells more of each; starlane --version shows the version.\n");
}

/* ---- names that were meant ---- */

/* Edit distance (Levenshtein), for short words. */
static size_t distance(const char *a, const char *b) {
    enum { MOST = 32 };
    size_t row[MOST + 1], length = strlen(b);
    if (strlen(a) > MOST || length > MOST)
        return MOST;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = changed < least ? changed : least;
        }
    }
    return row[length];
}

const cli_command *cli_find(const char *name, const char **nearest) {
    size_t best = 3; /* further than two letters is another word */
    *nearest = NULL;
    for (const cli_command *each = cli_commands; each->name; each++) {
        if (strcmp(each->name, name) == 0)
            return each;
        if (distance(name, each->name) < best) {
            best = distance(name, each->name);
            *nearest = each->name;
        }
    }
    return NULL;
}

/* ---- words ---- */

int cli_words_behind_dashes(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--") == 0)
            return argc - i - 1;
    return -1;
}

/* ---- printing and leaving ---- */

int cli_print(char *text, int code) {
    int failed = !text || fputs(text, stdout) < 0 || fflush(stdout) != 0;
    sl_free(text);
    return failed ? 1 : code;
}

int cli_leave(sl_network *network, sl_options *options, int code) {
    int clean = sl_network_is_clean(network);
    sl_network_close(network, code);
    sl_options_destroy(options);
    if (clean)
        return code;
    fflush(NULL);
    sl_launch_exits(code);
    _exit(code);
}

int cli_not_open(const cli_command *command, sl_options *options) {
    cli_fail(command, 0, "%s", sl_error_text());
    sl_options_destroy(options);
    return CLI_BAD_USAGE;
}

int cli_run_request(const cli_command *command, sl_options *options,
                    const sl_run_request *request) {
    sl_network *network;
    int code = 1;
    if (sl_network_open(options, NULL, &network) != 0)
        return cli_not_open(command, options);
    int err = sl_run(network, request, &code);
    if (err && sl_network_rank(network) == 0)
        fprintf(stderr, "starlane %s: %s\n", command->name, sl_error_text());
    else if (err && strcmp(sl_error_name(err), "FAILED") != 0) /* its own trouble, not another's */
        fprintf(stderr, "starlane %s: %s\n", command->name, sl_error_text());
    return cli_leave(network, options, code);
}
