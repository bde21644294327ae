/* A task of the list as a message to the scheduler. */
#include "sdk/run_seal.h"
#include "sdk/seal.h"

#include <string.h>

#include "actors/executor/executor_msgs.h"

enum { AFTER_MOST = 1048576 /* bound of scheduler_task.after */ };

static void *take(sl_arena *arena, size_t size) {
    return sl_arena_alloc(arena, size ? size : 1, 8);
}

static sl_err no_memory(void) {
    return sl_fail(SL_ERR_NO_MEMORY, "no memory to submit tasks");
}

static sl_err encode_record(sl_arena *arena, const sl_record *record, const void *body,
                            sl_bytes *out) {
    SL_TRY(sl_record_check(record, body));
    size_t size = sl_record_wire_bytes(record, body);
    uint8_t *wire = take(arena, size);
    if (!wire)
        return no_memory();
    sl_record_encode(record, body, wire, NULL);
    *out = (sl_bytes){wire, (uint32_t)size};
    return SL_OK;
}

/* ---- commands ---- */

static sl_err absolute(sl_arena *arena, const char *base, const char *path, sl_text *out) {
    if (path[0] == '/') {
        *out = sl_text_of(path);
        return SL_OK;
    }
    size_t size = strlen(base) + strlen(path) + 2;
    char *whole = take(arena, size);
    if (!whole)
        return no_memory();
    snprintf(whole, size, "%s/%s", base, path);
    *out = sl_text_of(whole);
    return SL_OK;
}

static sl_err words(sl_arena *arena, const char *const *strings, uint32_t count, const char *extra,
                    executor_word **out) {
    executor_word *list = take(arena, (count + 1) * sizeof *list);
    if (!list)
        return no_memory();
    for (uint32_t i = 0; i < count; i++)
        list[i].text = sl_text_of(strings[i]);
    list[count].text = sl_text_of(extra);
    *out = list;
    return SL_OK;
}

static sl_err fill_arguments(sl_arena *arena, const sl_task_spec *spec, executor_command *command) {
    static const char *const shell[] = {"/bin/sh", "-c"};
    executor_word *list;
    if (spec->kind == SL_FORM_SHELL) {
        SL_TRY(words(arena, shell, 2, spec->shell, &list));
        command->arguments.count = 3;
    } else {
        SL_TRY(words(arena, spec->argv, spec->argc, NULL, &list));
        command->arguments.count = spec->argc;
    }
    command->arguments.items = list;
    return SL_OK;
}

/* The task's own variables, after its name, which they may not hide. */
static sl_err fill_environment(sl_arena *arena, const sl_task_spec *spec,
                               executor_command *command) {
    size_t size = strlen(spec->name) + sizeof "STARLANE_TASK_NAME=";
    char *name = take(arena, size);
    executor_word *list;
    if (!name)
        return no_memory();
    snprintf(name, size, "STARLANE_TASK_NAME=%s", spec->name);
    SL_TRY(words(arena, spec->env, spec->env_count, name, &list));
    command->environment.items = list;
    command->environment.count = spec->env_count + 1;
    return SL_OK;
}

static sl_err output_path(const sl_run_state *run, sl_arena *arena, sl_output_stream stream,
                          const char *name, sl_text *out) {
    char path[SL_OUTPUT_PATH_BYTES];
    SL_TRY(sl_output_path(run->dir.path, stream, name, path, sizeof path));
    const char *copy = sl_arena_copy(arena, path, strlen(path));
    if (!copy)
        return no_memory();
    *out = sl_text_of(copy);
    return SL_OK;
}

static sl_err fill_command(const sl_run_state *run, sl_arena *arena, const sl_task_spec *spec,
                           executor_command *command) {
    *command = (executor_command){.directory = sl_text_of(run->start_cwd)};
    SL_TRY(fill_arguments(arena, spec, command));
    SL_TRY(fill_environment(arena, spec, command));
    if (spec->cwd)
        SL_TRY(absolute(arena, run->start_cwd, spec->cwd, &command->directory));
    if (spec->stdin_kind == SL_STDIN_FILE)
        SL_TRY(absolute(arena, run->start_cwd, spec->input, &command->stdin_path));
    return SL_OK;
}

sl_err sl_run_encode_words(const sl_run_state *run, sl_arena *arena, const sl_task_spec *spec,
                           executor_command *command, sl_bytes *words) {
    SL_TRY(fill_command(run, arena, spec, command));
    executor_command without = *command;
    without.stdin_path = sl_text_of(NULL);
    return encode_record(arena, &executor_command_record, &without, words);
}

static sl_err encode_command(const sl_run_state *run, sl_arena *arena, const sl_task_spec *spec,
                             sl_bytes *payload) {
    executor_command command;
    SL_TRY(fill_command(run, arena, spec, &command));
    if (spec->stdin_kind == SL_STDIN_TEXT)
        command.stdin_data =
            (sl_bytes){(const uint8_t *)spec->input, (uint32_t)strlen(spec->input)};
    SL_TRY(output_path(run, arena, SL_OUTPUT_STDOUT, spec->name, &command.stdout_path));
    SL_TRY(output_path(run, arena, SL_OUTPUT_STDERR, spec->name, &command.stderr_path));
    return encode_record(arena, &executor_command_record, &command, payload);
}

