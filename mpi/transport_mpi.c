/* Design notes
 * Ranks of one host reach each other through memory (near.h), the others through MPI (far.h,
 * bulk.h). Where memory may be shared but not read, frames go the first way and bulk data the
 * second. A poll looks at memory first, and while that keeps it busy at MPI only now and then.
 *
 * Sleeping. Who leaves something for a rank of its own host rings that rank's doorbell. Three cases
 * need MPI's progress while asleep, and cut the sleep into pauses (pause.h): peers without a bell;
 * what MPI has under way; and a bell that rang when nothing was to be found yet, for bulk data that
 * MPI brings. As long as MPI brings bulk data at all, a sleep ends after pause_bells, should it
 * keep something back that it has called sent.
 *
 * The dead. Of ranks on this host the kernel tells (deaths.h). MPI says nothing, sends to the dead
 * pend for ever, and what it may still read or write must stay: such requests become orphans,
 * looked at only before a sleep. Should the peer be no dead one, they reach it, and are refused
 * there. After an idle time MPI is asked for progress before the first send, without which Open
 * MPI's TCP may raise SIGPIPE or spin on a dead peer. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/bulk.h"
#include "mpi/far.h"
#include "mpi/internal.h"
#include "mpi/near.h"
#include "mpi/pause.h"
#include "runtime/clock.h"

#define IDLE_BEFORE_SEND_NS (10 * SL_NS_PER_MS) /* after it, progress before a send */

#define FETCH_NS (50 * SL_NS_PER_US)

enum { FAR_EVERY = 8 }; /* polls that found something near, for one look at MPI */

typedef struct transport {
    sl_transport head;
    sl_mpi *mpi;
    sl_mpi_near near;
    sl_mpi_far far;
    sl_mpi_bulk bulk;
    sl_mpi_requests orphans;
    bool *abandoned; /* per peer */

    uint32_t unreached; /* peers alive without a bell */
    uint32_t far_skipped;
    bool mpi_bulk;     /* some bulk data goes through MPI */
    bool cores_enough; /* for all ranks of this host */
    _Atomic bool woken;
    bool active;  /* MPI did something since the last sleep */
    bool chasing; /* a bell rang for what has not been seen yet */
    sl_mpi_pause pause;
    uint64_t sent_ns; /* through MPI, the last time */
} transport;

static void ring_bell(const transport *t, uint32_t peer) {
    uint32_t local = t->mpi->host.local_of[peer];
    if (local != SL_MPI_FAR)
        sl_doorbell_ring(&t->mpi->host.neighbours[local].segment->bell);
}

/* ---- frames ---- */

static void *transport_acquire(sl_transport *base, uint32_t peer) {
    transport *t = (transport *)base;
    if (peer >= base->count)
        return NULL;
    sl_mpi_near_peer *near = sl_mpi_near_find(&t->near, peer);
    return near ? sl_mpi_near_acquire(near) : sl_mpi_far_acquire(&t->far, peer, t->abandoned[peer]);
}

/* Progress before the first send after an idle time, where peers are reached over a network. */
static void progress_if_idle(transport *t) {
    if (!t->unreached)
        return;
    uint64_t now = sl_clock_now_ns();
    int found;
    if (now - t->sent_ns >= IDLE_BEFORE_SEND_NS)
        MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, t->bulk.comm, &found, MPI_STATUS_IGNORE);
    t->sent_ns = now;
}

static void transport_post(sl_transport *base, uint32_t peer, void *frame, size_t bytes) {
    transport *t = (transport *)base;
    sl_mpi_near_peer *near = sl_mpi_near_find(&t->near, peer);
    if (near) {
        sl_mpi_near_post(&t->near, near, bytes);
    } else {
        progress_if_idle(t);
        t->active |= sl_mpi_far_post(&t->far, peer, frame, bytes);
    }
}

/* ---- what MPI brings ---- */

