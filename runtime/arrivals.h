/* Lists of bulk transfers by which a transport matches what has arrived with what is expected: both
 * sides number them in order, so that the first looked at usually fits. Private to transports. */
#ifndef SL_RUNTIME_ARRIVALS_H
#define SL_RUNTIME_ARRIVALS_H

#include "runtime/blob.h"

typedef struct sl_arrival {
    struct sl_arrival *next;
    uint64_t id;
    uint64_t bytes;
    sl_blob *blob;    /* one reference, or NULL */
    uint64_t address; /* of the data in its sender's memory, where that is how it is fetched */
    uint32_t peer;
    uint32_t kind; /* the transport's own */
} sl_arrival;

typedef struct sl_arrivals {
    sl_arrival *head;
    sl_arrival *tail;
} sl_arrivals;

/* NULL when there is no memory. The entry takes over the reference to `blob`. */
sl_arrival *sl_arrival_create(uint32_t peer, uint64_t id, uint64_t bytes, sl_blob *blob);

/* Releases the blob too. */
void sl_arrival_free(sl_arrival *arrival);

void sl_arrivals_push(sl_arrivals *list, sl_arrival *arrival);

/* The first, or NULL. */
sl_arrival *sl_arrivals_pop(sl_arrivals *list);

/* The first entry of transfer `id`, taken out; NULL when there is none. */
sl_arrival *sl_arrivals_take(sl_arrivals *list, uint64_t id);

/* Frees all entries, those of one peer, or those with lower ids. */
void sl_arrivals_clear(sl_arrivals *list);
void sl_arrivals_drop_peer(sl_arrivals *list, uint32_t peer);
void sl_arrivals_drop_below(sl_arrivals *list, uint64_t id);

#endif
