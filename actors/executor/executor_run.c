/* Attempts and runs: from the backlog to a grant, and back. */
#include "actors/executor/executor_internal.h"
#include "runtime/plant.h"

#include <stdlib.h>
#include <string.h>

enum { GO_NS = 50000 };

/* ---- attempts ---- */

void sl_attempts_push(sl_attempts *list, sl_attempt *attempt) {
    attempt->next = NULL;
    if (list->tail)
        list->tail->next = attempt;
    else
        list->head = attempt;
    list->tail = attempt;
    list->count++;
}

void sl_attempts_merge(sl_attempts *list, sl_attempts *from) {
    sl_attempt **at = &list->head;
    for (sl_attempt *attempt; (attempt = sl_attempts_pop(from)); at = &attempt->next) {
        while (*at && (*at)->arrival < attempt->arrival)
            at = &(*at)->next;
        attempt->next = *at;
        *at = attempt;
        if (!attempt->next)
            list->tail = attempt;
        list->count++;
    }
}

void sl_attempts_put_back(sl_attempts *list, sl_attempt *attempt) {
    sl_attempts one = {NULL, NULL, 0};
    sl_attempts_push(&one, attempt);
    sl_attempts_merge(list, &one);
}

sl_attempt *sl_attempts_pop(sl_attempts *list) {
    sl_attempt *attempt = list->head;
    if (!attempt)
        return NULL;
    list->head = attempt->next;
    if (!list->head)
        list->tail = NULL;
    list->count--;
    return attempt;
}

static sl_err decode_payload(sl_executor *executor, sl_attempt *attempt, sl_bytes payload) {
    const sl_record *record =
        attempt->kind == SL_TASK_FUNCTION ? &executor_function_record : &executor_command_record;
    size_t bytes;
    SL_TRY(sl_record_measure(record, payload.data, payload.bytes, &bytes));
    void *memory = sl_slab_take(&executor->slab, bytes);
    if (!memory)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a payload of %u bytes", payload.bytes);
    attempt->record = memory;
    attempt->record_bytes = bytes;
    return sl_record_decode(record, payload.data, payload.bytes, memory, NULL);
}

/* From how many bytes on a result stays here. */
static uint64_t kept_from(const sl_executor *executor, uint8_t keep) {
    return keep >= SL_KEEP_RESULTS   ? executor->options.keep_bytes
           : keep >= SL_KEEP_LARGEST ? SL_KEEP_LARGEST_BYTES
                                     : UINT64_MAX;
}

sl_err sl_attempt_create(sl_executor *executor, sl_addr owner, const executor_task *task,
                         sl_blob *apart, sl_attempt **out) {
    if (task->kind >= SL_TASK_KINDS)
        return sl_fail(SL_ERR_INVALID, "no task is of kind %u", task->kind);
    sl_attempt *attempt = sl_slab_take(&executor->slab, sizeof *attempt);
    if (!attempt)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for an attempt");
    *attempt =
        (sl_attempt){.owner = owner,
                     .request = {task->cpus, task->gpus, task->memory_bytes, task->ucu_milli},
                     .timeout_ns = task->timeout_ns,
                     .arrival = ++executor->arrivals,
                     .kind = task->kind,
                     .apart = sl_blob_retain(apart),
                     .holds_objects = task->keep >= SL_KEEP_OBJECTS,
                     .keep_bytes = kept_from(executor, task->keep),
                     .result = {.task = task->task, .attempt = task->attempt, .exit_code = -1}};
    sl_err err = decode_payload(executor, attempt, task->payload);
    if (err != SL_OK) {
        sl_attempt_destroy(executor, attempt);
        return err;
    }
    *out = attempt;
    return SL_OK;
}

void sl_attempt_drop_apart(sl_attempt *attempt) {
    sl_blob_release(attempt->apart);
    attempt->apart = NULL;
}

