/* Between the scheduler and its ledger: nothing is accepted and nothing is done before it is on
 * disk.
 *
 * Posts are kept few and large: while one is on its way to the disk, what ends meanwhile gathers
 * for the next. The ledger calls back on its own thread; the callback only fills the wait and
 * notifies the loop. */
#include "actors/scheduler/scheduler_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    RESULTS_MOST = 2048,
    RESULTS_ENOUGH = 256, /* worth a sync at once */
    POSTS_MOST = 3,
    EXPLAIN_CANDIDATES = 8
};

/* A sync costs about as much processor time as starting a command. While other attempts run, a
 * result waits this long for company; the tasks after it do not wait: the ledger keeps their order.
 */
static const uint64_t company_ns = 4 * SL_NS_PER_MS;

/* On the writer's thread. */
static void on_durable(void *context, sl_err err) {
    sl_ledger_wait *wait = context;
    wait->err = err;
    if (err != SL_OK)
        snprintf(wait->detail, sizeof wait->detail, "%s", sl_err_detail());
    sl_notify(wait->node, &wait->event); /* the scheduler may be gone by now, its node is not */
}

/* A ledger that cannot be written any more: no result is reported that is not on disk. The node
 * ends; the run can be resumed from what the disk has. */
static void ledger_lost(sl_scheduler *scheduler, const char *why) {
    if (scheduler->ledger_lost)
        return;
    scheduler->ledger_lost = true;
    sl_error("scheduler",
             "the ledger failed, the run ends (resume it when the cause is mended): %s", why);
    for (uint32_t i = 0; i < scheduler->tasks.submitter_count; i++) {
        (void)sl_fail(SL_ERR_LEDGER, "%s", why);
        sl_scheduler_tell_accepted(scheduler, scheduler->tasks.submitters[i].addr, 0, 0,
                                   SL_ERR_LEDGER);
    }
}

/* ---- submits ---- */

static sl_ledger_record task_record(const sl_scheduler *scheduler, const sl_task *task,
                                    double now_s) {
    return (sl_ledger_record){
        .kind = SL_LEDGER_TASK,
        .task = {.id = task->tag,
                 .priority = task->priority,
                 .name = sl_task_name(task),
                 .spec = sl_task_record(task),
                 .region = task->region ? scheduler->nodes.regions[task->region] : NULL,
                 .accepted_s = now_s,
                 .timeout_s = (double)task->timeout_ns / 1e9,
                 .cpus = task->cpus,
                 .gpus = task->gpus,
                 .retries = task->retries,
                 .after_count = task->texts->after_count,
                 .after = task->texts->after,
                 .memory_bytes = task->memory_bytes,
                 .ucu_milli = (int64_t)task->ucu_milli}};
}

static sl_err post_now(sl_scheduler *scheduler, sl_ledger_wait *wait) {
    sl_ledger_record *records = malloc((wait->tasks.count + 1) * sizeof *records);
    if (!records)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u ledger records", wait->tasks.count);
    double now_s = sl_wall_s(scheduler->self);
    uint32_t count = 0;
    for (uint32_t i = 0; i < wait->tasks.count; i++) {
        const sl_task *task = sl_task_at(&scheduler->tasks, wait->tasks.slots[i]);
        if (task->texts->record_bytes) /* an empty one: accepted in an earlier session */
            records[count++] = task_record(scheduler, task, now_s);
    }
    sl_err err = sl_ledger_post(scheduler->options.ledger, records, count, on_durable, wait);
    free(records);
    if (err == SL_OK)
        scheduler->posts_under_way++;
    return err;
}

static sl_err wait_in_line(sl_scheduler *scheduler, sl_ledger_wait *wait) {
    sl_submit_wait *entry = malloc(sizeof *entry);
    if (!entry)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a submit");
    *entry = (sl_submit_wait){NULL, wait};
    if (scheduler->submits_tail)
        scheduler->submits_tail->next = entry;
    else
        scheduler->submits_head = entry;
    scheduler->submits_tail = entry;
    return SL_OK;
}

