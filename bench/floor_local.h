/* Floors inside one process: the least that moving a message can cost there. */
#ifndef SL_BENCH_FLOOR_LOCAL_H
#define SL_BENCH_FLOOR_LOCAL_H

#include <stdint.h>

/* Messages a second through a plain FIFO ring in one thread: 256 pushed, then each popped and its
 * handler called through a pointer. */
double floor_ring_per_s(uint64_t messages);

/* Seconds a message when each handler pushes the next one: nothing waits behind it. */
double floor_ring_ping_s(uint64_t messages);

/* One-way latency between two threads that poll a cache line each. */
double floor_thread_latency_s(uint32_t round_trips);

/* Messages of 16 bytes a second from one thread to another through a ring of 4096. */
double floor_thread_stream_per_s(uint64_t messages);

/* Seconds to allocate, zero and link `count` objects of `bytes` each, per object; they are freed
 * after the clock has stopped. */
double floor_allocate_s(uint64_t count, uint32_t bytes);

#endif
