/* Inward half of the channels: everything here comes from another process and is checked before it
 * counts.
 *
 * A frame that is not sound as a frame (head, order, credit) means the peer does not speak our
 * protocol: it is declared lost, for good. A message in it that does not decode is counted, logged
 * and dropped, and costs its sender nothing but the message. A frame of another life of its sender
 * than the link is with is dropped, and answered (link.c). */
#include "runtime/node_internal.h"
#include "runtime/plant.h"

#include <string.h>

typedef struct inbound {
    sl_node *node;
    uint32_t peer;
    sl_channel *channel;
    sl_lane lane;
} inbound;

static void protocol_error(inbound *in, const char *what) {
    sl_metric_add(in->node->metrics, SL_METRIC_decode_errors, 1);
    sl_error("node", "what node %u sent is not sound: %s; the node is dropped", in->peer, what);
    sl_node_peer_gone(in->node, in->peer);
}

static void message_error(inbound *in, const sl_record_head *head) {
    sl_metric_add(in->node->metrics, SL_METRIC_decode_errors, 1);
    sl_warn("node", "message from node %u dropped: type 0x%04x: %s", in->peer, head->type,
            sl_err_detail());
}

/* ---- bulk data ---- */

static bool expect_transfer(inbound *in, sl_envelope *envelope, const sl_blob_part *part,
                            bool is_body) {
    sl_transfers *transfers = &in->channel->bulk_in;
    sl_transfer *transfer =
        transfers->count < SL_MAX_TRANSFERS && part->id == transfers->first_id + transfers->count
            ? sl_transfers_add(transfers)
            : NULL;
    if (!transfer)
        return false;
    *transfer = (sl_transfer){
        .envelope = envelope, .bytes = part->bytes, .offset = part->offset, .is_body = is_body};
    envelope->pending++;
    return true;
}

/* Asks for all bulk parts of a message, within the window that its sender was to keep. */
static bool expect_transfers(inbound *in, sl_envelope *envelope, const sl_blob_parts *parts,
                             bool first_is_body) {
    if (!parts->count)
        return true;
    sl_channel *channel = in->channel;
    uint64_t under_way = channel->bulk_announced_bytes - channel->bulk_told_bytes, bytes = 0;
    for (uint32_t i = 0; i < parts->count; i++) {
        if (parts->part[i].bytes > SL_BLOB_MAX_BYTES)
            return false;
        bytes += parts->part[i].bytes + SL_TRANSFER_WEIGHT;
    }
    if (under_way && under_way + bytes > in->node->options.blob_window_bytes)
        return false;
    channel->bulk_announced_bytes += bytes;
    sl_envelope_note(envelope)->credit = bytes;
    for (uint32_t i = 0; i < parts->count; i++) {
        if (!expect_transfer(in, envelope, &parts->part[i], first_is_body && i == 0))
            return false;
    }
    return sl_transfers_start(in->node, in->peer, false) == SL_OK;
}

void sl_channel_unblock(sl_node *node, sl_envelope *envelope) {
    const sl_bulk_note *note = sl_envelope_note(envelope);
    sl_addr to = {node->id, note->to_slot, note->to_generation};
    sl_actor *actor = sl_actor_find(node, to);
    if (actor)
        sl_actor_schedule(actor);
}

static void attach(sl_envelope *envelope, uint32_t offset, sl_blob *blob) {
    memcpy((uint8_t *)sl_envelope_body(envelope) + offset, &blob, sizeof blob);
}

/* The body came as bulk data: decodes it and gives it the blobs that came with it. */
static sl_err decode_bulk_body(sl_envelope *envelope, sl_transfers *transfers, uint64_t first,
                               uint64_t end) {
    const sl_record *record = &envelope->type->record;
    sl_blob *encoded = sl_transfers_find(transfers, first)->blob;
    size_t memory_bytes;
    SL_TRY(sl_record_measure(record, encoded->data, encoded->bytes, &memory_bytes));
    void *body = malloc(memory_bytes ? memory_bytes : 1);
    if (!body)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a message of %zu bytes", memory_bytes);
    sl_envelope_note(envelope)->body_apart = body;
    sl_blob_parts parts = {.count = 0};
    envelope->hollow = 0; /* whatever decoding makes is to be released */
    SL_TRY(sl_record_decode(record, encoded->data, encoded->bytes, body, &parts));
    for (uint32_t i = 0; i < parts.count; i++) {
        if (parts.part[i].id <= first || parts.part[i].id >= end)
            return sl_fail(SL_ERR_DECODE, "%s names a transfer that is not its own", record->name);
        sl_transfer *transfer = sl_transfers_find(transfers, parts.part[i].id);
        if (!transfer->blob)
            return sl_fail(SL_ERR_DECODE, "%s names a transfer twice", record->name);
        attach(envelope, parts.part[i].offset, transfer->blob);
        transfer->blob = NULL;
    }
    return SL_OK;
}

