#include "sdk/task_array.h"

#include <stdlib.h>
#include <string.h>

#include "sdk/line_reader.h"
#include "sdk/task_spec.h"

void sl_task_array_fini(sl_task_array *array) {
    free(array->indices);
    free(array->lines);
    sl_arena_fini(&array->text);
    memset(array, 0, sizeof *array);
}

/* ---- indices ---- */

static sl_err bad_array(const char *text) {
    return sl_fail(
        SL_ERR_SYNTAX,
        "\"%.100s\" is not an array; give indices and ranges like 0-99, 0-10:2 or 1,5,7-9", text);
}

static bool read_index(const char **cursor, uint32_t *value) {
    const char *p = *cursor;
    uint64_t sum = 0;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        sum = sum * 10 + (uint64_t)(*p - '0');
        if (sum > SL_ARRAY_INDEX_MAX)
            return false;
    }
    *value = (uint32_t)sum;
    *cursor = p;
    return true;
}

typedef struct span {
    uint32_t first, last, step;
} span;

static sl_err read_span(const char *text, const char **cursor, span *out) {
    span read = {.step = 1};
    if (!read_index(cursor, &read.first))
        return bad_array(text);
    read.last = read.first;
    if (**cursor == '-') {
        ++*cursor;
        if (!read_index(cursor, &read.last))
            return bad_array(text);
        if (**cursor == ':') {
            ++*cursor;
            if (!read_index(cursor, &read.step) || read.step == 0)
                return bad_array(text);
        }
    }
    if (read.last < read.first)
        return sl_fail(SL_ERR_INVALID, "the range %u-%u runs backwards; write %u-%u", read.first,
                       read.last, read.last, read.first);
    *out = read;
    return SL_OK;
}

static sl_err append_span(sl_task_array *array, span add, uint32_t max) {
    uint64_t members = ((uint64_t)add.last - add.first) / add.step + 1;
    if (array->count + members > max)
        return sl_fail(SL_ERR_INVALID, "the array has more than %u members", max);
    uint32_t *larger = realloc(array->indices, (array->count + members) * sizeof *larger);
    if (!larger)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for an array of %llu",
                       (unsigned long long)(array->count + members));
    array->indices = larger;
    for (uint64_t i = 0; i < members; i++)
        larger[array->count++] = add.first + (uint32_t)i * add.step;
    return SL_OK;
}

