/* The ledger among others: tables with rows that no Starlane writes, lock files of other machines,
 * programs that hold the database, and callers that ask for what cannot be. */
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "actors/scheduler/ledger_lock.h"
#include "actors/scheduler/ledger_reader.h"
#include "actors/scheduler/ledger_schema.h"
#include "actors/scheduler/ledger_simdisk.h"
#include "runtime/log.h"
#include "tests/lib/test.h"

static const char *fresh(void) {
    static int number;
    static char path[256];
    snprintf(path, sizeof path, "%s/odd%d.db", sl_test_dir(), number++);
    return path;
}

static sl_ledger *open_as(const char *path, sl_ledger_options options) {
    sl_ledger *ledger = NULL;
    options.no_thread = true;
    CHECK_INT(sl_ledger_open(path, &options, &ledger), SL_OK);
    return ledger;
}

static sl_ledger_record task(uint32_t id, const char *name) {
    static const uint32_t before = 0;
    return (sl_ledger_record){
        .kind = SL_LEDGER_TASK,
        .task = {.id = id, .name = name, .spec = "{}", .after = &before, .after_count = id > 0}};
}

/* Two tasks; the first has a placement, an attempt and a result. */
static const char *make(void) {
    const char *path = fresh();
    sl_ledger *ledger = open_as(path, (sl_ledger_options){.mode = SL_LEDGER_CREATE});
    const sl_ledger_record records[] = {
        task(0, "a"),
        task(1, "b"),
        {.kind = SL_LEDGER_PLACEMENT, .placement = {.choice = 1, .policy = "random"}},
        {.kind = SL_LEDGER_START, .start = {.attempt = 1}},
        {.kind = SL_LEDGER_RESULT, .outcome = {.attempt = 1, .state = SL_LEDGER_DONE}}};
    CHECK_INT(sl_ledger_post(ledger, records, 5, NULL, NULL), SL_OK);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
    return path;
}

/* ---- rows ---- */

static void run(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    char *why = NULL;
    CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        sl_test_fail(__FILE__, __LINE__, "%s: %s", sql, why);
    sqlite3_free(why);
    sqlite3_close(db);
}

/* A ledger in which table `name` is without types and constraints, changed by `sql`. */
static sl_ledger_reader *changed(const char *name, const char *sql) {
    const char *path = make();
    char text[512];
    sl_ledger_reader *reader = NULL;
    snprintf(text, sizeof text,
             "DROP VIEW tasks; CREATE TABLE copy AS SELECT * FROM %s; DROP TABLE %s;"
             "CREATE TABLE %s AS SELECT * FROM copy; %s",
             name, name, name, sql);
    run(path, text);
    CHECK_INT(sl_ledger_reader_open(path, &reader), SL_OK);
    return reader;
}

static sl_err see_entry(void *context, const sl_ledger_entry *entry) {
    sl_ledger_entry *last = context;
    if (last)
        *last = *entry;
    return SL_OK;
}

static sl_err see_attempt(void *context, const sl_ledger_attempt *attempt) {
    *(sl_ledger_attempt *)context = *attempt;
    return SL_OK;
}

static sl_err see_placement(void *context, const sl_ledger_placement *placement) {
    (void)context, (void)placement;
    return SL_OK;
}

static sl_err read_tasks(sl_ledger_reader *reader, sl_ledger_entry *last) {
    return sl_ledger_read_tasks(reader, SL_LEDGER_WANT_AFTER, see_entry, last);
}

static void refuse_tasks(const char *table, const char *sql, const char *why) {
    sl_ledger_reader *reader = changed(table, sql);
    CHECK_INT(read_tasks(reader, NULL), SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), why);
    sl_ledger_reader_close(reader);
}

