#include "runtime/record.h"

#include <stdio.h>
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

static sl_step_kind step_kind(sl_kind kind) {
    switch (kind) {
    case SL_KIND_BOOL:
        return SL_STEP_BOOL;
    case SL_KIND_TEXT:
        return SL_STEP_TEXT;
    case SL_KIND_BYTES:
        return SL_STEP_BYTES;
    case SL_KIND_LIST:
        return SL_STEP_LIST;
    case SL_KIND_BLOB:
        return SL_STEP_BLOB;
    default:
        return SL_STEP_RUN;
    }
}

/* Scalars that lie behind one another in the struct, as they do on the wire, make one run. */
static uint32_t define_steps(const sl_record *record, sl_step *steps) {
    uint32_t count = 0;
    SL_EACH_FIELD(field, record) {
        sl_step_kind kind = step_kind(field->kind);
        sl_step *last = count ? &steps[count - 1] : NULL;
        if (kind == SL_STEP_RUN && last && last->kind == SL_STEP_RUN &&
            last->offset + last->bytes == field->offset)
            last->bytes += sl_kind_bytes(field->kind);
        else
            steps[count++] =
                (sl_step){field, field->record, field->offset,
                          kind == SL_STEP_RUN ? sl_kind_bytes(field->kind) : field->bound, kind};
    }
    return count;
}

static uint32_t step_wire_least(const sl_step *step) {
    if (step->kind == SL_STEP_RUN)
        return step->bytes;
    return step->kind == SL_STEP_BOOL || step->kind == SL_STEP_BLOB ? 1 : 4;
}

void sl_record_define(sl_record *record, const char *name, const char *doc, size_t bytes,
                      const sl_field *fields, size_t count, sl_step *steps) {
    sl_step *tails = steps + count;
    *record = (sl_record){.name = name,
                          .doc = doc,
                          .fields = fields,
                          .field_count = (uint32_t)count,
                          .bytes = (uint32_t)bytes,
                          .steps = steps,
                          .tails = tails};
    record->flat = is_flat(record);
    record->step_count = define_steps(record, steps);
    SL_EACH_STEP(step, record) {
        record->wire_least += step_wire_least(step);
        if (step->kind != SL_STEP_RUN && step->kind != SL_STEP_BOOL)
            tails[record->tail_count++] = *step;
    }
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
        fprintf(stderr,
                "starlane: the definition of message %s (0x%04x) is wrong, or its id taken\n",
                type->record.name, type->id);
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

static void copy_tail(const sl_record *record, void *copy, uint8_t **tail);

static void copy_list(const sl_record *record, sl_list *list, uint8_t **tail) {
    size_t bytes = (size_t)list->count * record->bytes;
    uint8_t *items = *tail;
    if (bytes)
        memcpy(items, list->items, bytes);
    *tail += sl_align8(bytes);
    list->items = items;
    if (!record->tail_count)
        return;
    for (uint8_t *item = items, *end = items + bytes; item < end; item += record->bytes)
        copy_tail(record, item, tail);
}

static inline void copy_text(sl_text *text, uint8_t **tail) {
    uint8_t *data = *tail;
    sl_copy_short(data, (const uint8_t *)text->data, text->bytes);
    data[text->bytes] = '\0';
    text->data = (const char *)data;
    *tail += sl_align8((size_t)text->bytes + 1);
}

static inline void copy_bytes(sl_bytes *bytes, uint8_t **tail) {
    uint8_t *data = *tail;
    sl_copy_short(data, bytes->data, bytes->bytes);
    bytes->data = data;
    *tail += sl_align8(bytes->bytes);
}

/* `copy` is a shallow copy: moves what it points to into the tail. */
static void copy_tail(const sl_record *record, void *copy, uint8_t **tail) {
    SL_EACH_TAIL(step, record) {
        void *at = sl_step_in(step, copy);
        if (step->kind == SL_STEP_TEXT)
            copy_text(at, tail);
        else if (step->kind == SL_STEP_BYTES)
            copy_bytes(at, tail);
        else if (step->kind == SL_STEP_LIST)
            copy_list(step->record, at, tail);
        else
            (void)sl_blob_retain(*(sl_blob **)at);
    }
}

void sl_record_copy(const sl_record *record, const void *body, void *memory) {
    memcpy(memory, body, record->bytes);
    if (!record->tail_count)
        return;
    uint8_t *tail = (uint8_t *)memory + sl_align8(record->bytes);
    copy_tail(record, memory, &tail);
}

void sl_record_release(const sl_record *record, void *body) {
    SL_EACH_TAIL(step, record) {
        if (step->kind == SL_STEP_BLOB)
            sl_blob_release(*(sl_blob **)sl_step_in(step, body));
    }
}
