/* What executors report, and what follows: the next attempt, the end of the task, the tasks after
 * it. */
#include "actors/scheduler/scheduler_internal.h"
#include "runtime/plant.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Slurm and mpirun send the signal that ends a job to every process of it. A task may die of it
     * before its node hears of the end: such a task waits this long for the news, and is then not
     * failed but interrupted. */
    DOUBT_NS = 1500000000,
    LOSSES_MOST = 3, /* a task whose node died this often is not tried again: it may be the cause */
    REFUSAL_PAUSE_NS = 20000000
};

/* The task an executor speaks of, if this is its running attempt there. */
static sl_task *attempt_of(sl_scheduler *scheduler, uint32_t node, uint64_t number,
                           uint32_t attempt) {
    sl_task *task = sl_task_find(&scheduler->tasks, number);
    if (task && (task->state == SL_TASK_ASSIGNED || task->state == SL_TASK_RUNNING) &&
        task->node == node && task->attempts == attempt)
        return task;
    sl_debug("scheduler", "stale report from node %u about task %llx attempt %u", node,
             (unsigned long long)number, attempt);
    return NULL;
}

static void set_waits(sl_scheduler *scheduler, sl_task *task, bool waits) {
    if (task->waits == waits)
        return;
    task->waits = waits;
    (waits ? sl_node_lend : sl_node_recover)(&scheduler->nodes.views[task->node], task);
}

static void unplace(sl_scheduler *scheduler, sl_task *task) {
    set_waits(scheduler, task, false);
    sl_node_release(&scheduler->nodes.views[task->node], task);
    scheduler->placed--;
}

/* ---- the end of a task ---- */

typedef struct ending {
    sl_slot_list skipped; /* tasks to skip because one before them did not succeed */
} ending;

/* The result counts from now on; without a ledger it is delivered, else recorded first. */
static void conclude(sl_scheduler *scheduler, sl_task *task, sl_task_status status,
                     const scheduler_result *result) {
    task->status = (uint8_t)status;
    if (!scheduler->options.ledger || SL_PLANT(done_early)) {
        sl_scheduler_deliver(scheduler, task, result);
        return;
    }
    task->state = SL_TASK_RECORDING;
    if (sl_task_keep_end(task, result) != SL_OK ||
        !sl_slot_list_push(&scheduler->to_record, task->slot))
        sl_scheduler_fail(scheduler, "the result", task->tag);
}

/* A task that waited for `first` waits for one less, or never runs. Edges may lead to slots whose
 * task was undone with its submit, and to tasks that ended meanwhile. */
static void unblock(sl_scheduler *scheduler, const sl_task *first, uint64_t number, ending *end) {
    sl_task *task = sl_task_find(&scheduler->tasks, number);
    if (!task || (task->state != SL_TASK_BLOCKED && task->state != SL_TASK_ACCEPTING))
        return;
    task->pending = SL_PLANT(dependency_early) ? 0 : task->pending - 1;
    if (first->status != SL_TASK_DONE && !SL_PLANT(skip_missed))
        task->status = SL_TASK_SKIPPED;
    if (task->state == SL_TASK_ACCEPTING) /* goes on when it is on disk */
        return;
    if (task->status == SL_TASK_SKIPPED) {
        task->state = SL_TASK_RECORDING; /* only once */
        if (!sl_slot_list_push(&end->skipped, task->slot))
            sl_scheduler_fail(scheduler, "the end", task->tag);
    } else if (!task->pending) {
        sl_scheduler_ready(scheduler, task, false);
    }
}

static void unblock_all(sl_scheduler *scheduler, sl_task *task, ending *end) {
    sl_edges *edges = task->after;
    task->after = NULL;
    for (uint32_t i = 0; edges && i < edges->count; i++)
        unblock(scheduler, task, edges->numbers[i], end);
    free(edges);
}

static const char skipped_why[] = "a task it comes after did not succeed";

