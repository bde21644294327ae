/* What happens when an actor's receive fails: restart, at a bounded rate, or escalate. */
#include "runtime/node_internal.h"

static bool may_restart(sl_actor *actor) {
    sl_supervision *supervision = actor->supervision;
    const sl_actor_class *actor_class = actor->actor_class;
    if (!supervision || !actor_class->max_restarts)
        return false;
    uint64_t now_ns = sl_node_now_ns(actor->node);
    if (!supervision->restarts || now_ns - supervision->window_start_ns > actor_class->window_ns) {
        supervision->window_start_ns = now_ns;
        supervision->restarts = 0;
    }
    return supervision->restarts < actor_class->max_restarts;
}

/* The mailbox and the address stay; the state is made anew. On failure there is no state. */
static sl_err restart(sl_actor *actor) {
    sl_actor_leave(actor);
    actor->supervision->restarts++;
    sl_metric_add(actor->node->metrics, SL_METRIC_actors_restarted, 1);
    return sl_actor_start(actor);
}

static void tell_parent(sl_node *node, sl_addr parent, sl_addr child, sl_err failure) {
    node_child_failed body = {child, (uint32_t)failure};
    if (parent.slot != UINT32_MAX &&
        sl_deliver_local(node, child, parent, &node_child_failed_type, &body) == SL_OK)
        return;
    sl_error("node", "actor failed for good, the node ends: %s", sl_err_text(failure));
    if (node->failure == SL_OK)
        node->failure = failure;
    sl_node_stop(node, 1);
}

void sl_supervise(sl_actor *actor, sl_err failure) {
    sl_warn("node", "actor %s at slot %u failed: %s: %s", actor->actor_class->name, actor->slot,
            sl_err_text(failure), sl_err_detail());
    while (!(actor->flags & SL_ACTOR_STOPPING) && may_restart(actor)) {
        failure = restart(actor);
        if (failure == SL_OK)
            return;
    }
    if (actor->flags & SL_ACTOR_STOPPING) /* it was about to end: that is no loss to anyone */
        return;
    sl_node *node = actor->node;
    sl_addr parent = {node->id, actor->parent_slot, actor->parent_generation};
    sl_addr child = sl_self(actor);
    sl_actor_end(actor);
    tell_parent(node, parent, child, failure);
}
