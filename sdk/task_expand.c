/* Design notes: members share every text of the task that holds no placeholder; what differs (name,
 * environment, filled texts) is copied for each. Dependencies without a placeholder are resolved
 * once for all members. */
#include "sdk/task_list_internal.h"

#include <string.h>

typedef struct member {
    sl_task_list *list;
    const sl_task_fields *fields;
    uint32_t index;
    const char *line; /* NULL without --each-line */
} member;

static sl_err keep_text(const member *of, sl_arena *arena, const char **out) {
    const sl_strbuf *text = &of->list->text;
    SL_TRY(sl_strbuf_err(text));
    const char *copy = sl_arena_copy(arena, text->data, text->length);
    if (!copy)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a member of an array");
    *out = copy;
    return SL_OK;
}

/* `*text` with its placeholders filled, when it has some. */
static sl_err fill(const member *of, const char **text, bool quote) {
    if (!*text || !sl_task_array_has_placeholder(*text))
        return SL_OK;
    sl_strbuf_clear(&of->list->text);
    sl_task_array_fill(&of->list->text, *text, of->index, of->line, quote);
    if (of->list->text.length > SL_TASK_STRING_MAX || of->list->text.err == SL_ERR_TOO_LARGE)
        return sl_fail(SL_ERR_INVALID, "member %u has a text of more than %d bytes once filled in",
                       of->index, SL_TASK_STRING_MAX);
    return keep_text(of, &of->list->arena, text);
}

static sl_err fill_argv(const member *of, sl_task_spec *spec) {
    const char **argv = NULL;
    for (uint32_t i = 0; i < spec->argc; i++) {
        const char *text = spec->argv[i];
        SL_TRY(fill(of, &text, false));
        if (text == spec->argv[i])
            continue;
        if (!argv) {
            size_t bytes = ((size_t)spec->argc + 1) * sizeof *argv;
            argv = sl_arena_alloc(&of->list->arena, bytes, sizeof *argv);
            if (!argv)
                return sl_fail(SL_ERR_NO_MEMORY, "no memory for a member of an array");
            memcpy(argv, spec->argv, bytes);
            spec->argv = argv;
        }
        argv[i] = text;
    }
    return SL_OK;
}

static sl_err member_variable(const member *of, const char *name, const char *value,
                              const char **out) {
    sl_strbuf_clear(&of->list->text);
    sl_strbuf_printf(&of->list->text, "%s=", name);
    if (value)
        sl_strbuf_append(&of->list->text, value);
    else
        sl_strbuf_printf(&of->list->text, "%u", of->index);
    return keep_text(of, &of->list->arena, out);
}

static sl_err fill_env(const member *of, sl_task_spec *spec) {
    uint32_t count = spec->env_count + (of->line ? 2 : 1);
    const char **env =
        sl_arena_alloc(&of->list->arena, ((size_t)count + 1) * sizeof *env, sizeof *env);
    if (!env)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a member of an array");
    for (uint32_t i = 0; i < spec->env_count; i++) {
        env[i] = spec->env[i];
        SL_TRY(fill(of, &env[i], false));
    }
    SL_TRY(member_variable(of, "STARLANE_TASK_INDEX", NULL, &env[spec->env_count]));
    if (of->line)
        SL_TRY(member_variable(of, "STARLANE_TASK_LINE", of->line, &env[spec->env_count + 1]));
    env[count] = NULL;
    spec->env = env;
    spec->env_count = count;
    return SL_OK;
}

static sl_err fill_texts(const member *of, sl_task_spec *spec) {
    if (spec->kind == SL_FORM_COMMAND)
        SL_TRY(fill_argv(of, spec));
    if (spec->kind == SL_FORM_SHELL)
        SL_TRY(fill(of, &spec->shell, true));
    if (spec->args_kind == SL_ARGS_STRING)
        SL_TRY(fill(of, &spec->args, false));
    SL_TRY(fill(of, &spec->input, false));
    SL_TRY(fill(of, &spec->cwd, false));
    return fill_env(of, spec);
}

static sl_err member_name(const member *of, sl_task_spec *spec) {
    const char *base = of->fields->spec.name;
    sl_strbuf_clear(&of->list->text);
    sl_strbuf_printf(&of->list->text, "%s.%u", base, of->index);
    if (of->list->text.length > SL_TASK_NAME_MAX)
        return sl_fail(SL_ERR_INVALID, "the member's name \"%.60s....%u\" has more than %d bytes",
                       base, of->index, SL_TASK_NAME_MAX);
    return keep_text(of, &of->list->arena, &spec->name);
}

static bool after_varies(const sl_task_fields *fields) {
    for (uint32_t i = 0; i < fields->after_count; i++)
        if (sl_task_array_has_placeholder(fields->after[i]))
            return true;
    return false;
}

/* Dependencies of one member, from names with placeholders ("prepare.{#}"). */
static sl_err member_after(const member *of, sl_task_pending pending) {
    const char **names =
        sl_arena_alloc(&of->list->scratch, pending.name_count * sizeof *names, sizeof *names);
    if (!names)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a member of an array");
    for (uint32_t i = 0; i < pending.name_count; i++) {
        sl_strbuf_clear(&of->list->text);
        sl_task_array_fill(&of->list->text, pending.names[i], of->index, of->line, false);
        SL_TRY(keep_text(of, &of->list->scratch, &names[i]));
    }
    pending.names = names;
    pending.tasks = (sl_task_range){of->list->count - 1, 1};
    return sl_task_list_push_pending(of->list, &pending);
}

static sl_err add_member(const member *of, uint32_t group, const sl_task_pending *pending) {
    sl_task_spec spec = of->fields->spec;
    spec.group = group;
    SL_TRY(member_name(of, &spec));
    SL_TRY(fill_texts(of, &spec));
    SL_TRY(sl_task_list_push(of->list, &spec));
    of->list->groups[group].members.count++;
    return pending ? member_after(of, *pending) : SL_OK;
}

sl_err sl_task_list_expand(sl_task_list *list, const sl_task_fields *fields) {
    const sl_task_array *array = list->array;
    bool varies = after_varies(fields);
    uint32_t first = list->count, group = 0;
    sl_task_pending pending = {.names = fields->after,
                               .name_count = fields->after_count,
                               .line = fields->spec.line,
                               .column = (uint32_t)fields->after_column};
    SL_TRY(sl_task_list_push_group(list, fields->spec.name, fields->spec.line, &group));
    for (uint32_t i = 0; i < array->count; i++) {
        uint32_t index = array->indices[i];
        member of = {list, fields, index, array->has_lines ? array->lines[index] : NULL};
        SL_TRY(add_member(&of, group, varies ? &pending : NULL));
    }
    pending.tasks = (sl_task_range){first, array->count};
    if (varies || pending.name_count == 0 || array->count == 0)
        return SL_OK;
    return sl_task_list_push_pending(list, &pending);
}
