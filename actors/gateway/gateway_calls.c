/* Design notes
 * A detached call is a task with an entry, as a command has one: its project knows it by an id, and
 * its result stays here until the time that detached commands have is over, within the same bounds.
 * Who collects it waits as a task that the scheduler does not see. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/gateway/gateway_internal.h"
#include "actors/scheduler/scheduler_msgs.h"

sl_err gw_detach(gateway *gw, gw_session *session, gw_task *task, bool raw) {
    if (session->project->entries >= ENTRIES_MOST)
        return sl_fail(SL_ERR_REFUSED,
                       "too many commands and calls of the project are under way, or kept");
    gw_entry *entry = gw_make_entry(gw, session, task->number, true);
    if (!entry)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
    entry->ended.call = true;
    entry->raw = raw;
    entry->task = task;
    task->entry = entry;
    gateway_named named = {.number = task->number, .id = entry->id};
    gw_send(gw, session, SL_GATEWAY_NAMED, &named, NULL);
    return SL_OK;
}

/* ---- its result ---- */

void gw_drop_result(gw_entry *entry) {
    if (entry->output)
        entry->project->held_bytes -= entry->ended.stdout_bytes;
    free(entry->output);
    sl_blob_release(entry->data);
    entry->output = NULL;
    entry->data = NULL;
}

static void fail(gw_entry *entry, const char *why) {
    entry->ended.status = SL_TASK_FAILED;
    free(entry->message);
    entry->message = strdup(why);
}

/* An object would end with the session that it came to. */
static bool is_object(gateway *gw, const gw_task *task, sl_bytes output) {
    const sl_gateway_objects *objects = gw->options.objects;
    void *object = objects->result(objects->context, task->function, output);
    objects->release(object);
    return object != NULL;
}

static void keep_result(gateway *gw, const gw_task *task, const gateway_result *result,
                        sl_blob *data) {
    gw_entry *entry = task->entry;
    const gw_project *project = entry->project;
    uint64_t bytes = result->output.bytes + (data ? data->bytes : 0);
    uint64_t most = project->quota.payload_bytes;
    if (is_object(gw, task, result->output)) {
        fail(entry, "a detached call cannot return an object, or a result of more than 64 MiB: "
                    "both are a connection's");
        return;
    }
    if (most && (bytes > most || project->held_bytes > most - bytes)) {
        fail(entry, "its result is more than the project's quota of bytes leaves");
        return;
    }
    entry->output = malloc(result->output.bytes + (size_t)1);
    if (!entry->output) {
        fail(entry, "the gateway is out of memory for its result");
        return;
    }
    if (result->output.bytes)
        memcpy(entry->output, result->output.data, result->output.bytes);
    entry->output_bytes = result->output.bytes;
    entry->data = sl_blob_retain(data);
    entry->ended.stdout_bytes = bytes;
    entry->project->held_bytes += bytes;
}

static gateway_result result_of(const gw_entry *entry) {
    return (gateway_result){.start_s = entry->ended.start_s,
                            .end_s = entry->ended.end_s,
                            .attempts = entry->ended.attempts,
                            .node = entry->ended.node,
                            .status = entry->ended.status,
                            .raw = entry->raw,
                            .message = sl_text_of(entry->message),
                            .output = {entry->output, (uint32_t)entry->output_bytes}};
}

static void tell_collectors(gateway *gw, gw_entry *entry) {
    for (gw_task *task; (task = entry->collectors) != NULL;) {
        gateway_result result = result_of(entry);
        entry->collectors = task->next;
        task->next = NULL;
        task->collects = NULL;
        gw_end_task(gw, task, &result, entry->data);
    }
}

void gw_call_ended(gateway *gw, const gw_task *task, const gateway_result *result, sl_blob *data) {
    gw_entry *entry = task->entry;
    entry->task = NULL;
    entry->ended.start_s = result->start_s;
    entry->ended.end_s = result->end_s;
    entry->ended.attempts = result->attempts;
    entry->ended.node = result->node;
    entry->ended.status = result->status;
    entry->message = result->message.bytes ? strdup(result->message.data) : NULL;
    if (result->status == SL_TASK_DONE)
        keep_result(gw, task, result, data);
    entry->over = true;
    entry->over_ns = sl_now_ns(gw->self);
    gw_release_dependents(gw, entry);
    tell_collectors(gw, entry);
    gw_keep_entry(gw, entry);
}

/* ---- collecting ---- */

/* NULL: it may be waited for, or is there. */
static const char *refusal(const gw_session *session, const gw_entry *entry, sl_err *err) {
    *err = SL_ERR_NOT_FOUND;
    if (!gw_may_see(session, entry) || !entry->ended.call)
        return "there is no such call of the project (any more)";
    *err = SL_ERR_REFUSED;
    return entry->over || session->running < TASKS_MOST
               ? NULL
               : "too many tasks are under way on this connection: wait for some";
}

static const char *collect(gateway *gw, gw_session *session, gw_entry *entry, uint64_t number) {
    if (entry->over) {
        gateway_result result = result_of(entry);
        result.number = number;
        gw_add_result(gw, session, &result, entry->data);
        return NULL;
    }
    gw_task *task = gw_enter_ask(session, number);
    if (!task)
        return "the gateway is out of memory for tasks";
    task->collects = entry;
    task->next = entry->collectors;
    entry->collectors = task;
    return NULL;
}

static void take_collect(gateway *gw, gw_session *session, const gateway_collect *body) {
    gw_entry *entry = gw_find_entry(gw, body->id);
    sl_err err;
    const char *why = refusal(session, entry, &err);
    if (!why)
        why = collect(gw, session, entry, body->number);
    gw_audit(gw, session, "collect", why ? "refused" : "ok", "task %llu, call %llx%s%s",
             (unsigned long long)body->number, (unsigned long long)body->id, why ? ": " : "",
             why ? why : "");
    if (why)
        gw_answer(gw, session, body->number, err, why, (sl_bytes){});
}

void gw_take_collect(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_collect *body = sl_gateway_decode(parts, SL_GATEWAY_COLLECT);
    if (!body)
        gw_refuse(gw, session, "%s", sl_err_detail());
    else if (gw_take_number(gw, session, body->number))
        take_collect(gw, session, body);
    free(body);
}
