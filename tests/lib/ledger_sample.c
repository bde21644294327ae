#include "tests/lib/ledger_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TASKS = 8 };

static void require(bool holds) {
    if (!holds)
        abort();
}

/* Task i: accepted only, started, and in each of the states in which tasks end. */
static void post_task(sl_ledger *ledger, uint32_t i) {
    char name[16];
    snprintf(name, sizeof name, "task%u", i);
    const sl_ledger_record records[] = {
        {.kind = SL_LEDGER_TASK,
         .task = {.id = i,
                  .name = name,
                  .spec = "{\"shell\":\"ls\"}",
                  .region = i % 2 ? "r" : NULL,
                  .cpus = 1,
                  .after = &(uint32_t){i / 2},
                  .after_count = i > 1}},
        {.kind = SL_LEDGER_PLACEMENT,
         .placement = {.task = i,
                       .choice = 1,
                       .attempt = 1,
                       .policy = "random",
                       .reason = "[{\"node\":0,\"score\":1.5}]"}},
        {.kind = SL_LEDGER_START, .start = {.task = i, .attempt = 1, .host = "h", .pid = 7}},
        {.kind = SL_LEDGER_RESULT,
         .outcome = {.task = i,
                     .attempt = 1,
                     .state = SL_LEDGER_DONE + i % 4,
                     .rank = 0,
                     .host = "h",
                     .start_s = 1,
                     .end_s = 2,
                     .message = i % 4 ? "why" : NULL}},
    };
    require(sl_ledger_post(ledger, records, i < 2 ? 1 : i < 4 ? 3 : 4, NULL, NULL) == SL_OK);
}

void ledger_sample_write(const sl_ledger_disk *disk, const char *path, bool live) {
    sl_ledger *ledger = NULL;
    const sl_ledger_meta meta[] = {{"seed", "42"}, {"version", "0"}};
    const sl_ledger_options options = {
        .mode = SL_LEDGER_CREATE, .no_thread = true, .disk = disk, .meta = meta, .meta_count = 2};
    require(sl_ledger_open(path, &options, &ledger) == SL_OK);
    const sl_ledger_record node = {.kind = SL_LEDGER_NODE,
                                   .node = {.rank = 0, .host = "h", .region = "r", .cores = 2}};
    require(sl_ledger_post(ledger, &node, 1, NULL, NULL) == SL_OK);
    for (uint32_t i = 0; i < TASKS; i++)
        post_task(ledger, i);
    const sl_ledger_end end = {.reason = "finished", .exit_code = 0};
    require(sl_ledger_close(ledger, live ? NULL : &end) == SL_OK);
}

/* ---- memory ---- */

/* A block that SQLite has, or had: freed ones of a size class are kept for the next. */
typedef union block {
    struct {
        union block *next;
        int class;
    };
    max_align_t align;
} block;

enum { CLASS_FIRST = 5, CLASS_LAST = 31 };

static block *kept[CLASS_LAST + 1];

static int class_of(int bytes) {
    if (bytes <= 1 << CLASS_FIRST)
        return CLASS_FIRST;
    return 32 - __builtin_clz((unsigned)bytes - 1);
}

static void *take(int bytes) {
    int class = class_of(bytes);
    block *got = kept[class];
    if (got)
        kept[class] = got->next;
    else if (class == CLASS_LAST || !(got = malloc(sizeof *got + ((size_t)1 << class))))
        return NULL;
    got->class = class;
    return got + 1;
}

static void give(void *memory) {
    block *had = (block *)memory - 1;
    had->next = kept[had->class];
    kept[had->class] = had;
}

static int size_of(void *memory) {
    return memory ? 1 << ((block *)memory - 1)->class : 0;
}

static void *resize(void *memory, int bytes) {
    if (size_of(memory) >= bytes)
        return memory;
    void *grown = take(bytes);
    if (grown) {
        memcpy(grown, memory, (size_t)size_of(memory));
        give(memory);
    }
    return grown;
}

static int rounded(int bytes) {
    return 1 << class_of(bytes);
}

static int begin(void *context) {
    (void)context;
    return SQLITE_OK;
}

static void end(void *context) {
    (void)context;
}

