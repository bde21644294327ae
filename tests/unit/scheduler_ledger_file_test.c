/* The ledger's file: what is opened and what is not, full disks, torn logs, damage. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/scheduler/ledger_reader.h"
#include "tests/lib/test.h"

static const char *fresh(void) {
    static int number;
    static char paths[4][256]; /* the last four stay good */
    char *path = paths[number % 4];
    snprintf(path, sizeof paths[0], "%s/file%d.db", sl_test_dir(), number++);
    return path;
}

static sl_err open_as(const char *path, sl_ledger_mode mode, sl_ledger **ledger) {
    sl_ledger_options options = {.mode = mode, .no_thread = true};
    return sl_ledger_open(path, &options, ledger);
}

static sl_err post_task(sl_ledger *ledger, uint32_t id, sl_ledger_done *done, void *context) {
    char name[16], spec[600];
    snprintf(name, sizeof name, "t%u", id);
    memset(spec, 's', sizeof spec - 1);
    spec[sizeof spec - 1] = '\0';
    sl_ledger_record record = {.kind = SL_LEDGER_TASK,
                               .task = {.id = id, .name = name, .spec = spec}};
    return sl_ledger_post(ledger, &record, 1, done, context);
}

static void make(const char *path, uint32_t tasks) {
    sl_ledger *ledger = NULL;
    CHECK_INT(open_as(path, SL_LEDGER_CREATE, &ledger), SL_OK);
    for (uint32_t i = 0; i < tasks; i++)
        CHECK_INT(post_task(ledger, i, NULL, NULL), SL_OK);
    sl_ledger_end end = {"finished", 0};
    CHECK_INT(sl_ledger_close(ledger, &end), SL_OK);
}

static char *slurp(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    char *bytes = file ? malloc(8 << 20) : NULL;
    *size = bytes ? fread(bytes, 1, 8 << 20, file) : 0;
    if (file)
        fclose(file);
    return bytes;
}

static void spill(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, size, file) == size);
    if (file)
        fclose(file);
}

/* Neither reader nor writer opens it, both say `why`, and its bytes stay. */
static void check_refused(const char *path, const char *why) {
    size_t before_size, after_size;
    char *before = slurp(path, &before_size);
    sl_ledger_reader *reader = NULL;
    sl_ledger *ledger = NULL;
    CHECK_INT(sl_ledger_reader_open(path, &reader), SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), why);
    CHECK_INT(open_as(path, SL_LEDGER_RESUME, &ledger), SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), why);
    CHECK_INT(open_as(path, SL_LEDGER_CREATE, &ledger), SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), why);
    char *after = slurp(path, &after_size);
    CHECK_INT(after_size, before_size);
    CHECK(after_size == before_size && memcmp(before, after, after_size) == 0);
    free(before);
    free(after);
}

TEST(what_is_not_a_ledger_is_left_alone) {
    const char *path = fresh();
    char noise[5000];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)(i * 37);
    spill(path, noise, sizeof noise);
    check_refused(path, "no SQLite database");
    spill(path, "hello\n", 6);
    check_refused(path, "no SQLite database");
    sqlite3 *db = NULL;
    path = fresh();
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, "CREATE TABLE task (id)", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
    check_refused(path, "some other SQLite database");
}

TEST(a_newer_schema_is_left_alone) {
    const char *path = fresh();
    sqlite3 *db = NULL;
    make(path, 1);
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
    check_refused(path, "has schema 2, this Starlane knows 1");
}

TEST(missing_empty_and_existing_are_told_apart) {
    const char *path = fresh();
    sl_ledger_reader *reader = NULL;
    sl_ledger *ledger = NULL;
    CHECK_INT(sl_ledger_reader_open(path, &reader), SL_ERR_NOT_FOUND);
    CHECK_INT(open_as(path, SL_LEDGER_RESUME, &ledger), SL_ERR_NOT_FOUND);
    spill(path, "", 0);
    CHECK_INT(sl_ledger_reader_open(path, &reader), SL_ERR_NOT_FOUND);
    make(path, 1);
    CHECK_INT(open_as(path, SL_LEDGER_CREATE, &ledger), SL_ERR_EXISTS);
    CHECK_INT(open_as(sl_test_dir(), SL_LEDGER_RESUME, &ledger), SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), "regular file");
    CHECK_INT(open_as("/nonexistent/ledger.db", SL_LEDGER_CREATE, &ledger), SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), "/nonexistent");
}

