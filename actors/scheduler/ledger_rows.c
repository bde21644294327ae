/* Design notes: strings are bound without a copy, since they lie in the batch until the commit.
 * Names of states are written as words, and "there is none" as NULL, because people read these
 * tables. */
#include "actors/scheduler/ledger_rows.h"

#include <string.h>

static const char *const statements_sql[SL_LEDGER_STATEMENTS] = {
    [SL_LEDGER_SQL_TASK] =
        "INSERT INTO task (id, name, accepted_s, priority, cpus, gpus, memory_bytes, ucu_milli,"
        " region, timeout_s, retries, spec) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
    [SL_LEDGER_SQL_DEPENDENCY] = "INSERT OR IGNORE INTO dependency (task, after) VALUES (?,?)",
    [SL_LEDGER_SQL_PLACEMENT] =
        "INSERT OR REPLACE INTO placement (task, choice, attempt, rank, at_s, policy, ucu_milli,"
        " reason) VALUES (?,?,?,?,?,?,?,?)",
    [SL_LEDGER_SQL_START] =
        "INSERT OR REPLACE INTO attempt (task, attempt, session, rank, host, region, pid, start_s)"
        " VALUES (?,?,?,?,?,?,?,?)",
    [SL_LEDGER_SQL_ATTEMPT] =
        "INSERT INTO attempt (task, attempt, session, rank, host, region, start_s, end_s, state,"
        " exit_code, signal, user_s, sys_s, max_rss_bytes, message)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (task, attempt) DO UPDATE SET"
        " rank = excluded.rank, host = excluded.host, region = excluded.region,"
        " start_s = excluded.start_s, end_s = excluded.end_s, state = excluded.state,"
        " exit_code = excluded.exit_code, signal = excluded.signal, user_s = excluded.user_s,"
        " sys_s = excluded.sys_s, max_rss_bytes = excluded.max_rss_bytes,"
        " message = excluded.message",
    [SL_LEDGER_SQL_RESULT] =
        "INSERT INTO result (task, state, attempts, exit_code, signal, rank, host, region, start_s,"
        " end_s, user_s, sys_s, max_rss_bytes, message) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SL_LEDGER_SQL_REOPEN] = "DELETE FROM result WHERE task = ?",
    [SL_LEDGER_SQL_NODE] =
        "INSERT OR REPLACE INTO node (session, rank, host, region, cores, memory_bytes, gpus,"
        " ucu_milli) VALUES (?,?,?,?,?,?,?,?)",
    [SL_LEDGER_SQL_META] = "INSERT OR REPLACE INTO run (key, value) VALUES (?,?)",
};

/* A statement being filled: binds go to the next place. Binding errors (out of memory) surface as a
 * code from run(), which nothing can overlook. */
typedef struct row {
    sqlite3_stmt *statement;
    int place;
    int code;
} row;

static row row_of(sl_ledger_rows *rows, sl_ledger_statement which) {
    return (row){.statement = rows->statements[which], .place = 1, .code = SQLITE_OK};
}

static void keep(row *r, int code) {
    r->place++;
    if (code != SQLITE_OK && r->code == SQLITE_OK)
        r->code = code;
}

static void put_integer(row *r, int64_t value) {
    keep(r, sqlite3_bind_int64(r->statement, r->place, value));
}

static void put_unless(row *r, int64_t value, int64_t none) {
    keep(r, value == none ? sqlite3_bind_null(r->statement, r->place)
                          : sqlite3_bind_int64(r->statement, r->place, value));
}

static void put_real(row *r, double value) {
    keep(r, sqlite3_bind_double(r->statement, r->place, value));
}

static void put_text(row *r, const char *text) {
    keep(r, text ? sqlite3_bind_text(r->statement, r->place, text, (int)strlen(text), SQLITE_STATIC)
                 : sqlite3_bind_null(r->statement, r->place));
}

static int run(row *r) {
    int code = r->code == SQLITE_OK ? sqlite3_step(r->statement) : r->code;
    sqlite3_reset(r->statement);
    return code;
}

static int write_task(sl_ledger_rows *rows, const sl_ledger_task *task) {
    row r = row_of(rows, SL_LEDGER_SQL_TASK);
    put_integer(&r, task->id);
    put_text(&r, task->name);
    put_real(&r, task->accepted_s);
    put_integer(&r, task->priority);
    put_integer(&r, task->cpus);
    put_integer(&r, task->gpus);
    put_integer(&r, (int64_t)task->memory_bytes);
    put_integer(&r, task->ucu_milli);
    put_text(&r, task->region);
    put_real(&r, task->timeout_s);
    put_integer(&r, task->retries);
    put_text(&r, task->spec);
    int code = run(&r);
    for (uint32_t i = 0; code == SQLITE_DONE && i < task->after_count; i++) {
        row edge = row_of(rows, SL_LEDGER_SQL_DEPENDENCY);
        put_integer(&edge, task->id);
        put_integer(&edge, task->after[i]);
        code = run(&edge);
    }
    return code;
}