/* Ends a task and skips, one after another, what can never run because of it. */
static void finish(sl_scheduler *scheduler, sl_task *task, sl_task_status status,
                   const scheduler_result *result) {
    static const scheduler_result skipped = {.exit_code = -1,
                                             .message = {skipped_why, sizeof skipped_why - 1}};
    ending end = {{NULL, 0, 0}};
    sl_task_set_apart(task, scheduler->result_apart);
    scheduler->result_apart = NULL;
    conclude(scheduler, task, status, result);
    unblock_all(scheduler, task, &end);
    for (uint32_t i = 0; i < end.skipped.count; i++) {
        sl_task *next = sl_task_at(&scheduler->tasks, end.skipped.slots[i]);
        next->node = SL_NO_NODE;
        sl_task_set_apart(next, NULL);
        conclude(scheduler, next, SL_TASK_SKIPPED, &skipped);
        unblock_all(scheduler, next, &end);
    }
    free(end.skipped.slots);
}

void sl_scheduler_give_up(sl_scheduler *scheduler, sl_task *task, sl_task_status status,
                          const char *message) {
    scheduler_result result = {.exit_code = -1, .message = sl_text_of(message)};
    task->node = SL_NO_NODE;
    /* The message need not outlive this call. */
    if (sl_task_keep_end(task, &result) == SL_OK)
        finish(scheduler, task, status, &task->end->result);
    else
        finish(scheduler, task, status, &(scheduler_result){.exit_code = -1});
}

/* ---- results ---- */

static void learn(sl_scheduler *scheduler, const sl_task *task, const scheduler_result *result) {
    /* A wall clock may jump between the two, and they are another node's word: no attempt runs for
     * less than nothing, or for longer than it was placed there. */
    double total_s = (double)(sl_now_ns(scheduler->self) - task->placed_ns) / 1e9;
    double run_s = fmin(fmax(result->end_s - result->start_s, 0), total_s);
    if (result->status == SL_TASK_DONE)
        sl_estimates_learn(&scheduler->estimates, task->group, task->node, run_s);
    if (!scheduler->policy->ops->observe)
        return;
    const sl_node_view *view = &scheduler->nodes.views[task->node];
    sl_placement_outcome outcome = {total_s - run_s, run_s, result->status == SL_TASK_DONE, false};
    sl_task_features features = sl_scheduler_features(scheduler, task);
    sl_node_features node =
        sl_scheduler_node_features(scheduler, view, task, sl_node_slots(view, task));
    scheduler->policy->ops->observe(scheduler->policy, &features, &node, &outcome);
}

static bool tries_again(const sl_task *task, sl_task_status status) {
    if (task->cancelled || status == SL_TASK_DONE || status == SL_TASK_CANCELLED)
        return false;
    if (status == SL_TASK_LOST)
        return task->losses < LOSSES_MOST;
    if (SL_PLANT(retry_missed))
        return false;
    return task->attempts - task->earlier - task->losses <=
           task->retries + (SL_PLANT(retry_uncounted) ? 1 : 0);
}

/* Ended by a signal that ends jobs, by itself or (128 + n) as its shell reports it. */
static bool may_be_the_end_of_the_job(const scheduler_result *result) {
    static const int signals[] = {SIGTERM, SIGINT, SIGUSR2, SIGHUP, SIGXCPU};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if ((result->status == SL_TASK_SIGNALLED && result->signal == signals[i]) ||
            (result->status == SL_TASK_FAILED && result->exit_code == 128 + signals[i]))
            return true;
    }
    return false;
}

/* It stays unfinished: a resumed run starts it again. */
static void interrupted(sl_scheduler *scheduler, sl_task *task, const scheduler_result *result) {
    scheduler_result attempt = *result;
    attempt.status = SL_TASK_CANCELLED;
    sl_scheduler_write_attempt(scheduler, task, &attempt);
    task->state = SL_TASK_STOPPED;
}

