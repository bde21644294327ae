/* Accepting tasks. A submit is accepted whole or refused whole. */
#include "actors/scheduler/scheduler_internal.h"
#include "runtime/plant.h"

#include <stdlib.h>
#include <string.h>

void sl_scheduler_ready(sl_scheduler *scheduler, sl_task *task, bool to_front) {
    task->state = SL_TASK_QUEUED;
    if (sl_queue_put(&scheduler->queue, &scheduler->tasks, task, to_front) != SL_OK)
        sl_scheduler_give_up(scheduler, task, SL_TASK_NOT_STARTED,
                             "out of memory at the scheduler");
}

/* ---- one task of a submit ---- */

static sl_err check_task(const sl_scheduler *scheduler, uint32_t submitter,
                         const scheduler_task *from) {
    sl_task *other;
    if (from->tag >= UINT32_MAX)
        return sl_fail(SL_ERR_INVALID, "tag %llu: tags are below 2^32 - 1",
                       (unsigned long long)from->tag);
    if (sl_task_by_tag(&scheduler->tasks, submitter, from->tag, &other) != SL_TAG_UNKNOWN)
        return sl_fail(SL_ERR_EXISTS, "tag %llu was used before", (unsigned long long)from->tag);
    if (from->kind >= SL_TASK_KINDS)
        return sl_fail(SL_ERR_INVALID, "tag %llu: no task is of kind %u",
                       (unsigned long long)from->tag, from->kind);
    return SL_OK;
}

static void fill(sl_scheduler *scheduler, sl_task *task, const scheduler_task *from,
                 uint32_t submitter) {
    task->tag = (uint32_t)from->tag;
    task->submitter = submitter;
    task->kind = from->kind;
    task->forget = from->forget;
    task->tell = from->tell;
    task->keep = from->keep;
    task->near = from->near;
    task->cpus = from->cpus;
    task->gpus = from->gpus;
    task->memory_bytes = from->memory_bytes;
    task->ucu_milli = from->ucu_milli;
    task->timeout_ns = from->timeout_ns;
    task->priority = from->priority;
    task->retries = from->retries;
    task->attempts = task->earlier = SL_PLANT(resume_forgets) ? 0 : from->attempts;
    task->group = sl_estimates_group(&scheduler->estimates, from->group);
    task->arrival_ns = scheduler->submit_ns;
}

/* The status is set when the task is to be skipped at once. */
static sl_err link_dependencies(sl_scheduler *scheduler, sl_task *task,
                                const scheduler_task *from) {
    for (uint32_t i = 0; i < from->after.count; i++) {
        uint64_t tag = from->after.items[i].tag;
        sl_task *first = NULL;
        switch (sl_task_by_tag(&scheduler->tasks, task->submitter, tag, &first)) {
        case SL_TAG_UNKNOWN:
            return sl_fail(SL_ERR_NOT_FOUND,
                           "tag %u comes after tag %llu, which was not submitted before it",
                           task->tag, (unsigned long long)tag);
        case SL_TAG_NOT_DONE:
            task->status = SL_TASK_SKIPPED;
            break;
        case SL_TAG_DONE:
            break;
        case SL_TAG_LIVE:
            if (first->state == SL_TASK_RECORDING) {
                if (first->status != SL_TASK_DONE)
                    task->status = SL_TASK_SKIPPED;
                break;
            }
            SL_TRY(sl_task_add_edge(first, task));
            task->pending++;
        }
    }
    return SL_OK;
}

static sl_err take_task(sl_scheduler *scheduler, const scheduler_task *from, uint32_t submitter,
                        sl_slot_list *taken) {
    SL_TRY(check_task(scheduler, submitter, from));
    sl_task *task = sl_task_create(&scheduler->tasks);
    if (!task || !sl_slot_list_push(taken, task->slot)) {
        if (task)
            sl_task_destroy(&scheduler->tasks, task);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for more tasks");
    }
    fill(scheduler, task, from, submitter);
    SL_TRY(sl_task_own(&scheduler->tasks, task, from, scheduler->options.ledger != NULL));
    SL_TRY(sl_among_take(&scheduler->tasks.amongs, from->among, &task->among));
    SL_TRY(sl_node_views_region(&scheduler->nodes, from->region, &task->region));
    SL_TRY(sl_task_tag_set(&scheduler->tasks, submitter, task->tag, SL_TAG_LIVE, task->slot));
    return link_dependencies(scheduler, task, from);
}

/* ---- the submit ---- */

/* Tasks of a refused submit: gone, and edges to them lead nowhere. */
static void undo(sl_scheduler *scheduler, const sl_slot_list *taken) {
    for (uint32_t i = taken->count; i-- > 0;) {
        sl_task *task = sl_task_at(&scheduler->tasks, taken->slots[i]);
        sl_task *live;
        if (sl_task_by_tag(&scheduler->tasks, task->submitter, task->tag, &live) == SL_TAG_LIVE &&
            live == task)
            (void)sl_task_tag_set(&scheduler->tasks, task->submitter, task->tag, SL_TAG_UNKNOWN, 0);
        sl_task_destroy(&scheduler->tasks, task);
    }
}