static void forget_transfers(sl_transfers *transfers, uint64_t first, uint64_t end) {
    for (uint64_t id = first; id < end; id++) {
        sl_transfer *transfer = sl_transfers_find(transfers, id);
        sl_blob_release(transfer->blob);
        *transfer = (sl_transfer){.done = 1};
    }
    sl_transfers_trim(transfers);
}

/* All parts of `envelope`, transfers first … end-1, are there. A message that there is no memory
 * for is not left out of those of its sender: the link is given up. */
static void complete(inbound *in, sl_envelope *envelope, uint64_t first, uint64_t end) {
    sl_transfers *transfers = &in->channel->bulk_in;
    bool orphan = envelope->dropped;
    sl_err err = SL_OK;
    if (!orphan && sl_transfers_find(transfers, first)->is_body) {
        err = decode_bulk_body(envelope, transfers, first, end);
        if (err != SL_OK) {
            sl_metric_add(in->node->metrics, SL_METRIC_decode_errors, 1);
            sl_warn("node", "message from node %u dropped: %s", in->peer, sl_err_detail());
            envelope->dropped = 1;
        }
    } else if (!orphan) {
        for (uint64_t id = first; id < end; id++) {
            sl_transfer *transfer = sl_transfers_find(transfers, id);
            attach(envelope, transfer->offset, transfer->blob);
            transfer->blob = NULL;
        }
    }
    forget_transfers(transfers, first, end);
    if (orphan)
        sl_envelope_free(in->node, envelope);
    else
        sl_channel_unblock(in->node, envelope);
    if (err == SL_ERR_NO_MEMORY)
        sl_node_peer_lost(in->node, in->peer);
}

static void on_bulk_received(void *context, uint32_t peer, uint64_t id, sl_blob *blob) {
    sl_node *node = context;
    inbound in = {node, peer, sl_channel_of(node, peer), SL_LANE_DATA};
    sl_transfers *transfers = &in.channel->bulk_in;
    sl_transfer *transfer = sl_transfers_find(transfers, id);
    if (!transfer || transfer->blob || transfer->done) {
        sl_blob_release(blob);
        return;
    }
    if (!blob) { /* its sender has given us up, or there is no memory for it */
        sl_warn("node", "bulk data from node %u did not arrive; the link is given up", peer);
        sl_node_peer_lost(node, peer);
        return;
    }
    sl_metric_add(node->metrics, SL_METRIC_bytes_received, (int64_t)blob->bytes);
    transfer->blob = blob;
    sl_envelope *envelope = transfer->envelope;
    if (--envelope->pending)
        return;
    uint64_t first = id, end = id + 1;
    for (sl_transfer *t; (t = sl_transfers_find(transfers, first - 1)) && t->envelope == envelope;)
        first--;
    for (sl_transfer *t; (t = sl_transfers_find(transfers, end)) && t->envelope == envelope;)
        end++;
    complete(&in, envelope, first, end);
}

static void on_bulk_sent(void *context, uint32_t peer, uint64_t id) {
    sl_node *node = context;
    sl_transfers *transfers = &sl_channel_of(node, peer)->bulk_out;
    sl_transfer *transfer = sl_transfers_find(transfers, id);
    if (!transfer)
        return;
    transfer->done = 1;
    sl_transfers_trim(transfers);
    sl_channel_mark(node, peer);
}

/* ---- messages ---- */

/* Puts an envelope, whole or with bulk parts on their way, into its actor's mailbox (NULL: nobody
 * wants it, but its parts must be received). False: the peer broke the protocol. */
