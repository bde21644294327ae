/* Design notes: one table says which fields exist and who reads each. A reader gets the value
 * jansson parsed and fills its part of the spec; what it refuses it words as `VALUE is not allowed;
 * give …`. The column of a field is looked for in the text only once there is an error to report.
 */
#include "sdk/task_fields.h"

#include "runtime/edit_distance.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { MEMO_REGION, MEMO_CWD, MEMO_FUNCTION, MEMO_MODULE };

typedef struct field_type {
    const char *name;
    sl_err (*read)(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields);
    bool stored_only;
} field_type;

static sl_err no_memory(void) {
    return sl_fail(SL_ERR_NO_MEMORY, "no memory for another task");
}

/* The beginning of a value as JSON, for a message. */
typedef struct excerpt {
    char text[48];
    size_t length;
    bool cut;
} excerpt;

static int add_to_excerpt(const char *bytes, size_t size, void *context) {
    excerpt *of = context;
    size_t room = sizeof of->text - 1 - of->length, taken = size < room ? size : room;
    memcpy(of->text + of->length, bytes, taken);
    of->length += taken;
    of->cut |= taken < size;
    return of->cut ? -1 : 0;
}

/* `give` says what would have been right. */
static sl_err refuse(const json_t *value, const char *give) {
    excerpt shown = {.length = 0};
    (void)json_dump_callback(value, add_to_excerpt, &shown,
                             JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
    return sl_fail(SL_ERR_INVALID, "%s%s is not allowed; give %s", shown.text,
                   shown.cut ? "..." : "", give);
}

/* ---- values ---- */

static sl_err read_integer(const json_t *value, int64_t low, int64_t high, int64_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < low ||
        json_integer_value(value) > high) {
        char give[80];
        snprintf(give, sizeof give, "a whole number from %lld to %lld", (long long)low,
                 (long long)high);
        return refuse(value, give);
    }
    *out = json_integer_value(value);
    return SL_OK;
}

static sl_err read_u32(const json_t *value, int64_t low, int64_t high, uint32_t *out) {
    int64_t read = 0;
    SL_TRY(read_integer(value, low, high, &read));
    *out = (uint32_t)read;
    return SL_OK;
}

/* A number of `low` … `high`, times `scale`, rounded: exact again after sl_task_list_write_json().
 */
static sl_err read_scaled(const json_t *value, double low, double high, double scale,
                          const char *unit, uint64_t *out) {
    double read = json_number_value(value);
    if (!json_is_number(value) || !(read >= low && read <= high)) {
        char give[80];
        snprintf(give, sizeof give, "a number from %g to %.10g%s", low, high, unit);
        return refuse(value, give);
    }
    *out = (uint64_t)llround(read * scale);
    return SL_OK;
}

static sl_err copy_string(sl_arena *arena, const json_t *value, size_t low, size_t high,
                          const char **out) {
    if (!json_is_string(value) || json_string_length(value) < low ||
        json_string_length(value) > high) {
        char give[80];
        snprintf(give, sizeof give, "a string of %zu to %zu bytes", low, high);
        return refuse(value, give);
    }
    const char *copy = sl_arena_copy(arena, json_string_value(value), json_string_length(value));
    if (!copy)
        return no_memory();
    *out = copy;
    return SL_OK;
}

static sl_err copy_repeated(sl_task_fields_reader *reader, int memo, const json_t *value,
                            size_t high, const char **out) {
    const char *text = json_string_value(value);
    if (!text || !reader->memo[memo] || strcmp(reader->memo[memo], text) != 0)
        SL_TRY(copy_string(reader->arena, value, 1, high, &reader->memo[memo]));
    *out = reader->memo[memo];
    return SL_OK;
}

/* ---- fields ---- */

static sl_err field_name(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    if (fields->spec.name)
        return SL_OK;
    if (!json_is_string(value))
        return refuse(value, "a string");
    SL_TRY(sl_task_name_check(json_string_value(value), json_string_length(value)));
    return copy_string(reader->arena, value, 1, SL_TASK_NAME_MAX, &fields->spec.name);
}

static sl_err field_array(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    if (!json_is_string(value))
        return refuse(value, "a string");
    SL_TRY(sl_task_name_check(json_string_value(value), json_string_length(value)));
    return copy_string(reader->pending, value, 1, SL_TASK_NAME_MAX, &fields->array);
}

static sl_err field_command(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    size_t count = json_array_size(value);
    if (count == 0 || json_string_length(json_array_get(value, 0)) == 0)
        return refuse(value, "an array of strings, the program first, like [\"ls\",\"-l\"]");
    const char **argv = sl_arena_alloc(reader->arena, (count + 1) * sizeof *argv, sizeof *argv);
    if (!argv)
        return no_memory();
    for (size_t i = 0; i < count; i++)
        SL_TRY(
            copy_string(reader->arena, json_array_get(value, i), 0, SL_TASK_STRING_MAX, &argv[i]));
    argv[count] = NULL;
    fields->spec.kind = SL_FORM_COMMAND;
    fields->spec.argv = argv;
    fields->spec.argc = (uint32_t)count;
    return SL_OK;
}

