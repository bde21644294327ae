/* What the subcommands share. Each is one file, and uses include/starlane.h alone. */
#ifndef SL_CLI_H
#define SL_CLI_H

#include "starlane.h"

typedef struct cli_command {
    const char *name;
    const char *usage;  /* behind "starlane NAME" */
    const char *what;   /* in the list of commands */
    const char *more;   /* in its own help, before the options; or NULL */
    const char *groups; /* of options */
    int (*run)(const struct cli_command *command, int argc, char **argv);
} cli_command;

/* In the order of the list of commands; ends with a NULL name. */
extern const cli_command cli_commands[];

enum { CLI_BAD_USAGE = 2, CLI_GO_ON = -1 };

int cli_run(const cli_command *command, int argc, char **argv);
int cli_launch(const cli_command *command, int argc, char **argv);
int cli_guard(const cli_command *command, int argc, char **argv);
int cli_topo(const cli_command *command, int argc, char **argv);
int cli_explain(const cli_command *command, int argc, char **argv);
int cli_rerun(const cli_command *command, int argc, char **argv);
int cli_simulate(const cli_command *command, int argc, char **argv);
int cli_identity(const cli_command *command, int argc, char **argv);
int cli_up(const cli_command *command, int argc, char **argv);
int cli_down(const cli_command *command, int argc, char **argv);
int cli_audit(const cli_command *command, int argc, char **argv);
int cli_key(const cli_command *command, int argc, char **argv);
int cli_submit(const cli_command *command, int argc, char **argv);
int cli_wait(const cli_command *command, int argc, char **argv);
int cli_cancel(const cli_command *command, int argc, char **argv);
int cli_logs(const cli_command *command, int argc, char **argv);
int cli_top(const cli_command *command, int argc, char **argv);
int cli_status(const cli_command *command, int argc, char **argv);
int cli_config(const cli_command *command, int argc, char **argv);
int cli_version(const cli_command *command, int argc, char **argv);
int cli_help(const cli_command *command, int argc, char **argv);

/* True in the one process of a job that prints what is for all. */
int cli_speaks(void);

/* Prints "starlane NAME: …" to standard error, from the process that speaks; returns `code`. */
int cli_fail(const cli_command *command, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Loads the command's options and starts the log. CLI_GO_ON, or the code to end with: --help was
 * asked for and printed, or something is wrong. Positional arguments stay in argv. */
int cli_load(const cli_command *command, int *argc, char **argv, sl_options **options);

void cli_print_help(const cli_command *command);
void cli_print_commands(FILE *stream);

/* The command of this name, or NULL; then *nearest is the one most like it, or NULL. */
const cli_command *cli_find(const char *name, const char **nearest);

/* starlane submit --module: a task of the module that the options name, with these arguments;
 * sealed, unless `keys` is NULL. */
int cli_submit_module(const cli_command *command, sl_remote *remote, const sl_options *options,
                      sl_keys *keys, int count, char **words);

/* The connection that the options of the group `remote` describe; NULL, after saying why. */
sl_remote *cli_connect(const cli_command *command, const sl_options *options);

/* How many words stand behind a `--`; -1: there is none. */
int cli_words_behind_dashes(int argc, char **argv);

/* An id of a command, as starlane submit --detach prints it; 0: it is none. */
uint64_t cli_id(const char *text);

/* The result of a future that is done, as text; or why there is none. 0: it was printed. */
int cli_print_result(const cli_command *command, sl_future *future);

typedef int (*cli_ask)(const cli_command *command, const sl_options *options, sl_remote *remote);

/* Runs `action` on the commands whose ids are the arguments, or, with --all-of and none,
 * `otherwise` (NULL: that is no option of it); its code, or another. */
typedef int (*cli_action)(const cli_command *command, const sl_options *options, sl_remote *remote,
                          const uint64_t *ids, size_t count);
int cli_with_ids(const cli_command *command, int argc, char **argv, cli_action action,
                 cli_ask otherwise);

/* Runs `ask` over the connection that the command's options describe; it takes no argument. Its
 * code, or another. */
int cli_with_remote(const cli_command *command, int argc, char **argv, cli_ask ask);

/* Sleeps for *ms, and makes it longer, up to half a second. */
void cli_pause(long *ms);

/* Prints the output of a command, `errors` to standard error, from its beginning; with `follow`
 * until it has ended. 0, or 1 after saying why. */
int cli_print_output(const cli_command *command, sl_remote *remote, uint64_t id, int errors,
                     int follow);

/* Prints `text` and frees it; `code`, or 1 when it is NULL or cannot be written. */
int cli_print(char *text, int code);

/* Runs a request on the network that `options` describe, to the exit code of the process. Frees the
 * options. Does not return when the network did not end well: then MPI must not be entered again.
 */
int cli_run_request(const cli_command *command, sl_options *options, const sl_run_request *request);

/* Leaves the network and frees it and the options; `code`. */
int cli_leave(sl_network *network, sl_options *options, int code);

/* The exit code for a network that did not open, after saying why. */
int cli_not_open(const cli_command *command, sl_options *options);

#endif