TEST(only_one_writer_at_a_time) {
    const char *path = fresh();
    sl_ledger *first = NULL, *second = NULL;
    char me[32];
    snprintf(me, sizeof me, "process %d on ", (int)getpid());
    REQUIRE(open_as(path, SL_LEDGER_CREATE, &first) == SL_OK);
    CHECK_INT(open_as(path, SL_LEDGER_RESUME, &second), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), me);
    CHECK_INT(sl_ledger_close(first, NULL), SL_OK);
    CHECK_INT(open_as(path, SL_LEDGER_RESUME, &second), SL_OK);
    CHECK_INT(sl_ledger_close(second, NULL), SL_OK);
}

static bool exists(const char *path, const char *suffix) {
    char name[300];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return access(name, F_OK) == 0;
}

TEST(a_closed_ledger_is_one_plain_file) {
    const char *path = fresh();
    sl_ledger *ledger = NULL;
    REQUIRE(open_as(path, SL_LEDGER_CREATE, &ledger) == SL_OK);
    CHECK_INT(post_task(ledger, 0, NULL, NULL), SL_OK);
    CHECK_INT(sl_ledger_step(ledger), SL_OK);
    CHECK(exists(path, "-wal") && exists(path, "-lock"));
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
    CHECK(!exists(path, "-wal") && !exists(path, "-shm") && !exists(path, "-lock") &&
          !exists(path, "-journal") && !exists(path, "-new"));
    /* … which a directory that cannot be written to does not keep from being read. */
    sl_ledger_reader *reader = NULL;
    CHECK_INT(chmod(path, 0444), 0);
    CHECK_INT(chmod(sl_test_dir(), 0555), 0);
    CHECK_INT(sl_ledger_reader_open(path, &reader), SL_OK);
    sl_ledger_reader_close(reader);
    CHECK_INT(chmod(sl_test_dir(), 0755), 0);
}

/* POSIX locks go when a process closes any descriptor of the file; a reader must not cost the
 * writer its lock, on which the log's safety from other programs rests. */
TEST(a_reader_in_the_same_process_leaves_the_writers_lock) {
    const char *path = fresh();
    sl_ledger *ledger = NULL;
    sl_ledger_reader *reader = NULL;
    REQUIRE(open_as(path, SL_LEDGER_CREATE, &ledger) == SL_OK);
    for (int i = 0; i < 2; i++) {
        REQUIRE(sl_ledger_reader_open(path, &reader) == SL_OK);
        sl_ledger_reader_close(reader);
    }
    int fd = open(path, O_RDWR | O_CLOEXEC); /* not closed before the ledger is */
    struct flock shared = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x40000002, .l_len = 510};
    CHECK_INT(fcntl(fd, F_OFD_GETLK, &shared), 0);
    CHECK_INT(shared.l_type, F_RDLCK);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
    close(fd);
}

TEST(without_a_write_ahead_log_it_works_too) {
    const char *path = fresh();
    sl_ledger *ledger = NULL;
    sl_ledger_options options = {
        .mode = SL_LEDGER_CREATE, .rollback_journal = true, .quick_check = true};
    REQUIRE(sl_ledger_open(path, &options, &ledger) == SL_OK);
    for (uint32_t i = 0; i < 100; i++)
        CHECK_INT(post_task(ledger, i, NULL, NULL), SL_OK);
    CHECK_INT(sl_ledger_flush(ledger), SL_OK);
    CHECK(!exists(path, "-wal"));
    sl_ledger_stats stats;
    sl_ledger_stats_get(ledger, &stats);
    CHECK(!stats.wal);
    sl_ledger_reader *reader = NULL;
    sl_ledger_counts counts = {0};
    CHECK_INT(sl_ledger_reader_open(path, &reader), SL_OK);
    CHECK_INT(sl_ledger_read_counts(reader, &counts), SL_OK);
    CHECK_INT(counts.tasks, 100);
    sl_ledger_reader_close(reader);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
}

