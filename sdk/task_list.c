#include "sdk/task_list_internal.h"

#include <stdlib.h>
#include <string.h>

#include "sdk/line_reader.h"

sl_err sl_task_list_create(const sl_task_list_options *options, sl_task_list **list) {
    sl_task_list *created = calloc(1, sizeof *created);
    if (!created)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a list of tasks");
    if (options->source && !(created->source = strdup(options->source))) {
        free(created);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a list of tasks");
    }
    created->format = options->format;
    created->array = options->array;
    created->max_tasks = options->max_tasks ? options->max_tasks : SL_TASK_COUNT_MAX;
    if (options->defaults)
        created->defaults = *options->defaults;
    else
        sl_task_spec_init(&created->defaults);
    sl_arena_init(&created->arena);
    sl_arena_init(&created->scratch);
    sl_task_names_init(&created->names);
    sl_strbuf_init(&created->text, 2 * (size_t)SL_TASK_LINE_MAX);
    created->reader =
        (sl_task_fields_reader){.arena = &created->arena, .pending = &created->scratch};
    *list = created;
    return SL_OK;
}

void sl_task_list_destroy(sl_task_list *list) {
    if (!list)
        return;
    sl_arena_fini(&list->arena);
    sl_arena_fini(&list->scratch);
    sl_task_names_fini(&list->names);
    sl_task_errors_fini(&list->errors);
    sl_strbuf_fini(&list->text);
    free(list->specs);
    free(list->groups);
    free(list->pending);
    free(list->source);
    free(list);
}

/* ---- building blocks ---- */

sl_err sl_task_list_grow(void **array, size_t *capacity, size_t count, size_t size) {
    if (count < *capacity)
        return SL_OK;
    size_t wanted = *capacity ? *capacity + *capacity / 2 + 1 : 64;
    void *larger = realloc(*array, wanted * size);
    if (!larger)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %zu tasks", wanted);
    *array = larger;
    *capacity = wanted;
    return SL_OK;
}

void sl_task_list_report(sl_task_list *list, uint64_t line, size_t column, const char *field) {
    char text[1400], place[32] = "";
    if (line > 0)
        snprintf(place, sizeof place, ":%llu:%zu", (unsigned long long)line, column);
    snprintf(text, sizeof text, "%.200s%s: %s%s%s", list->source ? list->source : "tasks", place,
             field ? field : "", field ? ": " : "", sl_err_detail());
    sl_task_errors_add(&list->errors, line, text);
}

/* Puts `name` into the index, or says who has it. */
static sl_err add_name(sl_task_list *list, const char *name, uint64_t value) {
    uint64_t present = 0;
    sl_err err = sl_task_names_add(&list->names, name, value, &present);
    if (err != SL_ERR_EXISTS)
        return err;
    uint32_t at = (uint32_t)present, line = at;
    if ((present & SL_NAME_KIND) == SL_NAME_TASK)
        line = list->specs[at].line;
    else if ((present & SL_NAME_KIND) == SL_NAME_GROUP)
        line = list->groups[at].line;
    return sl_fail(SL_ERR_EXISTS, "\"%s\" is the name of line %u already; give each task its own",
                   name, line);
}

sl_err sl_task_list_push(sl_task_list *list, const sl_task_spec *spec) {
    if (list->count == list->max_tasks)
        return sl_fail(SL_ERR_TOO_LARGE, "%s: more than %u tasks; split the list",
                       list->source ? list->source : "tasks", list->max_tasks);
    SL_TRY(sl_task_list_grow((void **)&list->specs, &list->spec_capacity, list->count,
                             sizeof *list->specs));
    SL_TRY(add_name(list, spec->name, SL_NAME_TASK | list->count));
    list->specs[list->count++] = *spec;
    return SL_OK;
}

