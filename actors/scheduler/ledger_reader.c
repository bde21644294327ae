/* Design notes: a walk over all tasks is one pass over `task` with its result and last attempt
 * looked up by key, and, in step with it, one pass over `dependency`, which is stored in the same
 * order: a million tasks are read without a query per task. */
#include "actors/scheduler/ledger_reader.h"

#include <stdlib.h>
#include <string.h>

#include "actors/scheduler/ledger_columns.h"
#include "actors/scheduler/ledger_lock.h"
#include "actors/scheduler/ledger_schema.h"

#define AFTER_MAX (1u << 24) /* of one task: far above what a ledger can have been given */

sl_err sl_ledger_reader_open(const char *path, sl_ledger_reader **out) {
    SL_TRY(sl_ledger_lock_check_local(path));
    return sl_ledger_reader_open_on(&sl_ledger_disk_real, path, out);
}

sl_err sl_ledger_reader_open_on(const sl_ledger_disk *disk, const char *path,
                                sl_ledger_reader **out) {
    sl_ledger_reader *reader = calloc(1, sizeof *reader);
    if (!reader || !(reader->path = strdup(path))) {
        free(reader);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to open ledger %s", path);
    }
    sl_err err = sl_ledger_schema_connect(disk, path, false, &reader->db);
    if (err == SL_OK)
        err = sl_ledger_sql_run(reader->db, path,
                                "PRAGMA query_only = ON; PRAGMA cell_size_check = ON");
    if (err != SL_OK) {
        sl_ledger_reader_close(reader);
        return err;
    }
    *out = reader;
    return SL_OK;
}

void sl_ledger_reader_close(sl_ledger_reader *reader) {
    if (!reader)
        return;
    sqlite3_close_v2(reader->db);
    free(reader->path);
    free(reader);
}

/* A walk over tasks. */
typedef struct walk {
    sl_ledger_reader *reader;
    sqlite3_stmt *tasks;
    sqlite3_stmt *edges; /* NULL: dependencies are not asked for */
    int64_t edge_task;   /* of the row `edges` stands on; INT64_MAX: past the end */
    uint32_t *after;
    uint32_t after_capacity;
    int64_t session; /* the latest */
    bool live;       /* it has not ended */
} walk;

#define TASK_COLUMNS                                                                               \
    "t.id, t.name, t.accepted_s, t.priority, t.cpus, t.gpus, t.memory_bytes, t.ucu_milli,"         \
    " t.region, t.timeout_s, t.retries,"
#define OUTCOME_COLUMNS                                                                            \
    " r.task, r.state, r.attempts, r.exit_code, r.signal, r.rank, r.host, r.region, r.start_s,"    \
    " r.end_s, r.user_s, r.sys_s, r.max_rss_bytes, r.message, a.attempt, a.session, a.end_s"
/* Only an unfinished task's last attempt is looked up: a result carries its own number. */
#define FROM                                                                                       \
    " FROM task t LEFT JOIN result r ON r.task = t.id LEFT JOIN attempt a ON r.task IS NULL"       \
    " AND a.task = t.id AND a.attempt = (SELECT max(attempt) FROM attempt WHERE task = t.id)"
#define SELECT(spec, where) "SELECT " TASK_COLUMNS spec OUTCOME_COLUMNS FROM where

static const char *select_tasks(unsigned want) {
    static const char *const variants[2][4] = {
        {SELECT(" NULL,", " ORDER BY t.id"),
         SELECT(" NULL,", " WHERE r.task IS NULL ORDER BY t.id"),
         SELECT(" NULL,", " WHERE r.task IS NOT NULL ORDER BY t.id"), SELECT(" NULL,", " WHERE 0")},
        {SELECT(" t.spec,", " ORDER BY t.id"),
         SELECT(" t.spec,", " WHERE r.task IS NULL ORDER BY t.id"),
         SELECT(" t.spec,", " WHERE r.task IS NOT NULL ORDER BY t.id"),
         SELECT(" t.spec,", " WHERE 0")},
    };
    unsigned which =
        (want & SL_LEDGER_WANT_UNFINISHED ? 1u : 0u) | (want & SL_LEDGER_WANT_FINISHED ? 2u : 0u);
    return variants[want & SL_LEDGER_WANT_SPEC ? 1 : 0][which];
}

