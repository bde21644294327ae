/* Command attempts: from the decoded payload to a process, and its end to a result. */
#include "actors/executor/executor_internal.h"

#include <stdlib.h>
#include <string.h>

enum { CPUS_MOST = SL_GRANT_CORES_MAX * SL_GRANT_CPUS_PER_CORE };

static const char **words_of(const executor_word *items, uint32_t count) {
    const char **words = malloc((count + 1) * sizeof *words);
    for (uint32_t i = 0; words && i < count; i++)
        words[i] = items[i].text.data;
    if (words)
        words[count] = NULL;
    return words;
}

static const char *path_or_null(sl_text path) {
    return path.bytes ? path.data : NULL;
}

static void visible_devices(const sl_executor *executor, const sl_grant *grant, sl_strbuf *out) {
    uint32_t gpus[SL_GRANT_GPUS_MAX];
    size_t count = sl_grant_gpus(grant, gpus, SL_GRANT_GPUS_MAX);
    for (size_t i = 0; i < count && i < SL_GRANT_GPUS_MAX; i++)
        sl_strbuf_printf(out, "%s%s", i ? "," : "", executor->options.gpu_ids[gpus[i]]);
}

/* On the minder's thread. */
static void on_done(void *context, const sl_process_result *result) {
    sl_run *run = context;
    run->process = *result;
    sl_notify(run->node, &run->job.event);
}

void sl_executor_tell_started(sl_executor *executor, const sl_attempt *attempt) {
    scheduler_started_one one = {attempt->result.task, attempt->result.attempt, 0};
    scheduler_started started = {.attempts = {&one, 1}};
    if (scheduler_started_send(executor->self, attempt->owner, &started) != SL_OK)
        sl_debug("executor", "an owner was not told of a start: %s", sl_err_detail());
}

static sl_err hand_over(sl_executor *executor, sl_run *run, sl_process_spec *spec,
                        const executor_command *command) {
    const char **arguments = words_of(command->arguments.items, command->arguments.count);
    const char **environment = words_of(command->environment.items, command->environment.count);
    sl_err err = SL_OK;
    if (!arguments || !environment) {
        err = sl_fail(SL_ERR_NO_MEMORY, "no memory for the words of a command");
    } else {
        spec->argv = arguments;
        spec->env = environment;
        const sl_executor_options *options = &executor->options;
        err =
            options->commands->run(options->commands_context, run->before ? run->before->handle : 0,
                                   spec, on_done, run, &run->handle);
    }
    free(arguments);
    free(environment);
    return err;
}

sl_err sl_executor_start_command(sl_executor *executor, sl_run *run) {
    const sl_attempt *attempt = run->attempts.head;
    const executor_command *command = attempt->record;
    if (!executor->options.commands)
        return sl_fail(SL_ERR_UNAVAILABLE, "this node runs no commands");
    const sl_grant *grant = run->before ? &run->before->grant : &run->grant;
    uint32_t cpus[CPUS_MOST];
    size_t cpu_count =
        executor->options.bind ? sl_grant_cpus(executor->grants, grant, cpus, CPUS_MOST) : 0;
    char storage[1024];
    sl_strbuf gpus;
    sl_strbuf_init_fixed(&gpus, storage, sizeof storage);
    if (executor->options.gpu_ids)
        visible_devices(executor, grant, &gpus);
    sl_process_spec spec = {
        .cwd = path_or_null(command->directory),
        .stdin_path = path_or_null(command->stdin_path),
        .stdin_data = command->stdin_data.bytes ? command->stdin_data.data : NULL,
        .stdin_bytes = command->stdin_data.bytes,
        .stdout_path = path_or_null(command->stdout_path),
        .stderr_path = path_or_null(command->stderr_path),
        .outputs_anew = attempt->result.attempt > 1,
        .timeout_ns = attempt->timeout_ns,
        .kill_grace_ns = executor->options.kill_grace_ns,
        .cpus = cpus,
        .cpu_count = cpu_count,
        .cuda_visible_devices = executor->options.gpu_ids ? gpus.data : NULL,
    };
    return hand_over(executor, run, &spec, command);
}

static sl_task_status status_of(const sl_process_result *process) {
    switch (process->status) {
    case SL_PROCESS_EXITED:
        return process->exit_code == 0 ? SL_TASK_DONE : SL_TASK_FAILED;
    case SL_PROCESS_SIGNALLED:
        return SL_TASK_SIGNALLED;
    case SL_PROCESS_TIMED_OUT:
        return SL_TASK_TIMED_OUT;
    case SL_PROCESS_CANCELLED:
        return SL_TASK_CANCELLED;
    case SL_PROCESS_COULD_NOT_START:
        return SL_TASK_NOT_STARTED;
    default:
        return SL_TASK_LOST;
    }
}

static void learn(sl_executor *executor, const sl_process_result *process) {
    double weight = executor->command_mean_s > 0 ? 1.0 / 8 : 1;
    executor->command_mean_s += weight * (process->wall_s - executor->command_mean_s);
}

void sl_executor_command_ended(sl_executor *executor, sl_run *run) {
    sl_attempt *attempt = sl_attempts_pop(&run->attempts);
    const sl_process_result *process = &run->process;
    if (process->status == SL_PROCESS_WITHDRAWN) {
        sl_executor_withdrawn(executor, attempt);
        return;
    }
    attempt->result.exit_code = process->exit_code;
    attempt->result.signal = process->signal;
    attempt->result.start_s = process->start_s;
    attempt->result.end_s = process->end_s;
    attempt->result.user_s = process->user_s;
    attempt->result.system_s = process->sys_s;
    attempt->result.max_rss_bytes = process->max_rss_bytes;
    if (!run->before)
        learn(executor, process);
    sl_attempt_end(executor, attempt, status_of(process), process->message);
}
