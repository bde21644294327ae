#include "runtime/config_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    sl_config *config;
    const char *name; /* of the file, for messages */
    int line;
    int set_at[SL_OPT_COUNT]; /* line that set the option, 0: none */
} reader;

static bool blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static char *skip_blanks(char *s) {
    while (blank(*s))
        s++;
    return s;
}

static sl_err bad_line(const reader *r, const char *why) {
    return sl_fail(SL_ERR_SYNTAX, "%s:%d: %s; write a line as: name = value", r->name, r->line,
                   why);
}

/* Cuts a bare value at its comment and drops the blanks at its end. */
static void trim_value(char *value) {
    char *end = value;
    for (char *c = value; *c && !(*c == '#' && (c == value || blank(c[-1]))); c++)
        if (!blank(*c))
            end = c + 1;
    *end = '\0';
}

/* Takes the quotes off in place; `value` begins with one. */
static sl_err unquote(const reader *r, char *value) {
    char *out = value, *c = value + 1;
    for (; *c != '"'; c++) {
        if (*c == '\\' && (c[1] == '"' || c[1] == '\\'))
            c++;
        if (!*c)
            return bad_line(r, "the closing quote is missing");
        *out++ = *c;
    }
    c = skip_blanks(c + 1);
    if (*c && *c != '#')
        return bad_line(r, "there is text behind the closing quote");
    *out = '\0';
    return SL_OK;
}

static sl_err unknown_name(const reader *r, const char *name) {
    const char *nearest = sl_option_nearest(name);
    return sl_fail(SL_ERR_INVALID, "%s:%d: \"%.80s\" is no option%s%s%s", r->name, r->line, name,
                   nearest ? "; did you mean " : "; `starlane config` lists those there are",
                   nearest ? nearest : "", nearest ? "?" : "");
}

static sl_err check_name(reader *r, const char *name, sl_opt *id) {
    if (!sl_option_find(name, strlen(name), id))
        return unknown_name(r, name);
    if (*id == SL_OPT_CONFIG)
        return sl_fail(SL_ERR_INVALID, "%s:%d: a configuration file cannot name another", r->name,
                       r->line);
    if (r->set_at[*id])
        return sl_fail(SL_ERR_INVALID, "%s:%d: %s was set in line %d already; remove one of them",
                       r->name, r->line, name, r->set_at[*id]);
    r->set_at[*id] = r->line;
    return SL_OK;
}

static sl_err read_line(reader *r, char *line, size_t length) {
    char origin[512];
    sl_opt id;
    if (memchr(line, '\0', length))
        return bad_line(r, "there is a NUL byte: is this a text file?");
    char *name = skip_blanks(line);
    if (!*name || *name == '#')
        return SL_OK;
    char *name_end = name + strcspn(name, " \t\r=#");
    char *equals = skip_blanks(name_end);
    if (*equals != '=' || name_end == name)
        return bad_line(r, "this is no option");
    *name_end = '\0';
    SL_TRY(check_name(r, name, &id));
    char *value = skip_blanks(equals + 1);
    if (*value == '"')
        SL_TRY(unquote(r, value));
    else
        trim_value(value);
    snprintf(origin, sizeof origin, "%.480s:%d", r->name, r->line);
    return sl_config_apply(r->config, id, SL_CONFIG_FILE, origin, value);
}

static sl_err read_lines(reader *r, char *text, size_t size) {
    char *end = text + size;
    while (text < end) {
        char *newline = memchr(text, '\n', (size_t)(end - text));
        char *stop = newline ? newline : end;
        *stop = '\0';
        r->line++;
        SL_TRY(read_line(r, text, (size_t)(stop - text)));
        text = stop + 1;
    }
    return SL_OK;
}

sl_err sl_config_load_text(sl_config *config, const char *name, const char *text, size_t size) {
    if (size > SL_CONFIG_FILE_LIMIT_BYTES)
        return sl_fail(SL_ERR_TOO_LARGE, "%s: over %d bytes; is this a configuration file?", name,
                       SL_CONFIG_FILE_LIMIT_BYTES);
    char *copy = malloc(size + 1);
    if (!copy)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to read %s", name);
    memcpy(copy, text, size);
    copy[size] = '\0';
    reader r = {.config = config, .name = name};
    sl_err err = read_lines(&r, copy, size);
    free(copy);
    return err;
}

/* One byte more than the limit is asked for, so that a file too large shows. */
static sl_err read_file(FILE *file, const char *path, sl_strbuf *text) {
    char chunk[4096];
    size_t got;
    while (text->length <= SL_CONFIG_FILE_LIMIT_BYTES &&
           (got = fread(chunk, 1, sizeof chunk, file)) > 0)
        sl_strbuf_append_bytes(text, chunk, got);
    if (ferror(file))
        return sl_fail(SL_ERR_IO, "cannot read configuration file %s: %s", path, strerror(errno));
    return sl_strbuf_err(text);
}

sl_err sl_config_load_file(sl_config *config, const char *path) {
    FILE *file = fopen(path, "re");
    if (!file)
        return sl_fail(SL_ERR_IO, "cannot open configuration file %s: %s", path, strerror(errno));
    sl_strbuf text;
    sl_strbuf_init(&text, SL_CONFIG_FILE_LIMIT_BYTES + 8192);
    sl_err err = read_file(file, path, &text);
    fclose(file);
    if (err == SL_OK)
        err = sl_config_load_text(config, path, text.data, text.length);
    sl_strbuf_fini(&text);
    return err;
}
