/* A run: a list of tasks on its way through the network, as the process that drives it sees it.
 *
 *   read input -> open directory -> (all ranks agree) -> open ledger and logs -> drive -> close
 *
 * Only the files sdk/run_*.c include this. */
#ifndef SL_SDK_RUN_H
#define SL_SDK_RUN_H

#include "actors/registry/registry_msgs.h"
#include "actors/executor/executor_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "runtime/pool.h"
#include "sdk/line_log.h"
#include "sdk/run_writer.h"
#include "sdk/network.h"
#include "sdk/output_dir.h"
#include "sdk/progress.h"
#include "sdk/run_report.h"
#include "sdk/task_list.h"

/* Of a task: how it ended (sl_result_status), or that it has not. */
enum { SL_RUN_UNFINISHED = 255 };

/* A node, as far as results have to name it. */
typedef struct sl_run_node {
    bool known;
    uint32_t running;
    char host[256];
    char region[64];
} sl_run_node;

enum { SL_RUN_BATCH_MOST = 256 };

/* Tasks on their way to the scheduler. */
typedef struct sl_run_batch {
    sl_event event; /* first; of one that is sealed */
    sl_arena arena;
    scheduler_task tasks[SL_RUN_BATCH_MOST];
    uint32_t after[SL_RUN_BATCH_MOST]; /* where in `order` each was taken, and one more */
    sl_blob *apart[SL_RUN_BATCH_MOST]; /* large envelopes; owned, until they are sent */
    uint32_t count;
    uint32_t sent;
    uint32_t end; /* where in `order` the next begins */
    sl_err err;   /* of sealing */
    char detail[512];
} sl_run_batch;

typedef struct sl_run_state {
    sl_network *network; /* NULL: driven over a connection */
    const sl_config *config;
    const sl_run_request *request;

    /* the tasks, by index in the list, which is their tag and their id in the ledger */
    sl_task_array array;
    sl_task_list *list;
    uint8_t *fate;      /* sl_result_status or SL_RUN_UNFINISHED */
    uint32_t *attempts; /* of earlier sessions */
    uint8_t *accepted;  /* in the ledger already, from an earlier session */
    uint32_t *order;    /* indices, each behind those it waits for */
    char *start_cwd;    /* where the run was started: the tasks' directory */
    uint32_t total;
    struct sl_run_module *modules; /* that tasks name, each once */

    /* what it writes */
    bool resumed;
    const char *earlier; /* then: the directory of the run to go on with */
    bool restarted;      /* then: by launch, after the death of the rank that had this one's part */
    bool begun;          /* there is a ledger: the directory is a run's */
    bool closed_files;
    bool has_joblog;
    sl_output_dir dir;
    sl_ledger *ledger;
    sl_line_log results;
    sl_line_log joblog;
    sl_run_writer *writer; /* while the run is driven, the logs are its */
    sl_strbuf line;        /* scratch */
    sl_run_summary summary;
    uint64_t started_ns;
    sl_progress progress;
    sl_progress_counts counts;

    /* of a run whose tasks are sealed: run_seal.h */
    struct sl_run_seal *seal; /* NULL: they are not */
    sl_run_batch *sealed;     /* to be sent */
    bool sealing;             /* one is under way */
    uint32_t opening;         /* results under way */
    uint64_t held_bytes;      /* of envelopes of tasks that have not ended */
    bool drained;             /* heard while some were */

    /* the end of the job, if it is known */
    double end_s;
    double margin_s;

    /* while it is driven; touched by the actor alone */
    sl_actor *self;
    sl_run_node *nodes;
    uint32_t nodes_known;
    uint32_t failures_told;
    uint32_t next; /* in `order` */
    bool submitting;
    bool draining;
    bool ending;
    bool closer_running;
    uint64_t unaccepted;
    uint64_t drain_deadline_ns;
    pthread_t closer;
    sl_event closed;
    sl_event room; /* of the writer */
    bool paused;   /* for want of that */
    const char *reason;
    int code; /* SL_RUN_…: how it ends */
    char failure[516];
} sl_run_state;

/* ---- before (run_input.c, run_resume.c, run_files.c) ---- */

/* Reads the tasks, of a new run or of one to go on with. SL_ERR_INVALID and the like: bad input,
 * which has been told to request->messages. */
sl_err sl_run_read(sl_run_state *run) SL_CHECKED;

/* The defaults of a task, from the options. */
void sl_run_defaults(const sl_config *config, sl_task_spec *defaults);

/* Reads the list and all that is known of it from the run's directory. */
sl_err sl_run_read_earlier(sl_run_state *run) SL_CHECKED;
/* With the ledger open: what is to run again is reopened; what can never run is skipped. */
sl_err sl_run_settle_earlier(sl_run_state *run) SL_CHECKED;
/* Tells each finished task of the ledger to `visit`. */
sl_err sl_run_each_finished(sl_run_state *run,
                            void (*visit)(sl_run_state *run, uint32_t task,
                                          const sl_task_result *result)) SL_CHECKED;

