/* Small blobs are one piece of the C library's, the data of large ones lies in pages.h. */
#include "runtime/blob.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/pages.h"

enum { ALIGNMENT = 64 };

static _Atomic uint64_t alive_bytes;

static sl_blob *header_create(uint64_t bytes, uint64_t behind_bytes) {
    sl_blob *blob = malloc(sizeof *blob + behind_bytes);
    if (blob) {
        memset(blob, 0, sizeof *blob);
        blob->bytes = bytes;
        atomic_init(&blob->references, 1);
    }
    return blob;
}

/* With its data behind it. */
static sl_blob *small_create(uint64_t bytes) {
    sl_blob *blob = header_create(bytes, bytes + ALIGNMENT);
    if (blob)
        blob->data =
            (uint8_t *)(((uintptr_t)(blob + 1) + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
    return blob;
}

static sl_blob *large_create(uint64_t bytes) {
    sl_blob *blob = header_create(bytes, 0);
    if (!blob)
        return NULL;
    blob->data = sl_pages_take(bytes, &blob->page);
    if (blob->data)
        return blob;
    free(blob);
    return NULL;
}

static sl_err out_of_memory(uint64_t bytes) {
    return sl_fail(SL_ERR_NO_MEMORY, "no memory for a blob of %llu bytes",
                   (unsigned long long)bytes);
}

sl_err sl_blob_create(uint64_t bytes, sl_blob **out) {
    if (bytes > SL_BLOB_MAX_BYTES)
        return sl_fail(SL_ERR_TOO_LARGE, "a blob of %llu bytes is over the bound of %llu",
                       (unsigned long long)bytes, (unsigned long long)SL_BLOB_MAX_BYTES);
    sl_blob *blob = bytes < SL_PAGES_LEAST_BYTES ? small_create(bytes) : large_create(bytes);
    if (!blob)
        return out_of_memory(bytes);
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
    sl_blob *blob = header_create(bytes, 0);
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
    else if (blob->bytes >= SL_PAGES_LEAST_BYTES)
        sl_pages_give(blob->data, blob->bytes, blob->page);
    free(blob);
}

uint64_t sl_blob_alive_bytes(void) {
    return atomic_load_explicit(&alive_bytes, memory_order_relaxed);
}

uint64_t sl_blob_cached_bytes(void) {
    return sl_pages_cached_bytes();
}
