/* The smaller queries of the reader: each walks the rows of one table. */
#include <stdlib.h>
#include <string.h>

#include "actors/scheduler/ledger_columns.h"

/* Reads one row and hands it to its visitor. */
typedef sl_err row_reader(sl_ledger_cursor *at, void *visitor);

/* Walks the rows of `sql`; `key` is bound to its parameter when it has one. */
static sl_err each_row(sl_ledger_reader *reader, const char *sql, int64_t key, row_reader *read,
                       void *visitor) {
    sqlite3_stmt *query = NULL;
    SL_TRY(sl_ledger_query(reader, sql, &query));
    if (sqlite3_bind_parameter_count(query))
        sqlite3_bind_int64(query, 1, key);
    bool row = false;
    sl_err err = sl_ledger_next(reader, query, &row);
    while (err == SL_OK && row) {
        sl_ledger_cursor at = {.query = query};
        err = read(&at, visitor);
        if (err == SL_OK)
            err = sl_ledger_next(reader, query, &row);
    }
    sqlite3_finalize(query);
    return err;
}

typedef struct attempt_visitor {
    sl_ledger_visit_attempt *visit;
    void *context;
} attempt_visitor;

static sl_err read_attempt(sl_ledger_cursor *at, void *visitor) {
    attempt_visitor *to = visitor;
    sl_ledger_attempt attempt = {0};
    sl_ledger_outcome *outcome = &attempt.outcome;
    outcome->task = sl_ledger_get_u32(at);
    outcome->attempt = sl_ledger_get_u32(at);
    attempt.session = sl_ledger_get_u32(at);
    outcome->rank = sl_ledger_get_i32(at, -1);
    outcome->host = sl_ledger_get_text(at);
    outcome->region = sl_ledger_get_text(at);
    attempt.pid = sl_ledger_get_i32(at, 0);
    outcome->start_s = sl_ledger_get_real(at);
    outcome->end_s = sl_ledger_get_real(at);
    sl_ledger_get_state(at, SL_LEDGER_RUNNING, &outcome->state);
    outcome->exit_code = sl_ledger_get_i32(at, -1);
    outcome->signal = sl_ledger_get_i32(at, 0);
    outcome->user_s = sl_ledger_get_real(at);
    outcome->sys_s = sl_ledger_get_real(at);
    outcome->max_rss_bytes = (uint64_t)sl_ledger_get_i64(at);
    outcome->message = sl_ledger_get_text(at);
    return to->visit(to->context, &attempt);
}

sl_err sl_ledger_read_attempts(sl_ledger_reader *reader, uint32_t task,
                               sl_ledger_visit_attempt *visit, void *context) {
    attempt_visitor to = {visit, context};
    return each_row(reader,
                    "SELECT task, attempt, session, rank, host, region, pid, start_s, end_s, state,"
                    " exit_code, signal, user_s, sys_s, max_rss_bytes, message FROM attempt"
                    " WHERE task = ? ORDER BY attempt",
                    task, read_attempt, &to);
}

typedef struct placement_visitor {
    sl_ledger_visit_placement *visit;
    void *context;
} placement_visitor;

static sl_err read_placement(sl_ledger_cursor *at, void *visitor) {
    placement_visitor *to = visitor;
    sl_ledger_placement placement = {0};
    placement.task = sl_ledger_get_u32(at);
    placement.choice = sl_ledger_get_u32(at);
    placement.attempt = sl_ledger_get_u32(at);
    placement.rank = sl_ledger_get_i32(at, -1);
    placement.at_s = sl_ledger_get_real(at);
    placement.policy = sl_ledger_get_text(at);
    placement.ucu_milli = sl_ledger_get_i64(at);
    placement.reason = sl_ledger_get_text(at);
    if (!placement.policy)
        return sl_fail(SL_ERR_LEDGER, "ledger holds a placement of task %u without a policy",
                       placement.task);
    return to->visit(to->context, &placement);
}

sl_err sl_ledger_read_placements(sl_ledger_reader *reader, uint32_t task,
                                 sl_ledger_visit_placement *visit, void *context) {
    placement_visitor to = {visit, context};
    return each_row(reader,
                    "SELECT task, choice, attempt, rank, at_s, policy, ucu_milli, reason"
                    " FROM placement WHERE task = ? ORDER BY choice",
                    task, read_placement, &to);
}

typedef struct node_visitor {
    sl_ledger_visit_node *visit;
    void *context;
} node_visitor;

static sl_err read_node(sl_ledger_cursor *at, void *visitor) {
    node_visitor *to = visitor;
    sl_ledger_node node = {0};
    uint32_t session = sl_ledger_get_u32(at);
    node.rank = sl_ledger_get_u32(at);
    node.host = sl_ledger_get_text(at);
    node.region = sl_ledger_get_text(at);
    node.cores = sl_ledger_get_u32(at);
    node.memory_bytes = (uint64_t)sl_ledger_get_i64(at);
    node.gpus = sl_ledger_get_u32(at);
    node.ucu_milli = sl_ledger_get_i64(at);
    return to->visit(to->context, session, &node);
}