static bool doubt(sl_scheduler *scheduler, sl_task *task, const scheduler_result *result) {
    if (task->cancelled || task->kind != SL_TASK_COMMAND || !may_be_the_end_of_the_job(result) ||
        sl_task_keep_end(task, result) != SL_OK ||
        !sl_timer_start(scheduler->self, DOUBT_NS, sl_task_number(task)))
        return false;
    task->state = SL_TASK_DOUBTFUL;
    scheduler->doubtful++;
    return true;
}

static void judge(sl_scheduler *scheduler, sl_task *task, const scheduler_result *result);

void sl_scheduler_on_doubt_over(sl_scheduler *scheduler, uint64_t number) {
    sl_task *task = sl_task_find(&scheduler->tasks, number);
    if (!task || task->state != SL_TASK_DOUBTFUL || SL_PLANT(doubt_kept))
        return;
    scheduler->doubtful--;
    judge(scheduler, task, &task->end->result);
}

void sl_scheduler_stop_doubtful(sl_scheduler *scheduler, sl_task *task) {
    scheduler->doubtful--;
    interrupted(scheduler, task, &task->end->result);
}

static void attempt_ended(sl_scheduler *scheduler, sl_task *task, const scheduler_result *result) {
    unplace(scheduler, task);
    task->losses += result->status == SL_TASK_LOST;
    if (scheduler->draining && !task->cancelled &&
        (result->status == SL_TASK_CANCELLED || may_be_the_end_of_the_job(result)))
        interrupted(scheduler, task, result);
    else if (!doubt(scheduler, task, result))
        judge(scheduler, task, result);
}

/* `result` may be the task's kept end. */
static void judge(sl_scheduler *scheduler, sl_task *task, const scheduler_result *result) {
    if (!tries_again(task, result->status)) {
        finish(scheduler, task, result->status, result);
    } else {
        bool to_front = result->status == SL_TASK_LOST;
        sl_scheduler_write_attempt(scheduler, task, result);
        sl_metric_add(sl_node_metrics(sl_actor_node(scheduler->self)), SL_METRIC_tasks_retried, 1);
        free(task->end); /* of this attempt, if it was doubtful; a later end is another */
        task->end = NULL;
        sl_scheduler_ready(scheduler, task, to_front);
    }
}

void sl_scheduler_on_results(sl_scheduler *scheduler, const sl_message *message) {
    enum { AHEAD = 4 };
    const scheduler_results *results = message->body;
    for (uint32_t i = 0; i < results->results.count; i++) {
        if (i + AHEAD < results->results.count)
            sl_task_fetch(&scheduler->tasks, (uint32_t)results->results.items[i + AHEAD].task);
        const scheduler_result *result = &results->results.items[i];
        sl_task *task = attempt_of(scheduler, message->from.node, result->task, result->attempt);
        if (!task)
            continue;
        if (result->status >= SL_TASK_STATUSES) {
            sl_warn("scheduler", "node %u reports an unknown status", message->from.node);
            continue;
        }
        learn(scheduler, task, result);
        scheduler->result_apart = results->results.count == 1 ? results->apart : NULL;
        attempt_ended(scheduler, task, result);
        scheduler->result_apart = NULL;
    }
    /* Delivered outcomes point into this message. */
    sl_scheduler_flush_outcomes(scheduler);
}

void sl_scheduler_on_waits(sl_scheduler *scheduler, const sl_message *message) {
    const scheduler_waits *body = message->body;
    sl_task *task = attempt_of(scheduler, message->from.node, body->task, body->attempt);
    if (task)
        set_waits(scheduler, task, body->waits);
}

