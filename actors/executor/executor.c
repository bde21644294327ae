/* Design notes
 * An attempt is in exactly one place: backlog, a run, ended, or refused. It is answered exactly
 * once: when it leaves one of the last two. A run holds exactly one grant from its start to its
 * end, so what is granted is the sum over runs; one that is ahead (executor_ahead.c) holds none
 * until it inherits one. */
#include "actors/executor/executor_internal.h"
#include "runtime/plant.h"

#include <stdlib.h>
#include <string.h>

enum { BACKLOG_MOST = 65536, SHORT_COMMAND_MS = 50 };

static sl_err executor_start(sl_actor *self, void *state, const void *arguments) {
    sl_executor *executor = state;
    executor->self = self;
    executor->arrivals = SL_EXECUTOR_ROWS;
    executor->options = *(const sl_executor_options *)arguments;
    if (!executor->options.commands && executor->options.minder) {
        executor->options.commands = &sl_minder_commands;
        executor->options.commands_context = executor->options.minder;
    }
    sl_slab_init(&executor->slab);
    if (executor->options.functions) {
        executor->paces = calloc(sl_functions_count(executor->options.functions) + SL_FAMILY_PACES,
                                 sizeof *executor->paces);
        if (!executor->paces)
            return sl_fail(SL_ERR_NO_MEMORY, "no memory for an executor");
    }
    sl_err err = sl_grant_pool_create(&executor->options.offer, &executor->grants);
    if (err != SL_OK)
        sl_executor_free_paces(executor);
    else
        sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    return err;
}

static void destroy_list(sl_executor *executor, sl_attempts *list) {
    for (sl_attempt *attempt; (attempt = sl_attempts_pop(list));)
        sl_attempt_destroy(executor, attempt);
}

static void cancel_all(sl_executor *executor, sl_run *runs, sl_remains *remains) {
    for (sl_run *run = runs; run; run = run->next) {
        for (sl_attempt *attempt = run->attempts.head; attempt; attempt = attempt->next)
            __atomic_store_n(&attempt->cancelled, SL_ATTEMPT_CANCELLED, __ATOMIC_RELAXED);
        sl_executor_cancel_run(executor, run);
        sl_executor_release_run(run);
        run->executor = NULL;
        run->remains = remains;
        if (remains)
            remains->runs++;
    }
}

/* Runs still out belong to other threads until their events are dropped: see dropped() in
 * executor_run.c. */
static void executor_stop(sl_actor *self, void *state) {
    (void)self;
    sl_executor *executor = state;
    destroy_list(executor, &executor->backlog);
    destroy_list(executor, &executor->ended);
    destroy_list(executor, &executor->refused);
    sl_remains *remains = executor->running || executor->ahead ? calloc(1, sizeof *remains) : NULL;
    if (remains)
        remains->slab = executor->slab;
    cancel_all(executor, executor->running, remains);
    cancel_all(executor, executor->ahead, remains);
    if (executor->running_count)
        sl_warn("executor", "stopped with %u attempts running", executor->running_count);
    sl_grant_pool_destroy(executor->grants);
    sl_executor_free_paces(executor);
    if (!executor->running && !executor->ahead) /* else its attempts' records still live there */
        sl_slab_fini(&executor->slab);
}

/* ---- assignment ---- */

static bool waits_here(const sl_executor *executor, const executor_task *task) {
    if (executor->backlog.count >= BACKLOG_MOST)
        return false;
    sl_grant_request request = {task->cpus, task->gpus, task->memory_bytes, task->ucu_milli};
    if (!executor->backlog.head && sl_executor_is_free(executor, &request))
        return true;
    return task->kind == SL_TASK_FUNCTION || (executor->command_mean_s * 1000 < SHORT_COMMAND_MS);
}

