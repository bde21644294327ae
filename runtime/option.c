#include "runtime/option.h"

#include "runtime/edit_distance.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const sl_option options[SL_OPT_COUNT] = {
#define SL_OPTION(id, name, kind, unit, initial, min, max, groups, help)                           \
    {name, SL_OPTION_##kind, unit, initial, min, max, groups, help},
#define SL_VARIABLE(name, help)
#include "runtime/options.def"
#undef SL_OPTION
#undef SL_VARIABLE
};

static const sl_option_variable variables[] = {
#define SL_OPTION(id, name, kind, unit, initial, min, max, groups, help)
#define SL_VARIABLE(name, help) {name, help},
#include "runtime/options.def"
#undef SL_OPTION
#undef SL_VARIABLE
};

const sl_option *sl_option_get(sl_opt id) {
    return &options[id];
}

bool sl_option_find(const char *name, size_t length, sl_opt *id) {
    for (int i = 0; i < SL_OPT_COUNT; i++)
        if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0) {
            *id = (sl_opt)i;
            return true;
        }
    return false;
}

const char *sl_option_nearest(const char *name) {
    const char *nearest = NULL;
    size_t best = strlen(name) / 3 + 1; /* at most a third of it may be wrong */
    for (int i = 0; i < SL_OPT_COUNT; i++) {
        size_t d = sl_edit_distance(name, options[i].name);
        if (d <= best && (!nearest || d < best)) {
            best = d;
            nearest = options[i].name;
        }
    }
    return nearest;
}

/* True when the word of `length` bytes is one of those in `words`, which `separator` parts; its
 * index. */
static bool find_word(const char *words, char separator, const char *word, size_t length,
                      int *index) {
    for (int i = 0; *words; i++) {
        const char *end = strchrnul(words, separator);
        if ((size_t)(end - words) == length && memcmp(words, word, length) == 0) {
            *index = i;
            return true;
        }
        words = *end ? end + 1 : end;
    }
    return false;
}

bool sl_option_in_groups(const sl_option *option, const char *groups) {
    int index;
    while (*groups) {
        size_t length = strcspn(groups, " ");
        if (length && find_word(option->groups, ' ', groups, length, &index))
            return true;
        groups += length;
        groups += strspn(groups, " ");
    }
    return false;
}

void sl_option_environment(const sl_option *option, char name[static SL_OPTION_NAME_BYTES]) {
    size_t length = (size_t)snprintf(name, SL_OPTION_NAME_BYTES, "STARLANE_%s", option->name);
    for (size_t i = 0; i < length && i < SL_OPTION_NAME_BYTES - 1; i++)
        name[i] = isalnum((unsigned char)name[i]) ? (char)toupper((unsigned char)name[i]) : '_';
}

const sl_option_variable *sl_option_variables(size_t *count) {
    *count = sizeof variables / sizeof variables[0];
    return variables;
}

bool sl_option_is_variable(const char *name, size_t length) {
    const size_t prefix = strlen("STARLANE_");
    if (length < prefix || memcmp(name, "STARLANE_", prefix) != 0)
        return false;
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *known = variables[i].name, *star = strchr(known, '*');
        size_t size = star ? (size_t)(star - known) : strlen(known);
        bool long_enough = star ? length - prefix >= size : length - prefix == size;
        if (long_enough && memcmp(name + prefix, known, size) == 0)
            return true;
    }
    return false;
}

typedef struct scale {
    const char *suffix;
    double factor;
} scale;

static const scale time_scales[] = {{"ns", 1},   {"us", 1e3},  {"ms", 1e6},   {"s", 1e9},
                                    {"m", 60e9}, {"h", 36e11}, {"d", 864e11}, {NULL, 0}};

static const scale byte_scales[] = {
    {"B", 1},      {"K", 0x1p10},   {"KiB", 0x1p10}, {"KB", 1e3},   {"kB", 1e3},
    {"M", 0x1p20}, {"MiB", 0x1p20}, {"MB", 1e6},     {"G", 0x1p30}, {"GiB", 0x1p30},
    {"GB", 1e9},   {"T", 0x1p40},   {"TiB", 0x1p40}, {"TB", 1e12},  {NULL, 0}};

static bool find_scale(const scale *scales, const char *suffix, double *factor) {
    for (; scales->suffix; scales++)
        if (strcmp(scales->suffix, suffix) == 0) {
            *factor = scales->factor;
            return true;
        }
    return false;
}

/* A decimal number at the head of `text`: no blanks, no hexadecimal, no "inf" (all of which strtod
 * takes). */
static bool parse_number(const char *text, double *number, const char **end) {
    const char *digits = text + (*text == '-' || *text == '+');
    if (!isdigit((unsigned char)*digits) || ((digits[1] | 0x20) == 'x'))
        return false;
    char *stop;
    *number = strtod(text, &stop);
    *end = stop;
    return isfinite(*number);
}

static bool in_bounds(const sl_option *option, double number) {
    return number >= option->min && number <= option->max;
}

