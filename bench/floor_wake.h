/* The floor of waking up: one thread sleeps on a futex, another wakes it. */
#ifndef SL_BENCH_FLOOR_WAKE_H
#define SL_BENCH_FLOOR_WAKE_H

#include "bench/report.h"

typedef struct floor_wake floor_wake;

/* Starts the thread that sleeps. */
floor_wake *floor_wake_create(void);

/* Wakes it; how long it took until it ran is known some milliseconds later. */
void floor_wake_once(floor_wake *wake);

/* Ends the thread and adds all latencies, in seconds, to `latencies`. */
void floor_wake_destroy(floor_wake *wake, samples *latencies);

#endif
