/* Telling submitters that their tasks are accepted, and how they ended. Outcomes are gathered while
 * one message is handled and sent together. What a full mailbox refuses waits in `undelivered`,
 * with the task still in its table. */
#include "actors/scheduler/scheduler_internal.h"
#include "runtime/plant.h"

#include <stdio.h>
#include <stdlib.h>

enum { OUTCOMES_MOST = 4096 /* in one message */ };

/* ---- accepted ---- */

static sl_err send_notice(sl_scheduler *scheduler, const sl_notice *notice) {
    scheduler_accepted accepted = {notice->first_tag, notice->count, notice->err,
                                   sl_text_of(notice->detail)};
    sl_err err = scheduler_accepted_send(scheduler->self, notice->to, &accepted);
    if (err == SL_ERR_AGAIN)
        sl_await_room(scheduler->self, notice->to);
    else if (err == SL_ERR_NO_MEMORY)
        sl_scheduler_fail(scheduler, "the acceptance", (uint32_t)notice->first_tag);
    else if (err != SL_OK)
        sl_debug("scheduler", "tasks of a submitter that is gone: %s", sl_err_detail());
    return err;
}

void sl_scheduler_tell_accepted(sl_scheduler *scheduler, sl_addr to, uint64_t first_tag,
                                uint32_t count, sl_err err) {
    sl_notice *notice = calloc(1, sizeof *notice);
    if (!notice) {
        sl_scheduler_fail(scheduler, "the acceptance", (uint32_t)first_tag);
        return;
    }
    *notice = (sl_notice){.to = to, .first_tag = first_tag, .count = count, .err = (uint32_t)err};
    if (err != SL_OK)
        snprintf(notice->detail, sizeof notice->detail, "%s", sl_err_detail());
    if (scheduler->notices_tail)
        scheduler->notices_tail->next = notice;
    else
        scheduler->notices_head = notice;
    scheduler->notices_tail = notice;
    sl_scheduler_send_notices(scheduler);
}

/* In order; the first that finds no room keeps back those behind it. */
void sl_scheduler_send_notices(sl_scheduler *scheduler) {
    for (sl_notice *notice; (notice = scheduler->notices_head);) {
        if (send_notice(scheduler, notice) == SL_ERR_AGAIN)
            return;
        scheduler->notices_head = notice->next;
        if (!scheduler->notices_head)
            scheduler->notices_tail = NULL;
        free(notice);
    }
}

/* ---- ended ---- */

static scheduler_outcome outcome_of(const sl_task *task, const scheduler_result *result) {
    return (scheduler_outcome){.tag = task->tag,
                               .status = task->status,
                               .attempts = task->attempts,
                               .node = task->node,
                               .exit_code = result->exit_code,
                               .signal = result->signal,
                               .start_s = result->start_s,
                               .end_s = result->end_s,
                               .user_s = result->user_s,
                               .system_s = result->system_s,
                               .max_rss_bytes = result->max_rss_bytes,
                               .message = result->message,
                               .output = result->output};
}

static bool outcomes_grow(sl_scheduler *scheduler) {
    uint32_t capacity = scheduler->outcome_capacity ? 2 * scheduler->outcome_capacity : 256;
    scheduler_outcome *outcomes = realloc(scheduler->outcomes, capacity * sizeof *outcomes);
    if (outcomes)
        scheduler->outcomes = outcomes;
    uint32_t *slots = realloc(scheduler->outcome_slots, capacity * sizeof *slots);
    if (slots)
        scheduler->outcome_slots = slots;
    if (!outcomes || !slots)
        return false;
    scheduler->outcome_capacity = capacity;
    return true;
}

static void later(sl_scheduler *scheduler, sl_task *task, const scheduler_result *result) {
    if ((!task->end || result != &task->end->result) && sl_task_keep_end(task, result) != SL_OK)
        sl_scheduler_fail(scheduler, "the result", task->tag);
    else if (!sl_slot_list_push(&scheduler->undelivered, task->slot))
        sl_scheduler_fail(scheduler, "the result", task->tag);
}

/* `result` must live until sl_scheduler_flush_outcomes(); a task's kept end does. */
void sl_scheduler_deliver(sl_scheduler *scheduler, sl_task *task, const scheduler_result *result) {
    task->state = SL_TASK_RECORDING;
    if (scheduler->outcome_count == scheduler->outcome_capacity && !outcomes_grow(scheduler)) {
        later(scheduler, task, result);
        return;
    }
    scheduler->outcomes[scheduler->outcome_count] = outcome_of(task, result);
    scheduler->outcome_slots[scheduler->outcome_count++] = task->slot;
}

