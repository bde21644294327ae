/* Design notes
 * A task's tag at the scheduler is a slot of one table for all clients; a client's own numbers
 * never leave its session. A client that has gone leaves its tasks behind without a session until
 * the scheduler has spoken of each for the last time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/gateway/gateway_internal.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "runtime/log.h"

sl_err gw_tasks_init(gateway *gw) {
    gw->queue_tail = &gw->queue_head;
    gw->unaccepted = calloc(UNACCEPTED_MOST, sizeof *gw->unaccepted);
    gw->batch = calloc(SUBMIT_MOST, sizeof(scheduler_task));
    return gw->unaccepted && gw->batch ? SL_OK
                                       : sl_fail(SL_ERR_NO_MEMORY, "no memory for a gateway");
}

static sl_addr scheduler_of(const gateway *gw) {
    return sl_addr_well_known(sl_self(gw->self).node, SL_SLOT_SCHEDULER);
}

/* ---- a session's tasks by number ---- */

static gw_task **bucket(gw_session *session, uint64_t number) {
    return &session->buckets[number % BUCKETS];
}

static gw_task *find(gw_session *session, uint64_t number) {
    gw_task *task = *bucket(session, number);
    while (task && task->number != number)
        task = task->chain;
    return task;
}

static void leave_session(gw_task *task) {
    if (!task->session)
        return;
    gw_task **at = bucket(task->session, task->number);
    while (*at != task)
        at = &(*at)->chain;
    *at = task->chain;
    task->session->running--;
    task->session = NULL;
}

/* ---- the end of a task ---- */

void gw_free_task(gateway *gw, gw_task *task) {
    gw_drop_named(gw, &task->objects);
    sl_blob_release(task->data);
    free(task->payload);
    free(task->among);
    free(task);
}

/* Data so large would stand in the way of all else; an object comes in pieces, and as such come
 * large results of tasks of the API. */
static void bound_result(gateway_result *result, sl_blob **data, char why[200]) {
    if (!*data || (*data)->bytes <= RESULT_MOST_BYTES)
        return;
    snprintf(why, 200,
             "its result has %llu bytes, and over a connection %d are taken: return an object",
             (unsigned long long)(*data)->bytes, RESULT_MOST_BYTES);
    result->status = SL_TASK_FAILED;
    result->message = sl_text_of(why);
    result->output = (sl_bytes){};
    *data = NULL;
}

void gw_end_task(gateway *gw, gw_task *task, gateway_result *result, sl_blob *data) {
    gw_project *project = task->project;
    gw_session *session = task->session;
    char why[200];
    bound_result(result, &data, why);
    result->number = task->number;
    task->ended = true;
    project->running--;
    project->resting -= task->watches;
    project->ended++;
    project->failed += result->status != SL_TASK_DONE;
    project->held_bytes -= task->held_bytes;
    gw_drop_named(gw, &task->objects);
    leave_session(task);
    if (task->entry && task->entry->ended.call)
        gw_call_ended(gw, task, result, data);
    else if (task->entry)
        gw_command_ended(gw, task->entry, result);
    else if (session)
        gw_add_result(gw, session, result, data);
    if (!task->sent || task->accepted)
        gw_free_task(gw, task);
}

static void fail_task(gateway *gw, gw_task *task, sl_task_status status, const char *why) {
    gateway_result result = {.status = (uint8_t)status, .message = sl_text_of(why)};
    gw_end_task(gw, task, &result, NULL);
}

static void refuse_number(gateway *gw, gw_session *session, uint64_t number, const char *why) {
    gateway_result result = {
        .number = number, .status = SL_TASK_FAILED, .message = sl_text_of(why)};
    gw_add_result(gw, session, &result, NULL);
}

/* ---- taking ---- */

static uint8_t *make_payload(const gateway_task *wish, uint32_t *bytes) {
    executor_function call = {.name = wish->function, .arguments = wish->arguments};
    *bytes = (uint32_t)sl_record_wire_bytes(&executor_function_record, &call);
    uint8_t *payload = malloc(*bytes);
    if (payload)
        sl_record_encode(&executor_function_record, &call, payload, NULL);
    return payload;
}

