/* The simulated disk: what is synced stays, what is not may be lost, and a ledger on it survives
 * the loss of power at every one of its operations. */
#include "actors/scheduler/ledger_simdisk.h"

#include "actors/scheduler/ledger_reader.h"
#include "tests/lib/test.h"

enum { TASKS = 6 };

static void count_durable(void *context, sl_err err) {
    *(int *)context += err == SL_OK;
}

static sl_err open_on(sl_ledger_simdisk *disk, sl_ledger_mode mode, sl_ledger **ledger) {
    sl_ledger_options options = {
        .mode = mode, .disk = sl_ledger_simdisk_base(disk), .no_thread = true};
    return sl_ledger_open("ledger.db", &options, ledger);
}

/* One task a transaction; how many were called durable. */
static int write_tasks(sl_ledger *ledger) {
    int durable = 0;
    for (uint32_t id = 0; id < TASKS; id++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", id);
        sl_ledger_record record = {.kind = SL_LEDGER_TASK,
                                   .task = {.id = id, .name = name, .spec = "{}"}};
        if (sl_ledger_post(ledger, &record, 1, count_durable, &durable) == SL_OK)
            (void)!sl_ledger_step(ledger);
    }
    return durable;
}

static uint64_t tasks_on(sl_ledger_simdisk *disk) {
    sl_ledger_reader *reader;
    sl_ledger_counts counts = {0};
    if (sl_ledger_reader_open_on(sl_ledger_simdisk_base(disk), "ledger.db", &reader) != SL_OK)
        return 0;
    CHECK_INT(sl_ledger_read_counts(reader, &counts), SL_OK);
    sl_ledger_reader_close(reader);
    return counts.tasks;
}

TEST(a_ledger_closed_well_is_all_there) {
    sl_ledger_simdisk *disk;
    sl_ledger *ledger;
    REQUIRE(sl_ledger_simdisk_create(1, &disk) == SL_OK);
    REQUIRE(open_on(disk, SL_LEDGER_CREATE, &ledger) == SL_OK);
    CHECK_INT(write_tasks(ledger), TASKS);
    CHECK_INT(tasks_on(disk), TASKS); /* while it is open */
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
    CHECK_INT(tasks_on(disk), TASKS);
    CHECK_INT(open_on(disk, SL_LEDGER_CREATE, &ledger), SL_ERR_EXISTS);
    sl_ledger_simdisk_destroy(disk);
}

/* False when the power did not go any more. */
static bool power_goes_at(uint64_t operation, uint64_t seed) {
    sl_ledger_simdisk *disk;
    sl_ledger *ledger = NULL;
    int durable = 0;
    if (sl_ledger_simdisk_create(seed, &disk) != SL_OK)
        return false;
    sl_ledger_simdisk_break(disk, SL_SIMDISK_POWER, operation);
    if (open_on(disk, SL_LEDGER_CREATE, &ledger) == SL_OK)
        durable = write_tasks(ledger);
    (void)!sl_ledger_close(ledger, NULL);
    bool went = sl_ledger_simdisk_dead(disk);
    sl_ledger_simdisk_restore(disk);
    sl_err err = open_on(disk, SL_LEDGER_RESUME, &ledger);
    if (err == SL_ERR_NOT_FOUND)
        CHECK_INT(durable, 0);
    else
        CHECK_INT(err, SL_OK);
    if (err == SL_OK) {
        uint64_t there = tasks_on(disk);
        CHECK(there >= (uint64_t)durable && there <= TASKS);
        CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
    }
    sl_ledger_simdisk_destroy(disk);
    return went;
}

TEST(the_power_may_go_at_any_operation) {
    for (uint64_t operation = 0; power_goes_at(operation, operation); operation++) {
        for (uint64_t seed = 1; seed < 4; seed++)
            (void)power_goes_at(operation, 1000 * seed + operation);
    }
}

TEST(a_full_disk_ends_the_ledger_and_keeps_what_it_has) {
    sl_ledger_simdisk *disk;
    sl_ledger *ledger;
    REQUIRE(sl_ledger_simdisk_create(7, &disk) == SL_OK);
    REQUIRE(open_on(disk, SL_LEDGER_CREATE, &ledger) == SL_OK);
    sl_ledger_simdisk_break(disk, SL_SIMDISK_FULL, 0);
    CHECK_INT(write_tasks(ledger), 0);
    sl_ledger_simdisk_break(disk, SL_SIMDISK_WELL, 0);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_ERR_LEDGER);
    CHECK_INT(tasks_on(disk), 0);
    REQUIRE(open_on(disk, SL_LEDGER_RESUME, &ledger) == SL_OK);
    CHECK_INT(write_tasks(ledger), TASKS);
    CHECK_INT(sl_ledger_close(ledger, NULL), SL_OK);
    sl_ledger_simdisk_destroy(disk);
}

/* The planted kind of defect this disk is there to find: who does not sync loses. */
TEST(what_is_not_synced_may_be_lost) {
    int lost = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        sl_ledger_simdisk *disk;
        sl_ledger *ledger;
        REQUIRE(sl_ledger_simdisk_create(seed, &disk) == SL_OK);
        REQUIRE(open_on(disk, SL_LEDGER_CREATE, &ledger) == SL_OK);
        int durable = write_tasks(ledger);
        sl_ledger_record record = {.kind = SL_LEDGER_TASK,
                                   .task = {.id = TASKS, .name = "last", .spec = "{}"}};
        CHECK_INT(sl_ledger_post(ledger, &record, 1, count_durable, &durable), SL_OK);
        sl_ledger_simdisk_break(disk, SL_SIMDISK_POWER, 1);
        (void)!sl_ledger_step(ledger);
        (void)!sl_ledger_close(ledger, NULL);
        sl_ledger_simdisk_restore(disk);
        uint64_t there = tasks_on(disk);
        CHECK_INT(durable, TASKS);
        CHECK(there >= TASKS);
        lost += there == TASKS;
        sl_ledger_simdisk_destroy(disk);
    }
    CHECK(lost > 0);
}
