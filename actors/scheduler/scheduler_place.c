/* Placing: the queue's best task that fits somewhere, to the node the policy chooses, until nothing
 * fits.
 *
 * A node may be given a little more than it has room for, so that it need not wait for us between
 * short tasks: work worth up to BACKLOG_NS beyond what fits, as far as run times are known. */
#include "actors/scheduler/scheduler_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    BACKLOG_NS = 5000000,
    BACKLOG_MOST = 16384,          /* tasks of this scheduler at one node beyond what fits */
    BACKLOG_UNKNOWN_FUNCTION = 32, /* functions of unknown length */
    ASSIGN_MOST = 1024,            /* tasks in one message */
    ASSIGN_BYTES = 8192,           /* and about so many bytes, so that it travels in a frame */
    ASSIGN_TASK_BYTES = 64,        /* of a task without its payload */
    RETRY_NS = 20000000
};

/* ---- features ---- */

static double fraction(uint64_t free, uint64_t offer) {
    return offer ? (double)free / (double)offer : 1;
}

static uint64_t left(uint64_t offer, uint64_t others, uint64_t mine) {
    return offer > others + mine ? offer - others - mine : 0;
}

sl_task_features sl_scheduler_features(const sl_scheduler *scheduler, const sl_task *task) {
    return (sl_task_features){
        .cpus = task->cpus,
        .gpus = task->gpus,
        .memory_bytes = (double)task->memory_bytes,
        .ucu = (double)task->ucu_milli / 1000,
        .priority = task->priority,
        .age_s = (double)(scheduler->pass_ns - task->arrival_ns) / 1e9,
        .expected_s = scheduler->estimates.groups[task->group].mean_s,
        .timeout_s = (double)task->timeout_ns / 1e9,
        .payload_bytes = task->payload_bytes,
        .attempt = task->attempts + 1,
        .is_function = task->kind == SL_TASK_FUNCTION,
    };
}

static double nearness(const sl_scheduler *scheduler, const sl_node_view *view) {
    const sl_node_view *here = &scheduler->nodes.views[sl_node_id(sl_actor_node(scheduler->self))];
    if (view == here)
        return 1;
    if (strcmp(sl_node_host(view), sl_node_host(here)) == 0)
        return 0.75;
    return view->region == here->region ? 0.5 : 0;
}

static double age_s(const sl_scheduler *scheduler, const sl_node_view *view) {
    return scheduler->pass_ns > view->told_ns ? (double)(scheduler->pass_ns - view->told_ns) / 1e9
                                              : 0;
}

sl_node_features sl_scheduler_node_features(const sl_scheduler *scheduler, const sl_node_view *view,
                                            const sl_task *task, uint64_t slots) {
    const sl_amounts *offer = &view->offer, *others = &view->others, *mine = &view->mine;
    double run_s = sl_estimate_s(&scheduler->estimates, task->group, view->node);
    double wait_s =
        slots ? 0 : (double)view->work_ns / 1e9 / (double)(offer->cores ? offer->cores : 1);
    return (sl_node_features){
        .node = view->node,
        .cores_free = fraction(left(offer->cores, others->cores, mine->cores), offer->cores),
        .gpus_free = fraction(left(offer->gpus, others->gpus, mine->gpus), offer->gpus),
        .memory_free = fraction(left(offer->memory_bytes, others->memory_bytes, mine->memory_bytes),
                                offer->memory_bytes),
        .ucu_free =
            fraction(left(offer->ucu_milli, others->ucu_milli, mine->ucu_milli), offer->ucu_milli),
        .ucu = fraction(offer->ucu_milli, scheduler->nodes.largest_ucu_milli),
        .speed = scheduler->estimates.speed[view->node],
        .soonness = 1 / (1 + wait_s),
        .finish = 1 / (1 + wait_s + run_s),
        .nearness = nearness(scheduler, view),
        .reliability = (double)(view->attempts - view->refusals + 1) / (double)(view->attempts + 1),
        .expected_wait_s = wait_s,
        .expected_run_s = run_s,
        .view_age_s = scheduler->nodes.contended ? age_s(scheduler, view) : 0,
        .slots_free = (double)slots,
    };
}

/* ---- may this node take one more? ---- */