static sl_err copy_among(gw_task *task, sl_bytes among) {
    if (!among.bytes)
        return SL_OK;
    task->among = malloc(among.bytes);
    if (!task->among)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory for tasks");
    memcpy(task->among, among.data, among.bytes);
    task->among_bytes = among.bytes;
    return SL_OK;
}

/* Its arguments are to be fetched: a function that runs where messages are handled may not do that.
 */
static sl_err let_wait(const gateway *gw, const gateway_task *wish, gw_task *task) {
    char room[256];
    uint32_t bytes = wish->arguments.bytes;
    gateway_task named = *wish;
    named.function = sl_text_of(gw->options.objects->waiting(wish->function.data, room));
    named.arguments = (sl_bytes){task->payload + task->payload_bytes - bytes, bytes};
    uint8_t *payload = make_payload(&named, &bytes);
    if (!payload)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory for tasks");
    free(task->payload);
    task->payload = payload;
    task->payload_bytes = bytes;
    return SL_OK;
}

static sl_err make_task(gateway *gw, gw_session *session, const gateway_task *wish, uint64_t bytes,
                        const sl_gateway_parts *parts, gw_task **out) {
    gw_task *task = calloc(1, sizeof *task);
    sl_err err = SL_OK;
    if (task)
        task->payload = make_payload(wish, &task->payload_bytes);
    if (!task || !task->payload)
        err = sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory for tasks");
    if (err == SL_OK && parts->data_bytes)
        err = sl_blob_copy(parts->data, parts->data_bytes, &task->data);
    else if (err == SL_OK && wish->data_object)
        err = gw_take_data(gw, session, task, wish->data_object);
    if (err == SL_OK)
        err = copy_among(task, wish->among);
    if (err == SL_OK) /* they end the payload */
        err = gw_name_arguments(gw, session,
                                task->payload + task->payload_bytes - wish->arguments.bytes,
                                wish->arguments.bytes, task->data, true, &task->objects);
    if (err == SL_OK && task->objects.fetches)
        err = let_wait(gw, wish, task);
    if (err != SL_OK) {
        if (task)
            gw_free_task(gw, task);
        return err;
    }
    task->wish = *wish;
    gw_copy_text(task->region, sizeof task->region, wish->region);
    gw_copy_text(task->function, sizeof task->function, wish->function);
    task->number = wish->number;
    task->held_bytes = bytes;
    *out = task;
    return SL_OK;
}

void gw_enter_task(gw_session *session, gw_task *task) {
    task->session = session;
    task->project = session->project;
    task->chain = *bucket(session, task->number);
    *bucket(session, task->number) = task;
    session->running++;
    session->project->running++;
    session->project->held_bytes += task->held_bytes;
}

void gw_leave_task(gw_task *task) {
    task->project->running--;
    task->project->held_bytes -= task->held_bytes;
    leave_session(task);
}

void gw_queue_task(gateway *gw, gw_task *task) {
    *gw->queue_tail = task;
    gw->queue_tail = &task->next;
    gw->queue_count++;
}

static void take_task(gateway *gw, gw_session *session, const gateway_task *wish,
                      const sl_gateway_parts *parts) {
    gw_task *task = NULL;
    uint64_t bytes = wish->arguments.bytes + parts->data_bytes;
    const char *why = gw_over_quota(session, SL_SCOPE_SUBMIT, bytes);
    if (!why && !wish->function.bytes)
        why = "a task without a function's name";
    if (!why)
        why = gw_may_call(gw, session, wish);
    if (!why && make_task(gw, session, wish, bytes, parts, &task) != SL_OK)
        why = sl_err_detail();
    if (!task) {
        refuse_number(gw, session, wish->number, why);
        return;
    }
    gw_enter_task(session, task);
    if (wish->detached && gw_detach(gw, session, task, wish->raw) != SL_OK) {
        gw_leave_task(task);
        gw_free_task(gw, task);
        refuse_number(gw, session, wish->number, sl_err_detail());
        return;
    }
    gw_queue_task(gw, task);
}

