#include "actors/scheduler/key_heap.h"

#include <stdlib.h>
#include <string.h>

void sl_key_heap_fini(sl_key_heap *heap) {
    free(heap->items);
    free(heap->places);
    memset(heap, 0, sizeof *heap);
}

sl_err sl_key_heap_reserve(sl_key_heap *heap, uint32_t capacity) {
    if (capacity <= heap->capacity)
        return SL_OK;
    sl_key_item *items = realloc(heap->items, capacity * sizeof *items);
    if (items)
        heap->items = items;
    uint32_t *places = realloc(heap->places, capacity * sizeof *places);
    if (places)
        heap->places = places;
    if (!items || !places)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the order of %u items", capacity);
    memset(places + heap->capacity, 0, (capacity - heap->capacity) * sizeof *places);
    heap->capacity = capacity;
    return SL_OK;
}

static bool goes_before(sl_key_heap *heap, const sl_key_item *a, const sl_key_item *b) {
    heap->looks++;
    return a->key > b->key || (a->key == b->key && a->item < b->item);
}

static void put_at(sl_key_heap *heap, uint32_t at, sl_key_item item) {
    heap->items[at] = item;
    heap->places[item.item] = at + 1;
}

/* Moves the item at `at` towards the front as far as it belongs; true when it moved. */
static bool rise(sl_key_heap *heap, uint32_t at) {
    sl_key_item item = heap->items[at];
    uint32_t start = at;
    for (uint32_t parent;
         at && (parent = (at - 1) / 2, goes_before(heap, &item, &heap->items[parent])); at = parent)
        put_at(heap, at, heap->items[parent]);
    put_at(heap, at, item);
    return at != start;
}

static void sink(sl_key_heap *heap, uint32_t at) {
    sl_key_item item = heap->items[at];
    for (uint32_t child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count &&
            goes_before(heap, &heap->items[child + 1], &heap->items[child]))
            child++;
        if (!goes_before(heap, &heap->items[child], &item))
            break;
        put_at(heap, at, heap->items[child]);
    }
    put_at(heap, at, item);
}

void sl_key_heap_set(sl_key_heap *heap, uint32_t item, int64_t key) {
    uint32_t at = heap->places[item];
    if (!at) {
        put_at(heap, at = heap->count++, (sl_key_item){key, item});
        (void)rise(heap, at);
    } else if (heap->items[--at].key != key) {
        heap->items[at].key = key;
        if (!rise(heap, at))
            sink(heap, at);
    }
}

void sl_key_heap_remove(sl_key_heap *heap, uint32_t item) {
    if (!sl_key_heap_has(heap, item))
        return;
    uint32_t at = heap->places[item] - 1;
    sl_key_item last = heap->items[--heap->count];
    heap->places[item] = 0;
    if (at == heap->count)
        return;
    put_at(heap, at, last);
    if (!rise(heap, at))
        sink(heap, at);
}

void sl_key_heap_clear(sl_key_heap *heap) {
    for (uint32_t i = 0; i < heap->count; i++)
        heap->places[heap->items[i].item] = 0;
    heap->count = 0;
}
