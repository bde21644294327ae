/* A batch of posts to the ledger: a fixed piece of memory that posts are copied into, in order, and
 * that is emptied as a whole. Two of them take turns: one fills while the other is written. */
#ifndef SL_ACTORS_SCHEDULER_LEDGER_BATCH_H
#define SL_ACTORS_SCHEDULER_LEDGER_BATCH_H

#include "actors/scheduler/ledger.h"

/* One sl_ledger_post(), copied: it and all it points to lie in the batch. */
typedef struct sl_ledger_post_item {
    struct sl_ledger_post_item *next;
    sl_ledger_done *done; /* or NULL */
    void *context;
    size_t count;
    sl_err err;                      /* what to call back with */
    const sl_ledger_record *refused; /* the record that was, when err is SL_ERR_EXISTS */
    sl_ledger_record records[];
} sl_ledger_post_item;

typedef struct sl_ledger_batch {
    char *bytes;
    size_t used_bytes;
    size_t capacity_bytes;
    sl_ledger_post_item *first;
    sl_ledger_post_item *last;
    uint64_t posts;
    bool awaited; /* some post has a callback */
} sl_ledger_batch;

sl_err sl_ledger_batch_init(sl_ledger_batch *batch, size_t capacity_bytes) SL_CHECKED;
void sl_ledger_batch_fini(sl_ledger_batch *batch); /* safe on a zeroed struct */

/* Copies a post in. SL_ERR_INVALID, SL_ERR_TOO_LARGE or SL_ERR_AGAIN as sl_ledger_post() says; the
 * batch is then as it was. */
sl_err sl_ledger_batch_add(sl_ledger_batch *batch, const sl_ledger_record *records, size_t count,
                           sl_ledger_done *done, void *context) SL_CHECKED;

void sl_ledger_batch_clear(sl_ledger_batch *batch);

#endif
