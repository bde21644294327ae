/* Design notes
 *
 * Receiving. A ring of persistent receives from any source is posted on a communicator that carries
 * nothing else. MPI matches messages of one sender to receives in the order of posting, so testing
 * only the head of the ring keeps each sender's order, and an idle poll costs one MPI_Test.
 *
 * Sending. MPI_Isend from a buffer of the pool. Small frames are over at once and their buffer is
 * reused while it is hot; the others wait in `sends`, at most `window` to one peer. MPI_Send would
 * be as fast but may wait for the peer.
 *
 * Sleeping. Who posts to a rank of its own host rings that rank's doorbell; a message sent eagerly
 * through shared memory is visible before the bell rings. Four cases need MPI's progress while
 * asleep, and cut the sleep into pauses (pause.h): peers without a bell; sends not yet over (MPI
 * was out of fragments); bulk data under way; and a bell that rang when nothing was to be found yet
 * (a slower path than shared memory). Even without any of these a sleep ends after pause_bells,
 * should an MPI keep something back that it has called sent.
 *
 * The dead. MPI says nothing of them, sends to them pend for ever, and what it may still read or
 * write must stay: such requests become orphans, looked at only before a sleep. After an idle time
 * MPI is asked for progress before the first send, without which Open MPI's TCP may raise SIGPIPE
 * or spin on a dead peer. */
#include <stdlib.h>
#include <string.h>

#include "mpi/bulk.h"
#include "mpi/internal.h"
#include "mpi/pause.h"
#include "mpi/requests.h"
#include "runtime/clock.h"
#include "runtime/log.h"

enum { FRAME_TAG = 1, ALIGNMENT = 64 };

#define POOL_MAX_BYTES      ((size_t)64 << 20) /* of frame buffers sent and not yet over, all peers */
#define IDLE_BEFORE_SEND_NS (10 * SL_NS_PER_MS)  /* after it, progress before a send */
#define CANCEL_NS           (100 * SL_NS_PER_MS) /* to cancel the ring in at close */

typedef struct buffer {
    struct buffer *next;
} buffer;

typedef struct transport {
    sl_transport head;
    sl_mpi *mpi;
    MPI_Comm comm;

    MPI_Request *ring;
    uint8_t *ring_memory;
    uint32_t ring_size, ring_at;
    size_t stride; /* frame_bytes on whole cache lines */
    uint64_t receive_errors;

    buffer *pool; /* free buffers, the last used first */
    uint32_t buffers, buffers_max;
    sl_mpi_requests sends;
    uint32_t *outstanding; /* per peer: buffers in `sends` */
    uint32_t window;
    bool *abandoned; /* per peer */

    sl_mpi_bulk bulk;
    sl_mpi_requests orphans;

    uint32_t unreached; /* peers alive without a bell */
    _Atomic bool woken;
    bool active;  /* something happened since the last sleep */
    bool chasing; /* a bell rang for what has not been seen yet */
    sl_mpi_pause pause;
    uint64_t polled_ns;
} transport;

static void ring_bell(const transport *t, uint32_t peer) {
    sl_doorbell *bell = t->mpi->bells.of[peer];
    if (bell)
        sl_doorbell_ring(bell);
}

/* ---- sending ---- */

static void buffer_release(transport *t, void *frame) {
    buffer *free_one = frame;
    free_one->next = t->pool;
    t->pool = free_one;
}

/* A new buffer, with room for its request: there are never more requests than buffers. */
static void *buffer_create(transport *t) {
    if (t->buffers >= t->buffers_max ||
        sl_mpi_requests_reserve(&t->sends, (int)t->buffers + 1 - t->sends.count) != SL_OK)
        return NULL;
    void *frame = aligned_alloc(ALIGNMENT, t->stride);
    t->buffers += frame != NULL;
    return frame;
}

static void *transport_acquire(sl_transport *base, uint32_t peer) {
    transport *t = (transport *)base;
    if (peer >= base->count || t->abandoned[peer] || t->outstanding[peer] >= t->window)
        return NULL;
    buffer *frame = t->pool;
    if (!frame)
        return buffer_create(t);
    t->pool = frame->next;
    return frame;
}