typedef struct told {
    uint32_t done; /* tasks 0 … done-1 were called back with SL_OK */
    uint32_t failed;
    char cause[300];
} told;

static void tell(void *context, sl_err err) {
    told *t = context;
    if (err == SL_OK) {
        CHECK_INT(t->failed, 0);
        t->done++;
        return;
    }
    CHECK_INT(err, SL_ERR_LEDGER);
    snprintf(t->cause, sizeof t->cause, "%s", sl_err_detail());
    t->failed++;
}

static uint64_t tasks_in(const char *path) {
    sl_ledger_reader *reader = NULL;
    sl_ledger_counts counts = {0};
    CHECK_INT(sl_ledger_reader_open(path, &reader), SL_OK);
    CHECK_INT(sl_ledger_read_counts(reader, &counts), SL_OK);
    sl_ledger_reader_close(reader);
    return counts.tasks;
}

/* A disk of `limit_bytes`: write until it is full. */
static void fill_disk(const char *path, size_t limit_bytes, told *t) {
    struct rlimit before, small;
    sl_ledger *ledger = NULL;
    REQUIRE(open_as(path, SL_LEDGER_CREATE, &ledger) == SL_OK);
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){.rlim_cur = limit_bytes, .rlim_max = before.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    sl_err err = SL_OK;
    for (uint32_t i = 0; i < 4000 && err == SL_OK; i++) {
        CHECK_INT(post_task(ledger, i, tell, t), SL_OK);
        if (i % 5 == 4)
            err = sl_ledger_step(ledger);
    }
    CHECK_INT(err, SL_ERR_LEDGER);
    CHECK_INT(post_task(ledger, 9999, tell, t), SL_ERR_LEDGER);
    CHECK_INT(sl_ledger_close(ledger, &(sl_ledger_end){"finished", 0}), SL_ERR_LEDGER);
    setrlimit(RLIMIT_FSIZE, &before);
}

TEST(a_full_disk_is_told_to_all_and_nothing_is_done_that_is_not_there) {
    signal(SIGXFSZ, SIG_IGN);
    for (size_t limit = 60 << 10; limit < 600 << 10; limit += 131 << 10) {
        const char *path = fresh();
        told t = {0};
        fill_disk(path, limit, &t);
        CHECK_INT(t.failed, 5);
        CHECK_CONTAINS(t.cause, path);
        CHECK(tasks_in(path) >= t.done);
        sl_ledger *ledger = NULL; /* with room again, the run goes on */
        told again = {0};
        REQUIRE(open_as(path, SL_LEDGER_RESUME, &ledger) == SL_OK);
        CHECK_INT(post_task(ledger, 5000, tell, &again), SL_OK);
        CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
        CHECK_INT(again.done, 1);
    }
}

static void copy_file(const char *from, const char *to, const char *suffix, size_t limit) {
    char source[300], target[300];
    size_t size;
    snprintf(source, sizeof source, "%s%s", from, suffix);
    snprintf(target, sizeof target, "%s%s", to, suffix);
    char *bytes = slurp(source, &size);
    CHECK(bytes);
    spill(target, bytes, size < limit ? size : limit);
    free(bytes);
}

