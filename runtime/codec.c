/* Design notes
 * A record's fields are compiled to steps when it is defined, so that neighbouring scalars are one
 * copy and the walks below look at nothing else.
 * Decoding is two walks over the wire data. measure() trusts nothing: it checks every length
 * against what is left and against the field's bound, and adds up the memory. decode() then runs
 * over data that is known to be whole. Nothing is allocated for a frame that turns out to be bad.
 * Walks return where they stand, NULL for a fault: positions then stay in registers.
 */
#include "runtime/record.h"

#include <assert.h>
#include <string.h>

enum blob_tag { BLOB_NONE, BLOB_INLINE, BLOB_TRANSFER, BLOB_TAGS };
enum { TRANSFER_WIRE_BYTES = 1 + 8 + 8, INLINE_HEAD_BYTES = 1 + 4 };

/* ---- survey ---- */

static size_t blob_wire_bytes(const sl_blob *blob) {
    if (!blob)
        return 1;
    return blob->bytes <= SL_BLOB_INLINE_BYTES ? INLINE_HEAD_BYTES + blob->bytes
                                               : TRANSFER_WIRE_BYTES;
}

static __attribute__((cold, noinline)) const sl_step *over(const sl_record *record,
                                                           const sl_step *step, uint32_t length) {
    (void)sl_fail(SL_ERR_TOO_LARGE, "%s.%s: %u is over the bound of %u", record->name,
                  step->field->name, length, step->bytes);
    return step;
}

/* Adds what lies behind the structs. Returns the step that is over its bound, or NULL; not `strict`
 * walks on. */
static const sl_step *survey(const sl_record *record, const uint8_t *body, size_t count,
                             bool strict, sl_record_size *size) {
    size_t wire = count * record->wire_least, memory = 0;
    for (const uint8_t *end = body + count * record->bytes; body < end; body += record->bytes) {
        SL_EACH_TAIL(step, record) {
            const void *at = sl_step_of(step, body);
            if (step->kind == SL_STEP_BLOB) {
                wire += blob_wire_bytes(*(sl_blob *const *)at) - 1;
                continue;
            }
            const sl_list *list = at; /* texts and bytes begin alike */
            uint32_t length = list->count;
            if (length > step->bytes && strict)
                return over(record, step, length);
            if (step->kind != SL_STEP_LIST) {
                wire += length;
                memory += sl_align8((size_t)length + (step->kind == SL_STEP_TEXT));
                continue;
            }
            memory += sl_align8((size_t)length * step->record->bytes);
            if (!step->record->tail_count || !length) {
                wire += (size_t)length * step->record->wire_least;
                continue;
            }
            const sl_step *fault = survey(step->record, list->items, length, strict, size);
            if (fault)
                return fault;
        }
    }
    size->wire_bytes += wire;
    size->memory_bytes += memory;
    return NULL;
}

static sl_record_size sizes_of(const sl_record *record, const void *body) {
    sl_record_size size = {0, record->flat ? record->bytes : sl_align8(record->bytes)};
    (void)survey(record, body, 1, false, &size);
    return size;
}

sl_err sl_record_survey(const sl_record *record, const void *body, sl_record_size *size) {
    *size = (sl_record_size){0, record->flat ? record->bytes : sl_align8(record->bytes)};
    return survey(record, body, 1, true, size) ? SL_ERR_TOO_LARGE : SL_OK;
}

sl_err sl_record_check(const sl_record *record, const void *body) {
    sl_record_size size;
    return sl_record_survey(record, body, &size);
}

size_t sl_record_wire_bytes(const sl_record *record, const void *body) {
    return record->tail_count ? sizes_of(record, body).wire_bytes : record->wire_least;
}

size_t sl_record_memory_bytes(const sl_record *record, const void *body) {
    return sizes_of(record, body).memory_bytes;
}

/* ---- encode ---- */

