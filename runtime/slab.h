/* Small allocations of one thread: size classes with free lists, carved from large chunks that go
 * back only all together. What one thread allocates here, the same thread frees here. */
#ifndef SL_RUNTIME_SLAB_H
#define SL_RUNTIME_SLAB_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { SL_SLAB_GRAIN = 32, SL_SLAB_CLASSES = 129 };

/* Larger ones are the C library's; with AddressSanitizer all are, so that it sees their ends. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SL_SLAB_OFF
#endif
#endif
#if defined(SL_SLAB_OFF) || defined(__SANITIZE_ADDRESS__)
enum { SL_SLAB_MAX_BYTES = -1 };
#else
enum { SL_SLAB_MAX_BYTES = SL_SLAB_GRAIN * (SL_SLAB_CLASSES - 1) };
#endif

typedef struct sl_slab {
    void *free[SL_SLAB_CLASSES]; /* linked through their first word */
    uint8_t *at;                 /* unused rest of the newest chunk */
    uint8_t *end;
    void *chunks;
    uint64_t chunk_bytes; /* total taken from the system */
} sl_slab;

void sl_slab_init(sl_slab *slab);
void sl_slab_fini(sl_slab *slab);
void *sl_slab_refill(sl_slab *slab, size_t size_class);

/* 16-byte aligned memory, or NULL. */
static inline void *sl_slab_take(sl_slab *slab, size_t bytes) {
    if ((int64_t)bytes > SL_SLAB_MAX_BYTES)
        return malloc(bytes);
    size_t size_class = (bytes + SL_SLAB_GRAIN - 1) / SL_SLAB_GRAIN;
    void *taken = slab->free[size_class];
    if (!taken)
        return sl_slab_refill(slab, size_class);
    slab->free[size_class] = *(void **)taken;
    return taken;
}

/* `bytes` as it was taken with. */
static inline void sl_slab_give(sl_slab *slab, void *memory, size_t bytes) {
    if ((int64_t)bytes > SL_SLAB_MAX_BYTES) {
        free(memory);
        return;
    }
    size_t size_class = (bytes + SL_SLAB_GRAIN - 1) / SL_SLAB_GRAIN;
    *(void **)memory = slab->free[size_class];
    slab->free[size_class] = memory;
}

#endif