TEST(tasks_that_no_starlane_writes_are_refused) {
    refuse_tasks("task", "UPDATE task SET id = -1 WHERE id = 1", "with id -1");
    refuse_tasks("task", "UPDATE task SET id = 4294967296 WHERE id = 1", "with id 4294967296");
    refuse_tasks("task", "UPDATE task SET name = NULL WHERE id = 1", "task 1 without a name");
    refuse_tasks("result", "UPDATE result SET state = 'lost'", "result of task 0 without a known");
    refuse_tasks("result", "UPDATE result SET state = 'odd'", "result of task 0 without a known");
    refuse_tasks("result", "UPDATE result SET state = NULL", "result of task 0 without a known");
    refuse_tasks("dependency", "UPDATE dependency SET after = -7", "comes after -7");
    refuse_tasks("dependency", "UPDATE dependency SET after = 4294967296",
                 "comes after 4294967296");
}

TEST(a_run_without_a_session_is_not_live) {
    sl_ledger_entry last = {0};
    sl_ledger_reader *reader = changed("session", "DELETE FROM session");
    CHECK_INT(read_tasks(reader, &last), SL_OK);
    CHECK(last.task.id == 1 && last.state == SL_LEDGER_ACCEPTED);
    sl_ledger_reader_close(reader);
}

TEST(dependencies_of_no_task_are_passed_over) {
    sl_ledger_entry last = {0};
    sl_ledger_reader *reader =
        changed("dependency", "INSERT INTO dependency VALUES (-5, 0), (0, 1), (7, 1)");
    CHECK_INT(read_tasks(reader, &last), SL_OK);
    CHECK_INT(last.task.after_count, 1);
    sl_ledger_reader_close(reader);
}

TEST(more_dependencies_than_room_for_a_few) {
    sl_ledger_entry last = {0};
    sl_ledger_reader *reader = changed(
        "dependency", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
                      "i < 1000) INSERT INTO dependency SELECT 1, i FROM n");
    CHECK_INT(read_tasks(reader, &last), SL_OK);
    CHECK_INT(last.task.after_count, 1001);
    sl_ledger_reader_close(reader);
}

TEST(numbers_out_of_range_become_the_nearest) {
    sl_ledger_entry last = {0};
    sl_ledger_attempt attempt = {0};
    sl_ledger_reader *reader =
        changed("task", "UPDATE task SET cpus = -1, gpus = 1e15, priority = -9e18 WHERE id = 1");
    CHECK_INT(read_tasks(reader, &last), SL_OK);
    CHECK_INT(last.task.cpus, 0);
    CHECK_INT(last.task.gpus, UINT32_MAX);
    CHECK_INT(last.task.priority, INT32_MIN);
    sl_ledger_reader_close(reader);
    reader = changed("attempt", "UPDATE attempt SET pid = 9e18, exit_code = 'text', signal = NULL");
    CHECK_INT(sl_ledger_read_attempts(reader, 0, see_attempt, &attempt), SL_OK);
    CHECK_INT(attempt.pid, INT32_MAX);
    CHECK_INT(attempt.outcome.exit_code, 0);
    CHECK_INT(attempt.outcome.signal, 0);
    sl_ledger_reader_close(reader);
}

TEST(placements_and_counts_that_make_no_sense_are_refused) {
    sl_ledger_counts counts;
    sl_ledger_reader *reader = changed("placement", "UPDATE placement SET policy = NULL");
    CHECK_INT(sl_ledger_read_placements(reader, 0, see_placement, NULL), SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), "without a policy");
    sl_ledger_reader_close(reader);
    reader = changed("result", "UPDATE result SET state = 'odd'");
    CHECK_INT(sl_ledger_read_counts(reader, &counts), SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), "without a known state");
    sl_ledger_reader_close(reader);
}