sl_err sl_ledger_read_nodes(sl_ledger_reader *reader, sl_ledger_visit_node *visit, void *context) {
    node_visitor to = {visit, context};
    return each_row(reader,
                    "SELECT session, rank, host, region, cores, memory_bytes, gpus, ucu_milli"
                    " FROM node WHERE session = (SELECT max(session) FROM node) ORDER BY rank",
                    0, read_node, &to);
}

typedef struct session_visitor {
    sl_ledger_visit_session *visit;
    void *context;
} session_visitor;

static sl_err read_session(sl_ledger_cursor *at, void *visitor) {
    session_visitor *to = visitor;
    sl_ledger_session session = {0};
    session.number = sl_ledger_get_u32(at);
    session.start_s = sl_ledger_get_real(at);
    session.host = sl_ledger_get_text(at);
    session.pid = sl_ledger_get_i32(at, 0);
    session.version = sl_ledger_get_text(at);
    session.command = sl_ledger_get_text(at);
    session.ended = !sl_ledger_get_null(at);
    session.end_s = sl_ledger_get_real(at);
    session.reason = sl_ledger_get_text(at);
    session.exit_code = sl_ledger_get_i32(at, -1);
    return to->visit(to->context, &session);
}

sl_err sl_ledger_read_sessions(sl_ledger_reader *reader, sl_ledger_visit_session *visit,
                               void *context) {
    session_visitor to = {visit, context};
    return each_row(reader,
                    "SELECT number, start_s, host, pid, version, command, end_s, reason, exit_code"
                    " FROM session ORDER BY number",
                    0, read_session, &to);
}

/* The first row of a query with one text parameter; *row false when there is none. */
static sl_err look_up(sl_ledger_reader *reader, const char *sql, const char *key,
                      sqlite3_stmt **query, bool *row) {
    SL_TRY(sl_ledger_query(reader, sql, query));
    sqlite3_bind_text(*query, 1, key, -1, SQLITE_STATIC);
    return sl_ledger_next(reader, *query, row);
}

sl_err sl_ledger_find(sl_ledger_reader *reader, const char *name, uint32_t *id) {
    sqlite3_stmt *query = NULL;
    bool row = false;
    sl_err err = look_up(reader, "SELECT id FROM task WHERE name = ?", name, &query, &row);
    if (err == SL_OK && !row)
        err = sl_fail(SL_ERR_NOT_FOUND, "there is no task named \"%s\" in %s", name, reader->path);
    if (err == SL_OK)
        *id = sl_ledger_get_u32(&(sl_ledger_cursor){.query = query});
    sqlite3_finalize(query);
    return err;
}

sl_err sl_ledger_read_meta(sl_ledger_reader *reader, const char *key, char **value) {
    sqlite3_stmt *query = NULL;
    bool row = false;
    sl_err err = look_up(reader, "SELECT value FROM run WHERE key = ?", key, &query, &row);
    const char *text =
        err == SL_OK && row ? sl_ledger_get_text(&(sl_ledger_cursor){.query = query}) : NULL;
    char *copy = text ? strdup(text) : NULL;
    sqlite3_finalize(query);
    SL_TRY(err);
    if (!text)
        return sl_fail(SL_ERR_NOT_FOUND, "%s does not say \"%s\"", reader->path, key);
    if (!copy)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to read ledger %s", reader->path);
    *value = copy;
    return SL_OK;
}

/* Rows of (state, count); "accepted" comes with the number of all tasks. */
static sl_err read_count(sl_ledger_cursor *at, void *visitor) {
    sl_ledger_counts *counts = visitor;
    sl_ledger_state state;
    sl_ledger_get_state(at, SL_LEDGER_STATES, &state);
    if (state == SL_LEDGER_STATES)
        return sl_fail(SL_ERR_LEDGER, "ledger holds a result without a known state");
    counts->by_state[state] += (uint64_t)sl_ledger_get_i64(at);
    return SL_OK;
}

sl_err sl_ledger_read_counts(sl_ledger_reader *reader, sl_ledger_counts *counts) {
    sl_ledger_counts found = {0};
    /* One statement, so that all parts are of one moment. */
    SL_TRY(each_row(reader,
                    "SELECT 'accepted', count(*) FROM task UNION ALL"
                    " SELECT state, count(*) FROM result GROUP BY state UNION ALL"
                    " SELECT 'running', count(DISTINCT a.task) FROM session s CROSS JOIN attempt a"
                    " WHERE s.number = (SELECT max(number) FROM session) AND s.end_s IS NULL"
                    " AND a.session = s.number AND a.end_s IS NULL"
                    " AND NOT EXISTS (SELECT 1 FROM result r WHERE r.task = a.task)",
                    0, read_count, &found));
    uint64_t told = 0;
    for (int i = SL_LEDGER_RUNNING; i < SL_LEDGER_STATES; i++)
        told += found.by_state[i];
    found.tasks = found.by_state[SL_LEDGER_ACCEPTED];
    found.by_state[SL_LEDGER_ACCEPTED] = found.tasks > told ? found.tasks - told : 0;
    *counts = found;
    return SL_OK;
}
