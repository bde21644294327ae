/* Timers of one node: a heap by deadline, ties in the order they were started. Starting, cancelling
 * and firing one of n takes O(log n). */
#ifndef SL_RUNTIME_TIMER_H
#define SL_RUNTIME_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/address.h"
#include "runtime/err.h"

typedef struct sl_timer {
    uint64_t id;
    uint64_t cookie;
    sl_addr owner;
} sl_timer;

/* Where a timer is in the heap, and the rest of it. Slots are reused with the next generation. */
typedef struct sl_timer_slot {
    uint64_t cookie;
    sl_addr owner;
    uint32_t generation;
    uint32_t place; /* UINT32_MAX: free */
    uint32_t next_free;
} sl_timer_slot;

typedef struct sl_timer_entry {
    uint64_t deadline_ns;
    uint64_t order; /* grows with every start */
    uint32_t slot;
} sl_timer_entry;

typedef struct sl_timers {
    sl_timer_entry *heap;
    sl_timer_slot *slots;
    uint32_t count;
    uint32_t capacity; /* of both */
    uint32_t used;     /* slots ever used */
    uint32_t free;     /* first free slot; UINT32_MAX: none */
    uint64_t next_order;
} sl_timers;

void sl_timers_init(sl_timers *timers);
void sl_timers_fini(sl_timers *timers);

/* Adds a timer; returns its id, or 0 when out of memory. */
uint64_t sl_timers_start(sl_timers *timers, uint64_t deadline_ns, sl_addr owner, uint64_t cookie);

/* Forgets a timer; one that has fired or was never started is ignored. */
void sl_timers_cancel(sl_timers *timers, uint64_t id);

/* Takes the next timer that is due at `now_ns`. */
bool sl_timers_due(sl_timers *timers, uint64_t now_ns, sl_timer *timer);

/* Nanoseconds from `now_ns` to the next deadline; UINT64_MAX when there is none. */
uint64_t sl_timers_delay_ns(const sl_timers *timers, uint64_t now_ns);

#endif
