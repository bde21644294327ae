/* The transport of a simulated node.
 *
 * A frame is posted into its parcel and travels without another copy. A blob arrives as the very
 * blob that was sent; like any transport's, it may come before or after it is asked for. */
#include <stdlib.h>
#include <string.h>

#include "runtime/simulator_internal.h"

enum { UNREAD_MOST = 16 /* frames of one pair on the way or in the receiver's inbox */ };

static sl_sim_transport *self_of(sl_transport *transport) {
    return (sl_sim_transport *)(void *)transport;
}

/* ---- frames ---- */

static void *sim_acquire(sl_transport *transport, uint32_t peer) {
    sl_sim_transport *self = self_of(transport);
    if (self->lost)
        return NULL;
    sl_sim_way *way = sl_sim_way_of(self->simulator, transport->self, peer);
    if (way->unread >= UNREAD_MOST) {
        way->refused = true;
        return NULL;
    }
    sl_sim_parcel *parcel = sl_sim_parcel_take(self->simulator);
    return parcel ? parcel->data : NULL;
}

static void sim_post(sl_transport *transport, uint32_t peer, void *frame, size_t bytes) {
    sl_sim_transport *self = self_of(transport);
    sl_simulator *simulator = self->simulator;
    sl_sim_parcel *parcel =
        (sl_sim_parcel *)(void *)((uint8_t *)frame - offsetof(sl_sim_parcel, data));
    parcel->from = transport->self;
    parcel->bytes = (uint32_t)bytes;
    sl_sim_way *way = sl_sim_way_of(simulator, transport->self, peer);
    way->unread++;
    if (way->unread * simulator->options.frame_bytes > simulator->traffic.high_bytes)
        simulator->traffic.high_bytes = way->unread * simulator->options.frame_bytes;
    if (simulator->options.frame)
        simulator->options.frame(simulator->options.context, transport->self, peer, frame, bytes);
    sl_sim_send(simulator, peer, parcel);
}

/* ---- bulk data ---- */

/* False: no memory. */
static bool bulk_known(sl_sim_transport *self) {
    if (!self->bulk)
        self->bulk = calloc(self->base.count, sizeof *self->bulk);
    return self->bulk != NULL;
}

static sl_err sim_bulk_send(sl_transport *transport, uint32_t peer, uint64_t id, sl_blob *blob) {
    sl_sim_transport *self = self_of(transport);
    if (self->abandoned[peer])
        return sl_fail(SL_ERR_DEAD, "node %u was given up", peer);
    sl_sim_parcel *parcel = bulk_known(self) ? sl_sim_parcel_take(self->simulator) : NULL;
    if (!parcel)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a transfer");
    parcel->from = transport->self;
    parcel->id = id;
    parcel->blob = sl_blob_retain(blob);
    self->under_way++;
    self->bulk[peer].to_peer++;
    sl_sim_send(self->simulator, peer, parcel);
    return SL_OK;
}

static sl_err sim_bulk_receive(sl_transport *transport, uint32_t peer, uint64_t id,
                               uint64_t bytes) {
    sl_sim_transport *self = self_of(transport);
    if (self->abandoned[peer])
        return sl_fail(SL_ERR_DEAD, "node %u was given up", peer);
    sl_sim_expected *expected = malloc(sizeof *expected);
    if (!expected)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a transfer");
    *expected = (sl_sim_expected){.id = id, .bytes = bytes, .peer = peer};
    sl_sim_expected **at = &self->expected;
    while (*at)
        at = &(*at)->next;
    *at = expected;
    sl_sim_wake(self->simulator, transport->self); /* it may be there already */
    return SL_OK;
}

/* Takes what was expected as `id` from `peer`; NULL: it was not. */
static sl_sim_expected *expected_take(sl_sim_transport *self, uint32_t peer, uint64_t id) {
    for (sl_sim_expected **at = &self->expected; *at; at = &(*at)->next) {
        sl_sim_expected *found = *at;
        if (found->peer == peer && found->id == id) {
            *at = found->next;
            return found;
        }
    }
    return NULL;
}

/* The sender hears of it at its next turn. */
static void tell_sender(sl_sim_transport *self, sl_sim_parcel *parcel) {
    sl_simulator *simulator = self->simulator;
    uint32_t sender = parcel->from;
    sl_sim_node *from = &simulator->nodes[sender];
    bool lives = from->node && from->life == parcel->from_life;
    sl_blob_release(parcel->blob);
    parcel->blob = NULL;
    if (!lives || from->transport->abandoned[self->base.self] ||
        parcel->id < from->transport->bulk[self->base.self].first_out) {
        sl_sim_parcel_free(simulator, parcel);
        return;
    }
    parcel->from = self->base.self;
    sl_sim_queue_push(&from->transport->sent, parcel);
    sl_sim_wake(simulator, sender);
}