static bool parse_int(const sl_option *option, const char *text, int64_t *value) {
    char *end;
    if (!isdigit((unsigned char)text[*text == '-' || *text == '+']))
        return false;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (*end || errno || !in_bounds(option, (double)number))
        return false;
    *value = number;
    return true;
}

static bool parse_double(const sl_option *option, const char *text, double *value) {
    double number;
    const char *end;
    if (!parse_number(text, &number, &end) || *end || !in_bounds(option, number))
        return false;
    *value = number;
    return true;
}

/* A number with a suffix, or bare in the option's unit, to nanoseconds or bytes. */
static bool parse_amount(const sl_option *option, const scale *scales, const char *text,
                         uint64_t *value) {
    double number, unit, factor;
    const char *suffix;
    if (!parse_number(text, &number, &suffix) || !find_scale(scales, option->unit, &unit) ||
        !find_scale(scales, *suffix ? suffix : option->unit, &factor))
        return false;
    if (number < 0 || !in_bounds(option, number * factor / unit))
        return false;
    *value = (uint64_t)llround(number * factor);
    return true;
}

static bool parse_bool(const char *text, bool *value) {
    int index;
    if (!find_word("false|no|off|0|true|yes|on|1", '|', text, strlen(text), &index))
        return false;
    *value = index >= 4;
    return true;
}

static bool parse_enum(const sl_option *option, const char *text, int64_t *value) {
    int index;
    if (!find_word(option->unit, '|', text, strlen(text), &index))
        return false;
    *value = index;
    return true;
}

bool sl_option_parse(const sl_option *option, const char *text, sl_option_value *value) {
    switch (option->kind) {
    case SL_OPTION_BOOL:
        return parse_bool(text, &value->flag);
    case SL_OPTION_INT:
        return parse_int(option, text, &value->integer);
    case SL_OPTION_DOUBLE:
        return parse_double(option, text, &value->real);
    case SL_OPTION_ENUM:
        return parse_enum(option, text, &value->integer);
    case SL_OPTION_DURATION:
        return parse_amount(option, time_scales, text, &value->amount);
    case SL_OPTION_BYTES:
        return parse_amount(option, byte_scales, text, &value->amount);
    case SL_OPTION_STRING:
    case SL_OPTION_PATH:
        return true;
    }
    return false;
}

/* A bound as a user would write it: 1048576 bytes are "1MiB", 60000 ms are "1m". */
static void describe_bound(const sl_option *option, double bound, sl_strbuf *out) {
    static const scale bytes[] = {
        {"TiB", 0x1p40}, {"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}, {"B", 1}};
    static const scale times[] = {{"d", 864e11}, {"h", 36e11}, {"m", 60e9}, {"s", 1e9},
                                  {"ms", 1e6},   {"us", 1e3},  {"ns", 1}};
    bool duration = option->kind == SL_OPTION_DURATION;
    double unit = 1;
    if (duration)
        find_scale(time_scales, option->unit, &unit);
    double amount = round(bound * unit);
    const scale *s = duration ? times : bytes;
    while (s->factor > 1 && (amount == 0 || fmod(amount, s->factor) != 0))
        s++;
    sl_strbuf_printf(out, "%.15g%s", amount / s->factor,
                     amount == 0 && duration ? option->unit : s->suffix);
}

static void describe_range(const sl_option *option, sl_strbuf *out) {
    bool scaled = option->kind == SL_OPTION_DURATION || option->kind == SL_OPTION_BYTES;
    sl_strbuf_append(out, " from ");
    if (scaled)
        describe_bound(option, option->min, out);
    else
        sl_strbuf_printf(out, "%.15g", option->min);
    sl_strbuf_append(out, " to ");
    if (scaled)
        describe_bound(option, option->max, out);
    else
        sl_strbuf_printf(out, "%.15g%s%s", option->max, option->unit[0] ? " " : "", option->unit);
}

static void describe_words(const sl_option *option, sl_strbuf *out) {
    sl_strbuf_append(out, "one of ");
    for (const char *c = option->unit; *c; c++)
        sl_strbuf_append(out, *c == '|' ? ", " : (char[]){*c, '\0'});
}

void sl_option_describe(const sl_option *option, sl_strbuf *out) {
    static const char *const nouns[] = {
        [SL_OPTION_BOOL] = "true or false", [SL_OPTION_INT] = "a whole number",
        [SL_OPTION_DOUBLE] = "a number",    [SL_OPTION_STRING] = "text",
        [SL_OPTION_PATH] = "a path",        [SL_OPTION_ENUM] = "",
        [SL_OPTION_DURATION] = "a time",    [SL_OPTION_BYTES] = "a size"};
    sl_strbuf_append(out, nouns[option->kind]);
    if (option->kind == SL_OPTION_ENUM)
        describe_words(option, out);
    else if (option->min != option->max)
        describe_range(option, out);
}

void sl_option_example(const sl_option *option, sl_strbuf *out) {
    if (option->initial[0])
        sl_strbuf_append(out, option->initial);
    else if (option->min != option->max)
        sl_strbuf_printf(out, "%.15g", option->min > 1 || option->max < 1 ? option->min : 1.0);
    else
        sl_strbuf_append(out, "TEXT");
}
