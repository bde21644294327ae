/* What tests, logs and traces do with any record: compare, print, generate. */
#include "runtime/record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- equality ---- */

static bool blob_equal(const sl_blob *a, const sl_blob *b) {
    if (!a || !b)
        return a == b;
    return a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

static bool list_equal(const sl_field *field, const sl_list *a, const sl_list *b) {
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        size_t offset = (size_t)i * field->record->bytes;
        if (!sl_record_equal(field->record, (const uint8_t *)a->items + offset,
                             (const uint8_t *)b->items + offset))
            return false;
    }
    return true;
}

static bool field_equal(const sl_field *field, const void *a, const void *b) {
    switch (field->kind) {
    case SL_KIND_TEXT:
    case SL_KIND_BYTES: {
        const sl_bytes *x = a, *y = b;
        return x->bytes == y->bytes && (!x->bytes || memcmp(x->data, y->data, x->bytes) == 0);
    }
    case SL_KIND_LIST:
        return list_equal(field, a, b);
    case SL_KIND_BLOB:
        return blob_equal(*(sl_blob *const *)a, *(sl_blob *const *)b);
    default:
        return memcmp(a, b, sl_kind_bytes(field->kind)) == 0;
    }
}

bool sl_record_equal(const sl_record *record, const void *a, const void *b) {
    SL_EACH_FIELD(field, record) {
        if (!field_equal(field, sl_field_of(field, a), sl_field_of(field, b)))
            return false;
    }
    return true;
}

/* ---- JSON ---- */

static void json_list(const sl_field *field, const sl_list *list, sl_strbuf *out) {
    sl_strbuf_append_char(out, '[');
    for (uint32_t i = 0; i < list->count; i++) {
        if (i)
            sl_strbuf_append_char(out, ',');
        sl_record_json(field->record,
                       (const uint8_t *)list->items + (size_t)i * field->record->bytes, out);
    }
    sl_strbuf_append_char(out, ']');
}

static void json_scalar(sl_kind kind, const void *at, sl_strbuf *out) {
    switch (kind) {
    case SL_KIND_U8:
        sl_strbuf_printf(out, "%u", *(const uint8_t *)at);
        break;
    case SL_KIND_U16:
        sl_strbuf_printf(out, "%u", *(const uint16_t *)at);
        break;
    case SL_KIND_U32:
        sl_strbuf_printf(out, "%" PRIu32, *(const uint32_t *)at);
        break;
    case SL_KIND_U64:
        sl_strbuf_printf(out, "%" PRIu64, *(const uint64_t *)at);
        break;
    case SL_KIND_I32:
        sl_strbuf_printf(out, "%" PRId32, *(const int32_t *)at);
        break;
    case SL_KIND_I64:
        sl_strbuf_printf(out, "%" PRId64, *(const int64_t *)at);
        break;
    case SL_KIND_F64:
        sl_strbuf_json_double(out, *(const double *)at);
        break;
    case SL_KIND_BOOL:
        sl_strbuf_append(out, *(const bool *)at ? "true" : "false");
        break;
    default: {
        const sl_addr *addr = at;
        sl_strbuf_printf(out, "\"%" PRIu32 ".%" PRIu32 ".%" PRIu32 "\"", addr->node, addr->slot,
                         addr->generation);
    }
    }
}

static void json_field(const sl_field *field, const void *at, sl_strbuf *out) {
    if (field->kind == SL_KIND_TEXT)
        sl_strbuf_json_bytes(out, ((const sl_text *)at)->data, ((const sl_text *)at)->bytes);
    else if (field->kind == SL_KIND_BYTES)
        sl_strbuf_printf(out, "{\"bytes\":%" PRIu32 "}", ((const sl_bytes *)at)->bytes);
    else if (field->kind == SL_KIND_LIST)
        json_list(field, at, out);
    else if (field->kind != SL_KIND_BLOB)
        json_scalar(field->kind, at, out);
    else if (*(sl_blob *const *)at)
        sl_strbuf_printf(out, "{\"bytes\":%" PRIu64 "}", (*(sl_blob *const *)at)->bytes);
    else
        sl_strbuf_append(out, "null");
}

