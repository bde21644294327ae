/* Design notes
 * Scalars are taken in runs (sl_step), so that a record costs a few copies, however many fields it
 * has.
 *
 * Decoding is two walks over the wire data. measure() trusts nothing: it checks every length
 * against what is left and against the field's bound, and adds up the memory. decode() then runs
 * over data that is known to be whole. Nothing is allocated for a frame that turns out to be bad.
 */
#include "runtime/record.h"

#include <assert.h>
#include <string.h>

enum blob_tag { BLOB_NONE, BLOB_INLINE, BLOB_TRANSFER, BLOB_TAGS };
enum { TRANSFER_WIRE_BYTES = 1 + 8 + 8, INLINE_HEAD_BYTES = 1 + 4 };

/* ---- encode ---- */

static size_t blob_wire_bytes(const sl_blob *blob) {
    if (!blob)
        return 1;
    return blob->bytes <= SL_BLOB_INLINE_BYTES ? INLINE_HEAD_BYTES + blob->bytes
                                               : TRANSFER_WIRE_BYTES;
}

static size_t list_wire_bytes(const sl_field *field, const sl_list *list) {
    if (field->record->flat)
        return 4 + (size_t)list->count * field->record->bytes;
    size_t bytes = 4;
    const uint8_t *item = list->items;
    for (uint32_t i = 0; i < list->count; i++, item += field->record->bytes)
        bytes += sl_record_wire_bytes(field->record, item);
    return bytes;
}

static size_t field_wire_bytes(const sl_field *field, const void *at) {
    switch (field->kind) {
    case SL_KIND_TEXT:
        return 4 + (size_t)((const sl_text *)at)->bytes;
    case SL_KIND_BYTES:
        return 4 + (size_t)((const sl_bytes *)at)->bytes;
    case SL_KIND_LIST:
        return list_wire_bytes(field, at);
    default:
        return blob_wire_bytes(*(sl_blob *const *)at);
    }
}

size_t sl_record_wire_bytes(const sl_record *record, const void *body) {
    if (record->flat)
        return record->bytes;
    size_t bytes = 0;
    SL_EACH_STEP(step, record) {
        bytes += step->bytes ? step->bytes
                             : field_wire_bytes(step->field, sl_field_of(step->field, body));
    }
    return bytes;
}

static uint8_t *put(uint8_t *out, const void *data, size_t bytes) {
    sl_copy_short(out, data, bytes);
    return out + bytes;
}

static uint8_t *put_u32(uint8_t *out, uint32_t value) {
    return put(out, &value, sizeof value);
}

static uint8_t *put_blob(uint8_t *out, const sl_field *field, const sl_blob *blob,
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
    *part = (sl_blob_part){field->offset, parts->next_id++, blob->bytes};
    *out++ = BLOB_TRANSFER;
    return put(put(out, &part->id, 8), &part->bytes, 8);
}

static uint8_t *put_list(uint8_t *out, const sl_field *field, const sl_list *list) {
    out = put_u32(out, list->count);
    if (field->record->flat)
        return put(out, list->items, (size_t)list->count * field->record->bytes);
    const uint8_t *item = list->items;
    for (uint32_t i = 0; i < list->count; i++, item += field->record->bytes)
        out = sl_record_encode(field->record, item, out, NULL);
    return out;
}

uint8_t *sl_record_encode(const sl_record *record, const void *body, uint8_t *out,
                          sl_blob_parts *parts) {
    if (record->flat)
        return put(out, body, record->bytes);
    SL_EACH_STEP(step, record) {
        const sl_field *field = step->field;
        const void *at = sl_field_of(field, body);
        if (step->bytes)
            out = put(out, at, step->bytes);
        else if (field->kind == SL_KIND_LIST)
            out = put_list(out, field, at);
        else if (field->kind == SL_KIND_BLOB)
            out = put_blob(out, field, *(sl_blob *const *)at, parts);
        else
            out = put(put_u32(out, ((const sl_bytes *)at)->bytes), ((const sl_bytes *)at)->data,
                      ((const sl_bytes *)at)->bytes);
    }
    return out;
}

/* ---- measure ---- */