void ledger_sample_fast_memory(void) {
    static const sqlite3_mem_methods methods = {take,    give,  resize, size_of,
                                                rounded, begin, end,    NULL};
    require(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK);
    require(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK);
}

/* ---- files ---- */

static sqlite3_file *open_file(const sl_ledger_disk *disk, const char *path, int how) {
    sqlite3_vfs *vfs = sqlite3_vfs_find(disk->vfs);
    sqlite3_file *file = calloc(1, (size_t)vfs->szOsFile);
    int flags;
    require(file && vfs->xOpen(vfs, path, file, how | SQLITE_OPEN_MAIN_DB, &flags) == SQLITE_OK);
    return file;
}

static void close_file(sqlite3_file *file) {
    require(file->pMethods->xClose(file) == SQLITE_OK);
    free(file);
}

void ledger_sample_put(const sl_ledger_disk *disk, const char *path, const void *bytes,
                       size_t size) {
    char beside[128];
    snprintf(beside, sizeof beside, "%s-wal", path);
    disk->remove(disk, beside);
    sqlite3_file *file = open_file(disk, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    require(!size || file->pMethods->xWrite(file, bytes, (int)size, 0) == SQLITE_OK);
    require(file->pMethods->xTruncate(file, (sqlite3_int64)size) == SQLITE_OK);
    require(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK);
    close_file(file);
}

size_t ledger_sample_get(const sl_ledger_disk *disk, const char *path, void *bytes, size_t size) {
    sqlite3_int64 have = 0;
    sqlite3_file *file = open_file(disk, path, SQLITE_OPEN_READONLY);
    require(file->pMethods->xFileSize(file, &have) == SQLITE_OK);
    size_t take = (size_t)have < size ? (size_t)have : size;
    require(!take || file->pMethods->xRead(file, bytes, (int)take, 0) == SQLITE_OK);
    close_file(file);
    return (size_t)have;
}

static sqlite3_file *open_for_good;

void ledger_sample_open(const sl_ledger_disk *disk, const char *path) {
    open_for_good = open_file(disk, path, SQLITE_OPEN_READWRITE);
}

void ledger_sample_poke(size_t offset, uint8_t value) {
    require(open_for_good->pMethods->xWrite(open_for_good, &value, 1, (sqlite3_int64)offset) ==
            SQLITE_OK);
    require(open_for_good->pMethods->xSync(open_for_good, SQLITE_SYNC_NORMAL) == SQLITE_OK);
}

/* ---- statements ---- */

enum { STATEMENTS_MOST = 64 };

int __real_sqlite3_prepare_v2(sqlite3 *db, const char *sql, int bytes, sqlite3_stmt **statement,
                              const char **tail);
int __wrap_sqlite3_prepare_v2(sqlite3 *db, const char *sql, int bytes, sqlite3_stmt **statement,
                              const char **tail);
int __real_sqlite3_finalize(sqlite3_stmt *statement);
int __wrap_sqlite3_finalize(sqlite3_stmt *statement);

static sqlite3 *kept_of;
static sqlite3_stmt *waiting[STATEMENTS_MOST];

void ledger_sample_keep_statements(sqlite3 *db) {
    kept_of = db;
}

int __wrap_sqlite3_prepare_v2(sqlite3 *db, const char *sql, int bytes, sqlite3_stmt **statement,
                              const char **tail) {
    for (int i = 0; db == kept_of && i < STATEMENTS_MOST && waiting[i]; i++)
        if (strcmp(sqlite3_sql(waiting[i]), sql) == 0) {
            *statement = waiting[i];
            for (; i + 1 < STATEMENTS_MOST && waiting[i + 1]; i++)
                waiting[i] = waiting[i + 1];
            waiting[i] = NULL;
            return SQLITE_OK;
        }
    return __real_sqlite3_prepare_v2(db, sql, bytes, statement, tail);
}

int __wrap_sqlite3_finalize(sqlite3_stmt *statement) {
    if (!statement || sqlite3_db_handle(statement) != kept_of)
        return __real_sqlite3_finalize(statement);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    for (int i = 0; i < STATEMENTS_MOST; i++)
        if (!waiting[i]) {
            waiting[i] = statement;
            return SQLITE_OK;
        }
    return __real_sqlite3_finalize(statement);
}
