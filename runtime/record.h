/* What message.c, codec.c and record_tools.c share about fields and steps; private to runtime/. */
#ifndef SL_RUNTIME_RECORD_H
#define SL_RUNTIME_RECORD_H

#include <string.h>

#include "runtime/message.h"

/* Wire and memory size of a scalar kind; 0 for the others. */
static inline uint32_t sl_kind_bytes(sl_kind kind) {
    static const uint8_t bytes[] = {
        [SL_KIND_U8] = 1,   [SL_KIND_U16] = 2,  [SL_KIND_U32] = 4, [SL_KIND_U64] = 8,
        [SL_KIND_I32] = 4,  [SL_KIND_I64] = 8,  [SL_KIND_F64] = 8, [SL_KIND_ADDR] = 12,
        [SL_KIND_BOOL] = 1, [SL_KIND_BLOB] = 0,
    };
    return bytes[kind];
}

static inline const void *sl_field_of(const sl_field *field, const void *body) {
    return (const uint8_t *)body + field->offset;
}

static inline void *sl_field_in(const sl_field *field, void *body) {
    return (uint8_t *)body + field->offset;
}

/* Memory of variable parts is 8-byte aligned. */
static inline size_t sl_align8(size_t bytes) {
    return (bytes + 7) & ~(size_t)7;
}

/* Most messages are a few words: those are not worth a call. */
static inline void sl_copy_flat(void *restrict to, const void *restrict from, size_t bytes) {
    switch (bytes) {
    case 8:
        memcpy(to, from, 8);
        return;
    case 16:
        memcpy(to, from, 16);
        return;
    case 24:
        memcpy(to, from, 24);
        return;
    default:
        memcpy(to, from, bytes);
    }
}

/* Nor are most runs, texts and payloads: two moves of a fixed size, which may overlap. */
static inline void sl_copy_short(uint8_t *restrict to, const uint8_t *restrict from, size_t bytes) {
    if (bytes > 64) {
        memcpy(to, from, bytes);
    } else if (bytes >= 32) {
        memcpy(to, from, 32);
        memcpy(to + bytes - 32, from + bytes - 32, 32);
    } else if (bytes >= 16) {
        memcpy(to, from, 16);
        memcpy(to + bytes - 16, from + bytes - 16, 16);
    } else if (bytes >= 8) {
        memcpy(to, from, 8);
        memcpy(to + bytes - 8, from + bytes - 8, 8);
    } else if (bytes >= 4) {
        memcpy(to, from, 4);
        memcpy(to + bytes - 4, from + bytes - 4, 4);
    } else if (bytes) {
        to[0] = from[0];
        to[bytes / 2] = from[bytes / 2];
        to[bytes - 1] = from[bytes - 1];
    }
}

#define SL_EACH_FIELD(f, record)                                                                   \
    for (const sl_field *f = (record)->fields, *f##_end = f + (record)->field_count; f < f##_end;  \
         f++)

#define SL_EACH_STEP(s, record)                                                                    \
    for (const sl_step *s = (record)->steps, *s##_end = s + (record)->step_count; s < s##_end; s++)

/* The steps that point to something behind the struct. */
#define SL_EACH_TAIL(s, record)                                                                    \
    for (const sl_step *s = (record)->tails, *s##_end = s + (record)->tail_count; s < s##_end; s++)

static inline const void *sl_step_of(const sl_step *step, const void *body) {
    return (const uint8_t *)body + step->offset;
}

static inline void *sl_step_in(const sl_step *step, void *body) {
    return (uint8_t *)body + step->offset;
}

#endif
