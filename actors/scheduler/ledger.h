/* The ledger: what this node has promised, in a SQLite file a user can query.
 *
 * A task is accepted, and a result is done, only when its record is on disk. Records are posted
 * from any thread, a writer thread gathers whatever is queued into one transaction, makes it
 * durable with one sync (group commit), and only then calls back. What was called back with SL_OK
 * survives SIGKILL at any moment, and a power cut as far as the disk keeps its word about a sync.
 *
 * The writer belongs to one process at a time, held off by a lock file beside the database. Readers
 * (ledger_reader.h, or sqlite3) may look on while it runs, from the same machine. A ledger closed
 * well is one plain file, readable anywhere. Tables and columns: the DDL in ledger_schema.c, which
 * `sqlite3 ledger.db .schema` prints with its comments. */
#ifndef SL_ACTORS_SCHEDULER_LEDGER_H
#define SL_ACTORS_SCHEDULER_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#include "actors/scheduler/ledger_disk.h"
#include "runtime/clock.h"
#include "runtime/err.h"

/* What a task, an attempt or a result is found to be. Written as lower-case words. */
typedef enum sl_ledger_state {
    SL_LEDGER_ACCEPTED,  /* on disk, not started (tasks only, never written) */
    SL_LEDGER_RUNNING,   /* an attempt has started and not ended (never written) */
    SL_LEDGER_DONE,      /* ended well */
    SL_LEDGER_FAILED,    /* ended badly */
    SL_LEDGER_CANCELLED, /* taken back by its user */
    SL_LEDGER_SKIPPED,   /* a task it comes after did not end well */
    SL_LEDGER_LOST,      /* attempts only: its node was lost, or the run was */
    SL_LEDGER_STATES
} sl_ledger_state;

/* "accepted" … "lost"; "unknown" when out of range. Static storage. */
const char *sl_ledger_state_name(sl_ledger_state state);

#define SL_LEDGER_TEXT_MAX (64 << 20) /* bytes of any one text in a record */

/* A task as accepted. Ids are dense from 0 in the order of the file; names are unique. */
typedef struct sl_ledger_task {
    uint32_t id;
    int32_t priority;
    const char *name;   /* required */
    const char *spec;   /* required: the task's JSON object, normalised, all of it */
    const char *region; /* NULL: anywhere */
    double accepted_s;  /* wall clock */
    double timeout_s;   /* 0: none */
    uint32_t cpus;
    uint32_t gpus;
    uint32_t retries;
    uint32_t after_count;
    const uint32_t *after; /* ids of the tasks that must be done before */
    uint64_t memory_bytes;
    int64_t ucu_milli; /* thousandths of a UCU asked for */
} sl_ledger_task;

/* Why an attempt went where it went. */
typedef struct sl_ledger_placement {
    uint32_t task;
    uint32_t choice;  /* 1, 2, … per task: a node may refuse, and the next choice is made */
    uint32_t attempt; /* the attempt the choice was made for */
    int32_t rank;     /* the node chosen */
    double at_s;
    int64_t ucu_milli;  /* of that node, as known to the chooser */
    const char *policy; /* required */
    const char
        *reason; /* JSON: candidates with scores and limits, bounded by the caller; or NULL */
} sl_ledger_placement;

/* An attempt has started. */
typedef struct sl_ledger_start {
    uint32_t task;
    uint32_t attempt; /* 1, 2, … per task, over all sessions */
    int32_t rank;
    int32_t pid; /* process group of a command, 0 when there is none */
    double start_s;
    const char *host;   /* or NULL */
    const char *region; /* or NULL */
} sl_ledger_start;

/* How an attempt, or with it the task, ended. */
typedef struct sl_ledger_outcome {
    uint32_t task;
    uint32_t attempt; /* the attempt that ended; 0: none was started */
    sl_ledger_state state;
    int32_t exit_code; /* -1: there is none */
    int32_t signal;    /* 0: there is none */
    int32_t rank;      /* -1: it ran nowhere */
    double start_s;
    double end_s;
    double user_s;
    double sys_s;
    uint64_t max_rss_bytes;
    const char *host;    /* or NULL */
    const char *region;  /* or NULL */
    const char *message; /* for a person; or NULL */
} sl_ledger_outcome;

/* A node of the network of this session. */
typedef struct sl_ledger_node {
    uint32_t rank;
    uint32_t cores;
    uint32_t gpus;
    uint64_t memory_bytes;
    int64_t ucu_milli;
    const char *host;   /* or NULL */
    const char *region; /* or NULL */
} sl_ledger_node;

/* A fact about the whole run, by key. A later one replaces an earlier one. */
typedef struct sl_ledger_meta {
    const char *key;   /* required */
    const char *value; /* required */
} sl_ledger_meta;

typedef enum sl_ledger_kind {
    SL_LEDGER_TASK,      /* .task: accepted; a known id or name is refused with SL_ERR_EXISTS */
    SL_LEDGER_PLACEMENT, /* .placement; the same (task, choice) replaces */
    SL_LEDGER_START,     /* .start; the same (task, attempt) replaces */
    SL_LEDGER_ATTEMPT,   /* .outcome of an attempt that is not the last; state failed … lost */
    SL_LEDGER_RESULT,    /* .outcome of the task, and of its attempt; the first is the only one: a
                            second is refused with SL_ERR_EXISTS; state done … skipped */
    SL_LEDGER_REOPEN,    /* .reopen: the task's result is taken away, it is to run again */
    SL_LEDGER_NODE,      /* .node */
    SL_LEDGER_META,      /* .meta */
    SL_LEDGER_KINDS
} sl_ledger_kind;