void sl_attempt_settle(sl_attempt *attempt, bool sent) {
    if (attempt->settle)
        attempt->settle(attempt->settled, sent);
    attempt->settle = NULL;
}

void sl_attempt_free_parts(sl_attempt *attempt) {
    sl_attempt_settle(attempt, false);
    free(attempt->message);
    free(attempt->output);
    sl_attempt_drop_apart(attempt);
}

void sl_attempt_destroy(sl_executor *executor, sl_attempt *attempt) {
    if (attempt->record)
        sl_slab_give(&executor->slab, attempt->record, attempt->record_bytes);
    sl_attempt_free_parts(attempt);
    sl_slab_give(&executor->slab, attempt, sizeof *attempt);
}

void sl_attempt_end(sl_executor *executor, sl_attempt *attempt, sl_task_status status,
                    const char *message) {
    if (attempt->owner.node == SL_NO_NODE) { /* its owner was lost: nobody is told */
        sl_attempt_destroy(executor, attempt);
        return;
    }
    attempt->result.status = (uint8_t)status;
    sl_attempt_drop_apart(attempt);
    if (!attempt->result.start_s)
        attempt->result.start_s = attempt->result.end_s = sl_wall_s(executor->self);
    if (message && *message) {
        attempt->message = strndup(message, 1023);
        attempt->result.message = sl_text_of(attempt->message);
    }
    sl_attempts_push(&executor->ended, attempt);
}

/* ---- runs ---- */

/* The executor is gone: what its threads still held is freed as it comes back. The records lie in
 * the slab that was left alive for this; without memory to note that, it is lost. */
static void dropped(sl_event *event) {
    sl_run *run = (sl_run *)(void *)event;
    for (sl_attempt *attempt; (attempt = sl_attempts_pop(&run->attempts));) {
        sl_attempt_free_parts(attempt);
        if (!run->remains)
            continue;
        if (attempt->record)
            sl_slab_give(&run->remains->slab, attempt->record, attempt->record_bytes);
        sl_slab_give(&run->remains->slab, attempt, sizeof *attempt);
    }
    if (run->remains && !--run->remains->runs) {
        sl_slab_fini(&run->remains->slab);
        free(run->remains);
    }
    free(run);
}

static void link_run(sl_run **list, sl_run *run) {
    run->previous = NULL;
    run->next = *list;
    if (run->next)
        run->next->previous = run;
    *list = run;
}

static void unlink_run(sl_run **list, sl_run *run) {
    if (run->previous)
        run->previous->next = run->next;
    else
        *list = run->next;
    if (run->next)
        run->next->previous = run->previous;
}

sl_run *sl_run_create(sl_executor *executor, sl_run *before) {
    sl_run *run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    run->executor = executor;
    run->node = sl_actor_node(executor->self);
    run->self = executor->self;
    run->functions = executor->options.functions;
    run->pool = executor->options.pool;
    run->job.event.to = sl_self(executor->self);
    run->job.event.drop = dropped;
    run->since_ns = sl_now_ns(executor->self);
    run->before = before;
    if (before) {
        run->grant.amount = before->grant.amount;
        before->after = run;
        executor->ahead_count++;
    }
    link_run(before ? &executor->ahead : &executor->running, run);
    return run;
}

/* Takes a run that is ahead out of that list. */
static void leave_ahead(sl_executor *executor, sl_run *run) {
    sl_executor_drop_promise(executor, run);
    executor->ahead_count--;
    unlink_run(&executor->ahead, run);
}

void sl_run_inherit(sl_executor *executor, sl_run *run) {
    sl_run *before = run->before;
    leave_ahead(executor, run);
    before->after = run->before = NULL;
    run->grant = before->grant;
    if (!SL_PLANT(inherited_twice))
        before->grant = (sl_grant){.pool = 0};
    run->since_ns = sl_now_ns(executor->self);
    run->trace_start = sl_trace_now(executor->options.trace);
    link_run(&executor->running, run);
    executor->running_count++;
    executor->starts++;
    sl_executor_tell_started(executor, run->attempts.head);
}

