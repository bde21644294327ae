/* Design notes: what was accepted (task), why it went where it went (placement), what was tried
 * (attempt) and what came of it (result) are separate tables, each written once or nearly so. A
 * result thereby appends some 80 bytes next to the last one instead of growing a row amid long
 * specs, and the log of a transaction stays small. The view `tasks` joins them again for people.
 *
 * The file is made under another name and renamed, so a kill while it is made leaves no half
 * ledger. */
#include "actors/scheduler/ledger_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROW_BYTES_MAX (4 * SL_LEDGER_TEXT_MAX) /* a row holds three texts and little else */
#define BUSY_MS       5000 /* for another program's lock; the writer sets its own patience */

static const char schema[] =
    "CREATE TABLE run ( -- facts about the run\n"
    "  key TEXT PRIMARY KEY,\n"
    "  value TEXT NOT NULL\n"
    ") WITHOUT ROWID;\n"
    "CREATE TABLE session ( -- one row per process that wrote this ledger\n"
    "  number INTEGER PRIMARY KEY, -- 1, 2, ...; restarts = rows - 1\n"
    "  start_s REAL NOT NULL, -- all *_s columns that name a moment: seconds since 1970 UTC\n"
    "  host TEXT, pid INTEGER, version TEXT, command TEXT,\n"
    "  end_s REAL, -- NULL: it runs, or was killed\n"
    "  reason TEXT, exit_code INTEGER\n"
    ");\n"
    "CREATE TABLE node ( -- the network of each session\n"
    "  session INTEGER NOT NULL, rank INTEGER NOT NULL,\n"
    "  host TEXT, region TEXT, cores INTEGER, memory_bytes INTEGER, gpus INTEGER,\n"
    "  ucu_milli INTEGER, -- thousandths of a unified compute unit\n"
    "  PRIMARY KEY (session, rank)\n"
    ") WITHOUT ROWID;\n"
    "CREATE TABLE task ( -- what was accepted; never changed\n"
    "  id INTEGER PRIMARY KEY, -- 0, 1, ... in the order of the file\n"
    "  name TEXT NOT NULL UNIQUE,\n"
    "  accepted_s REAL, priority INTEGER, cpus INTEGER, gpus INTEGER, memory_bytes INTEGER,\n"
    "  ucu_milli INTEGER,\n"
    "  region TEXT, -- NULL: anywhere\n"
    "  timeout_s REAL, -- 0: none\n"
    "  retries INTEGER,\n"
    "  spec TEXT NOT NULL -- the task as given, JSON\n"
    ");\n"
    "CREATE TABLE dependency ( -- task runs after task `after` is done\n"
    "  task INTEGER NOT NULL REFERENCES task, after INTEGER NOT NULL REFERENCES task,\n"
    "  PRIMARY KEY (task, after)\n"
    ") WITHOUT ROWID;\n"
    "CREATE TABLE placement ( -- why it went there\n"
    "  task INTEGER NOT NULL REFERENCES task,\n"
    "  choice INTEGER NOT NULL, -- 1, 2, ...: a node may refuse, then another is chosen\n"
    "  attempt INTEGER NOT NULL, rank INTEGER NOT NULL, at_s REAL, policy TEXT NOT NULL,\n"
    "  ucu_milli INTEGER, -- of the chosen node\n"
    "  reason TEXT, -- JSON: candidates, their scores, the limits they failed\n"
    "  PRIMARY KEY (task, choice)\n"
    ") WITHOUT ROWID;\n"
    "CREATE TABLE attempt ( -- every start of a task\n"
    "  task INTEGER NOT NULL REFERENCES task,\n"
    "  attempt INTEGER NOT NULL, -- 1, 2, ... over all sessions\n"
    "  session INTEGER NOT NULL REFERENCES session, rank INTEGER, host TEXT, region TEXT,\n"
    "  pid INTEGER, -- process group of a command\n"
    "  start_s REAL, end_s REAL, -- no end: it runs, or was lost with its session\n"
    "  state TEXT, exit_code INTEGER, signal INTEGER, user_s REAL, sys_s REAL,\n"
    "  max_rss_bytes INTEGER, message TEXT,\n"
    "  PRIMARY KEY (task, attempt)\n"
    ") WITHOUT ROWID;\n"
    "CREATE TABLE result ( -- how a task ended; no row: it is not finished\n"
    "  task INTEGER PRIMARY KEY REFERENCES task,\n"
    "  state TEXT NOT NULL CHECK (state IN ('done', 'failed', 'cancelled', 'skipped')),\n"
    "  attempts INTEGER NOT NULL, exit_code INTEGER, signal INTEGER,\n"
    "  rank INTEGER, host TEXT, region TEXT, start_s REAL, end_s REAL, user_s REAL, sys_s REAL,\n"
    "  max_rss_bytes INTEGER, message TEXT\n"
    ");\n"
    "CREATE VIEW tasks AS -- everything about a task, and its state now\n"
    "SELECT t.id, t.name,\n"
    "  CASE WHEN r.task IS NOT NULL THEN r.state\n"
    "       WHEN EXISTS (SELECT 1 FROM attempt a, session s WHERE a.task = t.id AND a.end_s IS "
    "NULL\n"
    "         AND s.number = a.session AND s.end_s IS NULL\n"
    "         AND s.number = (SELECT max(number) FROM session)) THEN 'running'\n"
    "       WHEN EXISTS (SELECT 1 FROM dependency d LEFT JOIN result x ON x.task = d.after\n"
    "         WHERE d.task = t.id AND x.task IS NULL) THEN 'waiting'\n"
    "       ELSE 'accepted' END AS state,\n"
    "  coalesce(r.attempts, (SELECT max(attempt) FROM attempt a WHERE a.task = t.id), 0) AS "
    "attempts,\n"
    "  r.exit_code, r.signal, r.rank, r.host, r.region AS region_ran,\n"
    "  r.start_s, r.end_s, r.end_s - r.start_s AS wall_s, r.user_s, r.sys_s, r.max_rss_bytes,\n"
    "  r.message, t.priority, t.cpus, t.gpus, t.memory_bytes, t.ucu_milli, t.region, t.timeout_s,\n"
    "  t.retries, t.accepted_s, t.spec\n"
    "FROM task t LEFT JOIN result r ON r.task = t.id;\n";

