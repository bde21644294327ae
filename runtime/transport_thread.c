/* Design notes
 * Each ordered pair of nodes has a single-producer single-consumer ring of frames, filled and read
 * in place. A receiver finds the rings with news in a bitmap: the producer publishes its frame and
 * then sets the bit, the consumer clears bits and then drains, each with a fence between, so no
 * frame is overlooked. Bulk blobs cross in a locked list per receiver and are matched with what is
 * expected by their ids, which the channels use in order on both sides: the first looked at fits.
 */
#include "runtime/transport_thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/arrivals.h"
#include "runtime/doorbell.h"
#include "runtime/log.h"

enum { RING_FRAMES = 16, CACHE_LINE = 64, DEFAULT_FRAME_BYTES = 16384, WORD_BITS = 64 };

typedef struct ring {
    _Alignas(CACHE_LINE) _Atomic uint32_t tail; /* producer */
    _Atomic uint32_t starved;                   /* the producer found it full and wants a bell */
    _Alignas(CACHE_LINE) _Atomic uint32_t head; /* consumer */
    _Alignas(CACHE_LINE) uint32_t bytes[RING_FRAMES];
    uint8_t frames[];
} ring;

typedef struct network network;

typedef struct thread_transport {
    sl_transport base;
    network *net;
    sl_doorbell bell;
    _Atomic uint64_t *news; /* a bit for each sender with frames here */
    sl_arrivals *arrived;   /* per sender, waiting for bulk_receive */
    sl_arrivals *expected;  /* per sender, waiting for the blob */
    sl_arrivals sent;       /* to report as bulk_sent */
    bool *abandoned;
    uint64_t *first_in; /* per sender: blobs with lower ids are of an earlier life of the link */
    pthread_mutex_t inbox_lock;
    sl_arrivals inbox;
    _Atomic bool inbox_full;
    _Atomic bool woken; /* by wake(), since the last sleep */
    bool matched;       /* an expectation came after something had arrived */
} thread_transport;

struct network {
    uint32_t count;
    uint32_t words;
    size_t frame_bytes;
    _Atomic uint32_t open;
    _Atomic(ring *) *rings; /* [from * count + to] */
    thread_transport *nodes;
};

static thread_transport *self_of(sl_transport *transport) {
    return (thread_transport *)transport;
}

/* ---- frames ---- */

static ring *ring_between(network *net, uint32_t from, uint32_t to) {
    return atomic_load_explicit(&net->rings[(size_t)from * net->count + to], memory_order_acquire);
}

static ring *ring_create(network *net, uint32_t from, uint32_t to) {
    size_t bytes = sizeof(ring) + RING_FRAMES * net->frame_bytes;
    ring *fresh = aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1));
    if (!fresh)
        return NULL;
    memset(fresh, 0, sizeof *fresh);
    atomic_store_explicit(&net->rings[(size_t)from * net->count + to], fresh, memory_order_release);
    return fresh;
}

static bool full(ring *r) {
    return atomic_load_explicit(&r->tail, memory_order_relaxed) -
               atomic_load_explicit(&r->head, memory_order_acquire) ==
           RING_FRAMES;
}

