/* The inside of the executor actor, shared by its files alone. */
#ifndef SL_EXECUTOR_INTERNAL_H
#define SL_EXECUTOR_INTERNAL_H

#include <stdatomic.h>

#include "actors/executor/executor.h"
#include "actors/executor/executor_msgs.h"
#include "actors/executor/row.h"
#include "actors/registry/registry_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/runtime_msgs.h"
#include "runtime/slab.h"

typedef struct sl_executor sl_executor;

enum sl_attempt_fate { SL_ATTEMPT_WANTED, SL_ATTEMPT_CANCELLED, SL_ATTEMPT_TOO_LONG };

/* One attempt, from assignment until its result has left. */
typedef struct sl_attempt {
    struct sl_attempt *next;
    sl_addr owner;
    sl_grant_request request;
    uint64_t timeout_ns;
    void *record; /* decoded executor_command or executor_function, from the slab */
    size_t record_bytes;
    uint32_t function;
    uint64_t arrival; /* the order in which attempts start */
    uint8_t kind;
    uint8_t cancelled;       /* sl_attempt_fate; looked at by the thread that calls functions */
    uint32_t refusal;        /* sl_err: why it was refused */
    uint64_t began_ns;       /* of a function: when it was called; the loop may look meanwhile */
    uint64_t run_ns;         /* and from then to its return */
    scheduler_result result; /* message and output point to what is below */
    char *message;           /* malloc'ed */
    void *output;            /* malloc'ed, when it is longer than what follows */
    sl_blob *apart;          /* large data: of its arguments, then of its output */
    bool holds_objects;      /* of sl_task_facts … */
    uint64_t keep_bytes;     /* … and this too */
    void (*settle)(void *context, bool sent); /* of its output: see sl_task_output */
    void *settled;
    uint8_t short_output[48];
} sl_attempt;

typedef struct sl_attempts {
    sl_attempt *head;
    sl_attempt *tail;
    uint32_t count;
} sl_attempts;

/* What runs still out need after their executor: freed with the last of them. */
typedef struct sl_remains {
    sl_slab slab;
    uint32_t runs;
} sl_remains;

/* The kinds of the executor's events. */
enum { SL_EXECUTOR_RUN_ENDED, SL_EXECUTOR_WAITS, SL_EXECUTOR_GOES_ON };

/* Of a run that waited: may it go on? */
enum { SL_RUN_NOT_YET, SL_RUN_GRANTED, SL_RUN_ABANDONED /* the executor is gone */ };

/* What holds a grant: a command, or functions that run one after another. Or a command that a
 * spawner was given ahead, to start when another run has ended: it holds nothing until that run's
 * end is heard of here, and then has its grant. */
typedef struct sl_run {
    sl_job job; /* first: its event comes back as this run */
    sl_executor *executor;
    sl_node *node;                 /* this and … */
    sl_actor *self;                /* … this and … */
    const sl_functions *functions; /* … this are for threads that outlive the executor */
    sl_remains *remains;           /* NULL while the executor lives */
    struct sl_run *next;           /* of running, or of ahead; the newest first */
    struct sl_run *previous;
    struct sl_run *before; /* ahead: the run, perhaps ahead itself, whose grant it will have */
    struct sl_run *after;  /* the run that will have this one's grant */
    sl_attempts attempts;
    sl_grant grant;    /* ahead: nothing but the amounts it will have */
    uint64_t since_ns; /* it runs, or waits ahead */
    bool recalled;     /* ahead, and asked back: its place is promised to it */
    bool on_loop;      /* functions so short that they run on the loop itself */
    sl_minder_handle handle;
    sl_process_result process;
    uint64_t trace_start;

    sl_row row;          /* of functions: whose the attempts are while a thread calls them */
    bool may_split;      /* there are several, and a pool thread has them */
    sl_attempt *current; /* the one that is called; that thread's */

    /* of functions that wait for other tasks: executor_wait.c */
    sl_pool *pool;
    sl_event waits;
    sl_event goes_on;
    _Atomic uint32_t again;
    bool is_waiting;
    bool owes;             /* the owner has not been told of is_waiting */
    sl_grant_request lent; /* what it has given back meanwhile */
    struct sl_run *next_resuming;
} sl_run;

