#include "actors/scheduler/ledger_columns.h"

#include <string.h>

#include "actors/scheduler/ledger_schema.h"

sl_err sl_ledger_reader_fail(sl_ledger_reader *reader) {
    return sl_ledger_sql_fail(reader->db, reader->path, "read it");
}

sl_err sl_ledger_query(sl_ledger_reader *reader, const char *sql, sqlite3_stmt **query) {
    if (sqlite3_prepare_v2(reader->db, sql, -1, query, NULL) != SQLITE_OK)
        return sl_ledger_reader_fail(reader);
    return SL_OK;
}

sl_err sl_ledger_next(sl_ledger_reader *reader, sqlite3_stmt *query, bool *row) {
    int code = sqlite3_step(query);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return sl_ledger_reader_fail(reader);
    *row = code == SQLITE_ROW;
    return SL_OK;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

bool sl_ledger_get_null(sl_ledger_cursor *cursor) {
    return sqlite3_column_type(cursor->query, cursor->column) == SQLITE_NULL;
}

int64_t sl_ledger_get_i64(sl_ledger_cursor *cursor) {
    return sqlite3_column_int64(cursor->query, cursor->column++);
}

uint32_t sl_ledger_get_u32(sl_ledger_cursor *cursor) {
    return (uint32_t)clamp(sl_ledger_get_i64(cursor), 0, UINT32_MAX);
}

int32_t sl_ledger_get_i32(sl_ledger_cursor *cursor, int32_t none) {
    if (sl_ledger_get_null(cursor)) {
        cursor->column++;
        return none;
    }
    return (int32_t)clamp(sl_ledger_get_i64(cursor), INT32_MIN, INT32_MAX);
}

double sl_ledger_get_real(sl_ledger_cursor *cursor) {
    return sqlite3_column_double(cursor->query, cursor->column++);
}

const char *sl_ledger_get_text(sl_ledger_cursor *cursor) {
    return (const char *)sqlite3_column_text(cursor->query, cursor->column++);
}

void sl_ledger_get_state(sl_ledger_cursor *cursor, sl_ledger_state none, sl_ledger_state *state) {
    const char *text = sl_ledger_get_text(cursor);
    *state = none;
    for (int i = 0; text && i < SL_LEDGER_STATES; i++)
        if (strcmp(text, sl_ledger_state_name((sl_ledger_state)i)) == 0)
            *state = (sl_ledger_state)i;
}

sl_err sl_ledger_latest_session(sl_ledger_reader *reader, int64_t *number, bool *live) {
    sqlite3_stmt *query = NULL;
    bool row = false;
    SL_TRY(sl_ledger_query(reader, "SELECT number, end_s FROM session ORDER BY number DESC LIMIT 1",
                           &query));
    sl_err err = sl_ledger_next(reader, query, &row);
    if (err == SL_OK) {
        sl_ledger_cursor at = {.query = query};
        *number = row ? sl_ledger_get_i64(&at) : 0;
        *live = row && sl_ledger_get_null(&at);
    }
    sqlite3_finalize(query);
    return err;
}
