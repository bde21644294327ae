#include "sdk/value.h"

#include <stdio.h>
#include <string.h>

#include "actors/store/store.h"
#include "sdk/remote_name.h"

#define MAGIC UINT32_C(0x31764c53) /* "SLv1" */

enum { APART_ALIGN = 64, DTYPES = SL_F64 + 1 };

typedef struct head {
    uint32_t magic;
    uint32_t count;
} head;

enum place { HERE, APART, KEPT, PLACES };

_Static_assert(sizeof(sl_store_id) == SL_VALUE_NAME_BYTES, "an object's name is its id");

typedef struct entry {
    uint8_t type;
    uint8_t dtype;
    uint8_t dimensions;
    uint8_t place;
    uint32_t zero;
    uint64_t bytes;
} entry;

static const struct {
    const char *name;
    size_t bytes;
} dtypes[DTYPES] = {
    [SL_I8] = {"i8", 1},   [SL_U8] = {"u8", 1},     [SL_I16] = {"i16", 2}, [SL_U16] = {"u16", 2},
    [SL_I32] = {"i32", 4}, [SL_U32] = {"u32", 4},   [SL_I64] = {"i64", 8}, [SL_U64] = {"u64", 8},
    [SL_F16] = {"f16", 2}, [SL_BF16] = {"bf16", 2}, [SL_F32] = {"f32", 4}, [SL_F64] = {"f64", 8},
};

const char *sl_dtype_name(sl_dtype dtype) {
    return (unsigned)dtype < DTYPES ? dtypes[dtype].name : "no dtype";
}

size_t sl_dtype_bytes(sl_dtype dtype) {
    return (unsigned)dtype < DTYPES ? dtypes[dtype].bytes : 0;
}

const uint8_t sl_value_unwritten[1];

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "shapes are read where they lie");

static size_t padded_apart(size_t bytes) {
    return (bytes + APART_ALIGN - 1) & ~(size_t)(APART_ALIGN - 1);
}

/* False when it is more than memory can hold. */
static bool array_bytes(sl_dtype dtype, uint32_t dimensions, const size_t *shape, size_t *bytes) {
    *bytes = sl_dtype_bytes(dtype);
    for (uint32_t i = 0; i < dimensions; i++)
        if (__builtin_mul_overflow(*bytes, shape[i], bytes))
            return false;
    return true;
}

sl_value sl_array(sl_dtype dtype, const void *data, uint32_t dimensions, const size_t *shape) {
    sl_value value = {.type = SL_TYPE_ARRAY,
                      .dtype = dtype,
                      .dimensions = dimensions,
                      .shape = shape,
                      .data = data};
    if (dimensions > SL_DIMENSIONS_MAX || (dimensions && !shape) ||
        !array_bytes(dtype, dimensions, shape, &value.bytes))
        value.bytes = SIZE_MAX; /* refused when it is submitted, with the reason */
    return value;
}

static bool is_array(sl_type type) {
    return type == SL_TYPE_ARRAY || type == SL_TYPE_IMAGE;
}

sl_value sl_value_image(const void *data, const size_t *shape) {
    sl_value value = sl_array(SL_U8, data, 3, shape);
    value.type = SL_TYPE_IMAGE;
    return value;
}

size_t sl_value_count(const sl_value *value) {
    size_t size = sl_dtype_bytes(value->dtype);
    return is_array(value->type) && size ? value->bytes / size : 0;
}

/* ---- measuring ---- */

static sl_err check_array(const sl_value *value, size_t index) {
    size_t bytes;
    if ((unsigned)value->dtype >= DTYPES)
        return sl_fail(SL_ERR_INVALID, "argument %zu: there is no dtype %d", index,
                       (int)value->dtype);
    if (value->dimensions > SL_DIMENSIONS_MAX)
        return sl_fail(SL_ERR_INVALID, "argument %zu: an array of %u dimensions; at most %d", index,
                       value->dimensions, SL_DIMENSIONS_MAX);
    if (value->dimensions && !value->shape)
        return sl_fail(SL_ERR_INVALID, "argument %zu: an array without a shape", index);
    if (!array_bytes(value->dtype, value->dimensions, value->shape, &bytes) ||
        bytes != value->bytes)
        return sl_fail(SL_ERR_INVALID, "argument %zu: %zu bytes do not fit its shape", index,
                       value->bytes);
    if (bytes && !value->data && value->dimensions && !value->kept_)
        return sl_fail(SL_ERR_INVALID, "argument %zu: an array without data", index);
    return SL_OK;
}