static sl_err field_shell(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    fields->spec.kind = SL_FORM_SHELL;
    return copy_string(reader->arena, value, 1, SL_TASK_STRING_MAX, &fields->spec.shell);
}

static sl_err field_function(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    fields->spec.kind = SL_FORM_FUNCTION;
    return copy_repeated(reader, MEMO_FUNCTION, value, SL_TASK_NAME_MAX, &fields->spec.function);
}

static sl_err field_module(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    return copy_repeated(reader, MEMO_MODULE, value, SL_TASK_PATH_MAX, &fields->spec.module);
}

static sl_err field_args(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    if (json_is_string(value)) {
        fields->spec.args_kind = SL_ARGS_STRING;
        return copy_string(reader->arena, value, 0, SL_TASK_LINE_MAX, &fields->spec.args);
    }
    size_t size = json_dumpb(value, NULL, 0, JSON_ENCODE_ANY | JSON_COMPACT);
    char *text = sl_arena_alloc(reader->arena, size + 1, 1);
    if (size == 0 || !text)
        return no_memory();
    json_dumpb(value, text, size, JSON_ENCODE_ANY | JSON_COMPACT);
    text[size] = '\0';
    fields->spec.args_kind = SL_ARGS_JSON;
    fields->spec.args = text;
    return SL_OK;
}

static sl_err field_cpus(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    (void)reader;
    return read_u32(value, 1, SL_TASK_CPUS_MAX, &fields->spec.cpus);
}

static sl_err field_gpus(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    (void)reader;
    return read_u32(value, 0, SL_TASK_GPUS_MAX, &fields->spec.gpus);
}

static sl_err field_memory(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    (void)reader;
    return read_scaled(value, 0, SL_TASK_MEMORY_MAX, 1e9, " (1 GB is 10^9 bytes)",
                       &fields->spec.memory_bytes);
}

static sl_err field_ucu(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    (void)reader;
    return read_scaled(value, 0, SL_TASK_UCU_MAX, 1e3, "", &fields->spec.ucu_milli);
}

static sl_err field_region(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    return copy_repeated(reader, MEMO_REGION, value, SL_TASK_REGION_MAX, &fields->spec.region);
}

static sl_err field_priority(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    (void)reader;
    int64_t read = 0;
    SL_TRY(read_integer(value, -SL_TASK_PRIORITY_MAX, SL_TASK_PRIORITY_MAX, &read));
    fields->spec.priority = (int32_t)read;
    return SL_OK;
}

static sl_err field_after(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    size_t count = json_array_size(value);
    if (!json_is_array(value))
        return refuse(value, "an array of task names");
    const char **after =
        sl_arena_alloc(reader->pending, (count + 1) * sizeof *after, sizeof *after);
    if (!after)
        return no_memory();
    for (size_t i = 0; i < count; i++)
        SL_TRY(
            copy_string(reader->pending, json_array_get(value, i), 1, SL_TASK_NAME_MAX, &after[i]));
    fields->after = after;
    fields->after_count = (uint32_t)count;
    return SL_OK;
}

static sl_err field_timeout(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    (void)reader;
    uint64_t timeout_ms = 0;
    SL_TRY(
        read_scaled(value, SL_TASK_TIMEOUT_MIN, SL_TASK_TIMEOUT_MAX, 1e3, " seconds", &timeout_ms));
    fields->spec.timeout_ns = timeout_ms * 1000000u;
    return SL_OK;
}

static sl_err field_retries(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    (void)reader;
    return read_u32(value, 0, SL_TASK_RETRIES_MAX, &fields->spec.retries);
}

static sl_err field_stdin(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    if (json_is_string(value)) {
        fields->spec.stdin_kind = SL_STDIN_TEXT;
        return copy_string(reader->arena, value, 0, SL_TASK_LINE_MAX, &fields->spec.input);
    }
    const json_t *path = json_object_get(value, "file");
    if (json_object_size(value) != 1 || json_string_length(path) == 0)
        return refuse(value, "the text as a string, or {\"file\": \"PATH\"}");
    fields->spec.stdin_kind = SL_STDIN_FILE;
    return copy_string(reader->arena, path, 1, 4095, &fields->spec.input);
}