sl_err sl_task_list_push_group(sl_task_list *list, const char *name, uint32_t line,
                               uint32_t *group) {
    SL_TRY(sl_task_list_grow((void **)&list->groups, &list->group_capacity, list->group_count,
                             sizeof *list->groups));
    SL_TRY(add_name(list, name, SL_NAME_GROUP | list->group_count));
    *group = list->group_count++;
    list->groups[*group] = (sl_task_group){name, {list->count, 0}, line};
    return SL_OK;
}

sl_err sl_task_list_push_pending(sl_task_list *list, const sl_task_pending *pending) {
    SL_TRY(sl_task_list_grow((void **)&list->pending, &list->pending_capacity, list->pending_count,
                             sizeof *list->pending));
    list->pending[list->pending_count++] = *pending;
    return SL_OK;
}

/* ---- lines ---- */

/* Adds what a good line described. SL_ERR_EXISTS or SL_ERR_INVALID: the line is bad after all. */
static sl_err add_fields(sl_task_list *list, sl_task_fields *fields) {
    if (!fields->spec.name) {
        char name[16];
        int length = snprintf(name, sizeof name, "t%u", list->ordinal);
        fields->spec.name = sl_arena_copy(&list->arena, name, (size_t)length);
        if (!fields->spec.name)
            return sl_fail(SL_ERR_NO_MEMORY, "no memory for another task");
    }
    if (list->array)
        return sl_task_list_expand(list, fields);
    SL_TRY(sl_task_list_push(list, &fields->spec));
    if (fields->after_count == 0)
        return SL_OK;
    return sl_task_list_push_pending(list,
                                     &(sl_task_pending){.tasks = {list->count - 1, 1},
                                                        .names = fields->after,
                                                        .name_count = fields->after_count,
                                                        .line = fields->spec.line,
                                                        .column = (uint32_t)fields->after_column});
}

/* Remembers what is known of a bad line, so that tasks after it are not called wrong as well. */
static sl_err note_bad_line(sl_task_list *list, const sl_task_fields *fields, uint64_t line) {
    uint64_t present = 0;
    if (!fields->spec.name || list->array)
        list->nameless_bad = true;
    if (!fields->spec.name)
        return SL_OK;
    sl_err err =
        sl_task_names_add(&list->names, fields->spec.name, SL_NAME_BAD | (uint32_t)line, &present);
    return err == SL_ERR_EXISTS ? SL_OK : err;
}

static bool about_line(sl_err err) {
    return err == SL_ERR_SYNTAX || err == SL_ERR_INVALID || err == SL_ERR_EXISTS;
}

static sl_err add_json(sl_task_list *list, uint64_t line, const char *text, size_t length) {
    sl_task_fields fields;
    sl_err err = sl_task_fields_read(&list->reader, text, length, &list->defaults, &fields);
    fields.spec.line = (uint32_t)line;
    if (err == SL_OK) {
        err = add_fields(list, &fields);
        fields.field = err == SL_ERR_EXISTS ? "name" : NULL;
        if (err == SL_ERR_EXISTS)
            fields.column = sl_task_fields_column(text, length, "name");
    }
    list->ordinal++;
    if (!about_line(err))
        return err;
    sl_task_list_report(list, line, fields.column, fields.field);
    return note_bad_line(list, &fields, line);
}

static sl_err check_shell_line(const char *text, size_t length, size_t *column) {
    size_t bad = 0;
    const char *nul = memchr(text, '\0', length);
    if (nul) {
        *column = (size_t)(nul - text) + 1;
        return sl_fail(SL_ERR_INVALID, "a NUL byte; a command is text");
    }
    if (!sl_utf8_valid(text, length, &bad)) {
        *column = bad + 1;
        return sl_fail(SL_ERR_INVALID,
                       "the byte 0x%02x is not valid UTF-8; a command is UTF-8 text",
                       (unsigned char)text[bad]);
    }
    if (length > SL_TASK_STRING_MAX)
        return sl_fail(SL_ERR_INVALID, "%zu bytes; a shell command has at most %d", length,
                       SL_TASK_STRING_MAX);
    return SL_OK;
}

