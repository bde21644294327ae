#include "actors/scheduler/task_table.h"

#include <stdlib.h>
#include <string.h>

enum {
    FATE_NONE,
    FATE_DONE,
    FATE_NOT_DONE,
    FATE_SLOT
}; /* a page entry of FATE_SLOT + n is slot n */

static sl_err no_memory(void) {
    return sl_fail(SL_ERR_NO_MEMORY, "no memory for more tasks");
}

void sl_task_table_init(sl_task_table *table) {
    memset(table, 0, sizeof *table);
    table->free = SL_TASK_NONE;
    sl_slab_init(&table->slab);
}

static void free_owned(sl_task_table *table, sl_task *task) {
    if (task->payload)
        sl_slab_give(&table->slab, task->payload, task->payload_bytes);
    sl_blob_release(task->apart);
    sl_among_give(&table->amongs, task->among);
    free(task->texts);
    free(task->end);
    free(task->after);
}

void sl_task_table_fini(sl_task_table *table) {
    for (uint32_t c = 0; c < table->chunk_count; c++) {
        for (uint32_t i = 0; i < SL_TASK_CHUNK; i++) {
            if (table->chunks[c][i].state != SL_TASK_FREE)
                free_owned(table, &table->chunks[c][i]);
        }
        free(table->chunks[c]);
    }
    for (uint32_t s = 0; s < table->submitter_count; s++) {
        for (uint32_t p = 0; p < table->submitters[s].page_count; p++)
            free(table->submitters[s].pages[p]);
        free(table->submitters[s].pages);
    }
    free(table->chunks);
    free(table->submitters);
    sl_slab_fini(&table->slab);
}

/* ---- slots ---- */

static sl_err chunk_add(sl_task_table *table) {
    sl_task **chunks = realloc(table->chunks, (table->chunk_count + 1) * sizeof *chunks);
    if (!chunks)
        return no_memory();
    table->chunks = chunks;
    sl_task *chunk = calloc(SL_TASK_CHUNK, sizeof *chunk);
    if (!chunk)
        return no_memory();
    for (uint32_t i = SL_TASK_CHUNK; i-- > 0;) {
        chunk[i].slot = table->chunk_count * SL_TASK_CHUNK + i;
        chunk[i].next = table->free;
        table->free = chunk[i].slot;
    }
    chunks[table->chunk_count++] = chunk;
    return SL_OK;
}

sl_task *sl_task_create(sl_task_table *table) {
    if (table->free == SL_TASK_NONE && chunk_add(table) != SL_OK)
        return NULL;
    sl_task *task = sl_task_at(table, table->free);
    uint32_t slot = task->slot, generation = task->generation;
    table->free = task->next;
    memset(task, 0, sizeof *task);
    task->slot = slot;
    task->generation = generation;
    task->next = SL_TASK_NONE;
    task->state = SL_TASK_ACCEPTING;
    table->live++;
    return task;
}

void sl_task_destroy(sl_task_table *table, sl_task *task) {
    free_owned(table, task);
    task->payload = NULL;
    task->apart = NULL;
    task->among = NULL;
    task->texts = NULL;
    task->end = NULL;
    task->after = NULL;
    task->state = SL_TASK_FREE;
    task->generation++;
    task->next = table->free;
    table->free = task->slot;
    table->live--;
}

sl_task *sl_task_find(const sl_task_table *table, uint64_t number) {
    uint32_t slot = (uint32_t)number;
    if (slot / SL_TASK_CHUNK >= table->chunk_count)
        return NULL;
    sl_task *task = sl_task_at(table, slot);
    return task->state != SL_TASK_FREE && task->generation == (uint32_t)(number >> 32) ? task
                                                                                       : NULL;
}

/* ---- tags ---- */

uint32_t sl_task_submitter(sl_task_table *table, sl_addr addr) {
    for (uint32_t i = 0; i < table->submitter_count; i++) {
        if (sl_addr_equal(table->submitters[i].addr, addr))
            return i;
    }
    sl_submitter *submitters =
        realloc(table->submitters, (table->submitter_count + 1) * sizeof *submitters);
    if (!submitters)
        return UINT32_MAX;
    table->submitters = submitters;
    submitters[table->submitter_count] = (sl_submitter){.addr = addr};
    return table->submitter_count++;
}

sl_tag_fate sl_task_by_tag(const sl_task_table *table, uint32_t submitter, uint64_t tag,
                           sl_task **task) {
    const sl_submitter *from = &table->submitters[submitter];
    uint64_t page = tag / SL_TAG_PAGE;
    if (page >= from->page_count || !from->pages[page])
        return SL_TAG_UNKNOWN;
    uint32_t entry = from->pages[page][tag % SL_TAG_PAGE];
    if (entry < FATE_SLOT)
        return entry == FATE_NONE   ? SL_TAG_UNKNOWN
               : entry == FATE_DONE ? SL_TAG_DONE
                                    : SL_TAG_NOT_DONE;
    *task = sl_task_at(table, entry - FATE_SLOT);
    return SL_TAG_LIVE;
}