sl_err sl_ledger_sql_fail(sqlite3 *db, const char *path, const char *what) {
    int number = db ? sqlite3_system_errno(db) : 0;
    int code = db ? sqlite3_errcode(db) & 0xff : SQLITE_NOMEM; /* without the extension */
    const char *text = db ? sqlite3_errmsg(db) : "out of memory";
    /* The system's number is only about input and output; for the rest it is left over. */
    if (number && (code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_FULL))
        return sl_fail(SL_ERR_LEDGER, "ledger %s: cannot %s: %s (%s)", path, what, text,
                       strerror(number));
    return sl_fail(SL_ERR_LEDGER, "ledger %s: cannot %s: %s", path, what, text);
}

sl_err sl_ledger_sql_run(sqlite3 *db, const char *path, const char *sql) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return sl_ledger_sql_fail(db, path, "set up the file");
    return SL_OK;
}

/* SQLite takes some names for special ("file:…", ":memory:"); one that starts with / or ./ is
 * never. */
static char *plain_name(const char *path, const char *suffix) {
    char *name = NULL;
    return asprintf(&name, "%s%s%s", path[0] == '/' ? "" : "./", path, suffix) < 0 ? NULL : name;
}

static void harden(sqlite3 *db) {
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX);
}

static sl_err connect_file(const sl_ledger_disk *disk, const char *path, const char *suffix,
                           int flags, sqlite3 **db) {
    char *name = plain_name(path, suffix);
    sqlite3 *opened = NULL;
    if (!name)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to open ledger %s", path);
    int rc = sqlite3_open_v2(name, &opened, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
                             disk->vfs);
    free(name);
    if (rc != SQLITE_OK) {
        sl_err err = sl_ledger_sql_fail(opened, path, "open it");
        sqlite3_close_v2(opened);
        return err;
    }
    sqlite3_extended_result_codes(opened, 1);
    *db = opened;
    return SL_OK;
}

