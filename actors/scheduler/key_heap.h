/* Numbered items in the order of their keys, the greatest first; of equal keys the lower number.
 *
 * A binary heap that knows where each item lies, so that an item's key can change. All operations
 * but the look at the first are O(log items). */
#ifndef SL_SCHEDULER_KEY_HEAP_H
#define SL_SCHEDULER_KEY_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"

typedef struct sl_key_item {
    int64_t key;
    uint32_t item;
} sl_key_item;

typedef struct sl_key_heap {
    sl_key_item *items; /* the first goes first */
    uint32_t *places;   /* by item: 1 + its place, 0: not in the heap */
    uint32_t count;
    uint32_t capacity; /* items 0 … capacity-1 can be put */
    uint64_t looks;    /* items compared so far: what it costs, for tests */
} sl_key_heap;

/* A zeroed heap is empty. */
void sl_key_heap_fini(sl_key_heap *heap);

/* Items below `capacity` can be put from now on. */
sl_err sl_key_heap_reserve(sl_key_heap *heap, uint32_t capacity) SL_CHECKED;

/* Puts an item, or changes its key. */
void sl_key_heap_set(sl_key_heap *heap, uint32_t item, int64_t key);

/* Takes an item out; nothing happens when it is not in. */
void sl_key_heap_remove(sl_key_heap *heap, uint32_t item);

void sl_key_heap_clear(sl_key_heap *heap);

static inline bool sl_key_heap_has(const sl_key_heap *heap, uint32_t item) {
    return item < heap->capacity && heap->places[item];
}

#endif
