#include "sdk/task_text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/client.h"
#include "sdk/value.h"

struct sl_text_args {
    json_t *json;
    size_t count;
    size_t *shapes; /* of each its only dimension */
    void **vectors; /* and its elements, or NULL; malloc'ed */
    sl_value values[];
};

/* ---- arguments ---- */

static bool all_numbers(const json_t *array, bool *whole) {
    size_t i;
    const json_t *element;
    *whole = true;
    json_array_foreach(array, i, element) {
        if (!json_is_number(element))
            return false;
        *whole &= json_is_integer(element);
    }
    return true;
}

static sl_err take_vector(sl_text_args *args, size_t at, const json_t *array) {
    size_t i;
    const json_t *element;
    bool whole;
    if (!all_numbers(array, &whole))
        return sl_fail(SL_ERR_INVALID, "argument %zu: an array of other than numbers", at);
    args->shapes[at] = json_array_size(array);
    args->vectors[at] = malloc((args->shapes[at] + 1) * 8);
    if (!args->vectors[at])
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for arguments");
    json_array_foreach(array, i, element) {
        if (whole)
            ((int64_t *)args->vectors[at])[i] = json_integer_value(element);
        else
            ((double *)args->vectors[at])[i] = json_number_value(element);
    }
    args->values[at] = sl_array(whole ? SL_I64 : SL_F64, args->vectors[at], 1, &args->shapes[at]);
    return SL_OK;
}

static sl_err take_argument(sl_text_args *args, size_t at, const json_t *json) {
    sl_value *value = &args->values[at];
    switch (json_typeof(json)) {
    case JSON_INTEGER:
        *value = sl_i64(json_integer_value(json));
        break;
    case JSON_REAL:
        *value = sl_f64(json_real_value(json));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        *value = sl_i64(json_is_true(json));
        break;
    case JSON_STRING:
        *value = sl_string(json_string_value(json));
        break;
    case JSON_NULL:
        *value = (sl_value){.type = SL_TYPE_NONE};
        break;
    case JSON_ARRAY:
        return take_vector(args, at, json);
    default:
        return sl_fail(SL_ERR_INVALID, "argument %zu: an object is no argument of a task", at);
    }
    if (!value->data) /* scalars are read where data points */
        value->data = value->scalar.bytes;
    return SL_OK;
}

static sl_err take_all(sl_text_args *args) {
    if (!json_is_array(args->json))
        return take_argument(args, 0, args->json);
    for (size_t i = 0; i < args->count; i++)
        SL_TRY(take_argument(args, i, json_array_get(args->json, i)));
    return SL_OK;
}

static sl_err make(json_t *json, sl_text_args **out) {
    size_t count = json_is_array(json) ? json_array_size(json) : 1;
    sl_text_args *args = NULL;
    if (count <= SL_ARGS_MAX)
        args = calloc(1, sizeof *args + count * sizeof *args->values);
    if (args) {
        args->shapes = calloc(count + 1, sizeof *args->shapes);
        args->vectors = calloc(count + 1, sizeof *args->vectors);
    }
    if (!args || !args->shapes || !args->vectors) {
        json_decref(json);
        if (args) {
            args->json = NULL;
            sl_text_args_free(args);
        }
        return sl_fail(SL_ERR_TOO_LARGE, "%zu arguments; at most %d", count, SL_ARGS_MAX);
    }
    args->json = json;
    args->count = count;
    *out = args;
    return SL_OK;
}

sl_err sl_text_args_read(const sl_value *values, size_t count, sl_text_args **out) {
    json_error_t error;
    sl_text_args *args;
    if (count != 1 || values[0].type != SL_TYPE_STRING)
        return sl_fail(SL_ERR_DECODE, "a call of a module in text, without its text");
    json_t *json = json_loadb(values[0].data, values[0].bytes, JSON_DECODE_ANY, &error);
    if (!json)
        return sl_fail(SL_ERR_INVALID, "arguments that are not JSON: %s", error.text);
    SL_TRY(make(json, &args));
    sl_err err = take_all(args);
    if (err == SL_OK)
        *out = args;
    else
        sl_text_args_free(args);
    return err;
}

sl_value *sl_text_args_values(sl_text_args *args, size_t *count) {
    *count = args->count;
    return args->values;
}

void sl_text_args_free(sl_text_args *args) {
    for (size_t i = 0; args->vectors && i < args->count; i++)
        free(args->vectors[i]);
    free(args->vectors);
    free(args->shapes);
    json_decref(args->json);
    free(args);
}

/* ---- the answer ---- */

static sl_err write_text(const sl_value *value, sl_task_output *to) {
    char *text;
    size_t bytes;
    SL_TRY((sl_err)sl_value_text(value, &text, &bytes));
    sl_err err = sl_task_output_write(to, text, bytes);
    free(text);
    return err;
}

static sl_err write_object(sl_object *object, sl_task_output *to) {
    sl_view view;
    SL_TRY((sl_err)sl_get(object, SL_FOREVER, &view));
    sl_err err = write_text(&view.value, to);
    sl_view_release(&view);
    return err;
}

sl_err sl_text_answer(const sl_task_output *from, sl_object *object, sl_task_output *to) {
    size_t count;
    sl_value value;
    if (!from->size_bytes)
        return SL_OK;
    SL_TRY(sl_values_count(from->data, from->size_bytes, &count));
    if (count != 1)
        return sl_fail(SL_ERR_DECODE, "an answer of %zu values", count);
    SL_TRY(sl_values_decode(from->data, from->size_bytes, from->apart, false, &value));
    if (value.type == SL_TYPE_OBJECT)
        return write_object(object, to);
    if (!value.kept_)
        return write_text(&value, to);
    SL_TRY(sl_object_fetch(object, &value)); /* its data are in the object */
    sl_err err = write_text(&value, to);
    sl_store_unpin((sl_store_object *)object);
    return err;
}