static void bulk_over(transport *t, const sl_transport_sink *sink,
                      const sl_mpi_finished *finished) {
    uint32_t peer = finished->entry.peer;
    sl_blob *blob = finished->entry.object;
    if (t->abandoned[peer]) {
        sl_blob_release(blob);
    } else if (finished->entry.kind == SL_MPI_BULK_SEND) {
        if (finished->code != MPI_SUCCESS)
            sl_mpi_far_send_failed(peer, finished->code);
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

static size_t poll_bulk(transport *t, const sl_transport_sink *sink) {
    int over = sl_mpi_bulk_test(&t->bulk);
    for (int i = 0; i < over; i++) {
        sl_mpi_finished finished = t->bulk.under_way.finished[i];
        bulk_over(t, sink, &finished);
    }
    return (size_t)over;
}

static size_t poll_mpi(transport *t, const sl_transport_sink *sink, size_t budget) {
    size_t events = sl_mpi_far_poll(&t->far, sink, budget);
    if (t->bulk.under_way.count)
        events += poll_bulk(t, sink);
    t->active |= events != 0;
    return events;
}

static size_t transport_poll(sl_transport *base, const sl_transport_sink *sink, size_t budget) {
    transport *t = (transport *)base;
    size_t events = t->near.peers ? sl_mpi_near_poll(&t->near, sink, budget) : 0;
    if (!t->far.ring && !t->bulk.under_way.count)
        return events;
    if (events && ++t->far_skipped < FAR_EVERY)
        return events;
    t->far_skipped = 0;
    return events + poll_mpi(t, sink, budget);
}

/* ---- bulk ---- */

static sl_err bulk_peer_check(const transport *t, uint32_t peer) {
    if (peer >= t->head.count)
        return sl_fail(SL_ERR_INVALID, "no node %u in a network of %u", peer, t->head.count);
    if (t->abandoned[peer])
        return sl_fail(SL_ERR_DEAD, "node %u is gone", peer);
    return SL_OK;
}

/* The peer, if its blobs can be read and it can read ours. */
static sl_mpi_near_peer *readable(const transport *t, uint32_t peer) {
    return t->mpi->host.readable ? sl_mpi_near_find(&t->near, peer) : NULL;
}

static sl_err transport_bulk_send(sl_transport *base, uint32_t peer, uint64_t id, sl_blob *blob) {
    transport *t = (transport *)base;
    SL_TRY(bulk_peer_check(t, peer));
    sl_mpi_near_peer *near = readable(t, peer);
    if (near)
        return sl_mpi_near_bulk_send(&t->near, near, id, blob);
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
    sl_mpi_near_peer *near = readable(t, peer);
    if (near)
        return sl_mpi_near_bulk_receive(&t->near, near, id, bytes);
    SL_TRY(sl_mpi_bulk_receive(&t->bulk, peer, id, bytes));
    t->active = true;
    return SL_OK;
}

/* ---- sleeping ---- */

/* Who fetches our bulk data has done so in tens of microseconds, and would pay for waking us each
 * time. Where every rank of the host has a core to itself, we stay awake that long. */
static void wait_for_fetch(const transport *t) {
    uint64_t until = t->near.sends && t->cores_enough ? sl_clock_now_ns() + FETCH_NS : 0;
    while (until && !atomic_load_explicit(&t->woken, memory_order_relaxed) &&
           !sl_mpi_near_ready(&t->near) && sl_clock_now_ns() < until)
        continue;
}

static uint32_t transport_arm(sl_transport *base) {
    transport *t = (transport *)base;
    wait_for_fetch(t);
    return sl_doorbell_arm(t->mpi->host.bell);
}

static void transport_disarm(sl_transport *base) {
    sl_doorbell_disarm(((transport *)base)->mpi->host.bell);
}

/* The longest sleep now; see the design notes. */
static uint64_t pause_ns(const transport *t, uint64_t now) {
    bool bulk = t->bulk.under_way.count != 0;
    if (bulk || t->far.sends.count || t->chasing)
        return sl_mpi_pause_working(&t->pause, now, bulk);
    if (t->unreached)
        return sl_mpi_pause_waiting(&t->pause, now);
    return t->mpi_bulk ? t->mpi->settings.pause_bells_ns : UINT64_MAX;
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

/* What happened since the last sleep, for the length of this one. */
static void account(transport *t, uint64_t now) {
    if (t->active) {
        sl_mpi_pause_event(&t->pause, now);
        t->active = t->chasing = false;
    }
    if (now - t->pause.last_event_ns > t->mpi->settings.pause_bells_ns)
        t->chasing = false;
}

static void transport_sleep(sl_transport *base, uint32_t ticket, uint64_t timeout_ns) {
    transport *t = (transport *)base;
    sl_doorbell *bell = t->mpi->host.bell;
    uint64_t now = sl_clock_now_ns();
    if (t->orphans.count)
        orphans_bury(t);
    account(t, now);
    uint64_t limit = pause_ns(t, now);
    if (atomic_exchange_explicit(&t->woken, false, memory_order_seq_cst)) {
        sl_doorbell_disarm(bell);
        return;
    }
    sl_doorbell_sleep(bell, ticket, timeout_ns < limit ? timeout_ns : limit);
    bool rung = atomic_load_explicit(&bell->rings, memory_order_relaxed) != ticket;
    bool woken = atomic_exchange_explicit(&t->woken, false, memory_order_seq_cst);
    if (rung && !woken && !t->chasing && t->mpi_bulk) {
        t->chasing = true;
        t->pause.last_event_ns = sl_clock_now_ns();
    }
}

static void transport_wake(sl_transport *base) {
    transport *t = (transport *)base;
    atomic_store_explicit(&t->woken, true, memory_order_seq_cst);
    sl_doorbell_ring(t->mpi->host.bell);
}

static void wake_up(void *context) {
    transport_wake(context);
}

/* ---- the end ---- */

static bool transport_drained(sl_transport *base) {
    const transport *t = (const transport *)base;
    return sl_mpi_far_drained(&t->far, t->abandoned) && t->bulk.sends == 0 &&
           sl_mpi_near_drained(&t->near);
}

static void transport_abandon(sl_transport *base, uint32_t peer) {
    transport *t = (transport *)base;
    if (peer >= base->count || t->abandoned[peer])
        return;
    t->abandoned[peer] = true;
    sl_mpi_near_peer *near = sl_mpi_near_find(&t->near, peer);
    if (near)
        sl_mpi_near_abandon(&t->near, near);
    else
        t->unreached--;
    /* Without memory to set them apart, they stay where they are and are dropped when they are
     * over. */
    int most = t->far.sends.count + t->bulk.under_way.count;
    if (sl_mpi_requests_reserve(&t->orphans, most) != SL_OK)
        return;
    sl_mpi_far_abandon(&t->far, peer, &t->orphans);
    sl_mpi_bulk_abandon(&t->bulk, peer, &t->orphans);
}

static void transport_readmit(sl_transport *base, uint32_t peer, uint64_t first_in,
                              uint64_t first_out) {
    transport *t = (transport *)base;
    if (peer >= base->count || !t->abandoned[peer])
        return;
    t->abandoned[peer] = false;
    sl_mpi_near_peer *near = sl_mpi_near_find(&t->near, peer);
    if (near)
        sl_mpi_near_readmit(&t->near, near, first_in, first_out);
    else
        t->unreached++;
    /* What MPI still has of the life before was sent under other tags. */
}

/* Bulk data nobody will ask for any more; what does not end by cancelling keeps its blob. */
static void bulk_close(transport *t) {
    for (int i = 0; i < t->bulk.under_way.count; i++)
        if (t->bulk.under_way.entries[i].kind == SL_MPI_BULK_RECEIVE)
            MPI_Cancel(&t->bulk.under_way.requests[i]);
    int over = sl_mpi_bulk_test(&t->bulk);
    for (int i = 0; i < over; i++)
        sl_blob_release(t->bulk.under_way.finished[i].entry.object);
    sl_mpi_bulk_close(&t->bulk);
}

static void transport_close(sl_transport *base) {
    transport *t = (transport *)base;
    sl_mpi_near_close(&t->near);
    sl_mpi_far_close(&t->far);
    bulk_close(t);
    orphans_bury(t);
    sl_mpi_requests_fini(&t->orphans);
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
    .readmit = transport_readmit,
    .close = transport_close,
};

static sl_err transport_init(transport *t, sl_mpi *mpi) {
    const sl_mpi_settings *s = &mpi->settings;
    t->head = (sl_transport){.ops = &operations,
                             .self = mpi->rank,
                             .count = mpi->count,
                             .frame_bytes = mpi->frame_bytes};
    t->mpi = mpi;
    t->unreached = mpi->host.neighbours ? mpi->host.far : mpi->count - 1;
    t->mpi_bulk = mpi->host.far || !mpi->host.readable;
    t->cores_enough = sysconf(_SC_NPROCESSORS_ONLN) >= (long)mpi->host.count;
    t->sent_ns = sl_clock_now_ns();
    sl_mpi_pause_init(&t->pause, s->pause_min_ns, s->pause_max_ns, t->sent_ns);
    t->abandoned = calloc(mpi->count, sizeof *t->abandoned);
    if (!t->abandoned)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u peers", mpi->count);
    SL_TRY(sl_mpi_near_open(&t->near, &mpi->host, mpi->frame_bytes));
    SL_TRY(sl_mpi_far_open(&t->far, mpi));
    sl_mpi_bulk_open(&t->bulk, mpi);
    sl_mpi_near_watch(&t->near, wake_up, t);
    return SL_OK;
}

sl_err sl_mpi_transport_open(sl_mpi *mpi, sl_transport **out) {
    transport *t = calloc(1, sizeof *t);
    if (!t)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a transport between %u ranks", mpi->count);
    sl_err err = transport_init(t, mpi);
    if (err == SL_OK)
        *out = &t->head;
    else
        transport_close(&t->head);
    return err;
}
