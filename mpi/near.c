/* Design notes
 * Bulk data. The sender offers a blob (its id, address and length, in a slot of the ring); who is
 * to have it reads it straight out of the sender's memory (process_vm_readv), one copy, and says
 * that it has done so. Nothing is agreed on beforehand, so that one transfer follows another
 * without a pause, and only one large blob is being filled at a time: the receiver gets the memory
 * of the last again while it is still warm. Large ones are read in pieces, between which the loop
 * turns; small ones do not wait for them.
 *
 * Notes (offers, and what is done) share the ring with the frames. Where it is full, or a slot of
 * it is being filled, they wait; posting a frame and every poll send what waits.
 *
 * A blob whose receiver was given up may be freed and its memory used for something else while the
 * receiver, a ghost by then, still reads it. So all ids are revoked first, and a reader believes
 * what it has read only when it finds its id valid afterwards; in a new life of the link those from
 * the first of that life on are. */
#include "mpi/near.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "mpi/bootstrap.h"
#include "runtime/log.h"

enum { SMALL_BYTES = 64 << 10, PIECE_BYTES = 1 << 20 };

/* What is said of a blob, in a slot. */
typedef struct note {
    uint64_t id, address, bytes;
} note;

static void ring_bell(const sl_mpi_near *near, const sl_mpi_near_peer *peer) {
    sl_doorbell_ring(&near->host->neighbours[peer - near->peers].segment->bell);
}

/* ---- notes ---- */

static void note_publish(sl_mpi_near_peer *peer, void *slot, const sl_arrival *about) {
    note n = {about->id, about->address, about->bytes};
    memcpy(slot, &n, sizeof n);
    sl_mpi_ring_publish(&peer->out, (sl_mpi_slot_kind)about->kind, sizeof n);
}

/* Sends what waits, as far as there is room. */
static void notes_flush(sl_mpi_near *near, sl_mpi_near_peer *peer) {
    void *slot;
    bool any = false;
    while (peer->notes.head && !peer->acquired && (slot = sl_mpi_ring_acquire(&peer->out))) {
        sl_arrival *first = sl_arrivals_pop(&peer->notes);
        note_publish(peer, slot, first);
        sl_arrival_free(first);
        near->notes--;
        any = true;
    }
    if (any)
        ring_bell(near, peer);
}

/* Takes over `about`. */
static void note_send(sl_mpi_near *near, sl_mpi_near_peer *peer, sl_arrival *about,
                      sl_mpi_slot_kind kind) {
    about->kind = kind;
    sl_arrivals_push(&peer->notes, about);
    near->notes++;
    notes_flush(near, peer);
}

/* ---- frames out ---- */

void *sl_mpi_near_acquire(sl_mpi_near_peer *peer) {
    void *slot = sl_mpi_ring_acquire(&peer->out);
    peer->acquired = slot != NULL;
    return slot;
}

void sl_mpi_near_post(sl_mpi_near *near, sl_mpi_near_peer *peer, size_t bytes) {
    peer->acquired = false;
    sl_mpi_ring_publish(&peer->out, SL_MPI_SLOT_FRAME, bytes);
    ring_bell(near, peer);
    if (peer->notes.head)
        notes_flush(near, peer);
}

/* ---- bulk ---- */

static sl_err no_memory(void) {
    return sl_fail(SL_ERR_NO_MEMORY, "no memory for a bulk transfer");
}

sl_err sl_mpi_near_bulk_send(sl_mpi_near *near, sl_mpi_near_peer *peer, uint64_t id,
                             sl_blob *blob) {
    if (near->sends >= SL_MPI_BULK_MAX)
        return sl_fail(SL_ERR_AGAIN, "%d bulk transfers are on their way", SL_MPI_BULK_MAX);
    sl_arrival *offer = sl_arrival_create(peer->rank, id, blob->bytes, NULL);
    sl_arrival *kept = offer ? sl_arrival_create(peer->rank, id, blob->bytes, NULL) : NULL;
    if (!kept) {
        sl_arrival_free(offer);
        return no_memory();
    }
    kept->blob = sl_blob_retain(blob);
    offer->address = (uint64_t)(uintptr_t)blob->data;
    sl_arrivals_push(&peer->sent, kept);
    near->sends++;
    note_send(near, peer, offer, SL_MPI_SLOT_OFFER);
    return SL_OK;
}

