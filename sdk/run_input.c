/* What is to be run: read and checked whole, before anything is. */
#include "sdk/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/task_functions.h"

enum {
    AFTER_MOST = 1048576 /* tasks that one may wait for: what a message to the scheduler holds */
};

static const char *text_or_null(const sl_config *config, sl_opt id) {
    return sl_config_is_set(config, id) ? sl_config_text(config, id) : NULL;
}

void sl_run_defaults(const sl_config *config, sl_task_spec *defaults) {
    sl_task_spec_init(defaults);
    defaults->cpus = (uint32_t)sl_config_int(config, SL_OPT_DEFAULT_CPUS);
    defaults->memory_bytes =
        (uint64_t)llround(sl_config_double(config, SL_OPT_DEFAULT_MEMORY_GB) * 1e9);
    defaults->region = text_or_null(config, SL_OPT_REGION);
    defaults->priority = (int32_t)sl_config_int(config, SL_OPT_PRIORITY);
    defaults->retries = (uint32_t)sl_config_int(config, SL_OPT_RETRIES);
    if (sl_config_is_set(config, SL_OPT_TIMEOUT))
        defaults->timeout_ns = sl_config_duration_ns(config, SL_OPT_TIMEOUT);
}

/* ---- the list ---- */

static sl_err read_array(sl_run_state *run) {
    const char *indices = text_or_null(run->config, SL_OPT_ARRAY);
    const char *lines = text_or_null(run->config, SL_OPT_EACH_LINE);
    const char *tasks = run->request->tasks;
    if (lines && tasks && strcmp(lines, "-") == 0 && strcmp(tasks, "-") == 0)
        return sl_fail(SL_ERR_INVALID, "standard input cannot be both the tasks and --each-line");
    if (indices)
        SL_TRY(sl_task_array_parse(&run->array, indices, SL_TASK_COUNT_MAX));
    if (lines)
        SL_TRY(sl_task_array_read_lines(&run->array, lines, SL_TASK_COUNT_MAX));
    return SL_OK;
}

static void say_errors(const sl_run_state *run) {
    const sl_task_errors *errors = sl_task_list_errors(run->list);
    if (run->request->messages && errors->total)
        sl_task_errors_print(errors, run->request->messages);
}

/* Names that no rank has registered, and waits too wide for a message. */
static void check_spec(sl_run_state *run, const sl_functions *functions, const sl_task_spec *spec,
                       sl_task_errors *errors) {
    uint32_t id;
    uint64_t after = 0;
    char text[1400];
    if (spec->kind == SL_FORM_FUNCTION && (spec->module || functions) &&
        (spec->module ? sl_run_module_check(run, spec)
                      : sl_functions_find(functions, spec->function, &id)) != SL_OK) {
        snprintf(text, sizeof text, "%.200s:%u: %s: %.900s",
                 run->request->tasks ? run->request->tasks : "tasks", spec->line,
                 spec->module ? "module" : "function", sl_err_detail());
        sl_task_errors_add(errors, spec->line, text);
    }
    for (uint32_t i = 0; i < spec->after_count; i++)
        after += spec->after[i].count;
    if (after > AFTER_MOST) {
        snprintf(text, sizeof text, "%.200s:%u: after: these are %llu tasks; name at most %d",
                 run->request->tasks ? run->request->tasks : "tasks", spec->line,
                 (unsigned long long)after, AFTER_MOST);
        sl_task_errors_add(errors, spec->line, text);
    }
}

static sl_err check_specs(sl_run_state *run) {
    const sl_functions *functions = NULL;
    sl_task_errors errors = {.total = 0};
    if (run->network) /* over a connection others have them */
        SL_TRY(sl_task_functions_freeze(&functions));
    for (uint32_t i = 0; i < sl_task_list_count(run->list); i++)
        check_spec(run, functions, sl_task_list_at(run->list, i), &errors);
    if (run->request->messages && errors.total)
        sl_task_errors_print(&errors, run->request->messages);
    uint64_t total = errors.total;
    sl_task_errors_fini(&errors);
    if (total)
        return sl_fail(SL_ERR_INVALID, "%llu bad task%s; nothing was run",
                       (unsigned long long)total, total == 1 ? "" : "s");
    return SL_OK;
}

static sl_err fill_list(sl_run_state *run) {
    const sl_run_request *request = run->request;
    if (request->tasks)
        SL_TRY(sl_task_list_read(run->list, request->tasks));
    else
        SL_TRY(sl_task_list_add_command(run->list, (uint32_t)request->command_words,
                                        request->command));
    sl_err err = sl_task_list_finish(run->list);
    say_errors(run);
    SL_TRY(err);
    return check_specs(run);
}

static sl_err read_new(sl_run_state *run) {
    sl_task_spec defaults;
    if (!run->request->tasks && run->request->command_words <= 0)
        return sl_fail(SL_ERR_INVALID, "no tasks: give a file of tasks, - for standard input, or a "
                                       "command after --");
    sl_run_defaults(run->config, &defaults);
    SL_TRY(read_array(run));
    bool array = run->array.count > 0 || run->array.has_lines;
    sl_task_list_options options = {
        .format = sl_config_bool(run->config, SL_OPT_SHELL) ? SL_TASKS_SHELL : SL_TASKS_JSON,
        .array = array ? &run->array : NULL,
        .defaults = &defaults,
    };
    SL_TRY(sl_task_list_create(&options, &run->list));
    SL_TRY(fill_list(run));
    run->start_cwd = getcwd(NULL, 0);
    if (!run->start_cwd)
        return sl_fail(SL_ERR_IO, "the current directory cannot be named");
    return SL_OK;
}

/* ---- what is kept for each task ---- */

static sl_err make_tables(sl_run_state *run) {
    run->total = sl_task_list_count(run->list);
    size_t count = run->total ? run->total : 1;
    run->fate = malloc(count);
    run->accepted = calloc(count, 1);
    run->attempts = calloc(count, sizeof *run->attempts);
    run->order = calloc(count, sizeof *run->order);
    if (!run->fate || !run->accepted || !run->attempts || !run->order)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u tasks", run->total);
    memset(run->fate, SL_RUN_UNFINISHED, count);
    run->summary.tasks = run->counts.total = run->total;
    return sl_task_list_order(run->list, run->order);
}

sl_err sl_run_read(sl_run_state *run) {
    SL_TRY(run->resumed ? sl_run_read_earlier(run) : read_new(run));
    if (run->resumed)
        SL_TRY(sl_run_modules_check(run));
    return make_tables(run);
}
