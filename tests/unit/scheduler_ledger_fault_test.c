/* The ledger on a disk that fails: at every single operation, once or for ever. */
#include <stdlib.h>

#include "actors/scheduler/ledger_reader.h"
#include "tests/lib/faulty_disk.h"
#include "tests/lib/test.h"

#define TASKS 6

static faulty_disk *disk;

static const char *fresh(void) {
    static int number;
    static char path[256];
    snprintf(path, sizeof path, "%s/fault%d.db", sl_test_dir(), number++);
    return path;
}

typedef struct told {
    bool done[TASKS];
    bool heard[TASKS];
    unsigned syncs; /* before the step that called back */
} told;

static told answers;

static void tell(void *context, sl_err err) {
    size_t task = (size_t)(uintptr_t)context;
    CHECK(!answers.heard[task]); /* once each */
    answers.heard[task] = true;
    answers.done[task] = err == SL_OK;
    if (err != SL_OK)
        CHECK_INT(err, SL_ERR_LEDGER);
    if (err != SL_OK)
        return;
    CHECK(disk->syncs > answers.syncs);
    CHECK_INT(disk->unsynced, 0);
}

static sl_err open_as(const char *path, sl_ledger_mode mode, bool rollback, sl_ledger **ledger) {
    sl_ledger_options options = {.mode = mode, .no_thread = true, .rollback_journal = rollback};
    return sl_ledger_open(path, &options, ledger);
}

/* Posts TASKS tasks, two to a transaction; on failure the rest is refused at once. */
static void work(sl_ledger *ledger) {
    char name[16], spec[1500];
    memset(spec, 's', sizeof spec);
    spec[sizeof spec - 1] = '\0';
    for (uint32_t i = 0; i < TASKS; i++) {
        snprintf(name, sizeof name, "t%u", i);
        sl_ledger_record record = {.kind = SL_LEDGER_TASK,
                                   .task = {.id = i, .name = name, .spec = spec}};
        sl_err err = sl_ledger_post(ledger, &record, 1, tell, (void *)(uintptr_t)i);
        answers.syncs = disk->syncs;
        if (i % 2 == 1)
            err = sl_ledger_step(ledger);
        CHECK(err == SL_OK || err == SL_ERR_LEDGER);
    }
}

static sl_err cross_out(void *context, const sl_ledger_entry *entry) {
    bool *missing = context;
    CHECK(entry->task.id < TASKS);
    CHECK_INT(strlen(entry->task.spec), 1499);
    missing[entry->task.id % TASKS] = false;
    return SL_OK;
}

/* With the disk whole again: all that was told is there, and the run can go on. */
static void check_after(const char *path, bool rollback, bool was_open) {
    bool missing[TASKS];
    sl_ledger *ledger = NULL;
    sl_ledger_reader *reader = NULL;
    memcpy(missing, answers.done, sizeof missing);
    sl_err err = open_as(path, SL_LEDGER_RESUME, rollback, &ledger);
    if (err == SL_ERR_NOT_FOUND && !was_open)
        return;
    if (err != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "resume: %s", sl_err_detail());
    REQUIRE(err == SL_OK);
    REQUIRE(sl_ledger_reader_open(path, &reader) == SL_OK);
    CHECK_INT(sl_ledger_read_tasks(reader, SL_LEDGER_WANT_SPEC, cross_out, missing), SL_OK);
    for (int i = 0; i < TASKS; i++)
        CHECK(!missing[i]);
    sl_ledger_reader_close(reader);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
}

/* One run in which the n-th operation fails; false when there were fewer. */
static bool run_with_fault(unsigned n, bool for_ever, bool rollback) {
    const char *path = fresh();
    sl_ledger *ledger = NULL;
    answers = (told){0};
    *disk = (faulty_disk){.fail_at = n, .fail_for_ever = for_ever};
    sl_err err = open_as(path, SL_LEDGER_CREATE, rollback, &ledger);
    if (err == SL_OK) {
        work(ledger);
        sl_err closed = sl_ledger_close(ledger, &(sl_ledger_end){"finished", 0});
        CHECK(closed == SL_OK || closed == SL_ERR_LEDGER);
    } else {
        CHECK_INT(err, SL_ERR_LEDGER);
        CHECK_CONTAINS(sl_err_detail(), "fault");
    }
    bool failed = disk->failed;
    *disk = (faulty_disk){0};
    check_after(path, rollback, err == SL_OK);
    return failed;
}

static void fail_everywhere(bool for_ever, bool rollback) {
    unsigned n = 1;
    disk = faulty_disk_install();
    while (run_with_fault(n, for_ever, rollback))
        n++;
    CHECK(n > 20); /* opening, three transactions and closing are more than that */
}

TEST(a_fault_once_at_every_operation) {
    fail_everywhere(false, false);
}

TEST(a_fault_for_ever_from_every_operation) {
    fail_everywhere(true, false);
}

TEST(the_same_without_a_write_ahead_log) {
    fail_everywhere(false, true);
    fail_everywhere(true, true);
}

TEST(a_callback_comes_after_the_sync_and_a_commit_costs_one) {
    sl_ledger *ledger = NULL;
    disk = faulty_disk_install();
    *disk = (faulty_disk){0};
    answers = (told){0};
    REQUIRE(open_as(fresh(), SL_LEDGER_CREATE, false, &ledger) == SL_OK);
    unsigned before = disk->syncs;
    work(ledger);
    for (int i = 0; i < TASKS; i++)
        CHECK(answers.done[i]);
    CHECK_INT(disk->syncs - before, TASKS / 2);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
}