static sl_err env_entry(sl_task_fields_reader *reader, const char *name, const json_t *value,
                        const char **out) {
    size_t name_size = strlen(name), value_size = json_string_length(value);
    if (name_size == 0 || strchr(name, '='))
        return sl_fail(
            SL_ERR_INVALID,
            "\"%.40s\" is not a variable's name; give one that is not empty and has no '='", name);
    if (!reader->stored && strncmp(name, "STARLANE_TASK_", 14) == 0)
        return sl_fail(SL_ERR_INVALID,
                       "\"%.40s\" is set by starlane; give a name without STARLANE_TASK_ before it",
                       name);
    if (!json_is_string(value))
        return refuse(value, "an object of strings, like {\"NAME\": \"value\"}");
    if (name_size + value_size + 1 > SL_TASK_STRING_MAX)
        return sl_fail(SL_ERR_INVALID, "\"%.40s\" has %zu bytes; give at most %d with its name",
                       name, value_size, SL_TASK_STRING_MAX);
    char *text = sl_arena_alloc(reader->arena, name_size + value_size + 2, 1);
    if (!text)
        return no_memory();
    memcpy(text, name, name_size);
    text[name_size] = '=';
    memcpy(text + name_size + 1, json_string_value(value), value_size + 1);
    *out = text;
    return SL_OK;
}

static sl_err field_env(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    size_t count = json_object_size(value), used = 0;
    if (!json_is_object(value))
        return refuse(value, "an object of strings, like {\"NAME\": \"value\"}");
    const char **env = sl_arena_alloc(reader->arena, (count + 1) * sizeof *env, sizeof *env);
    if (!env)
        return no_memory();
    const char *name;
    json_t *entry;
    json_object_foreach(value, name, entry) SL_TRY(env_entry(reader, name, entry, &env[used++]));
    env[used] = NULL;
    fields->spec.env = used > 0 ? env : NULL;
    fields->spec.env_count = (uint32_t)used;
    return SL_OK;
}

static sl_err field_cwd(sl_task_fields_reader *reader, json_t *value, sl_task_fields *fields) {
    return copy_repeated(reader, MEMO_CWD, value, 4095, &fields->spec.cwd);
}

/* In the order in which sl_task_list_write_json() writes them. */
static const field_type field_types[] = {
    {"name", field_name, false},         {"array", field_array, true},
    {"command", field_command, false},   {"shell", field_shell, false},
    {"function", field_function, false}, {"module", field_module, false},
    {"args", field_args, false},         {"cpus", field_cpus, false},
    {"gpus", field_gpus, false},         {"memory_gb", field_memory, false},
    {"ucu", field_ucu, false},           {"region", field_region, false},
    {"priority", field_priority, false}, {"after", field_after, false},
    {"timeout_s", field_timeout, false}, {"retries", field_retries, false},
    {"stdin", field_stdin, false},       {"env", field_env, false},
    {"cwd", field_cwd, false},
};
#define FIELD_COUNT (sizeof field_types / sizeof *field_types)

static const field_type *field_find(const char *name, bool stored) {
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (strcmp(field_types[i].name, name) == 0 && (stored || !field_types[i].stored_only))
            return &field_types[i];
    return NULL;
}

/* ---- unknown fields ---- */

static sl_err unknown_field(const char *name) {
    const char *nearest = NULL;
    size_t best = 3;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        size_t distance = sl_edit_distance(name, field_types[i].name);
        if (!field_types[i].stored_only && distance < best) {
            best = distance;
            nearest = field_types[i].name;
        }
    }
    /* `memory` and `timeout` forget the unit: closer to what was meant than their distance says. */
    for (size_t i = 0; !nearest && strlen(name) >= 3 && i < FIELD_COUNT; i++)
        if (strncmp(field_types[i].name, name, strlen(name)) == 0)
            nearest = field_types[i].name;
    if (nearest)
        return sl_fail(SL_ERR_INVALID, "is not a field of a task; did you mean \"%s\"?", nearest);
    return sl_fail(
        SL_ERR_INVALID,
        "is not a field of a task; the fields are name, command, shell, function, module, args, "
        "cpus, gpus, memory_gb, ucu, region, priority, after, timeout_s, retries, stdin, "
        "env and cwd");
}

/* ---- positions ---- */

/* The character (from 1) at which byte `offset` stands. */
static size_t column_of(const char *text, size_t offset) {
    size_t column = 1;
    for (size_t i = 0; i < offset; i++)
        column += ((unsigned char)text[i] & 0xc0) != 0x80;
    return column;
}

/* One past the closing quote of the string that starts at `at`; the text is valid JSON. */
static size_t string_end(const char *text, size_t length, size_t at) {
    for (at++; at < length && text[at] != '"'; at++)
        at += text[at] == '\\';
    return at + 1;
}

