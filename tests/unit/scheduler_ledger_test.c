/* The ledger's promises: what is written, what is refused, when callbacks come, and group commit.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <unistd.h>

#include "actors/scheduler/ledger_reader.h"
#include "tests/lib/test.h"

static const char *fresh(void) {
    static int number;
    static char path[256];
    snprintf(path, sizeof path, "%s/ledger%d.db", sl_test_dir(), number++);
    return path;
}

static sl_ledger *open_as(const char *path, sl_ledger_mode mode, bool no_thread) {
    sl_ledger *ledger = NULL;
    sl_ledger_options options = {
        .mode = mode, .no_thread = no_thread, .version = "1.2", .command = "run x"};
    sl_err err = sl_ledger_open(path, &options, &ledger);
    if (err != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "%s", sl_err_detail());
    return ledger;
}

static sl_ledger_record task(uint32_t id, const char *name) {
    return (sl_ledger_record){.kind = SL_LEDGER_TASK,
                              .task = {.id = id, .name = name, .spec = "{}", .cpus = 1}};
}

static sl_ledger_record result(uint32_t id, uint32_t attempt, sl_ledger_state state) {
    return (sl_ledger_record){
        .kind = SL_LEDGER_RESULT,
        .outcome = {.task = id, .attempt = attempt, .state = state, .exit_code = 0, .rank = 2}};
}

static sl_ledger_record started(uint32_t id, uint32_t attempt) {
    return (sl_ledger_record){
        .kind = SL_LEDGER_START,
        .start = {.task = id, .attempt = attempt, .rank = 1, .pid = 77, .start_s = 10}};
}

/* What callbacks said, in their order. */
typedef struct heard {
    atomic_int count;
    atomic_int by_err[SL_ERR_COUNT];
    char last[256];
} heard;

static void hear(void *context, sl_err err) {
    heard *h = context;
    snprintf(h->last, sizeof h->last, "%s", err == SL_OK ? "" : sl_err_detail());
    atomic_fetch_add(&h->by_err[err], 1);
    atomic_fetch_add(&h->count, 1);
}

static void post(sl_ledger *ledger, const sl_ledger_record *records, size_t count, heard *h) {
    sl_err err = sl_ledger_post(ledger, records, count, h ? hear : NULL, h);
    if (err != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "post: %s", sl_err_detail());
}

static void post_one(sl_ledger *ledger, sl_ledger_record record, heard *h) {
    post(ledger, &record, 1, h);
}

static sl_ledger_reader *read_from(const char *path) {
    sl_ledger_reader *reader = NULL;
    sl_err err = sl_ledger_reader_open(path, &reader);
    if (err != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "%s", sl_err_detail());
    return reader;
}

static sl_ledger_counts counts_of(const char *path) {
    sl_ledger_counts counts = {0};
    sl_ledger_reader *reader = read_from(path);
    CHECK_INT(sl_ledger_read_counts(reader, &counts), SL_OK);
    sl_ledger_reader_close(reader);
    return counts;
}

static void close_ended(sl_ledger *ledger) {
    sl_ledger_end end = {"finished", 1};
    CHECK_INT(sl_ledger_close(ledger, &end), SL_OK);
}