static bool put(inbound *in, sl_actor *actor, sl_envelope *envelope, const sl_record_head *head,
                const sl_blob_parts *parts, bool bulk_body) {
    if (envelope->has_note) {
        sl_bulk_note *note = sl_envelope_note(envelope);
        note->to_slot = head->to_slot;
        note->to_generation = head->to_generation;
    }
    envelope->dropped = !actor;
    if (expect_transfers(in, envelope, parts, bulk_body)) {
        if (actor)
            sl_mailbox_put(actor, envelope);
        else if (!envelope->pending)
            sl_envelope_free(in->node, envelope);
        return true;
    }
    envelope->dropped = 1;
    if (!envelope->pending)
        sl_envelope_free(in->node, envelope);
    return false;
}

/* The record of a body that comes as bulk data is the list of its transfers' sizes. */
static bool parts_of_bulk_body(const inbound *in, const sl_record_head *head, const uint8_t *body,
                               sl_blob_parts *parts) {
    uint64_t sizes[1 + SL_MESSAGE_MAX_BLOBS];
    parts->count = head->body_bytes / (uint32_t)sizeof *sizes;
    if (head->body_bytes % sizeof *sizes || !parts->count || head->body_bytes > sizeof sizes)
        return false;
    memcpy(sizes, body, head->body_bytes);
    uint64_t id = in->channel->bulk_in.first_id + in->channel->bulk_in.count;
    for (uint32_t i = 0; i < parts->count; i++)
        parts->part[i] = (sl_blob_part){.id = id + i, .bytes = sizes[i]};
    return sizes[0] <= SL_MESSAGE_MAX_BYTES;
}

static void give_back(inbound *in, uint64_t bytes) {
    sl_channel_credit(in->node, in->peer, in->lane, bytes, 0);
}

static const sl_message_type *type_of(inbound *in, const sl_record_head *head) {
    const sl_message_type *type = sl_message_type_of(head->type);
    if (!type || type->lane != in->lane) {
        (void)sl_fail(SL_ERR_DECODE, "no such type on this lane");
        return NULL;
    }
    return type;
}

/* Messages with bulk parts need their transfers received even when nobody wants them. */
static sl_actor *receiver_of(inbound *in, const sl_record_head *head) {
    sl_addr to = {in->node->id, head->to_slot, head->to_generation};
    sl_actor *actor = sl_actor_find(in->node, to);
    if (!actor)
        sl_metric_add(in->node->metrics, SL_METRIC_dead_letters, 1);
    return actor;
}

static bool receive_bulk_body(inbound *in, sl_actor *actor, const sl_message_type *type,
                              const sl_record_head *head, const uint8_t *body,
                              uint32_t record_bytes) {
    sl_blob_parts parts;
    if (in->lane != SL_LANE_DATA || !parts_of_bulk_body(in, head, body, &parts))
        return false;
    sl_addr from = {in->peer, head->from_slot, head->from_generation};
    sl_envelope *envelope = sl_envelope_take(in->node, type, from, 0, true);
    if (!envelope)
        return false;
    envelope->credit = record_bytes;
    envelope->hollow = 1;
    return put(in, actor, envelope, head, &parts, true);
}

static bool receive_whole(inbound *in, sl_actor *actor, const sl_message_type *type,
                          const sl_record_head *head, const uint8_t *body, uint32_t record_bytes) {
    size_t memory_bytes;
    if (sl_record_measure(&type->record, body, head->body_bytes, &memory_bytes) != SL_OK) {
        message_error(in, head);
        give_back(in, record_bytes);
        return true;
    }
    if (!actor && !type->has_blobs) {
        give_back(in, record_bytes);
        return true;
    }
    sl_addr from = {in->peer, head->from_slot, head->from_generation};
    sl_envelope *envelope = sl_envelope_take(in->node, type, from, memory_bytes, type->has_blobs);
    if (!envelope)
        return false;
    envelope->credit = record_bytes;
    sl_blob_parts parts = {.count = 0};
    if (sl_record_decode(&type->record, body, head->body_bytes, sl_envelope_body(envelope),
                         &parts) != SL_OK) {
        sl_envelope_free(in->node, envelope);
        return false;
    }
    return put(in, actor, envelope, head, &parts, false);
}

