/* From records to rows: the prepared statements of the writer. */
#ifndef SL_ACTORS_SCHEDULER_LEDGER_ROWS_H
#define SL_ACTORS_SCHEDULER_LEDGER_ROWS_H

#include <sqlite3.h>

#include "actors/scheduler/ledger.h"

typedef enum sl_ledger_statement {
    SL_LEDGER_SQL_TASK,
    SL_LEDGER_SQL_DEPENDENCY,
    SL_LEDGER_SQL_PLACEMENT,
    SL_LEDGER_SQL_START,
    SL_LEDGER_SQL_ATTEMPT,
    SL_LEDGER_SQL_RESULT,
    SL_LEDGER_SQL_REOPEN,
    SL_LEDGER_SQL_NODE,
    SL_LEDGER_SQL_META,
    SL_LEDGER_STATEMENTS
} sl_ledger_statement;

typedef struct sl_ledger_rows {
    sqlite3_stmt *statements[SL_LEDGER_STATEMENTS];
    int64_t session; /* the number in this session's rows */
} sl_ledger_rows;

/* Prepares every statement; a SQLite code. `rows->session` is the caller's to set. */
int sl_ledger_rows_prepare(sl_ledger_rows *rows, sqlite3 *db);
void sl_ledger_rows_finalize(sl_ledger_rows *rows); /* safe on a zeroed struct */

/* Writes one record within the open transaction: SQLITE_DONE, or SQLite's (extended) code.
 * Statements keep pointing into the record until the next one of its kind. */
int sl_ledger_rows_write(sl_ledger_rows *rows, const sl_ledger_record *record);

#endif