typedef struct reader {
    const uint8_t *at;
    const uint8_t *end;
} reader;

static size_t left(const reader *in) {
    return (size_t)(in->end - in->at);
}

static sl_err cut(const sl_record *record, const sl_field *field) {
    return sl_fail(SL_ERR_DECODE, "%s.%s: the data ends too early", record->name, field->name);
}

static uint32_t take_u32(reader *in) {
    uint32_t value;
    memcpy(&value, in->at, 4);
    in->at += 4;
    return value;
}

static uint64_t take_u64(reader *in) {
    uint64_t value;
    memcpy(&value, in->at, 8);
    in->at += 8;
    return value;
}

static sl_err measure_length(reader *in, const sl_record *record, const sl_field *field,
                             uint32_t *length) {
    if (left(in) < 4)
        return cut(record, field);
    *length = take_u32(in);
    if (*length > field->bound)
        return sl_fail(SL_ERR_DECODE, "%s.%s: %u is over the bound of %u", record->name,
                       field->name, *length, field->bound);
    return SL_OK;
}

static sl_err measure_content(reader *in, const sl_record *record, const sl_field *field,
                              size_t *memory) {
    uint32_t length;
    SL_TRY(measure_length(in, record, field, &length));
    if (left(in) < length)
        return cut(record, field);
    in->at += length;
    *memory += sl_align8((size_t)length + (field->kind == SL_KIND_TEXT));
    return SL_OK;
}

static sl_err measure_blob(reader *in, const sl_record *record, const sl_field *field) {
    if (left(in) < 1)
        return cut(record, field);
    uint8_t tag = *in->at++;
    if (tag == BLOB_NONE)
        return SL_OK;
    if (tag >= BLOB_TAGS)
        return sl_fail(SL_ERR_DECODE, "%s.%s: no blob has the tag %u", record->name, field->name,
                       tag);
    size_t head = tag == BLOB_INLINE ? 4 : 16;
    if (left(in) < head)
        return cut(record, field);
    if (tag == BLOB_INLINE) {
        uint32_t bytes = take_u32(in);
        if (bytes > SL_BLOB_INLINE_BYTES || left(in) < bytes)
            return cut(record, field);
        in->at += bytes;
        return SL_OK;
    }
    (void)take_u64(in);
    if (take_u64(in) > SL_BLOB_MAX_BYTES)
        return sl_fail(SL_ERR_DECODE, "%s.%s: a blob over the bound", record->name, field->name);
    return SL_OK;
}

static sl_err measure_record(reader *in, const sl_record *record, size_t *memory, int depth);

static sl_err measure_list(reader *in, const sl_record *record, const sl_field *field,
                           size_t *memory, int depth) {
    uint32_t count;
    SL_TRY(measure_length(in, record, field, &count));
    *memory += sl_align8((size_t)count * field->record->bytes);
    if (field->record->flat) {
        if (left(in) / field->record->bytes < count)
            return cut(record, field);
        in->at += (size_t)count * field->record->bytes;
        return SL_OK;
    }
    for (uint32_t i = 0; i < count; i++)
        SL_TRY(measure_record(in, field->record, memory, depth + 1));
    return SL_OK;
}

/* The field of a run in which the data ends. */
static sl_err cut_run(const sl_record *record, const sl_field *field, size_t bytes) {
    while (bytes >= sl_kind_bytes(field->kind))
        bytes -= sl_kind_bytes((field++)->kind);
    return cut(record, field);
}

static inline sl_err measure_run(reader *in, const sl_record *record, const sl_step *step) {
    if (left(in) < step->bytes)
        return cut_run(record, step->field, left(in));
    if (step->field->kind == SL_KIND_BOOL && *in->at > 1)
        return sl_fail(SL_ERR_DECODE, "%s.%s: %u is no truth value", record->name,
                       step->field->name, *in->at);
    in->at += step->bytes;
    return SL_OK;
}