static bool is_image(const sl_value *value) {
    return value->dtype == SL_U8 && value->dimensions == 3;
}

static bool has_data(const sl_value *value) {
    return value->data || value->kept_;
}

static sl_err check_value(const sl_value *value, size_t index) {
    switch (value->type) {
    case SL_TYPE_NONE:
        return SL_OK;
    case SL_TYPE_BYTES:
        return value->bytes && !has_data(value)
                   ? sl_fail(SL_ERR_INVALID, "argument %zu: bytes at NULL", index)
                   : SL_OK;
    case SL_TYPE_STRING:
        return has_data(value) ? SL_OK
                               : sl_fail(SL_ERR_INVALID, "argument %zu: a string at NULL", index);
    case SL_TYPE_ARRAY:
        return check_array(value, index);
    case SL_TYPE_IMAGE:
        return is_image(value)
                   ? check_array(value, index)
                   : sl_fail(SL_ERR_INVALID,
                             "argument %zu: an image is u8[height, width, channels]", index);
    case SL_TYPE_OBJECT:
        if (sl_object_is_remote(value->object))
            return sl_fail(SL_ERR_INVALID,
                           "argument %zu: an object of a connection, for tasks of "
                           "that one alone",
                           index);
        return value->object || value->data
                   ? SL_OK
                   : sl_fail(SL_ERR_INVALID, "argument %zu: an object that is NULL", index);
    case SL_TYPE_FUTURE:
        return value->future
                   ? SL_OK
                   : sl_fail(SL_ERR_INVALID, "argument %zu: a future that is NULL", index);
    }
    return sl_fail(SL_ERR_INVALID, "argument %zu: a value of no type (%d)", index,
                   (int)value->type);
}

static size_t data_bytes(const sl_value *value) {
    if (value->type == SL_TYPE_OBJECT || value->kept_)
        return SL_VALUE_NAME_BYTES;
    return value->type == SL_TYPE_FUTURE ? 0 : value->bytes + (value->type == SL_TYPE_STRING);
}

static uint32_t dimensions_of(const sl_value *value) {
    return is_array(value->type) ? value->dimensions : 0;
}

sl_err sl_values_measure(const sl_value *values, size_t count, sl_value_size *size) {
    *size = (sl_value_size){.bytes = sizeof(head)};
    if (count > SL_ARGS_MAX)
        return sl_fail(SL_ERR_TOO_LARGE, "%zu arguments; at most %d", count, SL_ARGS_MAX);
    for (size_t i = 0; i < count; i++) {
        SL_TRY(check_value(&values[i], i));
        size_t bytes = data_bytes(&values[i]);
        if (bytes > SL_BLOB_MAX_BYTES - size->apart_bytes - APART_ALIGN)
            return sl_fail(SL_ERR_TOO_LARGE, "argument %zu: more than %llu bytes in all", i,
                           (unsigned long long)SL_BLOB_MAX_BYTES);
        size->bytes += sizeof(entry) + dimensions_of(&values[i]) * sizeof(uint64_t);
        if (bytes >= SL_VALUE_APART_BYTES)
            size->apart_bytes = padded_apart(size->apart_bytes) + bytes;
        else
            size->bytes += sl_value_padded(bytes);
    }
    return SL_OK;
}

/* ---- encoding ---- */

static void put_data(uint8_t *to, const sl_value *value) {
    if (value->kept_) {
        memcpy(to, value->kept_, SL_VALUE_NAME_BYTES);
        return;
    }
    if (value->type == SL_TYPE_OBJECT) {
        if (value->object) {
            sl_store_id id = sl_store_id_of((const sl_store_object *)value->object);
            memcpy(to, &id, sizeof id);
        } else { /* as it was decoded */
            memcpy(to, value->data, sizeof(sl_store_id));
        }
        return;
    }
    const void *from = value->data ? value->data : value->scalar.bytes;
    if (value->bytes && from != sl_value_unwritten)
        memcpy(to, from, value->bytes);
    if (value->type == SL_TYPE_STRING)
        to[value->bytes] = '\0';
}