static void *thread_acquire(sl_transport *transport, uint32_t peer) {
    network *net = self_of(transport)->net;
    if (peer >= net->count)
        return NULL;
    ring *r = ring_between(net, transport->self, peer);
    if (!r && !(r = ring_create(net, transport->self, peer)))
        return NULL;
    if (full(r)) {
        atomic_store_explicit(&r->starved, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        if (full(r))
            return NULL;
    }
    uint32_t slot = atomic_load_explicit(&r->tail, memory_order_relaxed) % RING_FRAMES;
    return r->frames + slot * net->frame_bytes;
}

static void announce(thread_transport *to, uint32_t from) {
    uint64_t bit = (uint64_t)1 << (from % WORD_BITS);
    _Atomic uint64_t *word = &to->news[from / WORD_BITS];
    atomic_thread_fence(memory_order_seq_cst);
    if (!(atomic_load_explicit(word, memory_order_relaxed) & bit))
        atomic_fetch_or_explicit(word, bit, memory_order_release);
    sl_doorbell_ring(&to->bell);
}

static void thread_post(sl_transport *transport, uint32_t peer, void *frame, size_t bytes) {
    (void)frame;
    network *net = self_of(transport)->net;
    ring *r = ring_between(net, transport->self, peer);
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    r->bytes[tail % RING_FRAMES] = (uint32_t)bytes;
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    announce(&net->nodes[peer], transport->self);
}

static size_t drain_ring(thread_transport *self, uint32_t peer, const sl_transport_sink *sink,
                         size_t budget) {
    ring *r = ring_between(self->net, peer, self->base.self);
    if (!r)
        return 0;
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    size_t count = 0;
    while (count < budget && head != atomic_load_explicit(&r->tail, memory_order_acquire)) {
        uint32_t slot = head % RING_FRAMES;
        sink->frame(sink->context, peer, r->frames + slot * self->net->frame_bytes, r->bytes[slot]);
        atomic_store_explicit(&r->head, ++head, memory_order_release);
        count++;
    }
    atomic_thread_fence(memory_order_seq_cst);
    if (count && atomic_exchange_explicit(&r->starved, 0, memory_order_relaxed))
        sl_doorbell_ring(&self->net->nodes[peer].bell);
    return count;
}

static size_t poll_frames(thread_transport *self, const sl_transport_sink *sink, size_t budget) {
    size_t count = 0;
    for (uint32_t word = 0; word < self->net->words && count < budget; word++) {
        if (!atomic_load_explicit(&self->news[word], memory_order_relaxed))
            continue;
        uint64_t bits = atomic_exchange_explicit(&self->news[word], 0, memory_order_seq_cst);
        atomic_thread_fence(memory_order_seq_cst);
        for (; bits; bits &= bits - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(bits), peer = word * WORD_BITS + bit;
            size_t share = budget > count ? budget - count : 0;
            size_t taken = drain_ring(self, peer, sink, share);
            count += taken;
            if (taken == share) /* there may be more: look again next time */
                atomic_fetch_or_explicit(&self->news[word], (uint64_t)1 << bit,
                                         memory_order_relaxed);
        }
    }
    return count;
}

/* ---- bulk ---- */

static sl_err bulk_peer_check(const thread_transport *self, uint32_t peer) {
    if (peer >= self->net->count)
        return sl_fail(SL_ERR_INVALID, "no node %u in a network of %u", peer, self->net->count);
    if (self->abandoned[peer])
        return sl_fail(SL_ERR_DEAD, "node %u is gone", peer);
    return SL_OK;
}

static sl_err thread_bulk_send(sl_transport *transport, uint32_t peer, uint64_t id, sl_blob *blob) {
    thread_transport *self = self_of(transport);
    SL_TRY(bulk_peer_check(self, peer));
    thread_transport *to = &self->net->nodes[peer];
    sl_arrival *there = sl_arrival_create(transport->self, id, blob->bytes, blob);
    sl_arrival *here = sl_arrival_create(peer, id, blob->bytes, NULL);
    if (!there || !here) {
        free(there);
        free(here);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a bulk transfer");
    }
    sl_blob_retain(blob);
    sl_arrivals_push(&self->sent, here);
    pthread_mutex_lock(&to->inbox_lock);
    sl_arrivals_push(&to->inbox, there);
    atomic_store_explicit(&to->inbox_full, true, memory_order_release);
    pthread_mutex_unlock(&to->inbox_lock);
    sl_doorbell_ring(&to->bell);
    return SL_OK;
}

static sl_err thread_bulk_receive(sl_transport *transport, uint32_t peer, uint64_t id,
                                  uint64_t bytes) {
    thread_transport *self = self_of(transport);
    SL_TRY(bulk_peer_check(self, peer));
    sl_arrival *entry = sl_arrival_create(peer, id, bytes, NULL);
    if (!entry)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a bulk transfer");
    sl_arrivals_push(&self->expected[peer], entry);
    self->matched |= self->arrived[peer].head != NULL;
    return SL_OK;
}

static sl_arrivals take_inbox(thread_transport *self) {
    sl_arrivals taken = {NULL, NULL};
    if (!atomic_load_explicit(&self->inbox_full, memory_order_acquire))
        return taken;
    pthread_mutex_lock(&self->inbox_lock);
    taken = self->inbox;
    self->inbox = (sl_arrivals){NULL, NULL};
    atomic_store_explicit(&self->inbox_full, false, memory_order_release);
    pthread_mutex_unlock(&self->inbox_lock);
    return taken;
}

/* `blob` came for `want`; both entries end here. */
static void deliver(sl_arrival *blob, sl_arrival *want, const sl_transport_sink *sink) {
    sl_blob *whole = blob->blob;
    if (blob->bytes != want->bytes) {
        sl_warn("thread", "bulk data did not arrive: peer %u id %llu bytes %llu of %llu",
                blob->peer, (unsigned long long)blob->id, (unsigned long long)blob->bytes,
                (unsigned long long)want->bytes);
        sl_blob_release(whole);
        whole = NULL;
    }
    sink->bulk_received(sink->context, blob->peer, blob->id, whole);
    free(blob);
    free(want);
}

/* Hands over what has arrived from `peer` and is expected. The callback may add to either list, or
 * clear both. */
static size_t match(thread_transport *self, uint32_t peer, const sl_transport_sink *sink) {
    size_t count = 0;
    sl_arrivals *arrived = &self->arrived[peer], *expected = &self->expected[peer];
    sl_arrivals waiting = *arrived;
    *arrived = (sl_arrivals){NULL, NULL};
    for (sl_arrival *blob; (blob = sl_arrivals_pop(&waiting));) {
        sl_arrival *want = self->abandoned[peer] ? NULL : sl_arrivals_take(expected, blob->id);
        if (want) {
            deliver(blob, want, sink);
            count++;
        } else {
            sl_arrivals_push(arrived, blob);
        }
    }
    return count;
}

static size_t poll_bulk(thread_transport *self, const sl_transport_sink *sink) {
    size_t count = 0;
    for (sl_arrival *entry; (entry = sl_arrivals_pop(&self->sent)); count++) {
        sink->bulk_sent(sink->context, entry->peer, entry->id);
        free(entry);
    }
    sl_arrivals inbox = take_inbox(self);
    for (sl_arrival *entry; (entry = sl_arrivals_pop(&inbox));) {
        uint32_t peer = entry->peer;
        if (entry->id < self->first_in[peer]) { /* of a life that is over */
            sl_arrival_free(entry);
            continue;
        }
        sl_arrival *want =
            self->abandoned[peer] ? NULL : sl_arrivals_take(&self->expected[peer], entry->id);
        if (want) {
            deliver(entry, want, sink);
            count++;
        } else {
            sl_arrivals_push(&self->arrived[peer], entry);
        }
    }
    if (!self->matched)
        return count;
    self->matched = false;
    for (uint32_t peer = 0; peer < self->net->count; peer++)
        count += match(self, peer, sink);
    return count;
}

static size_t thread_poll(sl_transport *transport, const sl_transport_sink *sink, size_t budget) {
    thread_transport *self = self_of(transport);
    return poll_frames(self, sink, budget) + poll_bulk(self, sink);
}

/* ---- sleep ---- */

static uint32_t thread_arm(sl_transport *transport) {
    return sl_doorbell_arm(&self_of(transport)->bell);
}

static void thread_disarm(sl_transport *transport) {
    sl_doorbell_disarm(&self_of(transport)->bell);
}

static void thread_sleep(sl_transport *transport, uint32_t ticket, uint64_t timeout_ns) {
    thread_transport *self = self_of(transport);
    if (atomic_exchange_explicit(&self->woken, false, memory_order_seq_cst)) {
        sl_doorbell_disarm(&self->bell);
        return;
    }
    sl_doorbell_sleep(&self->bell, ticket, timeout_ns);
    atomic_store_explicit(&self->woken, false, memory_order_seq_cst);
}

static void thread_wake(sl_transport *transport) {
    atomic_store_explicit(&self_of(transport)->woken, true, memory_order_seq_cst);
    sl_doorbell_ring(&self_of(transport)->bell);
}

/* Frames lie in the network's memory, which outlives the node. */
static bool thread_drained(sl_transport *transport) {
    (void)transport;
    return true;
}

static void thread_abandon(sl_transport *transport, uint32_t peer) {
    thread_transport *self = self_of(transport);
    if (peer >= self->net->count)
        return;
    self->abandoned[peer] = true;
    sl_arrivals_clear(&self->arrived[peer]);
    sl_arrivals_clear(&self->expected[peer]);
    sl_arrivals_drop_peer(&self->sent, peer);
}

/* What the peer sends in its new life may have come before this call, what it sent in the last one
 * may come after it. Of what went out nothing is left to be told. */
static void thread_readmit(sl_transport *transport, uint32_t peer, uint64_t first_in,
                           uint64_t first_out) {
    thread_transport *self = self_of(transport);
    (void)first_out;
    if (peer >= self->net->count)
        return;
    self->abandoned[peer] = false;
    self->first_in[peer] = first_in;
    sl_arrivals_drop_below(&self->arrived[peer], first_in);
}

/* ---- life ---- */

static void node_fini(thread_transport *node) {
    for (uint32_t peer = 0; node->arrived && node->expected && peer < node->net->count; peer++) {
        sl_arrivals_clear(&node->arrived[peer]);
        sl_arrivals_clear(&node->expected[peer]);
    }
    sl_arrivals_clear(&node->sent);
    sl_arrivals_clear(&node->inbox);
    pthread_mutex_destroy(&node->inbox_lock);
    free(node->news);
    free(node->arrived);
    free(node->expected);
    free(node->abandoned);
    free(node->first_in);
}

static void network_destroy(network *net) {
    for (uint32_t i = 0; net->nodes && i < net->count; i++)
        node_fini(&net->nodes[i]);
    for (size_t i = 0; net->rings && i < (size_t)net->count * net->count; i++)
        free(atomic_load(&net->rings[i]));
    free(net->rings);
    free(net->nodes);
    free(net);
}

static void thread_close(sl_transport *transport) {
    network *net = self_of(transport)->net;
    if (atomic_fetch_sub(&net->open, 1) == 1)
        network_destroy(net);
}

static const sl_transport_ops thread_ops = {
    .name = "thread",
    .acquire = thread_acquire,
    .post = thread_post,
    .bulk_send = thread_bulk_send,
    .bulk_receive = thread_bulk_receive,
    .poll = thread_poll,
    .arm = thread_arm,
    .disarm = thread_disarm,
    .sleep = thread_sleep,
    .wake = thread_wake,
    .drained = thread_drained,
    .abandon = thread_abandon,
    .readmit = thread_readmit,
    .close = thread_close,
};

static bool node_init(network *net, uint32_t i) {
    thread_transport *node = &net->nodes[i];
    node->base = (sl_transport){
        .ops = &thread_ops, .self = i, .count = net->count, .frame_bytes = net->frame_bytes};
    node->net = net;
    pthread_mutex_init(&node->inbox_lock, NULL);
    node->news = calloc(net->words, sizeof *node->news);
    node->arrived = calloc(net->count, sizeof *node->arrived);
    node->expected = calloc(net->count, sizeof *node->expected);
    node->abandoned = calloc(net->count, sizeof *node->abandoned);
    node->first_in = calloc(net->count, sizeof *node->first_in);
    return node->news && node->arrived && node->expected && node->abandoned && node->first_in;
}

sl_err sl_thread_network_create(uint32_t count, size_t frame_bytes, sl_transport **transports) {
    if (!count || count > SL_THREAD_MAX_NODES)
        return sl_fail(SL_ERR_INVALID, "a thread network has 1 to %d nodes, not %u",
                       SL_THREAD_MAX_NODES, count);
    network *net = calloc(1, sizeof *net);
    if (!net)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a network of %u nodes", count);
    net->count = count;
    net->words = (count + WORD_BITS - 1) / WORD_BITS;
    net->frame_bytes = ((frame_bytes ? frame_bytes : DEFAULT_FRAME_BYTES) + 7) & ~(size_t)7;
    atomic_init(&net->open, count);
    net->rings = calloc((size_t)count * count, sizeof *net->rings);
    net->nodes = calloc(count, sizeof *net->nodes);
    bool ok = net->rings && net->nodes;
    for (uint32_t i = 0; ok && i < count; i++)
        ok = node_init(net, i);
    if (!ok) {
        network_destroy(net);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a network of %u nodes", count);
    }
    for (uint32_t i = 0; i < count; i++)
        transports[i] = &net->nodes[i].base;
    return SL_OK;
}
