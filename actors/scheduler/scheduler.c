/* Design notes
 * Every message changes the tables first; then sl_scheduler_after() does, once per message, what
 * the change made possible: place tasks, post results to the ledger, tell submitters, notice that
 * all is done. */
#include "actors/scheduler/scheduler_internal.h"

#include <stdlib.h>
#include <string.h>

bool sl_slot_list_push(sl_slot_list *list, uint32_t slot) {
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? 2 * list->capacity : 64;
        uint32_t *slots = realloc(list->slots, capacity * sizeof *slots);
        if (!slots)
            return false;
        list->slots = slots;
        list->capacity = capacity;
    }
    list->slots[list->count++] = slot;
    return true;
}

void sl_scheduler_fail(sl_scheduler *scheduler, const char *what, uint32_t tag) {
    sl_error("scheduler", "no memory for %s of task %u", what, tag);
    scheduler->out_of_memory = true;
}

/* ---- life ---- */

static sl_err begin(sl_actor *self, sl_scheduler *scheduler) {
    uint32_t nodes = sl_node_count(sl_actor_node(self));
    sl_task_table_init(&scheduler->tasks);
    sl_queue_init(&scheduler->queue);
    SL_TRY(sl_node_views_init(&scheduler->nodes, nodes));
    SL_TRY(sl_estimates_init(&scheduler->estimates, nodes));
    const char *policy =
        scheduler->options.policy ? scheduler->options.policy : "earliest-completion";
    SL_TRY(sl_policy_create(policy, scheduler->options.seed, &scheduler->policy));
    scheduler->outbox = calloc(nodes, sizeof *scheduler->outbox);
    scheduler->candidates = calloc(nodes, sizeof *scheduler->candidates);
    scheduler->scores = calloc(nodes, sizeof *scheduler->scores);
    if (!scheduler->outbox || !scheduler->candidates || !scheduler->scores)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a scheduler of %u nodes", nodes);
    sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    registry_watch watch = {};
    return registry_watch_send(
        self, sl_addr_well_known(sl_node_id(sl_actor_node(self)), SL_SLOT_REGISTRY), &watch);
}

static void scheduler_stop(sl_actor *self, void *state) {
    sl_scheduler *scheduler = state;
    for (uint32_t i = 0; scheduler->outbox && i < sl_node_count(sl_actor_node(self)); i++)
        free(scheduler->outbox[i].slots);
    for (sl_submit_wait *each = scheduler->submits_head, *next; each; each = next) {
        next = each->next;
        free(each->wait->tasks.slots);
        free(each->wait);
        free(each);
    }
    for (sl_notice *each = scheduler->notices_head, *next; each; each = next) {
        next = each->next;
        free(each);
    }
    if (scheduler->policy)
        scheduler->policy->ops->destroy(scheduler->policy);
    free(scheduler->outbox);
    free(scheduler->candidates);
    free(scheduler->scores);
    free(scheduler->outcomes);
    free(scheduler->outcome_slots);
    free(scheduler->to_cancel.slots);
    free(scheduler->to_record.slots);
    free(scheduler->undelivered.slots);
    sl_estimates_fini(&scheduler->estimates);
    sl_node_views_fini(&scheduler->nodes);
    sl_queue_fini(&scheduler->queue);
    sl_task_table_fini(&scheduler->tasks);
}

static sl_err scheduler_start(sl_actor *self, void *state, const void *arguments) {
    sl_scheduler *scheduler = state;
    scheduler->self = self;
    if (arguments)
        scheduler->options = *(const sl_scheduler_options *)arguments;
    sl_err err = begin(self, scheduler);
    if (err != SL_OK)
        scheduler_stop(self, scheduler); /* what it has so far */
    return err;
}

/* ---- the network changes ---- */

static uint64_t told_ns(const registry_view *view, uint32_t i, uint64_t now_ns) {
    uint64_t age_ns = i < view->ages.count ? view->ages.items[i].ms * SL_NS_PER_MS : 0;
    return now_ns > age_ns ? now_ns - age_ns : 0;
}

static void on_view(sl_scheduler *scheduler, const registry_view *view) {
    uint64_t now_ns = sl_now_ns(scheduler->self);
    for (uint32_t i = 0; i < view->members.count; i++) {
        const registry_member *member = &view->members.items[i];
        if (member->node >= scheduler->nodes.count)
            continue;
        bool known = scheduler->nodes.views[member->node].known;
        if (sl_node_views_update(&scheduler->nodes, member, told_ns(view, i, now_ns)))
            scheduler->impossible_checked = false;
        if (member->state == SL_MEMBER_DEAD && scheduler->nodes.views[member->node].tasks)
            sl_scheduler_on_node_gone(scheduler, member->node);
        if (!known && scheduler->nodes.views[member->node].known)
            sl_scheduler_write_node(scheduler, &scheduler->nodes.views[member->node]);
    }
}

