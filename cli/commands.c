/* starlane wait, cancel and logs: commands of a project, by their ids, from outside. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"

enum { PART_BYTES = 262144, IDS_MOST = 65536 };

uint64_t cli_id(const char *text) {
    char *end;
    errno = 0;
    uint64_t id = strtoull(text, &end, 16);
    return errno || *end || !*text || strchr(text, '-') ? 0 : id;
}

static void sleep_ms(long ms) {
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Longer each time, up to half a second. */
static void pause_a_while(long *ms) {
    sleep_ms(*ms);
    *ms = *ms < 400 ? *ms * 2 : 500;
}

/* ---- what they share ---- */

typedef int (*cli_action)(const cli_command *command, const sl_options *options, sl_remote *remote,
                          const uint64_t *ids, size_t count);

static int with_ids(const cli_command *command, const sl_options *options, char **words, int count,
                    cli_action action) {
    uint64_t *ids = calloc((size_t)count + 1, sizeof *ids);
    int code = CLI_BAD_USAGE, good = ids && count > 0 && count <= IDS_MOST;
    for (int i = 0; good && i < count; i++)
        good = (ids[i] = cli_id(words[i])) != 0;
    if (!good) {
        cli_fail(command, 0, "it takes ids, as starlane submit --detach prints them");
    } else {
        sl_remote *remote = cli_connect(command, options);
        if (remote)
            code = action(command, options, remote, ids, (size_t)count);
        sl_disconnect(remote);
    }
    free(ids);
    return code;
}

static int command_with_ids(const cli_command *command, int argc, char **argv, cli_action action) {
    sl_options *options;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    code = with_ids(command, options, argv + 1, argc - 1, action);
    sl_options_destroy(options);
    return code;
}

/* ---- wait ---- */

static const char *word_of(const sl_command_state *state) {
    static const char *const words[] = {"unknown", "waits",     "runs",   "done",
                                        "failed",  "cancelled", "skipped"};
    return words[state->stands];
}

static int is_over(const sl_command_state *state) {
    return state->stands != SL_COMMAND_WAITS && state->stands != SL_COMMAND_RUNS;
}

static void print_state(const sl_command_state *state, int json) {
    if (json)
        printf("{\"id\":\"%llx\",\"status\":\"%s\",\"exit_code\":%d,\"signal\":%d,"
               "\"node\":%u,\"attempts\":%u,\"start_s\":%.6f,\"end_s\":%.6f,"
               "\"stdout_bytes\":%llu,\"stderr_bytes\":%llu}\n",
               (unsigned long long)state->id, word_of(state), state->exit_code, state->signal,
               state->node, state->attempts, state->start_s, state->end_s,
               (unsigned long long)state->stdout_bytes, (unsigned long long)state->stderr_bytes);
    else
        printf("%llx %s %d\n", (unsigned long long)state->id, word_of(state), state->exit_code);
}

/* Until all are over; 0 only when the last look worked. */
static int await_all(sl_remote *remote, const uint64_t *ids, size_t count,
                     sl_command_state *states) {
    long ms = 10;
    for (;;) {
        size_t over = 0;
        if (sl_remote_commands(remote, ids, count, states) != 0)
            return 1;
        for (size_t i = 0; i < count; i++)
            over += is_over(&states[i]) != 0;
        if (over == count)
            return 0;
        pause_a_while(&ms);
    }
}

static int wait_for(const cli_command *command, const sl_options *options, sl_remote *remote,
                    const uint64_t *ids, size_t count) {
    sl_command_state *states = calloc(count, sizeof *states);
    int code = 0;
    if (!states || await_all(remote, ids, count, states) != 0) {
        code = cli_fail(command, 1, "%s", states ? sl_error_text() : "out of memory");
    } else {
        for (size_t i = 0; i < count; i++) {
            print_state(&states[i], sl_options_is_on(options, "json"));
            code |= states[i].stands != SL_COMMAND_DONE;
        }
    }
    free(states);
    return fflush(stdout) == 0 ? code : 1;
}

int cli_wait(const cli_command *command, int argc, char **argv) {
    return command_with_ids(command, argc, argv, wait_for);
}

/* ---- cancel ---- */

static int cancel(const cli_command *command, const sl_options *options, sl_remote *remote,
                  const uint64_t *ids, size_t count) {
    sl_command_state state;
    int code = 0;
    (void)options;
    for (size_t i = 0; i < count; i++)
        if (sl_remote_cancel_command(remote, ids[i]) != 0)
            return cli_fail(command, 1, "%s", sl_error_text());
    for (size_t i = 0; i < count; i++) {
        if (sl_remote_commands(remote, &ids[i], 1, &state) != 0)
            return cli_fail(command, 1, "%s", sl_error_text());
        if (state.stands == SL_COMMAND_UNKNOWN)
            code = cli_fail(command, 1, "there is no command %llx", (unsigned long long)ids[i]);
    }
    return code;
}

int cli_cancel(const cli_command *command, int argc, char **argv) {
    return command_with_ids(command, argc, argv, cancel);
}

/* ---- logs ---- */

int cli_print_output(const cli_command *command, sl_remote *remote, uint64_t id, int errors,
                     int follow) {
    static char part[PART_BYTES];
    uint64_t offset = 0;
    long ms = 20;
    FILE *to = errors ? stderr : stdout;
    for (;;) {
        size_t bytes = sizeof part;
        int ended;
        if (sl_remote_output(remote, id, errors, offset, part, &bytes, &ended) != 0)
            return cli_fail(command, 1, "%s", sl_error_text());
        if ((bytes && fwrite(part, 1, bytes, to) != bytes) || fflush(to) != 0)
            return 1;
        offset += bytes;
        ms = bytes ? 20 : ms;
        if (bytes < sizeof part && (ended || !follow))
            return 0;
        if (bytes < sizeof part)
            pause_a_while(&ms);
    }
}

static int print_logs(const cli_command *command, const sl_options *options, sl_remote *remote,
                      const uint64_t *ids, size_t count) {
    int code = 0;
    for (size_t i = 0; i < count && !code; i++)
        code = cli_print_output(command, remote, ids[i], sl_options_is_on(options, "errors"),
                                sl_options_is_on(options, "follow"));
    return code;
}

int cli_logs(const cli_command *command, int argc, char **argv) {
    return command_with_ids(command, argc, argv, print_logs);
}
