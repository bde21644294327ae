/* The tables of a ledger, and the connection to its file. Used by the writer and the reader. */
#ifndef SL_ACTORS_SCHEDULER_LEDGER_SCHEMA_H
#define SL_ACTORS_SCHEDULER_LEDGER_SCHEMA_H

#include <sqlite3.h>

#include "actors/scheduler/ledger.h"
#include "actors/scheduler/ledger_disk.h"

#define SL_LEDGER_SCHEMA_VERSION 1
#define SL_LEDGER_APPLICATION_ID 0x534c4c47 /* "SLLG", in the file's header */

/* SL_ERR_LEDGER with what was being done (`what`), SQLite's message and the system's. */
sl_err sl_ledger_sql_fail(sqlite3 *db, const char *path, const char *what);

/* Runs statements without results. */
sl_err sl_ledger_sql_run(sqlite3 *db, const char *path, const char *sql) SL_CHECKED;

/* Makes a new ledger with `meta` in it, which appears under its name only when it is whole and on
 * disk. The caller holds the lock and knows that `path` holds nothing to keep. */
sl_err sl_ledger_schema_create(const sl_ledger_disk *disk, const char *path,
                               const sl_ledger_meta *meta, size_t meta_count) SL_CHECKED;

/* Opens an existing ledger as hostile input: no views, triggers or functions of its own are run.
 * SL_ERR_NOT_FOUND: no file, or an empty one; SL_ERR_LEDGER: not a ledger, or one of a newer
 * schema, which is left as it is. */
sl_err sl_ledger_schema_connect(const sl_ledger_disk *disk, const char *path, bool write,
                                sqlite3 **db) SL_CHECKED;

#endif