void sl_run_destroy(sl_executor *executor, sl_run *run) {
    executor->owed -= run->owes;
    sl_executor_row_is_over(executor, run);
    if (run->before) {
        leave_ahead(executor, run);
        run->before->after = run->after;
        if (run->after)
            run->after->before = run->before;
    } else {
        unlink_run(&executor->running, run);
    }
    bool kept = SL_PLANT(grant_leak) && run->process.status == SL_PROCESS_TIMED_OUT;
    if (run->grant.pool && !kept && sl_grant_return(executor->grants, &run->grant) != SL_OK)
        sl_error("executor", "a grant did not come back: %s", sl_err_detail());
    executor->free_changed = true;
    free(run);
}

void sl_executor_cancel_run(sl_executor *executor, sl_run *run) {
    if (run->handle)
        executor->options.commands->cancel(executor->options.commands_context, run->handle);
}

/* ---- going ---- */

static void call_row(sl_job *job) {
    sl_run *run = (sl_run *)(void *)job;
    sl_executor_run_here(run);
    sl_executor_call_all(run);
    sl_executor_run_here(NULL);
}

/* Moves the first attempt, and others like it that may follow in a row, from the backlog to the
 * run. */
static void fill_row(sl_executor *executor, sl_run *run, uint32_t most) {
    const sl_attempt *first = executor->backlog.head;
    sl_grant_request request = first->request;
    do {
        sl_attempt *attempt = sl_attempts_pop(&executor->backlog);
        __builtin_prefetch(attempt->record); /* of a long backlog: until it is called, it comes */
        sl_attempts_push(&run->attempts, attempt);
    } while (run->attempts.count < most && executor->backlog.head &&
             executor->backlog.head->kind == SL_TASK_FUNCTION &&
             !executor->backlog.head->timeout_ns &&
             memcmp(&executor->backlog.head->request, &request, sizeof request) == 0);
}

static void start_functions(sl_executor *executor, sl_run *run) {
    const sl_attempt *first = executor->backlog.head;
    uint32_t most = sl_executor_row(executor, first, &run->on_loop);
    if (first->timeout_ns) /* its time begins now: nothing goes before it in a row */
        (void)sl_timer_start(executor->self, first->timeout_ns, first->arrival);
    fill_row(executor, run, first->timeout_ns ? 1 : most);
    executor->running_count += run->attempts.count;
    sl_executor_open_row(executor, run);
    if (!run->on_loop && executor->options.pool) {
        run->job.run = call_row;
        sl_pool_post(executor->options.pool, &run->job);
        return;
    }
    sl_executor_call_all(run);
    sl_executor_take_back_rest(executor, run);
    sl_executor_run_ended(executor, run);
}

static void start_command(sl_executor *executor, sl_run *run) {
    sl_attempt *attempt = sl_attempts_pop(&executor->backlog);
    sl_attempts_push(&run->attempts, attempt);
    executor->running_count++;
    if (sl_executor_start_command(executor, run) == SL_OK) {
        sl_executor_tell_started(executor, attempt);
        return;
    }
    executor->running_count--;
    sl_attempts_pop(&run->attempts);
    sl_attempt_end(executor, attempt, SL_TASK_NOT_STARTED, sl_err_detail());
    sl_run_destroy(executor, run);
}

static bool fits(uint64_t asked, uint64_t promised, uint64_t free) {
    return promised <= free && asked <= free - promised;
}

bool sl_executor_is_free(const sl_executor *executor, const sl_grant_request *request) {
    sl_grant_request now = sl_grant_free(executor->grants), kept = executor->promised;
    return fits(request->cores, kept.cores, now.cores) &&
           fits(request->gpus, kept.gpus, now.gpus) &&
           fits(request->memory_bytes, kept.memory_bytes, now.memory_bytes) &&
           fits(request->ucu_milli, kept.ucu_milli, now.ucu_milli);
}

