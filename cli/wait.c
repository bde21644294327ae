/* starlane wait: until commands of a project have ended, from outside. */
#include <stdlib.h>

#include "cli/cli.h"

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
               "\"stdout_bytes\":%llu,\"stderr_bytes\":%llu,\"output_cut\":%s}\n",
               (unsigned long long)state->id, word_of(state), state->exit_code, state->signal,
               state->node, state->attempts, state->start_s, state->end_s,
               (unsigned long long)state->stdout_bytes, (unsigned long long)state->stderr_bytes,
               state->output_cut ? "true" : "false");
    else
        printf("%llx %s %d%s\n", (unsigned long long)state->id, word_of(state), state->exit_code,
               state->output_cut ? " output cut" : "");
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
        cli_pause(&ms);
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
    return cli_with_ids(command, argc, argv, wait_for, NULL);
}
