/* Reading a ledger: for resume, rerun, explain, results.jsonl and the joblog.
 *
 * A reader has its own read-only connection, so it may look on while a run is live (on the machine
 * of the run), and sees what was durable when a call began. One thread at a time. Everything in the
 * file is taken as hostile: damage gives SL_ERR_LEDGER, never a crash. */
#ifndef SL_ACTORS_SCHEDULER_LEDGER_READER_H
#define SL_ACTORS_SCHEDULER_LEDGER_READER_H

#include "actors/scheduler/ledger.h"

typedef struct sl_ledger_reader sl_ledger_reader;

/* SL_ERR_NOT_FOUND: no such file; SL_ERR_LEDGER: not a ledger, damaged, or of a newer schema;
 * SL_ERR_REFUSED: it is being written on another machine, where it can be read now. */
sl_err sl_ledger_reader_open(const char *path, sl_ledger_reader **reader) SL_CHECKED;

/* The same, on another disk than the machine's. */
sl_err sl_ledger_reader_open_on(const sl_ledger_disk *disk, const char *path,
                                sl_ledger_reader **reader) SL_CHECKED;

void sl_ledger_reader_close(sl_ledger_reader *reader); /* NULL: nothing */

/* A task with all that is known of it. Pointers are borrowed until the visitor returns. */
typedef struct sl_ledger_entry {
    sl_ledger_task task;   /* `after` in rising order; `spec` NULL when not asked for */
    sl_ledger_state state; /* accepted, running, done, failed, cancelled, skipped */
    uint32_t attempts;     /* highest number of an attempt started */
    bool open_attempt; /* unfinished, and that attempt has no end: it runs or died with its session
                        */
    sl_ledger_outcome result; /* when state is done … skipped, else zeros */
} sl_ledger_entry;

/* Visitors return SL_OK to go on; anything else ends the walk and is passed up. */
typedef sl_err sl_ledger_visit_entry(void *context, const sl_ledger_entry *entry);

typedef enum sl_ledger_want {
    SL_LEDGER_WANT_SPEC = 1,       /* fill task.spec */
    SL_LEDGER_WANT_AFTER = 2,      /* fill task.after */
    SL_LEDGER_WANT_UNFINISHED = 4, /* only tasks without a result */
    SL_LEDGER_WANT_FINISHED = 8,   /* only tasks with one: what results.jsonl and the joblog hold */
} sl_ledger_want;

/* All tasks in order of id, as one consistent snapshot. `want` is a sum of sl_ledger_want. */
sl_err sl_ledger_read_tasks(sl_ledger_reader *reader, unsigned want, sl_ledger_visit_entry *visit,
                            void *context) SL_CHECKED;

/* One task, with spec and after. SL_ERR_NOT_FOUND when there is none. */
sl_err sl_ledger_read_task(sl_ledger_reader *reader, uint32_t id, sl_ledger_visit_entry *visit,
                           void *context) SL_CHECKED;

/* The id of the task of that name, or SL_ERR_NOT_FOUND. */
sl_err sl_ledger_find(sl_ledger_reader *reader, const char *name, uint32_t *id) SL_CHECKED;

/* An attempt: its outcome (state running while it has no end) and where it came from. */
typedef struct sl_ledger_attempt {
    sl_ledger_outcome outcome;
    uint32_t session;
    int32_t pid;
} sl_ledger_attempt;

typedef sl_err sl_ledger_visit_attempt(void *context, const sl_ledger_attempt *attempt);
typedef sl_err sl_ledger_visit_placement(void *context, const sl_ledger_placement *placement);
typedef sl_err sl_ledger_visit_node(void *context, uint32_t session, const sl_ledger_node *node);

/* Of one task, in order of attempt (choice). */
sl_err sl_ledger_read_attempts(sl_ledger_reader *reader, uint32_t task,
                               sl_ledger_visit_attempt *visit, void *context) SL_CHECKED;
sl_err sl_ledger_read_placements(sl_ledger_reader *reader, uint32_t task,
                                 sl_ledger_visit_placement *visit, void *context) SL_CHECKED;

/* The network of the latest session that wrote one, in order of rank. */
sl_err sl_ledger_read_nodes(sl_ledger_reader *reader, sl_ledger_visit_node *visit,
                            void *context) SL_CHECKED;

/* The value of a key of the run as a heap string the caller frees, or SL_ERR_NOT_FOUND. */
sl_err sl_ledger_read_meta(sl_ledger_reader *reader, const char *key, char **value) SL_CHECKED;

/* A session: one process that wrote this ledger. */
typedef struct sl_ledger_session {
    uint32_t number; /* 1, 2, … */
    int32_t pid;
    int32_t exit_code; /* of an ended one */
    bool ended;        /* false: it runs, or was killed */
    double start_s;
    double end_s;
    const char *host;
    const char *version;
    const char *command;
    const char *reason;
} sl_ledger_session;

typedef sl_err sl_ledger_visit_session(void *context, const sl_ledger_session *session);
sl_err sl_ledger_read_sessions(sl_ledger_reader *reader, sl_ledger_visit_session *visit,
                               void *context) SL_CHECKED;

/* How many tasks are in which state; `tasks` is the sum. */
typedef struct sl_ledger_counts {
    uint64_t tasks;
    uint64_t by_state[SL_LEDGER_STATES];
} sl_ledger_counts;

sl_err sl_ledger_read_counts(sl_ledger_reader *reader, sl_ledger_counts *counts) SL_CHECKED;

#endif
