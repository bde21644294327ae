/* Of a run over a connection what is sealed: commands on their way, and how they ended. On the
 * thread that drives it. */
#include "sdk/run_seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sdk/atomic_file.h"
#include "sdk/client.h"
#include "sdk/seal.h"

/* ---- on its way ---- */

/* The task's own variables, after its name, which they may not hide. */
static const char **environment_of(const sl_task_spec *spec, char *name, size_t size) {
    const char **env = calloc(spec->env_count + (size_t)2, sizeof *env);
    snprintf(name, size, "STARLANE_TASK_NAME=%s", spec->name);
    for (uint32_t i = 0; env && i < spec->env_count; i++)
        env[i] = spec->env[i];
    if (env)
        env[spec->env_count] = name;
    return env;
}

static const char **words_of(const sl_task_spec *spec) {
    const char **argv = calloc(spec->argc + (size_t)1, sizeof *argv);
    for (uint32_t i = 0; argv && i < spec->argc; i++)
        argv[i] = spec->argv[i];
    return argv;
}

sl_future *sl_run_seal_submit(sl_remote *remote, const sl_task_spec *spec, sl_part input,
                              const sl_task_options *options,
                              const struct sl_remote_teller *teller) {
    char name[SL_TASK_NAME_MAX + sizeof "STARLANE_TASK_NAME="];
    const char **argv = words_of(spec), **env = environment_of(spec, name, sizeof name);
    bool shell = spec->kind == SL_FORM_SHELL;
    const sl_command command = {.argv = shell ? NULL : argv,
                                .shell = shell ? spec->shell : NULL,
                                .env = env,
                                .cwd = spec->cwd,
                                .input = input.data,
                                .input_bytes = input.bytes};
    sl_future *future = NULL;
    if (argv && env)
        future = sl_remote_submit_command(remote, spec->name, &command, options, teller);
    else
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a command");
    free(argv);
    free(env);
    return future;
}

/* ---- how it ended ---- */

static void keep_stream(sl_run_state *run, const char *name, sl_output_stream stream,
                        const void *data, size_t bytes) {
    int fd;
    sl_err err = sl_output_create(&run->dir, stream, name, &fd);
    if (err == SL_OK) {
        err = sl_write_all(fd, data, bytes, name);
        close(fd);
    }
    if (err != SL_OK)
        sl_run_say(run, "starlane: the output of task %s is not whole: %s\n", name,
                   sl_err_detail());
}

void sl_run_seal_take(sl_run_state *run, sl_future *future, sl_task_result *result) {
    sl_sealed_result sealed;
    bool command = sl_future_is_sealed_command(future);
    if (!command && result->status == SL_RESULT_FAILED)
        result->exit_code = -1;
    if (!command || sl_result_sealed(future, &sealed) != SL_OK)
        return;
    result->exit_code = sealed.signal ? -1 : sealed.exit_code;
    result->signal = sealed.signal;
    result->user_s = sealed.user_s;
    result->sys_s = sealed.system_s;
    result->max_rss_bytes = sealed.max_rss_bytes;
    result->stdout_bytes = sealed.output_bytes;
    keep_stream(run, result->name, SL_OUTPUT_STDOUT, sealed.output, sealed.output_bytes);
    keep_stream(run, result->name, SL_OUTPUT_STDERR, sealed.errors, sealed.error_bytes);
}