/* `offer` is what was asked for; frees `wanted`. One of another length has nothing to be fetched.
 */
static void match(sl_mpi_near *near, sl_arrival *offer, sl_arrival *wanted) {
    if (offer->bytes != wanted->bytes) {
        sl_warn("mpi", "bulk data did not arrive: peer %u id %llu bytes %llu of %llu", offer->peer,
                (unsigned long long)offer->id, (unsigned long long)offer->bytes,
                (unsigned long long)wanted->bytes);
        offer->bytes = offer->address = 0;
    }
    sl_arrival_free(wanted);
    sl_arrivals_push(offer->bytes <= SMALL_BYTES ? &near->small : &near->large, offer);
}

sl_err sl_mpi_near_bulk_receive(sl_mpi_near *near, sl_mpi_near_peer *peer, uint64_t id,
                                uint64_t bytes) {
    if (near->receives >= SL_MPI_BULK_MAX)
        return sl_fail(SL_ERR_AGAIN, "%d bulk transfers are on their way", SL_MPI_BULK_MAX);
    if (bytes > SL_BLOB_MAX_BYTES)
        return sl_fail(SL_ERR_TOO_LARGE, "bulk data of %llu bytes", (unsigned long long)bytes);
    sl_arrival *wanted = sl_arrival_create(peer->rank, id, bytes, NULL);
    if (!wanted)
        return no_memory();
    near->receives++;
    sl_arrival *offer = sl_arrivals_take(&peer->offered, id);
    if (offer) {
        near->offers--;
        match(near, offer, wanted);
    } else {
        sl_arrivals_push(&peer->wanted, wanted);
    }
    return SL_OK;
}

static void offer_arrived(sl_mpi_near *near, sl_mpi_near_peer *peer, const note *n) {
    sl_arrival *offer = near->offers < SL_MPI_BULK_MAX
                            ? sl_arrival_create(peer->rank, n->id, n->bytes, NULL)
                            : NULL;
    if (!offer) {
        sl_error("mpi", "bulk data lost: peer %u id %llu: no memory, or too much unasked for",
                 peer->rank, (unsigned long long)n->id);
        return;
    }
    offer->address = n->address;
    sl_arrival *wanted = sl_arrivals_take(&peer->wanted, n->id);
    if (wanted) {
        match(near, offer, wanted);
    } else {
        sl_arrivals_push(&peer->offered, offer);
        near->offers++;
    }
}

static void done_arrived(sl_mpi_near *near, sl_mpi_near_peer *peer, const note *n,
                         const sl_transport_sink *sink) {
    sl_arrival *kept = sl_arrivals_take(&peer->sent, n->id);
    if (!kept)
        return;
    near->sends--;
    sink->bulk_sent(sink->context, peer->rank, n->id);
    sl_arrival_free(kept);
}

/* ---- fetching ---- */

static bool revoked(const sl_mpi_near *near, const sl_mpi_near_peer *peer, uint64_t id) {
    sl_mpi_segment *theirs = near->host->neighbours[peer - near->peers].segment;
    atomic_thread_fence(memory_order_acquire);
    return id < atomic_load_explicit(&theirs->valid_from[near->host->self], memory_order_relaxed);
}

static bool read_from(const sl_mpi_near *near, const sl_mpi_near_peer *peer, void *to,
                      uint64_t address, size_t bytes) {
    struct iovec here = {to, bytes}, there = {(void *)(uintptr_t)address, bytes};
    pid_t pid = near->host->neighbours[peer - near->peers].pid;
    if (process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)bytes)
        return true;
    sl_warn("mpi", "bulk data of %zu bytes cannot be read from peer %u", bytes, peer->rank);
    return false;
}

/* Tells its sender and its receiver of the end of a transfer, and takes it over. */
static void fetched(sl_mpi_near *near, sl_mpi_near_peer *peer, sl_arrival *arrival, bool whole,
                    const sl_transport_sink *sink) {
    uint64_t id = arrival->id;
    sl_blob *blob = whole && !revoked(near, peer, id) ? sl_blob_retain(arrival->blob) : NULL;
    sl_blob_release(arrival->blob);
    arrival->blob = NULL;
    near->receives--;
    note_send(near, peer, arrival, SL_MPI_SLOT_DONE);
    sink->bulk_received(sink->context, peer->rank, id, blob);
}

