/* Why a task has not ended: it waits for others, no node is large enough, it waits for room, it
 * runs, or the run has ended before it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sdk/explain.h"

enum { NAMED_MOST = 20 };

/* ---- the tasks it comes after ---- */

typedef struct waiting {
    json_t *names; /* of those that have not ended, the first few */
    uint32_t count;
} waiting;

static sl_err visit_before(void *context, const sl_ledger_entry *entry) {
    waiting *of = context;
    if (entry->state >= SL_LEDGER_DONE)
        return SL_OK;
    if (of->count++ < NAMED_MOST)
        json_array_append_new(of->names, json_pack("{ss ss}", "name", entry->task.name, "state",
                                                   sl_ledger_state_name(entry->state)));
    return SL_OK;
}

static sl_err find_waiting(sl_ledger_reader *reader, const sl_ledger_task *task, waiting *of) {
    for (uint32_t i = 0; i < task->after_count; i++)
        SL_TRY(sl_ledger_read_task(reader, task->after[i], visit_before, of));
    return SL_OK;
}

/* ---- the nodes ---- */

typedef struct fitting {
    const sl_ledger_task *task;
    uint32_t nodes, in_region, large_enough;
} fitting;

static sl_err visit_node(void *context, uint32_t session, const sl_ledger_node *node) {
    fitting *of = context;
    const sl_ledger_task *task = of->task;
    (void)session;
    of->nodes++;
    if (task->region && (!node->region || strcmp(task->region, node->region) != 0))
        return SL_OK;
    of->in_region++;
    of->large_enough += task->cpus <= node->cores && task->gpus <= node->gpus &&
                        task->memory_bytes <= node->memory_bytes &&
                        task->ucu_milli <= node->ucu_milli;
    return SL_OK;
}

/* ---- the tasks before it in the queue ---- */

typedef struct queue {
    uint32_t id;
    int32_t priority;
    uint64_t before, running;
} queue;

static sl_err visit_queued(void *context, const sl_ledger_entry *entry) {
    queue *of = context;
    of->running += entry->state == SL_LEDGER_RUNNING;
    of->before += entry->state == SL_LEDGER_ACCEPTED &&
                  (entry->task.priority > of->priority ||
                   (entry->task.priority == of->priority && entry->task.id < of->id));
    return SL_OK;
}

/* ---- the answer ---- */

static void say(json_t *task, const char *format, ...) SL_PRINTF(2, 3);
static void say(json_t *task, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_object_set_new(task, "why", json_string(text));
}

static sl_err why_queued(sl_ledger_reader *reader, const sl_ledger_entry *entry, bool live,
                         json_t *task) {
    fitting fit = {.task = &entry->task};
    queue line = {.id = entry->task.id, .priority = entry->task.priority};
    SL_TRY(sl_ledger_read_nodes(reader, visit_node, &fit));
    if (fit.nodes && !fit.in_region)
        say(task, "none of the %u nodes is in region %s", fit.nodes, entry->task.region);
    else if (fit.nodes && !fit.large_enough)
        say(task, "none of the %u nodes it may use offers as much as it asks for", fit.in_region);
    else if (!live)
        say(task, "the run ended before it started; starlane run --resume goes on");
    else {
        SL_TRY(sl_ledger_read_tasks(reader, SL_LEDGER_WANT_UNFINISHED, visit_queued, &line));
        say(task,
            "it waits for room: %llu tasks run, %llu are before it in the queue; %u of %u "
            "nodes could run it",
            (unsigned long long)line.running, (unsigned long long)line.before, fit.large_enough,
            fit.nodes);
    }
    return SL_OK;
}

sl_err sl_explain_why(sl_ledger_reader *reader, const sl_ledger_entry *entry, bool live,
                      json_t *task) {
    waiting before = {json_array(), 0};
    if (entry->state == SL_LEDGER_RUNNING) {
        say(task, live ? "it runs"
                       : "it ran when the run was killed; starlane run --resume runs "
                         "it again");
    } else if (entry->state == SL_LEDGER_ACCEPTED) {
        sl_err err = find_waiting(reader, &entry->task, &before);
        if (err == SL_OK && before.count)
            say(task, "it waits for %u task%s to end%s", before.count, before.count == 1 ? "" : "s",
                live ? "" : ", but the run has ended; starlane run --resume goes on");
        else if (err == SL_OK)
            err = why_queued(reader, entry, live, task);
        if (err != SL_OK) {
            json_decref(before.names);
            return err;
        }
    }
    if (before.count)
        json_object_set(task, "waits_for", before.names);
    json_decref(before.names);
    return SL_OK;
}
