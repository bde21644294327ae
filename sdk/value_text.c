/* Values as people read them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/strbuf.h"
#include "sdk/value.h"

#define TEXT_MOST ((size_t)1 << 30)

/* ---- numbers ---- */

static float float_of_f16(uint16_t bits) {
    int exponent = bits >> 10 & 31;
    float fraction = (float)(bits & 1023) / 1024;
    float number = exponent == 31  ? (bits & 1023 ? NAN : INFINITY)
                   : exponent == 0 ? ldexpf(fraction, -14)
                                   : ldexpf(1 + fraction, exponent - 15);
    return bits & 0x8000 ? -number : number;
}

static float float_of_bf16(uint16_t bits) {
    uint32_t whole = (uint32_t)bits << 16;
    float number;
    memcpy(&number, &whole, sizeof number);
    return number;
}

/* The fewest digits that give the same number again. */
static void put_f64(sl_strbuf *out, double number) {
    char text[40];
    int digits = 15;
    do
        snprintf(text, sizeof text, "%.*g", digits, number);
    while (digits++ < 17 && strtod(text, NULL) != number && !isnan(number));
    sl_strbuf_append(out, text);
}

static void put_f32(sl_strbuf *out, float number) {
    char text[40];
    int digits = 6;
    do
        snprintf(text, sizeof text, "%.*g", digits, (double)number);
    while (digits++ < 9 && strtof(text, NULL) != number && !isnan(number));
    sl_strbuf_append(out, text);
}

static void put_element(sl_strbuf *out, sl_dtype dtype, const uint8_t *at) {
    union {
        int8_t i8;
        uint8_t u8;
        int16_t i16;
        uint16_t u16;
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        uint64_t u64;
        float f32;
        double f64;
    } of;
    memcpy(&of, at, sl_dtype_bytes(dtype));
    switch (dtype) {
    case SL_I8:
        sl_strbuf_printf(out, "%d", of.i8);
        break;
    case SL_U8:
        sl_strbuf_printf(out, "%u", of.u8);
        break;
    case SL_I16:
        sl_strbuf_printf(out, "%d", of.i16);
        break;
    case SL_U16:
        sl_strbuf_printf(out, "%u", of.u16);
        break;
    case SL_I32:
        sl_strbuf_printf(out, "%d", of.i32);
        break;
    case SL_U32:
        sl_strbuf_printf(out, "%u", of.u32);
        break;
    case SL_I64:
        sl_strbuf_printf(out, "%lld", (long long)of.i64);
        break;
    case SL_U64:
        sl_strbuf_printf(out, "%llu", (unsigned long long)of.u64);
        break;
    case SL_F16:
        put_f32(out, float_of_f16(of.u16));
        break;
    case SL_BF16:
        put_f32(out, float_of_bf16(of.u16));
        break;
    case SL_F32:
        put_f32(out, of.f32);
        break;
    case SL_F64:
        put_f64(out, of.f64);
        break;
    }
}

/* ---- arrays ---- */

/* The element at `index` begins, or ends, as many brackets as dimensions begin, or end, with it. */
static uint32_t brackets(const sl_value *value, size_t index) {
    uint32_t count = 0;
    size_t rows = 1;
    for (uint32_t i = value->dimensions; i-- > 0; count++) {
        rows *= value->shape[i];
        if (!rows || index % rows)
            break;
    }
    return count;
}

static void put_many(sl_strbuf *out, char c, uint32_t count) {
    while (count--)
        sl_strbuf_append_char(out, c);
}

static void put_array(sl_strbuf *out, const sl_value *value) {
    size_t count = sl_value_count(value), size = sl_dtype_bytes(value->dtype);
    const uint8_t *data = value->data ? value->data : value->scalar.bytes;
    if (!count)
        sl_strbuf_append(out, "[]");
    for (size_t i = 0; i < count && sl_strbuf_err(out) == SL_OK; i++) {
        sl_strbuf_append(out, i ? ", " : "");
        put_many(out, '[', brackets(value, i));
        put_element(out, value->dtype, data + i * size);
        put_many(out, ']', brackets(value, i + 1));
    }
}

/* ---- all ---- */

static sl_err put_value(sl_strbuf *out, const sl_value *value) {
    switch (value->type) {
    case SL_TYPE_NONE:
        return SL_OK;
    case SL_TYPE_BYTES:
        if (value->bytes)
            sl_strbuf_append_bytes(out, value->data, value->bytes);
        return SL_OK;
    case SL_TYPE_STRING:
        sl_strbuf_append_bytes(out, value->data, value->bytes);
        break;
    case SL_TYPE_ARRAY:
    case SL_TYPE_IMAGE:
        put_array(out, value);
        break;
    default:
        return sl_fail(SL_ERR_INVALID, "a future and an object have no text: read what is in them");
    }
    sl_strbuf_append_char(out, '\n');
    return SL_OK;
}

int sl_value_text(const sl_value *value, char **text, size_t *bytes) {
    sl_strbuf out;
    if (!value)
        return sl_fail(SL_ERR_INVALID, "there is no value");
    sl_strbuf_init(&out, TEXT_MOST);
    sl_strbuf_append(&out, "");
    sl_err err = put_value(&out, value);
    if (err == SL_OK)
        err = sl_strbuf_err(&out);
    *bytes = out.length;
    *text = err == SL_OK ? sl_strbuf_take(&out) : NULL;
    sl_strbuf_fini(&out);
    if (err == SL_OK && !*text)
        err = sl_fail(SL_ERR_NO_MEMORY, "no memory for the text of a value");
    return err;
}
