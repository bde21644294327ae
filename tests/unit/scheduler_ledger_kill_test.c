/* A writer killed at random moments: what it was told is durable is there, and the next one goes
 * on. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/scheduler/ledger_reader.h"
#include "tests/lib/ledger_support.h"
#include "tests/lib/test.h"

#define TASKS_MAX 200000

typedef struct victim {
    pid_t pid;
    int input;  /* write end of its standard input */
    int output; /* read end of its standard output */
} victim;

static uint64_t seed = 20240229;

static unsigned chance(unsigned below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static bool start(victim *v, const char *path, const char *mode) {
    char program[512];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 32);
    if (size < 0)
        return false;
    program[size] = '\0';
    strcpy(strrchr(program, '/') + 1, "ledger_victim");
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        return false;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    char *arguments[] = {program, (char *)path, (char *)mode, NULL};
    int failed = posix_spawn(&v->pid, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    v->input = in[1];
    v->output = out[0];
    return !failed;
}

/* Kills the victim and takes up every word it managed to write. */
static void finish(victim *v, bool *accepted, bool *done) {
    ledger_victim_word word;
    int status;
    kill(v->pid, SIGKILL);
    while (read(v->output, &word, sizeof word) == sizeof word)
        if (word.task < TASKS_MAX)
            (word.result ? done : accepted)[word.task] = true;
    waitpid(v->pid, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(v->input);
    close(v->output);
}

typedef struct tally {
    uint32_t tasks;
    uint32_t done;
    bool *accepted;
    bool *results;
} tally;

/* Dense ids, no result of a task that is not there, and nothing that was told missing. */
static sl_err take_in(void *context, const sl_ledger_entry *entry) {
    tally *t = context;
    char name[32];
    snprintf(name, sizeof name, "task %u", t->tasks);
    CHECK_INT(entry->task.id, t->tasks);
    CHECK_STR(entry->task.name, name);
    CHECK_STR(entry->task.spec, "{\"shell\":\"true\"}");
    t->tasks++;
    if (entry->task.id < TASKS_MAX) {
        t->accepted[entry->task.id] = false;
        if (entry->state == SL_LEDGER_DONE)
            t->results[entry->task.id] = false;
    }
    t->done += entry->state == SL_LEDGER_DONE;
    return SL_OK;
}

static void check_integrity(const char *path) {
    sqlite3 *db = NULL;
    sqlite3_stmt *query = NULL;
    CHECK(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
    CHECK(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &query, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(query) == SQLITE_ROW);
    CHECK_STR((const char *)sqlite3_column_text(query, 0), "ok");
    sqlite3_finalize(query);
    CHECK(sqlite3_prepare_v2(db, "PRAGMA foreign_key_check", -1, &query, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(query) == SQLITE_DONE);
    sqlite3_finalize(query);
    sqlite3_close(db);
}

/* What was told (and not yet crossed out) must be in the file. Returns the number of tasks in it.
 */
static uint32_t check_told(const char *path, bool *accepted, bool *done) {
    tally t = {.accepted = accepted, .results = done};
    sl_ledger_reader *reader = NULL;
    sl_err err = sl_ledger_reader_open(path, &reader);
    if (err == SL_OK) {
        CHECK_INT(sl_ledger_read_tasks(reader, SL_LEDGER_WANT_SPEC, take_in, &t), SL_OK);
        sl_ledger_reader_close(reader);
        check_integrity(path);
    } else {
        CHECK_INT(err, SL_ERR_NOT_FOUND); /* killed before it was made */
    }
    for (uint32_t i = 0; i < TASKS_MAX; i++)
        if (accepted[i] || done[i])
            sl_test_fail(__FILE__, __LINE__, "task %u was %s and is not", i,
                         done[i] ? "done" : "accepted");
    CHECK_INT(t.tasks % 2, 0); /* posts of two are whole or absent */
    CHECK_INT(t.done % 2, 0);
    return t.tasks;
}

static void nap(unsigned us) {
    usleep(us);
}

TEST(killed_at_random_moments_loses_nothing_told) {
    char path[256];
    static bool accepted[TASKS_MAX], done[TASKS_MAX];
    uint32_t tasks = 0;
    snprintf(path, sizeof path, "%s/ledger.db", sl_test_dir());
    for (int round = 0; round < 20; round++) {
        victim v;
        REQUIRE(start(&v, path, NULL));
        if (round % 4) { /* else: at once, somewhere in the opening */
            ledger_victim_word word;
            REQUIRE(read(v.output, &word, sizeof word) == sizeof word);
            accepted[word.task] = true;
        }
        nap(chance(30000));
        finish(&v, accepted, done);
        uint32_t now = check_told(path, accepted, done);
        CHECK(now >= tasks);
        tasks = now;
    }
    CHECK(tasks > 0);
}

TEST(killed_while_it_is_made_leaves_none_or_a_whole_one) {
    char path[256];
    static bool accepted[TASKS_MAX], done[TASKS_MAX];
    for (int round = 0; round < 10; round++) {
        victim v;
        snprintf(path, sizeof path, "%s/new%d.db", sl_test_dir(), round);
        REQUIRE(start(&v, path, NULL));
        nap(chance(12000));
        finish(&v, accepted, done);
        check_told(path, accepted, done);
    }
}

TEST(another_process_holding_it_is_named) {
    char path[256], holder[64];
    bool none[1] = {false};
    victim v;
    ledger_victim_word word;
    sl_ledger *ledger = NULL;
    sl_ledger_options options = {.mode = SL_LEDGER_RESUME};
    snprintf(path, sizeof path, "%s/held.db", sl_test_dir());
    REQUIRE(start(&v, path, "hold"));
    REQUIRE(read(v.output, &word, sizeof word) == sizeof word);
    CHECK_INT(sl_ledger_open(path, &options, &ledger), SL_ERR_REFUSED);
    snprintf(holder, sizeof holder, "process %d", (int)v.pid);
    CHECK_CONTAINS(sl_err_detail(), holder);
    finish(&v, none, none);
    REQUIRE(sl_ledger_open(path, &options, &ledger) == SL_OK);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
}
