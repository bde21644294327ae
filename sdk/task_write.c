/* A spec as JSON text in normal form: what sl_task_list_add_stored() reads back. */
#include "sdk/task_list_internal.h"

#include <string.h>

static void write_key(sl_strbuf *out, const char *key) {
    if (out->length > 0 && out->data[out->length - 1] != '{')
        sl_strbuf_append_char(out, ',');
    sl_strbuf_printf(out, "\"%s\":", key);
}

static void write_string(sl_strbuf *out, const char *key, const char *text) {
    if (!text)
        return;
    write_key(out, key);
    sl_strbuf_json(out, text);
}

/* `value` unless it is what a task has anyway. */
static void write_integer(sl_strbuf *out, const char *key, int64_t value, int64_t usual) {
    if (value == usual)
        return;
    write_key(out, key);
    sl_strbuf_printf(out, "%lld", (long long)value);
}

static void write_scaled(sl_strbuf *out, const char *key, uint64_t value, double scale) {
    if (value == 0)
        return;
    write_key(out, key);
    sl_strbuf_json_double(out, (double)value / scale);
}

static void write_action(sl_strbuf *out, const sl_task_spec *spec) {
    switch ((sl_task_form)spec->kind) {
    case SL_FORM_SHELL:
        write_string(out, "shell", spec->shell);
        break;
    case SL_FORM_FUNCTION:
        write_string(out, "function", spec->function);
        write_string(out, "module", spec->module);
        break;
    case SL_FORM_COMMAND:
        write_key(out, "command");
        for (uint32_t i = 0; i < spec->argc; i++) {
            sl_strbuf_append_char(out, i == 0 ? '[' : ',');
            sl_strbuf_json(out, spec->argv[i]);
        }
        sl_strbuf_append_char(out, ']');
        break;
    }
    if (spec->args_kind == SL_ARGS_STRING)
        write_string(out, "args", spec->args);
    if (spec->args_kind == SL_ARGS_JSON) {
        write_key(out, "args");
        sl_strbuf_append(out, spec->args);
    }
}

static void write_after(sl_strbuf *out, const sl_task_list *list, const sl_task_spec *spec) {
    if (spec->after_count == 0)
        return;
    write_key(out, "after");
    for (uint32_t i = 0; i < spec->after_count; i++) {
        const sl_task_spec *first = &list->specs[spec->after[i].first];
        sl_strbuf_append_char(out, i == 0 ? '[' : ',');
        sl_strbuf_json(out,
                       spec->after[i].count > 1 ? list->groups[first->group].name : first->name);
    }
    sl_strbuf_append_char(out, ']');
}

static void write_stdin(sl_strbuf *out, const sl_task_spec *spec) {
    if (spec->stdin_kind == SL_STDIN_TEXT)
        write_string(out, "stdin", spec->input);
    if (spec->stdin_kind == SL_STDIN_FILE) {
        write_key(out, "stdin");
        sl_strbuf_append_char(out, '{');
        write_string(out, "file", spec->input);
        sl_strbuf_append_char(out, '}');
    }
}

static void write_env(sl_strbuf *out, const sl_task_spec *spec) {
    if (spec->env_count == 0)
        return;
    write_key(out, "env");
    for (uint32_t i = 0; i < spec->env_count; i++) {
        size_t name = strcspn(spec->env[i], "=");
        sl_strbuf_append_char(out, i == 0 ? '{' : ',');
        sl_strbuf_json_bytes(out, spec->env[i], name);
        sl_strbuf_append_char(out, ':');
        sl_strbuf_json(out, spec->env[i] + name + 1);
    }
    sl_strbuf_append_char(out, '}');
}

void sl_task_list_write_json(const sl_task_list *list, uint32_t index, sl_strbuf *out) {
    const sl_task_spec *spec = &list->specs[index];
    sl_strbuf_append_char(out, '{');
    write_string(out, "name", spec->name);
    if (spec->group != SL_TASK_NO_GROUP)
        write_string(out, "array", list->groups[spec->group].name);
    write_action(out, spec);
    write_integer(out, "cpus", spec->cpus, 1);
    write_integer(out, "gpus", spec->gpus, 0);
    write_scaled(out, "memory_gb", spec->memory_bytes, 1e9);
    write_scaled(out, "ucu", spec->ucu_milli, 1e3);
    write_string(out, "region", spec->region);
    write_integer(out, "priority", spec->priority, 0);
    write_after(out, list, spec);
    write_scaled(out, "timeout_s", spec->timeout_ns, 1e9);
    write_integer(out, "retries", spec->retries, 0);
    write_stdin(out, spec);
    write_env(out, spec);
    write_string(out, "cwd", spec->cwd);
    sl_strbuf_append_char(out, '}');
}
