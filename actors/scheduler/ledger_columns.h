/* Inside the reader: one query at a time, and columns taken with suspicion. */
#ifndef SL_ACTORS_SCHEDULER_LEDGER_COLUMNS_H
#define SL_ACTORS_SCHEDULER_LEDGER_COLUMNS_H

#include <sqlite3.h>

#include "actors/scheduler/ledger_reader.h"

struct sl_ledger_reader {
    sqlite3 *db;
    char *path;
};

/* SL_ERR_LEDGER with the cause: a statement could not be prepared or stepped. */
sl_err sl_ledger_reader_fail(sl_ledger_reader *reader);

/* Prepares `sql`. */
sl_err sl_ledger_query(sl_ledger_reader *reader, const char *sql, sqlite3_stmt **query) SL_CHECKED;

/* The next row: SL_OK with *row telling whether there was one. */
sl_err sl_ledger_next(sl_ledger_reader *reader, sqlite3_stmt *query, bool *row) SL_CHECKED;

/* Columns read in order; numbers out of range become the nearest in range, NULL becomes `none`. */
typedef struct sl_ledger_cursor {
    sqlite3_stmt *query;
    int column;
} sl_ledger_cursor;

bool sl_ledger_get_null(sl_ledger_cursor *cursor); /* looks at the next column, stays there */
uint32_t sl_ledger_get_u32(sl_ledger_cursor *cursor);
int32_t sl_ledger_get_i32(sl_ledger_cursor *cursor, int32_t none);
int64_t sl_ledger_get_i64(sl_ledger_cursor *cursor);
double sl_ledger_get_real(sl_ledger_cursor *cursor);
const char *sl_ledger_get_text(sl_ledger_cursor *cursor); /* or NULL; until the next row */
void sl_ledger_get_state(sl_ledger_cursor *cursor, sl_ledger_state none, sl_ledger_state *state);

/* The latest session, and whether it has not ended. 0 and false in a ledger without any. */
sl_err sl_ledger_latest_session(sl_ledger_reader *reader, int64_t *number, bool *live) SL_CHECKED;

#endif