TEST(a_table_that_is_missing_is_named) {
    sl_ledger_reader *reader = changed("task", "DROP TABLE task");
    uint32_t id;
    char *value = NULL;
    CHECK_INT(read_tasks(reader, NULL), SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), "no such table: task");
    CHECK_INT(sl_ledger_find(reader, "a", &id), SL_ERR_LEDGER);
    sl_ledger_reader_close(reader);
    reader = changed("run", "DROP TABLE run");
    CHECK_INT(sl_ledger_read_meta(reader, "seed", &value), SL_ERR_LEDGER);
    sl_ledger_reader_close(reader);
    sl_ledger_reader_close(NULL);
}

TEST(a_schema_before_the_first_is_none) {
    const char *path = make();
    sl_ledger_reader *reader = NULL;
    run(path, "PRAGMA user_version = 0");
    CHECK_INT(sl_ledger_reader_open(path, &reader), SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), "schema 0, which no Starlane wrote");
}

/* ---- locks ---- */

/* A lock file with this text, held as another process would hold it. */
static int hold(const char *path, const char *text) {
    char name[300];
    snprintf(name, sizeof name, "%s-lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CHECK(fd >= 0 && fcntl(fd, F_OFD_SETLK, &whole) == 0);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    return fd;
}

static void check_writer_refused(const char *holder, const char *why) {
    const char *path = make();
    sl_ledger *ledger = NULL;
    int fd = hold(path, holder);
    sl_ledger_options options = {.mode = SL_LEDGER_RESUME, .no_thread = true};
    CHECK_INT(sl_ledger_open(path, &options, &ledger), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), why);
    CHECK(!strchr(sl_err_detail(), '\033'));
    close(fd);
}

TEST(who_holds_the_lock_is_named_if_it_can_be) {
    check_writer_refused("12 n1.example local\n", "by process 12 on n1.example");
    check_writer_refused("", "by another process");
    check_writer_refused("no number\n", "by another process");
    check_writer_refused("12\n", "by another process");
    check_writer_refused("12 \033[2J local\n", "by another process");
}

static sl_err open_reader_beside(const char *holder, bool held) {
    const char *path = make();
    sl_ledger_reader *reader = NULL;
    int fd = hold(path, holder);
    struct flock none = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    if (!held)
        CHECK(fcntl(fd, F_OFD_SETLK, &none) == 0);
    sl_err err = sl_ledger_reader_open(path, &reader);
    sl_ledger_reader_close(reader);
    close(fd);
    return err;
}

TEST(a_reader_keeps_away_from_a_log_in_another_machines_memory) {
    char here[128] = "", mine[160];
    CHECK(gethostname(here, sizeof here - 1) == 0);
    snprintf(mine, sizeof mine, "12 %s local\n", here);
    CHECK_INT(open_reader_beside("12 elsewhere local\n", true), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), "by process 12 on elsewhere: read it there, or later");
    CHECK_INT(open_reader_beside("12 elsewhere shared\n", true), SL_OK);
    CHECK_INT(open_reader_beside("12 elsewhere local\n", false), SL_OK); /* left by a dead one */
    CHECK_INT(open_reader_beside("nonsense", true), SL_OK);
    CHECK_INT(open_reader_beside(mine, true), SL_OK);
    CHECK_INT(open_reader_beside("12 elsewhere\n", true), SL_ERR_REFUSED); /* that is all it says */
}

/* ---- places ---- */

TEST(a_ledger_in_the_working_directory_needs_no_folder) {
    char before[512];
    sl_ledger_reader *reader = NULL;
    REQUIRE(getcwd(before, sizeof before) && chdir(sl_test_dir()) == 0);
    sl_ledger *ledger = open_as("here.db", (sl_ledger_options){.mode = SL_LEDGER_CREATE});
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
    CHECK_INT(sl_ledger_reader_open("here.db", &reader), SL_OK);
    sl_ledger_reader_close(reader);
    CHECK(chdir(before) == 0);
}

TEST(a_file_that_cannot_be_made_is_told_of_with_the_systems_word) {
    CHECK_INT(sl_ledger_schema_create(&sl_ledger_disk_real, "/nowhere/at/all.db", NULL, 0),
              SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), "cannot open it");
    CHECK_CONTAINS(sl_err_detail(), "No such file or directory");
}

