/* The ledger where memory, or the system, fails at every single call, once or for ever: what was
 * told durable is there, the rest is refused with a cause, and nothing is left behind. */
#include <stdlib.h>
#include <unistd.h>

#include "actors/scheduler/ledger_reader.h"
#include "actors/scheduler/ledger_simdisk.h"
#include "runtime/log.h"
#include "tests/lib/scarce.h"
#include "tests/lib/test.h"

enum { TASKS = 3, CALLS_MOST = 20000, SQLITE_STEP = 11 /* it makes many calls, much alike */ };

typedef struct ground {
    const sl_ledger_disk *disk; /* NULL: the machine's */
    char path[256];
    uint32_t durable;
} ground;

static void count_durable(void *context, sl_err err) {
    *(uint32_t *)context += err == SL_OK;
}

/* What the ledger says of its failures is not for the test's reader. */
static void quiet(void) {
    static FILE *nowhere;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_WARN});
}

static bool expected(sl_err err) {
    return err == SL_OK || err == SL_ERR_NO_MEMORY || err == SL_ERR_LEDGER || err == SL_ERR_REFUSED;
}

static sl_err open_ledger(const ground *on, sl_ledger_mode mode, sl_ledger **ledger) {
    const sl_ledger_meta meta[] = {{"seed", "1"}};
    const sl_ledger_options options = {.mode = mode,
                                       .disk = on->disk,
                                       .no_thread = true,
                                       .quick_check = true,
                                       .queue_bytes = 65536,
                                       .version = "0",
                                       .command = "test",
                                       .meta = meta,
                                       .meta_count = 1};
    return sl_ledger_open(on->path, &options, ledger);
}

static void post_task(ground *on, sl_ledger *ledger, uint32_t i) {
    char name[16];
    snprintf(name, sizeof name, "t%u", i);
    const uint32_t before = 0;
    const sl_ledger_record records[] = {
        {.kind = SL_LEDGER_TASK,
         .task = {.id = i, .name = name, .spec = "{}", .after = &before, .after_count = i > 0}},
        {.kind = SL_LEDGER_PLACEMENT,
         .placement = {.task = i, .choice = 1, .attempt = 1, .policy = "random"}},
        {.kind = SL_LEDGER_START, .start = {.task = i, .attempt = 1, .host = "h"}},
        {.kind = SL_LEDGER_NODE, .node = {.rank = i, .host = "h", .region = "r"}},
        {.kind = SL_LEDGER_RESULT, .outcome = {.task = i, .attempt = 1, .state = SL_LEDGER_DONE}},
    };
    /* A second post is refused, which the first of the same transaction must survive. */
    CHECK(expected(sl_ledger_post(ledger, records, 5, count_durable, &on->durable)));
    CHECK(expected(sl_ledger_post(ledger, records, 1, NULL, NULL)));
    CHECK(expected(sl_ledger_step(ledger)));
}

static void write_all(ground *on) {
    sl_ledger *ledger = NULL;
    sl_err err = open_ledger(on, SL_LEDGER_CREATE, &ledger);
    CHECK(expected(err));
    CHECK(err == SL_OK || sl_err_detail()[0]);
    if (err != SL_OK)
        return;
    for (uint32_t i = 0; i < TASKS; i++)
        post_task(on, ledger, i);
    CHECK(expected(sl_ledger_close(ledger, &(sl_ledger_end){"finished", 0})));
}

static sl_err see_entry(void *context, const sl_ledger_entry *entry) {
    CHECK(entry->task.id < TASKS && entry->task.after_count == (entry->task.id > 0));
    ++*(uint32_t *)context;
    return SL_OK;
}

static sl_err see_attempt(void *context, const sl_ledger_attempt *attempt) {
    (void)context, (void)attempt;
    return SL_OK;
}

static sl_err see_node(void *context, uint32_t session, const sl_ledger_node *node) {
    (void)context, (void)session, (void)node;
    return SL_OK;
}

static sl_err read_all(const ground *on, uint32_t *seen) {
    sl_ledger_reader *reader = NULL;
    sl_ledger_counts counts;
    char *value = NULL;
    uint32_t id;
    sl_err err = on->disk ? sl_ledger_reader_open_on(on->disk, on->path, &reader)
                          : sl_ledger_reader_open(on->path, &reader);
    if (err == SL_OK)
        err = sl_ledger_read_tasks(reader, SL_LEDGER_WANT_SPEC | SL_LEDGER_WANT_AFTER, see_entry,
                                   seen);
    if (err == SL_OK)
        err = sl_ledger_read_attempts(reader, 0, see_attempt, NULL);
    if (err == SL_OK)
        err = sl_ledger_read_nodes(reader, see_node, NULL);
    if (err == SL_OK)
        err = sl_ledger_read_counts(reader, &counts);
    if (err == SL_OK)
        err = sl_ledger_find(reader, "t1", &id);
    if (err == SL_OK)
        err = sl_ledger_read_meta(reader, "seed", &value);
    free(value);
    sl_ledger_reader_close(reader);
    return err;
}

