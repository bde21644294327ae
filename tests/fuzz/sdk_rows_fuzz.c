/* Rows that no Starlane wrote, in the tables of a ledger: any value in any column, rows taken away
 * and twice. Whatever they hold, they are read, explained, or refused with a cause. The input is a
 * byte that says what is asked, then changes: table, column, row, kind and value. */
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/scheduler/ledger_columns.h"
#include "sdk/explain.h"
#include "tests/lib/ledger_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLUMNS_MOST = 16, TABLES = 8 };

static const char *const tables[TABLES] = {"run",        "session",   "node",    "task",
                                           "dependency", "placement", "attempt", "result"};

typedef struct table {
    int columns;
    sqlite3_stmt *change[COLUMNS_MOST];
    sqlite3_stmt *remove, *twice;
} table;

static sqlite3 *db;
static table prepared[TABLES];

static void require(bool condition) {
    if (!condition)
        abort();
}

static void run(const char *sql) {
    require(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
}

static sqlite3_stmt *prepare(const char *format, ...) SL_PRINTF(1, 2);
static sqlite3_stmt *prepare(const char *format, ...) {
    sqlite3_stmt *statement = NULL;
    char sql[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sql, sizeof sql, format, arguments);
    va_end(arguments);
    require(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) ==
            SQLITE_OK);
    return statement;
}

/* The sample's tables without types, keys and constraints, in memory. */
static void copy_table(const char *name) {
    char sql[256];
    snprintf(sql, sizeof sql, "CREATE TABLE main.%s AS SELECT * FROM sample.%s", name, name);
    run(sql);
}

static void prepare_table(table *of, const char *name) {
    char column[64];
    sqlite3_stmt *all = prepare("SELECT * FROM main.%s", name);
    of->columns = sqlite3_column_count(all);
    require(of->columns <= COLUMNS_MOST);
    for (int i = 0; i < of->columns; i++) {
        snprintf(column, sizeof column, "%s", sqlite3_column_name(all, i));
        of->change[i] = prepare("UPDATE main.%s SET \"%s\" = ?2 WHERE rowid = ?1", name, column);
    }
    of->remove = prepare("DELETE FROM main.%s WHERE rowid = ?1", name);
    of->twice = prepare("INSERT INTO main.%s SELECT * FROM main.%s WHERE rowid = ?1", name, name);
    sqlite3_finalize(all);
}

static void open_tables(void) {
    char attach[128];
    sl_ledger_simdisk *disk;
    ledger_sample_fast_memory();
    require(sl_ledger_simdisk_create(1, &disk) == SL_OK);
    ledger_sample_write(sl_ledger_simdisk_base(disk), "ledger.db", true);
    snprintf(attach, sizeof attach, "ATTACH 'file:ledger.db?vfs=%s' AS sample",
             sl_ledger_simdisk_base(disk)->vfs);
    require(sqlite3_open_v2(":memory:", &db,
                            SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI |
                                SQLITE_OPEN_NOMUTEX,
                            NULL) == SQLITE_OK);
    run(attach);
    for (int i = 0; i < TABLES; i++)
        copy_table(tables[i]);
    run("DETACH sample");
    run("PRAGMA automatic_index = OFF"); /* what the keys of a ledger's tables are for */
    run("CREATE INDEX main.of_run ON run (key); CREATE INDEX main.of_session ON session (number);"
        "CREATE INDEX main.of_node ON node (session, rank); CREATE INDEX main.of_task ON task (id);"
        "CREATE INDEX main.of_name ON task (name); CREATE INDEX main.of_result ON result (task);"
        "CREATE INDEX main.of_dependency ON dependency (task, after);"
        "CREATE INDEX main.of_placement ON placement (task, choice);"
        "CREATE INDEX main.of_attempt ON attempt (task, attempt)");
    for (int i = 0; i < TABLES; i++)
        prepare_table(&prepared[i], tables[i]);
    ledger_sample_keep_statements(db);
}

/* ---- changes ---- */