/* What is known of a function's run time. */
typedef struct sl_function_pace {
    uint64_t runs;
    double mean_ns;
    double longest_ns; /* decays towards the mean */
    char *name;        /* malloc'ed; of a name of the family, whose paces are behind the others */
} sl_function_pace;

/* So many names of the family are told apart; others take the place of those that share theirs. */
enum { SL_FAMILY_PACES = 256 };

struct sl_executor {
    sl_actor *self;
    sl_executor_options options;
    sl_grant_pool *grants;
    sl_slab slab;
    sl_attempts backlog;
    uint64_t arrivals;
    sl_attempts ended;   /* results that have not left */
    bool out_of_memory;  /* an attempt would be lost: the actor fails, and its node with it */
    sl_attempts refused; /* and refusals: of these only owner, task, attempt and refusal count */
    sl_run *running;
    sl_run *ahead;          /* commands that spawners have, and that hold no grant yet */
    uint32_t running_count; /* attempts started and not ended */
    uint32_t ahead_count, recalled_count;
    sl_run *resuming;          /* have waited, and need their cores again: the oldest first */
    uint32_t owed;             /* runs whose owner is to be told that they wait, or no longer do */
    sl_grant_request promised; /* kept free for those recalled */
    sl_function_pace *paces;
    uint32_t last_function; /* found last: those of one submit are mostly alike */
    double command_mean_s;  /* 0: none has ended yet */
    bool going;             /* an executor_go message to ourselves is under way */
    uint64_t told_free_ns;
    uint64_t free_timer;
    bool free_changed;
    uint32_t may_split;                    /* runs that may */
    uint64_t rows_timer;                   /* looks at them; 0: not running */
    uint64_t starts;                       /* of runs, so far */
    uint64_t stale_timer;                  /* 0: not running */
    uint64_t stale_arrivals, stale_starts; /* when it was started */
};

/* executor_run.c */
void sl_attempts_push(sl_attempts *list, sl_attempt *attempt);
/* To where it was among those that wait, by arrival. */
void sl_attempts_put_back(sl_attempts *list, sl_attempt *attempt);
/* The same for many, in order of arrival themselves; `from` is empty then. */
void sl_attempts_merge(sl_attempts *list, sl_attempts *from);
sl_attempt *sl_attempts_pop(sl_attempts *list);
sl_err sl_attempt_create(sl_executor *executor, sl_addr owner, const executor_task *task,
                         sl_blob *apart, sl_attempt **attempt);
/* The large data of its arguments are no output: let go of when it did not run. */
void sl_attempt_drop_apart(sl_attempt *attempt);
/* Its output has been sent, or never will be. */
void sl_attempt_settle(sl_attempt *attempt, bool sent);
/* What an attempt holds outside the slab. */
void sl_attempt_free_parts(sl_attempt *attempt);
void sl_attempt_destroy(sl_executor *executor, sl_attempt *attempt);
void sl_attempt_end(sl_executor *executor, sl_attempt *attempt, sl_task_status status,
                    const char *message);
/* Starts what the backlog's order and the free resources allow. */
void sl_executor_go(sl_executor *executor);
void sl_executor_run_ended(sl_executor *executor, sl_run *run);
void sl_executor_cancel_run(sl_executor *executor, sl_run *run);
sl_run *sl_run_create(sl_executor *executor, sl_run *before);
void sl_run_destroy(sl_executor *executor, sl_run *run);
/* Makes a run that was ahead a running one, with the grant of the run that ended before it. */
void sl_run_inherit(sl_executor *executor, sl_run *run);
/* Asked before trying: a grant that is refused says why at length, and most are, while a node is
 * busy. */
bool sl_executor_is_free(const sl_executor *executor, const sl_grant_request *request);

