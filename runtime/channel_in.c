/* Inward half of the channels: everything here comes from another process and is checked before it
 * counts.
 *
 * A frame that is not sound as a frame (head, order, credit) means the peer does not speak our
 * protocol: it is declared lost. A message in it that does not decode is counted, logged and
 * dropped, and costs its sender nothing but the message. */
#include "runtime/node_internal.h"

#include <string.h>

typedef struct inbound {
    sl_node *node;
    uint32_t peer;
    sl_channel *channel;
    sl_lane lane;
} inbound;

static void protocol_error(inbound *in, const char *what) {
    sl_metric_add(in->node->metrics, SL_METRIC_decode_errors, 1);
    sl_error("node", "frame from node %u is not sound: %s; the node is dropped", in->peer, what);
    sl_node_peer_lost(in->node, in->peer);
}

static void message_error(inbound *in, const sl_record_head *head) {
    sl_metric_add(in->node->metrics, SL_METRIC_decode_errors, 1);
    sl_warn("node", "message from node %u dropped: type 0x%04x: %s", in->peer, head->type,
            sl_err_detail());
}

/* ---- bulk data ---- */

static bool expect_transfer(inbound *in, sl_envelope *envelope, uint64_t id, uint64_t bytes,
                            uint32_t offset, bool is_body) {
    sl_transfers *transfers = &in->channel->bulk_in;
    if (id != transfers->first_id + transfers->count || transfers->count >= SL_MAX_TRANSFERS ||
        bytes > SL_BLOB_MAX_BYTES || envelope->pending == UINT16_MAX)
        return false;
    sl_transfer *transfer = sl_transfers_add(transfers);
    if (!transfer)
        return false;
    *transfer =
        (sl_transfer){.envelope = envelope, .bytes = bytes, .offset = offset, .is_body = is_body};
    envelope->pending++;
    envelope->bulk_credit += bytes;
    sl_transport *transport = in->node->transport;
    return transport->ops->bulk_receive(transport, in->peer, id, bytes) == SL_OK;
}

void sl_channel_unblock(sl_node *node, sl_envelope *envelope) {
    sl_addr to = {node->id, envelope->to_slot, envelope->to_generation};
    sl_actor *actor = sl_actor_find(node, to);
    if (actor)
        sl_actor_schedule(actor);
}

static void attach(sl_envelope *envelope, uint32_t offset, sl_blob *blob) {
    memcpy((uint8_t *)envelope->body + offset, &blob, sizeof blob);
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
    envelope->body = body;
    envelope->body_apart = 1;
    sl_blob_parts parts = {.count = 0};
    SL_TRY(sl_record_decode(record, encoded->data, encoded->bytes, body, &parts));
    envelope->hollow = 0;
    for (uint32_t i = 0; i < parts.count; i++) {
        if (parts.part[i].id <= first || parts.part[i].id >= end)
            return sl_fail(SL_ERR_DECODE, "%s names a transfer that is not its own", record->name);
        sl_transfer *transfer = sl_transfers_find(transfers, parts.part[i].id);
        attach(envelope, parts.part[i].offset, transfer->blob);
        transfer->blob = NULL;
    }
    return SL_OK;
}