/* The short way of most messages; everything it leaves out is for variable parts. */
static bool receive_flat(inbound *in, sl_actor *actor, const sl_message_type *type,
                         const sl_record_head *head, const uint8_t *body, uint32_t record_bytes) {
    sl_addr from = {in->peer, head->from_slot, head->from_generation};
    if (actor && head->body_bytes == type->record.bytes)
        return sl_mailbox_put_flat(actor, type, from, record_bytes, body);
    return receive_whole(in, actor, type, head, body, record_bytes);
}

/* False when the peer broke the protocol, or there is no memory to follow it; a message that does
 * not decode is dropped here. */
static bool receive_message(inbound *in, const sl_record_head *head, const uint8_t *body,
                            uint32_t record_bytes) {
    const sl_message_type *type = type_of(in, head);
    if (!type) {
        message_error(in, head);
        give_back(in, record_bytes);
        return true;
    }
    sl_metric_add(in->node->metrics, SL_METRIC_messages_received, 1);
    sl_actor *actor = receiver_of(in, head);
    if (head->flags & SL_RECORD_BULK_BODY)
        return receive_bulk_body(in, actor, type, head, body, record_bytes);
    if (type->record.flat)
        return receive_flat(in, actor, type, head, body, record_bytes);
    return receive_whole(in, actor, type, head, body, record_bytes);
}

/* ---- frames ---- */

static uint64_t lane_window(const sl_node *node, unsigned lane) {
    return lane == SL_LANE_DATA ? node->options.window_bytes : SL_CONTROL_WINDOW;
}

static const char *head_fault(const inbound *in, const sl_frame_head *head, size_t bytes) {
    if (bytes < sizeof *head || head->magic != SL_FRAME_MAGIC)
        return "it does not begin like one";
    if (head->version != SL_FRAME_VERSION)
        return "its version is unknown";
    if (head->bytes != bytes || head->lane >= SL_LANES)
        return "its head does not fit";
    if (head->sequence != in->channel->in[head->lane].sequence)
        return "it is out of order";
    if (head->records && in->channel->peer.state == SL_PEER_SAID_GOODBYE)
        return "messages follow its goodbye";
    const sl_lane_in *lane = &in->channel->in[head->lane];
    uint64_t under_way = lane->received_bytes - lane->told_bytes;
    if (head->records && under_way && under_way + bytes > lane_window(in->node, head->lane))
        return "it is beyond the window";
    return NULL;
}

static bool take_credit(sl_channel *channel, const sl_frame_head *head) {
    for (int lane = 0; lane < SL_LANES; lane++) {
        sl_lane_out *out = &channel->out[lane];
        if (head->consumed[lane] < out->acked_bytes || head->consumed[lane] > out->sent_bytes)
            return false;
        out->acked_bytes = head->consumed[lane];
    }
    if (head->consumed_bulk < channel->bulk_acked_bytes ||
        head->consumed_bulk > channel->bulk_sent_bytes)
        return false;
    channel->bulk_acked_bytes = head->consumed_bulk;
    return true;
}

static bool receive_records(inbound *in, const sl_frame_head *frame) {
    const uint8_t *at = (const uint8_t *)(frame + 1), *end = (const uint8_t *)frame + frame->bytes;
    for (uint32_t i = 0; i < frame->records; i++) {
        sl_record_head head;
        if ((size_t)(end - at) < sizeof head)
            return false;
        memcpy(&head, at, sizeof head);
        size_t padded = ((size_t)head.body_bytes + 7) & ~(size_t)7;
        if ((size_t)(end - at) - sizeof head < padded)
            return false;
        uint32_t record_bytes = (uint32_t)(sizeof head + padded);
        if (!receive_message(in, &head, at + sizeof head, record_bytes))
            return false;
        at += record_bytes;
    }
    return at == end;
}

static void on_goodbye(inbound *in) {
    if (in->channel->peer.state != SL_PEER_LIVE)
        return;
    in->channel->peer.state = SL_PEER_SAID_GOODBYE;
    in->node->channels.said_goodbye++;
    sl_waiters_tell_node(in->node, in->peer);
}

static bool is_ours(const sl_frame_head *head, size_t bytes) {
    return bytes >= sizeof *head && head->magic == SL_FRAME_MAGIC &&
           head->version == SL_FRAME_VERSION && head->bytes == bytes;
}

/* A HELLO, or a frame that is not of this link: it was given up, or is with another life of the
 * peer. */