sl_err sl_scheduler_post_submit(sl_scheduler *scheduler, sl_ledger_wait *wait) {
    sl_err err = scheduler->submits_head ? SL_ERR_AGAIN : post_now(scheduler, wait);
    return err == SL_ERR_AGAIN ? wait_in_line(scheduler, wait) : err;
}

static void refuse_submit(sl_scheduler *scheduler, sl_ledger_wait *wait, sl_err err) {
    sl_addr to = scheduler->tasks.submitters[wait->submitter].addr;
    (void)sl_fail(err, "%s", wait->detail[0] ? wait->detail : sl_err_text(err));
    sl_scheduler_tell_accepted(scheduler, to, wait->first_tag, wait->tasks.count, err);
    for (uint32_t i = 0; i < wait->tasks.count; i++) {
        sl_task *task = sl_task_at(&scheduler->tasks, wait->tasks.slots[i]);
        (void)sl_task_tag_set(&scheduler->tasks, wait->submitter, task->tag, SL_TAG_UNKNOWN, 0);
        sl_task_destroy(&scheduler->tasks, task);
    }
    free(wait->tasks.slots);
    free(wait);
}

/* ---- results ---- */

static sl_ledger_state ledger_state(uint8_t status) {
    switch (status) {
    case SL_TASK_DONE:
        return SL_LEDGER_DONE;
    case SL_TASK_CANCELLED:
        return SL_LEDGER_CANCELLED;
    case SL_TASK_SKIPPED:
        return SL_LEDGER_SKIPPED;
    default:
        return SL_LEDGER_FAILED;
    }
}

static sl_ledger_outcome ledger_outcome(const sl_scheduler *scheduler, const sl_task *task,
                                        const scheduler_result *result) {
    const sl_node_view *view =
        task->node < scheduler->nodes.count ? &scheduler->nodes.views[task->node] : NULL;
    bool ran = task->attempts > task->earlier && view;
    return (sl_ledger_outcome){
        .task = task->tag,
        .attempt = ran ? task->attempts : 0,
        .state = ledger_state(task->status),
        .exit_code = result->exit_code,
        .signal = result->signal,
        .rank = view ? (int32_t)task->node : -1,
        .start_s = result->start_s,
        .end_s = result->end_s,
        .user_s = result->user_s,
        .sys_s = result->system_s,
        .max_rss_bytes = result->max_rss_bytes,
        .host = view ? sl_node_host(view) : NULL,
        .region = view && view->region ? scheduler->nodes.regions[view->region] : NULL,
        .message = result->message.bytes ? result->message.data : NULL};
}

static sl_err post_results(sl_scheduler *scheduler, sl_ledger_wait *wait, uint32_t count) {
    sl_ledger_record *records = malloc(count * sizeof *records);
    if (!records)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u ledger records", count);
    for (uint32_t i = 0; i < count; i++) {
        const sl_task *task = sl_task_at(&scheduler->tasks, wait->tasks.slots[i]);
        records[i] =
            (sl_ledger_record){.kind = SL_LEDGER_RESULT,
                               .outcome = ledger_outcome(scheduler, task, &task->end->result)};
    }
    sl_err err = sl_ledger_post(scheduler->options.ledger, records, count, on_durable, wait);
    free(records);
    return err;
}

static sl_ledger_wait *results_wait(sl_scheduler *scheduler, uint32_t count) {
    sl_ledger_wait *wait = sl_ledger_wait_create(scheduler, 0, 0);
    if (!wait)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (!sl_slot_list_push(&wait->tasks, scheduler->to_record.slots[i])) {
            free(wait->tasks.slots);
            free(wait);
            return NULL;
        }
    }
    return wait;
}

static void to_record_shift(sl_scheduler *scheduler, uint32_t count) {
    sl_slot_list *list = &scheduler->to_record;
    list->count -= count;
    memmove(list->slots, list->slots + count, list->count * sizeof *list->slots);
}