/* A number from the file's header; a SQLite code. */
static int header_number(sqlite3 *db, const char *pragma, int64_t *number) {
    sqlite3_stmt *query = NULL;
    int code = sqlite3_prepare_v2(db, pragma, -1, &query, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(query);
    if (code == SQLITE_ROW)
        *number = sqlite3_column_int64(query, 0);
    sqlite3_finalize(query);
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

static sl_err judge(const char *path, int64_t application, int64_t version) {
    if (application != SL_LEDGER_APPLICATION_ID)
        return sl_fail(SL_ERR_LEDGER, "%s is not a ledger: it is some other SQLite database", path);
    if (version > SL_LEDGER_SCHEMA_VERSION)
        return sl_fail(
            SL_ERR_LEDGER,
            "%s has schema %lld, this Starlane knows %d: use the newer Starlane that made it", path,
            (long long)version, SL_LEDGER_SCHEMA_VERSION);
    if (version < 1)
        return sl_fail(SL_ERR_LEDGER, "%s has schema %lld, which no Starlane wrote", path,
                       (long long)version);
    return SL_OK;
}

/* Is it a ledger that this Starlane knows? *read_only: it cannot be told without write access,
 * because a crash left a journal to roll back. */
static sl_err identify(sqlite3 *db, const char *path, bool *read_only) {
    int64_t application = 0, version = 0;
    int code = header_number(db, "PRAGMA application_id", &application);
    if (code == SQLITE_OK)
        code = header_number(db, "PRAGMA user_version", &version);
    *read_only = (code & 0xff) == SQLITE_READONLY || (code & 0xff) == SQLITE_CANTOPEN;
    if ((code & 0xff) == SQLITE_NOTADB)
        return sl_fail(SL_ERR_LEDGER, "%s is not a ledger: it is no SQLite database", path);
    return code == SQLITE_OK ? judge(path, application, version)
                             : sl_ledger_sql_fail(db, path, "read it");
}

static sl_err connect_as(const sl_ledger_disk *disk, const char *path, int flags, sqlite3 **db,
                         bool *read_only) {
    sqlite3 *opened = NULL;
    SL_TRY(connect_file(disk, path, "", flags, &opened));
    harden(opened);
    sqlite3_busy_timeout(opened, BUSY_MS);
    sl_err err = identify(opened, path, read_only);
    if (err != SL_OK) {
        sqlite3_close_v2(opened);
        return err;
    }
    *db = opened;
    return SL_OK;
}

sl_err sl_ledger_schema_connect(const sl_ledger_disk *disk, const char *path, bool write,
                                sqlite3 **db) {
    bool read_only = false;
    SL_TRY(disk->check(disk, path));
    /* First without the right to write: a file that is not ours must stay as it is. */
    sl_err err = connect_as(disk, path, SQLITE_OPEN_READONLY, db, &read_only);
    if (err != SL_OK && !read_only)
        return err;
    if (err == SL_OK && !write)
        return SL_OK;
    if (err == SL_OK)
        sqlite3_close_v2(*db);
    return connect_as(disk, path, SQLITE_OPEN_READWRITE, db, &read_only);
}

static sl_err insert_meta(sqlite3 *db, const char *path, const sl_ledger_meta *meta, size_t count) {
    sqlite3_stmt *insert = NULL;
    bool good = sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO run VALUES (?, ?)", -1, &insert,
                                   NULL) == SQLITE_OK;
    for (size_t i = 0; good && i < count; i++) {
        sqlite3_bind_text(insert, 1, meta[i].key, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 2, meta[i].value, -1, SQLITE_STATIC);
        good = sqlite3_step(insert) == SQLITE_DONE;
        sqlite3_reset(insert);
    }
    sl_err err = good ? SL_OK : sl_ledger_sql_fail(db, path, "write the run's facts");
    sqlite3_finalize(insert);
    return err;
}

/* No journal: until its rename nobody looks at the file, and a failed one is thrown away. */
static sl_err fill(sqlite3 *db, const char *path, const sl_ledger_meta *meta, size_t count) {
    char numbers[128];
    snprintf(numbers, sizeof numbers, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             SL_LEDGER_APPLICATION_ID, SL_LEDGER_SCHEMA_VERSION);
    SL_TRY(sl_ledger_sql_run(db, path,
                             "PRAGMA page_size = 4096; PRAGMA journal_mode = MEMORY;"
                             "PRAGMA synchronous = FULL; BEGIN"));
    SL_TRY(sl_ledger_sql_run(db, path, numbers));
    SL_TRY(sl_ledger_sql_run(db, path, schema));
    SL_TRY(insert_meta(db, path, meta, count));
    return sl_ledger_sql_run(db, path, "COMMIT");
}

sl_err sl_ledger_schema_create(const sl_ledger_disk *disk, const char *path,
                               const sl_ledger_meta *meta, size_t meta_count) {
    sqlite3 *db = NULL;
    char *temporary = NULL;
    if (asprintf(&temporary, "%s-new", path) < 0)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to create ledger %s", path);
    disk->remove(disk, temporary);
    sl_err err = connect_file(disk, path, "-new", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &db);
    if (err == SL_OK)
        err = fill(db, path, meta, meta_count);
    sqlite3_close_v2(db);
    if (err == SL_OK)
        err = disk->rename(disk, temporary, path);
    else
        disk->remove(disk, temporary);
    free(temporary);
    return err;
}
