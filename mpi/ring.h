/* A ring of frames from one rank to another of its host, in memory both have mapped: written by the
 * one, read by the other, in place, without locks.
 *
 * Each slot is published by a word of its own: the place of the frame in the stream, its kind and
 * its length. So a reader that polls an empty ring looks at one cache line, and the line that tells
 * it of a frame brings the beginning of the frame along. */
#ifndef SL_MPI_RING_H
#define SL_MPI_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SL_MPI_LINE_BYTES = 64 };
enum { SL_MPI_RING_LEAST_SLOTS = 4, SL_MPI_RING_MOST_SLOTS = 32 };

typedef struct sl_mpi_ring {
    _Alignas(SL_MPI_LINE_BYTES) _Atomic uint32_t taken; /* slots the reader has done with */
    _Atomic uint32_t starved; /* the writer found it full, and wants its bell rung */
    _Alignas(SL_MPI_LINE_BYTES) uint8_t slots[];
} sl_mpi_ring;

/* What a slot holds. */
typedef enum sl_mpi_slot_kind {
    SL_MPI_SLOT_FRAME,
    SL_MPI_SLOT_OFFER, /* an sl_mpi_note: a blob may be fetched */
    SL_MPI_SLOT_DONE   /* an sl_mpi_note: it was, or will never be */
} sl_mpi_slot_kind;

typedef struct sl_mpi_slot {
    _Atomic uint64_t ready; /* place + 1 (32 bits), kind (4), bytes (28) */
    uint8_t data[];
} sl_mpi_slot;

/* One end's view of a ring. Zeroed but for the three first, it is at the beginning. */
typedef struct sl_mpi_ring_end {
    sl_mpi_ring *ring;
    uint32_t count; /* of slots */
    uint32_t stride;
    uint32_t place; /* of the next slot to write, or to read */
    uint32_t seen;  /* the writer's last look at `taken` */
} sl_mpi_ring_end;

/* Bytes from one slot to the next, for frames of up to `frame_bytes`: an odd number of line pairs,
 * so that the beginnings of slots do not all fall into the same sets of a cache. */
static inline uint32_t sl_mpi_ring_stride(size_t frame_bytes) {
    uint32_t pair = 2 * SL_MPI_LINE_BYTES;
    uint32_t pairs = ((uint32_t)(sizeof(sl_mpi_slot) + frame_bytes) + pair - 1) / pair;
    return (pairs | 1) * pair;
}

static inline sl_mpi_slot *sl_mpi_ring_slot_at(const sl_mpi_ring_end *end, uint32_t place) {
    return (sl_mpi_slot *)(void *)(end->ring->slots + (size_t)(place % end->count) * end->stride);
}

static inline sl_mpi_slot *sl_mpi_ring_slot(const sl_mpi_ring_end *end) {
    return sl_mpi_ring_slot_at(end, end->place);
}

/* ---- the writer's end ---- */

/* For any x86-64 the compiler makes a plain prefetch of __builtin_prefetch(), which leaves the line
 * the reader's too. */
static inline void sl_mpi_fetch_for_writing(const uint8_t *line) {
#ifdef __x86_64__
    __asm__ volatile("prefetchw %0" ::"m"(*line));
#else
    __builtin_prefetch(line, 1);
#endif
}

static inline bool sl_mpi_ring_full(sl_mpi_ring_end *end) {
    if (end->place - end->seen < end->count)
        return false;
    end->seen = atomic_load_explicit(&end->ring->taken, memory_order_acquire);
    return end->place - end->seen >= end->count;
}

/* Where the next frame goes, or NULL when the ring is full; then the reader will ring the writer's
 * bell once it is not. The slot stays the same until it is published. */
static inline void *sl_mpi_ring_acquire(sl_mpi_ring_end *end) {
    if (!sl_mpi_ring_full(end))
        return sl_mpi_ring_slot(end)->data;
    atomic_store_explicit(&end->ring->starved, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    return sl_mpi_ring_full(end) ? NULL : sl_mpi_ring_slot(end)->data;
}

static inline void sl_mpi_ring_publish(sl_mpi_ring_end *end, sl_mpi_slot_kind kind, size_t bytes) {
    sl_mpi_slot *slot = sl_mpi_ring_slot(end);
    uint64_t ready = (uint64_t)++end->place << 32 | (uint64_t)kind << 28 | (uint64_t)bytes;
    atomic_store_explicit(&slot->ready, ready, memory_order_release);
    /* The beginning of a slot that the reader does not look at yet: its lines are on their way here
     * when they are written, which matters where caches are far apart. */
    const uint8_t *later = (const uint8_t *)sl_mpi_ring_slot_at(end, end->place + 1);
    sl_mpi_fetch_for_writing(later);
    sl_mpi_fetch_for_writing(later + SL_MPI_LINE_BYTES);
}

/* ---- the reader's end ---- */

/* The next slot, its kind and length as the writer has it, or NULL when there is none. */
static inline const sl_mpi_slot *sl_mpi_ring_next(const sl_mpi_ring_end *end,
                                                  sl_mpi_slot_kind *kind, size_t *bytes) {
    sl_mpi_slot *slot = sl_mpi_ring_slot(end);
    uint64_t ready = atomic_load_explicit(&slot->ready, memory_order_acquire);
    if ((uint32_t)(ready >> 32) != end->place + 1)
        return NULL;
    *kind = (sl_mpi_slot_kind)(ready >> 28 & 15);
    *bytes = ready & 0xfffffff;
    return slot;
}

static inline void sl_mpi_ring_take(sl_mpi_ring_end *end) {
    atomic_store_explicit(&end->ring->taken, ++end->place, memory_order_release);
}

/* After some were taken: does the writer wait for its bell? */
static inline bool sl_mpi_ring_relieve(const sl_mpi_ring_end *end) {
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&end->ring->starved, memory_order_relaxed) &&
           atomic_exchange_explicit(&end->ring->starved, 0, memory_order_relaxed);
}

#endif