/* Binds a value read from *data; false when there is no more. */
static bool bind_value(sqlite3_stmt *to, uint8_t kind, const uint8_t **data, size_t *size) {
    int64_t number;
    double real;
    size_t bytes = kind % 5 == 0 ? 0 : kind % 5 < 3 ? 8 : kind / 5;
    if (*size < bytes)
        return false;
    switch (kind % 5) {
    case 0:
        sqlite3_bind_null(to, 2);
        break;
    case 1:
        memcpy(&number, *data, sizeof number);
        sqlite3_bind_int64(to, 2, number);
        break;
    case 2:
        memcpy(&real, *data, sizeof real);
        sqlite3_bind_double(to, 2, real);
        break;
    case 3:
        sqlite3_bind_text(to, 2, (const char *)*data, (int)bytes, SQLITE_TRANSIENT);
        break;
    default:
        sqlite3_bind_blob(to, 2, *data, (int)bytes, SQLITE_TRANSIENT);
    }
    *data += bytes, *size -= bytes;
    return true;
}

static bool change(const uint8_t **data, size_t *size) {
    if (*size < 4)
        return false;
    const uint8_t *at = *data;
    const table *of = &prepared[at[0] % TABLES];
    int which = at[1] % (of->columns + 2);
    sqlite3_stmt *statement = which < of->columns    ? of->change[which]
                              : which == of->columns ? of->remove
                                                     : of->twice;
    *data += 4, *size -= 4;
    sqlite3_bind_int(statement, 1, 1 + at[2] % 16);
    bool good = which >= of->columns || bind_value(statement, at[3], data, size);
    if (good)
        require(sqlite3_step(statement) == SQLITE_DONE);
    sqlite3_reset(statement);
    return good;
}

/* ---- questions ---- */

static void judge(sl_err err) {
    require(err == SL_OK || err == SL_ERR_NOT_FOUND || err == SL_ERR_LEDGER);
    require(err == SL_OK || sl_err_detail()[0]);
}

static void explain_task(sl_ledger_reader *reader, const char *name, bool live) {
    json_t *answer = NULL;
    sl_err err = sl_explain_task(reader, name, live, &answer);
    judge(err);
    if (err != SL_OK)
        return;
    sl_strbuf text;
    sl_strbuf_init(&text, 1 << 20);
    sl_explain_task_text(answer, &text);
    sl_strbuf_fini(&text);
    json_decref(answer);
}

static void explain_run(sl_ledger_reader *reader, bool live) {
    json_t *answer = NULL;
    sl_err err = sl_explain_run(reader, live, &answer);
    judge(err);
    if (err != SL_OK)
        return;
    sl_strbuf text;
    sl_strbuf_init(&text, 1 << 20);
    sl_explain_run_text(answer, &text);
    sl_strbuf_fini(&text);
    json_decref(answer);
}

static sl_err see_entry(void *context, const sl_ledger_entry *entry) {
    *(size_t *)context += strlen(entry->task.name) + entry->task.after_count;
    require(entry->state != SL_LEDGER_LOST && entry->state < SL_LEDGER_STATES);
    return SL_OK;
}

static void ask(sl_ledger_reader *reader, uint8_t what) {
    static const char *const names[] = {"task0", "task1", "task3", "task6"};
    size_t sum = 0;
    char *value = NULL;
    if (what % 4 == 0) {
        explain_task(reader, names[what / 8 % 4], what & 4);
    } else if (what % 4 == 1) {
        explain_run(reader, what & 4);
    } else if (what % 4 == 2) {
        judge(sl_ledger_read_tasks(
            reader, SL_LEDGER_WANT_AFTER | (what & 4 ? SL_LEDGER_WANT_SPEC : 0), see_entry, &sum));
    } else {
        judge(sl_ledger_read_meta(reader, "seed", &value));
        free(value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!db)
        open_tables();
    if (!size)
        return 0;
    uint8_t what = *data++;
    size--;
    run("SAVEPOINT fuzz");
    while (change(&data, &size)) {
    }
    ask(&(sl_ledger_reader){.db = db, .path = (char *)(uintptr_t) "ledger.db"}, what);
    run("ROLLBACK TO fuzz");
    run("RELEASE fuzz");
    return 0;
}
