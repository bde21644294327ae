#include "mpi/topology_file.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 1024, HOST_BYTES = 256 };

struct sl_topology_file {
    char *name;
    sl_topology_rule *rules;
    size_t count, capacity;
};

static bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool sl_region_name_valid(const char *name) {
    size_t length = strnlen(name, SL_REGION_NAME_BYTES);
    if (length == SL_REGION_NAME_BYTES || !is_alphanumeric(name[0]))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_alphanumeric(name[i]) && !strchr("-_.", name[i]))
            return false;
    return true;
}

/* A name of a region or zone into `out`, "what" for the message. */
static sl_err read_name(const char *what, const char *text, char out[SL_REGION_NAME_BYTES]) {
    if (!sl_region_name_valid(text))
        return sl_fail(SL_ERR_SYNTAX,
                       "%s \"%.80s\" is not a name (letters, digits, - _ ., at most %d bytes, a "
                       "letter or digit "
                       "first)",
                       what, text, SL_REGION_NAME_BYTES - 1);
    memcpy(out, text, strlen(text) + 1);
    return SL_OK;
}

static sl_err read_degrees(const char *what, const char *text, double bound, double *out) {
    char *end;
    double degrees = strtod(text, &end);
    if (end == text || *end || !(degrees >= -bound && degrees <= bound))
        return sl_fail(SL_ERR_SYNTAX, "%s \"%.40s\" is not a number of degrees from -%g to %g",
                       what, text, bound, bound);
    *out = degrees;
    return SL_OK;
}

static sl_err read_pattern(const char *text, sl_topology_rule *rule) {
    size_t stars = 0;
    for (const char *at = text; *at; at++)
        stars += *at == '*';
    if (strlen(text) >= sizeof rule->pattern || stars > SL_TOPOLOGY_FILE_STARS_MAX)
        return sl_fail(
            SL_ERR_SYNTAX,
            "the host pattern is too long or has too many `*` (at most %d bytes, %d `*`)",
            SL_TOPOLOGY_FILE_PATTERN_BYTES - 1, SL_TOPOLOGY_FILE_STARS_MAX);
    memcpy(rule->pattern, text, strlen(text) + 1);
    return SL_OK;
}

/* One "key=value"; `seen` has a bit for each key met on this line. */
static sl_err read_field(char *field, sl_topology_rule *rule, unsigned *seen) {
    static const char *const keys[] = {"zone", "lat", "lon"};
    char *value = strchr(field, '=');
    if (!value)
        return sl_fail(SL_ERR_SYNTAX, "\"%.80s\" is not key=value (keys: zone, lat, lon)", field);
    *value++ = '\0';
    unsigned key = 0;
    while (key < 3 && strcmp(field, keys[key]) != 0)
        key++;
    if (key == 3)
        return sl_fail(SL_ERR_SYNTAX, "unknown key \"%.40s\" (keys: zone, lat, lon)", field);
    if (*seen & 1u << key)
        return sl_fail(SL_ERR_SYNTAX, "%s is given twice", field);
    *seen |= 1u << key;
    if (key == 0)
        return read_name("zone", value, rule->zone);
    return key == 1 ? read_degrees("lat", value, 90, &rule->latitude)
                    : read_degrees("lon", value, 180, &rule->longitude);
}

/* A line that is not blank, its end and comment already cut off. */
static sl_err read_rule(char *line, sl_topology_rule *rule) {
    char *rest = line, *word = strsep(&rest, " ");
    unsigned seen = 0;
    SL_TRY(read_pattern(word, rule));
    if (!rest)
        return sl_fail(SL_ERR_SYNTAX, "no region after the host pattern \"%.80s\"", word);
    SL_TRY(read_name("region", strsep(&rest, " "), rule->region));
    while (rest)
        SL_TRY(read_field(strsep(&rest, " "), rule, &seen));
    rule->has_coordinates = (seen & 6) == 6;
    if ((seen & 6) == 2 || (seen & 6) == 4)
        return sl_fail(SL_ERR_SYNTAX, "lat and lon belong together: one is missing");
    return SL_OK;
}

/* Copies a line without its comment, with single blanks between words and none at the ends. */
static sl_err clean_line(const char *text, size_t length, char line[LINE_BYTES]) {
    size_t used = 0;
    if (length >= LINE_BYTES)
        return sl_fail(SL_ERR_TOO_LARGE, "the line has more than %d bytes", LINE_BYTES - 1);
    for (size_t i = 0; i < length && text[i] != '#'; i++) {
        bool blank = text[i] == ' ' || text[i] == '\t' || text[i] == '\r';
        if (!blank && (unsigned char)text[i] < ' ')
            return sl_fail(SL_ERR_SYNTAX, "control character 0x%02x", (unsigned char)text[i]);
        if (!blank)
            line[used++] = text[i];
        else if (used && line[used - 1] != ' ')
            line[used++] = ' ';
    }
    if (used && line[used - 1] == ' ')
        used--;
    line[used] = '\0';
    return SL_OK;
}