/* Makes (or takes) the output directory. */
sl_err sl_run_open_dir(sl_run_state *run) SL_CHECKED;
/* Opens ledger and logs, with what is finished already in them. */
sl_err sl_run_open_files(sl_run_state *run) SL_CHECKED;
/* Closes whatever is open, in the order that leaves a run that can be resumed at every moment. */
void sl_run_close_files(sl_run_state *run);
/* Takes back a directory in which nothing was run. */
void sl_run_discard_dir(sl_run_state *run);

/* ---- tasks as the scheduler takes them (run_encode.c) ---- */

/* The call of a function, as it travels. */
sl_err sl_run_encode_call(sl_arena *arena, const char *function, sl_bytes arguments,
                          sl_bytes *payload) SL_CHECKED;

/* Fills `out` from task `index`; everything it points to is in `arena` or lives with the list. */
sl_err sl_run_encode(sl_run_state *run, uint32_t index, sl_arena *arena,
                     scheduler_task *out) SL_CHECKED;

/* ---- modules of tasks (run_modules.c) ---- */

/* Reads the module of a task, unless that was done for another, and looks for its function there.
 */
sl_err sl_run_module_check(sl_run_state *run, const sl_task_spec *spec) SL_CHECKED;
/* Of a run that goes on: of all its tasks. */
sl_err sl_run_modules_check(sl_run_state *run) SL_CHECKED;
/* Has those that were read put where nodes find them, by `put`, which answers NULL when it cannot:
 * then their tasks are refused. */
typedef sl_object *sl_run_module_putter(void *context, sl_value value);
void sl_run_modules_put(sl_run_state *run, sl_run_module_putter *put, void *context);
/* The task of a module that `spec` names; and what the list's argument is in JSON, to be ended by
 * sl_strbuf_fini() in any case. */
sl_err sl_run_module_task(sl_run_state *run, const sl_task_spec *spec,
                          const sl_task **task) SL_CHECKED;
sl_err sl_run_module_args(const sl_task_spec *spec, sl_strbuf *out) SL_CHECKED;
/* The list may ask for more than the module, not for less. */
void sl_run_module_needs(const sl_task *task, scheduler_task *out);
/* The payload of a task of a module, and at least what that says it needs. */
sl_err sl_run_module_encode(sl_run_state *run, const sl_task_spec *spec, sl_arena *arena,
                            scheduler_task *out) SL_CHECKED;
void sl_run_modules_free(sl_run_state *run);

/* Words and directories of a command, encoded in `arena`; of standard input only the file's path is
 * in `command`, and nothing of files is in `words`. Any thread. */
sl_err sl_run_encode_words(const sl_run_state *run, sl_arena *arena, const sl_task_spec *spec,
                           executor_command *command, sl_bytes *words) SL_CHECKED;

/* ---- driving (run_driver.c, run_submit.c, run_results.c) ---- */

/* What the two actors are given: one of these. */
typedef struct sl_run_argument {
    sl_run_state *run;   /* of the driver */
    sl_network *network; /* of a follower, on the other ranks */
} sl_run_argument;

extern const sl_actor_class sl_run_driver_class;
extern const sl_actor_class sl_run_follower_class;

/* Submits as much as may be under way. */
void sl_run_submit(sl_run_state *run);
/* One was sealed: it is the run's again. */
void sl_run_on_sealed(sl_run_state *run, sl_run_batch *batch);
void sl_run_batch_free(sl_run_batch *batch); /* NULL is fine */
void sl_run_on_accepted(sl_run_state *run, const scheduler_accepted *accepted);

void sl_run_on_done(sl_run_state *run, const scheduler_done *done);
/* Much of what waited for the disk is written. */
void sl_run_on_room(sl_run_state *run);
struct sl_run_opened;
void sl_run_on_opened(sl_run_state *run, struct sl_run_opened *opened);
/* Writes a finished task down: results.jsonl, joblog, counts. */
void sl_run_record(sl_run_state *run, uint32_t task, const sl_task_result *result, bool earlier);

/* Ends the run: with what is on disk already, or after the running tasks were ended. */
void sl_run_end(sl_run_state *run, int code, const char *reason);
void sl_run_drain(sl_run_state *run, int code, const char *reason);
void sl_run_fail(sl_run_state *run, const char *what);

/* Prints to request->messages (printf style), past the progress line. */
void sl_run_say(sl_run_state *run, const char *format, ...) SL_PRINTF(2, 3);
/* One of the first tasks that failed. */
void sl_run_say_failure(sl_run_state *run, const sl_task_result *result);
/* How it ended: for people, and as JSON where that is wanted. */
void sl_run_say_end(sl_run_state *run);
/* Frees all but the network's. */
void sl_run_release(sl_run_state *run);

/* ---- signals (run_signals.c) ---- */

/* Until release: SIGINT, SIGTERM and SIGUSR2 are told to the actor `to` of `node` as a
 * node_event, and sl_run_signal() names the first of them. A second SIGINT has its usual effect. */
void sl_run_signals_take(void);
void sl_run_signals_to(sl_node *node, sl_addr to);
void sl_run_signals_release(void);
int sl_run_signal(void);

#endif