typedef struct sl_ledger_record {
    sl_ledger_kind kind;
    union {
        sl_ledger_task task;
        sl_ledger_placement placement;
        sl_ledger_start start;
        sl_ledger_outcome outcome;
        uint32_t reopen; /* a task's id */
        sl_ledger_node node;
        sl_ledger_meta meta;
    };
} sl_ledger_record;

typedef struct sl_ledger sl_ledger;

typedef enum sl_ledger_mode {
    SL_LEDGER_CREATE, /* a new run: an existing ledger is refused with SL_ERR_EXISTS */
    SL_LEDGER_RESUME, /* one more session of an existing run: none is refused with SL_ERR_NOT_FOUND
                       */
} sl_ledger_mode;

typedef struct sl_ledger_options {
    sl_ledger_mode mode;
    const sl_clock *clock;      /* borrowed until close; NULL: sl_clock_real */
    const sl_ledger_disk *disk; /* borrowed until close; NULL: sl_ledger_disk_real */
    const char *version;        /* of Starlane, for the session's row; or NULL */
    const char *command;        /* command line, likewise; or NULL */
    const sl_ledger_meta *meta; /* written with the first transaction of a new ledger; or NULL */
    size_t meta_count;
    size_t queue_bytes;   /* bound of what waits for the disk, twice (filling, being written); 0: 16
                             MiB */
    uint64_t linger_ns;   /* how long records without a callback may wait for company; 0: 50 ms */
    uint64_t patience_ns; /* how long to wait for another program's lock on the database; 0: 60 s */
    bool no_thread;       /* nothing is written but by sl_ledger_step(): for a simulator */
    bool quick_check;     /* walk the whole file for damage first (a second per few 100 MB) */
    bool rollback_journal; /* never WAL: slower, but for filesystems shared between machines */
} sl_ledger_options;

/* Opens `path` for writing and adds a session to it. A database in use by another process is
 * refused with SL_ERR_REFUSED, naming its host and pid; a file that is not a ledger, or one of a
 * newer schema, with SL_ERR_LEDGER, and is left as it was. */
sl_err sl_ledger_open(const char *path, const sl_ledger_options *options,
                      sl_ledger **ledger) SL_CHECKED;

/* Called when the post's records are durable (SL_OK), or will never be: SL_ERR_EXISTS (this post
 * was refused, the ledger goes on) or SL_ERR_LEDGER (nothing can be written any more); the cause is
 * in sl_err_detail(). On the writer thread (no_thread: in sl_ledger_step); posts are called back in
 * the order they were made. It may post, and must not flush, step or close. */
typedef void sl_ledger_done(void *context, sl_err err);

/* Queues `count` records (copied) as one unit: all are written, or none. With a callback they are
 * committed as soon as the disk is free; without one (`done` NULL) they ride along with the next
 * commit, at the latest after linger_ns. SL_ERR_AGAIN: the queue is full, nothing was queued (it
 * has room after the next callback); SL_ERR_TOO_LARGE: it could never fit; SL_ERR_INVALID: a record
 * lacks a required field; SL_ERR_LEDGER: the ledger has failed; SL_ERR_CLOSED: it is being closed.
 * Any thread; costs a mutex and a copy, never waits for the disk. */
sl_err sl_ledger_post(sl_ledger *ledger, const sl_ledger_record *records, size_t count,
                      sl_ledger_done *done, void *context) SL_CHECKED;

/* no_thread: writes what is queued as one transaction and calls back. SL_OK also when there was
 * nothing to do; SL_ERR_LEDGER when the ledger has failed. */
sl_err sl_ledger_step(sl_ledger *ledger) SL_CHECKED;

/* no_thread: is anything queued, and is it `pressing` (a callback waits for it)? Else it may wait
 * for company for linger_ns. */
bool sl_ledger_waits(sl_ledger *ledger, bool *pressing);

/* Waits until everything posted before is durable. Not from a callback. SL_ERR_LEDGER on failure.
 */
sl_err sl_ledger_flush(sl_ledger *ledger) SL_CHECKED;

/* The end record of a session. */
typedef struct sl_ledger_end {
    const char *reason; /* "finished", "interrupted", "requeue", … */
    int32_t exit_code;
} sl_ledger_end;

/* Writes what is queued, then the end record (`end` NULL: none, as after a crash), calls back every
 * post, folds the journal into the file, gives up the lock and frees the ledger, whatever happens.
 * SL_ERR_LEDGER when the ledger had failed or the end record is not on disk. NULL: nothing. */
sl_err sl_ledger_close(sl_ledger *ledger, const sl_ledger_end *end) SL_CHECKED;

typedef struct sl_ledger_stats {
    uint64_t posts;       /* accepted by sl_ledger_post */
    uint64_t records;     /* durable */
    uint64_t commits;     /* transactions made durable, the opening's not included */
    uint64_t refused;     /* posts called back with SL_ERR_EXISTS */
    uint64_t checkpoints; /* of the write-ahead log into the file */
    uint64_t queue_bytes_high;
    uint64_t commit_ns_max; /* longest single transaction, from begin to durable */
    uint64_t checkpoint_ns_max;
    uint32_t session; /* 1 for a new ledger; restarts are session - 1 */
    bool wal;         /* write-ahead log in use */
} sl_ledger_stats;

/* Any thread. */
void sl_ledger_stats_get(sl_ledger *ledger, sl_ledger_stats *stats);

#endif