/* With all well again, what was told durable is there, and the run goes on. */
static void check_after(ground *on) {
    sl_ledger *ledger = NULL;
    uint32_t seen = 0;
    sl_err err = open_ledger(on, SL_LEDGER_RESUME, &ledger);
    if (err == SL_ERR_NOT_FOUND) {
        CHECK_INT(on->durable, 0);
        return;
    }
    if (err != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "resume: %s", sl_err_detail());
    REQUIRE(err == SL_OK);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
    err = read_all(on, &seen);
    CHECK(err == SL_OK || (err == SL_ERR_NOT_FOUND && seen < 2));
    CHECK(seen >= on->durable);
}

/* One run in which the n-th call fails, on a disk of its own; false when there were fewer. */
static bool write_with_failure(unsigned kinds, unsigned n, bool for_ever, bool real) {
    static unsigned number;
    ground on = {.path = "ledger.db"};
    sl_ledger_simdisk *disk = NULL;
    if (real)
        snprintf(on.path, sizeof on.path, "%s/%u.db", sl_test_dir(), number++);
    else if (sl_ledger_simdisk_create(n, &disk) != SL_OK)
        return false;
    on.disk = disk ? sl_ledger_simdisk_base(disk) : NULL;
    scarce_begin(kinds, n, for_ever);
    write_all(&on);
    bool failed = scarce_end();
    check_after(&on);
    sl_ledger_simdisk_destroy(disk);
    return failed;
}

static unsigned write_everywhere(unsigned kinds, bool for_ever, bool real) {
    unsigned n = 1;
    quiet();
    unsigned step = kinds == SCARCE_SQLITE ? SQLITE_STEP : 1;
    while (n < CALLS_MOST && write_with_failure(kinds, n, for_ever, real))
        n += step;
    CHECK(n < CALLS_MOST);
    return n;
}

TEST(memory_fails_once_at_every_call_of_a_writer) {
    CHECK(write_everywhere(SCARCE_MEMORY, false, false) > 10);
    CHECK(write_everywhere(SCARCE_MEMORY, false, true) > 10);
}

TEST(memory_fails_for_ever_from_every_call_of_a_writer) {
    CHECK(write_everywhere(SCARCE_MEMORY, true, false) > 10);
}

TEST(memory_of_sqlite_fails_at_every_call_of_a_writer) {
    CHECK(write_everywhere(SCARCE_SQLITE, false, false) > 100);
    CHECK(write_everywhere(SCARCE_SQLITE, true, false) > 100);
}

TEST(the_system_fails_at_every_call_of_a_writer) {
    CHECK(write_everywhere(SCARCE_SYSTEM, false, true) > 10);
    CHECK(write_everywhere(SCARCE_SYSTEM, true, true) > 10);
}

/* A reader that fails has failed, and said why; its next try gets everything. */
static void read_everywhere(unsigned kinds, bool real) {
    sl_ledger_simdisk *disk = NULL;
    ground on = {.path = "ledger.db"};
    uint32_t seen = 0;
    if (real)
        snprintf(on.path, sizeof on.path, "%s/read%u.db", sl_test_dir(), kinds);
    REQUIRE(real || sl_ledger_simdisk_create(1, &disk) == SL_OK);
    on.disk = disk ? sl_ledger_simdisk_base(disk) : NULL;
    write_all(&on);
    for (unsigned n = 1; n < CALLS_MOST; n++) {
        scarce_begin(kinds, n, false);
        sl_err err = read_all(&on, &seen);
        if (!scarce_end())
            break;
        n += kinds == SCARCE_SQLITE ? SQLITE_STEP - 1 : 0;
        CHECK(err == SL_OK || err == SL_ERR_NO_MEMORY || err == SL_ERR_LEDGER);
        CHECK(err == SL_OK || sl_err_detail()[0]);
    }
    seen = 0;
    CHECK_INT(read_all(&on, &seen), SL_OK);
    CHECK_INT(seen, TASKS);
    sl_ledger_simdisk_destroy(disk);
}

TEST(memory_fails_at_every_call_of_a_reader) {
    read_everywhere(SCARCE_MEMORY, false);
    read_everywhere(SCARCE_MEMORY, true);
    read_everywhere(SCARCE_SQLITE, false);
}

TEST(the_system_fails_at_every_call_of_a_reader) {
    read_everywhere(SCARCE_SYSTEM, true);
}

/* Two machines that share a file system do not share the memory of a write-ahead log. */
TEST(no_write_ahead_log_on_a_shared_filesystem) {
    static const long shared[] = {0x6969 /* NFS */, 0x65735546 /* FUSE */};
    quiet();
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        ground on = {.disk = NULL};
        sl_ledger *ledger = NULL;
        sl_ledger_stats stats;
        snprintf(on.path, sizeof on.path, "%s/shared%zu.db", sl_test_dir(), i);
        scarce_filesystem(shared[i]);
        sl_err err = open_ledger(&on, SL_LEDGER_CREATE, &ledger);
        scarce_filesystem(0);
        REQUIRE(err == SL_OK);
        sl_ledger_stats_get(ledger, &stats);
        CHECK(!stats.wal);
        post_task(&on, ledger, 0);
        CHECK_INT(on.durable, 1);
        CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
    }
}