void sl_values_encode(const sl_value *values, size_t count, uint8_t *out, uint8_t *apart) {
    head first = {MAGIC, (uint32_t)count};
    size_t apart_at = 0;
    memcpy(out, &first, sizeof first);
    out += sizeof first;
    for (size_t i = 0; i < count; i++) {
        const sl_value *value = &values[i];
        size_t bytes = data_bytes(value), shape = dimensions_of(value) * sizeof(uint64_t);
        entry one = {.type = (uint8_t)value->type,
                     .dtype = is_array(value->type) ? (uint8_t)value->dtype : 0,
                     .dimensions = (uint8_t)dimensions_of(value),
                     .place = value->kept_                    ? KEPT
                              : bytes >= SL_VALUE_APART_BYTES ? APART
                                                              : HERE,
                     .bytes =
                         value->kept_ ? value->bytes + (value->type == SL_TYPE_STRING) : bytes};
        memcpy(out, &one, sizeof one);
        out += sizeof one;
        if (shape)
            memcpy(out, value->shape, shape);
        out += shape;
        if (one.place == APART) {
            apart_at = padded_apart(apart_at);
            if (apart)
                put_data(apart + apart_at, value);
            apart_at += bytes;
            continue;
        }
        memset(out + sl_value_padded(bytes) - (bytes ? 8 : 0), 0, bytes ? 8 : 0);
        put_data(out, value);
        out += sl_value_padded(bytes);
    }
}

/* ---- decoding ---- */

typedef struct reader {
    const uint8_t *at, *end;
    const sl_blob *apart;
    size_t apart_at;
} reader;

static sl_err broken(const char *what) {
    return sl_fail(SL_ERR_DECODE, "values that do not decode: %s", what);
}

static sl_err read_head(reader *from, uint32_t *count) {
    head first;
    if ((size_t)(from->end - from->at) < sizeof first)
        return broken("cut");
    memcpy(&first, from->at, sizeof first);
    if (first.magic != MAGIC)
        return broken("they are of another version");
    if (first.count > SL_ARGS_MAX)
        return broken("too many");
    from->at += sizeof first;
    *count = first.count;
    return SL_OK;
}

sl_err sl_values_count(const uint8_t *wire, size_t bytes, size_t *count) {
    reader from = {.at = wire, .end = wire + bytes};
    uint32_t found;
    SL_TRY(read_head(&from, &found));
    *count = found;
    return SL_OK;
}

static sl_err read_entry(reader *from, bool futures, entry *one, const size_t **shape) {
    if ((size_t)(from->end - from->at) < sizeof *one)
        return broken("cut");
    memcpy(one, from->at, sizeof *one);
    from->at += sizeof *one;
    if (one->type > SL_TYPE_OBJECT || (one->type == SL_TYPE_FUTURE && !futures))
        return broken("no such type");
    if (one->place >= PLACES || one->zero || one->dimensions > SL_DIMENSIONS_MAX ||
        one->dtype >= DTYPES)
        return broken("a head that cannot be");
    if (!is_array((sl_type)one->type) && (one->dimensions || one->dtype))
        return broken("a shape of what is no array");
    if ((size_t)(from->end - from->at) < one->dimensions * sizeof(uint64_t))
        return broken("cut");
    *shape = one->dimensions ? (const size_t *)(const void *)from->at : NULL;
    from->at += one->dimensions * sizeof(uint64_t);
    return SL_OK;
}

static sl_err read_data(reader *from, const entry *one, const uint8_t **data) {
    if (one->place == APART) {
        size_t at = padded_apart(from->apart_at);
        if (!from->apart || at > from->apart->bytes || one->bytes > from->apart->bytes - at)
            return broken("data beyond the end");
        *data = from->apart->data + at;
        from->apart_at = at + one->bytes;
        return SL_OK;
    }
    size_t left = (size_t)(from->end - from->at);
    size_t bytes = one->place == KEPT ? SL_VALUE_NAME_BYTES : one->bytes;
    if (bytes > left || sl_value_padded(bytes) > left)
        return broken("cut");
    *data = from->at;
    from->at += sl_value_padded(bytes);
    return SL_OK;
}