/* Adds the tails only: the caller has counted the structs. */
static sl_err measure_record(reader *in, const sl_record *record, size_t *memory, int depth) {
    if (depth > SL_MESSAGE_MAX_DEPTH)
        return sl_fail(SL_ERR_DECODE, "%s: lists nest too deep", record->name);
    SL_EACH_STEP(step, record) {
        const sl_field *field = step->field;
        if (step->bytes)
            SL_TRY(measure_run(in, record, step));
        else if (field->kind == SL_KIND_LIST)
            SL_TRY(measure_list(in, record, field, memory, depth));
        else if (field->kind == SL_KIND_BLOB)
            SL_TRY(measure_blob(in, record, field));
        else
            SL_TRY(measure_content(in, record, field, memory));
    }
    return SL_OK;
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
    reader in = {wire, wire + bytes};
    size_t memory = sl_align8(record->bytes);
    SL_TRY(measure_record(&in, record, &memory, 0));
    if (in.at != in.end)
        return wrong_size(record, bytes);
    *memory_bytes = memory;
    return SL_OK;
}

/* ---- decode ---- */

static void decode_text(reader *in, sl_text *text, uint8_t **tail) {
    text->bytes = take_u32(in);
    sl_copy_short(*tail, in->at, text->bytes);
    (*tail)[text->bytes] = '\0';
    text->data = (char *)*tail;
    *tail += sl_align8((size_t)text->bytes + 1);
    in->at += text->bytes;
}

static void decode_bytes(reader *in, sl_bytes *bytes, uint8_t **tail) {
    bytes->bytes = take_u32(in);
    sl_copy_short(*tail, in->at, bytes->bytes);
    bytes->data = *tail;
    *tail += sl_align8(bytes->bytes);
    in->at += bytes->bytes;
}

static sl_err decode_blob(reader *in, const sl_field *field, sl_blob **blob, sl_blob_parts *parts) {
    *blob = NULL;
    uint8_t tag = *in->at++;
    if (tag == BLOB_INLINE) {
        uint32_t bytes = take_u32(in);
        in->at += bytes;
        return sl_blob_copy(in->at - bytes, bytes, blob);
    }
    if (tag == BLOB_TRANSFER) {
        assert(parts); /* as in put_blob() */
        sl_blob_part *part = &parts->part[parts->count++];
        part->offset = field->offset;
        part->id = take_u64(in);
        part->bytes = take_u64(in);
    }
    return SL_OK;
}

static sl_err decode_record(reader *in, const sl_record *record, void *body, uint8_t **tail,
                            sl_blob_parts *parts);

static sl_err decode_list(reader *in, const sl_field *field, sl_list *list, uint8_t **tail) {
    const sl_record *record = field->record;
    list->count = take_u32(in);
    uint8_t *item = *tail;
    list->items = item;
    size_t bytes = (size_t)list->count * record->bytes;
    *tail += sl_align8(bytes);
    if (record->flat) {
        sl_copy_short(item, in->at, bytes);
        in->at += bytes;
        return SL_OK;
    }
    for (uint32_t i = 0; i < list->count; i++, item += record->bytes)
        SL_TRY(decode_record(in, record, item, tail, NULL));
    return SL_OK;
}

static sl_err decode_record(reader *in, const sl_record *record, void *body, uint8_t **tail,
                            sl_blob_parts *parts) {
    SL_EACH_STEP(step, record) {
        const sl_field *field = step->field;
        void *at = sl_field_in(field, body);
        if (step->bytes) {
            sl_copy_short(at, in->at, step->bytes);
            in->at += step->bytes;
        } else if (field->kind == SL_KIND_TEXT)
            decode_text(in, at, tail);
        else if (field->kind == SL_KIND_BYTES)
            decode_bytes(in, at, tail);
        else if (field->kind == SL_KIND_LIST)
            SL_TRY(decode_list(in, field, at, tail));
        else
            SL_TRY(decode_blob(in, field, at, parts));
    }
    return SL_OK;
}

sl_err sl_record_decode(const sl_record *record, const uint8_t *wire, size_t bytes, void *memory,
                        sl_blob_parts *parts) {
    if (record->flat) {
        memcpy(memory, wire, record->bytes);
        return SL_OK;
    }
    reader in = {wire, wire + bytes};
    memset(memory, 0, record->bytes);
    uint8_t *tail = (uint8_t *)memory + sl_align8(record->bytes);
    return decode_record(&in, record, memory, &tail, parts);
}
