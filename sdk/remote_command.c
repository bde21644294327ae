/* Commands over a connection: submitted, looked at, taken back, and what they write. */
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"
#include "sdk/remote.h"
#include "sdk/task_amounts.h"

enum { INPUT_MOST = 16 << 20, AFTER_MOST = 4096, LOOK_MOST = 256 };

/* ---- making ---- */

static size_t count_of(const char *const *words) {
    size_t count = 0;
    while (words && words[count])
        count++;
    return count;
}

static sl_err check(const sl_command *command, const sl_task_options *options) {
    bool has_argv = command->argv && command->argv[0];
    if (has_argv == (command->shell != NULL))
        return sl_fail(SL_ERR_INVALID, "a command has either argv or shell");
    if (command->input_bytes > INPUT_MOST || command->after_count > AFTER_MOST)
        return sl_fail(SL_ERR_TOO_LARGE,
                       "a command takes 16 MiB of input, and comes after %d "
                       "others, at most",
                       AFTER_MOST);
    return sl_task_options_check(has_argv ? command->argv[0] : "of a shell", options);
}

static gateway_word *words_of(const char *const *words, size_t count) {
    gateway_word *list = calloc(count + 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        list[i].text = sl_text_of(words[i]);
    return list;
}

sl_future *sl_remote_send_command(sl_remote *remote, gateway_command *command, const char *name,
                                  const sl_remote_teller *teller) {
    sl_future *future = sl_remote_make_future(remote, name, true);
    gateway_run run = {.commands = {command, 1}};
    if (!future) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a future");
        return NULL;
    }
    sl_remote_will_tell(future, teller);
    future->keeps_remote = true;
    atomic_fetch_add(&remote->references, 1);
    return sl_remote_send_asking(remote, future, SL_GATEWAY_RUN, &run, &command->number, NULL);
}

static sl_future *send(sl_remote *remote, const sl_command *command, const sl_task_options *options,
                       const gateway_word *argv, size_t argc, const gateway_word *env,
                       const gateway_number *after) {
    gateway_command body = {
        .memory_bytes = options->memory_bytes,
        .ucu_milli = sl_task_ucu_milli(options),
        .timeout_ns = sl_task_timeout_ns(options),
        .cpus = sl_task_cpus(options),
        .gpus = options->gpus,
        .priority = options->priority,
        .retries = options->retries,
        .detached = command->detached != 0,
        .region = sl_text_of(options->region),
        .name = sl_text_of(command->name),
        .arguments = {argv, (uint32_t)argc},
        .environment = {env, (uint32_t)count_of(command->env)},
        .directory = sl_text_of(command->cwd),
        .input = {command->input, (uint32_t)command->input_bytes},
        .after_ids = {after, (uint32_t)command->after_count},
    };
    return sl_remote_send_command(remote, &body, argv[argc - 1].text.data, NULL);
}

sl_future *sl_remote_command(sl_remote *remote, const sl_command *command,
                             const sl_task_options *options) {
    static const sl_task_options defaults;
    const char *shell[] = {"/bin/sh", "-c", command->shell};
    options = options ? options : &defaults;
    if (options->sealed)
        return sl_seal_command(remote, command, options);
    if (check(command, options) != SL_OK)
        return NULL;
    size_t argc = command->shell ? 3 : count_of(command->argv);
    gateway_word *argv = words_of(command->shell ? shell : command->argv, argc);
    gateway_word *env = words_of(command->env, count_of(command->env));
    gateway_number *after = calloc(command->after_count + 1, sizeof *after);
    sl_future *future = NULL;
    for (size_t i = 0; after && i < command->after_count; i++)
        after[i].number = command->after[i];
    if (argv && env && after)
        future = send(remote, command, options, argv, argc, env, after);
    else
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a command");
    free(argv);
    free(env);
    free(after);
    return future;
}

/* ---- how they stand ---- */

static sl_command_stands stands(const gateway_ended *ended) {
    switch ((sl_gateway_state)ended->state) {
    case SL_GATEWAY_WAITS:
        return SL_COMMAND_WAITS;
    case SL_GATEWAY_BEGUN:
        return SL_COMMAND_RUNS;
    case SL_GATEWAY_OVER:
        return ended->status == SL_TASK_DONE        ? SL_COMMAND_DONE
               : ended->status == SL_TASK_CANCELLED ? SL_COMMAND_CANCELLED
               : ended->status == SL_TASK_SKIPPED   ? SL_COMMAND_SKIPPED
                                                    : SL_COMMAND_FAILED;
    default:
        return SL_COMMAND_UNKNOWN;
    }
}

sl_command_state sl_remote_state_of(const gateway_ended *ended) {
    return (sl_command_state){.id = ended->id,
                              .stands = stands(ended),
                              .call = ended->call,
                              .exit_code = ended->exit_code,
                              .signal = ended->signal,
                              .node = ended->node,
                              .attempts = ended->attempts,
                              .start_s = ended->start_s,
                              .end_s = ended->end_s,
                              .user_s = ended->user_s,
                              .sys_s = ended->system_s,
                              .max_rss_bytes = ended->max_rss_bytes,
                              .stdout_bytes = ended->stdout_bytes,
                              .stderr_bytes = ended->stderr_bytes,
                              .output_cut = ended->cut};
}

int sl_result_command(sl_future *future, sl_command_state *state) {
    if (!future || !sl_future_ended(future))
        return sl_fail(SL_ERR_TIMEOUT, "the command has not ended yet");
    if (!future->ended && future->error)
        return sl_future_verdict(future);
    if (!future->ended)
        return sl_fail(SL_ERR_INVALID, "it is no command of a connection");
    *state = sl_remote_state_of(future->ended);
    return SL_OK;
}

