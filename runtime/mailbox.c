/* Design notes
 * A local send copies the body into an envelope behind the actor's queue. Two run queues hold the
 * actors that have something to do: urgent (control and local messages) is looked at before every
 * message, ready (data) round robin. The bound of a mailbox refuses local senders; a remote sender
 * is held back by credit, which an envelope gives back only when its message has been handled. */
#include "runtime/node_internal.h"
#include "runtime/plant.h"

#include <string.h>

/* ---- envelopes ---- */

static inline sl_envelope *take(sl_node *node, const sl_message_type *type, sl_addr from,
                                size_t bytes) {
    sl_envelope *envelope = bytes <= UINT32_MAX ? sl_slab_take(&node->slab, bytes) : NULL;
    if (!envelope) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a message of %zu bytes", bytes);
        return NULL;
    }
    *envelope = (sl_envelope){.type = type, .from = from, .bytes = (uint32_t)bytes};
    return envelope;
}

sl_envelope *sl_envelope_take(sl_node *node, const sl_message_type *type, sl_addr from,
                              size_t body_bytes, bool with_note) {
    size_t head_bytes = sizeof(sl_envelope) + (with_note ? sizeof(sl_bulk_note) : 0);
    sl_envelope *envelope = take(node, type, from, head_bytes + body_bytes);
    if (!envelope || !with_note)
        return envelope;
    envelope->has_note = 1;
    *sl_envelope_note(envelope) = (sl_bulk_note){.body_apart = NULL};
    return envelope;
}

static void give_back_credit(sl_node *node, sl_envelope *envelope) {
    sl_channel_credit(node, envelope->from.node, envelope->type->lane, envelope->credit,
                      envelope->has_note ? sl_envelope_note(envelope)->credit : 0);
}

static inline void envelope_free(sl_node *node, sl_envelope *envelope) {
    bool kept = SL_PLANT(blob_leaked) && envelope->dropped;
    if (!envelope->type->record.flat && !envelope->hollow && !kept)
        sl_record_release(&envelope->type->record, sl_envelope_body(envelope));
    if (envelope->credit)
        give_back_credit(node, envelope);
    if (envelope->has_note)
        free(sl_envelope_note(envelope)->body_apart);
    sl_slab_give(&node->slab, envelope, envelope->bytes);
}

void sl_envelope_free(sl_node *node, sl_envelope *envelope) {
    envelope_free(node, envelope);
}

/* ---- queues ---- */