void gw_take_submit(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_submit *submit = sl_gateway_decode(parts, SL_GATEWAY_SUBMIT);
    if (!submit) {
        gw_refuse(gw, session, "%s", sl_err_detail());
        return;
    }
    bool lone = submit->tasks.count == 1;
    if (parts->data_bytes && !lone)
        gw_refuse(gw, session, "large data behind %u tasks: they belong to one",
                  submit->tasks.count);
    for (uint32_t i = 0; i < submit->tasks.count && session->stage == GW_OPEN; i++) {
        const gateway_task *wish = &submit->tasks.items[i];
        if (wish->number <= session->last_number)
            gw_refuse(gw, session, "task %llu after task %llu: numbers ascend",
                      (unsigned long long)wish->number, (unsigned long long)session->last_number);
        else
            take_task(gw, session, wish, parts);
        session->last_number = wish->number;
    }
    gw_audit(gw, session, "submit", "ok", "%u tasks up to %llu", submit->tasks.count,
             (unsigned long long)session->last_number);
    free(submit);
}

/* ---- to the scheduler ---- */

static bool slots_grow(gateway *gw) {
    uint32_t count = gw->slot_count ? 2 * gw->slot_count : 1024;
    gw_task **slots = realloc(gw->slots, count * sizeof *slots);
    if (slots)
        gw->slots = slots;
    uint32_t *free_slots = realloc(gw->free_slots, count * sizeof *free_slots);
    if (free_slots)
        gw->free_slots = free_slots;
    if (!slots || !free_slots)
        return false;
    for (uint32_t slot = count; slot-- > gw->slot_count;) {
        gw->slots[slot] = NULL;
        gw->free_slots[gw->free_count++] = slot;
    }
    gw->slot_count = count;
    return true;
}

static scheduler_task described(const gw_task *task) {
    const gateway_task *wish = &task->wish;
    bool is_command = task->entry && !task->entry->ended.call;
    return (scheduler_task){.tag = task->slot,
                            .kind = is_command ? SL_TASK_COMMAND : SL_TASK_FUNCTION,
                            .forget = true,
                            .tell = is_command,
                            .keep = task->entry ? SL_KEEP_OBJECTS : SL_KEEP_LARGEST,
                            .cpus = wish->cpus,
                            .gpus = wish->gpus,
                            .memory_bytes = wish->memory_bytes,
                            .ucu_milli = wish->ucu_milli,
                            .timeout_ns = wish->timeout_ns,
                            .priority = wish->priority,
                            .retries = wish->retries,
                            .region = sl_text_of(task->region),
                            .among = {task->among, task->among_bytes},
                            .group = sl_text_of(task->function),
                            .payload = {task->payload, task->payload_bytes}};
}

static gw_task *pop(gateway *gw) {
    gw_task *task = gw->queue_head;
    gw->queue_head = task->next;
    if (!gw->queue_head)
        gw->queue_tail = &gw->queue_head;
    gw->queue_count--;
    task->next = NULL;
    return task;
}

static uint32_t gather(gateway *gw, const gw_task **last) {
    uint32_t count = 0;
    size_t bytes = 0;
    for (gw_task *task = gw->queue_head; task; task = task->next) {
        if (task->cancelled || count == SUBMIT_MOST || bytes >= SUBMIT_BYTES ||
            count + gw->unaccepted_count == UNACCEPTED_MOST || (task->data && count) ||
            (!gw->free_count && !slots_grow(gw)))
            break;
        task->slot = gw->free_slots[--gw->free_count];
        gw->slots[task->slot] = task;
        gw->batch[count++] = described(task);
        bytes += task->payload_bytes;
        *last = task;
        if (task->data)
            break;
    }
    return count;
}