/* One of everything. */
static void write_all(sl_ledger *ledger) {
    const uint32_t after[] = {0, 1};
    sl_ledger_record c = task(2, "third");
    c.task = (sl_ledger_task){.id = 2,
                              .name = "third",
                              .spec = "{\"shell\":\"a 'b' \\u00e9 \xc3\xa9\"}",
                              .region = "us-west",
                              .accepted_s = 1700000000.25,
                              .timeout_s = 2.5,
                              .priority = -7,
                              .cpus = 4,
                              .gpus = 2,
                              .retries = 3,
                              .memory_bytes = 5ull << 40,
                              .ucu_milli = 12345,
                              .after = after,
                              .after_count = 2};
    sl_ledger_record records[] = {
        task(0, "first"),
        task(1, "second"),
        c,
        {.kind = SL_LEDGER_NODE,
         .node =
             {.rank = 3, .cores = 64, .gpus = 2, .memory_bytes = 7, .ucu_milli = 88, .host = "h"}},
        {.kind = SL_LEDGER_META, .meta = {"seed", "42"}},
        {.kind = SL_LEDGER_PLACEMENT,
         .placement = {2, 1, 1, 3, 5.5, 88, "earliest", "[{\"rank\":3}]"}},
        {.kind = SL_LEDGER_PLACEMENT, .placement = {2, 2, 1, 1, 5.75, 44, "random", NULL}},
        started(2, 1),
        {.kind = SL_LEDGER_ATTEMPT,
         .outcome = {2, 1, SL_LEDGER_LOST, -1, 9, 1, 10, 11, 0.5, 0.25, 4096, "n1", "eu",
                     "node lost"}},
        started(2, 2),
        {.kind = SL_LEDGER_RESULT,
         .outcome = {2, 2, SL_LEDGER_FAILED, 5, 0, 3, 12, 14, 1.5, 0.125, 1 << 20, "n3", "us",
                     "bad"}},
        {.kind = SL_LEDGER_RESULT,
         .outcome = {1, 0, SL_LEDGER_SKIPPED, -1, 0, -1, 0, 0, 0, 0, 0, NULL, NULL, NULL}},
        started(0, 1),
    };
    heard h = {0};
    post(ledger, records, sizeof records / sizeof *records, &h);
    CHECK_INT(sl_ledger_flush(ledger), SL_OK);
    CHECK_INT(h.by_err[SL_OK], 1);
}

static sl_err check_third(void *context, const sl_ledger_entry *entry) {
    ++*(int *)context;
    CHECK_INT(entry->task.id, 2);
    CHECK_STR(entry->task.name, "third");
    CHECK_STR(entry->task.spec, "{\"shell\":\"a 'b' \\u00e9 \xc3\xa9\"}");
    CHECK_STR(entry->task.region, "us-west");
    CHECK_DOUBLE(entry->task.accepted_s, 1700000000.25, 0);
    CHECK_DOUBLE(entry->task.timeout_s, 2.5, 0);
    CHECK_INT(entry->task.priority, -7);
    CHECK_INT(entry->task.cpus, 4);
    CHECK_INT(entry->task.gpus, 2);
    CHECK_INT(entry->task.retries, 3);
    CHECK_INT(entry->task.memory_bytes, 5ll << 40);
    CHECK_INT(entry->task.ucu_milli, 12345);
    CHECK_INT(entry->task.after_count, 2);
    CHECK_INT(entry->task.after[0], 0);
    CHECK_INT(entry->task.after[1], 1);
    CHECK_INT(entry->state, SL_LEDGER_FAILED);
    CHECK_INT(entry->attempts, 2);
    CHECK(!entry->open_attempt);
    CHECK_INT(entry->result.exit_code, 5);
    CHECK_INT(entry->result.signal, 0);
    CHECK_INT(entry->result.rank, 3);
    CHECK_DOUBLE(entry->result.start_s, 12, 0);
    CHECK_DOUBLE(entry->result.end_s, 14, 0);
    CHECK_DOUBLE(entry->result.user_s, 1.5, 0);
    CHECK_DOUBLE(entry->result.sys_s, 0.125, 0);
    CHECK_INT(entry->result.max_rss_bytes, 1 << 20);
    CHECK_STR(entry->result.host, "n3");
    CHECK_STR(entry->result.region, "us");
    CHECK_STR(entry->result.message, "bad");
    return SL_OK;
}

static sl_err check_attempt(void *context, const sl_ledger_attempt *attempt) {
    int number = ++*(int *)context;
    CHECK_INT(attempt->outcome.attempt, number);
    CHECK_INT(attempt->outcome.state, number == 1 ? SL_LEDGER_LOST : SL_LEDGER_FAILED);
    CHECK_INT(attempt->outcome.signal, number == 1 ? 9 : 0);
    CHECK_INT(attempt->outcome.exit_code, number == 1 ? -1 : 5);
    CHECK_STR(attempt->outcome.message, number == 1 ? "node lost" : "bad");
    CHECK_INT(attempt->pid, 77);
    CHECK_INT(attempt->session, 1);
    return SL_OK;
}

static sl_err check_placement(void *context, const sl_ledger_placement *placement) {
    int number = ++*(int *)context;
    CHECK_INT(placement->choice, number);
    CHECK_STR(placement->policy, number == 1 ? "earliest" : "random");
    CHECK_INT(placement->rank, number == 1 ? 3 : 1);
    if (number == 1)
        CHECK_STR(placement->reason, "[{\"rank\":3}]");
    else
        CHECK(!placement->reason);
    return SL_OK;
}