static void forget(sl_scheduler *scheduler, sl_task *task) {
    sl_submitter *submitter = &scheduler->tasks.submitters[task->submitter];
    sl_tag_fate fate = task->forget                   ? SL_TAG_UNKNOWN
                       : task->status == SL_TASK_DONE ? SL_TAG_DONE
                                                      : SL_TAG_NOT_DONE;
    submitter->live--;
    (void)sl_task_tag_set(&scheduler->tasks, task->submitter, task->tag, fate, 0);
    sl_task_destroy(&scheduler->tasks, task);
}

static void forget_run(sl_scheduler *scheduler, uint32_t first, uint32_t end) {
    sl_metrics *metrics = sl_node_metrics(sl_actor_node(scheduler->self));
    uint32_t succeeded = 0;
    for (uint32_t i = first; i < end; i++) {
        sl_task *task = sl_task_at(&scheduler->tasks, scheduler->outcome_slots[i]);
        succeeded += task->status == SL_TASK_DONE;
        forget(scheduler, task);
    }
    sl_metric_add(metrics, SL_METRIC_tasks_finished, succeeded);
    sl_metric_add(metrics, SL_METRIC_tasks_failed, end - first - succeeded);
}

/* Sends outcomes first … end-1, which are one submitter's. */
static void send_run(sl_scheduler *scheduler, uint32_t first, uint32_t end) {
    sl_task *task = sl_task_at(&scheduler->tasks, scheduler->outcome_slots[first]);
    sl_addr to = scheduler->tasks.submitters[task->submitter].addr;
    scheduler_done done = {.outcomes = {scheduler->outcomes + first, end - first},
                           .apart = task->apart};
    sl_err err = scheduler_done_send(scheduler->self, to, &done);
    if (err == SL_ERR_AGAIN)
        sl_await_room(scheduler->self, to);
    else if (err == SL_ERR_NO_MEMORY)
        sl_scheduler_fail(scheduler, "the result", task->tag);
    else if (err != SL_OK)
        sl_debug("scheduler", "results for a submitter that is gone: %s", sl_err_detail());
    if (SL_PLANT(result_twice) && err == SL_OK && end - first > 2)
        (void)scheduler_done_send(scheduler->self, to, &done);
    if (err != SL_ERR_AGAIN) {
        forget_run(scheduler, first, end);
        return;
    }
    for (uint32_t i = first; i < end; i++) {
        task = sl_task_at(&scheduler->tasks, scheduler->outcome_slots[i]);
        const scheduler_outcome *outcome = &scheduler->outcomes[i];
        scheduler_result result = {.exit_code = outcome->exit_code,
                                   .signal = outcome->signal,
                                   .start_s = outcome->start_s,
                                   .end_s = outcome->end_s,
                                   .user_s = outcome->user_s,
                                   .system_s = outcome->system_s,
                                   .max_rss_bytes = outcome->max_rss_bytes,
                                   .message = outcome->message,
                                   .output = outcome->output};
        later(scheduler, task, task->end ? &task->end->result : &result);
    }
}

static void try_again(sl_scheduler *scheduler) {
    sl_slot_list waiting = scheduler->undelivered;
    scheduler->undelivered = (sl_slot_list){NULL, 0, 0};
    for (uint32_t i = 0; i < waiting.count; i++) {
        sl_task *task = sl_task_at(&scheduler->tasks, waiting.slots[i]);
        sl_scheduler_deliver(scheduler, task, &task->end->result);
    }
    free(waiting.slots);
}

/* An outcome with data apart goes alone. */
static bool goes_along(const sl_scheduler *scheduler, uint32_t slot, uint32_t submitter) {
    const sl_task *task = sl_task_at(&scheduler->tasks, slot);
    return task->submitter == submitter && !task->apart;
}

void sl_scheduler_flush_outcomes(sl_scheduler *scheduler) {
    if (scheduler->undelivered.count)
        try_again(scheduler);
    uint32_t first = 0, count = scheduler->outcome_count;
    scheduler->outcome_count = 0;
    while (first < count) {
        uint32_t end = first + 1;
        uint32_t submitter =
            sl_task_at(&scheduler->tasks, scheduler->outcome_slots[first])->submitter;
        while (end < count && end - first < OUTCOMES_MOST &&
               goes_along(scheduler, scheduler->outcome_slots[end - 1], submitter) &&
               goes_along(scheduler, scheduler->outcome_slots[end], submitter))
            end++;
        send_run(scheduler, first, end);
        first = end;
    }
}