/* The log cut anywhere: exactly the transactions that are whole in it are there. */
TEST(a_torn_log_loses_whole_transactions_from_the_end) {
    enum { COMMITS = 40 };
    const char *path = fresh(), *torn = fresh();
    size_t sizes[COMMITS];
    char log[300];
    sl_ledger *ledger = NULL;
    REQUIRE(open_as(path, SL_LEDGER_CREATE, &ledger) == SL_OK);
    snprintf(log, sizeof log, "%s-wal", path);
    for (uint32_t i = 0; i < COMMITS; i++) {
        struct stat info;
        CHECK_INT(post_task(ledger, 2 * i, NULL, NULL), SL_OK);
        CHECK_INT(post_task(ledger, 2 * i + 1, NULL, NULL), SL_OK);
        CHECK_INT(sl_ledger_step(ledger), SL_OK);
        REQUIRE(stat(log, &info) == 0);
        sizes[i] = (size_t)info.st_size;
    }
    uint64_t seed = 1;
    for (int round = 0; round < 15; round++) {
        uint32_t whole = 0;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t cut = 1 + (size_t)(seed >> 33) % sizes[COMMITS - 1];
        while (whole < COMMITS && sizes[whole] <= cut)
            whole++;
        copy_file(path, torn, "", SIZE_MAX);
        copy_file(path, torn, "-wal", cut);
        sl_ledger *resumed = NULL;
        REQUIRE(open_as(torn, SL_LEDGER_RESUME, &resumed) == SL_OK);
        CHECK_INT(tasks_in(torn), 2 * whole);
        CHECK_INT(sl_ledger_close(resumed, NULL), SL_OK);
    }
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
}

static sl_err see_entry(void *context, const sl_ledger_entry *entry) {
    *(size_t *)context +=
        strlen(entry->task.name) + (entry->task.spec ? strlen(entry->task.spec) : 0);
    return entry->task.after_count < 1000000 ? SL_OK : SL_ERR_CANCELLED;
}

static sl_err see_attempt(void *context, const sl_ledger_attempt *attempt) {
    *(size_t *)context += attempt->session;
    return SL_OK;
}

static void read_whatever(const char *path) {
    sl_ledger_reader *reader = NULL;
    sl_ledger_counts counts;
    size_t sum = 0;
    if (sl_ledger_reader_open(path, &reader) != SL_OK)
        return;
    sl_err err =
        sl_ledger_read_tasks(reader, SL_LEDGER_WANT_SPEC | SL_LEDGER_WANT_AFTER, see_entry, &sum);
    CHECK(err == SL_OK || err == SL_ERR_LEDGER);
    err = sl_ledger_read_counts(reader, &counts);
    CHECK(err == SL_OK || err == SL_ERR_LEDGER);
    err = sl_ledger_read_attempts(reader, 3, see_attempt, &sum);
    CHECK(err == SL_OK || err == SL_ERR_LEDGER);
    sl_ledger_reader_close(reader);
}

TEST(damage_is_an_error_and_never_a_crash) {
    const char *path = fresh(), *damaged = fresh();
    make(path, 100);
    size_t size;
    char *bytes = slurp(path, &size);
    REQUIRE(bytes && size > 4096);
    uint64_t seed = 7;
    for (int round = 0; round < 300; round++) {
        char *copy = malloc(size);
        memcpy(copy, bytes, size);
        for (int i = 0; i < 1 + round % 40; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            copy[100 + (seed >> 20) % (size - 100)] ^= (char)(1 << (seed >> 60 & 7));
        }
        spill(damaged, copy, size);
        read_whatever(damaged);
        free(copy);
    }
    for (size_t cut = 1; cut < size; cut += 997) {
        spill(damaged, bytes, cut);
        read_whatever(damaged);
    }
    memset(bytes + 2 * 4096, 0xff, size - 2 * 4096);
    spill(damaged, bytes, size);
    sl_ledger_reader *reader = NULL;
    size_t sum = 0;
    REQUIRE(sl_ledger_reader_open(damaged, &reader) == SL_OK);
    CHECK_INT(sl_ledger_read_tasks(reader, 0, see_entry, &sum), SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), damaged);
    sl_ledger_reader_close(reader);
    sl_ledger *ledger = NULL;
    sl_ledger_options options = {.mode = SL_LEDGER_RESUME, .quick_check = true, .no_thread = true};
    CHECK_INT(sl_ledger_open(damaged, &options, &ledger), SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), "damaged");
    free(bytes);
}
