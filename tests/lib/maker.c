#include "tests/lib/maker.h"

#include <math.h>
#include <string.h>

#include "runtime/record.h"

enum { DEPTH_MOST = 3, BYTES_MOST = 40 };

uint8_t maker_byte(maker *m) {
    return m->at < m->end ? *m->at++ : 0;
}

uint64_t maker_number(maker *m) {
    uint8_t first = maker_byte(m);
    uint64_t value = 0;
    if (first < 0xf0)
        return first;
    if (first == 0xff)
        return UINT64_MAX;
    for (int i = 0; i < 8; i++)
        value = value << 8 | maker_byte(m);
    return value;
}

static double real(maker *m) {
    static const double odd[] = {NAN, INFINITY, -INFINITY, -1, 1e300};
    uint8_t first = maker_byte(m);
    return first >= 0xf8 ? odd[first % (sizeof odd / sizeof *odd)] : first;
}

void *maker_take(maker *m, size_t bytes) {
    size_t start = (m->used + 15) & ~(size_t)15;
    if (bytes > sizeof m->arena || start > sizeof m->arena - bytes)
        return NULL;
    m->used = start + bytes;
    return memset(m->arena + start, 0, bytes);
}

sl_bytes maker_bytes(maker *m, uint32_t most) {
    uint32_t count = maker_byte(m) % (most < BYTES_MOST ? most + 1 : BYTES_MOST);
    uint8_t *bytes = maker_take(m, count + 1u);
    if (!bytes)
        return (sl_bytes){(const uint8_t *)"", 0};
    for (uint32_t i = 0; i < count; i++)
        bytes[i] = maker_byte(m);
    return (sl_bytes){bytes, count};
}

static void fill_list(maker *m, const sl_field *field, sl_list *list, int depth) {
    uint32_t count = depth < DEPTH_MOST ? maker_byte(m) % 4 : 0;
    uint8_t *items = maker_take(m, count * field->record->bytes + 1u);
    if (!items)
        count = 0;
    for (uint32_t i = 0; i < count; i++)
        maker_fill(m, field->record, items + i * field->record->bytes, depth + 1);
    *list = (sl_list){items, count};
}

static void fill_scalar(maker *m, const sl_field *field, void *at) {
    uint64_t value;
    double fraction;
    switch (field->kind) {
    case SL_KIND_F64:
        fraction = real(m);
        memcpy(at, &fraction, sizeof fraction);
        break;
    case SL_KIND_BOOL:
        *(bool *)at = maker_byte(m) & 1;
        break;
    case SL_KIND_ADDR:
        *(sl_addr *)at = (sl_addr){maker_byte(m) % (m->nodes + 1), maker_byte(m) % (m->slots + 1),
                                   maker_byte(m) % 2};
        break;
    default:
        value = maker_number(m);
        memcpy(at, &value, sl_kind_bytes(field->kind));
    }
}

void maker_fill(maker *m, const sl_record *record, void *body, int depth) {
    SL_EACH_FIELD(field, record) {
        void *at = sl_field_in(field, body);
        if (m->known && m->known(m, record, field, at, depth))
            continue;
        if (field->kind == SL_KIND_LIST)
            fill_list(m, field, at, depth);
        else if (field->kind == SL_KIND_TEXT || field->kind == SL_KIND_BYTES)
            *(sl_bytes *)at = maker_bytes(m, field->bound);
        else if (field->kind != SL_KIND_BLOB)
            fill_scalar(m, field, at);
    }
}

void *maker_begin(maker *m, const sl_record *record) {
    m->used = 0;
    void *body = maker_take(m, record->bytes);
    maker_fill(m, record, body, 0);
    return body;
}
