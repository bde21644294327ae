#include "actors/registry/spec_reader.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

sl_spec_path sl_spec_path_key(const sl_spec_path *path, const char *key) {
    sl_spec_path longer;
    snprintf(longer.text, sizeof longer.text, "%.80s%s%.64s", path->text, path->text[0] ? "." : "",
             key);
    return longer;
}

sl_spec_path sl_spec_path_index(const sl_spec_path *path, size_t index) {
    sl_spec_path longer;
    snprintf(longer.text, sizeof longer.text, "%.120s[%zu]", path->text, index);
    return longer;
}

sl_err sl_spec_fail(const sl_spec_reader *reader, const sl_spec_path *path, sl_err err,
                    const char *format, ...) {
    char why[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    unsigned line = sl_spec_line(reader->text, reader->length, path->text);
    return sl_fail(err, "%s:%u:%s: %s", reader->file, line, path->text[0] ? path->text : "document",
                   why);
}

static const char *type_word(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

sl_err sl_spec_number(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *object,
                      const char *key, double least, double most, double *value) {
    const json_t *field = json_object_get(object, key);
    if (!field)
        return SL_OK;
    sl_spec_path where = sl_spec_path_key(path, key);
    if (!json_is_number(field))
        return sl_spec_fail(reader, &where, SL_ERR_INVALID, "a number is wanted, not %s",
                            type_word(field));
    double number = json_number_value(field);
    if (!isfinite(number) || number < least || number > most)
        return sl_spec_fail(reader, &where, SL_ERR_INVALID, "%g is not within %g to %g", number,
                            least, most);
    *value = number;
    return SL_OK;
}

sl_err sl_spec_integer(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *object,
                       const char *key, int64_t least, int64_t most, int64_t *value) {
    const json_t *field = json_object_get(object, key);
    if (!field)
        return SL_OK;
    sl_spec_path where = sl_spec_path_key(path, key);
    if (!json_is_integer(field))
        return sl_spec_fail(reader, &where, SL_ERR_INVALID, "a whole number is wanted, not %s",
                            json_is_real(field) ? "a fraction" : type_word(field));
    int64_t number = json_integer_value(field);
    if (number < least || number > most)
        return sl_spec_fail(reader, &where, SL_ERR_INVALID, "%lld is not within %lld to %lld",
                            (long long)number, (long long)least, (long long)most);
    *value = number;
    return SL_OK;
}

sl_err sl_spec_bool(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *object,
                    const char *key, bool *value) {
    const json_t *field = json_object_get(object, key);
    if (!field)
        return SL_OK;
    sl_spec_path where = sl_spec_path_key(path, key);
    if (!json_is_boolean(field))
        return sl_spec_fail(reader, &where, SL_ERR_INVALID, "true or false is wanted, not %s",
                            type_word(field));
    *value = json_is_true(field);
    return SL_OK;
}

static bool has_control(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    return false;
}

sl_err sl_spec_string(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *value,
                      char *text, size_t size) {
    if (!json_is_string(value))
        return sl_spec_fail(reader, path, SL_ERR_INVALID, "a string is wanted, not %s",
                            type_word(value));
    const char *string = json_string_value(value);
    size_t length = strlen(string);
    if (length == 0 || length >= size)
        return sl_spec_fail(reader, path, SL_ERR_INVALID, "%zu bytes long: 1 to %zu are allowed",
                            length, size - 1);
    if (has_control(string))
        return sl_spec_fail(reader, path, SL_ERR_INVALID, "control characters are not allowed");
    memcpy(text, string, length + 1);
    return SL_OK;
}

sl_err sl_spec_text(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *object,
                    const char *key, char *text, size_t size) {
    const json_t *field = json_object_get(object, key);
    if (!field)
        return SL_OK;
    sl_spec_path where = sl_spec_path_key(path, key);
    return sl_spec_string(reader, &where, field, text, size);
}

static void list_keys(const char *const *keys, char *text, size_t size) {
    size_t used = 0;
    for (; *keys && used < size; keys++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", *keys);
}

sl_err sl_spec_object(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *value,
                      const char *const *keys) {
    const char *key;
    json_t *field,
        *object = (json_t *)value; /* jansson's iterator wants it mutable, and does not change it */
    if (!json_is_object(value))
        return sl_spec_fail(reader, path, SL_ERR_INVALID, "an object is wanted, not %s",
                            type_word(value));
    json_object_foreach(object, key, field) {
        const char *const *known = keys;
        while (*known && strcmp(*known, key) != 0)
            known++;
        if (*known)
            continue;
        char allowed[256];
        sl_spec_path where = sl_spec_path_key(path, key);
        list_keys(keys, allowed, sizeof allowed);
        return sl_spec_fail(reader, &where, SL_ERR_INVALID, "no such field (known: %s)", allowed);
    }
    return SL_OK;
}