bool sl_executor_may_be_given_up(const sl_executor *executor, const sl_attempt *attempt) {
    return attempt->kind == SL_TASK_COMMAND &&
           sl_node_peer_held(sl_actor_node(executor->self), attempt->owner.node);
}

/* The first of the backlog goes back to its owner, who tries again later. */
static void refuse_first(sl_executor *executor, sl_err why) {
    sl_attempt *attempt = sl_attempts_pop(&executor->backlog);
    attempt->refusal = (uint32_t)why;
    sl_attempts_push(&executor->refused, attempt);
}

/* False when the first of the backlog must wait. */
static bool start_first(sl_executor *executor) {
    const sl_grant_request *request = &executor->backlog.head->request;
    if (sl_executor_may_be_given_up(executor, executor->backlog.head)) {
        refuse_first(executor, SL_ERR_REFUSED);
        return true;
    }
    if (!sl_executor_is_free(executor, request))
        return false;
    sl_run *run = sl_run_create(executor, NULL);
    if (!run) {
        refuse_first(executor, SL_ERR_NO_MEMORY);
        return true;
    }
    if (sl_grant_take(executor->grants, request, &run->grant) != SL_OK) {
        sl_error("executor", "what is free could not be granted: %s", sl_err_detail());
        sl_run_destroy(executor, run);
        return false;
    }
    executor->free_changed = true;
    executor->starts++;
    run->trace_start = sl_trace_now(executor->options.trace);
    if (executor->backlog.head->kind == SL_TASK_FUNCTION)
        start_functions(executor, run);
    else
        start_command(executor, run);
    return true;
}

/* Starts what can start. False when there is more, for the next turn. */
static bool start_some(sl_executor *executor) {
    uint64_t start_ns = sl_now_ns(executor->self);
    while (executor->backlog.head && start_first(executor)) {
        if (sl_now_ns(executor->self) - start_ns >= GO_NS && executor->backlog.head)
            return false;
    }
    return true;
}

void sl_executor_go(sl_executor *executor) {
    executor_go body = {};
    sl_executor_recall_ahead(executor);
    if (!sl_executor_resume(executor) || !executor->backlog.head)
        return;
    if (start_some(executor))
        sl_executor_give_ahead(executor);
    else if (!executor->going)
        executor->going = executor_go_send(executor->self, sl_self(executor->self), &body) == SL_OK;
    sl_metrics *metrics = sl_node_metrics(sl_actor_node(executor->self));
    sl_metric_set(metrics, SL_METRIC_tasks_running, executor->running_count);
}

static const sl_trace_point command_point = {
    .name = "command", .category = "executor", .a = "task", .b = "attempt"};
static const sl_trace_point row_point = {
    .name = "functions", .category = "executor", .a = "first", .b = "count"};

static void trace_run(sl_executor *executor, const sl_run *run) {
    const sl_attempt *first = run->attempts.head;
    bool command = first->kind == SL_TASK_COMMAND;
    sl_trace_async(executor->options.trace, command ? &command_point : &row_point, run->trace_start,
                   (uint64_t)(uintptr_t)run, (uint32_t)first->result.task,
                   command ? first->result.attempt : run->attempts.count);
}

void sl_executor_run_ended(sl_executor *executor, sl_run *run) {
    sl_attempt *attempt;
    bool command = run->attempts.head->kind == SL_TASK_COMMAND;
    if (!run->before) {
        trace_run(executor, run);
        executor->running_count -= run->attempts.count;
    }
    if (run->after && !run->before)
        sl_run_inherit(executor, run->after);
    sl_metric_add(sl_node_metrics(sl_actor_node(executor->self)), SL_METRIC_tasks_started,
                  run->attempts.count);
    if (command)
        sl_executor_command_ended(executor, run);
    else
        while ((attempt = sl_attempts_pop(&run->attempts)))
            sl_executor_function_ended(executor, attempt);
    sl_run_destroy(executor, run);
}
