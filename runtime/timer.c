#include "runtime/timer.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

void sl_timers_init(sl_timers *timers) {
    memset(timers, 0, sizeof *timers);
    timers->free = UINT32_MAX;
}

void sl_timers_fini(sl_timers *timers) {
    free(timers->heap);
    free(timers->slots);
    sl_timers_init(timers);
}

/* ---- the heap ---- */

static bool before(const sl_timer_entry *a, const sl_timer_entry *b) {
    return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns : a->order < b->order;
}

static void put_at(sl_timers *timers, uint32_t at, sl_timer_entry entry) {
    timers->heap[at] = entry;
    timers->slots[entry.slot].place = at;
}

static void sift_up(sl_timers *timers, uint32_t at, sl_timer_entry moving) {
    while (at && before(&moving, &timers->heap[(at - 1) / 2])) {
        put_at(timers, at, timers->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put_at(timers, at, moving);
}

static void sift_down(sl_timers *timers, uint32_t at, sl_timer_entry moving) {
    for (;;) {
        uint64_t child = 2 * (uint64_t)at + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && before(&timers->heap[child + 1], &timers->heap[child]))
            child++;
        if (!before(&timers->heap[child], &moving))
            break;
        put_at(timers, at, timers->heap[child]);
        at = (uint32_t)child;
    }
    put_at(timers, at, moving);
}

static void remove_at(sl_timers *timers, uint32_t at) {
    sl_timer_entry last = timers->heap[--timers->count];
    if (at == timers->count)
        return;
    if (at && before(&last, &timers->heap[(at - 1) / 2]))
        sift_up(timers, at, last);
    else
        sift_down(timers, at, last);
}

/* ---- slots ---- */

static bool grow(sl_timers *timers) {
    uint32_t capacity = timers->capacity ? 2 * timers->capacity : FIRST_CAPACITY;
    sl_timer_entry *heap = realloc(timers->heap, capacity * sizeof *heap);
    if (!heap)
        return false;
    timers->heap = heap;
    sl_timer_slot *slots = realloc(timers->slots, capacity * sizeof *slots);
    if (!slots)
        return false;
    timers->slots = slots;
    timers->capacity = capacity;
    return true;
}

static uint32_t slot_take(sl_timers *timers) {
    uint32_t slot = timers->free;
    if (slot == UINT32_MAX) {
        slot = timers->used++;
        timers->slots[slot].generation = 0;
        return slot;
    }
    timers->free = timers->slots[slot].next_free;
    return slot;
}

static void slot_give(sl_timers *timers, uint32_t slot) {
    timers->slots[slot].place = UINT32_MAX;
    timers->slots[slot].generation++;
    timers->slots[slot].next_free = timers->free;
    timers->free = slot;
}

static uint64_t id_of(const sl_timers *timers, uint32_t slot) {
    return (uint64_t)timers->slots[slot].generation << 32 | (slot + 1);
}

/* ---- timers ---- */

uint64_t sl_timers_start(sl_timers *timers, uint64_t deadline_ns, sl_addr owner, uint64_t cookie) {
    if (timers->count == timers->capacity && !grow(timers))
        return 0;
    uint32_t slot = slot_take(timers);
    timers->slots[slot].cookie = cookie;
    timers->slots[slot].owner = owner;
    sift_up(timers, timers->count++, (sl_timer_entry){deadline_ns, timers->next_order++, slot});
    return id_of(timers, slot);
}

void sl_timers_cancel(sl_timers *timers, uint64_t id) {
    uint32_t slot = (uint32_t)id - 1;
    if (slot >= timers->used || id_of(timers, slot) != id ||
        timers->slots[slot].place == UINT32_MAX)
        return;
    remove_at(timers, timers->slots[slot].place);
    slot_give(timers, slot);
}

bool sl_timers_due(sl_timers *timers, uint64_t now_ns, sl_timer *timer) {
    if (!timers->count || timers->heap[0].deadline_ns > now_ns)
        return false;
    uint32_t slot = timers->heap[0].slot;
    *timer = (sl_timer){id_of(timers, slot), timers->slots[slot].cookie, timers->slots[slot].owner};
    remove_at(timers, 0);
    slot_give(timers, slot);
    return true;
}

uint64_t sl_timers_delay_ns(const sl_timers *timers, uint64_t now_ns) {
    if (!timers->count)
        return UINT64_MAX;
    uint64_t deadline_ns = timers->heap[0].deadline_ns;
    return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}
