/* Actors that wait for room: in a mailbox here, or in the window to another node. */
#include "runtime/node_internal.h"
#include "runtime/plant.h"

static sl_err waiter_add(sl_node *node, sl_waiter waiter) {
    for (uint32_t i = 0; i < node->waiter_count; i++) {
        if (sl_addr_equal(node->waiters[i].at, waiter.at) &&
            sl_addr_equal(node->waiters[i].who, waiter.who))
            return SL_OK;
    }
    if (node->waiter_count == node->waiter_capacity) {
        uint32_t capacity = node->waiter_capacity ? 2 * node->waiter_capacity : 16;
        sl_waiter *waiters = realloc(node->waiters, capacity * sizeof *waiters);
        if (!waiters)
            return SL_ERR_NO_MEMORY;
        node->waiters = waiters;
        node->waiter_capacity = capacity;
    }
    node->waiters[node->waiter_count++] = waiter;
    return SL_OK;
}

static bool mailbox_has_room(const sl_actor *actor) {
    return actor->waiting <= sl_mailbox_limit(actor) / 2;
}

static bool must_wait(sl_node *node, sl_addr to) {
    if (to.node != node->id)
        return !sl_channel_await_room(node, to.node);
    sl_actor *actor = sl_actor_find(node, to);
    if (!actor || mailbox_has_room(actor))
        return false;
    actor->flags |= SL_ACTOR_AWAITED;
    return true;
}

static void tell(sl_node *node, sl_waiter waiter) {
    node_room room = {waiter.at};
    (void)sl_node_tell(node, waiter.who, &node_room_type, &room);
}

/* Without memory to remember the waiter it is told at once: it will be refused and ask again. */
void sl_await_room(sl_actor *self, sl_addr to) {
    sl_node *node = self->node;
    sl_waiter waiter = {to, sl_self(self)};
    if (!must_wait(node, to) || waiter_add(node, waiter) != SL_OK)
        tell(node, waiter);
}

static void tell_matching(sl_node *node, sl_addr at, bool whole_node) {
    uint32_t kept = 0, count = node->waiter_count;
    for (uint32_t i = 0; i < count; i++) {
        sl_waiter waiter = node->waiters[i];
        if (whole_node ? waiter.at.node == at.node : sl_addr_equal(waiter.at, at))
            tell(node, waiter);
        else
            node->waiters[kept++] = waiter;
    }
    node->waiter_count = kept;
}

void sl_waiters_tell(sl_node *node, sl_addr at) {
    tell_matching(node, at, false);
}

void sl_waiters_tell_node(sl_node *node, uint32_t peer) {
    if (node->waiter_count && !SL_PLANT(room_untold))
        tell_matching(node, (sl_addr){peer, 0, 0}, true);
}

void sl_waiters_check(sl_actor *actor) {
    if (!mailbox_has_room(actor))
        return;
    actor->flags &= ~(uint32_t)SL_ACTOR_AWAITED;
    sl_waiters_tell(actor->node, sl_self(actor));
}