static sl_err add_shell(sl_task_list *list, uint64_t line, const char *text, size_t length) {
    sl_task_fields fields = {.spec = list->defaults, .column = 1};
    fields.spec.kind = SL_FORM_SHELL;
    fields.spec.line = (uint32_t)line;
    sl_err err = check_shell_line(text, length, &fields.column);
    if (err == SL_OK) {
        fields.spec.shell = sl_arena_copy(&list->arena, text, length);
        err = fields.spec.shell ? add_fields(list, &fields)
                                : sl_fail(SL_ERR_NO_MEMORY, "no memory for another task");
    }
    list->ordinal++;
    if (!about_line(err))
        return err;
    sl_task_list_report(list, line, fields.column, "shell");
    return note_bad_line(list, &fields, line);
}

static bool is_blank(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    return true;
}

sl_err sl_task_list_add_line(sl_task_list *list, uint64_t line, const char *text, size_t length) {
    if (is_blank(text, length))
        return SL_OK;
    if (line > UINT32_MAX)
        return sl_fail(SL_ERR_TOO_LARGE, "more than %u lines", UINT32_MAX);
    if (list->format == SL_TASKS_JSON)
        return add_json(list, line, text, length);
    return text[0] == '#' ? SL_OK : add_shell(list, line, text, length);
}

static sl_err read_lines(sl_task_list *list, sl_line_reader *reader) {
    for (;;) {
        char *text = NULL;
        size_t length = 0;
        sl_err err = sl_line_reader_next(reader, &text, &length);
        if (err == SL_ERR_CLOSED)
            return SL_OK;
        if (err == SL_ERR_TOO_LARGE) {
            list->nameless_bad = true;
            list->ordinal++;
            sl_task_list_report(list, reader->line, 1, NULL);
            continue;
        }
        if (err == SL_OK)
            err = sl_task_list_add_line(list, reader->line, text, length);
        if (err != SL_OK)
            return err;
    }
}

sl_err sl_task_list_read(sl_task_list *list, const char *path) {
    sl_line_reader reader;
    const char *shown = strcmp(path, "-") == 0 ? "standard input" : path;
    if (!list->source && !(list->source = strdup(shown)))
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to read %s", shown);
    SL_TRY(sl_line_reader_open(&reader, path, SL_TASK_LINE_MAX));
    sl_err err = read_lines(list, &reader);
    sl_line_reader_close(&reader);
    return err;
}

/* ---- tasks that come otherwise ---- */

static sl_err copy_command(sl_task_list *list, uint32_t argc, const char *const *argv,
                           sl_task_spec *spec) {
    size_t bad = 0;
    if (argc == 0 || argv[0][0] == '\0')
        return sl_fail(SL_ERR_INVALID, "no command; give the program and its arguments after --");
    const char **copy =
        sl_arena_alloc(&list->arena, ((size_t)argc + 1) * sizeof *copy, sizeof *copy);
    if (!copy)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the command");
    for (uint32_t i = 0; i < argc; i++) {
        size_t length = strlen(argv[i]);
        if (length > SL_TASK_STRING_MAX)
            return sl_fail(SL_ERR_INVALID, "argument %u has %zu bytes; at most %d are allowed", i,
                           length, SL_TASK_STRING_MAX);
        if (!sl_utf8_valid(argv[i], length, &bad))
            return sl_fail(SL_ERR_INVALID, "byte %zu of argument %u is not valid UTF-8", bad + 1,
                           i);
        copy[i] = sl_arena_copy(&list->arena, argv[i], length);
        if (!copy[i])
            return sl_fail(SL_ERR_NO_MEMORY, "no memory for the command");
    }
    copy[argc] = NULL;
    spec->kind = SL_FORM_COMMAND;
    spec->argv = copy;
    spec->argc = argc;
    return SL_OK;
}

