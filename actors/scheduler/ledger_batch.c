/* Design notes: the memory never moves, so a copied record's pointers stay true and nothing has to
 * be decoded on the other side; nothing is allocated per post. Which fields of a record are strings
 * is said once, in `texts`. */
#include "actors/scheduler/ledger_batch.h"

#include <stdlib.h>
#include <string.h>

#define TEXTS_MAX 4

typedef struct text_field {
    size_t offset;        /* of a const char * in sl_ledger_record */
    const char *required; /* its name when it must be there */
} text_field;

#define FIELD(member)                                                                              \
    { offsetof(sl_ledger_record, member), NULL }
#define REQUIRED(member)                                                                           \
    { offsetof(sl_ledger_record, member), #member }
#define OUTCOME_FIELDS                                                                             \
    { FIELD(outcome.host), FIELD(outcome.region), FIELD(outcome.message) }

static const struct {
    size_t count;
    text_field fields[TEXTS_MAX];
} texts[SL_LEDGER_KINDS] = {
    [SL_LEDGER_TASK] = {3, {REQUIRED(task.name), REQUIRED(task.spec), FIELD(task.region)}},
    [SL_LEDGER_PLACEMENT] = {2, {REQUIRED(placement.policy), FIELD(placement.reason)}},
    [SL_LEDGER_START] = {2, {FIELD(start.host), FIELD(start.region)}},
    [SL_LEDGER_ATTEMPT] = {3, OUTCOME_FIELDS},
    [SL_LEDGER_RESULT] = {3, OUTCOME_FIELDS},
    [SL_LEDGER_NODE] = {2, {FIELD(node.host), FIELD(node.region)}},
    [SL_LEDGER_META] = {2, {REQUIRED(meta.key), REQUIRED(meta.value)}},
};

static const char *text_get(const sl_ledger_record *record, const text_field *field) {
    const char *text;
    memcpy(&text, (const char *)record + field->offset, sizeof text);
    return text;
}

static void text_set(sl_ledger_record *record, const text_field *field, const char *text) {
    memcpy((char *)record + field->offset, &text, sizeof text);
}

static size_t aligned(size_t size) {
    return (size + 15) & ~(size_t)15;
}

static bool state_fits(const sl_ledger_record *record) {
    sl_ledger_state state = record->outcome.state;
    if (record->kind == SL_LEDGER_RESULT)
        return state >= SL_LEDGER_DONE && state <= SL_LEDGER_SKIPPED;
    if (record->kind == SL_LEDGER_ATTEMPT)
        return state >= SL_LEDGER_DONE && state <= SL_LEDGER_LOST && record->outcome.attempt > 0;
    return true;
}

/* Checks one record and adds the bytes of what it points to. */
static sl_err measure(const sl_ledger_record *record, size_t *size) {
    if ((unsigned)record->kind >= SL_LEDGER_KINDS)
        return sl_fail(SL_ERR_INVALID, "ledger record has kind %u", (unsigned)record->kind);
    for (size_t i = 0; i < texts[record->kind].count; i++) {
        const text_field *field = &texts[record->kind].fields[i];
        const char *text = text_get(record, field);
        if (!text && field->required)
            return sl_fail(SL_ERR_INVALID, "ledger record lacks %s", field->required);
        size_t length = text ? strlen(text) + 1 : 0;
        if (length > SL_LEDGER_TEXT_MAX)
            return sl_fail(SL_ERR_TOO_LARGE, "a text of %zu bytes exceeds the ledger's %d", length,
                           SL_LEDGER_TEXT_MAX);
        *size += length;
    }
    if (record->kind == SL_LEDGER_TASK)
        *size += aligned(record->task.after_count * sizeof *record->task.after);
    if (!state_fits(record))
        return sl_fail(SL_ERR_INVALID, "outcome of task %u cannot be %s, attempt %u",
                       record->outcome.task, sl_ledger_state_name(record->outcome.state),
                       record->outcome.attempt);
    return SL_OK;
}

sl_err sl_ledger_batch_init(sl_ledger_batch *batch, size_t capacity_bytes) {
    /* Untouched pages of a large allocation cost nothing until a queue that deep is needed. */
    char *bytes = malloc(capacity_bytes);
    if (!bytes)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a ledger queue of %zu bytes",
                       capacity_bytes);
    *batch = (sl_ledger_batch){.bytes = bytes, .capacity_bytes = capacity_bytes};
    return SL_OK;
}

void sl_ledger_batch_fini(sl_ledger_batch *batch) {
    free(batch->bytes);
    *batch = (sl_ledger_batch){0};
}

static char *take(sl_ledger_batch *batch, size_t size) {
    char *place = batch->bytes + batch->used_bytes;
    batch->used_bytes += size;
    return place;
}

static const char *copy_text(sl_ledger_batch *batch, const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(take(batch, size), text, size);
}

/* The arrays of numbers come first, while the place is still aligned for them. */
static void copy_after(sl_ledger_batch *batch, sl_ledger_record *record) {
    if (record->kind != SL_LEDGER_TASK || !record->task.after_count)
        return;
    size_t size = record->task.after_count * sizeof *record->task.after;
    record->task.after = memcpy(take(batch, aligned(size)), record->task.after, size);
}

static void copy_texts(sl_ledger_batch *batch, sl_ledger_record *record) {
    for (size_t i = 0; i < texts[record->kind].count; i++) {
        const char *text = text_get(record, &texts[record->kind].fields[i]);
        if (text)
            text_set(record, &texts[record->kind].fields[i], copy_text(batch, text));
    }
}

static void append(sl_ledger_batch *batch, sl_ledger_post_item *post) {
    if (batch->last)
        batch->last->next = post;
    else
        batch->first = post;
    batch->last = post;
    batch->posts++;
    batch->awaited |= post->done != NULL;
}

sl_err sl_ledger_batch_add(sl_ledger_batch *batch, const sl_ledger_record *records, size_t count,
                           sl_ledger_done *done, void *context) {
    size_t size = aligned(sizeof(sl_ledger_post_item) + count * sizeof *records);
    for (size_t i = 0; i < count; i++)
        SL_TRY(measure(&records[i], &size));
    size = aligned(size);
    if (size > batch->capacity_bytes)
        return sl_fail(SL_ERR_TOO_LARGE,
                       "a post of %zu bytes exceeds the ledger's queue of %zu bytes", size,
                       batch->capacity_bytes);
    if (size > batch->capacity_bytes - batch->used_bytes)
        return sl_fail(SL_ERR_AGAIN, "the ledger's queue of %zu bytes is full",
                       batch->capacity_bytes);
    size_t end = batch->used_bytes + size;
    sl_ledger_post_item *post =
        (sl_ledger_post_item *)take(batch, aligned(sizeof *post + count * sizeof *records));
    *post = (sl_ledger_post_item){.done = done, .context = context, .count = count};
    if (count)
        memcpy(post->records, records, count * sizeof *records);
    for (size_t i = 0; i < count; i++)
        copy_after(batch, &post->records[i]);
    for (size_t i = 0; i < count; i++)
        copy_texts(batch, &post->records[i]);
    batch->used_bytes = end;
    append(batch, post);
    return SL_OK;
}

void sl_ledger_batch_clear(sl_ledger_batch *batch) {
    *batch = (sl_ledger_batch){.bytes = batch->bytes, .capacity_bytes = batch->capacity_bytes};
}