TEST(a_lock_that_is_a_link_is_not_followed) {
    const char *path = make();
    char name[300];
    sl_ledger *ledger = NULL;
    snprintf(name, sizeof name, "%s-lock", path);
    CHECK(symlink("/etc/passwd", name) == 0);
    sl_ledger_options options = {.mode = SL_LEDGER_RESUME, .no_thread = true};
    CHECK_INT(sl_ledger_open(path, &options, &ledger), SL_ERR_LEDGER);
    CHECK_CONTAINS(sl_err_detail(), "cannot create");
}

/* ---- another program in the database ---- */

typedef struct intruder {
    sl_clock clock;
    sqlite3 *db;
    uint64_t now_ns, pause_ns; /* what a sleep takes */
    int sleeps, leaves_after;
} intruder;

static uint64_t intruder_now(const sl_clock *clock) {
    return ((const intruder *)clock)->now_ns;
}

static void intruder_sleep(const sl_clock *clock, uint64_t pause_ns) {
    intruder *it = (intruder *)(uintptr_t)clock;
    (void)pause_ns;
    it->now_ns += it->pause_ns;
    if (++it->sleeps == it->leaves_after)
        CHECK_INT(sqlite3_exec(it->db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
}

/* What posting comes to while another program has the write lock until so many sleeps. */
static sl_err post_beside(intruder *it, char **said) {
    const char *path = make();
    size_t bytes;
    FILE *stream = open_memstream(said, &bytes);
    sl_log_configure(&(sl_log_options){.stream = stream, .level = SL_LOG_WARN});
    it->clock = sl_clock_real;
    it->clock.now_ns = intruder_now;
    it->clock.sleep_ns = intruder_sleep;
    sl_ledger *ledger = open_as(path, (sl_ledger_options){.mode = SL_LEDGER_RESUME,
                                                          .clock = &it->clock,
                                                          .patience_ns = 60 * SL_NS_PER_S});
    CHECK_INT(sqlite3_open(path, &it->db), SQLITE_OK);
    CHECK_INT(sqlite3_exec(it->db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    sl_ledger_record record = task(2, "c");
    CHECK_INT(sl_ledger_post(ledger, &record, 1, NULL, NULL), SL_OK);
    sl_err err = sl_ledger_step(ledger);
    sqlite3_close(it->db);
    (void)!sl_ledger_close(ledger, NULL);
    sl_log_configure(&(sl_log_options){.stream = stderr, .level = SL_LOG_WARN});
    fclose(stream);
    return err;
}

TEST(another_program_is_waited_for_and_told_of) {
    char *said = NULL;
    intruder short_one = {.pause_ns = SL_NS_PER_MS, .leaves_after = 5};
    CHECK_INT(post_beside(&short_one, &said), SL_OK);
    CHECK(!strstr(said, "locked by another program"));
    free(said);
    intruder long_one = {.pause_ns = 11 * SL_NS_PER_S, .leaves_after = 3};
    CHECK_INT(post_beside(&long_one, &said), SL_OK);
    CHECK_CONTAINS(said, "ledger locked by another program");
    free(said);
}

TEST(another_program_that_never_leaves_ends_the_ledger) {
    char *said = NULL;
    intruder it = {.pause_ns = 11 * SL_NS_PER_S, .leaves_after = -1};
    CHECK_INT(post_beside(&it, &said), SL_ERR_LEDGER);
    CHECK_INT(it.sleeps, 6); /* a minute's patience */
    CHECK_CONTAINS(said, "nothing more is accepted");
    free(said);
}

/* ---- callers ---- */

TEST(a_record_that_is_refused_and_nobody_asked_about_is_told_of) {
    char *said = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&said, &bytes);
    sl_ledger *ledger = open_as(make(), (sl_ledger_options){.mode = SL_LEDGER_RESUME});
    sl_log_configure(&(sl_log_options){.stream = stream, .level = SL_LOG_WARN});
    const sl_ledger_record twice[] = {
        task(1, "b"),
        {.kind = SL_LEDGER_RESULT, .outcome = {.task = 0, .state = SL_LEDGER_FAILED}}};
    CHECK_INT(sl_ledger_post(ledger, &twice[0], 1, NULL, NULL), SL_OK);
    CHECK_INT(sl_ledger_post(ledger, &twice[1], 1, NULL, NULL), SL_OK);
    CHECK_INT(sl_ledger_step(ledger), SL_OK);
    sl_log_configure(&(sl_log_options){.stream = stderr, .level = SL_LOG_WARN});
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
    fclose(stream);
    CHECK_CONTAINS(said, "task 1 or the name \"b\" is in the ledger already");
    CHECK_CONTAINS(said, "task 0 has its result in the ledger already");
    free(said);
}

static sl_ledger *closing;

static void post_again(void *context, sl_err err) {
    sl_ledger_record record = task(9, "z");
    CHECK_INT(err, SL_OK);
    *(sl_err *)context = sl_ledger_post(closing, &record, 1, NULL, NULL);
}

TEST(nothing_is_posted_to_a_ledger_that_closes) {
    sl_err told = SL_OK;
    closing = open_as(make(), (sl_ledger_options){.mode = SL_LEDGER_RESUME});
    sl_ledger_record record = task(2, "c");
    CHECK_INT(sl_ledger_post(closing, &record, 1, post_again, &told), SL_OK);
    CHECK_INT(sl_ledger_close(closing, NULL), SL_OK);
    CHECK_INT(told, SL_ERR_CLOSED);
}

TEST(a_ledger_with_a_thread_takes_no_steps) {
    sl_ledger *ledger = NULL;
    sl_ledger_options options = {.mode = SL_LEDGER_RESUME, .queue_bytes = 1};
    REQUIRE(sl_ledger_open(make(), &options, &ledger) == SL_OK);
    CHECK_INT(sl_ledger_step(ledger), SL_ERR_INVALID);
    sl_ledger_record record = task(2, "c"); /* a queue too small for anything is made larger */
    CHECK_INT(sl_ledger_post(ledger, &record, 1, NULL, NULL), SL_OK);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
}

TEST(outcomes_and_texts_out_of_bounds_are_refused) {
    sl_ledger *ledger = open_as(make(), (sl_ledger_options){.mode = SL_LEDGER_RESUME});
    const sl_ledger_record bad[] = {
        {.kind = SL_LEDGER_RESULT, .outcome = {.state = SL_LEDGER_ACCEPTED}},
        {.kind = SL_LEDGER_RESULT, .outcome = {.state = SL_LEDGER_STATES}},
        {.kind = SL_LEDGER_ATTEMPT, .outcome = {.attempt = 1, .state = SL_LEDGER_RUNNING}},
        {.kind = SL_LEDGER_ATTEMPT, .outcome = {.attempt = 1, .state = SL_LEDGER_STATES}},
        {.kind = SL_LEDGER_ATTEMPT, .outcome = {.attempt = 0, .state = SL_LEDGER_LOST}}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(sl_ledger_post(ledger, &bad[i], 1, NULL, NULL), SL_ERR_INVALID);
    CHECK_STR(sl_ledger_state_name(SL_LEDGER_STATES), "unknown");
    char *text = malloc(SL_LEDGER_TEXT_MAX + 1);
    REQUIRE(text);
    memset(text, 'x', SL_LEDGER_TEXT_MAX);
    text[SL_LEDGER_TEXT_MAX] = '\0';
    sl_ledger_record large = task(2, "c");
    large.task.spec = text;
    CHECK_INT(sl_ledger_post(ledger, &large, 1, NULL, NULL), SL_ERR_TOO_LARGE);
    free(text);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
}

/* ---- the log's way into the file ---- */

enum { SPEC_BYTES = 5 << 20 }; /* more pages than may stay in the log */

static void count_durable(void *context, sl_err err) {
    *(int *)context += err == SL_OK;
}

/* Posts a large task while the `after`-th operation of the disk fails. False when none did. */
static bool checkpoint_with_fault(sl_ledger_simdisk *disk, const char *spec, uint64_t after) {
    static uint32_t number;
    int durable = 0;
    char name[16];
    sl_ledger_counts counts = {0};
    sl_ledger_reader *reader = NULL;
    sl_ledger *ledger = open_as(
        "ledger.db", (sl_ledger_options){.mode = number ? SL_LEDGER_RESUME : SL_LEDGER_CREATE,
                                         .disk = sl_ledger_simdisk_base(disk)});
    snprintf(name, sizeof name, "t%u", number);
    sl_ledger_record record = {.kind = SL_LEDGER_TASK,
                               .task = {.id = number++, .name = name, .spec = spec}};
    CHECK_INT(sl_ledger_post(ledger, &record, 1, count_durable, &durable), SL_OK);
    uint64_t before = sl_ledger_simdisk_operations(disk);
    sl_ledger_simdisk_break(disk, SL_SIMDISK_ERROR, after);
    sl_err err = sl_ledger_step(ledger);
    bool came = sl_ledger_simdisk_operations(disk) - before > after;
    sl_ledger_simdisk_break(disk, SL_SIMDISK_WELL, 0);
    CHECK_INT(durable, err == SL_OK); /* the log holds it: no fault behind the commit matters */
    (void)!sl_ledger_close(ledger, NULL);
    CHECK_INT(sl_ledger_reader_open_on(sl_ledger_simdisk_base(disk), "ledger.db", &reader), SL_OK);
    CHECK_INT(sl_ledger_read_counts(reader, &counts), SL_OK);
    CHECK(counts.tasks >= (uint64_t)durable);
    sl_ledger_reader_close(reader);
    number = came ? number : 0;
    return came;
}

TEST(a_fault_while_the_log_is_moved_loses_nothing) {
    sl_ledger_simdisk *disk;
    char *spec = malloc(SPEC_BYTES + 1), *said = NULL;
    size_t bytes;
    REQUIRE(spec && sl_ledger_simdisk_create(1, &disk) == SL_OK);
    memset(spec, 's', SPEC_BYTES);
    spec[SPEC_BYTES] = '\0';
    FILE *stream = open_memstream(&said, &bytes);
    sl_log_configure(&(sl_log_options){.stream = stream, .level = SL_LOG_WARN});
    for (uint64_t after = 0; checkpoint_with_fault(disk, spec, after); after += 211) {
    }
    sl_log_configure(&(sl_log_options){.stream = stderr, .level = SL_LOG_WARN});
    fclose(stream);
    CHECK_CONTAINS(said, "ledger checkpoint failed");
    free(said);
    free(spec);
    sl_ledger_simdisk_destroy(disk);
}

/* A clock that stands still, and posts to the ledger once it is asked, while a batch is written. */
typedef struct posting_clock {
    sl_clock base; /* first */
    sl_ledger *ledger;
    const sl_ledger_record *record; /* NULL: no more */
    int *durable;
    sl_err err;
} posting_clock;

static uint64_t post_and_tell_ns(const sl_clock *clock) {
    posting_clock *c = (posting_clock *)(uintptr_t)clock;
    const sl_ledger_record *record = c->record;
    c->record = NULL;
    if (record)
        c->err = sl_ledger_post(c->ledger, record, 1, count_durable, c->durable);
    return 0;
}

TEST(what_is_posted_while_a_write_fails_is_told_of_it_too) {
    sl_ledger_simdisk *disk;
    int durable = 0;
    sl_ledger_stats stats;
    posting_clock clock = {.base = sl_clock_real, .durable = &durable, .err = SL_ERR_INTERNAL};
    const sl_ledger_record records[] = {task(0, "a"), task(1, "b")};
    REQUIRE(sl_ledger_simdisk_create(1, &disk) == SL_OK);
    clock.base.now_ns = post_and_tell_ns;
    clock.ledger = open_as("ledger.db", (sl_ledger_options){.mode = SL_LEDGER_CREATE,
                                                            .disk = sl_ledger_simdisk_base(disk),
                                                            .clock = &clock.base});
    CHECK_INT(sl_ledger_post(clock.ledger, &records[0], 1, count_durable, &durable), SL_OK);
    clock.record = &records[1];
    sl_ledger_simdisk_break(disk, SL_SIMDISK_FULL, 0);
    char *said = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&said, &bytes);
    sl_log_configure(&(sl_log_options){.stream = stream, .level = SL_LOG_WARN});
    CHECK_INT(sl_ledger_step(clock.ledger), SL_ERR_LEDGER);
    sl_log_configure(&(sl_log_options){.stream = stderr, .level = SL_LOG_WARN});
    fclose(stream);
    CHECK_CONTAINS(said, "ledger failed");
    free(said);
    CHECK_INT(clock.err, SL_OK); /* it was taken, and is not written by the next step either */
    sl_ledger_simdisk_break(disk, SL_SIMDISK_WELL, 0);
    CHECK_INT(sl_ledger_step(clock.ledger), SL_ERR_LEDGER);
    CHECK_INT(durable, 0);
    sl_ledger_stats_get(clock.ledger, &stats);
    CHECK(stats.posts == 2 && stats.records == 0 && stats.commits == 0);
    CHECK_INT(sl_ledger_close(clock.ledger, NULL), SL_ERR_LEDGER);
    sl_ledger_simdisk_destroy(disk);
}

/* By a clock that stands still, a checkpoint takes no time. */
TEST(a_checkpoint_of_no_time_is_no_longest) {
    sl_ledger_simdisk *disk;
    sl_ledger_stats stats;
    posting_clock clock = {.base = sl_clock_real};
    char *spec = malloc(SPEC_BYTES + 1);
    REQUIRE(spec && sl_ledger_simdisk_create(1, &disk) == SL_OK);
    memset(spec, 's', SPEC_BYTES);
    spec[SPEC_BYTES] = '\0';
    clock.base.now_ns = post_and_tell_ns;
    sl_ledger *ledger =
        open_as("ledger.db", (sl_ledger_options){.mode = SL_LEDGER_CREATE,
                                                 .disk = sl_ledger_simdisk_base(disk),
                                                 .clock = &clock.base});
    sl_ledger_record record = task(0, "a");
    record.task.spec = spec;
    CHECK_INT(sl_ledger_post(ledger, &record, 1, NULL, NULL), SL_OK);
    CHECK_INT(sl_ledger_step(ledger), SL_OK);
    sl_ledger_stats_get(ledger, &stats);
    CHECK(stats.checkpoints == 1 && stats.checkpoint_ns_max == 0 && stats.commit_ns_max == 0);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
    free(spec);
    sl_ledger_simdisk_destroy(disk);
}

TEST(half_a_queue_does_not_wait_for_company) {
    enum { QUEUE_BYTES = 65536 };
    bool pressing = true;
    uint32_t id = 2;
    sl_ledger *ledger =
        open_as(make(), (sl_ledger_options){.mode = SL_LEDGER_RESUME, .queue_bytes = QUEUE_BYTES});
    CHECK(!sl_ledger_waits(ledger, &pressing) && !pressing);
    for (pressing = false; !pressing && id < 1000; id++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", id);
        sl_ledger_record record = task(id, name);
        CHECK_INT(sl_ledger_post(ledger, &record, 1, NULL, NULL), SL_OK);
        CHECK(sl_ledger_waits(ledger, &pressing));
    }
    CHECK(pressing && id > 10 && id < 1000);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
}