static sl_err admit(sl_executor *executor, sl_addr owner, const executor_task *task,
                    sl_blob *apart) {
    sl_grant_request request = {task->cpus, task->gpus, task->memory_bytes, task->ucu_milli};
    SL_TRY(sl_grant_possible(executor->grants, &request));
    if (!waits_here(executor, task))
        return SL_ERR_REFUSED;
    sl_attempt *attempt;
    SL_TRY(sl_attempt_create(executor, owner, task, apart, &attempt));
    if (attempt->kind == SL_TASK_FUNCTION && sl_executor_find_function(executor, attempt) != SL_OK)
        sl_attempt_end(executor, attempt, SL_TASK_NOT_STARTED, sl_err_detail());
    else
        sl_attempts_push(&executor->backlog, attempt);
    return SL_OK;
}

static void on_assign(sl_executor *executor, const sl_message *message) {
    const executor_assign *assign = message->body;
    sl_metrics *metrics = sl_node_metrics(sl_actor_node(executor->self));
    for (uint32_t i = 0; i < assign->tasks.count; i++) {
        const executor_task *task = &assign->tasks.items[i];
        sl_err err =
            admit(executor, message->from, task, assign->tasks.count == 1 ? assign->apart : NULL);
        if (err == SL_OK)
            continue;
        sl_metric_add(metrics, SL_METRIC_tasks_refused, 1);
        sl_executor_refuse(executor, message->from, task->task, task->attempt, err);
    }
}

/* ---- cancellation ---- */

static int by_task(const void *a, const void *b) {
    uint64_t x = ((const executor_attempt *)a)->task, y = ((const executor_attempt *)b)->task;
    return (x > y) - (x < y);
}

static bool is_named(const executor_attempt *sorted, uint32_t count, sl_addr owner,
                     const sl_attempt *attempt) {
    executor_attempt key = {attempt->result.task, 0};
    const executor_attempt *found = bsearch(&key, sorted, count, sizeof key, by_task);
    return found && found->attempt == attempt->result.attempt &&
           sl_addr_equal(owner, attempt->owner);
}

static void cancel_waiting(sl_executor *executor, const executor_attempt *sorted, uint32_t count,
                           sl_addr owner) {
    sl_attempts waiting = executor->backlog;
    executor->backlog = (sl_attempts){NULL, NULL, 0};
    for (sl_attempt *attempt; (attempt = sl_attempts_pop(&waiting));) {
        if (is_named(sorted, count, owner, attempt))
            sl_attempt_end(executor, attempt, SL_TASK_CANCELLED, "cancelled before it started");
        else
            sl_attempts_push(&executor->backlog, attempt);
    }
}

/* Of those that run, or of those ahead. */
static void cancel_runs(sl_executor *executor, sl_run *runs, const executor_attempt *sorted,
                        uint32_t count, sl_addr owner) {
    for (sl_run *run = runs; run; run = run->next) {
        for (sl_attempt *attempt = run->attempts.head; attempt; attempt = attempt->next) {
            if (!is_named(sorted, count, owner, attempt))
                continue;
            /* A row looks at it before each call. */
            __atomic_store_n(&attempt->cancelled, SL_ATTEMPT_CANCELLED, __ATOMIC_RELAXED);
            sl_executor_cancel_run(executor, run);
        }
    }
}

static void on_cancel(sl_executor *executor, const sl_message *message) {
    const executor_cancel *cancel = message->body;
    uint32_t count = cancel->attempts.count;
    executor_attempt *sorted = malloc((count ? count : 1) * sizeof *sorted);
    if (!sorted)
        return;
    memcpy(sorted, cancel->attempts.items, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_task);
    cancel_waiting(executor, sorted, count, message->from);
    cancel_runs(executor, executor->running, sorted, count, message->from);
    cancel_runs(executor, executor->ahead, sorted, count, message->from);
    free(sorted);
}

/* ---- an owner is lost ---- */

static void drop_waiting(sl_executor *executor, sl_attempts *list, uint32_t node) {
    sl_attempts all = *list;
    *list = (sl_attempts){NULL, NULL, 0};
    for (sl_attempt *attempt; (attempt = sl_attempts_pop(&all));) {
        if (attempt->owner.node == node)
            sl_attempt_destroy(executor, attempt);
        else
            sl_attempts_push(list, attempt);
    }
}