static inline uint8_t *put(uint8_t *out, const void *data, size_t bytes) {
    sl_copy_short(out, data, bytes);
    return out + bytes;
}

static inline uint8_t *put_u32(uint8_t *out, uint32_t value) {
    memcpy(out, &value, sizeof value);
    return out + sizeof value;
}

static uint8_t *put_blob(uint8_t *out, const sl_step *step, const sl_blob *blob,
                         sl_blob_parts *parts) {
    if (!blob) {
        *out++ = BLOB_NONE;
        return out;
    }
    if (blob->bytes <= SL_BLOB_INLINE_BYTES) {
        *out++ = BLOB_INLINE;
        return put(put_u32(out, (uint32_t)blob->bytes), blob->data, blob->bytes);
    }
    assert(parts); /* NULL for a list's records, and sl_message_define() admits no blob there */
    sl_blob_part *part = &parts->part[parts->count++];
    *part = (sl_blob_part){step->offset, parts->next_id++, blob->bytes};
    *out++ = BLOB_TRANSFER;
    return put(put(out, &part->id, 8), &part->bytes, 8);
}

static uint8_t *put_records(const sl_record *record, const uint8_t *body, size_t count,
                            uint8_t *out, sl_blob_parts *parts) {
    if (record->flat || !count) /* an empty list may have no items to point to */
        return put(out, body, count * record->bytes);
    for (const uint8_t *end = body + count * record->bytes; body < end; body += record->bytes) {
        SL_EACH_STEP(step, record) {
            const void *at = sl_step_of(step, body);
            const sl_bytes *bytes = at; /* texts and lists begin alike */
            switch (step->kind) {
            case SL_STEP_RUN:
                out = put(out, at, step->bytes);
                break;
            case SL_STEP_BOOL:
                *out++ = *(const bool *)at;
                break;
            case SL_STEP_TEXT:
            case SL_STEP_BYTES:
                out = put(put_u32(out, bytes->bytes), bytes->data, bytes->bytes);
                break;
            case SL_STEP_LIST:
                out = put_records(step->record, bytes->data, bytes->bytes,
                                  put_u32(out, bytes->bytes), NULL);
                break;
            case SL_STEP_BLOB:
                out = put_blob(out, step, *(sl_blob *const *)at, parts);
            }
        }
    }
    return out;
}

uint8_t *sl_record_encode(const sl_record *record, const void *body, uint8_t *out,
                          sl_blob_parts *parts) {
    return put_records(record, body, 1, out, parts);
}

/* ---- measure ---- */

static __attribute__((cold, noinline)) const uint8_t *cut(const sl_record *record,
                                                          const sl_field *field) {
    (void)sl_fail(SL_ERR_DECODE, "%s.%s: the data ends too early", record->name, field->name);
    return NULL;
}

/* Which of a run's fields the data does not reach. */
static __attribute__((cold, noinline)) const uint8_t *cut_run(const sl_record *record,
                                                              const sl_step *step, size_t left) {
    const sl_field *field = step->field;
    for (; left >= sl_kind_bytes(field->kind); field++)
        left -= sl_kind_bytes(field->kind);
    return cut(record, field);
}

static __attribute__((cold, noinline)) const uint8_t *
unfit(const sl_record *record, const sl_step *step, uint32_t value, const char *why) {
    (void)sl_fail(SL_ERR_DECODE, "%s.%s: %u is %s", record->name, step->field->name, value, why);
    return NULL;
}

static __attribute__((cold, noinline)) const uint8_t *
too_long(const sl_record *record, const sl_step *step, uint32_t length) {
    (void)sl_fail(SL_ERR_DECODE, "%s.%s: %u is over the bound of %u", record->name,
                  step->field->name, length, step->bytes);
    return NULL;
}

static __attribute__((cold, noinline)) const uint8_t *too_deep(const sl_record *record) {
    (void)sl_fail(SL_ERR_DECODE, "%s: lists nest too deep", record->name);
    return NULL;
}