/* Progress before the first send after an idle time, where peers are reached over a network. */
static void progress_if_idle(transport *t) {
    if (!t->unreached)
        return;
    uint64_t now = sl_clock_now_ns();
    if (now - t->polled_ns < IDLE_BEFORE_SEND_NS)
        return;
    int found;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, t->bulk.comm, &found, MPI_STATUS_IGNORE);
    t->polled_ns = now;
}

static void send_failed(uint32_t peer, int code) {
    sl_err err = sl_mpi_check(code, "send of a frame");
    sl_error("mpi", "frame lost: peer %u %s %s", peer, sl_err_name(err), sl_err_detail());
}

static void transport_post(sl_transport *base, uint32_t peer, void *frame, size_t bytes) {
    transport *t = (transport *)base;
    if (t->abandoned[peer]) {
        buffer_release(t, frame);
        return;
    }
    progress_if_idle(t);
    MPI_Request request;
    int over = 0;
    int code = MPI_Isend(frame, (int)bytes, MPI_BYTE, (int)peer, FRAME_TAG, t->comm, &request);
    if (code == MPI_SUCCESS) {
        ring_bell(t, peer);
        code = MPI_Test(&request, &over, MPI_STATUS_IGNORE);
    }
    if (code != MPI_SUCCESS)
        send_failed(peer, code);
    if (over || code != MPI_SUCCESS) {
        buffer_release(t, frame);
        return;
    }
    bool behind = t->outstanding[peer]++ > 0;
    sl_mpi_requests_add(&t->sends, request,
                        (sl_mpi_entry){frame, 0, peer, SL_MPI_FRAME_SEND, behind});
    t->active = true;
}

/* A send that MPI had no room for leaves when others are over. Who it goes to may sleep by then:
 * rings all that still wait, and those that waited behind others. A lone send was visible when its
 * bell rang. */
static void ring_late(const transport *t, int over) {
    for (int i = 0; i < over; i++)
        if (t->sends.finished[i].entry.behind)
            ring_bell(t, t->sends.finished[i].entry.peer);
    for (int i = 0; over && i < t->sends.count; i++)
        ring_bell(t, t->sends.entries[i].peer);
}

static size_t poll_sends(transport *t) {
    int over = sl_mpi_requests_test(&t->sends);
    for (int i = 0; i < over; i++) {
        const sl_mpi_finished *finished = &t->sends.finished[i];
        if (finished->code != MPI_SUCCESS)
            send_failed(finished->entry.peer, finished->code);
        t->outstanding[finished->entry.peer]--;
        buffer_release(t, finished->entry.object);
    }
    ring_late(t, over);
    return (size_t)over;
}

/* ---- receiving ---- */

/* The 1st, 2nd, 4th, 8th … error is logged: a peer must not fill the disk. */
static void receive_failed(transport *t, int code) {
    t->receive_errors++;
    if (t->receive_errors & (t->receive_errors - 1))
        return;
    sl_err err = sl_mpi_check(code, "receive of a frame");
    sl_warn("mpi", "frame dropped: %s %s errors %llu", sl_err_name(err), sl_err_detail(),
            (unsigned long long)t->receive_errors);
}

static void frame_deliver(transport *t, const sl_transport_sink *sink, MPI_Status *status,
                          int code) {
    int bytes = 0;
    if (code != MPI_SUCCESS) {
        receive_failed(t, code);
        return;
    }
    uint32_t peer = (uint32_t)status->MPI_SOURCE;
    MPI_Get_count(status, MPI_BYTE, &bytes);
    if (peer < t->head.count && !t->abandoned[peer] && bytes > 0)
        sink->frame(sink->context, peer, t->ring_memory + t->ring_at * t->stride, (size_t)bytes);
}

