/* starlane submit: a function, or a command, in a network, from outside. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { AFTER_MOST = 4096 };

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

/* Of a detached command, or call. */
static int print_id(const cli_command *command, sl_future *future) {
    sl_command_state state;
    if (sl_wait(future, SL_FOREVER) != 0 || sl_result_command(future, &state) != 0)
        return cli_fail(command, 1, "%s", sl_error_text());
    printf("%llx\n", (unsigned long long)state.id);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- a function ---- */

static int call(const cli_command *command, sl_remote *remote, sl_keys *keys, const char *function,
                const char *text) {
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

static int detach(const cli_command *command, sl_remote *remote, const char *function,
                  const char *text) {
    sl_future *future = sl_remote_call_detached(remote, function, text, strlen(text), NULL);
    int code = print_id(command, future);
    sl_release(future);
    return code;
}

/* ---- a command ---- */

static sl_task_options needs(const sl_options *options) {
    sl_task_options task = {.cpus = (int)strtol(sl_options_get(options, "default-cpus"), NULL, 10)};
    task.cpus = task.cpus ? task.cpus : SL_NO_CPUS;
    task.gpus = (uint32_t)strtoul(sl_options_get(options, "need-gpus"), NULL, 10);
    task.memory_bytes =
        (uint64_t)(strtod(sl_options_get(options, "default-memory-gb"), NULL) * 1e9);
    task.priority = (int)strtol(sl_options_get(options, "priority"), NULL, 10);
    task.retries = (uint32_t)strtoul(sl_options_get(options, "retries"), NULL, 10);
    task.timeout_s = sl_options_number(options, "timeout");
    task.region = sl_options_is_set(options, "region") ? sl_options_get(options, "region") : NULL;
    return task;
}

/* False: one of them is none. */
static int take_after(const char *text, uint64_t *ids, size_t *count) {
    char word[32];
    *count = 0;
    for (const char *at = text; *at; at += *at == ',') {
        size_t length = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", length < 31 ? (int)length : 31, at);
        at += length;
        if (*count == AFTER_MOST || !(ids[(*count)++] = cli_id(word)))
            return 0;
    }
    return 1;
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    interrupted = number;
}

static void await_end(sl_future *future) {
    int cancelled = 0;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    while (sl_state_of(future) == SL_FUTURE_PENDING) {
        (void)sl_wait(future, 0.1);
        if (interrupted && !cancelled++)
            sl_cancel(future);
    }
}

/* What it wrote, and the code to end with: the command's own. */
static int tell_end(const cli_command *command, sl_remote *remote, sl_future *future) {
    sl_command_state state = {0};
    int code = 1, err = sl_wait(future, 0);
    char why[1100];
    snprintf(why, sizeof why, "%s", err ? sl_error_text() : "");
    if (sl_result_command(future, &state) == 0) {
        if (state.stdout_bytes)
            cli_print_output(command, remote, state.id, 0, 0);
        if (state.stderr_bytes)
            cli_print_output(command, remote, state.id, 1, 0);
        code = state.signal ? 128 + state.signal : state.exit_code;
    }
    if (err &&
        (code <= 0 || code >= 126 || state.output_cut)) /* not what the command itself made of it */
        cli_fail(command, 0, "%s", why);
    return interrupted ? 130 : err && code <= 0 ? 1 : code;
}

/* A sealed one: what it wrote came with its end. */
static int tell_sealed(const cli_command *command, sl_future *future) {
    sl_sealed_result result;
    int err = sl_wait(future, 0);
    if (err)
        cli_fail(command, 0, "%s", sl_error_text());
    if (sl_result_sealed(future, &result) != 0)
        return interrupted ? 130 : 1;
    if (fwrite(result.output, 1, result.output_bytes, stdout) != result.output_bytes ||
        fwrite(result.errors, 1, result.error_bytes, stderr) != result.error_bytes ||
        fflush(stdout) != 0)
        return cli_fail(command, 1, "the output cannot be written");
    int code = result.signal ? 128 + result.signal : result.exit_code;
    return err && code <= 0 ? 1 : code;
}

static int run(const cli_command *command, const sl_options *options, sl_remote *remote,
               sl_keys *keys, char **words, int count) {
    static uint64_t ids[AFTER_MOST];
    const sl_seal seal = {.keys = keys};
    sl_task_options task = needs(options);
    task.sealed = keys ? &seal : NULL;
    int shell = sl_options_is_on(options, "shell"), leaves = sl_options_is_on(options, "detach");
    sl_command what = {.argv = shell ? NULL : (const char *const *)words,
                       .shell = shell ? words[0] : NULL,
                       .name = sl_options_is_set(options, "name") ? sl_options_get(options, "name")
                                                                  : NULL,
                       .after = ids,
                       .detached = leaves};
    if (sl_options_is_set(options, "cwd"))
        what.cwd = sl_options_get(options, "cwd");
    if (shell && count != 1)
        return cli_fail(command, CLI_BAD_USAGE, "with --shell it takes one word behind --");
    if (!take_after(sl_options_get(options, "after"), ids, &what.after_count))
        return cli_fail(command, CLI_BAD_USAGE, "--after takes ids of commands");
    sl_future *future = sl_remote_command(remote, &what, &task);
    if (!future)
        return cli_fail(command, 1, "%s", sl_error_text());
    if (!leaves)
        await_end(future);
    int code = leaves ? print_id(command, future)
               : keys ? tell_sealed(command, future)
                      : tell_end(command, remote, future);
    sl_release(future);
    return code;
}

/* What is wrong with the words; NULL: nothing. `behind` of them are behind a `--` (-1: there is
 * none). */
static const char *misuse(const sl_options *options, int words, int behind) {
    int before = words - (behind > 0 ? behind : 0), module = sl_options_is_set(options, "module");
    int leaves = sl_options_is_on(options, "detach");
    if (behind > 0 ? before != 0 || module : !module && (before < 1 || before > 2))
        return "it takes FUNCTION [TEXT], --module FILE, or a command behind --";
    if (module && leaves)
        return "--detach is for functions and commands, not for tasks of modules";
    if (behind <= 0 && leaves && *sl_options_get(options, "sealed"))
        return "a sealed call cannot be detached: only who has submitted it can open its result";
    return NULL;
}

static int submit(const cli_command *command, const sl_options *options, sl_remote *remote,
                  sl_keys *keys, char **words, int count, int behind) {
    const char *text = count > 1 ? words[1] : "";
    if (behind > 0)
        return run(command, options, remote, keys, words, behind);
    if (sl_options_is_set(options, "module"))
        return cli_submit_module(command, remote, options, keys, count, words);
    if (sl_options_is_on(options, "detach"))
        return detach(command, remote, words[0], text);
    return call(command, remote, keys, words[0], text);
}

int cli_submit(const cli_command *command, int argc, char **argv) {
    sl_options *options;
    int behind = cli_words_behind_dashes(argc, argv);
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    code = CLI_BAD_USAGE;
    const char *wrong = misuse(options, argc - 1, behind);
    if (wrong) {
        cli_fail(command, 0, "%s", wrong);
    } else {
        sl_keys *keys;
        sl_remote *remote = NULL;
        if (open_keys(command, options, &keys) == 0)
            remote = cli_connect(command, options);
        if (remote)
            code = submit(command, options, remote, keys, argv + 1, argc - 1, behind);
        sl_disconnect(remote);
        sl_keys_close(keys);
    }
    sl_options_destroy(options);
    return code;
}
