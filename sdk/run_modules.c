/* Tasks of a list that are in modules: read before anything runs, and put where nodes find them. */
#include <stdlib.h>
#include <string.h>

#include "sdk/module.h"
#include "sdk/run.h"
#include "sdk/task_amounts.h"
#include "sdk/value.h"

enum { ARGS_MOST = SL_VALUE_APART_BYTES - 1 };

typedef struct sl_run_module {
    struct sl_run_module *next;
    uint8_t *bytes; /* until they are in the store */
    sl_module_key key;
    sl_module *module;
    sl_err err;
    char *cause;
    char path[]; /* as the tasks say it */
} sl_run_module;

/* ---- reading ---- */

static sl_err read_at(const sl_run_state *run, sl_run_module *one) {
    char whole[2 * (SL_TASK_PATH_MAX + 1)];
    sl_module_file file;
    snprintf(whole, sizeof whole, "%s%s%s",
             one->path[0] != '/' && run->start_cwd ? run->start_cwd : "",
             one->path[0] != '/' && run->start_cwd ? "/" : "", one->path);
    SL_TRY(sl_module_read(whole, &one->bytes, &one->key, &file));
    sl_err err = sl_module_make(&one->key, &file, NULL, &one->module);
    if (err != SL_OK)
        sl_module_file_fini(&file);
    return err;
}

/* One that cannot be read is not tried again for each of its tasks. */
static sl_run_module *find_or_read(sl_run_state *run, const char *path) {
    sl_run_module *one = run->modules;
    while (one && strcmp(one->path, path) != 0)
        one = one->next;
    if (one)
        return one;
    one = calloc(1, sizeof *one + strlen(path) + 1);
    if (!one) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a module");
        return NULL;
    }
    strcpy(one->path, path);
    one->err = read_at(run, one);
    one->cause = one->err == SL_OK ? NULL : strdup(sl_err_detail());
    one->next = run->modules;
    run->modules = one;
    return one;
}

sl_err sl_run_module_task(sl_run_state *run, const sl_task_spec *spec, const sl_task **task) {
    const sl_run_module *one = find_or_read(run, spec->module);
    if (!one)
        return SL_ERR_NO_MEMORY;
    if (one->err != SL_OK)
        return sl_fail(one->err, "%s", one->cause ? one->cause : "it cannot be read");
    *task = sl_module_task(one->module, spec->function);
    return *task ? SL_OK : SL_ERR_NOT_FOUND;
}

sl_err sl_run_module_check(sl_run_state *run, const sl_task_spec *spec) {
    const sl_task *task;
    if (sl_config_enum(run->config, SL_OPT_MODULES) != 0)
        return sl_fail(SL_ERR_INVALID, "this network takes no modules (--modules off)");
    if (spec->args && strlen(spec->args) > ARGS_MOST - 16)
        return sl_fail(SL_ERR_INVALID, "args of %zu bytes; a task of a module takes at most %d",
                       strlen(spec->args), ARGS_MOST - 16);
    return sl_run_module_task(run, spec, &task);
}

sl_err sl_run_modules_check(sl_run_state *run) {
    for (uint32_t i = 0; i < sl_task_list_count(run->list); i++) {
        const sl_task_spec *spec = sl_task_list_at(run->list, i);
        if (spec->module)
            SL_TRY(sl_run_module_check(run, spec));
    }
    return SL_OK;
}

/* ---- to where nodes find them ---- */

/* Of a run that is sealed as a parcel. */
static sl_err put_one(const sl_run_state *run, sl_run_module *one, sl_run_module_putter *put,
                      void *context) {
    uint8_t *bytes = one->bytes;
    size_t size = (size_t)one->key.bytes;
    one->bytes = NULL;
    if (run->seal)
        SL_TRY(sl_module_wrap(bytes, size, &bytes, &size, &one->module->data_key));
    one->module->object = put(context, sl_bytes(bytes, size));
    free(bytes);
    return one->module->object ? SL_OK : SL_ERR_NO_MEMORY;
}

void sl_run_modules_put(sl_run_state *run, sl_run_module_putter *put, void *context) {
    for (sl_run_module *one = run->modules; one; one = one->next) {
        if (one->err != SL_OK)
            continue;
        one->err = put_one(run, one, put, context);
        if (one->err != SL_OK)
            one->cause = strdup(sl_err_detail());
    }
}

void sl_run_modules_free(sl_run_state *run) {
    for (sl_run_module *one; (one = run->modules);) {
        run->modules = one->next;
        sl_module_release(one->module);
        free(one->bytes);
        free(one->cause);
        free(one);
    }
}

/* ---- tasks ---- */

static uint32_t most_u32(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static uint64_t most_u64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

void sl_run_module_needs(const sl_task *task, scheduler_task *out) {
    const sl_task_options *options = &task->options;
    out->cpus = most_u32(out->cpus, sl_task_cpus(options));
    out->gpus = most_u32(out->gpus, options->gpus);
    out->memory_bytes = most_u64(out->memory_bytes, options->memory_bytes);
    out->ucu_milli = most_u64(out->ucu_milli, sl_task_ucu_milli(options));
    if (!out->region.bytes)
        out->region = sl_text_of(options->region);
    if (!out->priority)
        out->priority = options->priority;
    if (!out->retries)
        out->retries = options->retries;
    if (!out->timeout_ns)
        out->timeout_ns = sl_task_timeout_ns(options);
}

sl_err sl_run_module_args(const sl_task_spec *spec, sl_strbuf *out) {
    sl_strbuf_init(out, SL_TASK_LINE_MAX);
    if (spec->args_kind == SL_ARGS_JSON)
        sl_strbuf_append(out, spec->args);
    else if (spec->args_kind == SL_ARGS_STRING)
        sl_strbuf_json(out, spec->args);
    else
        sl_strbuf_append(out, "[]");
    SL_TRY(sl_strbuf_err(out));
    return out->length <= ARGS_MOST - 1
               ? SL_OK
               : sl_fail(SL_ERR_TOO_LARGE, "task %s: args of %zu bytes", spec->name, out->length);
}

static sl_err encode(const sl_module_entry *entry, const sl_strbuf *args, sl_arena *arena,
                     sl_bytes *payload) {
    uint8_t about[sizeof entry->about];
    sl_value values[SL_MODULE_VALUES + 1];
    sl_value_size size;
    sl_module_text_values(entry, about, values);
    values[SL_MODULE_VALUES] = sl_string(args->data);
    SL_TRY(sl_values_measure(values, SL_MODULE_VALUES + 1, &size));
    uint8_t *wire = sl_arena_alloc(arena, size.bytes, 8);
    if (!wire)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to submit tasks");
    sl_values_encode(values, SL_MODULE_VALUES + 1, wire, NULL);
    return sl_run_encode_call(arena, entry->task.name, (sl_bytes){wire, (uint32_t)size.bytes},
                              payload);
}

sl_err sl_run_module_encode(sl_run_state *run, const sl_task_spec *spec, sl_arena *arena,
                            scheduler_task *out) {
    const sl_task *task;
    sl_strbuf args;
    SL_TRY(sl_run_module_task(run, spec, &task));
    sl_run_module_needs(task, out);
    sl_err err = sl_run_module_args(spec, &args);
    if (err == SL_OK)
        err = encode(sl_module_entry_of(task), &args, arena, &out->payload);
    sl_strbuf_fini(&args);
    return err;
}
