/* Makes messages out of a fuzz program's input, field by field: each is one that somebody could
 * have encoded. A message lasts until the next one is begun. */
#ifndef SL_TESTS_MAKER_H
#define SL_TESTS_MAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/message.h"

enum { MAKER_ARENA_BYTES = 1 << 16 };

typedef struct maker {
    const uint8_t *at, *end; /* of the input; behind its end there are zeros */
    uint32_t nodes, slots;   /* addresses lie within these, or just beyond */
    /* Fills a field whose content is better not left to chance; false: it is. May be NULL. */
    bool (*known)(struct maker *m, const sl_record *record, const sl_field *field, void *at,
                  int depth);
    void *context;
    size_t used;
    _Alignas(16) uint8_t arena[MAKER_ARENA_BYTES];
} maker;

uint8_t maker_byte(maker *m);

/* Mostly small; now and then any, or the most there is. */
uint64_t maker_number(maker *m);

/* Zeroed memory until the next message; NULL: there is none left. */
void *maker_take(maker *m, size_t bytes);

/* Up to 40 bytes, or `most` where that is less. */
sl_bytes maker_bytes(maker *m, uint32_t most);

/* Begins a message. Whether it could be encoded sl_record_check() says. */
void *maker_begin(maker *m, const sl_record *record);

/* A record within a message. */
void maker_fill(maker *m, const sl_record *record, void *body, int depth);

#endif
