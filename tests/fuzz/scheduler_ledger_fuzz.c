/* A ledger file of any bytes: read, or refused with a cause, never a crash. The first byte says
 * which of its tables are read, and whether the rest is the file itself, or a list of patches (two
 * bytes of place, one of value) to a whole ledger, which reaches deeper than bytes from nowhere.
 * The file lies on a disk in memory, and is opened anew only where something is changed that
 * SQLite keeps of it: what is tried are decoders, most of all of rows. */
#include <stdlib.h>
#include <string.h>

#include "actors/scheduler/ledger_columns.h"
#include "tests/lib/ledger_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_MAX (1 << 20)

enum { PAGE_BYTES = 4096, PAGES_MOST = FILE_MAX / PAGE_BYTES };

static const char path[] = "ledger.db";
static const sl_ledger_disk *disk;
static uint8_t whole[FILE_MAX]; /* a ledger without damage */
static uint8_t patched[FILE_MAX];
static size_t whole_size;
static bool is_kept[PAGES_MOST]; /* SQLite reads the page once: the head, the schema */
static sl_ledger_reader *kept;   /* has the whole ledger open */

static void require(bool condition) {
    if (!condition)
        abort();
}

/* Without the page, or with it full of nonsense, statements do not even compile. */
static bool keeps_page(size_t page) {
    sl_ledger_reader *reader;
    sqlite3_stmt *query = NULL;
    memcpy(patched, whole, whole_size);
    memset(patched + page * PAGE_BYTES, 0xff, PAGE_BYTES);
    ledger_sample_put(disk, path, patched, whole_size);
    if (sl_ledger_reader_open_on(disk, path, &reader) != SL_OK)
        return true;
    int code = sqlite3_prepare_v2(reader->db, "SELECT * FROM run", -1, &query, NULL);
    sqlite3_finalize(query);
    sl_ledger_reader_close(reader);
    return code != SQLITE_OK;
}

static void make_whole(void) {
    static const char kept_path[] = "kept.db";
    static sl_ledger_simdisk *made;
    size_t pages = 0;
    ledger_sample_fast_memory();
    require(sl_ledger_simdisk_create(1, &made) == SL_OK);
    disk = sl_ledger_simdisk_base(made);
    ledger_sample_write(disk, path, false);
    whole_size = ledger_sample_get(disk, path, whole, sizeof whole);
    require(whole_size > PAGE_BYTES && whole_size < sizeof whole);
    for (size_t i = 0; i < whole_size / PAGE_BYTES; i++)
        pages += is_kept[i] = keeps_page(i);
    require(is_kept[0] && pages < whole_size / PAGE_BYTES / 2);
    ledger_sample_put(disk, kept_path, whole, whole_size);
    require(sl_ledger_reader_open_on(disk, kept_path, &kept) == SL_OK);
    ledger_sample_keep_statements(kept->db);
    ledger_sample_open(disk, kept_path);
}

/* ---- patches ---- */

static size_t place(const uint8_t *patch) {
    return ((size_t)patch[0] << 8 | patch[1]) % whole_size;
}

static bool spares_kept_pages(const uint8_t *data, size_t size) {
    for (; size >= 3; data += 3, size -= 3)
        if (is_kept[place(data) / PAGE_BYTES])
            return false;
    return true;
}

static void put_patched(const uint8_t *data, size_t size) {
    memcpy(patched, whole, whole_size);
    for (; size >= 3; data += 3, size -= 3)
        patched[place(data)] = data[2];
    ledger_sample_put(disk, path, patched, whole_size);
}

/* Under the open ledger, and away again. */
static void patch_kept(const uint8_t *data, size_t size, bool apply) {
    for (; size >= 3; data += 3, size -= 3)
        ledger_sample_poke(place(data), apply ? data[2] : whole[place(data)]);
    require(sqlite3_db_release_memory(kept->db) == SQLITE_OK);
}

/* ---- reading ---- */

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

typedef void part_reader(sl_ledger_reader *reader);

static void read_anew(part_reader *read) {
    sl_ledger_reader *reader = NULL;
    sl_err err = sl_ledger_reader_open_on(disk, path, &reader);
    judge(err);
    if (err != SL_OK)
        return;
    read(reader);
    sl_ledger_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static part_reader *const parts[] = {read_tasks, read_attempts, read_network, read_facts};
    if (!disk)
        make_whole();
    if (size == 0)
        return 0;
    part_reader *read = parts[data[0] / 2 % 4];
    bool is_file = data[0] & 1;
    data++, size--;
    if (is_file) {
        ledger_sample_put(disk, path, data, size);
        read_anew(read);
    } else if (spares_kept_pages(data, size)) {
        patch_kept(data, size, true);
        read(kept);
        patch_kept(data, size, false);
    } else {
        put_patched(data, size);
        read_anew(read);
    }
    return 0;
}