static size_t poll_frames(transport *t, const sl_transport_sink *sink, size_t budget) {
    size_t frames = 0;
    for (; frames < budget; frames++) {
        int arrived = 0;
        MPI_Status status;
        int code = MPI_Test(&t->ring[t->ring_at], &arrived, &status);
        if (!arrived)
            return frames;
        frame_deliver(t, sink, &status, code);
        code = MPI_Start(&t->ring[t->ring_at]);
        if (code != MPI_SUCCESS)
            receive_failed(t, code);
        t->ring_at = t->ring_at + 1 == t->ring_size ? 0 : t->ring_at + 1;
    }
    return frames;
}

static void bulk_over(transport *t, const sl_transport_sink *sink,
                      const sl_mpi_finished *finished) {
    uint32_t peer = finished->entry.peer;
    sl_blob *blob = finished->entry.object;
    if (t->abandoned[peer]) {
        sl_blob_release(blob);
    } else if (finished->entry.kind == SL_MPI_BULK_SEND) {
        if (finished->code != MPI_SUCCESS)
            send_failed(peer, finished->code);
        sink->bulk_sent(sink->context, peer, finished->entry.id);
        sl_blob_release(blob);
    } else if (sl_mpi_bulk_whole(finished)) {
        ring_bell(t, peer); /* its send is over now */
        sink->bulk_received(sink->context, peer, finished->entry.id, blob);
    } else {
        sl_blob_release(blob);
        sink->bulk_received(sink->context, peer, finished->entry.id, NULL);
    }
}

/* Posts the receives that waited for one from `peer` to be over, and handled. */
static void bulk_go_on(transport *t, const sl_transport_sink *sink, uint32_t peer) {
    uint64_t failed;
    while (!t->abandoned[peer] && !sl_mpi_bulk_next(&t->bulk, peer, &failed))
        sink->bulk_received(sink->context, peer, failed, NULL);
}

static size_t poll_bulk(transport *t, const sl_transport_sink *sink) {
    int over = sl_mpi_bulk_test(&t->bulk);
    for (int i = 0; i < over; i++) {
        sl_mpi_finished finished = t->bulk.under_way.finished[i];
        bulk_over(t, sink, &finished);
        bulk_go_on(t, sink, finished.entry.peer);
    }
    return (size_t)over;
}

static size_t transport_poll(sl_transport *base, const sl_transport_sink *sink, size_t budget) {
    transport *t = (transport *)base;
    if (t->unreached)
        t->polled_ns = sl_clock_now_ns();
    size_t events = poll_frames(t, sink, budget);
    if (t->sends.count)
        events += poll_sends(t);
    if (t->bulk.under_way.count)
        events += poll_bulk(t, sink);
    t->active |= events != 0;
    return events;
}

/* ---- bulk ---- */

static sl_err bulk_peer_check(const transport *t, uint32_t peer) {
    if (peer >= t->head.count)
        return sl_fail(SL_ERR_INVALID, "no node %u in a network of %u", peer, t->head.count);
    if (t->abandoned[peer])
        return sl_fail(SL_ERR_DEAD, "node %u is gone", peer);
    return SL_OK;
}

static sl_err transport_bulk_send(sl_transport *base, uint32_t peer, uint64_t id, sl_blob *blob) {
    transport *t = (transport *)base;
    SL_TRY(bulk_peer_check(t, peer));
    progress_if_idle(t);
    SL_TRY(sl_mpi_bulk_send(&t->bulk, peer, id, blob));
    ring_bell(t, peer);
    t->active = true;
    return SL_OK;
}

static sl_err transport_bulk_receive(sl_transport *base, uint32_t peer, uint64_t id,
                                     uint64_t bytes) {
    transport *t = (transport *)base;
    SL_TRY(bulk_peer_check(t, peer));
    SL_TRY(sl_mpi_bulk_receive(&t->bulk, peer, id, bytes));
    t->active = true;
    return SL_OK;
}

/* ---- sleeping ---- */

static uint32_t transport_arm(sl_transport *base) {
    return sl_doorbell_arm(((transport *)base)->mpi->bells.own);
}

static void transport_disarm(sl_transport *base) {
    sl_doorbell_disarm(((transport *)base)->mpi->bells.own);
}