size_t sl_task_fields_column(const char *text, size_t length, const char *name) {
    size_t name_size = strlen(name);
    int depth = 0;
    bool key_next = false;
    for (size_t at = 0; at < length; at++) {
        char c = text[at];
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (c == '{' || c == ',')
            key_next = depth == 1;
        if (c != '"')
            continue;
        size_t end = string_end(text, length, at);
        if (key_next && end - at == name_size + 2 && memcmp(text + at + 1, name, name_size) == 0)
            return column_of(text, at);
        key_next = false;
        at = end - 1;
    }
    return 1;
}

/* ---- the object ---- */

static sl_err one_action(const json_t *object, sl_task_fields *fields) {
    static const char *const actions[] = {"command", "shell", "function"};
    const char *found = NULL;
    for (size_t i = 0; i < 3; i++) {
        if (!json_object_get(object, actions[i]))
            continue;
        fields->field = actions[i];
        if (found)
            return sl_fail(SL_ERR_INVALID,
                           "given together with %s; a task has exactly one of "
                           "command, shell and function",
                           found);
        found = actions[i];
    }
    if (!found)
        return sl_fail(SL_ERR_INVALID,
                       "nothing to run; a task has exactly one of command, shell and "
                       "function");
    fields->field = "module";
    if (fields->spec.module && fields->spec.kind != SL_FORM_FUNCTION)
        return sl_fail(SL_ERR_INVALID, "given with %s; a module has functions", found);
    fields->field = "args";
    if (fields->spec.args && fields->spec.kind != SL_FORM_FUNCTION)
        return sl_fail(SL_ERR_INVALID, "given with %s; only a function takes args", found);
    fields->field = NULL;
    return SL_OK;
}

static sl_err read_object(sl_task_fields_reader *reader, json_t *object, sl_task_fields *fields) {
    const char *key;
    json_t *value = json_object_get(object, "name");
    fields->field = "name";
    if (value) /* first, so that other tasks may refer to a task with another bad field */
        SL_TRY(field_name(reader, value, fields));
    json_object_foreach(object, key, value) {
        const field_type *type = field_find(key, reader->stored);
        fields->field = key;
        if (!type)
            return unknown_field(key);
        fields->field = type->name;
        SL_TRY(type->read(reader, value, fields));
    }
    fields->field = NULL;
    return one_action(object, fields);
}

/* The key at fault may belong to the object, which goes: copied, bounded and printable. */
static sl_err keep_field(sl_task_fields_reader *reader, sl_task_fields *fields) {
    if (!fields->field)
        return SL_OK;
    size_t length = strnlen(fields->field, 60);
    while (length > 0 && ((unsigned char)fields->field[length] & 0xc0) == 0x80)
        length--;
    char *copy = sl_arena_copy(reader->pending, fields->field, length);
    if (!copy)
        return no_memory();
    for (char *c = copy; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    fields->field = copy;
    return SL_OK;
}

/* jansson counts to behind the token it names last (`… near 'x'`); bytes back to the token's start.
 */
static size_t token_before(const char *message, const char *text, size_t offset) {
    const char *near = strstr(message, " near '");
    if (!near)
        return 0;
    const char *token = near + strlen(" near '");
    size_t size = strlen(token);
    size -= size > 0; /* the closing quote */
    return size <= offset && memcmp(text + offset - size, token, size) == 0 ? size : 0;
}

static sl_err bad_json(const json_error_t *error, const char *text, size_t length,
                       sl_task_fields *fields) {
    size_t offset = error->position > 0 ? (size_t)error->position : 0;
    offset = offset < length ? offset : length;
    fields->column = column_of(text, offset - token_before(error->text, text, offset));
    return sl_fail(SL_ERR_SYNTAX,
                   "not a JSON object: %s; a line holds one object, like "
                   "{\"command\": [\"ls\", \"-l\"]}",
                   error->text);
}

sl_err sl_task_fields_read(sl_task_fields_reader *reader, const char *text, size_t length,
                           const sl_task_spec *defaults, sl_task_fields *fields) {
    json_error_t error;
    *fields = (sl_task_fields){.spec = *defaults, .column = 1};
    fields->spec.name = NULL;
    json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        return bad_json(&error, text, length, fields);
    if (!json_is_object(object)) {
        json_decref(object);
        return sl_fail(SL_ERR_SYNTAX,
                       "not a JSON object but an array; a line holds one object, like "
                       "{\"command\": [\"ls\", \"-l\"]}");
    }
    sl_err err = read_object(reader, object, fields);
    if (fields->after_count > 0)
        fields->after_column = sl_task_fields_column(text, length, "after");
    if (err != SL_OK && fields->field)
        fields->column = sl_task_fields_column(text, length, fields->field);
    if (err != SL_OK && keep_field(reader, fields) != SL_OK)
        err = SL_ERR_NO_MEMORY;
    json_decref(object);
    return err;
}