static int compare_indices(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static sl_err sort_indices(sl_task_array *array) {
    qsort(array->indices, array->count, sizeof *array->indices, compare_indices);
    for (uint32_t i = 1; i < array->count; i++)
        if (array->indices[i] == array->indices[i - 1])
            return sl_fail(SL_ERR_INVALID, "the index %u is in the array twice", array->indices[i]);
    return SL_OK;
}

static sl_err check_lines(const sl_task_array *array) {
    if (!array->has_lines || array->count == 0 ||
        array->indices[array->count - 1] < array->line_count)
        return SL_OK;
    return sl_fail(SL_ERR_INVALID, "the array asks for line %u, but there are %u lines (from 0)",
                   array->indices[array->count - 1], array->line_count);
}

static sl_err parse_spans(sl_task_array *array, const char *text, uint32_t max) {
    const char *cursor = text;
    for (;;) {
        span next = {0};
        SL_TRY(read_span(text, &cursor, &next));
        SL_TRY(append_span(array, next, max));
        if (*cursor == '\0')
            return sort_indices(array);
        if (*cursor++ != ',')
            return bad_array(text);
    }
}

sl_err sl_task_array_parse(sl_task_array *array, const char *text, uint32_t max) {
    sl_task_array parsed = {.line_count = array->line_count, .has_lines = array->has_lines};
    sl_err err = parse_spans(&parsed, text, max);
    if (err == SL_OK)
        err = check_lines(&parsed);
    if (err != SL_OK) {
        free(parsed.indices);
        return err;
    }
    free(array->indices);
    array->indices = parsed.indices;
    array->count = parsed.count;
    return SL_OK;
}

/* ---- lines ---- */

static sl_err keep_line(sl_task_array *array, const char *path, const char *text, size_t length) {
    size_t bad = 0;
    uint32_t number = array->line_count + 1;
    if (memchr(text, '\0', length))
        return sl_fail(SL_ERR_SYNTAX, "%s:%u: the line contains a NUL byte", path, number);
    if (!sl_utf8_valid(text, length, &bad))
        return sl_fail(SL_ERR_SYNTAX, "%s:%u: byte %zu is not valid UTF-8", path, number, bad + 1);
    if ((number & (number - 1)) == 0 || !array->lines) {
        char **larger = realloc(array->lines, (size_t)number * 2 * sizeof *larger);
        if (!larger)
            return sl_fail(SL_ERR_NO_MEMORY, "no memory for the lines of %s", path);
        array->lines = larger;
    }
    char *copy = sl_arena_copy(&array->text, text, length);
    if (!copy)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the lines of %s", path);
    array->lines[array->line_count++] = copy;
    return SL_OK;
}

static sl_err read_all_lines(sl_task_array *array, sl_line_reader *reader, const char *path,
                             uint32_t max) {
    for (;;) {
        char *text = NULL;
        size_t length = 0;
        sl_err err = sl_line_reader_next(reader, &text, &length);
        if (err == SL_ERR_CLOSED)
            return SL_OK;
        if (err == SL_ERR_TOO_LARGE)
            return sl_fail(SL_ERR_SYNTAX, "%s:%llu: the line is longer than %d bytes", path,
                           (unsigned long long)reader->line, SL_ARRAY_LINE_MAX);
        if (err != SL_OK)
            return err;
        if (array->line_count == max)
            return sl_fail(SL_ERR_INVALID, "%s: has more than %u lines", path, max);
        SL_TRY(keep_line(array, path, text, length));
    }
}

/* Every line a member, unless --array chose some. */
static sl_err settle_lines(sl_task_array *array, uint32_t max) {
    if (array->indices)
        return check_lines(array);
    if (array->line_count == 0)
        return SL_OK;
    return append_span(array, (span){0, array->line_count - 1, 1}, max);
}

sl_err sl_task_array_read_lines(sl_task_array *array, const char *path, uint32_t max) {
    sl_line_reader reader;
    const char *shown = strcmp(path, "-") == 0 ? "standard input" : path;
    SL_TRY(sl_line_reader_open(&reader, path, SL_ARRAY_LINE_MAX));
    sl_task_array read = {.indices = array->indices, .count = array->count, .has_lines = true};
    sl_err err = read_all_lines(&read, &reader, shown, max);
    sl_line_reader_close(&reader);
    if (err == SL_OK)
        err = settle_lines(&read, max);
    if (err == SL_OK) {
        free(array->lines);
        sl_arena_fini(&array->text);
        *array = read;
        return SL_OK;
    }
    free(read.lines);
    sl_arena_fini(&read.text);
    if (!array->indices)
        free(read.indices);
    return err;
}

/* ---- placeholders ---- */

typedef enum mark { MARK_NONE, MARK_LINE, MARK_INDEX, MARK_LITERAL_LINE, MARK_LITERAL_INDEX } mark;

/* Which placeholder starts at `text`, and how many bytes it takes. */
static mark mark_at(const char *text, size_t *size) {
    static const struct {
        const char *text;
        mark mark;
    } marks[] = {{"{{}}", MARK_LITERAL_LINE},
                 {"{{#}}", MARK_LITERAL_INDEX},
                 {"{}", MARK_LINE},
                 {"{#}", MARK_INDEX}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        *size = strlen(marks[i].text);
        if (strncmp(text, marks[i].text, *size) == 0)
            return marks[i].mark;
    }
    return MARK_NONE;
}

/* The next placeholder in `text`, or NULL; one right after a `$` belongs to the shell. */
static const char *next_mark(const char *text, const char *from, mark *found, size_t *size) {
    for (const char *at = strchr(from, '{'); at; at = strchr(at + 1, '{')) {
        if (at > text && at[-1] == '$')
            continue;
        *found = mark_at(at, size);
        if (*found != MARK_NONE)
            return at;
    }
    return NULL;
}

bool sl_task_array_has_placeholder(const char *text) {
    mark found = MARK_NONE;
    size_t size = 0;
    return next_mark(text, text, &found, &size) != NULL;
}

static void fill_mark(sl_strbuf *out, mark found, uint32_t index, const char *line, bool quote) {
    if (found == MARK_LITERAL_LINE)
        sl_strbuf_append(out, "{}");
    else if (found == MARK_LITERAL_INDEX)
        sl_strbuf_append(out, "{#}");
    else if (found == MARK_INDEX || !line)
        sl_strbuf_printf(out, "%u", index);
    else if (quote)
        sl_shell_quote(out, line);
    else
        sl_strbuf_append(out, line);
}

void sl_task_array_fill(sl_strbuf *out, const char *text, uint32_t index, const char *line,
                        bool quote) {
    const char *from = text;
    mark found = MARK_NONE;
    size_t size = 0;
    for (const char *at; (at = next_mark(text, from, &found, &size)) != NULL; from = at + size) {
        sl_strbuf_append_bytes(out, from, (size_t)(at - from));
        fill_mark(out, found, index, line, quote);
    }
    sl_strbuf_append(out, from);
}