static bool is_of_no_link(const inbound *in, const sl_frame_head *head) {
    const sl_channel *channel = in->channel;
    if (head->flags & SL_FRAME_HELLO)
        return true;
    if (channel->peer.state == SL_PEER_LOST)
        return !SL_PLANT(ghost_heard);
    return channel->peer.known && channel->peer.incarnation != head->incarnation &&
           !SL_PLANT(ghost_heard);
}

static void on_frame_of_no_link(inbound *in, const sl_frame_head *head) {
    if (!(head->flags & SL_FRAME_HELLO)) {
        sl_metric_add(in->node->metrics, SL_METRIC_frames_refused, 1);
        sl_node_peer_lost(in->node, in->peer);
        sl_link_answer(in->node, in->peer);
        return;
    }
    if (head->bytes != sizeof *head + sizeof(sl_hello)) {
        protocol_error(in, "its hello is of another length");
        return;
    }
    sl_hello hello;
    memcpy(&hello, head + 1, sizeof hello);
    sl_link_hello(in->node, in->peer, head, &hello);
}

static void on_frame(void *context, uint32_t peer, const void *data, size_t bytes) {
    sl_node *node = context;
    if (peer >= node->transport->count || peer == node->id || node->channels.peers[peer]->barred)
        return;
    inbound in = {node, peer, sl_channel_open(node, peer), SL_LANE_CONTROL};
    if (!in.channel) {
        sl_error("node", "no memory for a channel to node %u; the node is dropped", peer);
        sl_node_peer_lost(node, peer);
        return;
    }
    const sl_frame_head *head = data;
    if (is_ours(head, bytes) && is_of_no_link(&in, head)) {
        on_frame_of_no_link(&in, head);
        return;
    }
    const char *fault = head_fault(&in, head, bytes);
    if (!fault && !take_credit(in.channel, head))
        fault = "it gives back more than was sent";
    if (fault) {
        protocol_error(&in, fault);
        return;
    }
    in.lane = (sl_lane)head->lane;
    if (!node->polled_ns)
        node->polled_ns = sl_node_now_ns(node);
    in.channel->peer.known = 1;
    in.channel->peer.incarnation = head->incarnation;
    in.channel->peer.heard_ms = (uint16_t)(node->polled_ns / SL_NS_PER_MS);
    in.channel->in[in.lane].sequence++;
    in.channel->in[in.lane].received_bytes += bytes - sizeof *head;
    sl_metric_add(node->metrics, SL_METRIC_frames_received, 1);
    sl_metric_add(node->metrics, SL_METRIC_bytes_received, bytes);
    if (head->flags & SL_FRAME_ASK) {
        in.channel->answer = 1;
        sl_channel_mark(node, peer);
    }
    if (!receive_records(&in, head))
        protocol_error(&in, "its records do not fit");
    else if (head->flags & SL_FRAME_GOODBYE)
        on_goodbye(&in);
    else if (in.channel->out[SL_LANE_DATA].head || in.channel->out[SL_LANE_CONTROL].head ||
             in.channel->awaited)
        sl_channel_mark(node, peer); /* its credit may let something leave */
}

/* What is decoded far ahead of its handling only grows cold in the cache: while enough short
 * messages wait, frames are taken one by one. A slow actor is no reason to leave control messages
 * behind its backlog: then everything is taken, as far as the senders' windows let it come. */
static size_t poll_budget(const sl_node *node) {
    return node->messages_waiting > SL_ENOUGH_MESSAGES && !node->slow ? 1 : SL_POLL_BUDGET;
}

/* A process that ended after its goodbye, and got ours, has left as it should. */
static void on_lost(void *context, uint32_t peer) {
    sl_node *node = context;
    if (!sl_channel_ended(node, peer) || node->channels.peers[peer]->state == SL_PEER_LOST)
        sl_node_peer_ended(node, peer);
}

bool sl_channels_poll(sl_node *node) {
    const sl_transport_sink sink = {node, on_frame, on_bulk_sent, on_bulk_received, on_lost};
    node->polled_ns = 0;
    bool any = node->transport->ops->poll(node->transport, &sink, poll_budget(node)) > 0;
    if (any && node->channels.stalled)
        sl_transfers_start_stalled(node);
    return any;
}