/* Tasks beyond what fits that a node may hold, for tasks that take `run_s` there. */
static uint64_t backlog_allowed(const sl_node_view *view, const sl_task *task, double run_s) {
    if (run_s <= 0)
        return task->kind == SL_TASK_FUNCTION ? BACKLOG_UNKNOWN_FUNCTION : 0;
    uint64_t width = task->cpus && view->offer.cores ? view->offer.cores / task->cpus : 1;
    double tasks = (double)(width ? width : 1) * (BACKLOG_NS / 1e9) / run_s;
    return tasks < BACKLOG_MOST ? (uint64_t)tasks : BACKLOG_MOST;
}

static uint64_t concurrent(const sl_node_view *view, const sl_task *task) {
    return task->cpus ? view->offer.cores / task->cpus : 1;
}

static bool has_room(const sl_scheduler *scheduler, const sl_node_view *view, const sl_task *task,
                     uint64_t *slots) {
    if (!view->usable || view->blocked || view->retry_ns > scheduler->pass_ns ||
        !sl_node_fits_ever(view, task))
        return false;
    if (sl_node_fits_now(view, task)) {
        *slots = sl_node_slots(view, task);
        return true;
    }
    *slots = 0;
    double run_s = sl_estimate_s(&scheduler->estimates, task->group, view->node);
    return view->tasks < concurrent(view, task) + backlog_allowed(view, task, run_s);
}

static bool has_room_somewhere(const sl_scheduler *scheduler, const sl_task *task) {
    uint64_t slots;
    for (uint32_t node = 0; node < scheduler->nodes.count; node++) {
        if (has_room(scheduler, &scheduler->nodes.views[node], task, &slots))
            return true;
    }
    return false;
}

/* With the end of the job known: a task that declared, or is known to take, longer is not started.
 */
static bool ends_in_time(const sl_scheduler *scheduler, const sl_task *task) {
    if (scheduler->options.end_s <= 0)
        return true;
    double longest_s = task->timeout_ns ? (double)task->timeout_ns / 1e9
                                        : scheduler->estimates.groups[task->group].mean_s;
    return scheduler->pass_wall_s + longest_s + scheduler->options.margin_s <=
           scheduler->options.end_s;
}

/* ---- one placement ---- */

static uint32_t candidates_of(sl_scheduler *scheduler, const sl_task *task) {
    uint32_t count = 0;
    for (uint32_t node = 0; node < scheduler->nodes.count; node++) {
        uint64_t slots = 0;
        if (has_room(scheduler, &scheduler->nodes.views[node], task, &slots))
            scheduler->candidates[count++] =
                (sl_node_features){.node = node, .slots_free = (double)slots};
    }
    return count;
}

static uint32_t ask_policy(sl_scheduler *scheduler, const sl_task *task, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        sl_node_features *candidate = &scheduler->candidates[i];
        *candidate = sl_scheduler_node_features(scheduler, &scheduler->nodes.views[candidate->node],
                                                task, (uint64_t)candidate->slots_free);
    }
    sl_task_features features = sl_scheduler_features(scheduler, task);
    return scheduler->policy->ops->choose(scheduler->policy, &features, scheduler->candidates,
                                          count, scheduler->scores);
}

static void assign(sl_scheduler *scheduler, sl_task *task, uint32_t node) {
    sl_node_view *view = &scheduler->nodes.views[node];
    task->state = SL_TASK_ASSIGNED;
    task->node = node;
    task->attempts++;
    task->choices++;
    task->placed_ns = scheduler->pass_ns;
    task->expected_ns = (uint64_t)(sl_estimate_s(&scheduler->estimates, task->group, node) * 1e9);
    view->attempts++;
    sl_node_place(view, task);
    scheduler->placed++;
}

/* For want of memory, here: there may be some soon, and nobody would say so. */
static void try_later(sl_scheduler *scheduler, uint32_t node) {
    scheduler->nodes.views[node].retry_ns = scheduler->pass_ns + RETRY_NS;
}

/* Where its largest argument lies, if it can begin there at once: nothing has to be moved. Else
 * `count`. */
static uint32_t find_near(const sl_scheduler *scheduler, const sl_task *task, uint32_t count) {
    uint32_t i = 0;
    while (i < count && (scheduler->candidates[i].node + 1 != task->near ||
                         scheduler->candidates[i].slots_free < 1))
        i++;
    return i;
}

/* The index among the candidates. With one there is nothing to choose, unless somebody wants to
 * read why. */