static void disown(sl_executor *executor, sl_run *runs, uint32_t node) {
    for (sl_run *run = runs; run; run = run->next) {
        for (sl_attempt *attempt = run->attempts.head; attempt; attempt = attempt->next) {
            if (attempt->owner.node != node)
                continue;
            /* A thread that calls it may be looking at both. */
            __atomic_store_n(&attempt->owner.node, SL_NO_NODE, __ATOMIC_RELAXED);
            __atomic_store_n(&attempt->cancelled, SL_ATTEMPT_CANCELLED, __ATOMIC_RELAXED);
            sl_executor_cancel_run(executor, run);
        }
    }
}

/* The owner takes no result any more, and places its tasks elsewhere: what it had assigned here is
 * ended, and nothing is said of it, also when its link is open again. */
static void on_owner_lost(sl_executor *executor, uint32_t node) {
    if (SL_PLANT(grants_of_old))
        return;
    drop_waiting(executor, &executor->backlog, node);
    drop_waiting(executor, &executor->ended, node);
    drop_waiting(executor, &executor->refused, node);
    disown(executor, executor->running, node);
    disown(executor, executor->ahead, node);
    executor->free_changed = true;
}

/* ---- messages ---- */

/* A run's events lie in it. */
static void on_event(sl_executor *executor, sl_event *event) {
    switch (event->kind) {
    case SL_EXECUTOR_WAITS:
        sl_executor_on_waits(executor, (sl_run *)(void *)((char *)event - offsetof(sl_run, waits)));
        break;
    case SL_EXECUTOR_GOES_ON:
        sl_executor_on_goes_on(executor,
                               (sl_run *)(void *)((char *)event - offsetof(sl_run, goes_on)));
        break;
    default:
        sl_executor_run_ended(executor, (sl_run *)(void *)event);
    }
}

/* The cookie of a function's time limit is its arrival. */
static void on_timer(sl_executor *executor, const node_timer *timer) {
    if (timer->cookie == SL_EXECUTOR_FREE)
        executor->free_timer = 0;
    else if (timer->cookie == SL_EXECUTOR_STALE)
        sl_executor_on_stale(executor);
    else if (timer->cookie == SL_EXECUTOR_ROWS)
        sl_executor_on_rows(executor);
    else
        sl_executor_function_late(executor, timer->cookie);
}

static sl_err executor_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self;
    sl_executor *executor = state;
    switch (message->type->id) {
    case executor_assign_id:
        on_assign(executor, message);
        break;
    case executor_cancel_id:
        on_cancel(executor, message);
        break;
    case node_event_id:
        on_event(executor, node_event_of(message));
        break;
    case node_peer_lost_id:
        on_owner_lost(executor, ((const node_peer_lost *)message->body)->node);
        break;
    case node_peer_back_id:
        break;
    case executor_go_id:
        executor->going = false;
        break;
    case node_timer_id:
        on_timer(executor, message->body);
        break;
    case node_room_id:
        break;
    default:
        sl_warn("executor", "unwelcome message %s from node %u", message->type->record.name,
                message->from.node);
        return SL_OK;
    }
    sl_executor_go(executor);
    sl_executor_watch_backlog(executor);
    sl_executor_watch_rows(executor);
    sl_executor_tell_waits(executor);
    sl_executor_send_ended(executor);
    sl_executor_send_refused(executor);
    sl_executor_report_free(executor);
    return executor->out_of_memory ? sl_fail(SL_ERR_NO_MEMORY, "no memory to answer for an attempt")
                                   : SL_OK;
}

const sl_actor_class sl_executor_class = {
    .name = "executor",
    .state_bytes = sizeof(sl_executor),
    .start = executor_start,
    .receive = executor_receive,
    .stop = executor_stop,
};
