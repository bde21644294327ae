/* A ledger file of any bytes: read, or refused with a cause, never a crash. The first byte says
 * which of its tables are read, and whether the rest is the file itself, or a list of patches (two
 * bytes of place, one of value) to a whole ledger, which reaches deeper than bytes from nowhere.
 * The file lies on a disk in memory: what is measured are decoders. */
#include "actors/scheduler/ledger_reader.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/ledger_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_MAX (1 << 20)

static const char path[] = "ledger.db";
static const sl_ledger_disk *disk;
static uint8_t whole[FILE_MAX]; /* a ledger without damage */
static uint8_t patched[FILE_MAX];
static size_t whole_size;

static void require(bool condition) {
    if (!condition)
        abort();
}

static void make_whole(void) {
    static sl_ledger_simdisk *made;
    ledger_sample_fast_memory();
    require(sl_ledger_simdisk_create(1, &made) == SL_OK);
    disk = sl_ledger_simdisk_base(made);
    ledger_sample_write(disk, path, false);
    whole_size = ledger_sample_get(disk, path, whole, sizeof whole);
    require(whole_size > 4096 && whole_size < sizeof whole);
}

static void put_patched(const uint8_t *data, size_t size) {
    memcpy(patched, whole, whole_size);
    for (; size >= 3; data += 3, size -= 3)
        patched[((size_t)data[0] << 8 | data[1]) % whole_size] = data[2];
    ledger_sample_put(disk, path, patched, whole_size);
}

/* Looks at every byte of a text that may be absent. */
static size_t touch(const char *text) {
    return text ? strlen(text) : 0;
}

static sl_err see_entry(void *context, const sl_ledger_entry *entry) {
    size_t *sum = context;
    *sum += touch(entry->task.name) + touch(entry->task.spec) + touch(entry->task.region) +
            touch(entry->result.host) + touch(entry->result.message);
    for (uint32_t i = 0; i < entry->task.after_count; i++)
        *sum += entry->task.after[i];
    require(entry->state != SL_LEDGER_LOST && entry->state < SL_LEDGER_STATES);
    return SL_OK;
}

static sl_err see_attempt(void *context, const sl_ledger_attempt *attempt) {
    *(size_t *)context += touch(attempt->outcome.host) + touch(attempt->outcome.message);
    return SL_OK;
}

static sl_err see_placement(void *context, const sl_ledger_placement *placement) {
    *(size_t *)context += touch(placement->reason) + strlen(placement->policy);
    return SL_OK;
}

static sl_err see_node(void *context, uint32_t session, const sl_ledger_node *node) {
    *(size_t *)context += session + touch(node->host) + touch(node->region);
    return SL_OK;
}

static sl_err see_session(void *context, const sl_ledger_session *session) {
    *(size_t *)context += touch(session->host) + touch(session->command) + touch(session->reason);
    return SL_OK;
}

static void judge(sl_err err) {
    require(err == SL_OK || err == SL_ERR_NOT_FOUND || err == SL_ERR_LEDGER ||
            err == SL_ERR_NO_MEMORY);
    require(err == SL_OK || sl_err_detail()[0]);
}

static void read_tasks(sl_ledger_reader *reader) {
    size_t sum = 0;
    judge(
        sl_ledger_read_tasks(reader, SL_LEDGER_WANT_SPEC | SL_LEDGER_WANT_AFTER, see_entry, &sum));
    judge(sl_ledger_read_task(reader, 3, see_entry, &sum));
}

static void read_attempts(sl_ledger_reader *reader) {
    size_t sum = 0;
    judge(sl_ledger_read_attempts(reader, 3, see_attempt, &sum));
    judge(sl_ledger_read_placements(reader, 3, see_placement, &sum));
}

static void read_network(sl_ledger_reader *reader) {
    size_t sum = 0;
    judge(sl_ledger_read_nodes(reader, see_node, &sum));
    judge(sl_ledger_read_sessions(reader, see_session, &sum));
}

static void read_facts(sl_ledger_reader *reader) {
    uint32_t id = 0;
    char *value = NULL;
    sl_ledger_counts counts;
    judge(sl_ledger_read_counts(reader, &counts));
    judge(sl_ledger_find(reader, "task7", &id));
    judge(sl_ledger_read_meta(reader, "seed", &value));
    free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const parts[])(sl_ledger_reader *) = {read_tasks, read_attempts, read_network,
                                                        read_facts};
    if (!disk)
        make_whole();
    if (size == 0)
        return 0;
    if (data[0] & 1)
        ledger_sample_put(disk, path, data + 1, size - 1);
    else
        put_patched(data + 1, size - 1);
    sl_ledger_reader *reader = NULL;
    sl_err err = sl_ledger_reader_open_on(disk, path, &reader);
    judge(err);
    if (err != SL_OK)
        return 0;
    parts[data[0] / 2 % 4](reader);
    sl_ledger_reader_close(reader);
    return 0;
}
