/* The actor of a run on every node but the first: it passes on that it was sent a signal, and ends
 * its node when the first one, which drives the run, is lost for good.
 *
 * Design notes
 * A node that was frozen or cut off hears of the first one as of any other that it lost it, and
 * that it is back. So it waits, after its executor has ended what the first node had assigned: a
 * short while if others are still there, for then it is the first node that is silent, not this
 * one; longer if all are silent, or the first one is heard to be calling. When its process is known
 * to have ended there is nothing to wait for, and the sooner all have ended, the sooner launch
 * starts them again. */
#include "runtime/log.h"
#include "runtime/runtime_msgs.h"
#include "sdk/launch_state.h"
#include "sdk/network.h"
#include "sdk/network_stop.h"
#include "sdk/run.h"
#include "sdk/run_msgs.h"

enum { ALONE_TIMES = 3, SILENT_PART = 4 /* of the time of silence after which a node is dead */ };

typedef struct follower {
    sl_actor *self;
    sl_network *network;
    bool calls; /* the first node was heard of when it was lost */
    uint64_t lost_ns;
    uint64_t timer; /* 0: the first node is there */
} follower;

static bool others_are_there(const follower *f) {
    const sl_node *node = sl_actor_node(f->self);
    for (uint32_t peer = 1; peer < sl_node_count(node); peer++)
        if (sl_node_peer_alive(node, peer))
            return true;
    return false;
}

static void end(const follower *f, bool gone) {
    sl_error("run", "the node that drives the run is lost; this node ends");
    sl_launch_tell_alone(gone);
    sl_node_stop(sl_actor_node(f->self), SL_RUN_FAILED);
}

static uint64_t patience_ns(const follower *f) {
    uint64_t dead_ns = sl_link_timings_longest_ns(&f->network->timings);
    return others_are_there(f) && !f->calls ? dead_ns / SILENT_PART : dead_ns * ALONE_TIMES;
}

/* Who is there may change while it waits. */
static void wait_on(follower *f) {
    uint64_t dead_ns = sl_link_timings_longest_ns(&f->network->timings);
    f->timer = 0;
    if (sl_now_ns(f->self) - f->lost_ns < patience_ns(f))
        f->timer = sl_timer_start(f->self, dead_ns / SILENT_PART, 0);
    if (!f->timer)
        end(f, false);
}

static void on_lost(follower *f, const node_peer_lost *lost) {
    sl_network_lose(f->network, lost->node);
    if (lost->node != 0) {
        run_lost body = {};
        (void)run_lost_send(f->self, sl_addr_well_known(0, SL_SLOT_DRIVER), &body);
        return;
    }
    if (lost->gone) {
        end(f, true);
        return;
    }
    f->calls = lost->calls;
    if (f->timer)
        return;
    f->lost_ns = sl_now_ns(f->self);
    wait_on(f);
}

static void on_back(follower *f, const node_peer_back *back) {
    run_lost body = {};
    sl_network_regain(f->network, back->node);
    if (back->node != 0 || !f->timer)
        return;
    (void)run_lost_send(f->self, sl_addr_well_known(0, SL_SLOT_DRIVER), &body);
    sl_timer_cancel(f->self, f->timer);
    f->timer = 0;
    sl_warn("run", "this node was given up and is back; what it ran meanwhile does not count");
}

static sl_err follower_start(sl_actor *self, void *state, const void *arguments) {
    follower *f = state;
    *f = (follower){.self = self, .network = ((const sl_run_argument *)arguments)->network};
    sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    return SL_OK;
}

static sl_err follower_receive(sl_actor *self, void *state, const sl_message *message) {
    follower *f = state;
    run_signal body = {(uint32_t)sl_run_signal()};
    switch (message->type->id) {
    case node_event_id:
        (void)run_signal_send(self, sl_addr_well_known(0, SL_SLOT_DRIVER), &body);
        break;
    case node_peer_lost_id:
        on_lost(f, message->body);
        break;
    case run_lost_id:
        f->network->clean = false;
        break;
    case node_peer_back_id:
        on_back(f, message->body);
        break;
    case node_timer_id:
        if (((const node_timer *)message->body)->timer == f->timer)
            wait_on(f);
        break;
    default:
        break;
    }
    return SL_OK;
}

const sl_actor_class sl_run_follower_class = {.name = "follower",
                                              .state_bytes = sizeof(follower),
                                              .start = follower_start,
                                              .receive = follower_receive};