/* Its owner is silent, and may have given this node up: then the command runs elsewhere, or has,
 * and beginning it here would empty what that has written. */
bool sl_executor_may_be_given_up(const sl_executor *executor, const sl_attempt *attempt);

/* Cookies of timers; an arrival is above them. */
enum { SL_EXECUTOR_FREE, SL_EXECUTOR_STALE, SL_EXECUTOR_ROWS };

/* executor_row.c */
/* The run's functions are about to be handed to a pool thread, or called here. */
void sl_executor_open_row(sl_executor *executor, sl_run *run);
/* Ends what of a row has ended, and takes back what has not begun: only the attempt that is called
 * stays. */
void sl_executor_split_row(sl_executor *executor, sl_run *run);
/* A row that was called on the loop ended early: what is left of it goes back. */
void sl_executor_take_back_rest(sl_executor *executor, sl_run *run);
/* Its end has come, or nothing of it can be taken any more. */
void sl_executor_row_is_over(sl_executor *executor, sl_run *run);
/* Looks, after a while, for rows that last longer than was believed. */
void sl_executor_watch_rows(sl_executor *executor);
void sl_executor_on_rows(sl_executor *executor);

/* executor_stale.c */
/* Looks, after a while, whether what waits has come any further. */
void sl_executor_watch_backlog(sl_executor *executor);
/* It may not have: then it is refused. */
void sl_executor_on_stale(sl_executor *executor);

/* executor_ahead.c */
/* Gives spawners what the backlog's order lets start next, to start it when something ends. */
void sl_executor_give_ahead(sl_executor *executor);
/* Asks back what could start elsewhere by now, or waits too long. */
void sl_executor_recall_ahead(sl_executor *executor);
/* A command that was ahead came back unstarted: to its place in the backlog. */
void sl_executor_withdrawn(sl_executor *executor, sl_attempt *attempt);
/* A run that was ahead is so no longer: what is promised to it is free again. */
void sl_executor_drop_promise(sl_executor *executor, sl_run *run);

/* executor_command.c, executor_function.c */
/* Hands the run's command over, for the end of `run->before` if there is one. */
sl_err sl_executor_start_command(sl_executor *executor, sl_run *run);
void sl_executor_tell_started(sl_executor *executor, const sl_attempt *attempt);
void sl_executor_command_ended(sl_executor *executor, sl_run *run);
sl_err sl_executor_find_function(sl_executor *executor, sl_attempt *attempt);
void sl_executor_free_paces(sl_executor *executor);
/* How many functions like this one may run in a row; and whether right here, on the loop. */
uint32_t sl_executor_row(const sl_executor *executor, const sl_attempt *attempt, bool *inline_run);
void sl_executor_call_all(sl_run *run);
/* It has run for so long, and runs on. */
void sl_executor_function_lasts(sl_executor *executor, const sl_attempt *attempt, uint64_t ns);
/* The time of a function attempt, named by its arrival, may be over. */
void sl_executor_function_late(sl_executor *executor, uint64_t arrival);
void sl_executor_function_ended(sl_executor *executor, sl_attempt *attempt);

/* executor_wait.c: the run whose functions this pool thread calls, or NULL. */
void sl_executor_run_here(sl_run *run);
/* The executor goes: the run's thread is not to wait for cores any more. */
void sl_executor_release_run(sl_run *run);
void sl_executor_on_waits(sl_executor *executor, sl_run *run);
void sl_executor_on_goes_on(sl_executor *executor, sl_run *run);
bool sl_executor_resume(sl_executor *executor);
void sl_executor_tell_waits(sl_executor *executor);

/* executor_report.c */
void sl_executor_send_ended(sl_executor *executor);
void sl_executor_send_refused(sl_executor *executor);
void sl_executor_report_free(sl_executor *executor);
void sl_executor_refuse(sl_executor *executor, sl_addr owner, uint64_t task, uint32_t attempt,
                        sl_err why);

#endif
