#include "runtime/timer.h"

#include <stdlib.h>
#include <string.h>

void sl_timers_init(sl_timers *timers) {
    memset(timers, 0, sizeof *timers);
    timers->next_id = 1;
}

void sl_timers_fini(sl_timers *timers) {
    free(timers->heap);
    memset(timers, 0, sizeof *timers);
}

static bool before(const sl_timer *a, const sl_timer *b) {
    return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns : a->id < b->id;
}

static void sift_up(sl_timers *timers, uint32_t at) {
    sl_timer moving = timers->heap[at];
    while (at && before(&moving, &timers->heap[(at - 1) / 2])) {
        timers->heap[at] = timers->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    timers->heap[at] = moving;
}

static void sift_down(sl_timers *timers, uint32_t at) {
    sl_timer moving = timers->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && before(&timers->heap[child + 1], &timers->heap[child]))
            child++;
        if (!before(&timers->heap[child], &moving))
            break;
        timers->heap[at] = timers->heap[child];
        at = child;
    }
    timers->heap[at] = moving;
}

static bool grow(sl_timers *timers) {
    uint32_t capacity = timers->capacity ? 2 * timers->capacity : 64;
    sl_timer *heap = realloc(timers->heap, capacity * sizeof *heap);
    if (!heap)
        return false;
    timers->heap = heap;
    timers->capacity = capacity;
    return true;
}

uint64_t sl_timers_start(sl_timers *timers, uint64_t deadline_ns, sl_addr owner, uint64_t cookie) {
    if (timers->count == timers->capacity && !grow(timers))
        return 0;
    uint64_t id = timers->next_id++;
    timers->heap[timers->count] = (sl_timer){deadline_ns, id, cookie, owner};
    sift_up(timers, timers->count++);
    return id;
}

static void remove_at(sl_timers *timers, uint32_t at) {
    timers->heap[at] = timers->heap[--timers->count];
    if (at == timers->count)
        return;
    sift_up(timers, at);
    sift_down(timers, at);
}

void sl_timers_cancel(sl_timers *timers, uint64_t id) {
    for (uint32_t i = 0; i < timers->count; i++) {
        if (timers->heap[i].id == id) {
            remove_at(timers, i);
            return;
        }
    }
}

bool sl_timers_due(sl_timers *timers, uint64_t now_ns, sl_timer *timer) {
    if (!timers->count || timers->heap[0].deadline_ns > now_ns)
        return false;
    *timer = timers->heap[0];
    remove_at(timers, 0);
    return true;
}

uint64_t sl_timers_delay_ns(const sl_timers *timers, uint64_t now_ns) {
    if (!timers->count)
        return UINT64_MAX;
    uint64_t deadline_ns = timers->heap[0].deadline_ns;
    return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}
