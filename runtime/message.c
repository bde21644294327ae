#include "runtime/record.h"

#include <stdlib.h>
#include <string.h>

static const sl_message_type *registered[UINT16_MAX + 1];

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "flat messages move by memcpy as little endian");

sl_text sl_text_of(const char *string) {
    return (sl_text){string ? string : "", string ? (uint32_t)strlen(string) : 0};
}

static bool is_flat(const sl_record *record) {
    uint32_t wire_offset = 0;
    SL_EACH_FIELD(field, record) {
        if (!sl_kind_bytes(field->kind) || field->kind == SL_KIND_BOOL ||
            field->offset != wire_offset)
            return false;
        wire_offset += sl_kind_bytes(field->kind);
    }
    return wire_offset == record->bytes;
}

/* Truth values stand alone: they are checked. */
static bool joins(const sl_step *run, const sl_field *field) {
    return run->bytes && run->field->kind != SL_KIND_BOOL && field->kind != SL_KIND_BOOL &&
           sl_kind_bytes(field->kind) && field->offset == run->offset + run->bytes;
}

/* Never freed: a record lives as long as the program. */
static void make_steps(sl_record *record) {
    sl_step *steps = calloc(record->field_count + 1, sizeof *steps), *last = steps;
    if (!steps)
        abort(); /* before main: there is nobody to tell */
    SL_EACH_FIELD(field, record) {
        if (last > steps && joins(last - 1, field))
            last[-1].bytes += sl_kind_bytes(field->kind);
        else
            *last++ = (sl_step){field, field->offset, sl_kind_bytes(field->kind)};
    }
    record->steps = steps;
    record->step_count = (uint32_t)(last - steps);
}

void sl_record_define(sl_record *record, const char *name, const char *doc, size_t bytes,
                      const sl_field *fields, size_t count) {
    *record = (sl_record){.name = name,
                          .doc = doc,
                          .fields = fields,
                          .field_count = (uint32_t)count,
                          .bytes = (uint32_t)bytes};
    record->flat = is_flat(record);
    make_steps(record);
}

static uint32_t blob_fields(const sl_record *record) {
    uint32_t count = 0;
    SL_EACH_FIELD(field, record) count += field->kind == SL_KIND_BLOB;
    return count;
}

/* Blobs lie in the message itself, where the channel finds them. */
static bool blobs_in_lists(const sl_record *record) {
    SL_EACH_FIELD(field, record) {
        if (field->kind == SL_KIND_LIST &&
            (blob_fields(field->record) || blobs_in_lists(field->record)))
            return true;
    }
    return false;
}

/* A wrong definition is a defect that no run may get past: it shows before main. */
static void definition_check(const sl_message_type *type) {
    if (registered[type->id] || (type->lane == SL_LANE_CONTROL && type->has_blobs) ||
        blob_fields(&type->record) > SL_MESSAGE_MAX_BLOBS || blobs_in_lists(&type->record)) {
        (void)sl_fail(SL_ERR_INTERNAL, "message %s", type->record.name);
        abort();
    }
}

void sl_message_define(sl_message_type *type, uint16_t id, sl_lane lane) {
    type->id = id;
    type->lane = lane;
    type->has_blobs = blob_fields(&type->record) > 0;
    definition_check(type);
    registered[id] = type;
}

const sl_message_type *sl_message_type_of(uint16_t id) {
    return registered[id];
}

size_t sl_message_types(const sl_message_type **types, size_t capacity) {
    size_t count = 0;
    for (size_t id = 0; id <= UINT16_MAX; id++) {
        if (!registered[id])
            continue;
        if (count < capacity)
            types[count] = registered[id];
        count++;
    }
    return count;
}

/* ---- memory ---- */

static size_t tail_bytes(const sl_record *record, const void *body);

static size_t list_tail_bytes(const sl_field *field, const sl_list *list) {
    size_t bytes = sl_align8((size_t)list->count * field->record->bytes);
    if (field->record->flat)
        return bytes;
    const uint8_t *item = list->items;
    for (uint32_t i = 0; i < list->count; i++, item += field->record->bytes)
        bytes += tail_bytes(field->record, item);
    return bytes;
}

static size_t tail_bytes(const sl_record *record, const void *body) {
    size_t bytes = 0;
    SL_EACH_STEP(step, record) {
        const sl_field *field = step->field;
        const void *at = sl_field_of(field, body);
        if (step->bytes)
            continue;
        if (field->kind == SL_KIND_TEXT)
            bytes += sl_align8((size_t)((const sl_text *)at)->bytes + 1);
        else if (field->kind == SL_KIND_BYTES)
            bytes += sl_align8(((const sl_bytes *)at)->bytes);
        else if (field->kind == SL_KIND_LIST)
            bytes += list_tail_bytes(field, at);
    }
    return bytes;
}

size_t sl_record_memory_bytes(const sl_record *record, const void *body) {
    return record->flat ? record->bytes : sl_align8(record->bytes) + tail_bytes(record, body);
}

static void copy_tail(const sl_record *record, void *copy, uint8_t **tail);

static void copy_list(const sl_field *field, sl_list *list, uint8_t **tail) {
    size_t bytes = (size_t)list->count * field->record->bytes;
    uint8_t *items = *tail;
    if (bytes)
        memcpy(items, list->items, bytes);
    *tail += sl_align8(bytes);
    list->items = items;
    if (field->record->flat)
        return;
    for (uint32_t i = 0; i < list->count; i++)
        copy_tail(field->record, items + (size_t)i * field->record->bytes, tail);
}

static void copy_text(sl_text *text, uint8_t **tail) {
    char *data = (char *)*tail;
    sl_copy_short(data, text->data, text->bytes);
    data[text->bytes] = '\0';
    text->data = data;
    *tail += sl_align8((size_t)text->bytes + 1);
}

static void copy_bytes(sl_bytes *bytes, uint8_t **tail) {
    uint8_t *data = *tail;
    sl_copy_short(data, bytes->data, bytes->bytes);
    bytes->data = data;
    *tail += sl_align8(bytes->bytes);
}

/* `copy` is a shallow copy: moves what it points to into the tail. */
static void copy_tail(const sl_record *record, void *copy, uint8_t **tail) {
    SL_EACH_STEP(step, record) {
        const sl_field *field = step->field;
        void *at = sl_field_in(field, copy);
        if (step->bytes)
            continue;
        if (field->kind == SL_KIND_TEXT)
            copy_text(at, tail);
        else if (field->kind == SL_KIND_BYTES)
            copy_bytes(at, tail);
        else if (field->kind == SL_KIND_LIST)
            copy_list(field, at, tail);
        else if (field->kind == SL_KIND_BLOB)
            (void)sl_blob_retain(*(sl_blob **)at);
    }
}

void sl_record_copy(const sl_record *record, const void *body, void *memory) {
    memcpy(memory, body, record->bytes);
    if (record->flat)
        return;
    uint8_t *tail = (uint8_t *)memory + sl_align8(record->bytes);
    copy_tail(record, memory, &tail);
}

void sl_record_release(const sl_record *record, void *body) {
    if (record->flat)
        return;
    SL_EACH_FIELD(field, record) {
        if (field->kind == SL_KIND_BLOB)
            sl_blob_release(*(sl_blob **)sl_field_in(field, body));
    }
}