static bool pump_results(sl_scheduler *scheduler) {
    uint32_t count =
        scheduler->to_record.count < RESULTS_MOST ? scheduler->to_record.count : RESULTS_MOST;
    sl_ledger_wait *wait = results_wait(scheduler, count);
    sl_err err = wait ? post_results(scheduler, wait, count) : SL_ERR_NO_MEMORY;
    if (err == SL_OK) {
        scheduler->posts_under_way++;
        to_record_shift(scheduler, count);
        return true;
    }
    if (wait)
        free(wait->tasks.slots);
    free(wait);
    if (err == SL_ERR_LEDGER)
        ledger_lost(scheduler, sl_err_detail());
    else if (!scheduler->posts_under_way)
        (void)sl_timer_start(scheduler->self, SL_NS_PER_MS, SL_TASK_NO_NUMBER);
    return false;
}

/* Is it time to post results? If not, a timer is running that says when. */
static bool results_are_due(sl_scheduler *scheduler) {
    if (!scheduler->to_record.count || scheduler->posts_under_way >= POSTS_MOST)
        return false;
    if (scheduler->to_record.count >= RESULTS_ENOUGH || !scheduler->placed)
        return true;
    uint64_t now_ns = sl_now_ns(scheduler->self);
    if (now_ns - scheduler->recorded_ns >= company_ns) {
        scheduler->recorded_ns = now_ns;
        return true;
    }
    if (!scheduler->record_timer)
        scheduler->record_timer = sl_timer_start(scheduler->self, company_ns, SL_TASK_NO_NUMBER);
    return !scheduler->record_timer;
}

void sl_scheduler_pump(sl_scheduler *scheduler) {
    if (scheduler->ledger_lost)
        return;
    while (results_are_due(scheduler) && pump_results(scheduler)) {
    }
    while (scheduler->submits_head) {
        sl_submit_wait *entry = scheduler->submits_head;
        sl_err err = post_now(scheduler, entry->wait);
        if (err == SL_ERR_AGAIN) {
            if (!scheduler->posts_under_way) /* what fills the queue calls nobody back */
                (void)sl_timer_start(scheduler->self, SL_NS_PER_MS, SL_TASK_NO_NUMBER);
            return;
        }
        scheduler->submits_head = entry->next;
        if (!scheduler->submits_head)
            scheduler->submits_tail = NULL;
        if (err != SL_OK) {
            snprintf(entry->wait->detail, sizeof entry->wait->detail, "%s", sl_err_detail());
            refuse_submit(scheduler, entry->wait, err);
        }
        free(entry);
    }
}

/* ---- durable ---- */

static void results_durable(sl_scheduler *scheduler, sl_ledger_wait *wait) {
    for (uint32_t i = 0; i < wait->tasks.count; i++) {
        sl_task *task = sl_task_at(&scheduler->tasks, wait->tasks.slots[i]);
        sl_scheduler_deliver(scheduler, task, &task->end->result);
    }
    sl_metric_add(sl_node_metrics(sl_actor_node(scheduler->self)), SL_METRIC_ledger_records,
                  wait->tasks.count);
    free(wait->tasks.slots);
    free(wait);
}

static void results_lost(sl_scheduler *scheduler, sl_ledger_wait *wait) {
    ledger_lost(scheduler, wait->detail);
    free(wait->tasks.slots);
    free(wait);
}

void sl_scheduler_on_ledger(sl_scheduler *scheduler, sl_ledger_wait *wait) {
    scheduler->posts_under_way--;
    if (wait->is_submit && wait->err == SL_OK)
        sl_scheduler_accepted(scheduler, wait);
    else if (wait->is_submit)
        refuse_submit(scheduler, wait, wait->err);
    else if (wait->err == SL_OK)
        results_durable(scheduler, wait);
    else
        results_lost(scheduler, wait);
}

/* ---- records that ride along ---- */

static void ride_along(sl_scheduler *scheduler, const sl_ledger_record *record) {
    if (scheduler->options.ledger &&
        sl_ledger_post(scheduler->options.ledger, record, 1, NULL, NULL) != SL_OK)
        sl_debug("scheduler", "a ledger record was left out: %s", sl_err_detail());
}