static sl_err add_rule(sl_topology_file *file, const sl_topology_rule *rule) {
    if (file->count == SL_TOPOLOGY_FILE_RULES_MAX)
        return sl_fail(SL_ERR_TOO_LARGE, "more than %d rules", SL_TOPOLOGY_FILE_RULES_MAX);
    if (file->count == file->capacity) {
        size_t capacity = file->capacity ? file->capacity * 2 : 16;
        sl_topology_rule *rules = realloc(file->rules, capacity * sizeof *rules);
        if (!rules)
            return sl_fail(SL_ERR_NO_MEMORY, "no memory for %zu rules", capacity);
        file->rules = rules;
        file->capacity = capacity;
    }
    file->rules[file->count++] = *rule;
    return SL_OK;
}

static sl_err parse_line(const char *text, size_t length, int number, sl_topology_file *file) {
    char line[LINE_BYTES];
    sl_topology_rule rule = {.line = number};
    SL_TRY(clean_line(text, length, line));
    if (!*line)
        return SL_OK;
    SL_TRY(read_rule(line, &rule));
    return add_rule(file, &rule);
}

/* Puts "file:line: " before the cause of the line's error. */
static sl_err fail_at(sl_err err, const char *name, int line) {
    char cause[512];
    snprintf(cause, sizeof cause, "%s", sl_err_detail());
    return sl_fail(err, "%s:%d: %s", name, line, cause);
}

static sl_err parse_lines(const char *text, size_t length, sl_topology_file *file) {
    const char *end = text + length;
    for (int number = 1; text < end; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        sl_err err = parse_line(text, (size_t)(stop - text), number, file);
        if (err)
            return fail_at(err, file->name, number);
        text = newline ? newline + 1 : end;
    }
    if (!file->count)
        return sl_fail(SL_ERR_SYNTAX, "%s: no rules: give lines of host pattern and region",
                       file->name);
    return SL_OK;
}

sl_err sl_topology_file_parse(const char *text, size_t length, const char *name,
                              sl_topology_file **file) {
    if (length > SL_TOPOLOGY_FILE_MAX)
        return sl_fail(SL_ERR_TOO_LARGE, "%s: more than %u bytes", name, SL_TOPOLOGY_FILE_MAX);
    sl_topology_file *made = calloc(1, sizeof *made);
    if (made)
        made->name = strdup(name);
    if (!made || !made->name) {
        free(made);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the topology file");
    }
    sl_err err = parse_lines(text, length, made);
    if (err) {
        sl_topology_file_destroy(made);
        return err;
    }
    *file = made;
    return SL_OK;
}

sl_err sl_topology_file_load(const char *path, sl_topology_file **file) {
    FILE *stream = fopen(path, "re");
    if (!stream)
        return sl_fail(SL_ERR_IO, "%s: %s", path, strerror(errno));
    /* One byte more than allowed, so that a file too large is seen as such. */
    char *text = malloc(SL_TOPOLOGY_FILE_MAX + 1);
    if (!text) {
        fclose(stream);
        return sl_fail(SL_ERR_NO_MEMORY, "%s: no memory to read it", path);
    }
    errno = 0;
    size_t length = fread(text, 1, SL_TOPOLOGY_FILE_MAX + 1, stream);
    sl_err err = ferror(stream) ? sl_fail(SL_ERR_IO, "%s: %s", path, strerror(errno))
                                : sl_topology_file_parse(text, length, path, file);
    fclose(stream);
    free(text);
    return err;
}

void sl_topology_file_destroy(sl_topology_file *file) {
    if (!file)
        return;
    free(file->rules);
    free(file->name);
    free(file);
}

const sl_topology_rule *sl_topology_file_find(const sl_topology_file *file, const char *host) {
    char brief[HOST_BYTES];
    if (!file || strlen(host) >= sizeof brief)
        return NULL;
    snprintf(brief, sizeof brief, "%.*s", (int)strcspn(host, "."), host);
    for (size_t i = 0; i < file->count; i++) {
        const sl_topology_rule *rule = &file->rules[i];
        if (fnmatch(rule->pattern, host, FNM_CASEFOLD) == 0 ||
            (!strchr(rule->pattern, '.') && fnmatch(rule->pattern, brief, FNM_CASEFOLD) == 0))
            return rule;
    }
    return NULL;
}

const char *sl_topology_file_name(const sl_topology_file *file) {
    return file->name;
}
