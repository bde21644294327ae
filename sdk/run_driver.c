/* The actor that drives a run, on the first node. The end: the scheduler is stopped, so that
 * nothing is written any more; a thread closes ledger and logs (that waits for the disk); then
 * every node is told to stop. Who hears of the end of the run by its exit code can rely on its
 * files. */
#include "sdk/run_seal.h"

#include <signal.h>
#include <string.h>

#include "runtime/log.h"
#include "runtime/runtime_msgs.h"
#include "sdk/launch_state.h"
#include "sdk/network_stop.h"
#include "sdk/run_msgs.h"

#define TICK_NS         (100 * SL_NS_PER_MS)
#define WAIT_FOR_ALL_NS (3 * SL_NS_PER_S) /* then tasks go to the nodes that are known */
/* A function that does not ask whether it is cancelled cannot be ended: it is left behind. Longer
 * than the grace of a command (2 s); whatever runs, the ledger is closed within 5 s of a signal. */
#define DRAIN_NS        (4 * SL_NS_PER_S)

enum { COOKIE_TICK, COOKIE_WAITED };

/* ---- the end ---- */

static void *close_files(void *argument) {
    sl_run_state *run = argument;
    sl_run_close_files(run);
    sl_notify(sl_actor_node(run->self), &run->closed);
    return NULL;
}

void sl_run_end(sl_run_state *run, int code, const char *reason) {
    if (run->ending)
        return;
    run->ending = true;
    run->code = code;
    run->reason = reason;
    sl_progress_clear(&run->progress);
    sl_stop(run->self, sl_addr_well_known(0, SL_SLOT_SCHEDULER));
    run->closed.to = sl_self(run->self);
    run->closer_running = pthread_create(&run->closer, NULL, close_files, run) == 0;
    if (!run->closer_running)
        close_files(run);
}

void sl_run_drain(sl_run_state *run, int code, const char *reason) {
    scheduler_drain drain = {};
    if (run->draining || run->ending)
        return;
    run->draining = true;
    run->code = code;
    run->reason = reason;
    run->drain_deadline_ns = sl_now_ns(run->self) + DRAIN_NS;
    sl_err err = scheduler_drain_send(run->self, sl_addr_well_known(0, SL_SLOT_SCHEDULER), &drain);
    if (err != SL_OK)
        sl_run_end(run, code, reason);
}

void sl_run_fail(sl_run_state *run, const char *what) {
    snprintf(run->failure, sizeof run->failure, "%s: %.400s", what, sl_err_detail());
    if (run->next) /* else the scheduler has nothing to drain, and knows of nobody to tell so */
        sl_run_drain(run, SL_RUN_FAILED, "failed");
    else
        sl_run_end(run, SL_RUN_FAILED, "failed");
}

static void check_finished(sl_run_state *run) {
    if (run->counts.finished == run->total)
        sl_run_end(run, run->counts.failed ? SL_RUN_FAILED : SL_RUN_DONE, "finished");
}

static void on_drained(sl_run_state *run) {
    run->drained = run->opening > 0; /* then again, when all results are opened */
    if (run->drained)
        return;
    if (run->draining)
        sl_run_end(run, run->code, run->reason);
    else if (run->next < run->total || run->unaccepted) /* those held back are not all there are */
        return;
    else
        sl_run_end(run, SL_RUN_REQUEUE, "requeue");
}

static void on_signal(sl_run_state *run, uint32_t number) {
    bool interrupt = number == SIGINT;
    if (!run->draining && !run->ending)
        sl_run_say(run, "starlane: %s; ending the tasks that run\n",
                   interrupt ? "interrupted" : "told to end");
    sl_run_drain(run, interrupt ? SL_RUN_INTERRUPTED : SL_RUN_REQUEUE,
                 interrupt ? "interrupted" : "requeue");
}

/* ---- the network as it becomes known ---- */

static void know(sl_run_state *run, const registry_member *member) {
    if (member->node >= run->network->count)
        return;
    sl_run_node *node = &run->nodes[member->node];
    run->nodes_known += !node->known;
    node->known = true;
    snprintf(node->host, sizeof node->host, "%s", member->host.data);
    snprintf(node->region, sizeof node->region, "%s", member->region.data);
    run->summary.ranks[member->node].host = node->host;
    run->summary.ranks[member->node].region = node->region;
    if (member->offer.count == 1 &&
        member->state != SL_MEMBER_JOINING) { /* a spare offers nothing */
        run->summary.ranks[member->node].cores = member->offer.items[0].cores;
        run->counts.running -= node->running;
        node->running = member->offer.items[0].running;
        run->counts.running += node->running;
    }
}

