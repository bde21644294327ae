/* Values as they travel: the arguments of a task, and its result.
 *
 *   u32 magic, u32 count, then each value: u8 type, u8 dtype, u8 dimensions, u8 place, u32 zero,
 *   u64 bytes, u64 shape[dimensions], and the data, filled up to 8 bytes
 *
 * in the machine's byte order: all ranks of a network are of one kind. Data of `place` 1 lie in a
 * blob beside it instead, each at the next multiple of 64 bytes. Data of `place` 2 are kept in an
 * object, whose name is here in their place: `kept_` of the value, which has no data. A string has
 * its terminator, which `bytes` counts. What is decoded was written by another process: everything
 * is checked. */
#ifndef SL_SDK_VALUE_H
#define SL_SDK_VALUE_H

#include "runtime/blob.h"
#include "starlane.h"

/* Data from this size on lie in the blob. */
enum { SL_VALUE_APART_BYTES = 32768 };

/* Bytes that `count` values take, and of those the blob's; futures take a head alone.
 * SL_ERR_INVALID: it is no value that can be submitted (the text says which argument and why);
 * SL_ERR_TOO_LARGE. */
typedef struct sl_value_size {
    size_t bytes;
    size_t apart_bytes;
} sl_value_size;
sl_err sl_values_measure(const sl_value *values, size_t count, sl_value_size *size) SL_CHECKED;

/* As the data of a value that is encoded: its bytes are left as they are, to be written later. */
extern const uint8_t sl_value_unwritten[1];

/* What data take that lie with their value. */
static inline size_t sl_value_padded(size_t bytes) {
    return (bytes + 7) & ~(size_t)7;
}

/* Writes measured values to `out`, and their data apart to `apart` (NULL: they are there already).
 */
void sl_values_encode(const sl_value *values, size_t count, uint8_t *out, uint8_t *apart);

/* How many values there are, from the head alone. SL_ERR_DECODE. */
sl_err sl_values_count(const uint8_t *wire, size_t bytes, size_t *count) SL_CHECKED;

/* Data that are a name, of an object or of where they are kept. */
enum { SL_VALUE_NAME_BYTES = 16 };

/* Decodes all of them into `values`, which has room for the count; they point into `wire` (8-byte
 * aligned) and `apart`. With `futures` false a future does not decode. SL_ERR_DECODE. */
sl_err sl_values_decode(const uint8_t *wire, size_t bytes, const sl_blob *apart, bool futures,
                        sl_value *values) SL_CHECKED;

/* "bytes", "a string", "an f64", "an array f32[3, 4]": what a message calls it. Returns `text`. */
const char *sl_value_describe(const sl_value *value, char *text, size_t size);

/* Is it that? Asked first: naming it for an error takes longer than the access. */
static inline bool sl_value_is(const sl_value *value, sl_type type) {
    return value && value->type == type;
}

static inline bool sl_value_is_array(const sl_value *value, sl_dtype dtype) {
    return (sl_value_is(value, SL_TYPE_ARRAY) || sl_value_is(value, SL_TYPE_IMAGE)) &&
           value->dtype == dtype;
}

static inline bool sl_value_is_scalar(const sl_value *value, sl_dtype dtype) {
    return sl_value_is_array(value, dtype) && value->bytes == sl_dtype_bytes(dtype);
}

/* The data as an array of `dtype`, or as bytes, a string or an object's name. On another type NULL,
 * and an error whose text begins with `whose`: "argument 2 of square". */
const void *sl_value_as_array(const sl_value *value, sl_dtype dtype, const char *whose);
const void *sl_value_as(const sl_value *value, sl_type type, const char *whose);
/* A scalar of `dtype`. */
const void *sl_value_as_scalar(const sl_value *value, sl_dtype dtype, const char *whose);

#endif
