/* A ledger file of any bytes: read, or refused with a cause, never a crash. An input whose first
 * byte is odd is the file itself; else it is a list of patches (two bytes of place, one of value)
 * to a whole ledger, which reaches deeper than bytes from nowhere. */
#include "actors/scheduler/ledger_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_MAX (1 << 20)

static char folder[64], path[96];
static uint8_t *whole; /* a ledger without damage */
static size_t whole_size;

static void require(bool condition) {
    if (!condition)
        abort();
}

static void remove_folder(void) {
    unlink(path);
    rmdir(folder);
}

static void post_some(sl_ledger *ledger) {
    for (uint32_t i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "task%u", i);
        sl_ledger_record records[] = {
            {.kind = SL_LEDGER_TASK,
             .task = {.id = i,
                      .name = name,
                      .spec = "{}",
                      .after = &(uint32_t){i / 2},
                      .after_count = i > 1}},
            {.kind = SL_LEDGER_PLACEMENT,
             .placement =
                 {.task = i, .choice = 1, .attempt = 1, .policy = "random", .reason = "[]"}},
            {.kind = SL_LEDGER_START, .start = {.task = i, .attempt = 1, .host = "h"}},
            {.kind = SL_LEDGER_NODE, .node = {.rank = i, .host = "h", .region = "r"}},
            {.kind = SL_LEDGER_RESULT,
             .outcome = {.task = i, .attempt = 1, .state = SL_LEDGER_DONE}},
        };
        require(sl_ledger_post(ledger, records, i % 2 ? 4 : 5, NULL, NULL) == SL_OK);
    }
}

static void make_whole(void) {
    sl_ledger *ledger = NULL;
    sl_ledger_options options = {.mode = SL_LEDGER_CREATE, .no_thread = true};
    strcpy(folder, "/tmp/starlane-fuzz-XXXXXX");
    require(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/ledger.db", folder);
    atexit(remove_folder);
    require(sl_ledger_open(path, &options, &ledger) == SL_OK);
    post_some(ledger);
    require(sl_ledger_close(ledger, NULL) == SL_OK);
    FILE *file = fopen(path, "rb");
    whole = malloc(FILE_MAX);
    require(file && whole);
    whole_size = fread(whole, 1, FILE_MAX, file);
    fclose(file);
    require(whole_size > 4096);
}

static void write_file(const uint8_t *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    require(file && fwrite(bytes, 1, size, file) == size);
    fclose(file);
}

static void write_patched(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(whole_size);
    require(copy != NULL);
    memcpy(copy, whole, whole_size);
    for (; size >= 3; data += 3, size -= 3)
        copy[((size_t)data[0] << 8 | data[1]) % whole_size] = data[2];
    write_file(copy, whole_size);
    free(copy);
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

static void read_all(sl_ledger_reader *reader) {
    size_t sum = 0;
    uint32_t id = 0;
    char *value = NULL;
    sl_ledger_counts counts;
    judge(
        sl_ledger_read_tasks(reader, SL_LEDGER_WANT_SPEC | SL_LEDGER_WANT_AFTER, see_entry, &sum));
    judge(sl_ledger_read_tasks(reader, SL_LEDGER_WANT_UNFINISHED, see_entry, &sum));
    judge(sl_ledger_read_task(reader, 3, see_entry, &sum));
    judge(sl_ledger_read_attempts(reader, 3, see_attempt, &sum));
    judge(sl_ledger_read_placements(reader, 3, see_placement, &sum));
    judge(sl_ledger_read_nodes(reader, see_node, &sum));
    judge(sl_ledger_read_sessions(reader, see_session, &sum));
    judge(sl_ledger_read_counts(reader, &counts));
    judge(sl_ledger_find(reader, "task7", &id));
    judge(sl_ledger_read_meta(reader, "seed", &value));
    free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!whole)
        make_whole();
    if (size == 0)
        return 0;
    if (data[0] & 1)
        write_file(data + 1, size - 1);
    else
        write_patched(data + 1, size - 1);
    sl_ledger_reader *reader = NULL;
    sl_err err = sl_ledger_reader_open(path, &reader);
    judge(err);
    if (err != SL_OK)
        return 0;
    read_all(reader);
    sl_ledger_reader_close(reader);
    return 0;
}
