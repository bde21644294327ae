/* The simulator's queue: a heap by (time, order), of four branches: half as deep, and what is
 * compared lies together. */
#include <stdlib.h>

#include "runtime/simulator_internal.h"

enum { BRANCHES = 4 };

/* Both in one number: which of two is the first can hardly be foreseen, so it is not branched on.
 */
static inline unsigned __int128 key_of(const sl_sim_event *event) {
    return (unsigned __int128)event->at_ns << 64 | event->order;
}

static bool before(const sl_sim_event *a, const sl_sim_event *b) {
    return key_of(a) < key_of(b);
}

static sl_err grow(sl_sim_events *events) {
    uint32_t capacity = events->capacity ? 2 * events->capacity : 256;
    sl_sim_event *heap = realloc(events->heap, capacity * sizeof *heap);
    if (!heap)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u events", capacity);
    events->heap = heap;
    events->capacity = capacity;
    return SL_OK;
}

sl_err sl_sim_events_put(sl_sim_events *events, sl_sim_event event) {
    if (events->count == events->capacity)
        SL_TRY(grow(events));
    event.order = events->next_order++;
    uint32_t at = events->count++;
    while (at && before(&event, &events->heap[(at - 1) / BRANCHES])) {
        events->heap[at] = events->heap[(at - 1) / BRANCHES];
        at = (at - 1) / BRANCHES;
    }
    events->heap[at] = event;
    return SL_OK;
}

static void sift_down(sl_sim_events *events, sl_sim_event moving) {
    sl_sim_event *heap = events->heap;
    uint64_t at = 0, count = events->count;
    for (uint64_t first; (first = BRANCHES * at + 1) < count;) {
        uint64_t least = first, end = first + BRANCHES < count ? first + BRANCHES : count;
        unsigned __int128 key = key_of(&heap[first]);
        for (uint64_t child = first + 1; child < end; child++) {
            unsigned __int128 other = key_of(&heap[child]);
            least = other < key ? child : least;
            key = other < key ? other : key;
        }
        if (!before(&heap[least], &moving))
            break;
        heap[at] = heap[least];
        at = least;
    }
    heap[at] = moving;
}

bool sl_sim_events_take(sl_sim_events *events, uint64_t until_ns, sl_sim_event *event) {
    if (!events->count || events->heap[0].at_ns > until_ns)
        return false;
    *event = events->heap[0];
    sl_sim_event last = events->heap[--events->count];
    if (events->count)
        sift_down(events, last);
    return true;
}