static sl_err look(sl_remote *remote, const uint64_t *ids, size_t count, sl_command_state *states) {
    gateway_number list[LOOK_MOST];
    gateway_look body = {.ids = {list, (uint32_t)count}};
    gateway_seen *seen;
    for (size_t i = 0; i < count; i++)
        list[i].number = ids[i];
    SL_TRY(sl_remote_question_ask(remote, SL_GATEWAY_LOOK, &body, &body.request, (void **)&seen));
    bool fits = seen->commands.count == count;
    for (size_t i = 0; fits && i < count; i++)
        states[i] = sl_remote_state_of(&seen->commands.items[i]);
    free(seen);
    return fits ? SL_OK : sl_fail(SL_ERR_DECODE, "an answer that does not fit the question");
}

int sl_remote_commands(sl_remote *remote, const uint64_t *ids, size_t count,
                       sl_command_state *states) {
    for (size_t at = 0, some; at < count; at += some) {
        some = count - at < LOOK_MOST ? count - at : LOOK_MOST;
        SL_TRY(look(remote, ids + at, some, states + at));
    }
    return SL_OK;
}

int sl_remote_cancel_command(sl_remote *remote, uint64_t id) {
    gateway_cancel cancel = {.id = id};
    pthread_mutex_lock(&remote->lock);
    sl_err err = sl_remote_send(remote, SL_GATEWAY_CANCEL, &cancel, NULL);
    pthread_mutex_unlock(&remote->lock);
    return err;
}

int sl_remote_output(sl_remote *remote, uint64_t id, int errors, uint64_t offset, void *to,
                     size_t *bytes, int *ended) {
    size_t most = *bytes < SL_GATEWAY_LOG_BYTES ? *bytes : SL_GATEWAY_LOG_BYTES;
    gateway_logs body = {
        .id = id, .offset = offset, .bytes = (uint32_t)most, .stream = errors != 0};
    gateway_log *log;
    SL_TRY(sl_remote_question_ask(remote, SL_GATEWAY_LOGS, &body, &body.request, (void **)&log));
    sl_err err = SL_OK;
    if (log->error)
        err = sl_fail(log->error < SL_ERR_COUNT ? (sl_err)log->error : SL_ERR_FAILED, "%s",
                      log->detail.data);
    else if (log->data.bytes > most)
        err = sl_fail(SL_ERR_DECODE, "more of an output than was asked for");
    if (err == SL_OK) {
        if (log->data.bytes)
            memcpy(to, log->data.data, log->data.bytes);
        *bytes = log->data.bytes;
        *ended = log->ended;
    }
    free(log);
    return err;
}

/* ---- the net's thread ---- */

static void fail_command(sl_remote *remote, sl_future *future, const gateway_ended *ended) {
    char why[100];
    const char *message = ended->message.bytes ? ended->message.data : why;
    sl_err err = ended->status == SL_TASK_CANCELLED ? SL_ERR_CANCELLED : SL_ERR_FAILED;
    if (ended->signal)
        snprintf(why, sizeof why, "it was ended by signal %d", ended->signal);
    else
        snprintf(why, sizeof why, "it ended with exit code %d", ended->exit_code);
    sl_remote_fail(remote, future, err, message);
}

sl_err sl_remote_take_ended(sl_remote *remote, const sl_gateway_parts *parts) {
    gateway_ended *ended = sl_gateway_decode(parts, SL_GATEWAY_ENDED);
    if (!ended)
        return SL_ERR_DECODE;
    sl_future *future = sl_remote_take_out(remote, ended->number);
    if (!future) {
        free(ended);
        return SL_OK;
    }
    future->ended = ended;
    future->value =
        (sl_value){.type = SL_TYPE_BYTES, .data = ended->out.data, .bytes = ended->out.bytes};
    if (ended->status == SL_TASK_DONE)
        sl_remote_end(remote, future, SL_FUTURE_DONE);
    else
        fail_command(remote, future, ended);
    return SL_OK;
}

sl_err sl_remote_take_named(sl_remote *remote, const sl_gateway_parts *parts) {
    gateway_named *named = sl_gateway_decode(parts, SL_GATEWAY_NAMED);
    if (!named)
        return SL_ERR_DECODE;
    sl_future *future = sl_remote_take_out(remote, named->number);
    gateway_ended *ended = future ? calloc(1, sizeof *ended) : NULL;
    if (ended) {
        ended->id = named->id;
        ended->state = SL_GATEWAY_WAITS;
        future->ended = ended;
        sl_remote_end(remote, future, SL_FUTURE_DONE);
    } else if (future) {
        sl_remote_fail(remote, future, SL_ERR_NO_MEMORY, "no memory for a command's name");
    }
    free(named);
    return SL_OK;
}

static void forget(sl_remote *remote, uint64_t id) {
    gateway_forget body = {.id = id};
    pthread_mutex_lock(&remote->lock);
    if (!remote->closed && sl_remote_put_message(remote, SL_GATEWAY_FORGET, &body, NULL) != SL_OK)
        sl_warn("remote", "no memory to let go of a command: the gateway has it longer");
    pthread_mutex_unlock(&remote->lock);
}

void sl_remote_command_forget(sl_future *future) {
    const gateway_ended *ended = future->ended;
    if (ended && ended->id && ended->state == SL_GATEWAY_OVER)
        forget(future->remote, ended->id);
    sl_remote_release(future->remote);
}