static sl_err read_task(sl_ledger_cursor *at, sl_ledger_task *task) {
    int64_t id = sl_ledger_get_i64(at);
    if (id < 0 || id > UINT32_MAX)
        return sl_fail(SL_ERR_LEDGER, "ledger holds a task with id %lld", (long long)id);
    *task = (sl_ledger_task){.id = (uint32_t)id};
    task->name = sl_ledger_get_text(at);
    if (!task->name)
        return sl_fail(SL_ERR_LEDGER, "ledger holds task %lld without a name", (long long)id);
    task->accepted_s = sl_ledger_get_real(at);
    task->priority = sl_ledger_get_i32(at, 0);
    task->cpus = sl_ledger_get_u32(at);
    task->gpus = sl_ledger_get_u32(at);
    task->memory_bytes = (uint64_t)sl_ledger_get_i64(at);
    task->ucu_milli = sl_ledger_get_i64(at);
    task->region = sl_ledger_get_text(at);
    task->timeout_s = sl_ledger_get_real(at);
    task->retries = sl_ledger_get_u32(at);
    task->spec = sl_ledger_get_text(at);
    return SL_OK;
}

static void read_result(sl_ledger_cursor *at, sl_ledger_outcome *result) {
    result->task = sl_ledger_get_u32(at);
    sl_ledger_get_state(at, SL_LEDGER_ACCEPTED, &result->state);
    result->attempt = sl_ledger_get_u32(at);
    result->exit_code = sl_ledger_get_i32(at, -1);
    result->signal = sl_ledger_get_i32(at, 0);
    result->rank = sl_ledger_get_i32(at, -1);
    result->host = sl_ledger_get_text(at);
    result->region = sl_ledger_get_text(at);
    result->start_s = sl_ledger_get_real(at);
    result->end_s = sl_ledger_get_real(at);
    result->user_s = sl_ledger_get_real(at);
    result->sys_s = sl_ledger_get_real(at);
    result->max_rss_bytes = (uint64_t)sl_ledger_get_i64(at);
    result->message = sl_ledger_get_text(at);
}

static bool ended(sl_ledger_state state) {
    return state >= SL_LEDGER_DONE && state <= SL_LEDGER_SKIPPED;
}

/* The row `tasks` stands on. */
static sl_err read_entry(walk *w, sl_ledger_entry *entry) {
    sl_ledger_cursor at = {.query = w->tasks};
    *entry = (sl_ledger_entry){.state = SL_LEDGER_ACCEPTED};
    SL_TRY(read_task(&at, &entry->task));
    bool finished = !sl_ledger_get_null(&at);
    read_result(&at, &entry->result);
    bool started = !sl_ledger_get_null(&at);
    entry->attempts = sl_ledger_get_u32(&at);
    int64_t session = sl_ledger_get_i64(&at);
    entry->open_attempt = started && sl_ledger_get_null(&at);
    if (finished && !ended(entry->result.state))
        return sl_fail(SL_ERR_LEDGER, "ledger holds a result of task %u without a known state",
                       entry->task.id);
    if (finished) {
        entry->state = entry->result.state;
        entry->attempts = entry->result.attempt;
    } else {
        entry->result = (sl_ledger_outcome){0};
    }
    if (!finished && entry->open_attempt && w->live && session == w->session)
        entry->state = SL_LEDGER_RUNNING;
    return SL_OK;
}

static sl_err next_edge(walk *w) {
    bool row = false;
    SL_TRY(sl_ledger_next(w->reader, w->edges, &row));
    w->edge_task = row ? sqlite3_column_int64(w->edges, 0) : INT64_MAX;
    return SL_OK;
}