static inline uint32_t get_u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

static inline uint64_t get_u64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, 8);
    return value;
}

static inline size_t left(const uint8_t *at, const uint8_t *end) {
    return (size_t)(end - at);
}

/* A length within the field's bound; NULL when it is not, or is cut. */
static inline const uint8_t *measure_length(const uint8_t *at, const uint8_t *end,
                                            const sl_record *record, const sl_step *step,
                                            uint32_t *length) {
    if (left(at, end) < 4)
        return cut(record, step->field);
    *length = get_u32(at);
    if (*length > step->bytes)
        return too_long(record, step, *length);
    return at + 4;
}

static const uint8_t *measure_blob(const uint8_t *at, const uint8_t *end, const sl_record *record,
                                   const sl_step *step) {
    if (left(at, end) < 1)
        return cut(record, step->field);
    uint8_t tag = *at++;
    if (tag == BLOB_NONE)
        return at;
    if (tag >= BLOB_TAGS)
        return unfit(record, step, tag, "no tag of a blob");
    size_t head = tag == BLOB_INLINE ? 4 : 16;
    if (left(at, end) < head)
        return cut(record, step->field);
    if (tag == BLOB_TRANSFER)
        return get_u64(at + 8) > SL_BLOB_MAX_BYTES
                   ? unfit(record, step, tag, "the tag of a blob over the bound")
                   : at + 16;
    uint32_t bytes = get_u32(at);
    at += 4;
    if (bytes > SL_BLOB_INLINE_BYTES || left(at, end) < bytes)
        return cut(record, step->field);
    return at + bytes;
}

static const uint8_t *measure_records(const uint8_t *at, const uint8_t *end,
                                      const sl_record *record, size_t count, size_t *memory,
                                      int depth);

static const uint8_t *measure_list(const uint8_t *at, const uint8_t *end, const sl_record *record,
                                   const sl_step *step, size_t *memory, int depth) {
    uint32_t count = 0;
    at = measure_length(at, end, record, step, &count);
    if (!at)
        return NULL;
    *memory += sl_align8((size_t)count * step->record->bytes);
    if (!step->record->flat)
        return measure_records(at, end, step->record, count, memory, depth + 1);
    if (left(at, end) / step->record->bytes < count)
        return cut(record, step->field);
    return at + (size_t)count * step->record->bytes;
}

/* Adds the tails only: the caller has counted the structs. */
static const uint8_t *measure_records(const uint8_t *at, const uint8_t *end,
                                      const sl_record *record, size_t count, size_t *memory,
                                      int depth) {
    if (depth > SL_MESSAGE_MAX_DEPTH && count)
        return too_deep(record);
    size_t tails = 0;
    for (size_t i = 0; i < count; i++) {
        SL_EACH_STEP(step, record) {
            uint32_t length = 0;
            switch (step->kind) {
            case SL_STEP_RUN:
                if (left(at, end) < step->bytes)
                    return cut_run(record, step, left(at, end));
                at += step->bytes;
                break;
            case SL_STEP_BOOL:
                if (left(at, end) < 1)
                    return cut(record, step->field);
                if (*at++ > 1)
                    return unfit(record, step, at[-1], "no truth value");
                break;
            case SL_STEP_TEXT:
            case SL_STEP_BYTES:
                at = measure_length(at, end, record, step, &length);
                if (!at)
                    return NULL;
                if (left(at, end) < length)
                    return cut(record, step->field);
                at += length;
                tails += sl_align8((size_t)length + (step->kind == SL_STEP_TEXT));
                break;
            case SL_STEP_LIST:
                at = measure_list(at, end, record, step, memory, depth);
                break;
            case SL_STEP_BLOB:
                at = measure_blob(at, end, record, step);
            }
            if (!at)
                return NULL;
        }
    }
    *memory += tails;
    return at;
}

