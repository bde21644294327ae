#include "bench/floor_local.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/machine.h"

/* ---- one thread ---- */

enum { RING = 512, BURST = 256 };

typedef struct ring ring;
typedef void (*handler)(ring *r, uint64_t value);

typedef struct slot {
    handler handle;
    uint64_t value;
} slot;

struct ring {
    slot slots[RING];
    uint32_t head, tail;
    uint64_t sum;
};

static inline void push(ring *r, handler handle, uint64_t value) {
    r->slots[r->tail++ % RING] = (slot){handle, value};
}

static inline void pop_and_call(ring *r) {
    slot s = r->slots[r->head++ % RING];
    s.handle(r, s.value);
}

static void count_up(ring *r, uint64_t value) {
    r->sum += value;
}

static void ping(ring *r, uint64_t value);

static void pong(ring *r, uint64_t value) {
    push(r, ping, value + 1);
}

static void ping(ring *r, uint64_t value) {
    push(r, pong, value + 1);
}

/* Volatile, so that the call stays one through a pointer. */
static handler volatile counting = count_up;

double floor_ring_per_s(uint64_t messages) {
    static ring r;
    double begin_s = machine_now_s();
    for (uint64_t done = 0; done < messages; done += BURST) {
        for (uint64_t i = 0; i < BURST; i++)
            push(&r, counting, done + i);
        for (uint64_t i = 0; i < BURST; i++)
            pop_and_call(&r);
    }
    return (double)messages / (machine_now_s() - begin_s);
}

double floor_ring_ping_s(uint64_t messages) {
    static ring r;
    double begin_s = machine_now_s();
    push(&r, ping, 0);
    for (uint64_t i = 0; i < messages; i++)
        pop_and_call(&r);
    return (machine_now_s() - begin_s) / (double)messages;
}

/* ---- two threads ---- */

enum { SPINS = 20000, SHARED_RING = 4096 };

typedef struct line {
    _Alignas(128) _Atomic uint64_t value;
} line;

/* Other programs may hold the other core: let them finish. */
static inline void wait_until(const line *l, uint64_t least) {
    for (uint32_t spins = 0; atomic_load_explicit(&l->value, memory_order_acquire) < least;)
        if (++spins % SPINS == 0)
            sched_yield();
}

typedef struct pair {
    line there, back;
    uint64_t count;
    uint64_t slots[SHARED_RING][2];
    uint64_t sum;
} pair;

static void *answer(void *argument) {
    pair *p = argument;
    for (uint64_t i = 1; i <= p->count; i++) {
        wait_until(&p->there, i);
        atomic_store_explicit(&p->back.value, i, memory_order_release);
    }
    return NULL;
}

static void *consume(void *argument) {
    pair *p = argument;
    for (uint64_t i = 0; i < p->count; i++) {
        wait_until(&p->there, i + 1);
        p->sum += p->slots[i % SHARED_RING][0];
        if (i % 64 == 63 || i + 1 == p->count)
            atomic_store_explicit(&p->back.value, i + 1, memory_order_release);
    }
    return NULL;
}

static void produce(pair *p) {
    for (uint64_t i = 0; i < p->count; i++) {
        if (i >= SHARED_RING)
            wait_until(&p->back, i - SHARED_RING + 1);
        p->slots[i % SHARED_RING][0] = i;
        atomic_store_explicit(&p->there.value, i + 1, memory_order_release);
    }
    wait_until(&p->back, p->count);
}

static void call(pair *p) {
    for (uint64_t i = 1; i <= p->count; i++) {
        atomic_store_explicit(&p->there.value, i, memory_order_release);
        wait_until(&p->back, i);
    }
}

static double pair_s(uint64_t count, void (*here)(pair *), void *(*there)(void *)) {
    pair *p = aligned_alloc(128, sizeof *p);
    pthread_t thread;
    if (!p)
        bench_die("no memory for a floor");
    memset(p, 0, sizeof *p);
    p->count = count;
    if (pthread_create(&thread, NULL, there, p) != 0)
        bench_die("no thread for a floor");
    machine_sleep_s(0.001); /* it has begun */
    double begin_s = machine_now_s();
    here(p);
    double seconds = machine_now_s() - begin_s;
    pthread_join(thread, NULL);
    free(p);
    return seconds;
}

double floor_thread_latency_s(uint32_t round_trips) {
    return pair_s(round_trips, call, answer) / (2.0 * round_trips);
}

double floor_thread_stream_per_s(uint64_t messages) {
    return (double)messages / pair_s(messages, produce, consume);
}

/* ---- memory ---- */

double floor_allocate_s(uint64_t count, uint32_t bytes) {
    void **newest = NULL;
    double begin_s = machine_now_s();
    for (uint64_t i = 0; i < count; i++) {
        void **object = calloc(1, bytes);
        if (!object)
            bench_die("no memory for a floor");
        *object = (void *)newest;
        newest = object;
    }
    double seconds = machine_now_s() - begin_s;
    while (newest) {
        void **next = *newest;
        free((void *)newest);
        newest = next;
    }
    return seconds / (double)count;
}
