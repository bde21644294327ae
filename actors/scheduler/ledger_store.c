/* Design notes: synchronous=FULL, so COMMIT returns after the sync. The log is moved into the file
 * after the callbacks of a commit, never before them: soon when nothing waits, later when there is
 * work, so that it delays the fewest. */
#include "actors/scheduler/ledger_store.h"

#include <string.h>
#include <unistd.h>
#include <sys/vfs.h>

#include "runtime/log.h"
#include "runtime/plant.h"

#define BUSY_PAUSE_NS     (2 * SL_NS_PER_MS)
#define BUSY_TELL_NS      (10 * SL_NS_PER_S)
#define CLOSE_PATIENCE_NS (200 * SL_NS_PER_MS)

/* SQLite asks this while another program holds a lock it needs: wait, say so, in the end give up.
 */
static int busy(void *context, int times) {
    sl_ledger_store *store = context;
    uint64_t now = store->clock->now_ns(store->clock);
    if (times == 0)
        store->busy_since_ns = store->busy_told_ns = now;
    if (now - store->busy_since_ns >= store->patience_ns)
        return 0;
    if (now - store->busy_told_ns >= BUSY_TELL_NS) {
        sl_warn("scheduler", "ledger locked by another program path %s", store->path);
        store->busy_told_ns = now;
    }
    store->clock->sleep_ns(store->clock, BUSY_PAUSE_NS);
    return 1;
}

static int count_pages(void *context, sqlite3 *db, const char *database, int pages) {
    (void)db, (void)database;
    sl_ledger_store *store = context;
    store->log_pages = pages;
    if (pages < store->moved_pages) /* the log was begun anew */
        store->moved_pages = 0;
    return SQLITE_OK;
}

/* Filesystems on which two machines do not see each other's memory maps, which a write-ahead log
 * shares between the run and who looks on. Magic numbers: statfs(2). */
static bool shared_between_machines(const char *path) {
    static const uint32_t magics[] = {0x6969 /* NFS */,
                                      0x517b /* SMB */,
                                      0xff534d42 /* CIFS */,
                                      0xfe534d42 /* SMB2 */,
                                      0x01021997 /* 9P */,
                                      0x5346414f /* AFS */,
                                      0x65735546 /* FUSE */};
    struct statfs info;
    if (statfs(path, &info) != 0)
        return false;
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++)
        if ((uint32_t)info.f_type == magics[i])
            return true;
    return false;
}

/* Sets the journal mode and says whether SQLite took it. */
static bool journal_is(sqlite3 *db, const char *sql, const char *mode) {
    sqlite3_stmt *statement = NULL;
    bool taken = sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
                 sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) &&
                 strcmp((const char *)sqlite3_column_text(statement, 0), mode) == 0;
    sqlite3_finalize(statement);
    return taken;
}

static sl_err choose_journal(sl_ledger_store *store, bool rollback_journal) {
    bool shared = !store->alone && shared_between_machines(store->path);
    if (!rollback_journal && !shared && journal_is(store->db, "PRAGMA journal_mode = WAL", "wal")) {
        store->wal = true;
        return SL_OK;
    }
    if (!rollback_journal)
        sl_warn("scheduler", "ledger without write-ahead log, commits are slower path %s cause %s",
                store->path,
                shared ? "filesystem shared between machines" : sqlite3_errmsg(store->db));
    if (!journal_is(store->db, "PRAGMA journal_mode = TRUNCATE", "truncate"))
        return sl_ledger_sql_fail(store->db, store->path, "set its journal mode");
    return SL_OK;
}

