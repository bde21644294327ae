/* Design notes
 * A local send copies the body into an envelope behind the actor's queue. Two run queues hold the
 * actors that have something to do: urgent (control and local messages) is looked at before every
 * message, ready (data) round robin. The bound of a mailbox refuses local senders; a remote sender
 * is held back by credit, which an envelope gives back only when its message has been handled. */
#include "runtime/node_internal.h"

#include <string.h>

/* ---- envelopes ---- */

sl_envelope *sl_envelope_take(sl_node *node, const sl_message_type *type, sl_addr from,
                              size_t body_bytes) {
    size_t bytes = sizeof(sl_envelope) + body_bytes;
    sl_envelope *envelope = bytes <= UINT32_MAX ? sl_slab_take(&node->slab, bytes) : NULL;
    if (!envelope) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a message of %zu bytes", bytes);
        return NULL;
    }
    *envelope =
        (sl_envelope){.type = type, .body = envelope + 1, .from = from, .bytes = (uint32_t)bytes};
    return envelope;
}

void sl_envelope_free(sl_node *node, sl_envelope *envelope) {
    if (!envelope->hollow && !envelope->type->record.flat)
        sl_record_release(&envelope->type->record, envelope->body);
    if (envelope->credit)
        sl_channel_credit(node, envelope->from.node, envelope->type->lane, envelope->credit,
                          envelope->bulk_credit);
    if (envelope->body_apart)
        free(envelope->body);
    sl_slab_give(&node->slab, envelope, envelope->bytes);
}

/* ---- queues ---- */

static inline void queue_push(sl_queue *queue, sl_envelope *envelope) {
    if (queue->tail)
        queue->tail->next = envelope;
    else
        queue->head = envelope;
    queue->tail = envelope;
}

static inline sl_envelope *queue_pop(sl_queue *queue) {
    sl_envelope *envelope = queue->head;
    queue->head = envelope->next;
    if (!queue->head)
        queue->tail = NULL;
    return envelope;
}

static inline bool deliverable(const sl_queue *queue) {
    return queue->head && !queue->head->pending;
}

static inline void push_urgent(sl_node *node, sl_actor *actor) {
    actor->flags |= SL_ACTOR_URGENT;
    actor->next_urgent = NULL;
    if (node->urgent.tail)
        node->urgent.tail->next_urgent = actor;
    else
        node->urgent.head = actor;
    node->urgent.tail = actor;
}

static inline void push_ready(sl_node *node, sl_actor *actor) {
    actor->flags |= SL_ACTOR_READY;
    actor->next_ready = NULL;
    if (node->ready.tail)
        node->ready.tail->next_ready = actor;
    else
        node->ready.head = actor;
    node->ready.tail = actor;
}

void sl_actor_schedule(sl_actor *actor) {
    if (actor->mailbox[SL_LANE_CONTROL].head && !(actor->flags & SL_ACTOR_URGENT))
        push_urgent(actor->node, actor);
    if (deliverable(&actor->mailbox[SL_LANE_DATA]) && !(actor->flags & SL_ACTOR_READY))
        push_ready(actor->node, actor);
}

void sl_mailbox_put(sl_actor *actor, sl_envelope *envelope) {
    sl_node *node = actor->node;
    node->messages_waiting++;
    if (envelope->type->lane == SL_LANE_DATA) {
        actor->waiting++;
        queue_push(&actor->mailbox[SL_LANE_DATA], envelope);
        if (!(actor->flags & SL_ACTOR_READY) && deliverable(&actor->mailbox[SL_LANE_DATA]))
            push_ready(node, actor);
        return;
    }
    queue_push(&actor->mailbox[SL_LANE_CONTROL], envelope);
    if (!(actor->flags & SL_ACTOR_URGENT))
        push_urgent(node, actor);
}