static int write_placement(sl_ledger_rows *rows, const sl_ledger_placement *placement) {
    row r = row_of(rows, SL_LEDGER_SQL_PLACEMENT);
    put_integer(&r, placement->task);
    put_integer(&r, placement->choice);
    put_integer(&r, placement->attempt);
    put_integer(&r, placement->rank);
    put_real(&r, placement->at_s);
    put_text(&r, placement->policy);
    put_integer(&r, placement->ucu_milli);
    put_text(&r, placement->reason);
    return run(&r);
}

static int write_start(sl_ledger_rows *rows, const sl_ledger_start *start) {
    row r = row_of(rows, SL_LEDGER_SQL_START);
    put_integer(&r, start->task);
    put_integer(&r, start->attempt);
    put_integer(&r, rows->session);
    put_unless(&r, start->rank, -1);
    put_text(&r, start->host);
    put_text(&r, start->region);
    put_unless(&r, start->pid, 0);
    put_real(&r, start->start_s);
    return run(&r);
}

static void put_usage(row *r, const sl_ledger_outcome *outcome) {
    put_real(r, outcome->user_s);
    put_real(r, outcome->sys_s);
    put_integer(r, (int64_t)outcome->max_rss_bytes);
    put_text(r, outcome->message);
}

static int write_attempt(sl_ledger_rows *rows, const sl_ledger_outcome *outcome) {
    row r = row_of(rows, SL_LEDGER_SQL_ATTEMPT);
    put_integer(&r, outcome->task);
    put_integer(&r, outcome->attempt);
    put_integer(&r, rows->session);
    put_unless(&r, outcome->rank, -1);
    put_text(&r, outcome->host);
    put_text(&r, outcome->region);
    put_real(&r, outcome->start_s);
    put_real(&r, outcome->end_s);
    put_text(&r, sl_ledger_state_name(outcome->state));
    put_unless(&r, outcome->exit_code, -1);
    put_unless(&r, outcome->signal, 0);
    put_usage(&r, outcome);
    return run(&r);
}

static int write_result(sl_ledger_rows *rows, const sl_ledger_outcome *outcome) {
    row r = row_of(rows, SL_LEDGER_SQL_RESULT);
    put_integer(&r, outcome->task);
    put_text(&r, sl_ledger_state_name(outcome->state));
    put_integer(&r, outcome->attempt);
    put_unless(&r, outcome->exit_code, -1);
    put_unless(&r, outcome->signal, 0);
    put_unless(&r, outcome->rank, -1);
    put_text(&r, outcome->host);
    put_text(&r, outcome->region);
    put_real(&r, outcome->start_s);
    put_real(&r, outcome->end_s);
    put_usage(&r, outcome);
    int code = run(&r);
    if (code == SQLITE_DONE && outcome->attempt > 0)
        code = write_attempt(rows, outcome);
    return code;
}

static int write_reopen(sl_ledger_rows *rows, uint32_t task) {
    row r = row_of(rows, SL_LEDGER_SQL_REOPEN);
    put_integer(&r, task);
    return run(&r);
}

static int write_node(sl_ledger_rows *rows, const sl_ledger_node *node) {
    row r = row_of(rows, SL_LEDGER_SQL_NODE);
    put_integer(&r, rows->session);
    put_integer(&r, node->rank);
    put_text(&r, node->host);
    put_text(&r, node->region);
    put_integer(&r, node->cores);
    put_integer(&r, (int64_t)node->memory_bytes);
    put_integer(&r, node->gpus);
    put_integer(&r, node->ucu_milli);
    return run(&r);
}

static int write_meta(sl_ledger_rows *rows, const sl_ledger_meta *meta) {
    row r = row_of(rows, SL_LEDGER_SQL_META);
    put_text(&r, meta->key);
    put_text(&r, meta->value);
    return run(&r);
}

int sl_ledger_rows_write(sl_ledger_rows *rows, const sl_ledger_record *record) {
    switch (record->kind) {
    case SL_LEDGER_TASK:
        return write_task(rows, &record->task);
    case SL_LEDGER_PLACEMENT:
        return write_placement(rows, &record->placement);
    case SL_LEDGER_START:
        return write_start(rows, &record->start);
    case SL_LEDGER_ATTEMPT:
        return write_attempt(rows, &record->outcome);
    case SL_LEDGER_RESULT:
        return write_result(rows, &record->outcome);
    case SL_LEDGER_REOPEN:
        return write_reopen(rows, record->reopen);
    case SL_LEDGER_NODE:
        return write_node(rows, &record->node);
    case SL_LEDGER_META:
        return write_meta(rows, &record->meta);
    case SL_LEDGER_KINDS:
        break;
    }
    return SQLITE_MISUSE;
}

int sl_ledger_rows_prepare(sl_ledger_rows *rows, sqlite3 *db) {
    for (int i = 0; i < SL_LEDGER_STATEMENTS; i++) {
        int code = sqlite3_prepare_v3(db, statements_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &rows->statements[i], NULL);
        if (code != SQLITE_OK)
            return code;
    }
    return SQLITE_OK;
}

void sl_ledger_rows_finalize(sl_ledger_rows *rows) {
    for (int i = 0; i < SL_LEDGER_STATEMENTS; i++)
        sqlite3_finalize(rows->statements[i]);
    *rows = (sl_ledger_rows){0};
}