static sl_err quick_check(sl_ledger_store *store) {
    sqlite3_stmt *statement = NULL;
    const char *said = NULL;
    if (sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        said = (const char *)sqlite3_column_text(statement, 0);
    sl_err err = SL_OK;
    if (!said)
        err = sl_ledger_sql_fail(store->db, store->path, "check it");
    else if (strcmp(said, "ok") != 0)
        err = sl_fail(SL_ERR_LEDGER, "ledger %s is damaged: %s", store->path, said);
    sqlite3_finalize(statement);
    return err;
}

static sl_err add_session(sl_ledger_store *store, const sl_ledger_options *options) {
    sqlite3_stmt *insert = NULL;
    char host[256] = "unknown";
    if (!store->alone)
        gethostname(host, sizeof host - 1);
    bool good = sqlite3_prepare_v2(store->db,
                                   "INSERT INTO session (start_s, host, pid, version, command)"
                                   " VALUES (?,?,?,?,?)",
                                   -1, &insert, NULL) == SQLITE_OK;
    if (good) {
        sqlite3_bind_double(insert, 1, store->clock->wall_s(store->clock));
        sqlite3_bind_text(insert, 2, host, -1, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 3, store->alone ? 1 : getpid());
        sqlite3_bind_text(insert, 4, options->version, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 5, options->command, -1, SQLITE_STATIC);
        good = sqlite3_step(insert) == SQLITE_DONE;
    }
    sl_err err = good ? SL_OK : sl_ledger_sql_fail(store->db, store->path, "add a session");
    sqlite3_finalize(insert);
    store->rows.session = sqlite3_last_insert_rowid(store->db);
    return err;
}

static sl_err set_up(sl_ledger_store *store, const sl_ledger_options *options) {
    sqlite3_busy_handler(store->db, busy, store);
    /* secure_delete, on in Debian's build, would overwrite what is deleted: nothing secret is here.
     */
    SL_TRY(sl_ledger_sql_run(store->db, store->path,
                             "PRAGMA cell_size_check = ON; PRAGMA secure_delete = OFF;"
                             "PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY"));
    if (options->quick_check)
        SL_TRY(quick_check(store));
    SL_TRY(choose_journal(store, options->rollback_journal));
    SL_TRY(sl_ledger_sql_run(store->db, store->path,
                             SL_PLANT(sync_skipped) ? "PRAGMA synchronous = OFF"
                                                    : "PRAGMA synchronous = FULL"));
    sqlite3_wal_hook(store->db, count_pages, store); /* also turns automatic checkpoints off */
    if (sl_ledger_rows_prepare(&store->rows, store->db) != SQLITE_OK)
        return sl_ledger_sql_fail(store->db, store->path, "use its tables");
    return add_session(store, options);
}

sl_err sl_ledger_store_open(const char *path, const sl_ledger_options *options,
                            sl_ledger_store *store) {
    *store = (sl_ledger_store){.path = path,
                               .clock = options->clock,
                               .patience_ns = options->patience_ns,
                               .alone = options->disk->alone};
    SL_TRY(sl_ledger_schema_connect(options->disk, path, true, &store->db));
    sl_err err = set_up(store, options);
    if (err != SL_OK)
        sl_ledger_store_close(store);
    return err;
}

static bool statement_run(sl_ledger_store *store, const char *sql) {
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Writes a post's records: SL_OK, SL_ERR_EXISTS with `refused` set, or SL_ERR_LEDGER. */
static sl_err write_post(sl_ledger_store *store, sl_ledger_post_item *post) {
    for (size_t i = 0; i < post->count; i++) {
        int code = sl_ledger_rows_write(&store->rows, &post->records[i]);
        if (code == SQLITE_DONE)
            continue;
        if ((code & 0xff) != SQLITE_CONSTRAINT)
            return sl_ledger_sql_fail(store->db, store->path, "write a record");
        post->refused = &post->records[i];
        return SL_ERR_EXISTS;
    }
    return SL_OK;
}

/* The usual way: as if no post will be refused. */
static sl_err write_plain(sl_ledger_store *store, sl_ledger_batch *batch) {
    for (sl_ledger_post_item *post = batch->first; post; post = post->next)
        SL_TRY(write_post(store, post));
    return SL_OK;
}

/* The way when one is: each post can be taken back alone. */
static sl_err write_guarded(sl_ledger_store *store, sl_ledger_batch *batch) {
    for (sl_ledger_post_item *post = batch->first; post; post = post->next) {
        if (!statement_run(store, "SAVEPOINT post"))
            return sl_ledger_sql_fail(store->db, store->path, "write a record");
        post->err = write_post(store, post);
        if (post->err == SL_ERR_LEDGER)
            return post->err;
        if (!statement_run(store,
                           post->err == SL_OK ? "RELEASE post" : "ROLLBACK TO post; RELEASE post"))
            return sl_ledger_sql_fail(store->db, store->path, "write a record");
    }
    return SL_OK;
}

static sl_err transact(sl_ledger_store *store, sl_ledger_batch *batch,
                       sl_err (*write)(sl_ledger_store *, sl_ledger_batch *)) {
    if (SL_PLANT(commit_torn))
        return write(store, batch);
    if (!statement_run(store, "BEGIN IMMEDIATE"))
        return sl_ledger_sql_fail(store->db, store->path, "begin a transaction");
    sl_err err = write(store, batch);
    if (err == SL_OK && !statement_run(store, "COMMIT"))
        err = sl_ledger_sql_fail(store->db, store->path, "commit");
    if (err != SL_OK && !sqlite3_get_autocommit(store->db))
        statement_run(store, "ROLLBACK"); /* best effort: err says what went wrong */
    return err;
}

sl_err sl_ledger_store_write(sl_ledger_store *store, sl_ledger_batch *batch) {
    sl_err err = transact(store, batch, write_plain);
    return err == SL_ERR_EXISTS ? transact(store, batch, write_guarded) : err;
}

int sl_ledger_store_log_pages(const sl_ledger_store *store) {
    return store->log_pages - store->moved_pages;
}

void sl_ledger_store_checkpoint(sl_ledger_store *store) {
    int pages = 0, moved = 0;
    int code =
        sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);
    /* What is committed stays in the log; the next commit will meet a real fault itself. */
    if (code != SQLITE_OK && code != SQLITE_BUSY)
        sl_warn("scheduler", "ledger checkpoint failed path %s cause %s", store->path,
                sqlite3_errmsg(store->db));
    /* Also after a failure, or a reader in the way: the next try is after as much work again. */
    store->moved_pages = store->log_pages;
}

sl_err sl_ledger_store_end(sl_ledger_store *store, const sl_ledger_end *end) {
    sqlite3_stmt *update = NULL;
    bool good = sqlite3_prepare_v2(store->db,
                                   "UPDATE session SET end_s = ?, reason = ?, exit_code = ?"
                                   " WHERE number = ?",
                                   -1, &update, NULL) == SQLITE_OK;
    if (good) {
        sqlite3_bind_double(update, 1, store->clock->wall_s(store->clock));
        sqlite3_bind_text(update, 2, end->reason, -1, SQLITE_STATIC);
        sqlite3_bind_int(update, 3, end->exit_code);
        sqlite3_bind_int64(update, 4, store->rows.session);
        good = sqlite3_step(update) == SQLITE_DONE;
    }
    sl_err err = good ? SL_OK : sl_ledger_sql_fail(store->db, store->path, "write the end record");
    sqlite3_finalize(update);
    return err;
}

void sl_ledger_store_close(sl_ledger_store *store) {
    if (!store->db)
        return;
    sl_ledger_rows_finalize(&store->rows);
    store->patience_ns = CLOSE_PATIENCE_NS;
    /* Leaving WAL takes nobody else looking on; with a reader there the log stays a second file. */
    if (store->wal && !journal_is(store->db, "PRAGMA journal_mode = DELETE", "delete"))
        sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_close_v2(store->db);
    *store = (sl_ledger_store){0};
}