static uint32_t mailbox_limit(const sl_actor *actor) {
    uint32_t limit = actor->actor_class->mailbox_limit;
    return limit ? limit : actor->node->options.mailbox_limit;
}

sl_err sl_deliver_local(sl_node *node, sl_addr from, sl_addr to, const sl_message_type *type,
                        const void *body) {
    sl_actor *actor = sl_actor_find(node, to);
    if (!actor) {
        sl_metric_add(node->metrics, SL_METRIC_dead_letters, 1);
        return sl_fail(SL_ERR_DEAD, "no actor lives at %u.%u.%u", to.node, to.slot, to.generation);
    }
    if (type->lane == SL_LANE_DATA && actor->waiting >= mailbox_limit(actor)) {
        sl_metric_add(node->metrics, SL_METRIC_mailbox_full, 1);
        return sl_fail(SL_ERR_AGAIN, "the mailbox of %s is full", actor->actor_class->name);
    }
    SL_TRY(sl_record_check(&type->record, body));
    sl_envelope *envelope =
        sl_envelope_take(node, type, from, sl_record_memory_bytes(&type->record, body));
    if (!envelope)
        return SL_ERR_NO_MEMORY;
    sl_record_copy(&type->record, body, envelope->body);
    sl_metric_add(node->metrics, SL_METRIC_messages_local, 1);
    sl_mailbox_put(actor, envelope);
    return SL_OK;
}

static void drop_queue(sl_actor *actor, sl_queue *queue) {
    for (sl_envelope *envelope = queue->head, *next; envelope; envelope = next) {
        next = envelope->next;
        actor->node->messages_waiting--;
        if (envelope->type == &node_event_type && !envelope->dropped) {
            sl_event *event = (sl_event *)(uintptr_t)((node_event *)envelope->body)->event;
            if (event->drop)
                event->drop(event);
        }
        if (envelope
                ->pending) /* its transfers still point here: the channel frees it when they end */
            sl_channel_orphan(envelope);
        else
            sl_envelope_free(actor->node, envelope);
    }
    *queue = (sl_queue){NULL, NULL};
}

void sl_mailbox_drop_all(sl_actor *actor) {
    drop_queue(actor, &actor->mailbox[SL_LANE_CONTROL]);
    drop_queue(actor, &actor->mailbox[SL_LANE_DATA]);
    actor->waiting = 0;
}

/* ---- waiting for room ---- */

void sl_await_room(sl_actor *self, sl_addr to) {
    sl_node *node = self->node;
    sl_waiter waiter = {to, sl_self(self)};
    for (uint32_t i = 0; i < node->waiter_count; i++) {
        if (sl_addr_equal(node->waiters[i].at, to) &&
            sl_addr_equal(node->waiters[i].who, waiter.who))
            return;
    }
    if (node->waiter_count == node->waiter_capacity) {
        uint32_t capacity = node->waiter_capacity ? 2 * node->waiter_capacity : 16;
        sl_waiter *waiters = realloc(node->waiters, capacity * sizeof *waiters);
        if (!waiters)
            return;
        node->waiters = waiters;
        node->waiter_capacity = capacity;
    }
    node->waiters[node->waiter_count++] = waiter;
    sl_actor *actor = to.node == node->id ? sl_actor_find(node, to) : NULL;
    if (actor)
        actor->flags |= SL_ACTOR_AWAITED;
    else if (to.node == node->id || sl_channel_has_room(node, to.node))
        sl_waiters_tell(node, to);
}

static void tell_matching(sl_node *node, sl_addr at, bool whole_node) {
    uint32_t kept = 0, count = node->waiter_count;
    for (uint32_t i = 0; i < count; i++) {
        sl_waiter waiter = node->waiters[i];
        bool match = whole_node ? waiter.at.node == at.node : sl_addr_equal(waiter.at, at);
        if (!match) {
            node->waiters[kept++] = waiter;
            continue;
        }
        node_room room = {waiter.at};
        (void)sl_deliver_local(node, SL_NO_ADDR, waiter.who, &node_room_type, &room);
    }
    node->waiter_count = kept;
}

