/* The inside of the scheduler actor, shared by its files alone. */
#ifndef SL_SCHEDULER_INTERNAL_H
#define SL_SCHEDULER_INTERNAL_H

#include "actors/scheduler/estimate.h"
#include "actors/scheduler/nodes.h"
#include "actors/scheduler/policy.h"
#include "actors/scheduler/queue.h"
#include "actors/scheduler/scheduler.h"
#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/runtime_msgs.h"

typedef struct sl_scheduler sl_scheduler;

/* A growing list of task slots. */
typedef struct sl_slot_list {
    uint32_t *slots;
    uint32_t count;
    uint32_t capacity;
} sl_slot_list;

/* A submit on its way to the ledger, or results on theirs. */
typedef struct sl_ledger_wait {
    sl_event event;
    sl_node *node;
    sl_err err;
    char detail[512];
    uint8_t is_submit;
    uint32_t submitter;
    uint64_t first_tag;
    sl_slot_list tasks;
} sl_ledger_wait;

/* Submits accepted in memory that the ledger had no room for yet. */
typedef struct sl_submit_wait {
    struct sl_submit_wait *next;
    sl_ledger_wait *wait;
} sl_submit_wait;

/* A scheduler_accepted that has not left. */
typedef struct sl_notice {
    struct sl_notice *next;
    sl_addr to;
    uint64_t first_tag;
    uint32_t count;
    uint32_t err;
    char detail[512];
} sl_notice;

struct sl_scheduler {
    sl_actor *self;
    sl_scheduler_options options;
    sl_policy *policy;
    sl_task_table tasks;
    sl_queue_order queue;
    sl_node_views nodes;
    sl_estimates estimates;

    /* placements of the running pass, per node */
    sl_slot_list *outbox;
    sl_node_features *candidates; /* scratch, one per node */
    double *scores;
    uint64_t pass_ns; /* when the pass began */
    double pass_wall_s;
    uint64_t submit_ns; /* when the submit that is handled came */

    sl_slot_list to_cancel; /* placed tasks whose executor is to be told to end them */

    /* ledger */
    sl_slot_list to_record; /* ended tasks whose result is to be posted */
    sl_submit_wait *submits_head;
    sl_submit_wait *submits_tail;
    uint32_t posts_under_way;
    bool ledger_lost; /* nothing can be written any more: what has ended stays unrecorded */

    sl_notice *notices_head; /* submits whose submitters' mailboxes were full */
    sl_notice *notices_tail;

    /* results for submitters, gathered while one message is handled */
    scheduler_outcome *outcomes;
    uint32_t *outcome_slots;
    uint32_t outcome_count;
    uint32_t outcome_capacity;
    sl_blob *result_apart;    /* of the result that is handled, borrowed from its message */
    sl_slot_list undelivered; /* recorded, but the submitter's mailbox was full */

    uint64_t placed; /* tasks assigned or running */
    uint64_t held;
    uint64_t doubtful;
    uint64_t retry_timer;
    uint64_t record_timer; /* results wait for company until it fires */
    uint64_t recorded_ns;  /* when results were posted last */
    bool draining;
    bool paused; /* who submits cannot take more results for now */
    bool drained_told;
    bool out_of_memory;      /* what was promised cannot be kept: see sl_scheduler_fail() */
    bool impossible_checked; /* since the network's view last changed */
};

/* scheduler.c */
bool sl_slot_list_push(sl_slot_list *list, uint32_t slot);

/* For want of memory a task would be lost on its way. Then the actor fails when the message is
 * handled, and with it its node: a run that ends can be resumed, one that hangs helps nobody. */
void sl_scheduler_fail(sl_scheduler *scheduler, const char *what, uint32_t tag);

void sl_scheduler_after(sl_scheduler *scheduler);

/* scheduler_submit.c */
sl_err sl_scheduler_on_submit(sl_scheduler *scheduler, const sl_message *message);
void sl_scheduler_accepted(sl_scheduler *scheduler, sl_ledger_wait *wait);
void sl_scheduler_ready(sl_scheduler *scheduler, sl_task *task, bool to_front);
sl_ledger_wait *sl_ledger_wait_create(sl_scheduler *scheduler, uint32_t submitter,
                                      uint64_t first_tag);

/* scheduler_place.c */
void sl_scheduler_place(sl_scheduler *scheduler);
sl_task_features sl_scheduler_features(const sl_scheduler *scheduler, const sl_task *task);
sl_node_features sl_scheduler_node_features(const sl_scheduler *scheduler, const sl_node_view *view,
                                            const sl_task *task, uint64_t slots);

/* scheduler_result.c */
void sl_scheduler_on_started(sl_scheduler *scheduler, const sl_message *message);
void sl_scheduler_on_waits(sl_scheduler *scheduler, const sl_message *message);
void sl_scheduler_on_results(sl_scheduler *scheduler, const sl_message *message);
/* The time of doubt about a task is over; or the job is being ended, which was the signal's
 * meaning. */
void sl_scheduler_on_doubt_over(sl_scheduler *scheduler, uint64_t number);
void sl_scheduler_stop_doubtful(sl_scheduler *scheduler, sl_task *task);
void sl_scheduler_on_refused(sl_scheduler *scheduler, const sl_message *message);
void sl_scheduler_on_node_gone(sl_scheduler *scheduler, uint32_t node);
/* Ends a task for good with a status and message of the scheduler's own (it ran nowhere last). */
void sl_scheduler_give_up(sl_scheduler *scheduler, sl_task *task, sl_task_status status,
                          const char *message);

/* scheduler_cancel.c */
void sl_scheduler_on_cancel(sl_scheduler *scheduler, const sl_message *message);
void sl_scheduler_on_drain(sl_scheduler *scheduler);
void sl_scheduler_send_cancels(sl_scheduler *scheduler);

/* scheduler_ledger.c */
sl_err sl_scheduler_post_submit(sl_scheduler *scheduler, sl_ledger_wait *wait);
void sl_scheduler_on_ledger(sl_scheduler *scheduler, sl_ledger_wait *wait);
void sl_scheduler_pump(sl_scheduler *scheduler);
void sl_scheduler_write_start(sl_scheduler *scheduler, const sl_task *task, int32_t pid);
void sl_scheduler_write_attempt(sl_scheduler *scheduler, const sl_task *task,
                                const scheduler_result *result);
void sl_scheduler_write_placement(sl_scheduler *scheduler, const sl_task *task,
                                  uint32_t candidates);
void sl_scheduler_write_node(sl_scheduler *scheduler, const sl_node_view *view);

/* scheduler_deliver.c */
/* `err`: why they are not, with its cause in sl_err_detail(). Waits for room at the submitter. */
void sl_scheduler_tell_accepted(sl_scheduler *scheduler, sl_addr to, uint64_t first_tag,
                                uint32_t count, sl_err err);
void sl_scheduler_send_notices(sl_scheduler *scheduler);
void sl_scheduler_deliver(sl_scheduler *scheduler, sl_task *task, const scheduler_result *result);
void sl_scheduler_flush_outcomes(sl_scheduler *scheduler);

#endif