sl_err sl_task_list_add_command(sl_task_list *list, uint32_t argc, const char *const *argv) {
    sl_task_fields fields = {.spec = list->defaults};
    sl_err err = copy_command(list, argc, argv, &fields.spec);
    if (err == SL_OK)
        err = add_fields(list, &fields);
    list->ordinal++;
    if (!about_line(err))
        return err;
    sl_task_list_report(list, 0, 0, "command");
    return SL_OK;
}

/* The group of a stored member: the newest one, or a new one after it. */
static sl_err stored_group(sl_task_list *list, const char *name, uint32_t *group) {
    if (list->group_count > 0 && strcmp(list->groups[list->group_count - 1].name, name) == 0) {
        *group = list->group_count - 1;
        const sl_task_range *members = &list->groups[*group].members;
        if (members->first + members->count == list->count)
            return SL_OK;
        return sl_fail(SL_ERR_INVALID, "members of the array \"%s\" do not follow each other",
                       name);
    }
    const char *copy = sl_arena_copy(&list->arena, name, strlen(name));
    if (!copy)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the array \"%s\"", name);
    return sl_task_list_push_group(list, copy, 0, group);
}

sl_err sl_task_list_add_stored(sl_task_list *list, const char *text, size_t length) {
    sl_task_fields fields;
    sl_task_spec plain;
    sl_task_spec_init(&plain);
    list->reader.stored = true;
    sl_err err = sl_task_fields_read(&list->reader, text, length, &plain, &fields);
    list->reader.stored = false;
    if (err != SL_OK)
        return err;
    if (!fields.spec.name)
        return sl_fail(SL_ERR_INVALID, "a stored task without a name");
    if (fields.array)
        SL_TRY(stored_group(list, fields.array, &fields.spec.group));
    SL_TRY(add_fields(list, &fields));
    if (fields.array)
        list->groups[fields.spec.group].members.count++;
    return SL_OK;
}

/* ---- the whole ---- */

sl_err sl_task_list_finish(sl_task_list *list) {
    SL_TRY(sl_task_list_resolve(list));
    if (list->errors.total > 0)
        return sl_fail(SL_ERR_INVALID, "%s: %llu bad line%s; nothing was run",
                       list->source ? list->source : "tasks",
                       (unsigned long long)list->errors.total, list->errors.total == 1 ? "" : "s");
    SL_TRY(sl_task_list_check_cycles(list));
    sl_arena_fini(&list->scratch);
    free(list->pending);
    list->pending = NULL;
    list->pending_count = 0;
    list->pending_capacity = 0;
    return SL_OK;
}

const sl_task_errors *sl_task_list_errors(const sl_task_list *list) {
    return &list->errors;
}

uint32_t sl_task_list_count(const sl_task_list *list) {
    return list->count;
}

const sl_task_spec *sl_task_list_at(const sl_task_list *list, uint32_t index) {
    return &list->specs[index];
}

sl_err sl_task_list_find(const sl_task_list *list, const char *name, sl_task_range *range) {
    uint64_t value = 0;
    if (sl_task_names_find(&list->names, name, &value) != SL_OK ||
        (value & SL_NAME_KIND) == SL_NAME_BAD)
        return sl_fail(SL_ERR_NOT_FOUND, "no task is called \"%.200s\"", name);
    uint32_t at = (uint32_t)value;
    *range =
        (value & SL_NAME_KIND) == SL_NAME_GROUP ? list->groups[at].members : (sl_task_range){at, 1};
    return SL_OK;
}

uint64_t sl_task_list_dependency_count(const sl_task_list *list) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < list->count; i++)
        for (uint32_t j = 0; j < list->specs[i].after_count; j++)
            sum += list->specs[i].after[j].count;
    return sum;
}

size_t sl_task_list_memory_bytes(const sl_task_list *list) {
    return list->arena.held_bytes + list->scratch.held_bytes +
           list->spec_capacity * sizeof *list->specs + list->group_capacity * sizeof *list->groups +
           list->pending_capacity * sizeof *list->pending +
           (list->names.mask + 1) * 2 * sizeof(void *);
}
