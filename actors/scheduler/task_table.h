/* The tasks a scheduler owns: found by number (on the wire) and by (submitter, tag). */
#ifndef SL_SCHEDULER_TASK_TABLE_H
#define SL_SCHEDULER_TASK_TABLE_H

#include "actors/executor/executor_msgs.h"
#include "actors/scheduler/among.h"
#include "runtime/slab.h"

typedef enum sl_task_state {
    SL_TASK_FREE,      /* slot unused */
    SL_TASK_ACCEPTING, /* on its way to the ledger */
    SL_TASK_BLOCKED,   /* waits for the tasks it comes after */
    SL_TASK_QUEUED,    /* waits for resources */
    SL_TASK_HELD,      /* would not end before the job does: not started in this run */
    SL_TASK_ASSIGNED,  /* sent to an executor */
    SL_TASK_RUNNING,   /* reported to run there */
    SL_TASK_DOUBTFUL,  /* ended by a signal that may have been meant for the whole job: see DOUBT_NS
                        */
    SL_TASK_RECORDING, /* ended; its result is on its way to the ledger */
    SL_TASK_STOPPED    /* its attempt was ended by a drain: unfinished */
} sl_task_state;

enum { SL_TASK_NONE = UINT32_MAX };

typedef struct sl_task {
    /* what was asked for */
    uint32_t tag;
    uint32_t submitter; /* index in the table */
    uint32_t cpus;
    uint32_t gpus;
    uint64_t memory_bytes;
    uint64_t ucu_milli;
    uint64_t timeout_ns;
    int32_t priority;
    uint32_t retries;
    uint32_t region; /* index in nodes->regions; 0: any */
    uint32_t group;  /* index in estimates; 0: unknown */
    uint32_t near;   /* one more than the node that is preferred; 0: none */
    uint8_t kind;
    uint8_t keep; /* sl_task_keep */

    /* where it stands */
    uint8_t state;
    uint8_t cancelled;   /* taken back by its submitter */
    uint8_t status;      /* sl_task_status once it has ended */
    uint8_t waits;       /* placed, but its cores are free for others meanwhile */
    uint8_t forget;      /* its tag may be used again when it has ended */
    uint8_t tell;        /* its submitter is told when it begins */
    uint32_t generation; /* of the slot */
    uint32_t slot;
    uint32_t next;     /* in its queue, or of free slots */
    uint32_t shape;    /* queue it belongs to */
    uint32_t pending;  /* tasks it still waits for */
    uint32_t attempts; /* those of earlier sessions included */
    uint32_t earlier;  /* attempts of earlier sessions */
    uint32_t losses;   /* attempts that ended with their node */
    uint32_t choices;  /* placements, refused ones included */
    uint32_t node;     /* of the last placement */
    uint64_t arrival_ns;
    uint64_t placed_ns;
    uint64_t expected_ns;   /* run time estimated at placement; 0: unknown */
    struct sl_edges *after; /* tasks that wait for this one */
    sl_among *among;        /* the nodes that may run it; NULL: any */

    /* owned copies */
    uint8_t *payload;
    uint32_t payload_bytes;
    uint32_t before;             /* in its queue: the one of which it is next */
    sl_blob *apart;              /* large data of the payload; once it has ended, of its output */
    struct sl_task_texts *texts; /* name and ledger record; NULL without a ledger */
    struct sl_task_end *end;     /* the result while it is recorded */
} sl_task;

/* Tasks that come after one; grows by doubling. */
typedef struct sl_edges {
    uint32_t count;
    uint32_t capacity;
    uint64_t numbers[]; /* sl_task_number: a slot may have a new tenant by then */
} sl_edges;

typedef struct sl_task_texts {
    uint32_t name_bytes;
    uint32_t record_bytes;
    uint32_t after_count;
    uint32_t after[]; /* tags, then the name and the record, both NUL-terminated */
} sl_task_texts;

/* A result being recorded; message and output lie behind it. */
typedef struct sl_task_end {
    scheduler_result result;
    uint8_t data[];
} sl_task_end;

/* What a submitter's tag stands for. */
typedef enum sl_tag_fate { SL_TAG_UNKNOWN, SL_TAG_DONE, SL_TAG_NOT_DONE, SL_TAG_LIVE } sl_tag_fate;

typedef struct sl_submitter {
    sl_addr addr;
    uint32_t **pages; /* tag -> fate or slot, in pages of SL_TAG_PAGE */
    uint32_t page_count;
    uint64_t live; /* tasks accepted and not ended */
    uint64_t accepted;
} sl_submitter;

enum { SL_TAG_PAGE = 4096, SL_TASK_CHUNK = 1024 };

typedef struct sl_task_table {
    sl_task **chunks;
    uint32_t chunk_count;
    uint32_t free; /* first free slot */
    uint64_t live;
    sl_submitter *submitters;
    uint32_t submitter_count;
    sl_amongs amongs;
    sl_slab slab;
} sl_task_table;

void sl_task_table_init(sl_task_table *table);
void sl_task_table_fini(sl_task_table *table);

/* A zeroed task, or NULL when out of memory. */
sl_task *sl_task_create(sl_task_table *table);
/* Frees it with everything it owns; its number finds nothing from now on. */
void sl_task_destroy(sl_task_table *table, sl_task *task);

static inline sl_task *sl_task_at(const sl_task_table *table, uint32_t slot) {
    return &table->chunks[slot / SL_TASK_CHUNK][slot % SL_TASK_CHUNK];
}

/* Soon the task in this slot (if there is one) will be looked at. */
static inline void sl_task_fetch(const sl_task_table *table, uint32_t slot) {
    if (slot / SL_TASK_CHUNK >= table->chunk_count)
        return;
    const uint8_t *task = (const uint8_t *)sl_task_at(table, slot);
    for (size_t at = 0; at < sizeof(sl_task); at += 64)
        __builtin_prefetch(task + at, 1);
}

/* No task's number. */
#define SL_TASK_NO_NUMBER UINT64_MAX

/* The number that travels: slot and generation. */
static inline uint64_t sl_task_number(const sl_task *task) {
    return (uint64_t)task->generation << 32 | task->slot;
}
sl_task *sl_task_find(const sl_task_table *table, uint64_t number);

/* The submitter with this address, made when new; UINT32_MAX when out of memory. */
uint32_t sl_task_submitter(sl_task_table *table, sl_addr addr);

/* What became of a tag; SL_TAG_LIVE sets `task`. */
sl_tag_fate sl_task_by_tag(const sl_task_table *table, uint32_t submitter, uint64_t tag,
                           sl_task **task);
sl_err sl_task_tag_set(sl_task_table *table, uint32_t submitter, uint32_t tag, sl_tag_fate fate,
                       uint32_t slot);

/* Large data of another kind take the place of those there were; a reference is kept. */
void sl_task_set_apart(sl_task *task, sl_blob *apart);

/* Copies the payload, and with `keep_texts` name, record and tags of `after`. */
sl_err sl_task_own(sl_task_table *table, sl_task *task, const scheduler_task *from,
                   bool keep_texts);
void sl_task_drop_texts(sl_task *task);
const char *sl_task_name(const sl_task *task);
const char *sl_task_record(const sl_task *task);

/* `after` waits for `first`. */
sl_err sl_task_add_edge(sl_task *first, const sl_task *after);

/* Keeps a copy of a result with the task. */
sl_err sl_task_keep_end(sl_task *task, const scheduler_result *result);

#endif