/* The longest sleep now; see the design notes. */
static uint64_t pause_ns(const transport *t, uint64_t now) {
    bool bulk = t->bulk.under_way.count != 0;
    if (bulk || t->sends.count || t->chasing)
        return sl_mpi_pause_working(&t->pause, now, bulk);
    return t->unreached ? sl_mpi_pause_waiting(&t->pause, now) : t->mpi->settings.pause_bells_ns;
}

/* Orphans are nobody's any more: what they held is freed when MPI lets go of it. */
static void orphans_bury(transport *t) {
    int over = sl_mpi_requests_test(&t->orphans);
    for (int i = 0; i < over; i++) {
        const sl_mpi_entry *entry = &t->orphans.finished[i].entry;
        if (entry->kind == SL_MPI_FRAME_SEND)
            free(entry->object);
        else
            sl_blob_release(entry->object);
    }
}

static void transport_sleep(sl_transport *base, uint32_t ticket, uint64_t timeout_ns) {
    transport *t = (transport *)base;
    sl_doorbell *bell = t->mpi->bells.own;
    uint64_t now = sl_clock_now_ns();
    if (t->orphans.count)
        orphans_bury(t);
    if (t->active) {
        sl_mpi_pause_event(&t->pause, now);
        t->active = t->chasing = false;
    }
    if (now - t->pause.last_event_ns > t->mpi->settings.pause_bells_ns)
        t->chasing = false;
    uint64_t limit = pause_ns(t, now);
    if (atomic_exchange_explicit(&t->woken, false, memory_order_seq_cst)) {
        sl_doorbell_disarm(bell);
        return;
    }
    sl_doorbell_sleep(bell, ticket, timeout_ns < limit ? timeout_ns : limit);
    bool rung = atomic_load_explicit(&bell->rings, memory_order_relaxed) != ticket;
    bool woken = atomic_exchange_explicit(&t->woken, false, memory_order_seq_cst);
    if (rung && !woken && !t->chasing) {
        t->chasing = true;
        t->pause.last_event_ns = sl_clock_now_ns();
    }
}

static void transport_wake(sl_transport *base) {
    transport *t = (transport *)base;
    atomic_store_explicit(&t->woken, true, memory_order_seq_cst);
    sl_doorbell_ring(t->mpi->bells.own);
}

/* ---- the end ---- */

static bool transport_drained(sl_transport *base) {
    const transport *t = (const transport *)base;
    return t->sends.count == 0 && t->bulk.sends == 0;
}

static void transport_abandon(sl_transport *base, uint32_t peer) {
    transport *t = (transport *)base;
    if (peer >= base->count || t->abandoned[peer])
        return;
    t->abandoned[peer] = true;
    if (!t->mpi->bells.of[peer])
        t->unreached--;
    /* Without memory to set them apart, they stay where they are and are dropped when they are
     * over. */
    int most = t->sends.count + t->bulk.under_way.count;
    if (sl_mpi_requests_reserve(&t->orphans, most) != SL_OK)
        return;
    t->buffers -= t->outstanding[peer];
    t->outstanding[peer] = 0;
    sl_mpi_requests_move(&t->sends, &t->orphans, peer);
    sl_mpi_bulk_abandon(&t->bulk, peer, &t->orphans);
}