void sl_waiters_tell(sl_node *node, sl_addr at) {
    tell_matching(node, at, false);
}

void sl_waiters_tell_node(sl_node *node, uint32_t peer) {
    if (node->waiter_count)
        tell_matching(node, (sl_addr){peer, 0, 0}, true);
}

/* ---- running ---- */

static void handle(sl_node *node, sl_actor *actor, sl_queue *queue) {
    sl_envelope *envelope = queue_pop(queue);
    sl_err failure = SL_OK;
    node->messages_waiting--;
    node->running = actor;
    if (!envelope->dropped) {
        sl_message message = {envelope->type, envelope->from, envelope->body};
        failure = actor->actor_class->receive(actor, actor->state, &message);
    }
    sl_envelope_free(node, envelope);
    node->running = NULL;
    if (failure != SL_OK)
        sl_supervise(actor, failure);
    else if (actor->flags & SL_ACTOR_STOPPING)
        sl_actor_end(actor);
}

static void run_urgent(sl_node *node, uint32_t *budget) {
    while (node->urgent.head && *budget) {
        sl_actor *actor = node->urgent.head;
        sl_queue *queue = &actor->mailbox[SL_LANE_CONTROL];
        if (queue->head) {
            (*budget)--;
            handle(node, actor, queue);
        }
        if (queue->head)
            continue;
        node->urgent.head = actor->next_urgent;
        if (!node->urgent.head)
            node->urgent.tail = NULL;
        actor->flags &= ~(uint32_t)SL_ACTOR_URGENT;
        sl_actor_unqueued(actor);
    }
}

static void check_room(sl_actor *actor) {
    if ((actor->flags & SL_ACTOR_AWAITED) && actor->waiting <= mailbox_limit(actor) / 2) {
        actor->flags &= ~(uint32_t)SL_ACTOR_AWAITED;
        sl_waiters_tell(actor->node, sl_self(actor));
    }
}

/* Up to SL_CLOCK_EVERY data messages of the first ready actor. */
static void run_ready(sl_node *node, uint32_t *budget) {
    sl_actor *actor = node->ready.head;
    sl_queue *queue = &actor->mailbox[SL_LANE_DATA];
    for (int i = 0; i < SL_CLOCK_EVERY && deliverable(queue) && !node->urgent.head && *budget;
         i++) {
        (*budget)--;
        actor->waiting--;
        handle(node, actor, queue);
    }
    check_room(actor);
    if (deliverable(queue) && node->ready.head == node->ready.tail)
        return;
    node->ready.head = actor->next_ready;
    if (!node->ready.head)
        node->ready.tail = NULL;
    actor->flags &= ~(uint32_t)SL_ACTOR_READY;
    if (deliverable(queue))
        push_ready(node, actor);
    else
        sl_actor_unqueued(actor);
}

enum { TURN_NS = 50000 };

bool sl_run_actors(sl_node *node) {
    if (!node->urgent.head && !node->ready.head)
        return false;
    uint32_t budget = SL_TURN_MESSAGES;
    uint64_t start_ns = sl_node_now_ns(node);
    while (budget) {
        uint32_t before = budget;
        run_urgent(node, &budget);
        if (node->ready.head)
            run_ready(node, &budget);
        if (budget == before)
            break;
        if (before - budget >= SL_CLOCK_EVERY && sl_node_now_ns(node) - start_ns > TURN_NS)
            break;
    }
    uint32_t handled = SL_TURN_MESSAGES - budget;
    if (handled) {
        sl_metric_observe(node->metrics, SL_METRIC_handler_ns,
                          (sl_node_now_ns(node) - start_ns) / handled);
        sl_metric_add(node->metrics, SL_METRIC_messages_received, handled);
    }
    return true;
}