static uint32_t choose(sl_scheduler *scheduler, const sl_task *task, uint32_t count) {
    if (count == 1 && !scheduler->options.explain)
        return 0;
    uint32_t near = !task->near ? count : find_near(scheduler, task, count);
    return near < count ? near : ask_policy(scheduler, task, count);
}

/* False when the task fits nowhere now. */
static bool place_one(sl_scheduler *scheduler, sl_task *task) {
    uint32_t count = candidates_of(scheduler, task);
    if (!count)
        return false;
    uint32_t node = scheduler->candidates[choose(scheduler, task, count)].node;
    if (!sl_slot_list_push(&scheduler->outbox[node], task->slot)) {
        try_later(scheduler, node);
        return false;
    }
    sl_queue_take(&scheduler->queue, &scheduler->tasks, task);
    assign(scheduler, task, node);
    if (scheduler->options.ledger && scheduler->options.explain)
        sl_scheduler_write_placement(scheduler, task, count);
    return true;
}

static void hold(sl_scheduler *scheduler, sl_task *task) {
    sl_queue_take(&scheduler->queue, &scheduler->tasks, task);
    task->state = SL_TASK_HELD;
    scheduler->held++;
}

/* ---- sending ---- */

static void back_to_queue(sl_scheduler *scheduler, uint32_t node, const sl_slot_list *list,
                          uint32_t from) {
    sl_node_view *view = &scheduler->nodes.views[node];
    for (uint32_t i = list->count; i-- > from;) {
        sl_task *task = sl_task_at(&scheduler->tasks, list->slots[i]);
        sl_node_release(view, task);
        scheduler->placed--;
        task->attempts--;
        sl_scheduler_ready(scheduler, task, true);
    }
}

static sl_err send_some(sl_scheduler *scheduler, uint32_t node, const uint32_t *slots,
                        uint32_t count) {
    executor_task *tasks = malloc(count * sizeof *tasks);
    if (!tasks)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to assign %u tasks", count);
    for (uint32_t i = 0; i < count; i++) {
        const sl_task *task = sl_task_at(&scheduler->tasks, slots[i]);
        tasks[i] = (executor_task){.task = sl_task_number(task),
                                   .attempt = task->attempts,
                                   .kind = task->kind,
                                   .keep = task->keep,
                                   .cpus = task->cpus,
                                   .gpus = task->gpus,
                                   .memory_bytes = task->memory_bytes,
                                   .ucu_milli = task->ucu_milli,
                                   .timeout_ns = task->timeout_ns,
                                   .payload = {task->payload, task->payload_bytes}};
    }
    executor_assign body = {.tasks = {tasks, count},
                            .apart = sl_task_at(&scheduler->tasks, slots[0])->apart};
    sl_addr executor = sl_addr_well_known(node, SL_SLOT_EXECUTOR);
    sl_err err = executor_assign_send(scheduler->self, executor, &body);
    free(tasks);
    return err;
}

/* How many of the outbox, from `first` on, go in one message: one with data apart goes alone. */
static uint32_t message_tasks(const sl_scheduler *scheduler, const sl_slot_list *list,
                              uint32_t first) {
    uint32_t count = 0, left = list->count - first;
    for (size_t bytes = 0; count < left && count < ASSIGN_MOST && bytes < ASSIGN_BYTES; count++) {
        const sl_task *task = sl_task_at(&scheduler->tasks, list->slots[first + count]);
        if (task->apart)
            return count ? count : 1;
        bytes += ASSIGN_TASK_BYTES + task->payload_bytes;
    }
    return count;
}

static void send_outbox(sl_scheduler *scheduler, uint32_t node) {
    sl_slot_list *list = &scheduler->outbox[node];
    for (uint32_t sent = 0; sent < list->count;) {
        uint32_t count = message_tasks(scheduler, list, sent);
        sl_err err = send_some(scheduler, node, list->slots + sent, count);
        if (err != SL_OK) {
            back_to_queue(scheduler, node, list, sent);
            scheduler->nodes.views[node].blocked = err == SL_ERR_AGAIN;
            scheduler->nodes.views[node].usable &= err != SL_ERR_DEAD;
            if (err == SL_ERR_AGAIN)
                sl_await_room(scheduler->self, sl_addr_well_known(node, SL_SLOT_EXECUTOR));
            else
                sl_warn("scheduler", "cannot assign to node %u: %s", node, sl_err_detail());
            if (err == SL_ERR_NO_MEMORY)
                try_later(scheduler, node);
            break;
        }
        sent += count;
    }
    list->count = 0;
}