void sl_scheduler_write_start(sl_scheduler *scheduler, const sl_task *task, int32_t pid) {
    if (!scheduler->options.ledger)
        return;
    const sl_node_view *view = &scheduler->nodes.views[task->node];
    sl_ledger_record record = {
        .kind = SL_LEDGER_START,
        .start = {.task = task->tag,
                  .attempt = task->attempts,
                  .rank = (int32_t)task->node,
                  .pid = pid,
                  .start_s = sl_wall_s(scheduler->self),
                  .host = sl_node_host(view),
                  .region = view->region ? scheduler->nodes.regions[view->region] : NULL}};
    ride_along(scheduler, &record);
}

void sl_scheduler_write_attempt(sl_scheduler *scheduler, const sl_task *task,
                                const scheduler_result *result) {
    if (!scheduler->options.ledger)
        return;
    sl_ledger_record record = {.kind = SL_LEDGER_ATTEMPT,
                               .outcome = ledger_outcome(scheduler, task, result)};
    record.outcome.state =
        result->status == SL_TASK_LOST ? SL_LEDGER_LOST : ledger_state(result->status);
    ride_along(scheduler, &record);
}

static void candidates_json(const sl_scheduler *scheduler, uint32_t count, sl_strbuf *out) {
    sl_strbuf_printf(out, "{\"candidates\":%" PRIu32 ",\"of\":%" PRIu32 ",\"scores\":[", count,
                     scheduler->nodes.count);
    for (uint32_t i = 0; i < count && i < EXPLAIN_CANDIDATES; i++) {
        const sl_node_features *node = &scheduler->candidates[i];
        sl_strbuf_printf(out, "%s{\"rank\":%" PRIu32 ",\"score\":", i ? "," : "", node->node);
        sl_strbuf_json_double(out, scheduler->scores[i]);
        sl_strbuf_printf(
            out, ",\"cores_free\":%.3f,\"memory_free\":%.3f,\"ucu_free\":%.3f,\"speed\":%.3f",
            node->cores_free, node->memory_free, node->ucu_free, node->speed);
        sl_strbuf_printf(out, ",\"wait_s\":%.6f,\"run_s\":%.6f}", node->expected_wait_s,
                         node->expected_run_s);
    }
    sl_strbuf_append(out, "]}");
}

void sl_scheduler_write_placement(sl_scheduler *scheduler, const sl_task *task, uint32_t count) {
    char storage[2048];
    sl_strbuf reason;
    sl_strbuf_init_fixed(&reason, storage, sizeof storage);
    candidates_json(scheduler, count, &reason);
    bool whole = sl_strbuf_err(&reason) == SL_OK;
    const sl_node_view *view = &scheduler->nodes.views[task->node];
    sl_ledger_record record = {.kind = SL_LEDGER_PLACEMENT,
                               .placement = {.task = task->tag,
                                             .choice = task->choices,
                                             .attempt = task->attempts,
                                             .rank = (int32_t)task->node,
                                             .at_s = scheduler->pass_wall_s,
                                             .ucu_milli = (int64_t)view->offer.ucu_milli,
                                             .policy = scheduler->policy->ops->name,
                                             .reason = whole ? reason.data : NULL}};
    ride_along(scheduler, &record);
    sl_strbuf_fini(&reason);
}

void sl_scheduler_write_node(sl_scheduler *scheduler, const sl_node_view *view) {
    if (!scheduler->options.ledger)
        return;
    sl_ledger_record record = {
        .kind = SL_LEDGER_NODE,
        .node = {.rank = view->node,
                 .cores = (uint32_t)view->offer.cores,
                 .gpus = (uint32_t)view->offer.gpus,
                 .memory_bytes = view->offer.memory_bytes,
                 .ucu_milli = (int64_t)view->offer.ucu_milli,
                 .host = sl_node_host(view),
                 .region = view->region ? scheduler->nodes.regions[view->region] : NULL}};
    ride_along(scheduler, &record);
}