static void on_room(sl_scheduler *scheduler, const node_room *room) {
    if (room->at.node < scheduler->nodes.count)
        scheduler->nodes.views[room->at.node].blocked = 0;
}

/* ---- drained ---- */

/* Nothing runs, is recorded or undelivered, and nothing may start: says so once to every submitter.
 */
static void tell_drained(sl_scheduler *scheduler) {
    bool stuck = scheduler->draining || (scheduler->held && !scheduler->queue.count);
    bool to_write =
        !scheduler->ledger_lost && (scheduler->to_record.count || scheduler->submits_head);
    if (!stuck || scheduler->drained_told || scheduler->placed || scheduler->doubtful || to_write ||
        scheduler->posts_under_way || scheduler->undelivered.count || scheduler->notices_head)
        return;
    scheduler->drained_told = true;
    for (uint32_t i = 0; i < scheduler->tasks.submitter_count; i++) {
        scheduler_drained drained = {scheduler->tasks.submitters[i].live};
        sl_addr to = scheduler->tasks.submitters[i].addr;
        sl_err err = scheduler_drained_send(scheduler->self, to, &drained);
        scheduler->out_of_memory |= err == SL_ERR_NO_MEMORY;
        if (err == SL_ERR_AGAIN) {
            scheduler->drained_told = false;
            sl_await_room(scheduler->self, to);
        }
    }
}

/* ---- messages ---- */

/* The retry timer is known by its id; other timers carry a task's number. */
static void on_timer(sl_scheduler *scheduler, const node_timer *timer) {
    if (timer->timer == scheduler->retry_timer)
        scheduler->retry_timer = 0;
    else if (timer->timer == scheduler->record_timer)
        scheduler->record_timer = 0;
    else
        sl_scheduler_on_doubt_over(scheduler, timer->cookie);
}

void sl_scheduler_after(sl_scheduler *scheduler) {
    if (!scheduler->draining && !scheduler->paused)
        sl_scheduler_place(scheduler);
    sl_scheduler_send_cancels(scheduler);
    sl_scheduler_send_notices(scheduler);
    sl_scheduler_pump(scheduler);
    sl_scheduler_flush_outcomes(scheduler);
    tell_drained(scheduler);
    sl_metrics *metrics = sl_node_metrics(sl_actor_node(scheduler->self));
    sl_metric_set(metrics, SL_METRIC_tasks_queued, (int64_t)scheduler->queue.count);
}

static sl_err scheduler_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self;
    sl_scheduler *scheduler = state;
    sl_err err = SL_OK;
    switch (message->type->id) {
    case scheduler_submit_id:
        err = sl_scheduler_on_submit(scheduler, message);
        break;
    case scheduler_results_id:
        sl_scheduler_on_results(scheduler, message);
        break;
    case scheduler_waits_id:
        sl_scheduler_on_waits(scheduler, message);
        break;
    case scheduler_started_id:
        sl_scheduler_on_started(scheduler, message);
        break;
    case scheduler_refused_id:
        sl_scheduler_on_refused(scheduler, message);
        break;
    case registry_view_id:
        on_view(scheduler, message->body);
        break;
    case scheduler_cancel_id:
        sl_scheduler_on_cancel(scheduler, message);
        break;
    case scheduler_drain_id:
        sl_scheduler_on_drain(scheduler);
        break;
    case scheduler_pause_id:
        scheduler->paused = ((const scheduler_pause *)message->body)->paused;
        break;
    case node_event_id:
        sl_scheduler_on_ledger(scheduler, (sl_ledger_wait *)node_event_of(message));
        break;
    case node_room_id:
        on_room(scheduler, message->body);
        break;
    case node_peer_lost_id:
        sl_scheduler_on_node_gone(scheduler, ((const node_peer_lost *)message->body)->node);
        break;
    case node_peer_back_id: /* usable again once the registry has heard it */
        break;
    case node_timer_id:
        on_timer(scheduler, message->body);
        break;
    default:
        sl_warn("scheduler", "unwelcome message %s from node %u", message->type->record.name,
                message->from.node);
        return SL_OK;
    }
    sl_scheduler_after(scheduler);
    if (scheduler->out_of_memory)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to keep what the scheduler has promised");
    return err;
}

const sl_actor_class sl_scheduler_class = {
    .name = "scheduler",
    .state_bytes = sizeof(sl_scheduler),
    .start = scheduler_start,
    .receive = scheduler_receive,
    .stop = scheduler_stop,
};
