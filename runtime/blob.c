/* Design notes
 * A fresh large allocation costs one page fault per 4 KiB, more than moving its bytes over shared
 * memory. Freed data of 64 KiB and more is therefore kept in power-of-two classes, bounded in
 * total, and handed out again. Small blobs go to the C library. */
#include "runtime/blob.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { FIRST_CLASS = 16, CLASSES = 35, UNCLASSED = 0, ALIGNMENT = 64 };
static const uint64_t cache_limit_bytes = (uint64_t)256 << 20;

static struct {
    pthread_mutex_t lock;
    struct cached {
        struct cached *next;
    } * free[CLASSES];
    uint64_t bytes;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Atomic uint64_t alive_bytes;

static uint32_t class_of(uint64_t bytes) {
    if (bytes < (uint64_t)1 << FIRST_CLASS)
        return UNCLASSED;
    uint32_t size_class = 64 - (uint32_t)__builtin_clzll(bytes - 1);
    return size_class < FIRST_CLASS ? FIRST_CLASS : size_class;
}

static void *cache_take(uint32_t size_class) {
    pthread_mutex_lock(&cache.lock);
    struct cached *entry = cache.free[size_class];
    if (entry) {
        cache.free[size_class] = entry->next;
        cache.bytes -= (uint64_t)1 << size_class;
    }
    pthread_mutex_unlock(&cache.lock);
    return entry;
}

static bool cache_put(uint32_t size_class, void *data) {
    uint64_t bytes = (uint64_t)1 << size_class;
    pthread_mutex_lock(&cache.lock);
    bool keep = cache.bytes + bytes <= cache_limit_bytes;
    if (keep) {
        struct cached *entry = data;
        entry->next = cache.free[size_class];
        cache.free[size_class] = entry;
        cache.bytes += bytes;
    }
    pthread_mutex_unlock(&cache.lock);
    return keep;
}

static void *data_allocate(uint64_t bytes, uint32_t size_class) {
    if (size_class == UNCLASSED)
        return aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT) & ~(uint64_t)(ALIGNMENT - 1));
    void *data = cache_take(size_class);
    if (data)
        return data;
    data = mmap(NULL, (size_t)1 << size_class, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                -1, 0);
    if (data == MAP_FAILED)
        return NULL;
    if (size_class >= 21)
        (void)madvise(data, (size_t)1 << size_class, MADV_HUGEPAGE);
    return data;
}

static void data_free(void *data, uint32_t size_class) {
    if (size_class == UNCLASSED)
        free(data);
    else if (!cache_put(size_class, data))
        munmap(data, (size_t)1 << size_class);
}

static sl_blob *header_create(uint64_t bytes) {
    sl_blob *blob = calloc(1, sizeof *blob);
    if (blob) {
        blob->bytes = bytes;
        atomic_init(&blob->references, 1);
    }
    return blob;
}

static sl_err out_of_memory(uint64_t bytes) {
    return sl_fail(SL_ERR_NO_MEMORY, "no memory for a blob of %llu bytes",
                   (unsigned long long)bytes);
}

sl_err sl_blob_create(uint64_t bytes, sl_blob **out) {
    if (bytes > SL_BLOB_MAX_BYTES)
        return sl_fail(SL_ERR_TOO_LARGE, "a blob of %llu bytes is over the bound of %llu",
                       (unsigned long long)bytes, (unsigned long long)SL_BLOB_MAX_BYTES);
    sl_blob *blob = header_create(bytes);
    if (!blob)
        return out_of_memory(bytes);
    blob->size_class = class_of(bytes);
    blob->data = data_allocate(bytes, blob->size_class);
    if (!blob->data) {
        free(blob);
        return out_of_memory(bytes);
    }
    atomic_fetch_add_explicit(&alive_bytes, bytes, memory_order_relaxed);
    *out = blob;
    return SL_OK;
}

sl_err sl_blob_copy(const void *data, uint64_t bytes, sl_blob **blob) {
    SL_TRY(sl_blob_create(bytes, blob));
    if (bytes)
        memcpy((*blob)->data, data, bytes);
    return SL_OK;
}

sl_err sl_blob_wrap(void *data, uint64_t bytes, void (*free_data)(void *, void *), void *context,
                    sl_blob **out) {
    sl_blob *blob = header_create(bytes);
    if (!blob)
        return out_of_memory(bytes);
    blob->data = data;
    blob->free_data = free_data;
    blob->context = context;
    atomic_fetch_add_explicit(&alive_bytes, bytes, memory_order_relaxed);
    *out = blob;
    return SL_OK;
}

sl_blob *sl_blob_retain(sl_blob *blob) {
    if (blob)
        atomic_fetch_add_explicit(&blob->references, 1, memory_order_relaxed);
    return blob;
}

void sl_blob_release(sl_blob *blob) {
    if (!blob || atomic_fetch_sub_explicit(&blob->references, 1, memory_order_acq_rel) != 1)
        return;
    atomic_fetch_sub_explicit(&alive_bytes, blob->bytes, memory_order_relaxed);
    if (blob->free_data)
        blob->free_data(blob->context, blob->data);
    else
        data_free(blob->data, blob->size_class);
    free(blob);
}

uint64_t sl_blob_alive_bytes(void) {
    return atomic_load_explicit(&alive_bytes, memory_order_relaxed);
}

uint64_t sl_blob_cached_bytes(void) {
    pthread_mutex_lock(&cache.lock);
    uint64_t bytes = cache.bytes;
    pthread_mutex_unlock(&cache.lock);
    return bytes;
}