static void mark_sent(gateway *gw, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        gw_task *task = pop(gw);
        task->sent = true;
        gw->unaccepted[(gw->unaccepted_first + gw->unaccepted_count++) % UNACCEPTED_MOST] = task;
        free(task->payload);
        task->payload = NULL;
        sl_blob_release(task->data);
        task->data = NULL;
    }
}

static void take_back(gateway *gw, uint32_t count) {
    gw_task *task = gw->queue_head;
    for (uint32_t i = 0; i < count; i++, task = task->next) {
        gw->slots[task->slot] = NULL;
        gw->free_slots[gw->free_count++] = task->slot;
    }
}

/* False: not now. */
static bool submit_some(gateway *gw) {
    const gw_task *last = NULL;
    if (gw->queue_head->cancelled) {
        fail_task(gw, pop(gw), SL_TASK_CANCELLED, "cancelled");
        return true;
    }
    uint32_t count = gather(gw, &last);
    if (!count)
        return false;
    scheduler_submit submit = {.tasks = {gw->batch, count}, .apart = last->data};
    sl_err err = scheduler_submit_send(gw->self, scheduler_of(gw), &submit);
    if (err == SL_OK) {
        mark_sent(gw, count);
        return true;
    }
    take_back(gw, count);
    if (err == SL_ERR_AGAIN) {
        gw->blocked = true;
        sl_await_room(gw->self, scheduler_of(gw));
        return false;
    }
    for (; count; count--)
        fail_task(gw, pop(gw), SL_TASK_FAILED, sl_err_detail());
    return true;
}

void gw_submit_queue(gateway *gw) {
    bool many = gw->queue_count >= QUEUE_MOST;
    while (gw->queue_head && !gw->blocked && submit_some(gw))
        continue;
    if (many || gw->queue_count >= QUEUE_MOST)
        for (gw_session *session = gw->sessions; session; session = session->next)
            gw_pace(gw, session);
}

/* ---- from the scheduler ---- */

static void tell_cancel(gateway *gw, const gw_task *task) {
    scheduler_cancel body = {.tag = task->slot};
    if (scheduler_cancel_send(gw->self, scheduler_of(gw), &body) != SL_OK)
        sl_warn("gateway", "a task cannot be taken back: %s", sl_err_detail());
}

void gw_on_accepted(gateway *gw, const void *body) {
    const scheduler_accepted *accepted = body;
    for (uint32_t i = 0; i < accepted->count && gw->unaccepted_count; i++) {
        gw_task *task = gw->unaccepted[gw->unaccepted_first++ % UNACCEPTED_MOST];
        gw->unaccepted_first %= UNACCEPTED_MOST;
        gw->unaccepted_count--;
        task->accepted = true;
        if (task->ended) {
            gw_free_task(gw, task);
        } else if (accepted->error) {
            gw->slots[task->slot] = NULL;
            gw->free_slots[gw->free_count++] = task->slot;
            fail_task(gw, task, SL_TASK_FAILED, accepted->detail.data);
        } else if (task->cancelled) {
            tell_cancel(gw, task);
        }
    }
}

static void charge(gateway *gw, gw_task *task, const scheduler_outcome *outcome) {
    double seconds = outcome->end_s - outcome->start_s, cores = task->wish.cpus;
    double ucu =
        task->wish.ucu_milli ? (double)task->wish.ucu_milli / 1000 : cores * gw->options.core_ucu;
    if (isfinite(seconds) && seconds > 0)
        task->project->ucu_s += seconds * ucu;
}

static void take_outcome(gateway *gw, const scheduler_outcome *outcome, sl_blob *data) {
    gw_task *task = outcome->tag < gw->slot_count ? gw->slots[outcome->tag] : NULL;
    if (!task) {
        sl_warn("gateway", "a result for task %llu, which has one",
                (unsigned long long)outcome->tag);
        return;
    }
    gw->slots[outcome->tag] = NULL;
    gw->free_slots[gw->free_count++] = (uint32_t)outcome->tag;
    charge(gw, task, outcome);
    if (task->entry)
        gw_note_outcome(task->entry, outcome);
    gateway_result result = {.start_s = outcome->start_s,
                             .end_s = outcome->end_s,
                             .attempts = outcome->attempts,
                             .node = outcome->node,
                             .status = outcome->status,
                             .message = outcome->message,
                             .output = outcome->output};
    if (!task->entry && outcome->status == SL_TASK_DONE && gw_fetch_result(gw, task, &result))
        return;
    if (task->cancelled) { /* but for when it ran, which says that it wrote */
        result.status = SL_TASK_CANCELLED;
        result.message = sl_text_of("cancelled");
        result.output = (sl_bytes){};
    }
    gw_end_task(gw, task, &result, task->cancelled ? NULL : data);
}

