/* Blobs: reference-counted byte arrays that large payloads travel in, never copied through a
 * mailbox.
 *
 * A blob's bytes may be written only by who created it and before it is shared; afterwards they are
 * read-only. Counts are atomic, so any thread may retain and release. */
#ifndef SL_RUNTIME_BLOB_H
#define SL_RUNTIME_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

/* Larger ones are refused with SL_ERR_TOO_LARGE (16 GiB). */
#define SL_BLOB_MAX_BYTES ((uint64_t)16 << 30)

typedef struct sl_blob {
    uint8_t *data; /* 64-byte aligned when created here */
    uint64_t bytes;
    _Atomic uint32_t references;
    struct sl_page *page;                         /* private */
    void (*free_data)(void *context, void *data); /* of wrapped data; NULL otherwise */
    void *context;
} sl_blob;

/* A blob of `bytes` uninitialised bytes with one reference, owned by the caller. */
sl_err sl_blob_create(uint64_t bytes, sl_blob **blob) SL_CHECKED;

/* As above, with a copy of `data`. */
sl_err sl_blob_copy(const void *data, uint64_t bytes, sl_blob **blob) SL_CHECKED;

/* Takes over `data`; `free_data(context, data)` is called when the last reference goes (any
 * thread). */
sl_err sl_blob_wrap(void *data, uint64_t bytes, void (*free_data)(void *, void *), void *context,
                    sl_blob **blob) SL_CHECKED;

/* One more reference; returns `blob` for convenience. NULL is allowed in both. */
sl_blob *sl_blob_retain(sl_blob *blob);
void sl_blob_release(sl_blob *blob);

/* Bytes alive in blobs of this process, and bytes kept for reuse (bounded by 256 MiB). */
uint64_t sl_blob_alive_bytes(void);
uint64_t sl_blob_cached_bytes(void);

#endif