static sl_err pages_grow(sl_submitter *submitter, uint32_t page) {
    uint32_t count = submitter->page_count ? submitter->page_count : 16;
    while (count <= page)
        count *= 2;
    uint32_t **pages = realloc(submitter->pages, count * sizeof *pages);
    if (!pages)
        return no_memory();
    memset(pages + submitter->page_count, 0, (count - submitter->page_count) * sizeof *pages);
    submitter->pages = pages;
    submitter->page_count = count;
    return SL_OK;
}

sl_err sl_task_tag_set(sl_task_table *table, uint32_t submitter, uint32_t tag, sl_tag_fate fate,
                       uint32_t slot) {
    sl_submitter *from = &table->submitters[submitter];
    uint32_t page = tag / SL_TAG_PAGE;
    if (page >= from->page_count)
        SL_TRY(pages_grow(from, page));
    if (!from->pages[page] && !(from->pages[page] = calloc(SL_TAG_PAGE, sizeof **from->pages)))
        return no_memory();
    uint32_t entry = fate == SL_TAG_LIVE       ? FATE_SLOT + slot
                     : fate == SL_TAG_DONE     ? FATE_DONE
                     : fate == SL_TAG_NOT_DONE ? FATE_NOT_DONE
                                               : FATE_NONE;
    from->pages[page][tag % SL_TAG_PAGE] = entry;
    return SL_OK;
}

/* ---- what a task owns ---- */

static char *texts_name(const sl_task_texts *texts) {
    return (char *)(uintptr_t)(texts->after + texts->after_count);
}

const char *sl_task_name(const sl_task *task) {
    return task->texts ? texts_name(task->texts) : "";
}

const char *sl_task_record(const sl_task *task) {
    return task->texts ? texts_name(task->texts) + task->texts->name_bytes + 1 : "";
}

static sl_task_texts *texts_create(const scheduler_task *from) {
    size_t tags = from->after.count * sizeof(uint32_t);
    sl_task_texts *texts =
        malloc(sizeof *texts + tags + from->name.bytes + 1 + from->record.bytes + 1);
    if (!texts)
        return NULL;
    *texts = (sl_task_texts){from->name.bytes, from->record.bytes, from->after.count};
    for (uint32_t i = 0; i < from->after.count; i++)
        texts->after[i] = (uint32_t)from->after.items[i].tag;
    char *at = texts_name(texts);
    memcpy(at, from->name.data, from->name.bytes);
    at[from->name.bytes] = '\0';
    at += from->name.bytes + 1;
    memcpy(at, from->record.data, from->record.bytes);
    at[from->record.bytes] = '\0';
    return texts;
}

sl_err sl_task_own(sl_task_table *table, sl_task *task, const scheduler_task *from,
                   bool keep_texts) {
    task->payload_bytes = from->payload.bytes;
    task->payload = sl_slab_take(&table->slab, from->payload.bytes);
    if (!task->payload)
        return no_memory();
    memcpy(task->payload, from->payload.data, from->payload.bytes);
    if (keep_texts && !(task->texts = texts_create(from)))
        return no_memory();
    return SL_OK;
}

void sl_task_set_apart(sl_task *task, sl_blob *apart) {
    sl_blob *before = task->apart;
    task->apart = sl_blob_retain(apart);
    sl_blob_release(before);
}

void sl_task_drop_texts(sl_task *task) {
    free(task->texts);
    task->texts = NULL;
}

sl_err sl_task_add_edge(sl_task *first, const sl_task *after) {
    sl_edges *edges = first->after;
    if (!edges || edges->count == edges->capacity) {
        uint32_t capacity = edges ? 2 * edges->capacity : 4;
        sl_edges *grown = realloc(edges, sizeof *grown + capacity * sizeof *grown->numbers);
        if (!grown)
            return no_memory();
        if (!edges)
            grown->count = 0;
        grown->capacity = capacity;
        first->after = edges = grown;
    }
    edges->numbers[edges->count++] = sl_task_number(after);
    return SL_OK;
}

sl_err sl_task_keep_end(sl_task *task, const scheduler_result *result) {
    sl_task_end *end = malloc(sizeof *end + result->message.bytes + 1 + result->output.bytes);
    if (!end)
        return no_memory();
    end->result = *result;
    if (result->message.bytes)
        memcpy(end->data, result->message.data, result->message.bytes);
    end->data[result->message.bytes] = '\0';
    end->result.message.data = (const char *)end->data;
    end->result.output.data = end->data + result->message.bytes + 1;
    if (result->output.bytes)
        memcpy(end->data + result->message.bytes + 1, result->output.data, result->output.bytes);
    free(task->end);
    task->end = end;
    return SL_OK;
}