static sl_err take_all(sl_scheduler *scheduler, const scheduler_submit *submit, uint32_t submitter,
                       sl_slot_list *taken) {
    if (submit->apart && submit->tasks.count != 1)
        return sl_fail(SL_ERR_INVALID, "data apart come with one task, not with %u",
                       submit->tasks.count);
    for (uint32_t i = 0; i < submit->tasks.count; i++)
        SL_TRY(take_task(scheduler, &submit->tasks.items[i], submitter, taken));
    if (submit->apart)
        sl_task_set_apart(sl_task_at(&scheduler->tasks, taken->slots[0]), submit->apart);
    return SL_OK;
}

static void drop_wait(sl_event *event) {
    sl_ledger_wait *wait = (sl_ledger_wait *)(void *)event;
    free(wait->tasks.slots);
    free(wait);
}

sl_ledger_wait *sl_ledger_wait_create(sl_scheduler *scheduler, uint32_t submitter,
                                      uint64_t first_tag) {
    sl_ledger_wait *wait = calloc(1, sizeof *wait);
    if (!wait)
        return NULL;
    wait->event.to = sl_self(scheduler->self);
    wait->event.drop = drop_wait;
    wait->node = sl_actor_node(scheduler->self);
    wait->submitter = submitter;
    wait->first_tag = first_tag;
    return wait;
}

sl_err sl_scheduler_on_submit(sl_scheduler *scheduler, const sl_message *message) {
    const scheduler_submit *submit = message->body;
    uint32_t submitter = sl_task_submitter(&scheduler->tasks, message->from);
    uint64_t first_tag = submit->tasks.count ? submit->tasks.items[0].tag : 0;
    sl_ledger_wait *wait =
        submitter == UINT32_MAX ? NULL : sl_ledger_wait_create(scheduler, submitter, first_tag);
    sl_err err = wait ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for a submit");
    scheduler->submit_ns = sl_now_ns(scheduler->self);
    if (wait)
        wait->is_submit = 1;
    if (wait && scheduler->draining)
        err = sl_fail(SL_ERR_CLOSED, "the scheduler is draining: nothing more is accepted");
    if (err == SL_OK)
        err = take_all(scheduler, submit, submitter, &wait->tasks);
    if (err == SL_OK && scheduler->options.ledger)
        err = sl_scheduler_post_submit(scheduler, wait);
    if (SL_PLANT(accept_early) && err == SL_OK && scheduler->options.ledger)
        sl_scheduler_tell_accepted(scheduler, message->from, first_tag, submit->tasks.count, SL_OK);
    if (err == SL_OK) {
        scheduler->impossible_checked = false;
        if (!scheduler->options.ledger)
            sl_scheduler_accepted(scheduler, wait);
        return SL_OK;
    }
    if (wait) {
        undo(scheduler, &wait->tasks);
        free(wait->tasks.slots);
        free(wait);
    }
    sl_scheduler_tell_accepted(scheduler, message->from, first_tag, submit->tasks.count, err);
    return SL_OK; /* the submitter's trouble, not a failure of this actor */
}

/* The tasks are accepted (and on disk): they may start. Takes the wait over. */
void sl_scheduler_accepted(sl_scheduler *scheduler, sl_ledger_wait *wait) {
    sl_submitter *submitter = &scheduler->tasks.submitters[wait->submitter];
    submitter->accepted += wait->tasks.count;
    scheduler->drained_told = false;
    submitter->live += wait->tasks.count;
    sl_metric_add(sl_node_metrics(sl_actor_node(scheduler->self)), SL_METRIC_tasks_submitted,
                  wait->tasks.count);
    if (!SL_PLANT(accept_early))
        sl_scheduler_tell_accepted(scheduler, submitter->addr, wait->first_tag, wait->tasks.count,
                                   SL_OK);
    for (uint32_t i = 0; i < wait->tasks.count; i++) {
        sl_task *task = sl_task_at(&scheduler->tasks, wait->tasks.slots[i]);
        if (task->state != SL_TASK_ACCEPTING) /* skipped meanwhile: see unblock */
            continue;
        sl_task_drop_texts(task);
        if (task->cancelled)
            sl_scheduler_give_up(scheduler, task, SL_TASK_CANCELLED, "cancelled before it started");
        else if (task->status == SL_TASK_SKIPPED)
            sl_scheduler_give_up(scheduler, task, SL_TASK_SKIPPED,
                                 "a task it comes after did not succeed");
        else if (task->pending)
            task->state = SL_TASK_BLOCKED;
        else
            sl_scheduler_ready(scheduler, task, false);
    }
    free(wait->tasks.slots);
    free(wait);
}