static inline void queue_push(sl_queue *queue, sl_envelope *envelope) {
    if (SL_PLANT(bulk_overtaken) && queue->head && queue->head->pending) {
        envelope->next = queue->head;
        queue->head = envelope;
        return;
    }
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

static inline void put(sl_actor *actor, sl_envelope *envelope) {
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

void sl_mailbox_put(sl_actor *actor, sl_envelope *envelope) {
    put(actor, envelope);
}

bool sl_mailbox_put_flat(sl_actor *actor, const sl_message_type *type, sl_addr from,
                         uint32_t credit, const void *body) {
    sl_envelope *envelope = take(actor->node, type, from, sizeof *envelope + type->record.bytes);
    if (!envelope)
        return false;
    envelope->credit = credit;
    sl_copy_flat(envelope + 1, body, type->record.bytes);
    put(actor, envelope);
    return true;
}

/* ---- sending ---- */

static __attribute__((cold, noinline)) sl_err nobody_there(sl_node *node, sl_addr to) {
    sl_metric_add(node->metrics, SL_METRIC_dead_letters, 1);
    return sl_fail(SL_ERR_DEAD, "no actor lives at %u.%u.%u", to.node, to.slot, to.generation);
}

static __attribute__((cold, noinline)) sl_err mailbox_full(sl_node *node, const sl_actor *actor) {
    sl_metric_add(node->metrics, SL_METRIC_mailbox_full, 1);
    return sl_fail(SL_ERR_AGAIN, "the mailbox of %s is full", actor->actor_class->name);
}

/* Apart, so that the short way of most messages needs no more than it does. */
static __attribute__((noinline)) sl_err deliver_deep(sl_node *node, sl_addr from, sl_actor *actor,
                                                     const sl_message_type *type,
                                                     const void *body) {
    sl_record_size size;
    SL_TRY(sl_record_survey(&type->record, body, &size));
    sl_envelope *envelope = take(node, type, from, sizeof *envelope + size.memory_bytes);
    if (!envelope)
        return SL_ERR_NO_MEMORY;
    sl_record_copy(&type->record, body, envelope + 1);
    sl_metric_add(node->metrics, SL_METRIC_messages_local, 1);
    put(actor, envelope);
    return SL_OK;
}

static inline sl_err deliver(sl_node *node, sl_addr from, sl_addr to, const sl_message_type *type,
                             const void *body) {
    sl_actor *actor = sl_actor_find(node, to);
    if (!actor)
        return nobody_there(node, to);
    if (type->lane == SL_LANE_DATA && actor->waiting >= sl_mailbox_limit(actor))
        return mailbox_full(node, actor);
    if (!type->record.flat)
        return deliver_deep(node, from, actor, type, body);
    sl_envelope *envelope = take(node, type, from, sizeof *envelope + type->record.bytes);
    if (!envelope)
        return SL_ERR_NO_MEMORY;
    sl_copy_flat(envelope + 1, body, type->record.bytes);
    sl_metric_add(node->metrics, SL_METRIC_messages_local, 1);
    put(actor, envelope);
    return SL_OK;
}

sl_err sl_deliver_local(sl_node *node, sl_addr from, sl_addr to, const sl_message_type *type,
                        const void *body) {
    return deliver(node, from, to, type, body);
}

sl_err sl_send(sl_actor *self, sl_addr to, const sl_message_type *type, const void *body) {
    sl_node *node = self->node;
    sl_addr from = {node->id, self->slot, self->generation};
    if (to.node == node->id)
        return deliver(node, from, to, type, body);
    return sl_channel_send(node, from, to, type, body);
}

sl_err sl_node_send(sl_node *node, sl_addr to, const sl_message_type *type, const void *body) {
    if (to.node == node->id)
        return sl_deliver_local(node, SL_NO_ADDR, to, type, body);
    return sl_channel_send(node, SL_NO_ADDR, to, type, body);
}

static void drop_queue(sl_actor *actor, sl_queue *queue) {
    for (sl_envelope *envelope = queue->head, *next; envelope; envelope = next) {
        next = envelope->next;
        actor->node->messages_waiting--;
        if (envelope->type == &node_event_type && !envelope->dropped) {
            sl_event *event =
                (sl_event *)(uintptr_t)((node_event *)sl_envelope_body(envelope))->event;
            if (event->drop)
                event->drop(event);
        }
        if (envelope->pending)
            envelope->dropped = 1; /* its transfers point here: the channel frees it with them */
        else
            envelope_free(actor->node, envelope);
    }
    *queue = (sl_queue){NULL, NULL};
}

static void forget(sl_queue *queue, uint32_t peer) {
    for (sl_envelope *each = queue->head; each; each = each->next) {
        if (each->from.node != peer)
            continue;
        each->dropped |= !SL_PLANT(old_heard);
        each->credit = 0;
    }
}

void sl_mailboxes_forget(sl_node *node, uint32_t peer) {
    for (uint32_t i = 0; i < node->chunk_count * SL_ACTOR_CHUNK; i++) {
        sl_actor *actor = &node->chunks[i / SL_ACTOR_CHUNK][i % SL_ACTOR_CHUNK];
        forget(&actor->mailbox[SL_LANE_CONTROL], peer);
        forget(&actor->mailbox[SL_LANE_DATA], peer);
    }
}

void sl_mailbox_drop_all(sl_actor *actor) {
    drop_queue(actor, &actor->mailbox[SL_LANE_CONTROL]);
    drop_queue(actor, &actor->mailbox[SL_LANE_DATA]);
    actor->waiting = 0;
}

/* ---- running ---- */

/* A turn ends after TURN_MESSAGES, or TURN_NS after its first CLOCK_EVERY messages: a short turn
 * reads no clock, a long one reads it once per CLOCK_EVERY messages. Where messages turn out to
 * take more than their share of a turn, the next turn is timed from its start and after every
 * message, and control messages that answer others leave before the data messages go on: so a slow
 * actor delays what is urgent by little more than one of its messages. Every SAMPLE_TURNS-th turn
 * is timed from its start for the handler_ns metric. */
enum { TURN_MESSAGES = 256, CLOCK_EVERY = 8, SAMPLE_TURNS = 64, TURN_NS = 50000 };

typedef struct turn {
    uint64_t start_ns; /* 0: not yet */
    uint32_t handled;
    uint32_t timed_from; /* messages handled before start_ns */
    uint32_t check_at;
    uint32_t step; /* messages between two looks at the clock */
} turn;

static inline void handle(sl_node *node, sl_actor *actor, sl_queue *queue) {
    sl_envelope *envelope = queue_pop(queue);
    sl_err failure = SL_OK;
    node->messages_waiting--;
    node->running = actor;
    if (!envelope->dropped) {
        sl_message message = {envelope->type, envelope->from, sl_envelope_body(envelope)};
        failure = actor->actor_class->receive(actor, actor->state, &message);
    }
    envelope_free(node, envelope);
    node->running = NULL;
    if (failure != SL_OK)
        sl_supervise(actor, failure);
    if (actor->flags & SL_ACTOR_STOPPING)
        sl_actor_end(actor);
}

/* Some control and local messages of the first actor that has any. */
static void run_urgent(sl_node *node, turn *t) {
    sl_actor *actor = node->urgent.head;
    sl_queue *queue = &actor->mailbox[SL_LANE_CONTROL];
    for (uint32_t i = 0; i < t->step && queue->head; i++) {
        t->handled++;
        handle(node, actor, queue);
    }
    node->urgent.head = actor->next_urgent;
    if (!node->urgent.head)
        node->urgent.tail = NULL;
    actor->flags &= ~(uint32_t)SL_ACTOR_URGENT;
    if (queue->head)
        push_urgent(node, actor);
    else
        sl_actor_unqueued(actor);
}

/* Some data messages of the first ready actor, as long as nothing is urgent. */
static void run_ready(sl_node *node, turn *t) {
    sl_actor *actor = node->ready.head;
    sl_queue *queue = &actor->mailbox[SL_LANE_DATA];
    for (uint32_t i = 0; i < t->step && deliverable(queue) && !node->urgent.head; i++) {
        t->handled++;
        actor->waiting--;
        handle(node, actor, queue);
    }
    if (actor->flags & SL_ACTOR_AWAITED)
        sl_waiters_check(actor);
    node->ready.head = actor->next_ready;
    if (!node->ready.head)
        node->ready.tail = NULL;
    actor->flags &= ~(uint32_t)SL_ACTOR_READY;
    if (deliverable(queue))
        push_ready(node, actor);
    else
        sl_actor_unqueued(actor);
}

static bool time_is_up(sl_node *node, turn *t) {
    if (t->handled < t->check_at)
        return false;
    t->check_at = t->handled + t->step;
    uint64_t now_ns = sl_node_now_ns(node);
    if (t->start_ns)
        return now_ns - t->start_ns > TURN_NS;
    t->start_ns = now_ns;
    t->timed_from = t->handled;
    return false;
}

static void turn_end(sl_node *node, const turn *t) {
    sl_metric_add(node->metrics, SL_METRIC_messages_handled, t->handled);
    uint32_t timed = t->handled - t->timed_from;
    if (!t->start_ns || !timed)
        return;
    uint64_t each_ns = (sl_node_now_ns(node) - t->start_ns) / timed;
    sl_metric_observe(node->metrics, SL_METRIC_handler_ns, each_ns);
    node->slow = each_ns > TURN_NS / CLOCK_EVERY;
}

static turn turn_begin(sl_node *node) {
    turn t = {.step = node->slow ? 1 : CLOCK_EVERY};
    t.check_at = t.step;
    if (node->slow || ++node->turns % SAMPLE_TURNS == 0)
        t.start_ns = sl_node_now_ns(node);
    return t;
}

bool sl_run_actors(sl_node *node) {
    if (!node->urgent.head && !node->ready.head)
        return false;
    turn t = turn_begin(node);
    bool answer = node->slow && node->urgent.head;
    while (t.handled < TURN_MESSAGES && !time_is_up(node, &t)) {
        if (node->urgent.head) {
            run_urgent(node, &t);
        } else if (answer) {
            answer = false;
            (void)sl_channels_flush(node);
        } else if (node->ready.head) {
            run_ready(node, &t);
        } else {
            break;
        }
    }
    turn_end(node, &t);
    return true;
}