void gw_end_fetched(gateway *gw, gw_task *task, gateway_result *result) {
    if (task->cancelled)
        fail_task(gw, task, SL_TASK_CANCELLED, "cancelled");
    else
        gw_end_task(gw, task, result, NULL);
}

void gw_on_done(gateway *gw, const void *body) {
    const scheduler_done *done = body;
    for (uint32_t i = 0; i < done->outcomes.count; i++)
        take_outcome(gw, &done->outcomes.items[i], done->outcomes.count == 1 ? done->apart : NULL);
}

/* ---- cancelling ---- */

void gw_end_soon(gateway *gw, gw_task *task, uint8_t status) {
    if (task->end_status != SL_TASK_DONE)
        return;
    task->end_status = status;
    task->next = gw->ending;
    gw->ending = task;
}

void gw_settle(gateway *gw) {
    while (gw->ending) {
        gw_task *task = gw->ending;
        gw->ending = task->next;
        task->next = NULL;
        bool skipped = task->end_status == SL_TASK_SKIPPED;
        fail_task(gw, task, (sl_task_status)task->end_status,
                  skipped ? "a command that it comes after did not end well" : "cancelled");
    }
}

/* One that waits for others is in no queue. The scheduler is told once it has accepted the task:
 * the word would overtake that. */
void gw_cancel_task(gateway *gw, gw_task *task) {
    if (task->cancelled)
        return;
    task->cancelled = true;
    if (task->asks)
        gw_cancel_ask(gw, task);
    else if (task->sent && task->accepted)
        tell_cancel(gw, task);
    else if (task->pending && !task->sent)
        gw_end_soon(gw, task, SL_TASK_CANCELLED);
}

void gw_take_cancel(gateway *gw, gw_session *session, const gateway_cancel *body) {
    gw_task *task = body->all || body->id ? NULL : find(session, body->number);
    if (body->id)
        gw_cancel_by_id(gw, session, body->id);
    if (task)
        gw_cancel_task(gw, task);
    for (uint32_t i = 0; i < BUCKETS && body->all; i++)
        for (task = session->buckets[i]; task; task = task->chain)
            gw_cancel_task(gw, task);
}

void gw_cancel_all(gateway *gw, gw_session *session) {
    for (uint32_t i = 0; i < BUCKETS && session->buckets; i++)
        while (session->buckets[i]) {
            gw_task *task = session->buckets[i];
            if (!task->entry || !task->entry->detached)
                gw_cancel_task(gw, task);
            leave_session(task);
        }
}

/* Nothing more comes of the scheduler. */
void gw_tasks_fini(gateway *gw) {
    while (gw->queue_head)
        gw_free_task(gw, pop(gw));
    for (uint32_t i = 0; i < gw->unaccepted_count; i++) {
        gw_task *task = gw->unaccepted[(gw->unaccepted_first + i) % UNACCEPTED_MOST];
        if (task->ended)
            gw_free_task(gw, task);
        else
            task->accepted = true;
    }
    for (uint32_t slot = 0; slot < gw->slot_count; slot++)
        if (gw->slots[slot])
            gw_free_task(gw, gw->slots[slot]);
    for (gw_task *task; (task = gw_forget_fetch(gw)) != NULL;)
        gw_free_task(gw, task);
    free(gw->slots);
    free(gw->free_slots);
    free(gw->unaccepted);
    free(gw->batch);
}
