/* The writing side of a ledger's file: one connection, its prepared statements, one batch = one
 * transaction. One thread at a time. */
#ifndef SL_ACTORS_SCHEDULER_LEDGER_STORE_H
#define SL_ACTORS_SCHEDULER_LEDGER_STORE_H

#include <sqlite3.h>

#include "actors/scheduler/ledger.h"
#include "actors/scheduler/ledger_batch.h"
#include "actors/scheduler/ledger_rows.h"
#include "actors/scheduler/ledger_schema.h"

typedef struct sl_ledger_store {
    sqlite3 *db;
    const char *path;      /* borrowed */
    const sl_clock *clock; /* borrowed */
    uint64_t patience_ns;
    uint64_t busy_since_ns; /* of the lock being waited for */
    uint64_t busy_told_ns;
    int log_pages;   /* in the write-ahead log after the last commit */
    int moved_pages; /* of them, in the file already */
    bool wal;
    bool alone; /* see sl_ledger_disk */
    sl_ledger_rows rows;
} sl_ledger_store;

/* Opens the existing ledger at `path` and adds a session. `store` must not move afterwards. */
sl_err sl_ledger_store_open(const char *path, const sl_ledger_options *options,
                            sl_ledger_store *store) SL_CHECKED;

/* Writes the batch as one durable transaction. Posts that are refused get SL_ERR_EXISTS in their
 * `err`, the others SL_OK. SL_ERR_LEDGER: nothing of it is written. */
sl_err sl_ledger_store_write(sl_ledger_store *store, sl_ledger_batch *batch) SL_CHECKED;

/* How many pages a checkpoint would move now. */
int sl_ledger_store_log_pages(const sl_ledger_store *store);

/* Moves the log into the file, as far as readers allow. */
void sl_ledger_store_checkpoint(sl_ledger_store *store);

/* Writes the end record. */
sl_err sl_ledger_store_end(sl_ledger_store *store, const sl_ledger_end *end) SL_CHECKED;

/* Folds the log in, makes the ledger one plain file if no reader is in the way, and closes. Safe on
 * a zeroed struct. */
void sl_ledger_store_close(sl_ledger_store *store);

#endif