/* For people to look at: what does not get through is left out. */
static void tell_began(sl_scheduler *scheduler, const sl_task *task) {
    scheduler_began began = {.tag = task->tag};
    sl_addr to = scheduler->tasks.submitters[task->submitter].addr;
    if (scheduler_began_send(scheduler->self, to, &began) != SL_OK)
        sl_debug("scheduler", "a submitter was not told of a start: %s", sl_err_detail());
}

void sl_scheduler_on_started(sl_scheduler *scheduler, const sl_message *message) {
    const scheduler_started *started = message->body;
    for (uint32_t i = 0; i < started->attempts.count; i++) {
        const scheduler_started_one *one = &started->attempts.items[i];
        sl_task *task = attempt_of(scheduler, message->from.node, one->task, one->attempt);
        if (!task)
            continue;
        task->state = SL_TASK_RUNNING;
        sl_scheduler_write_start(scheduler, task, one->pid);
        if (task->tell)
            tell_began(scheduler, task);
    }
}

/* ---- refusals and losses ---- */

/* The node is full, or short of something, now; else it will never take the task. */
static bool is_worth_another_try(sl_err why) {
    return why == SL_ERR_REFUSED || why == SL_ERR_IMPOSSIBLE || why == SL_ERR_CANCELLED ||
           why == SL_ERR_NO_MEMORY || why == SL_ERR_AGAIN;
}

static void refused(sl_scheduler *scheduler, sl_task *task, sl_err why) {
    sl_node_view *view = &scheduler->nodes.views[task->node];
    unplace(scheduler, task);
    view->refusals++;
    view->contended = 1;
    scheduler->nodes.contended = true;
    view->retry_ns = sl_now_ns(scheduler->self) + REFUSAL_PAUSE_NS;
    task->attempts--; /* it never began */
    sl_metric_add(sl_node_metrics(sl_actor_node(scheduler->self)), SL_METRIC_tasks_retried, 1);
    if (task->cancelled)
        sl_scheduler_give_up(scheduler, task, SL_TASK_CANCELLED, "cancelled before it started");
    else if (!is_worth_another_try(why))
        sl_scheduler_give_up(scheduler, task, SL_TASK_NOT_STARTED,
                             "the node it was given to cannot read it");
    else if (scheduler->draining)
        task->state = SL_TASK_STOPPED;
    else
        sl_scheduler_ready(scheduler, task, true);
    if (why == SL_ERR_IMPOSSIBLE)
        sl_warn("scheduler", "node %u offers less than it says", view->node);
}

void sl_scheduler_on_refused(sl_scheduler *scheduler, const sl_message *message) {
    const scheduler_refused *body = message->body;
    for (uint32_t i = 0; i < body->attempts.count; i++) {
        const scheduler_refused_one *one = &body->attempts.items[i];
        sl_task *task = attempt_of(scheduler, message->from.node, one->task, one->attempt);
        if (task)
            refused(scheduler, task, (sl_err)one->error);
    }
}

void sl_scheduler_on_node_gone(sl_scheduler *scheduler, uint32_t node) {
    static const char why[] = "the node it ran on died";
    if (node >= scheduler->nodes.count)
        return;
    scheduler->nodes.views[node].usable = 0;
    scheduler->nodes.views[node].blocked = 0;
    scheduler->impossible_checked = false;
    double now_s = sl_wall_s(scheduler->self);
    for (uint32_t slot = 0; slot < scheduler->tasks.chunk_count * SL_TASK_CHUNK; slot++) {
        sl_task *task = sl_task_at(&scheduler->tasks, slot);
        if (task->node != node || ((task->state != SL_TASK_ASSIGNED || SL_PLANT(loss_partial)) &&
                                   task->state != SL_TASK_RUNNING))
            continue;
        scheduler_result result = {.status = SL_TASK_LOST,
                                   .exit_code = -1,
                                   .start_s = now_s,
                                   .end_s = now_s,
                                   .message = {why, sizeof why - 1}};
        attempt_ended(scheduler, task, &result);
    }
    sl_scheduler_flush_outcomes(scheduler);
}