/* The next piece of the first transfer of `list`; true when that was the last. */
static bool fetch_piece(sl_mpi_near *near, sl_arrivals *list, uint64_t *done_bytes,
                        const sl_transport_sink *sink) {
    sl_arrival *arrival = list->head;
    sl_mpi_near_peer *peer = sl_mpi_near_find(near, arrival->peer);
    uint64_t left = arrival->bytes - *done_bytes;
    size_t bytes = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
    bool whole = arrival->address &&
                 (arrival->blob || sl_blob_create(arrival->bytes, &arrival->blob) == SL_OK);
    if (whole && bytes)
        whole = read_from(near, peer, arrival->blob->data + *done_bytes,
                          arrival->address + *done_bytes, bytes);
    *done_bytes += bytes;
    if (whole && *done_bytes < arrival->bytes)
        return false;
    *done_bytes = 0;
    fetched(near, peer, sl_arrivals_pop(list), whole, sink);
    return true;
}

/* Small ones up to a piece in all, then a piece of a large one. */
static size_t fetch(sl_mpi_near *near, const sl_transport_sink *sink) {
    size_t events = 0;
    uint64_t none = 0, bytes = 0;
    while (near->small.head && bytes < PIECE_BYTES) {
        bytes += near->small.head->bytes;
        fetch_piece(near, &near->small, &none, sink);
        events++;
    }
    if (near->large.head) {
        fetch_piece(near, &near->large, &near->fetched_bytes, sink);
        events++;
    }
    return events;
}

/* ---- what has arrived ---- */

/* A slot that is not as we write them goes on as a frame without bytes: no sound peer sends one. */
static void slot_deliver(sl_mpi_near *near, sl_mpi_near_peer *peer, const sl_mpi_slot *slot,
                         sl_mpi_slot_kind kind, size_t bytes, const sl_transport_sink *sink) {
    note n;
    if (kind == SL_MPI_SLOT_FRAME && bytes <= near->frame_bytes) {
        sink->frame(sink->context, peer->rank, slot->data, bytes);
    } else if ((kind == SL_MPI_SLOT_OFFER || kind == SL_MPI_SLOT_DONE) && bytes == sizeof n) {
        memcpy(&n, slot->data, sizeof n);
        if (peer->abandoned || (kind == SL_MPI_SLOT_OFFER && n.id < peer->first_in))
            return; /* of a life of the link that is over */
        if (kind == SL_MPI_SLOT_OFFER)
            offer_arrived(near, peer, &n);
        else
            done_arrived(near, peer, &n, sink);
    } else {
        sink->frame(sink->context, peer->rank, slot->data, 0);
    }
}

static size_t ring_poll(sl_mpi_near *near, sl_mpi_near_peer *peer, const sl_transport_sink *sink,
                        size_t budget) {
    size_t count = 0, bytes;
    sl_mpi_slot_kind kind;
    const sl_mpi_slot *slot;
    for (; count < budget && (slot = sl_mpi_ring_next(&peer->in, &kind, &bytes)); count++) {
        slot_deliver(near, peer, slot, kind, bytes, sink);
        sl_mpi_ring_take(&peer->in);
    }
    if (count && sl_mpi_ring_relieve(&peer->in))
        ring_bell(near, peer);
    return count;
}

static size_t rings_poll(sl_mpi_near *near, const sl_transport_sink *sink, size_t budget) {
    size_t count = 0;
    uint32_t all = near->host->count, at = near->first;
    near->first = at + 1 == all ? 0 : at + 1;
    for (uint32_t i = 0; i < all && count < budget; i++) {
        count += ring_poll(near, &near->peers[at], sink, budget - count);
        at = at + 1 == all ? 0 : at + 1;
    }
    return count;
}

/* Of those who have ended and left nothing in their rings that was not looked at. */
static size_t tell_of_deaths(sl_mpi_near *near, const sl_transport_sink *sink) {
    size_t events = 0, bytes;
    sl_mpi_slot_kind kind;
    for (uint32_t i = 0; i < near->host->count; i++) {
        sl_mpi_near_peer *peer = &near->peers[i];
        if (peer->lost || !atomic_load_explicit(&near->deaths.ended[i], memory_order_acquire) ||
            sl_mpi_ring_next(&peer->in, &kind, &bytes))
            continue;
        peer->lost = true;
        near->deaths_told++;
        events++;
        if (sink->lost)
            sink->lost(sink->context, peer->rank);
    }
    return events;
}