static sl_err check_node(void *context, uint32_t session, const sl_ledger_node *node) {
    ++*(int *)context;
    CHECK_INT(session, 1);
    CHECK_INT(node->rank, 3);
    CHECK_INT(node->cores, 64);
    CHECK_INT(node->ucu_milli, 88);
    CHECK_STR(node->host, "h");
    CHECK(!node->region);
    return SL_OK;
}

static sl_err check_session(void *context, const sl_ledger_session *session) {
    ++*(int *)context;
    CHECK_INT(session->number, 1);
    CHECK_INT(session->pid, getpid());
    CHECK(session->ended);
    CHECK(session->end_s >= session->start_s);
    CHECK_STR(session->reason, "finished");
    CHECK_INT(session->exit_code, 1);
    CHECK_STR(session->version, "1.2");
    CHECK_STR(session->command, "run x");
    return SL_OK;
}

static sl_err count_entry(void *context, const sl_ledger_entry *entry) {
    CHECK_INT(entry->task.id < 3, 1);
    ++*(int *)context;
    return SL_OK;
}

TEST(everything_written_is_read_back) {
    const char *path = fresh();
    sl_ledger *ledger = open_as(path, SL_LEDGER_CREATE, false);
    REQUIRE(ledger);
    write_all(ledger);
    close_ended(ledger);
    sl_ledger_reader *reader = read_from(path);
    REQUIRE(reader);
    int n[6] = {0};
    uint32_t id = 0;
    char *value = NULL;
    CHECK_INT(sl_ledger_find(reader, "third", &id), SL_OK);
    CHECK_INT(id, 2);
    CHECK_INT(sl_ledger_find(reader, "fourth", &id), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_ledger_read_task(reader, 2, check_third, &n[0]), SL_OK);
    CHECK_INT(sl_ledger_read_task(reader, 9, check_third, &n[0]), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_ledger_read_attempts(reader, 2, check_attempt, &n[1]), SL_OK);
    CHECK_INT(sl_ledger_read_placements(reader, 2, check_placement, &n[2]), SL_OK);
    CHECK_INT(sl_ledger_read_nodes(reader, check_node, &n[3]), SL_OK);
    CHECK_INT(sl_ledger_read_sessions(reader, check_session, &n[4]), SL_OK);
    CHECK_INT(sl_ledger_read_tasks(reader, SL_LEDGER_WANT_FINISHED, count_entry, &n[5]), SL_OK);
    CHECK(n[0] == 1 && n[1] == 2 && n[2] == 2 && n[3] == 1 && n[4] == 1 && n[5] == 2);
    CHECK_INT(sl_ledger_read_meta(reader, "seed", &value), SL_OK);
    CHECK_STR(value, "42");
    free(value);
    CHECK_INT(sl_ledger_read_meta(reader, "none", &value), SL_ERR_NOT_FOUND);
    sl_ledger_reader_close(reader);
}