static void hand_over(sl_sim_transport *self, const sl_transport_sink *sink, sl_sim_parcel *parcel,
                      sl_sim_expected *expected) {
    sl_blob *blob = NULL;
    if (expected->bytes == parcel->blob->bytes)
        blob = sl_blob_retain(parcel->blob);
    free(expected);
    uint32_t peer = parcel->from;
    uint64_t id = parcel->id;
    tell_sender(self, parcel);
    sink->bulk_received(sink->context, peer, id, blob);
}

/* Blobs that came before they were asked for. */
static size_t match_unexpected(sl_sim_transport *self, const sl_transport_sink *sink) {
    sl_sim_queue waiting = self->unexpected;
    size_t events = 0;
    if (!waiting.head || !self->expected)
        return 0;
    self->unexpected = (sl_sim_queue){NULL, NULL, 0};
    for (sl_sim_parcel *parcel; (parcel = sl_sim_queue_pop(&waiting));) {
        sl_sim_expected *expected = expected_take(self, parcel->from, parcel->id);
        if (!expected) {
            sl_sim_queue_push(&self->unexpected, parcel);
            continue;
        }
        hand_over(self, sink, parcel, expected);
        events++;
    }
    return events;
}

/* ---- polling ---- */

static void take_frame(sl_sim_transport *self, const sl_transport_sink *sink, sl_sim_parcel *parcel,
                       bool lives) {
    uint32_t peer = parcel->from;
    sl_sim_way *way = sl_sim_way_of(self->simulator, peer, self->base.self);
    way->unread--;
    if (way->refused) {
        way->refused = false;
        sl_sim_wake(self->simulator, peer);
    }
    sl_sim_way_leave(self->simulator, peer, self->base.self);
    if (lives)
        sink->frame(sink->context, peer, parcel->data, parcel->bytes);
    sl_sim_parcel_free(self->simulator, parcel);
}

static void take_blob(sl_sim_transport *self, const sl_transport_sink *sink, sl_sim_parcel *parcel,
                      bool lives) {
    if (!lives || (self->bulk && parcel->id < self->bulk[parcel->from].first_in)) {
        sl_sim_parcel_free(self->simulator, parcel);
        return;
    }
    sl_sim_expected *expected = expected_take(self, parcel->from, parcel->id);
    if (expected)
        hand_over(self, sink, parcel, expected);
    else
        sl_sim_queue_push(&self->unexpected, parcel);
}

static void tell_end(sl_sim_transport *self, const sl_transport_sink *sink, uint32_t peer) {
    self->end_due[peer] = false;
    if (sink->lost)
        sink->lost(sink->context, peer);
}

static size_t tell_ends(sl_sim_transport *self, const sl_transport_sink *sink) {
    size_t events = 0;
    self->any_end_due = false;
    for (uint32_t peer = 0; peer < self->base.count; peer++) {
        if (!self->end_due[peer])
            continue;
        events++;
        tell_end(self, sink, peer);
    }
    return events;
}

void sl_sim_transports_tell_end(sl_simulator *simulator, uint32_t node) {
    uint32_t machines = simulator->options.machines;
    for (uint32_t peer = node % (machines ? machines : 1);
         machines && peer < simulator->options.nodes; peer += machines) {
        if (peer == node || !simulator->nodes[peer].node)
            continue;
        sl_sim_transport *at = simulator->nodes[peer].transport;
        at->ended[node] = simulator->nodes[node].life;
        at->end_due[node] = at->any_end_due = true;
        sl_sim_wake(simulator, peer);
    }
}

/* The end of a life is told before anything of the next one, and after it nothing of that life
 * comes. */
static void take(sl_sim_transport *self, const sl_transport_sink *sink, sl_sim_parcel *parcel) {
    uint32_t peer = parcel->from;
    bool is_next = !self->ended || parcel->from_life > self->ended[peer];
    if (is_next && self->any_end_due && self->end_due[peer])
        tell_end(self, sink, peer);
    bool lives = is_next || self->end_due[peer];
    if (parcel->blob)
        take_blob(self, sink, parcel, lives);
    else
        take_frame(self, sink, parcel, lives);
}

static size_t sim_poll(sl_transport *transport, const sl_transport_sink *sink, size_t budget) {
    sl_sim_transport *self = self_of(transport);
    size_t events = match_unexpected(self, sink);
    for (sl_sim_parcel *parcel; (parcel = sl_sim_queue_pop(&self->sent)); events++) {
        self->under_way--;
        self->bulk[parcel->from].to_peer--;
        sink->bulk_sent(sink->context, parcel->from, parcel->id);
        sl_sim_parcel_free(self->simulator, parcel);
    }
    for (sl_sim_parcel *parcel; events < budget && (parcel = sl_sim_queue_pop(&self->inbox));
         events++) {
        take(self, sink, parcel);
    }
    if (self->any_end_due && !self->inbox.head)
        events += tell_ends(self, sink);
    return events;
}

/* ---- sleeping: the simulator knows when to turn a node ---- */

static uint32_t sim_arm(sl_transport *transport) {
    (void)transport;
    return 0;
}