static sl_err keep_after(walk *w, uint32_t count, int64_t after) {
    if (after < 0 || after > UINT32_MAX || count >= AFTER_MAX)
        return sl_fail(SL_ERR_LEDGER, "ledger holds a task that comes after %lld",
                       (long long)after);
    if (count == w->after_capacity) {
        uint32_t capacity = w->after_capacity ? w->after_capacity * 2 : 64;
        uint32_t *grown = realloc(w->after, capacity * sizeof *grown);
        if (!grown)
            return sl_fail(SL_ERR_NO_MEMORY, "no memory for the dependencies of a task");
        w->after = grown;
        w->after_capacity = capacity;
    }
    w->after[count] = (uint32_t)after;
    return SL_OK;
}

/* Moves `edges` past those of the task, and keeps them. */
static sl_err read_after(walk *w, sl_ledger_task *task) {
    uint32_t count = 0;
    while (w->edge_task < task->id)
        SL_TRY(next_edge(w));
    while (w->edge_task == task->id) {
        SL_TRY(keep_after(w, count, sqlite3_column_int64(w->edges, 1)));
        count++;
        SL_TRY(next_edge(w));
    }
    task->after = w->after;
    task->after_count = count;
    return SL_OK;
}

static sl_err visit_rows(walk *w, sl_ledger_visit_entry *visit, void *context, uint64_t *visited) {
    for (;;) {
        bool row = false;
        sl_ledger_entry entry;
        SL_TRY(sl_ledger_next(w->reader, w->tasks, &row));
        if (!row)
            return SL_OK;
        SL_TRY(read_entry(w, &entry));
        if (w->edges)
            SL_TRY(read_after(w, &entry.task));
        ++*visited;
        SL_TRY(visit(context, &entry));
    }
}

static sl_err begin_walk(walk *w, const char *tasks, const char *edges) {
    SL_TRY(sl_ledger_latest_session(w->reader, &w->session, &w->live));
    SL_TRY(sl_ledger_query(w->reader, tasks, &w->tasks));
    return edges ? sl_ledger_query(w->reader, edges, &w->edges) : SL_OK;
}

/* One transaction, so that all parts are of one moment; a savepoint, since a visitor may walk too.
 * `id` < 0: all tasks. */
static sl_err run_walk(sl_ledger_reader *reader, const char *tasks, const char *edges, int64_t id,
                       sl_ledger_visit_entry *visit, void *context, uint64_t *visited) {
    walk w = {.reader = reader};
    SL_TRY(sl_ledger_sql_run(reader->db, reader->path, "SAVEPOINT walk"));
    sl_err err = begin_walk(&w, tasks, edges);
    if (err == SL_OK && id >= 0) {
        sqlite3_bind_int64(w.tasks, 1, id);
        sqlite3_bind_int64(w.edges, 1, id);
    }
    if (err == SL_OK && w.edges)
        err = next_edge(&w);
    if (err == SL_OK)
        err = visit_rows(&w, visit, context, visited);
    sqlite3_finalize(w.tasks);
    sqlite3_finalize(w.edges);
    free(w.after);
    sqlite3_exec(reader->db, "RELEASE walk", NULL, NULL, NULL);
    return err;
}

sl_err sl_ledger_read_tasks(sl_ledger_reader *reader, unsigned want, sl_ledger_visit_entry *visit,
                            void *context) {
    uint64_t visited = 0;
    const char *edges = want & SL_LEDGER_WANT_AFTER
                            ? "SELECT task, after FROM dependency ORDER BY task, after"
                            : NULL;
    return run_walk(reader, select_tasks(want), edges, -1, visit, context, &visited);
}

sl_err sl_ledger_read_task(sl_ledger_reader *reader, uint32_t id, sl_ledger_visit_entry *visit,
                           void *context) {
    uint64_t visited = 0;
    SL_TRY(run_walk(reader, SELECT(" t.spec,", " WHERE t.id = ?"),
                    "SELECT task, after FROM dependency WHERE task = ? ORDER BY after", id, visit,
                    context, &visited));
    return visited ? SL_OK
                   : sl_fail(SL_ERR_NOT_FOUND, "there is no task %u in %s", id, reader->path);
}