/* ---- a pass ---- */

static bool any_node_ever(const sl_scheduler *scheduler, const sl_task *task) {
    for (uint32_t node = 0; node < scheduler->nodes.count; node++) {
        const sl_node_view *view = &scheduler->nodes.views[node];
        if ((view->usable || view->joins) && sl_node_fits_ever(view, task))
            return true;
    }
    return false;
}

/* Once all nodes are known: tasks that none of them could ever run end now, with the reason. */
static void give_up_impossible(sl_scheduler *scheduler) {
    if (scheduler->impossible_checked || scheduler->nodes.known < scheduler->nodes.count)
        return;
    scheduler->impossible_checked = true;
    for (uint32_t i = scheduler->queue.active_count; i-- > 0;) {
        uint32_t shape = scheduler->queue.active[i];
        sl_task *task = sl_queue_first(&scheduler->queue, &scheduler->tasks, shape);
        if (any_node_ever(scheduler, task))
            continue;
        for (; task; task = sl_queue_first(&scheduler->queue, &scheduler->tasks, shape)) {
            char why[256];
            snprintf(why, sizeof why,
                     "no node of the network could ever run it: it asks for %u cpus, %u gpus, %.3g "
                     "GB, %.3g ucu%s%s%s",
                     task->cpus, task->gpus, (double)task->memory_bytes / 1e9,
                     (double)task->ucu_milli / 1000, task->region ? " in region " : "",
                     task->region ? scheduler->nodes.regions[task->region] : "",
                     task->among ? ", among the nodes that its client named" : "");
            sl_queue_take(&scheduler->queue, &scheduler->tasks, task);
            sl_scheduler_give_up(scheduler, task, SL_TASK_NOT_STARTED, why);
        }
    }
}

/* Opens the shapes whose first task has room somewhere, and those that have to be held. */
static void open_shapes(sl_scheduler *scheduler) {
    sl_queue_order *queue = &scheduler->queue;
    sl_queue_close_all(queue);
    for (uint32_t i = 0; i < queue->active_count; i++) {
        const sl_task *head = sl_queue_first(queue, &scheduler->tasks, queue->active[i]);
        if (has_room_somewhere(scheduler, head) || !ends_in_time(scheduler, head))
            sl_queue_open(queue, queue->active[i]);
    }
}

static void start_retry_timer(sl_scheduler *scheduler) {
    uint64_t soonest_ns = UINT64_MAX;
    for (uint32_t node = 0; node < scheduler->nodes.count; node++) {
        uint64_t at_ns = scheduler->nodes.views[node].retry_ns;
        if (at_ns > scheduler->pass_ns && at_ns < soonest_ns)
            soonest_ns = at_ns;
    }
    if (soonest_ns != UINT64_MAX && !scheduler->retry_timer)
        scheduler->retry_timer =
            sl_timer_start(scheduler->self, soonest_ns - scheduler->pass_ns, SL_TASK_NO_NUMBER);
}

static const sl_trace_point place_point = {
    .name = "place", .category = "scheduler", .a = "queued", .b = "running"};

void sl_scheduler_place(sl_scheduler *scheduler) {
    if (!scheduler->queue.count)
        return;
    uint64_t trace_start = sl_trace_now(scheduler->options.trace);
    scheduler->pass_ns = sl_now_ns(scheduler->self);
    scheduler->pass_wall_s =
        scheduler->options.end_s > 0 || scheduler->options.explain ? sl_wall_s(scheduler->self) : 0;
    give_up_impossible(scheduler);
    open_shapes(scheduler);
    for (sl_task *task; (task = sl_queue_best(&scheduler->queue, &scheduler->tasks));) {
        if (!ends_in_time(scheduler, task))
            hold(scheduler, task);
        else if (!place_one(scheduler, task))
            sl_queue_close(&scheduler->queue, task->shape);
    }
    for (uint32_t node = 0; node < scheduler->nodes.count; node++) {
        if (scheduler->outbox[node].count)
            send_outbox(scheduler, node);
    }
    if (scheduler->queue.count)
        start_retry_timer(scheduler);
    sl_trace_span(scheduler->options.trace, &place_point, trace_start, 0, scheduler->queue.count,
                  scheduler->placed);
}