static void sim_disarm(sl_transport *transport) {
    (void)transport;
}

static void sim_sleep(sl_transport *transport, uint32_t ticket, uint64_t timeout_ns) {
    (void)transport;
    (void)ticket;
    (void)timeout_ns;
}

static void sim_wake(sl_transport *transport) {
    sl_sim_wake(self_of(transport)->simulator, transport->self);
}

/* ---- ends ---- */

static bool sim_drained(sl_transport *transport) {
    return !self_of(transport)->under_way;
}

/* Blobs from the peer, or word of blobs to it, with ids below `end`. */
static void queue_forget(sl_sim_transport *self, sl_sim_queue *queue, uint32_t peer, uint64_t end) {
    sl_sim_queue kept = {NULL, NULL, 0};
    for (sl_sim_parcel *parcel; (parcel = sl_sim_queue_pop(queue));) {
        if (parcel->from == peer && parcel->id < end)
            sl_sim_parcel_free(self->simulator, parcel);
        else
            sl_sim_queue_push(&kept, parcel);
    }
    *queue = kept;
}

static void sim_abandon(sl_transport *transport, uint32_t peer) {
    sl_sim_transport *self = self_of(transport);
    self->abandoned[peer] = true;
    if (self->bulk) {
        self->under_way -= self->bulk[peer].to_peer;
        self->bulk[peer].to_peer = 0;
    }
    queue_forget(self, &self->sent, peer, UINT64_MAX);
    for (sl_sim_expected **at = &self->expected; *at;) {
        sl_sim_expected *each = *at;
        if (each->peer != peer) {
            at = &each->next;
            continue;
        }
        *at = each->next;
        free(each);
    }
}

/* Blobs of the new life may be here already. */
static void sim_readmit(sl_transport *transport, uint32_t peer, uint64_t first_in,
                        uint64_t first_out) {
    sl_sim_transport *self = self_of(transport);
    self->abandoned[peer] = false;
    if (!bulk_known(self)) {
        self->abandoned[peer] = true; /* what nobody can tell apart does not come */
        return;
    }
    self->bulk[peer].first_in = first_in;
    self->bulk[peer].first_out = first_out;
    queue_forget(self, &self->unexpected, peer, first_in);
}

/* Nothing of this life is taken any more: neither frames nor blobs. */
static void drop_arrived(sl_sim_transport *self, sl_sim_queue *queue) {
    for (sl_sim_parcel *parcel; (parcel = sl_sim_queue_pop(queue));) {
        if (!parcel->blob)
            sl_sim_way_of(self->simulator, parcel->from, self->base.self)->unread--;
        sl_sim_parcel_free(self->simulator, parcel);
    }
}

void sl_sim_transport_lose(sl_sim_transport *self) {
    self->lost = true;
    for (uint32_t peer = 0; peer < self->base.count; peer++) {
        if (peer != self->base.self)
            sim_abandon(&self->base, peer);
    }
    drop_arrived(self, &self->inbox);
    drop_arrived(self, &self->unexpected);
    sl_sim_ways_lose(self->simulator, self->base.self);
}

static void transport_free(sl_sim_transport *self) {
    free(self->abandoned);
    free(self->bulk);
    free(self->ended);
    free(self->end_due);
    free(self);
}

static void sim_close(sl_transport *transport) {
    sl_sim_transport *self = self_of(transport);
    self->simulator->nodes[transport->self].transport = NULL;
    transport_free(self);
}

static const sl_transport_ops sim_ops = {
    .name = "simulator",
    .acquire = sim_acquire,
    .post = sim_post,
    .bulk_send = sim_bulk_send,
    .bulk_receive = sim_bulk_receive,
    .poll = sim_poll,
    .arm = sim_arm,
    .disarm = sim_disarm,
    .sleep = sim_sleep,
    .wake = sim_wake,
    .drained = sim_drained,
    .abandon = sim_abandon,
    .readmit = sim_readmit,
    .close = sim_close,
};

sl_err sl_sim_transport_create(sl_simulator *simulator, uint32_t node, sl_sim_transport **out) {
    uint32_t count = simulator->options.nodes;
    bool shared = simulator->options.machines != 0;
    sl_sim_transport *self = calloc(1, sizeof *self);
    if (!self)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the transport of node %u", node);
    *self = (sl_sim_transport){.base = {.ops = &sim_ops,
                                        .self = node,
                                        .count = count,
                                        .replaces = true,
                                        .frame_bytes = simulator->options.frame_bytes},
                               .simulator = simulator,
                               .life = simulator->nodes[node].life,
                               .abandoned = calloc(count, sizeof(bool)),
                               .ended = shared ? calloc(count, sizeof(uint32_t)) : NULL,
                               .end_due = shared ? calloc(count, sizeof(bool)) : NULL};
    if (!self->abandoned || (shared && (!self->ended || !self->end_due))) {
        transport_free(self);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the transport of node %u", node);
    }
    *out = self;
    return SL_OK;
}
