/* A small ledger for fuzz programs, and disks in memory with files of any bytes on them. */
#ifndef SL_TESTS_LEDGER_SAMPLE_H
#define SL_TESTS_LEDGER_SAMPLE_H

#include <sqlite3.h>

#include "actors/scheduler/ledger.h"
#include "actors/scheduler/ledger_simdisk.h"

/* Writes a ledger at `path` with tasks in every state, their attempts, placements and nodes, in a
 * session that has not ended when `live`. Aborts where it cannot. */
void ledger_sample_write(const sl_ledger_disk *disk, const char *path, bool live);

/* Makes `path` on the disk a file of these bytes, and nothing beside it; or reads up to `size` of
 * its bytes, and returns how many it has. */
void ledger_sample_put(const sl_ledger_disk *disk, const char *path, const void *bytes,
                       size_t size);
size_t ledger_sample_get(const sl_ledger_disk *disk, const char *path, void *bytes, size_t size);

/* Keeps a file open, and changes one of its bytes at once: what a reader has open meanwhile stays
 * open. One file at a time. */
void ledger_sample_open(const sl_ledger_disk *disk, const char *path);
void ledger_sample_poke(size_t offset, uint8_t value);

/* From now on statements of this connection are compiled once: where they are finalized they wait
 * to be prepared again. For programs that are linked with --wrap=sqlite3_prepare_v2 and
 * --wrap=sqlite3_finalize. */
void ledger_sample_keep_statements(sqlite3 *db);

/* SQLite, which no sanitizer looks into here, gets memory of its own: for one thread, before it is
 * used. Most of the time of a fuzz program would go into the sanitizer's bookkeeping of it. */
void ledger_sample_fast_memory(void);

#endif