void sl_record_json(const sl_record *record, const void *body, sl_strbuf *out) {
    sl_strbuf_append_char(out, '{');
    SL_EACH_FIELD(field, record) {
        if (field != record->fields)
            sl_strbuf_append_char(out, ',');
        sl_strbuf_json(out, field->name);
        sl_strbuf_append_char(out, ':');
        json_field(field, sl_field_of(field, body), out);
    }
    sl_strbuf_append_char(out, '}');
}

/* ---- generation ---- */

enum {
    SCRATCH_BYTES = 64 * 1024,
    SMALL_LENGTH = 12,
    SMALL_COUNT = 5,
    SMALL_BLOB = 2 * SL_BLOB_INLINE_BYTES
};

typedef struct scratch {
    uint8_t *at;
    uint8_t *end;
} scratch;

static void *scratch_take(scratch *memory, size_t bytes) {
    if ((size_t)(memory->end - memory->at) < sl_align8(bytes))
        return NULL;
    void *taken = memory->at;
    memory->at += sl_align8(bytes);
    return taken;
}

static uint32_t small(sl_rng *rng, uint32_t bound, uint32_t usual) {
    uint32_t limit = bound < usual ? bound : usual;
    return (uint32_t)sl_rng_below(rng, (uint64_t)limit + 1);
}

static void generate_into(const sl_record *record, sl_rng *rng, void *body, scratch *memory);

static void generate_bytes(const sl_field *field, sl_rng *rng, sl_bytes *out, scratch *memory) {
    uint32_t bytes = small(rng, field->bound, SMALL_LENGTH);
    uint8_t *data = scratch_take(memory, bytes);
    if (!data)
        return;
    for (uint32_t i = 0; i < bytes; i++)
        data[i] = field->kind == SL_KIND_TEXT ? (uint8_t)('a' + sl_rng_below(rng, 26))
                                              : (uint8_t)sl_rng_u64(rng);
    *out = (sl_bytes){data, bytes};
}

static void generate_list(const sl_field *field, sl_rng *rng, sl_list *out, scratch *memory) {
    uint32_t count = small(rng, field->bound, SMALL_COUNT);
    uint8_t *items = scratch_take(memory, (size_t)count * field->record->bytes);
    if (!items)
        return;
    memset(items, 0, (size_t)count * field->record->bytes);
    for (uint32_t i = 0; i < count; i++)
        generate_into(field->record, rng, items + (size_t)i * field->record->bytes, memory);
    *out = (sl_list){items, count};
}

static void generate_blob(sl_rng *rng, sl_blob **out) {
    if (sl_rng_below(rng, 3) == 0 || sl_blob_create(sl_rng_below(rng, SMALL_BLOB), out) != SL_OK)
        return;
    for (uint64_t i = 0; i < (*out)->bytes; i++)
        (*out)->data[i] = (uint8_t)sl_rng_u64(rng);
}

static void generate_scalar(sl_kind kind, sl_rng *rng, void *at) {
    uint64_t random[2] = {sl_rng_u64(rng), sl_rng_u64(rng)};
    if (kind == SL_KIND_BOOL)
        *(bool *)at = random[0] & 1;
    else if (kind == SL_KIND_F64)
        *(double *)at = sl_rng_double(rng) * 1e6;
    else
        memcpy(at, random, sl_kind_bytes(kind));
}

static void generate_into(const sl_record *record, sl_rng *rng, void *body, scratch *memory) {
    SL_EACH_FIELD(field, record) {
        void *at = sl_field_in(field, body);
        if (field->kind == SL_KIND_TEXT || field->kind == SL_KIND_BYTES)
            generate_bytes(field, rng, at, memory);
        else if (field->kind == SL_KIND_LIST)
            generate_list(field, rng, at, memory);
        else if (field->kind == SL_KIND_BLOB)
            generate_blob(rng, at);
        else
            generate_scalar(field->kind, rng, at);
    }
}

void *sl_record_generate(const sl_record *record, sl_rng *rng) {
    uint8_t *body = calloc(1, SCRATCH_BYTES);
    if (!body)
        return NULL;
    scratch memory = {body + sl_align8(record->bytes), body + SCRATCH_BYTES};
    generate_into(record, rng, body, &memory);
    return body;
}