/* Looks at the file as a user would. */
static void check_sql(const char *path, const char *sql, const char *expected) {
    sqlite3 *db = NULL;
    sqlite3_stmt *query = NULL;
    CHECK(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
    CHECK(sqlite3_prepare_v2(db, sql, -1, &query, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(query) == SQLITE_ROW);
    CHECK_STR((const char *)sqlite3_column_text(query, 0), expected);
    sqlite3_finalize(query);
    sqlite3_close(db);
}

TEST(a_user_sees_the_state_of_each_task) {
    const char *states = "SELECT group_concat(state) FROM (SELECT state FROM tasks ORDER BY id)";
    const char *path = fresh();
    sl_ledger *ledger = open_as(path, SL_LEDGER_CREATE, false);
    REQUIRE(ledger);
    write_all(ledger);
    sl_ledger_record last = task(3, "fourth");
    last.task.after_count = 1;
    last.task.after = (const uint32_t[]){0};
    post_one(ledger, last, NULL);
    post_one(ledger, task(4, "fifth"), NULL);
    CHECK_INT(sl_ledger_flush(ledger), SL_OK);
    check_sql(path, states, "running,skipped,failed,waiting,accepted");
    sl_ledger_counts counts = counts_of(path);
    CHECK_INT(counts.tasks, 5);
    CHECK_INT(counts.by_state[SL_LEDGER_RUNNING], 1);
    CHECK_INT(counts.by_state[SL_LEDGER_ACCEPTED], 2);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
    ledger = open_as(path, SL_LEDGER_RESUME, false); /* what ran in a dead session does not run */
    check_sql(path, states, "accepted,skipped,failed,waiting,accepted");
    close_ended(ledger);
}

typedef struct seen {
    sl_ledger_state state[8];
    uint32_t attempts[8];
    bool open[8];
    int count;
} seen;

static sl_err note(void *context, const sl_ledger_entry *entry) {
    seen *s = context;
    s->count++;
    if (entry->task.id < 8) {
        s->state[entry->task.id] = entry->state;
        s->attempts[entry->task.id] = entry->attempts;
        s->open[entry->task.id] = entry->open_attempt;
    }
    return entry->task.id == 7 ? SL_ERR_CANCELLED : SL_OK;
}

TEST(a_resumed_run_knows_what_is_left) {
    const char *path = fresh();
    sl_ledger *ledger = open_as(path, SL_LEDGER_CREATE, false);
    REQUIRE(ledger);
    write_all(ledger);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
    ledger = open_as(path, SL_LEDGER_RESUME, false);
    REQUIRE(ledger);
    sl_ledger_stats stats;
    sl_ledger_stats_get(ledger, &stats);
    CHECK_INT(stats.session, 2);
    seen s = {0};
    sl_ledger_reader *reader = read_from(path);
    CHECK_INT(sl_ledger_read_tasks(reader, SL_LEDGER_WANT_UNFINISHED, note, &s), SL_OK);
    CHECK_INT(s.count, 1);
    CHECK_INT(s.state[0], SL_LEDGER_ACCEPTED);
    CHECK_INT(s.attempts[0], 1);
    CHECK(s.open[0]);
    sl_ledger_record again[] = {{.kind = SL_LEDGER_REOPEN, .reopen = 2}, started(2, 3)};
    post(ledger, again, 2, NULL);
    CHECK_INT(sl_ledger_flush(ledger), SL_OK);
    s = (seen){0};
    CHECK_INT(sl_ledger_read_tasks(reader, 0, note, &s), SL_OK);
    CHECK_INT(s.state[2], SL_LEDGER_RUNNING);
    CHECK_INT(s.attempts[2], 3);
    post_one(ledger, result(2, 3, SL_LEDGER_DONE), NULL);
    sl_ledger_reader_close(reader);
    close_ended(ledger);
    CHECK_INT(counts_of(path).by_state[SL_LEDGER_DONE], 1);
    check_sql(path, "SELECT max(session) || ' ' || count(*) FROM attempt WHERE task = 2", "2 3");
}

TEST(a_visitor_can_end_a_walk) {
    const char *path = fresh();
    sl_ledger *ledger = open_as(path, SL_LEDGER_CREATE, true);
    REQUIRE(ledger);
    for (uint32_t i = 0; i < 20; i++) {
        char name[8];
        snprintf(name, sizeof name, "%u", i);
        post_one(ledger, task(i, name), NULL);
    }
    close_ended(ledger);
    seen s = {0};
    sl_ledger_reader *reader = read_from(path);
    CHECK_INT(sl_ledger_read_tasks(reader, SL_LEDGER_WANT_SPEC, note, &s), SL_ERR_CANCELLED);
    CHECK_INT(s.count, 8);
    sl_ledger_reader_close(reader);
}

TEST(a_refused_post_leaves_no_trace_and_the_others_stay) {
    const char *path = fresh();
    sl_ledger *ledger = open_as(path, SL_LEDGER_CREATE, true);
    REQUIRE(ledger);
    heard good = {0}, id = {0}, name = {0}, twice = {0};
    sl_ledger_record same_name[] = {task(10, "ten"), task(11, "zero")};
    post_one(ledger, task(0, "zero"), &good);
    post_one(ledger, task(0, "other"), &id);
    post(ledger, same_name, 2, &name);
    post_one(ledger, result(0, 0, SL_LEDGER_DONE), &good);
    post_one(ledger, result(0, 0, SL_LEDGER_FAILED), &twice);
    post_one(ledger, task(1, "one"), &good);
    CHECK_INT(sl_ledger_step(ledger), SL_OK);
    CHECK_INT(good.by_err[SL_OK], 3);
    CHECK_INT(id.by_err[SL_ERR_EXISTS], 1);
    CHECK_CONTAINS(id.last, "task 0");
    CHECK_INT(name.by_err[SL_ERR_EXISTS], 1);
    CHECK_CONTAINS(name.last, "\"zero\"");
    CHECK_INT(twice.by_err[SL_ERR_EXISTS], 1);
    CHECK_CONTAINS(twice.last, "result");
    sl_ledger_stats stats;
    sl_ledger_stats_get(ledger, &stats);
    CHECK_INT(stats.commits, 1);
    CHECK_INT(stats.records, 3);
    CHECK_INT(stats.refused, 3);
    close_ended(ledger);
    sl_ledger_counts counts = counts_of(path);
    CHECK_INT(counts.tasks, 2);
    CHECK_INT(counts.by_state[SL_LEDGER_DONE], 1);
}

/* While another program holds the database, posts pile up; then they are one transaction. */
TEST(what_waits_for_a_commit_is_the_next_commit) {
    const char *path = fresh();
    sl_ledger *ledger = open_as(path, SL_LEDGER_CREATE, false);
    REQUIRE(ledger);
    sqlite3 *other = NULL;
    REQUIRE(sqlite3_open_v2(path, &other, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
    CHECK(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
    heard h = {0};
    for (uint32_t i = 0; i < 10000; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", i);
        post_one(ledger, task(i, name), &h);
    }
    CHECK_INT(h.count, 0); /* nothing is on disk, nothing is told */
    CHECK(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(other);
    CHECK_INT(sl_ledger_flush(ledger), SL_OK);
    CHECK_INT(h.by_err[SL_OK], 10000);
    sl_ledger_stats stats;
    sl_ledger_stats_get(ledger, &stats);
    CHECK_INT(stats.records, 10000);
    CHECK(stats.commits <= 2); /* the one that was waiting, and all the rest */
    CHECK(stats.wal);
    close_ended(ledger);
    CHECK_INT(counts_of(path).tasks, 10000);
}

TEST(records_without_a_callback_ride_along_or_linger) {
    const char *path = fresh();
    sl_ledger *ledger = NULL;
    sl_ledger_options options = {.mode = SL_LEDGER_CREATE, .linger_ns = 3600 * SL_NS_PER_S};
    REQUIRE(sl_ledger_open(path, &options, &ledger) == SL_OK);
    heard h = {0};
    post_one(ledger, task(0, "a"), NULL);
    post_one(ledger, started(0, 1), NULL);
    usleep(20000);
    CHECK_INT(counts_of(path).tasks, 0);
    post_one(ledger, result(0, 1, SL_LEDGER_DONE), &h);
    while (!h.count)
        usleep(100);
    sl_ledger_stats stats;
    sl_ledger_stats_get(ledger, &stats);
    CHECK_INT(stats.commits, 1);
    CHECK_INT(stats.records, 3);
    close_ended(ledger);
    options = (sl_ledger_options){.mode = SL_LEDGER_RESUME, .linger_ns = SL_NS_PER_MS};
    REQUIRE(sl_ledger_open(path, &options, &ledger) == SL_OK);
    post_one(ledger, task(1, "b"), NULL);
    while (counts_of(path).tasks != 2) /* for ever, if it did not come by itself */
        usleep(1000);
    close_ended(ledger);
}

TEST(a_full_queue_says_so_and_has_room_again) {
    const char *path = fresh();
    sl_ledger *ledger = NULL;
    sl_ledger_options options = {
        .mode = SL_LEDGER_CREATE, .no_thread = true, .queue_bytes = 64 << 10};
    REQUIRE(sl_ledger_open(path, &options, &ledger) == SL_OK);
    static char spec[100 << 10];
    memset(spec, 'x', sizeof spec - 1);
    sl_ledger_record large = task(0, "large"), small = task(0, "small");
    large.task.spec = spec;
    CHECK_INT(sl_ledger_post(ledger, &large, 1, NULL, NULL), SL_ERR_TOO_LARGE);
    heard h = {0};
    uint32_t count = 0;
    sl_err err;
    char name[16];
    small.task.name = name;
    do {
        snprintf(name, sizeof name, "s%u", count);
        small.task.id = count++;
        err = sl_ledger_post(ledger, &small, 1, hear, &h);
    } while (err == SL_OK && count < 10000);
    CHECK_INT(err, SL_ERR_AGAIN);
    CHECK(count > 100);
    CHECK_INT(h.count, 0);
    CHECK_INT(sl_ledger_step(ledger), SL_OK);
    CHECK_INT(h.by_err[SL_OK], count - 1);
    post_one(ledger, small, &h);
    close_ended(ledger);
    CHECK_INT(h.by_err[SL_OK], count);
    CHECK_INT(counts_of(path).tasks, count);
}

TEST(records_that_say_nonsense_are_refused_at_once) {
    sl_ledger *ledger = open_as(fresh(), SL_LEDGER_CREATE, true);
    REQUIRE(ledger);
    sl_ledger_record no_name = task(0, NULL), no_spec = task(0, "a"), kind = task(0, "a");
    no_spec.task.spec = NULL;
    kind.kind = (sl_ledger_kind)99;
    sl_ledger_record running = result(0, 1, SL_LEDGER_RUNNING), lost = result(0, 1, SL_LEDGER_LOST);
    CHECK_INT(sl_ledger_post(ledger, &no_name, 1, NULL, NULL), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "name");
    CHECK_INT(sl_ledger_post(ledger, &no_spec, 1, NULL, NULL), SL_ERR_INVALID);
    CHECK_INT(sl_ledger_post(ledger, &kind, 1, NULL, NULL), SL_ERR_INVALID);
    CHECK_INT(sl_ledger_post(ledger, &running, 1, NULL, NULL), SL_ERR_INVALID);
    CHECK_INT(sl_ledger_post(ledger, &lost, 1, NULL, NULL), SL_ERR_INVALID);
    close_ended(ledger);
}

/* Posts from a callback, as the scheduler does when a result frees its successors. */
static sl_ledger *chained;
static heard chain_heard;

static void chain(void *context, sl_err err) {
    uint32_t next = (uint32_t)(uintptr_t)context;
    char name[16];
    CHECK_INT(err, SL_OK);
    snprintf(name, sizeof name, "c%u", next);
    sl_ledger_record record = task(next, name);
    if (next < 50)
        CHECK_INT(sl_ledger_post(chained, &record, 1, chain, (void *)(uintptr_t)(next + 1)), SL_OK);
    else
        hear(&chain_heard, SL_OK);
}

TEST(callbacks_may_post) {
    const char *path = fresh();
    chained = open_as(path, SL_LEDGER_CREATE, false);
    REQUIRE(chained);
    sl_ledger_record record = task(0, "c0");
    CHECK_INT(sl_ledger_post(chained, &record, 1, chain, (void *)1), SL_OK);
    while (!chain_heard.count)
        usleep(100);
    close_ended(chained);
    CHECK_INT(counts_of(path).tasks, 50);
}

typedef struct poster {
    sl_ledger *ledger;
    uint32_t first;
    heard heard;
    pthread_t thread;
} poster;

static void *post_many(void *argument) {
    poster *p = argument;
    for (uint32_t i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%u", p->first + i);
        sl_ledger_record record = task(p->first + i, name);
        while (sl_ledger_post(p->ledger, &record, 1, hear, &p->heard) == SL_ERR_AGAIN)
            usleep(100);
    }
    return NULL;
}

TEST(many_threads_may_post_while_one_reads) {
    const char *path = fresh();
    sl_ledger *ledger = NULL;
    sl_ledger_options options = {.mode = SL_LEDGER_CREATE, .queue_bytes = 32 << 10};
    REQUIRE(sl_ledger_open(path, &options, &ledger) == SL_OK);
    static poster posters[4];
    for (uint32_t i = 0; i < 4; i++) {
        posters[i] = (poster){.ledger = ledger, .first = i * 1000};
        pthread_create(&posters[i].thread, NULL, post_many, &posters[i]);
    }
    uint64_t before = 0;
    for (int i = 0; i < 20; i++) {
        uint64_t tasks = counts_of(path).tasks;
        CHECK(tasks >= before);
        before = tasks;
    }
    for (uint32_t i = 0; i < 4; i++)
        pthread_join(posters[i].thread, NULL);
    CHECK_INT(sl_ledger_flush(ledger), SL_OK);
    for (uint32_t i = 0; i < 4; i++)
        CHECK_INT(posters[i].heard.by_err[SL_OK], 1000);
    close_ended(ledger);
    CHECK_INT(counts_of(path).tasks, 4000);
}
