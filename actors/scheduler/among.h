/* The nodes that a task may run on, where its submitter says so: a bit for each, the least first.
 *
 * Tasks of one submitter mostly name the same nodes, so that equal sets are one, counted by the
 * tasks that have it; to the queue they are of one shape then. */
#ifndef SL_SCHEDULER_AMONG_H
#define SL_SCHEDULER_AMONG_H

#include <stdbool.h>

#include "actors/scheduler/scheduler_msgs.h"

enum { SL_AMONG_MOST = 65536 /* different sets at once */ };

typedef struct sl_among {
    struct sl_among *next;
    uint64_t hash;
    uint32_t tasks;
    uint32_t bytes;
    uint8_t bits[];
} sl_among;

typedef struct sl_amongs {
    sl_among *first; /* that used last */
    uint32_t count;
} sl_amongs;

/* The set with these bits, counted once more; NULL for none, which is any node. SL_ERR_TOO_LARGE:
 * there are too many; SL_ERR_NO_MEMORY. */
sl_err sl_among_take(sl_amongs *all, sl_bytes bits, sl_among **among) SL_CHECKED;

/* NULL is fine. */
void sl_among_give(sl_amongs *all, sl_among *among);

static inline bool sl_among_has(const sl_among *among, uint32_t node) {
    return !among || (node / 8 < among->bytes && among->bits[node / 8] >> node % 8 & 1);
}

#endif
