/* Memory for large blobs, in huge pages, used again when it is freed. Any thread; private to
 * blob.c.
 */
#ifndef SL_RUNTIME_PAGES_H
#define SL_RUNTIME_PAGES_H

#include <stdint.h>

/* Less belongs to the C library. */
#define SL_PAGES_LEAST_BYTES ((uint64_t)64 << 10)

/* A huge page that is cut into pieces. */
typedef struct sl_page sl_page;

/* Memory of at least `bytes` (SL_PAGES_LEAST_BYTES … 2^40), 64-byte aligned, uninitialised, or
 * NULL. *page is to be given back with it. */
void *sl_pages_take(uint64_t bytes, sl_page **page);
void sl_pages_give(void *data, uint64_t bytes, sl_page *page);

/* Bytes kept for reuse, bounded by 256 MiB. */
uint64_t sl_pages_cached_bytes(void);

#endif
