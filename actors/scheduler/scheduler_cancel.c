/* Taking tasks back: one, all of a submitter's, or what runs when the job is to end. What an
 * executor has is named to it in few messages; what finds no room is named again when there is. */
#include "actors/scheduler/scheduler_internal.h"
#include "runtime/plant.h"

#include <stdlib.h>

enum { CANCEL_MOST = 1024 /* attempts in one message */ };

static bool is_out(const sl_task *task) {
    return task->state == SL_TASK_ASSIGNED || task->state == SL_TASK_RUNNING;
}

/* ---- to the executors ---- */

static void cancel_attempt(sl_scheduler *scheduler, const sl_task *task) {
    if (!sl_slot_list_push(&scheduler->to_cancel, task->slot))
        sl_scheduler_fail(scheduler, "the cancellation", task->tag);
}

static sl_err send_some(sl_scheduler *scheduler, uint32_t node, const uint32_t *slots,
                        uint32_t count) {
    executor_attempt *attempts = malloc(count * sizeof *attempts);
    if (!attempts)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to cancel %u tasks", count);
    for (uint32_t i = 0; i < count; i++) {
        const sl_task *task = sl_task_at(&scheduler->tasks, slots[i]);
        attempts[i] = (executor_attempt){sl_task_number(task), task->attempts};
    }
    executor_cancel cancel = {.attempts = {attempts, count}};
    sl_err err =
        executor_cancel_send(scheduler->self, sl_addr_well_known(node, SL_SLOT_EXECUTOR), &cancel);
    free(attempts);
    return err;
}

static void send_node(sl_scheduler *scheduler, uint32_t node) {
    sl_slot_list *list = &scheduler->outbox[node];
    for (uint32_t sent = 0, count; sent < list->count; sent += count) {
        count = list->count - sent < CANCEL_MOST ? list->count - sent : CANCEL_MOST;
        sl_err err = send_some(scheduler, node, list->slots + sent, count);
        if (err == SL_OK)
            continue;
        if (err != SL_ERR_AGAIN) {
            sl_warn("scheduler", "cannot cancel %u tasks at node %u: %s", list->count - sent, node,
                    sl_err_detail());
            if (err == SL_ERR_NO_MEMORY)
                sl_scheduler_fail(scheduler, "the cancellation",
                                  sl_task_at(&scheduler->tasks, list->slots[sent])->tag);
            break;
        }
        sl_await_room(scheduler->self, sl_addr_well_known(node, SL_SLOT_EXECUTOR));
        for (; sent < list->count; sent++)
            cancel_attempt(scheduler, sl_task_at(&scheduler->tasks, list->slots[sent]));
        break;
    }
    list->count = 0;
}

/* A slot may have ended since it was listed, and have a new tenant. */
void sl_scheduler_send_cancels(sl_scheduler *scheduler) {
    if (!scheduler->to_cancel.count)
        return;
    sl_slot_list waiting = scheduler->to_cancel;
    scheduler->to_cancel = (sl_slot_list){NULL, 0, 0};
    for (uint32_t i = 0; i < waiting.count; i++) {
        const sl_task *task = sl_task_at(&scheduler->tasks, waiting.slots[i]);
        if (is_out(task) && (task->cancelled || scheduler->draining) &&
            !sl_slot_list_push(&scheduler->outbox[task->node], task->slot))
            sl_scheduler_fail(scheduler, "the cancellation", task->tag);
    }
    free(waiting.slots);
    for (uint32_t node = 0; node < scheduler->nodes.count; node++)
        send_node(scheduler, node);
}

/* ---- cancel ---- */

static void cancel_task(sl_scheduler *scheduler, sl_task *task) {
    task->cancelled = 1;
    if (is_out(task)) {
        cancel_attempt(scheduler, task);
        return;
    }
    if (task->state == SL_TASK_QUEUED)
        sl_queue_take(&scheduler->queue, &scheduler->tasks, task);
    else if (task->state == SL_TASK_HELD)
        scheduler->held--;
    else if (task->state != SL_TASK_BLOCKED)
        return;
    sl_scheduler_give_up(scheduler, task, SL_TASK_CANCELLED, "cancelled before it started");
}

void sl_scheduler_on_cancel(sl_scheduler *scheduler, const sl_message *message) {
    const scheduler_cancel *cancel = message->body;
    uint32_t submitter = sl_task_submitter(&scheduler->tasks, message->from);
    if (submitter == UINT32_MAX)
        return;
    sl_task *task;
    if (!cancel->all) {
        uint64_t tag = cancel->tag + (SL_PLANT(cancel_other) ? 1 : 0);
        if (sl_task_by_tag(&scheduler->tasks, submitter, tag, &task) == SL_TAG_LIVE)
            cancel_task(scheduler, task);
        return;
    }
    for (uint32_t slot = 0; slot < scheduler->tasks.chunk_count * SL_TASK_CHUNK; slot++) {
        task = sl_task_at(&scheduler->tasks, slot);
        if (task->state != SL_TASK_FREE && task->submitter == submitter)
            cancel_task(scheduler, task);
    }
}

/* ---- drain ---- */

void sl_scheduler_on_drain(sl_scheduler *scheduler) {
    if (scheduler->draining)
        return;
    scheduler->draining = true;
    for (uint32_t slot = 0; slot < scheduler->tasks.chunk_count * SL_TASK_CHUNK; slot++) {
        sl_task *task = sl_task_at(&scheduler->tasks, slot);
        if (is_out(task))
            cancel_attempt(scheduler, task);
        else if (task->state == SL_TASK_DOUBTFUL)
            sl_scheduler_stop_doubtful(scheduler, task);
    }
}
