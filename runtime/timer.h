/* Timers of one node: a heap by deadline, ties in the order they were started. */
#ifndef SL_RUNTIME_TIMER_H
#define SL_RUNTIME_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/address.h"
#include "runtime/err.h"

typedef struct sl_timer {
    uint64_t deadline_ns;
    uint64_t id; /* grows with every start */
    uint64_t cookie;
    sl_addr owner;
} sl_timer;

typedef struct sl_timers {
    sl_timer *heap;
    uint32_t count;
    uint32_t capacity;
    uint64_t next_id;
} sl_timers;

void sl_timers_init(sl_timers *timers);
void sl_timers_fini(sl_timers *timers);

/* Adds a timer; returns its id, or 0 when out of memory. */
uint64_t sl_timers_start(sl_timers *timers, uint64_t deadline_ns, sl_addr owner, uint64_t cookie);

/* Forgets one timer (unknown ids are ignored), or all of an owner. */
void sl_timers_cancel(sl_timers *timers, uint64_t id);

/* Takes the next timer that is due at `now_ns`. */
bool sl_timers_due(sl_timers *timers, uint64_t now_ns, sl_timer *timer);

/* Nanoseconds from `now_ns` to the next deadline; UINT64_MAX when there is none. */
uint64_t sl_timers_delay_ns(const sl_timers *timers, uint64_t now_ns);

#endif