sl_err sl_run_encode_call(sl_arena *arena, const char *function, sl_bytes arguments,
                          sl_bytes *payload) {
    executor_function call = {.name = sl_text_of(function), .arguments = arguments};
    return encode_record(arena, &executor_function_record, &call, payload);
}

static sl_err encode_function(sl_run_state *run, sl_arena *arena, const sl_task_spec *spec,
                              scheduler_task *out) {
    const char *args = spec->args ? spec->args : "";
    if (spec->module)
        return sl_run_module_encode(run, spec, arena, out);
    return sl_run_encode_call(arena, spec->function,
                              (sl_bytes){(const uint8_t *)args, (uint32_t)strlen(args)},
                              &out->payload);
}

/* ---- the rest ---- */

/* Tasks that are expected to take alike: one function, one program. */
static sl_err group_of(sl_arena *arena, const sl_task_spec *spec, sl_text *out) {
    const char *from = spec->kind == SL_FORM_FUNCTION  ? spec->function
                       : spec->kind == SL_FORM_COMMAND ? spec->argv[0]
                                                       : spec->shell;
    size_t length = strlen(from);
    if (spec->kind == SL_FORM_SHELL) {
        from += strspn(from, " \t");
        length = strcspn(from, " \t\n;|&<>()");
    }
    const char *slash = spec->kind == SL_FORM_COMMAND ? strrchr(from, '/') : NULL;
    if (slash && slash[1]) {
        length -= (size_t)(slash + 1 - from);
        from = slash + 1;
    }
    const char *copy = sl_arena_copy(arena, from, length < 255 ? length : 255);
    if (!copy)
        return no_memory();
    *out = sl_text_of(copy);
    return SL_OK;
}

/* Tasks that are done already are nothing to wait for. */
static sl_err fill_after(const sl_run_state *run, sl_arena *arena, const sl_task_spec *spec,
                         scheduler_task *out) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < spec->after_count; i++)
        most += spec->after[i].count;
    if (most > AFTER_MOST)
        return sl_fail(SL_ERR_TOO_LARGE, "task %s waits for %llu tasks; at most %d are allowed",
                       spec->name, (unsigned long long)most, AFTER_MOST);
    scheduler_tag *tags = most ? take(arena, most * sizeof *tags) : NULL;
    uint32_t count = 0;
    if (most && !tags)
        return no_memory();
    for (uint32_t i = 0; tags && i < spec->after_count; i++)
        for (uint32_t j = 0; j < spec->after[i].count; j++)
            if (run->fate[spec->after[i].first + j] != SL_RESULT_DONE)
                tags[count++].tag = spec->after[i].first + j;
    out->after.items = tags;
    out->after.count = count;
    return SL_OK;
}

/* The ledger has it from an earlier session: an empty record says so. */
static sl_err fill_record(sl_run_state *run, sl_arena *arena, uint32_t index, sl_bytes *out) {
    *out = (sl_bytes){(const uint8_t *)"", 0};
    if (run->accepted[index])
        return SL_OK;
    sl_run_ledger_line(run, index, &run->line);
    SL_TRY(sl_strbuf_err(&run->line));
    const char *copy = sl_arena_copy(arena, run->line.data, run->line.length);
    if (!copy)
        return no_memory();
    *out = (sl_bytes){(const uint8_t *)copy, (uint32_t)run->line.length};
    return SL_OK;
}

/* What it is comes later, from another thread. */
static sl_err fill_sealed(sl_run_state *run, const sl_task_spec *spec, scheduler_task *out) {
    const sl_task *task;
    out->kind = SL_TASK_FUNCTION;
    out->group = sl_text_of(spec->kind != SL_FORM_FUNCTION ? SL_SEALED_COMMAND
                            : spec->module                 ? SL_SEALED_MODULE
                                                           : SL_SEALED_FUNCTION);
    if (!spec->module)
        return SL_OK;
    SL_TRY(sl_run_module_task(run, spec, &task));
    sl_run_module_needs(task, out);
    return SL_OK;
}

sl_err sl_run_encode(sl_run_state *run, uint32_t index, sl_arena *arena, scheduler_task *out) {
    const sl_task_spec *spec = sl_task_list_at(run->list, index);
    bool function = spec->kind == SL_FORM_FUNCTION;
    *out = (scheduler_task){.tag = index,
                            .kind = function ? SL_TASK_FUNCTION : SL_TASK_COMMAND,
                            .cpus = spec->cpus,
                            .gpus = spec->gpus,
                            .memory_bytes = spec->memory_bytes,
                            .ucu_milli = spec->ucu_milli,
                            .timeout_ns = spec->timeout_ns,
                            .priority = spec->priority,
                            .retries = spec->retries,
                            .attempts = run->attempts[index],
                            .region = sl_text_of(spec->region),
                            .name = sl_text_of(spec->name)};
    SL_TRY(fill_after(run, arena, spec, out));
    SL_TRY(fill_record(run, arena, index, &out->record));
    if (run->seal)
        return fill_sealed(run, spec, out);
    SL_TRY(group_of(arena, spec, &out->group));
    return function ? encode_function(run, arena, spec, out)
                    : encode_command(run, arena, spec, &out->payload);
}