/* Takes back a posted receive; false when MPI does not let go of it in time. */
static bool receive_cancel(MPI_Request *request, uint64_t until_ns) {
    int over = 0;
    MPI_Cancel(request);
    do {
        if (MPI_Test(request, &over, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return false;
    } while (!over && sl_clock_now_ns() < until_ns);
    return over && MPI_Request_free(request) == MPI_SUCCESS;
}

static void ring_close(transport *t) {
    uint64_t until = sl_clock_now_ns() + CANCEL_NS;
    bool ours = true;
    for (uint32_t i = 0; i < t->ring_size; i++)
        if (t->ring && t->ring[i] != MPI_REQUEST_NULL)
            ours &= receive_cancel(&t->ring[i], until);
    if (ours)
        free(t->ring_memory);
    free(t->ring);
}

static void pool_close(transport *t) {
    while (t->pool) {
        buffer *next = t->pool->next;
        free(t->pool);
        t->pool = next;
    }
}

/* Bulk data nobody will ask for any more; what does not end by cancelling keeps its blob. */
static void bulk_close(transport *t) {
    for (int i = 0; i < t->bulk.under_way.count; i++)
        if (t->bulk.under_way.entries[i].kind == SL_MPI_BULK_RECEIVE)
            MPI_Cancel(&t->bulk.under_way.requests[i]);
    int over = sl_mpi_bulk_test(&t->bulk);
    for (int i = 0; i < over; i++)
        sl_blob_release(t->bulk.under_way.finished[i].entry.object);
}

static void transport_close(sl_transport *base) {
    transport *t = (transport *)base;
    int lost = t->sends.count + t->bulk.under_way.count + t->bulk.waiting;
    if (lost)
        sl_debug("mpi", "transport closed with %d transfers under way", lost);
    ring_close(t);
    bulk_close(t);
    orphans_bury(t);
    pool_close(t);
    sl_mpi_requests_fini(&t->sends);
    sl_mpi_bulk_close(&t->bulk);
    sl_mpi_requests_fini(&t->orphans);
    free(t->outstanding);
    free(t->abandoned);
    t->mpi->transport = NULL;
    free(t);
}

/* ---- the beginning ---- */

static const sl_transport_ops operations = {
    .name = "mpi",
    .acquire = transport_acquire,
    .post = transport_post,
    .bulk_send = transport_bulk_send,
    .bulk_receive = transport_bulk_receive,
    .poll = transport_poll,
    .arm = transport_arm,
    .disarm = transport_disarm,
    .sleep = transport_sleep,
    .wake = transport_wake,
    .drained = transport_drained,
    .abandon = transport_abandon,
    .close = transport_close,
};

static sl_err ring_open(transport *t) {
    for (uint32_t i = 0; i < t->ring_size; i++)
        t->ring[i] = MPI_REQUEST_NULL;
    for (uint32_t i = 0; i < t->ring_size; i++) {
        void *place = t->ring_memory + i * t->stride;
        SL_MPI_TRY(MPI_Recv_init(place, (int)t->head.frame_bytes, MPI_BYTE, MPI_ANY_SOURCE,
                                 FRAME_TAG, t->comm, &t->ring[i]));
    }
    return sl_mpi_check(MPI_Startall((int)t->ring_size, t->ring), "MPI_Startall");
}

static transport *transport_create(sl_mpi *mpi) {
    transport *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    const sl_mpi_settings *s = &mpi->settings;
    t->head = (sl_transport){&operations, mpi->rank, mpi->count, mpi->frame_bytes};
    t->mpi = mpi;
    t->comm = mpi->frames;
    t->stride = (mpi->frame_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    t->ring_size = s->receive_ring;
    t->window = s->window;
    t->buffers_max = (uint32_t)(POOL_MAX_BYTES / t->stride);
    t->unreached = mpi->bells.unreached;
    t->polled_ns = sl_clock_now_ns();
    sl_mpi_pause_init(&t->pause, s->pause_min_ns, s->pause_max_ns, t->polled_ns);
    t->ring = calloc(t->ring_size, sizeof *t->ring);
    t->ring_memory = aligned_alloc(ALIGNMENT, t->ring_size * t->stride);
    t->outstanding = calloc(mpi->count, sizeof *t->outstanding);
    t->abandoned = calloc(mpi->count, sizeof *t->abandoned);
    return t;
}

sl_err sl_mpi_transport_open(sl_mpi *mpi, sl_transport **out) {
    transport *t = transport_create(mpi);
    if (t && sl_mpi_bulk_open(&t->bulk, mpi) == SL_OK && t->ring && t->ring_memory &&
        t->outstanding && t->abandoned) {
        SL_TRY(ring_open(t));
        *out = &t->head;
        return SL_OK;
    }
    if (t) {
        sl_mpi_bulk_close(&t->bulk);
        free(t->ring);
        free(t->ring_memory);
        free(t->outstanding);
        free(t->abandoned);
        free(t);
    }
    return sl_fail(SL_ERR_NO_MEMORY, "no memory for a transport between %u ranks", mpi->count);
}