static sl_err wrong_size(const sl_record *record, size_t bytes) {
    return sl_fail(SL_ERR_DECODE, "%s: %zu bytes do not fit its %u fields", record->name, bytes,
                   record->field_count);
}

sl_err sl_record_measure(const sl_record *record, const uint8_t *wire, size_t bytes,
                         size_t *memory_bytes) {
    if (record->flat) {
        if (bytes != record->bytes)
            return wrong_size(record, bytes);
        *memory_bytes = record->bytes;
        return SL_OK;
    }
    size_t memory = sl_align8(record->bytes);
    const uint8_t *end = measure_records(wire, wire + bytes, record, 1, &memory, 0);
    if (!end)
        return SL_ERR_DECODE;
    if (end != wire + bytes)
        return wrong_size(record, bytes);
    *memory_bytes = memory;
    return SL_OK;
}

/* ---- decode ---- */

static const uint8_t *decode_blob(const uint8_t *at, const sl_step *step, sl_blob **blob,
                                  sl_blob_parts *parts) {
    *blob = NULL;
    uint8_t tag = *at++;
    if (tag == BLOB_INLINE) {
        uint32_t bytes = get_u32(at);
        return sl_blob_copy(at + 4, bytes, blob) == SL_OK ? at + 4 + bytes : NULL;
    }
    if (tag == BLOB_NONE)
        return at;
    assert(parts); /* as in put_blob() */
    parts->part[parts->count++] = (sl_blob_part){step->offset, get_u64(at), get_u64(at + 8)};
    return at + 16;
}

static const uint8_t *decode_records(const uint8_t *at, const sl_record *record, uint8_t *body,
                                     size_t count, uint8_t **tail, sl_blob_parts *parts);

/* A text, bytes or a list: they begin alike, with a pointer and a length. */
static inline const uint8_t *decode_tail(const uint8_t *at, const sl_step *step, sl_bytes *to,
                                         uint8_t **tail) {
    uint8_t *data = *tail;
    to->data = data;
    to->bytes = get_u32(at);
    at += 4;
    if (step->kind == SL_STEP_LIST) {
        *tail += sl_align8((size_t)to->bytes * step->record->bytes);
        return decode_records(at, step->record, data, to->bytes, tail, NULL);
    }
    sl_copy_short(data, at, to->bytes);
    size_t room = to->bytes;
    if (step->kind == SL_STEP_TEXT)
        data[room++] = '\0';
    *tail = data + sl_align8(room);
    return at + to->bytes;
}

/* Records behind one another at `body`; what they point to goes to the tail. */
static const uint8_t *decode_records(const uint8_t *at, const sl_record *record, uint8_t *body,
                                     size_t count, uint8_t **tail, sl_blob_parts *parts) {
    if (record->flat) {
        sl_copy_short(body, at, count * record->bytes);
        return at + count * record->bytes;
    }
    for (uint8_t *end = body + count * record->bytes; body < end; body += record->bytes) {
        SL_EACH_STEP(step, record) {
            void *to = sl_step_in(step, body);
            if (step->kind == SL_STEP_RUN) {
                sl_copy_short(to, at, step->bytes);
                at += step->bytes;
            } else if (step->kind == SL_STEP_BOOL) {
                *(bool *)to = *at++;
            } else {
                at = step->kind == SL_STEP_BLOB ? decode_blob(at, step, to, parts)
                                                : decode_tail(at, step, to, tail);
                if (!at)
                    return NULL;
            }
        }
    }
    return at;
}

sl_err sl_record_decode(const sl_record *record, const uint8_t *wire, size_t bytes, void *memory,
                        sl_blob_parts *parts) {
    (void)bytes; /* measured */
    if (!record->flat)
        memset(memory, 0, record->bytes);
    uint8_t *tail = (uint8_t *)memory + sl_align8(record->bytes);
    return decode_records(wire, record, memory, 1, &tail, parts) ? SL_OK : SL_ERR_NO_MEMORY;
}
