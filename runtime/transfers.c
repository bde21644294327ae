/* Bulk transfers between this node and one peer, in the order of their ids.
 *
 * The transport bounds how many are under way at once over all peers; beyond that they wait here.
 */
#include "runtime/node_internal.h"

#include <string.h>

static bool grow(sl_transfers *transfers) {
    uint32_t capacity = transfers->capacity ? 2 * transfers->capacity : 16;
    sl_transfer *ring = calloc(capacity, sizeof *ring);
    if (!ring)
        return false;
    for (uint32_t i = 0; i < transfers->count; i++) {
        uint64_t id = transfers->first_id + i;
        ring[id & (capacity - 1)] = transfers->ring[id & (transfers->capacity - 1)];
    }
    free(transfers->ring);
    transfers->ring = ring;
    transfers->capacity = capacity;
    return true;
}

bool sl_transfers_reserve(sl_transfers *transfers, uint32_t count) {
    while (transfers->capacity - transfers->count < count) {
        if (!grow(transfers))
            return false;
    }
    return true;
}

sl_transfer *sl_transfers_add(sl_transfers *transfers) {
    if (!sl_transfers_reserve(transfers, 1))
        return NULL;
    uint64_t id = transfers->first_id + transfers->count++;
    sl_transfer *transfer = &transfers->ring[id & (transfers->capacity - 1)];
    memset(transfer, 0, sizeof *transfer);
    return transfer;
}

sl_transfer *sl_transfers_find(sl_transfers *transfers, uint64_t id) {
    if (id - transfers->first_id >= transfers->count)
        return NULL;
    return &transfers->ring[id & (transfers->capacity - 1)];
}

void sl_transfers_trim(sl_transfers *transfers) {
    while (transfers->count &&
           transfers->ring[transfers->first_id & (transfers->capacity - 1)].done) {
        transfers->first_id++;
        transfers->count--;
    }
}

static sl_err start(sl_node *node, uint32_t peer, bool outward, uint64_t id,
                    sl_transfer *transfer) {
    sl_transport *transport = node->transport;
    if (!outward)
        return transport->ops->bulk_receive(transport, peer, id, transfer->bytes);
    SL_TRY(transport->ops->bulk_send(transport, peer, id, transfer->blob));
    sl_blob_release(transfer->blob);
    transfer->blob = NULL;
    return SL_OK;
}

sl_err sl_transfers_start(sl_node *node, uint32_t peer, bool outward) {
    sl_channel *channel = sl_channel_of(node, peer);
    sl_transfers *transfers = outward ? &channel->bulk_out : &channel->bulk_in;
    sl_transfer *transfer;
    if (outward && channel->held)
        return SL_OK; /* sl_channel_hold() comes back to it */
    while ((transfer = sl_transfers_find(transfers, transfers->start_id))) {
        sl_err err = start(node, peer, outward, transfers->start_id, transfer);
        if (err == SL_ERR_AGAIN) {
            node->channels.stalled = true;
            return SL_OK;
        }
        if (err != SL_OK) {
            sl_error("node", "no bulk data to and from node %u: %s; the node is dropped", peer,
                     sl_err_detail());
            return err;
        }
        transfers->start_id++;
    }
    return SL_OK;
}

void sl_transfers_start_stalled(sl_node *node) {
    node->channels.stalled = false;
    for (uint32_t i = 0; i < node->channels.open_count; i++) {
        uint32_t peer = node->channels.open[i];
        if (node->channels.peers[peer]->state != SL_PEER_LOST &&
            (sl_transfers_start(node, peer, true) != SL_OK ||
             sl_transfers_start(node, peer, false) != SL_OK))
            sl_node_peer_lost(node, peer);
    }
}

/* The last part will never come: the message is skipped (and with the link those behind it), or it
 * is freed when its actor is gone. */
static void give_up(sl_node *node, sl_envelope *envelope) {
    bool orphan = envelope->dropped;
    envelope->dropped = 1;
    envelope->credit = 0;
    if (orphan)
        sl_envelope_free(node, envelope);
    if (orphan)
        return;
    sl_channel_unblock(node, envelope);
}

void sl_transfers_clear(sl_node *node, sl_transfers *transfers) {
    for (uint32_t i = 0; i < transfers->count; i++) {
        sl_transfer *transfer = sl_transfers_find(transfers, transfers->first_id + i);
        sl_envelope *envelope = transfer->envelope;
        bool waited_for = envelope && !transfer->blob;
        sl_blob_release(transfer->blob);
        if (waited_for && !--envelope->pending)
            give_up(node, envelope);
    }
    free(transfers->ring);
    uint64_t next_id = transfers->first_id + transfers->count;
    *transfers = (sl_transfers){.first_id = next_id, .start_id = next_id};
}