size_t sl_mpi_near_poll(sl_mpi_near *near, const sl_transport_sink *sink, size_t budget) {
    size_t events = rings_poll(near, sink, budget);
    if (sl_mpi_deaths_count(&near->deaths) != near->deaths_told)
        events += tell_of_deaths(near, sink);
    for (uint32_t i = 0; near->notes && i < near->host->count; i++)
        notes_flush(near, &near->peers[i]);
    if (near->small.head || near->large.head)
        events += fetch(near, sink);
    return events;
}

bool sl_mpi_near_ready(const sl_mpi_near *near) {
    sl_mpi_slot_kind kind;
    size_t bytes;
    for (uint32_t i = 0; i < near->host->count; i++)
        if (sl_mpi_ring_next(&near->peers[i].in, &kind, &bytes))
            return true;
    return near->small.head || near->large.head;
}

/* ---- beginning and end ---- */

/* Entries of `list` that concern `rank`. */
static uint32_t count(const sl_arrivals *list, uint32_t rank) {
    uint32_t found = 0;
    for (const sl_arrival *arrival = list->head; arrival; arrival = arrival->next)
        found += arrival->peer == rank;
    return found;
}

void sl_mpi_near_abandon(sl_mpi_near *near, sl_mpi_near_peer *peer) {
    if (peer->abandoned)
        return;
    sl_mpi_segment *own = near->host->neighbours[near->host->self].segment;
    peer->abandoned = true;
    atomic_store_explicit(&own->valid_from[peer - near->peers], UINT64_MAX, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    if (near->large.head && near->large.head->peer == peer->rank)
        near->fetched_bytes = 0;
    near->sends -= count(&peer->sent, peer->rank);
    near->notes -= count(&peer->notes, peer->rank);
    near->offers -= count(&peer->offered, peer->rank);
    near->receives -= count(&peer->wanted, peer->rank) + count(&near->small, peer->rank) +
                      count(&near->large, peer->rank);
    sl_arrivals_clear(&peer->sent);
    sl_arrivals_clear(&peer->notes);
    sl_arrivals_clear(&peer->offered);
    sl_arrivals_clear(&peer->wanted);
    sl_arrivals_drop_peer(&near->small, peer->rank);
    sl_arrivals_drop_peer(&near->large, peer->rank);
}

/* Offers of the new life come after the frame that opened it: the ring keeps their order. */
void sl_mpi_near_readmit(sl_mpi_near *near, sl_mpi_near_peer *peer, uint64_t first_in,
                         uint64_t first_out) {
    sl_mpi_segment *own = near->host->neighbours[near->host->self].segment;
    peer->abandoned = false;
    peer->first_in = first_in;
    atomic_store_explicit(&own->valid_from[peer - near->peers], first_out, memory_order_seq_cst);
}

static void ring_end_init(sl_mpi_ring_end *end, const sl_mpi_near *near, sl_mpi_segment *segment,
                          uint32_t from) {
    *end = (sl_mpi_ring_end){.ring = sl_mpi_segment_ring(segment, from),
                             .count = near->host->slots,
                             .stride = sl_mpi_ring_stride(near->frame_bytes)};
}

sl_err sl_mpi_near_open(sl_mpi_near *near, const sl_mpi_host *host, size_t frame_bytes) {
    *near = (sl_mpi_near){.host = host, .frame_bytes = frame_bytes};
    if (!host->neighbours)
        return SL_OK;
    near->peers = calloc(host->count, sizeof *near->peers);
    if (!near->peers)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u ranks of this host", host->count);
    sl_mpi_segment *own = host->neighbours[host->self].segment;
    for (uint32_t i = 0; i < host->count; i++) {
        sl_mpi_near_peer *peer = &near->peers[i];
        peer->rank = host->neighbours[i].rank;
        ring_end_init(&peer->out, near, host->neighbours[i].segment, host->self);
        ring_end_init(&peer->in, near, own, i);
    }
    return SL_OK;
}

void sl_mpi_near_watch(sl_mpi_near *near, void (*wake)(void *), void *context) {
    sl_mpi_deaths_watch(&near->deaths, near->host, wake, context);
}

void sl_mpi_near_close(sl_mpi_near *near) {
    sl_mpi_deaths_close(&near->deaths);
    for (uint32_t i = 0; near->peers && i < near->host->count; i++)
        sl_mpi_near_abandon(near, &near->peers[i]);
    free(near->peers);
    near->peers = NULL;
}