/* All parts of `envelope`, transfers first … end-1, are there. */
static void complete(inbound *in, sl_envelope *envelope, uint64_t first, uint64_t end) {
    sl_transfers *transfers = &in->channel->bulk_in;
    bool orphan = envelope->dropped;
    if (!orphan && sl_transfers_find(transfers, first)->is_body) {
        if (decode_bulk_body(envelope, transfers, first, end) != SL_OK) {
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
    for (uint64_t id = first; id < end; id++) {
        sl_transfer *transfer = sl_transfers_find(transfers, id);
        sl_blob_release(transfer->blob);
        transfer->blob = NULL;
        transfer->envelope = NULL;
        transfer->done = 1;
    }
    sl_transfers_trim(transfers);
    if (orphan)
        sl_envelope_free(in->node, envelope);
    else
        sl_channel_unblock(in->node, envelope);
}

static void on_bulk_received(void *context, uint32_t peer, uint64_t id, sl_blob *blob) {
    sl_node *node = context;
    inbound in = {node, peer, &node->channels.peers[peer], SL_LANE_DATA};
    sl_transfers *transfers = &in.channel->bulk_in;
    sl_transfer *transfer = sl_transfers_find(transfers, id);
    if (!transfer || transfer->blob || transfer->done) {
        sl_blob_release(blob);
        return;
    }
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
    sl_transfers *transfers = &node->channels.peers[peer].bulk_out;
    sl_transfer *transfer = sl_transfers_find(transfers, id);
    if (!transfer)
        return;
    transfer->done = 1;
    sl_transfers_trim(transfers);
    sl_channel_mark(node, peer);
}

void sl_channel_orphan(sl_envelope *envelope) {
    envelope->dropped = 1;
}

/* ---- messages ---- */

/* Puts an envelope whose bulk parts are on their way (or that is whole) into its actor's mailbox.
 */
static void put(sl_actor *actor, sl_envelope *envelope, const sl_record_head *head) {
    envelope->to_slot = head->to_slot;
    envelope->to_generation = head->to_generation;
    sl_mailbox_put(actor, envelope);
}

static bool receive_bulk_body(inbound *in, sl_actor *actor, sl_envelope *envelope,
                              const sl_record_head *head, const uint8_t *body) {
    uint64_t sizes[1 + SL_MESSAGE_MAX_BLOBS];
    uint32_t count = head->body_bytes / (uint32_t)sizeof *sizes;
    if (head->body_bytes % sizeof *sizes || !count || count > 1 + SL_MESSAGE_MAX_BLOBS)
        return false;
    memcpy(sizes, body, head->body_bytes);
    if (sizes[0] > SL_MESSAGE_MAX_BYTES)
        return false;
    uint64_t id = in->channel->bulk_in.first_id + in->channel->bulk_in.count;
    envelope->hollow = 1;
    put(actor, envelope, head);
    for (uint32_t i = 0; i < count; i++) {
        if (!expect_transfer(in, envelope, id + i, sizes[i], 0, i == 0))
            return false;
    }
    return true;
}

static bool receive_plain(inbound *in, sl_actor *actor, sl_envelope *envelope,
                          const sl_record_head *head, const uint8_t *body) {
    sl_blob_parts parts = {.count = 0};
    if (sl_record_decode(&envelope->type->record, body, head->body_bytes, envelope->body, &parts) !=
        SL_OK)
        return false;
    put(actor, envelope, head);
    for (uint32_t i = 0; i < parts.count; i++) {
        if (!expect_transfer(in, envelope, parts.part[i].id, parts.part[i].bytes,
                             parts.part[i].offset, false))
            return false;
    }
    return true;
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

static bool receive_message(inbound *in, const sl_record_head *head, const uint8_t *body,
                            uint32_t record_bytes);

/* Bulk parts for an actor that is gone: received, then thrown away with an envelope nobody queues.
 */
static bool receive_for_nobody(inbound *in, const sl_message_type *type, const sl_record_head *head,
                               const uint8_t *body, uint32_t record_bytes) {
    uint64_t sizes[1 + SL_MESSAGE_MAX_BLOBS];
    uint32_t count = 0;
    if (head->flags & SL_RECORD_BULK_BODY) {
        count = head->body_bytes / (uint32_t)sizeof *sizes;
        if (head->body_bytes % sizeof *sizes || !count || count > 1 + SL_MESSAGE_MAX_BLOBS)
            return false;
        memcpy(sizes, body, head->body_bytes);
    } else if (type->has_blobs) {
        size_t memory_bytes;
        sl_blob_parts parts = {.count = 0};
        if (sl_record_measure(&type->record, body, head->body_bytes, &memory_bytes) != SL_OK)
            return false;
        void *memory = malloc(memory_bytes);
        bool decoded = memory && sl_record_decode(&type->record, body, head->body_bytes, memory,
                                                  &parts) == SL_OK;
        if (decoded)
            sl_record_release(&type->record, memory);
        free(memory);
        for (; decoded && count < parts.count; count++)
            sizes[count] = parts.part[count].bytes;
    }
    if (!count) {
        give_back(in, record_bytes);
        return true;
    }
    sl_envelope *envelope = sl_envelope_take(in->node, type, (sl_addr){in->peer, 0, 0}, 0);
    if (!envelope)
        return false;
    envelope->credit = record_bytes;
    envelope->dropped = envelope->hollow = 1;
    uint64_t id = in->channel->bulk_in.first_id + in->channel->bulk_in.count;
    for (uint32_t i = 0; i < count; i++) {
        if (!expect_transfer(in, envelope, id + i, sizes[i], 0, false))
            return false;
    }
    return true;
}

/* False when the peer broke the protocol; a message that does not decode is dropped here. */
static bool receive_message(inbound *in, const sl_record_head *head, const uint8_t *body,
                            uint32_t record_bytes) {
    const sl_message_type *type = type_of(in, head);
    bool bulk_body = head->flags & SL_RECORD_BULK_BODY;
    size_t memory_bytes = 0;
    if (!type || (bulk_body && in->lane != SL_LANE_DATA) ||
        (!bulk_body &&
         sl_record_measure(&type->record, body, head->body_bytes, &memory_bytes) != SL_OK)) {
        message_error(in, head);
        give_back(in, record_bytes);
        return true;
    }
    sl_actor *actor = receiver_of(in, head);
    if (!actor)
        return receive_for_nobody(in, type, head, body, record_bytes);
    sl_addr from = {in->peer, head->from_slot, head->from_generation};
    sl_envelope *envelope = sl_envelope_take(in->node, type, from, memory_bytes);
    if (!envelope)
        return false;
    envelope->credit = record_bytes;
    return bulk_body ? receive_bulk_body(in, actor, envelope, head, body)
                     : receive_plain(in, actor, envelope, head, body);
}

/* ---- frames ---- */

static const char *head_fault(const inbound *in, const sl_frame_head *head, size_t bytes) {
    if (bytes < sizeof *head || head->magic != SL_FRAME_MAGIC)
        return "it does not begin like one";
    if (head->version != SL_FRAME_VERSION)
        return "its version is unknown";
    if (head->bytes != bytes || head->lane >= SL_LANES)
        return "its head does not fit";
    if (in->channel->known && in->channel->incarnation != head->incarnation)
        return "it comes from another life of the node";
    if (head->sequence != in->channel->in[head->lane].sequence)
        return "it is out of order";
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
    if (in->channel->state != SL_PEER_LIVE)
        return;
    in->channel->state = SL_PEER_SAID_GOODBYE;
    in->node->channels.said_goodbye++;
    sl_waiters_tell_node(in->node, in->peer);
}

static void on_frame(void *context, uint32_t peer, const void *data, size_t bytes) {
    sl_node *node = context;
    if (peer >= node->transport->count || node->channels.peers[peer].state == SL_PEER_LOST)
        return;
    inbound in = {node, peer, &node->channels.peers[peer], SL_LANE_CONTROL};
    const sl_frame_head *head = data;
    const char *fault = head_fault(&in, head, bytes);
    if (!fault && !take_credit(in.channel, head))
        fault = "it gives back more than was sent";
    if (fault) {
        protocol_error(&in, fault);
        return;
    }
    in.lane = (sl_lane)head->lane;
    in.channel->known = 1;
    in.channel->incarnation = head->incarnation;
    in.channel->in[in.lane].sequence++;
    sl_metric_add(node->metrics, SL_METRIC_frames_received, 1);
    sl_metric_add(node->metrics, SL_METRIC_bytes_received, bytes);
    if (!receive_records(&in, head))
        protocol_error(&in, "its records do not fit");
    else if (head->flags & SL_FRAME_GOODBYE)
        on_goodbye(&in);
    else if (in.channel->out[SL_LANE_DATA].head || in.channel->out[SL_LANE_CONTROL].head ||
             in.channel->refused)
        sl_channel_mark(node, peer); /* its credit may let something leave */
}

bool sl_channels_poll(sl_node *node) {
    const sl_transport_sink sink = {node, on_frame, on_bulk_sent, on_bulk_received};
    return node->transport->ops->poll(node->transport, &sink, SL_POLL_BUDGET) > 0;
}