static sl_err read_value(reader *from, bool futures, sl_value *value) {
    entry one;
    const uint8_t *data;
    const size_t *shape;
    size_t expected = 0;
    SL_TRY(read_entry(from, futures, &one, &shape));
    SL_TRY(read_data(from, &one, &data));
    *value = (sl_value){.type = (sl_type)one.type,
                        .dtype = (sl_dtype)one.dtype,
                        .dimensions = one.dimensions,
                        .shape = shape,
                        .data = one.place == KEPT ? NULL : data,
                        .bytes = one.bytes,
                        .kept_ = one.place == KEPT ? data : NULL};
    switch (value->type) {
    case SL_TYPE_BYTES:
        return SL_OK;
    case SL_TYPE_STRING:
        if (!one.bytes ||
            (value->data && memchr(value->data, '\0', one.bytes) != data + one.bytes - 1))
            return broken("a string without its end");
        value->bytes--;
        return SL_OK;
    case SL_TYPE_IMAGE:
        if (!is_image(value))
            return broken("an image that is none");
        __attribute__((fallthrough));
    case SL_TYPE_ARRAY:
        if (!array_bytes(value->dtype, one.dimensions, shape, &expected) || expected != one.bytes)
            return broken("an array whose bytes do not fit its shape");
        return SL_OK;
    case SL_TYPE_OBJECT:
        return one.bytes == sizeof(sl_store_id) && !value->kept_
                   ? SL_OK
                   : broken("an object without its name");
    default:
        return one.bytes || value->kept_ ? broken("data of what has none") : SL_OK;
    }
}

sl_err sl_values_decode(const uint8_t *wire, size_t bytes, const sl_blob *apart, bool futures,
                        sl_value *values) {
    reader from = {.at = wire, .end = wire + bytes, .apart = apart};
    uint32_t count;
    SL_TRY(read_head(&from, &count));
    for (uint32_t i = 0; i < count; i++)
        SL_TRY(read_value(&from, futures, &values[i]));
    return from.at == from.end ? SL_OK : broken("something is left over");
}

/* ---- access ---- */

const char *sl_value_describe(const sl_value *value, char *text, size_t size) {
    static const char *const names[] = {"nothing",  "bytes", "a string", "",
                                        "a future", "",      "an object"};
    int length;
    if (!is_array(value->type)) {
        snprintf(text, size, "%s", names[value->type]);
        return text;
    }
    const char *dtype = sl_dtype_name(value->dtype);
    if (!value->dimensions) {
        snprintf(text, size, "a number %s", dtype);
        return text;
    }
    length =
        snprintf(text, size, "an %s %s[", value->type == SL_TYPE_IMAGE ? "image" : "array", dtype);
    for (uint32_t i = 0; i < value->dimensions && length < (int)size; i++)
        length +=
            snprintf(text + length, size - (size_t)length, "%s%zu", i ? ", " : "", value->shape[i]);
    if (length < (int)size)
        snprintf(text + length, size - (size_t)length, "]");
    return text;
}

static const void *refuse(const sl_value *value, const char *whose, const char *wanted) {
    char text[256];
    (void)sl_fail(SL_ERR_INVALID, "%s is %s, not %s", whose,
                  sl_value_describe(value, text, sizeof text), wanted);
    return NULL;
}

const void *sl_value_as_array(const sl_value *value, sl_dtype dtype, const char *whose) {
    char wanted[32];
    if (sl_value_is_array(value, dtype))
        return value->data;
    snprintf(wanted, sizeof wanted, "an array %s", sl_dtype_name(dtype));
    return refuse(value, whose, wanted);
}

const void *sl_value_as_scalar(const sl_value *value, sl_dtype dtype, const char *whose) {
    char wanted[32];
    if (sl_value_is_scalar(value, dtype))
        return value->data;
    snprintf(wanted, sizeof wanted, "a number %s", sl_dtype_name(dtype));
    return refuse(value, whose, wanted);
}

const void *sl_value_as(const sl_value *value, sl_type type, const char *whose) {
    if (sl_value_is(value, type))
        return value->data;
    return refuse(value, whose,
                  type == SL_TYPE_STRING   ? "a string"
                  : type == SL_TYPE_OBJECT ? "an object"
                                           : "bytes");
}