static void begin(sl_run_state *run) {
    run->submitting = true;
    sl_run_submit(run);
}

static void on_view(sl_run_state *run, const registry_view *view) {
    for (uint32_t i = 0; i < view->members.count; i++)
        know(run, &view->members.items[i]);
    if (!run->submitting && run->nodes_known == run->network->count)
        begin(run);
}

/* ---- time ---- */

static void tick(sl_run_state *run) {
    uint64_t now_ns = sl_now_ns(run->self);
    (void)sl_timer_start(run->self, TICK_NS, COOKIE_TICK);
    sl_launch_tell_alive(now_ns);
    sl_progress_report(&run->progress, &run->counts, now_ns);
    if (run->draining && now_ns > run->drain_deadline_ns) {
        run->network->clean = false;
        run->network->stuck = true;
        sl_run_end(run, run->code, run->reason);
    }
}

static void on_timer(sl_run_state *run, const node_timer *timer) {
    if (timer->cookie == COOKIE_TICK) {
        tick(run);
    } else if (!run->submitting) {
        sl_warn("run", "%u of %u nodes are known; starting with these", run->nodes_known,
                run->network->count);
        begin(run);
    }
}

/* ---- the actor ---- */

static sl_err driver_start(sl_actor *self, void *state, const void *arguments) {
    sl_run_argument *own = state;
    *own = *(const sl_run_argument *)arguments;
    sl_run_state *run = own->run;
    run->self = self;
    sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    (void)sl_timer_start(self, TICK_NS, COOKIE_TICK);
    (void)sl_timer_start(self, WAIT_FOR_ALL_NS, COOKIE_WAITED);
    registry_watch watch = {};
    return registry_watch_send(self, sl_addr_well_known(0, SL_SLOT_REGISTRY), &watch);
}

/* Two ranks may have lost each other, and found each other again, and nobody else know of it. */
static void stop_all(sl_run_state *run) {
    run_lost body = {};
    for (uint32_t rank = 1; rank < run->network->count && !run->network->clean; rank++)
        (void)run_lost_send(run->self, sl_addr_well_known(rank, SL_SLOT_DRIVER), &body);
    sl_network_stop_all(run->self, (uint32_t)run->code);
}

static void on_event(sl_run_state *run, sl_event *event) {
    if (event == &run->closed) {
        stop_all(run);
    } else if (event == &run->room) {
        sl_run_on_room(run);
    } else if (event->kind == SL_RUN_SEALED) {
        sl_run_on_sealed(run, (sl_run_batch *)(void *)event);
    } else if (event->kind == SL_RUN_OPENED) {
        sl_run_on_opened(run, (sl_run_opened *)(void *)event);
        if (run->drained && !run->opening)
            on_drained(run);
    } else
        on_signal(run, (uint32_t)sl_run_signal());
}

static sl_err driver_receive(sl_actor *self, void *state, const sl_message *message) {
    sl_run_state *run = ((sl_run_argument *)state)->run;
    (void)self;
    if (run->ending && message->type->id != node_event_id) /* the closer reads what would change */
        return SL_OK;
    switch (message->type->id) {
    case registry_view_id:
        on_view(run, message->body);
        break;
    case scheduler_accepted_id:
        sl_run_on_accepted(run, message->body);
        break;
    case scheduler_done_id:
        sl_run_on_done(run, message->body);
        break;
    case scheduler_drained_id:
        on_drained(run);
        break;
    case run_signal_id:
        on_signal(run, ((const run_signal *)message->body)->signal);
        break;
    case node_event_id:
        on_event(run, node_event_of(message));
        break;
    case node_timer_id:
        on_timer(run, message->body);
        break;
    case node_room_id:
        sl_run_submit(run);
        break;
    case node_peer_lost_id:
        sl_network_lose(run->network, ((const node_peer_lost *)message->body)->node);
        break;
    case run_lost_id:
        run->network->clean = false;
        break;
    case node_peer_back_id:
        sl_network_regain(run->network, ((const node_peer_back *)message->body)->node);
        break;
    default:
        sl_warn("run", "unwelcome message %s from node %u", message->type->record.name,
                message->from.node);
    }
    check_finished(run);
    return SL_OK;
}

const sl_actor_class sl_run_driver_class = {.name = "driver",
                                            .state_bytes = sizeof(sl_run_argument),
                                            .start = driver_start,
                                            .receive = driver_receive};
