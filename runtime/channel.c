/* Outward half of the channels. Design notes
 * - A message is encoded once, into the gather buffer of its peer and lane. It leaves at the end of
 * the turn, or at once when the buffer is full, so an idle network adds no delay and a busy one
 * sends large frames.
 * - A gather buffer is copied into the transport's frame when that has room; the copy of a few KiB
 * costs less than holding one transport buffer per peer and lane.
 * - What waits to leave is bounded per peer and lane: beyond the bound a send is SL_ERR_AGAIN.
 * - To a peer that is held (it is suspected) nothing leaves but bare frames that ask for an answer,
 * and answers: a transport that is given more for a dead peer keeps it for ever, and MPI over TCP
 * slows down everybody else for it. */
#include "runtime/node_internal.h"
#include "runtime/plant.h"

#include <string.h>

enum {
    FREE_GATHERS = 64,
    GATHERS_KEPT = 8,
    FLAT_MOST = 256 /* bytes; any frame holds such a record */
};

/* ---- gather buffers ---- */

static sl_gather *gather_take(sl_channels *channels) {
    sl_gather *gather = channels->free_gathers;
    if (gather) {
        channels->free_gathers = gather->next;
        channels->free_gather_count--;
    } else {
        gather = malloc(sizeof *gather + channels->frame_bytes);
        if (!gather)
            return NULL;
    }
    *gather = (sl_gather){NULL, sizeof(sl_frame_head), 0};
    return gather;
}

static void gather_give(sl_channels *channels, sl_gather *gather) {
    if (channels->free_gather_count >= FREE_GATHERS) {
        free(gather);
        return;
    }
    gather->next = channels->free_gathers;
    channels->free_gathers = gather;
    channels->free_gather_count++;
}

/* After a burst the buffers go one by one, a turn each: what a turn needs anew every time stays. */
static void gather_trim(sl_channels *channels) {
    sl_gather *gather = channels->free_gathers;
    if (channels->free_gather_count <= GATHERS_KEPT)
        return;
    channels->free_gathers = gather->next;
    channels->free_gather_count--;
    free(gather);
}

static uint8_t *gather_data(sl_gather *gather) {
    return (uint8_t *)(gather + 1);
}

static void lane_push(sl_lane_out *out, sl_gather *gather) {
    if (SL_PLANT(reordered) && out->head && out->head != out->tail) {
        gather->next = out->head->next;
        out->head->next = gather;
        return;
    }
    if (out->tail)
        out->tail->next = gather;
    else
        out->head = gather;
    out->tail = gather;
}

static sl_gather *lane_pop(sl_lane_out *out) {
    sl_gather *gather = out->head;
    out->head = gather->next;
    if (!out->head)
        out->tail = NULL;
    return gather;
}

static void lane_clear(sl_channels *channels, sl_lane_out *out) {
    while (out->head)
        gather_give(channels, lane_pop(out));
    channels->queued_bytes -= out->queued_bytes;
    out->queued_bytes = 0;
}

/* ---- sending ---- */

void sl_channel_mark(sl_node *node, uint32_t peer) {
    sl_channel *channel = sl_channel_of(node, peer);
    if (channel->peer.dirty)
        return;
    channel->peer.dirty = 1;
    node->channels.dirty[node->channels.dirty_count++] = peer;
}

/* Room for what was refused, and enough that asking was worth it. */
static bool has_room(const sl_node *node, const sl_channel *channel) {
    if (channel->peer.state != SL_PEER_LIVE)
        return true;
    uint64_t under_way = channel->bulk_sent_bytes - channel->bulk_acked_bytes;
    uint64_t window = node->options.blob_window_bytes, wanted = channel->bulk_wanted_bytes;
    if (wanted < window / 2)
        wanted = window / 2;
    return channel->out[SL_LANE_DATA].queued_bytes <= node->options.window_bytes / 2 &&
           channel->out[SL_LANE_CONTROL].queued_bytes <= SL_CONTROL_QUEUE / 2 &&
           (!under_way || under_way + wanted <= window) &&
           channel->bulk_out.count <= SL_MAX_TRANSFERS / 4;
}

bool sl_channel_await_room(sl_node *node, uint32_t peer) {
    if (peer >= node->transport->count || node->channels.peers[peer]->state < SL_PEER_LIVE ||
        node->channels.peers[peer]->state == SL_PEER_LOST ||
        has_room(node, sl_channel_of(node, peer)))
        return true;
    sl_channel_of(node, peer)->awaited = 1;
    return false;
}

static void tell_awaiting(sl_node *node, uint32_t peer) {
    sl_channel *channel = sl_channel_of(node, peer);
    if (!channel->awaited || !has_room(node, channel))
        return;
    channel->awaited = 0;
    channel->bulk_wanted_bytes = 0;
    sl_waiters_tell_node(node, peer);
}

static uint64_t blob_transfer_bytes(const sl_record *record, const void *body,
                                    uint32_t *transfers) {
    uint64_t bytes = 0;
    for (const sl_field *field = record->fields; field < record->fields + record->field_count;
         field++) {
        if (field->kind != SL_KIND_BLOB)
            continue;
        const sl_blob *blob = *(sl_blob *const *)((const uint8_t *)body + field->offset);
        if (blob && blob->bytes > SL_BLOB_INLINE_BYTES) {
            bytes += blob->bytes + SL_TRANSFER_WEIGHT;
            (*transfers)++;
        }
    }
    return bytes;
}

static sl_err refuse(sl_node *node, uint32_t peer) {
    sl_metric_add(node->metrics, SL_METRIC_window_full, 1);
    return sl_fail(SL_ERR_AGAIN, "the window to node %u is full", peer);
}

/* May a message of these sizes be queued now? */
static sl_err admit(sl_node *node, sl_channel *channel, uint32_t peer, sl_lane lane,
                    uint64_t bulk_bytes, uint32_t transfers) {
    uint64_t queue_limit = lane == SL_LANE_DATA ? node->options.window_bytes : SL_CONTROL_QUEUE;
    if (channel->out[lane].queued_bytes >= queue_limit)
        return refuse(node, peer);
    if (!transfers)
        return SL_OK;
    uint64_t under_way = channel->bulk_sent_bytes - channel->bulk_acked_bytes;
    if (under_way && under_way + bulk_bytes > node->options.blob_window_bytes) {
        if (bulk_bytes > channel->bulk_wanted_bytes)
            channel->bulk_wanted_bytes = bulk_bytes;
        return refuse(node, peer);
    }
    if (channel->bulk_out.count + transfers > SL_MAX_TRANSFERS / 2)
        return refuse(node, peer);
    if (!sl_transfers_reserve(&channel->bulk_out, transfers))
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a bulk transfer");
    return SL_OK;
}

static void bulk_add(sl_node *node, sl_channel *channel, sl_blob *blob) {
    sl_metric_add(node->metrics, SL_METRIC_bytes_sent, (int64_t)blob->bytes);
    sl_transfer *transfer = sl_transfers_add(&channel->bulk_out); /* admit() has reserved it */
    transfer->bytes = blob->bytes;
    transfer->blob = sl_blob_retain(blob);
    channel->bulk_sent_bytes += blob->bytes + SL_TRANSFER_WEIGHT;
}

/* The record that announces them is written already: when the transport cannot send them, the two
 * ends no longer agree, and the peer is given up. */
static sl_err bulk_start_all(sl_node *node, uint32_t peer, const void *body,
                             const sl_blob_parts *parts) {
    sl_channel *channel = sl_channel_of(node, peer);
    for (uint32_t i = 0; i < parts->count; i++)
        bulk_add(node, channel, *(sl_blob *const *)((const uint8_t *)body + parts->part[i].offset));
    sl_err err = sl_transfers_start(node, peer, true);
    if (err != SL_OK)
        sl_node_peer_lost(node, peer);
    return err;
}

/* Room for a record of `bytes` at the end of the lane, or NULL. */
static inline uint8_t *reserve(sl_node *node, sl_lane_out *out, size_t bytes) {
    sl_channels *channels = &node->channels;
    sl_gather *gather = out->tail;
    if (!gather || gather->bytes + bytes > channels->frame_bytes || gather->records == UINT16_MAX) {
        gather = gather_take(channels);
        if (!gather)
            return NULL;
        lane_push(out, gather);
    }
    uint8_t *at = gather_data(gather) + gather->bytes;
    gather->bytes += (uint32_t)bytes;
    gather->records++;
    out->queued_bytes += bytes;
    channels->queued_bytes += bytes;
    return at;
}

static bool flush_lane(sl_node *node, uint32_t peer, sl_lane lane, bool full_only);

/* Full frames leave at once; the rest waits for the end of the turn. */
static inline void queued(sl_node *node, uint32_t peer, sl_lane lane) {
    sl_channel *channel = sl_channel_of(node, peer);
    const sl_lane_out *out = &channel->out[lane];
    if (!channel->peer.dirty)
        sl_channel_mark(node, peer);
    if (out->head != out->tail)
        (void)flush_lane(node, peer, lane, true);
}

static sl_record_head record_head(sl_addr from, sl_addr to, const sl_message_type *type,
                                  size_t body_bytes) {
    return (sl_record_head){.body_bytes = (uint32_t)body_bytes,
                            .type = type->id,
                            .to_slot = to.slot,
                            .to_generation = to.generation,
                            .from_slot = from.slot,
                            .from_generation = from.generation};
}

static sl_err send_in_frame(sl_node *node, sl_addr from, sl_addr to, const sl_message_type *type,
                            const void *body, size_t body_bytes) {
    sl_channel *channel = sl_channel_of(node, to.node);
    sl_lane_out *out = &channel->out[type->lane];
    uint8_t *at = reserve(node, out, sizeof(sl_record_head) + sl_align8(body_bytes));
    if (!at)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a frame");
    sl_record_head head = record_head(from, to, type, body_bytes);
    memcpy(at, &head, sizeof head);
    /* What is left of the last word would else be old memory of this process. */
    memset(at + sizeof head + body_bytes, 0, sl_align8(body_bytes) - body_bytes);
    sl_blob_parts parts = {.next_id = channel->bulk_out.first_id + channel->bulk_out.count};
    sl_record_encode(&type->record, body, at + sizeof head, &parts);
    SL_TRY(bulk_start_all(node, to.node, body, &parts));
    queued(node, to.node, type->lane);
    return SL_OK;
}

/* The body is too large for a frame: the record names the transfers that bring it and its blobs. */
static sl_err send_as_bulk(sl_node *node, sl_addr from, sl_addr to, const sl_message_type *type,
                           const void *body, size_t body_bytes) {
    sl_channel *channel = sl_channel_of(node, to.node);
    uint64_t id = channel->bulk_out.first_id + channel->bulk_out.count;
    sl_blob_parts parts = {.next_id = id + 1};
    sl_blob *encoded;
    SL_TRY(sl_blob_create(body_bytes, &encoded));
    sl_record_encode(&type->record, body, encoded->data, &parts);

    uint64_t sizes[1 + SL_MESSAGE_MAX_BLOBS] = {body_bytes};
    for (uint32_t i = 0; i < parts.count; i++)
        sizes[1 + i] = parts.part[i].bytes;
    size_t list_bytes = (1 + parts.count) * sizeof *sizes;
    sl_lane_out *out = &channel->out[type->lane];
    uint8_t *at = reserve(node, out, sizeof(sl_record_head) + list_bytes);
    if (at)
        bulk_add(node, channel, encoded);
    sl_blob_release(encoded);
    if (!at)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a frame");
    sl_record_head head = record_head(from, to, type, list_bytes);
    head.flags = SL_RECORD_BULK_BODY;
    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, sizes, list_bytes);
    SL_TRY(bulk_start_all(node, to.node, body, &parts));
    queued(node, to.node, type->lane);
    return SL_OK;
}

static bool takes_messages(const sl_node *node, uint32_t peer) {
    const sl_peer *known = node->channels.peers[peer];
    return known->state == SL_PEER_LIVE && !known->goodbye_sent;
}

static sl_err sendable(sl_node *node, sl_addr to, const sl_message_type *type) {
    if (type->lane == SL_LANE_LOCAL)
        return sl_fail(SL_ERR_INTERNAL, "%s carries pointers and cannot leave the node",
                       type->record.name);
    if (to.node >= node->transport->count)
        return sl_fail(SL_ERR_DEAD, "the network has no node %u", to.node);
    if (!sl_channel_open(node, to.node))
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a channel to node %u", to.node);
    if (!takes_messages(node, to.node))
        return sl_fail(SL_ERR_DEAD, "node %u is gone", to.node);
    return SL_OK;
}

/* The short way of most messages: nothing to check but the window, no bulk data, surely a frame's.
 */
static sl_err send_flat(sl_node *node, sl_addr from, sl_addr to, const sl_message_type *type,
                        const void *body) {
    sl_channel *channel = sl_channel_of(node, to.node);
    sl_lane_out *out = &channel->out[type->lane];
    SL_TRY(admit(node, channel, to.node, type->lane, 0, 0));
    size_t body_bytes = type->record.bytes;
    uint8_t *at = reserve(node, out, sizeof(sl_record_head) + sl_align8(body_bytes));
    if (!at)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a frame");
    sl_record_head head = record_head(from, to, type, body_bytes);
    memcpy(at, &head, sizeof head);
    sl_copy_flat(at + sizeof head, body, body_bytes);
    sl_metric_add(node->metrics, SL_METRIC_messages_sent, 1);
    queued(node, to.node, type->lane);
    return SL_OK;
}

static bool is_short_flat(const sl_message_type *type) {
    return type->record.flat && type->record.bytes <= FLAT_MOST && type->lane != SL_LANE_LOCAL;
}

static __attribute__((noinline)) sl_err send_deep(sl_node *node, sl_addr from, sl_addr to,
                                                  const sl_message_type *type, const void *body) {
    SL_TRY(sendable(node, to, type));
    sl_channel *channel = sl_channel_of(node, to.node);
    sl_record_size size;
    SL_TRY(sl_record_survey(&type->record, body, &size));
    size_t body_bytes = size.wire_bytes;
    if (body_bytes > SL_MESSAGE_MAX_BYTES)
        return sl_fail(SL_ERR_TOO_LARGE, "%s: %zu bytes", type->record.name, body_bytes);
    uint32_t transfers = 0;
    uint64_t bulk_bytes =
        type->has_blobs ? blob_transfer_bytes(&type->record, body, &transfers) : 0;
    bool fits = sizeof(sl_frame_head) + sizeof(sl_record_head) + sl_align8(body_bytes) <=
                node->channels.frame_bytes;
    if (!fits) {
        if (type->lane == SL_LANE_CONTROL)
            return sl_fail(SL_ERR_TOO_LARGE, "%s: %zu bytes do not fit a control frame",
                           type->record.name, body_bytes);
        transfers++;
        bulk_bytes += body_bytes + SL_TRANSFER_WEIGHT;
    }
    SL_TRY(admit(node, channel, to.node, type->lane, bulk_bytes, transfers));
    sl_metric_add(node->metrics, SL_METRIC_messages_sent, 1);
    return fits ? send_in_frame(node, from, to, type, body, body_bytes)
                : send_as_bulk(node, from, to, type, body, body_bytes);
}

sl_err sl_channel_send(sl_node *node, sl_addr from, sl_addr to, const sl_message_type *type,
                       const void *body) {
    if (is_short_flat(type) && to.node < node->transport->count && takes_messages(node, to.node))
        return send_flat(node, from, to, type, body);
    return send_deep(node, from, to, type, body);
}

/* ---- flushing ---- */

static void fill_head(sl_channel *channel, sl_lane lane, sl_frame_head *head, uint32_t bytes,
                      uint16_t records, uint16_t flags) {
    *head = (sl_frame_head){.magic = SL_FRAME_MAGIC,
                            .version = SL_FRAME_VERSION,
                            .lane = (uint8_t)lane,
                            .bytes = bytes,
                            .incarnation = channel->own,
                            .flags = flags,
                            .records = records,
                            .sequence = channel->out[lane].sequence++,
                            .consumed_bulk = channel->bulk_consumed_bytes};
    for (int i = 0; i < SL_LANES; i++) {
        head->consumed[i] = channel->in[i].consumed_bytes;
        channel->in[i].told_bytes = channel->in[i].consumed_bytes;
    }
    channel->bulk_told_bytes = channel->bulk_consumed_bytes;
}

static void account(sl_node *node, uint32_t bytes) {
    sl_metric_add(node->metrics, SL_METRIC_frames_sent, 1);
    sl_metric_add(node->metrics, SL_METRIC_bytes_sent, bytes);
}

/* The HELLO that opens a link goes before all that uses it. */
static void *acquire(sl_node *node, uint32_t peer) {
    if (sl_channel_of(node, peer)->hello_due && !sl_link_post_hello(node, peer))
        return NULL;
    return node->transport->ops->acquire(node->transport, peer);
}

/* A frame without messages: credit, and perhaps goodbye. */
static bool post_bare(sl_node *node, uint32_t peer, uint16_t flags) {
    void *frame = acquire(node, peer);
    if (!frame)
        return false;
    sl_channel *channel = sl_channel_of(node, peer);
    fill_head(channel, SL_LANE_CONTROL, frame, sizeof(sl_frame_head), 0, flags);
    node->transport->ops->post(node->transport, peer, frame, sizeof(sl_frame_head));
    account(node, sizeof(sl_frame_head));
    return true;
}

static bool post_gathered(sl_node *node, uint32_t peer, sl_lane lane) {
    void *frame = acquire(node, peer);
    if (!frame)
        return false;
    sl_channel *channel = sl_channel_of(node, peer);
    sl_lane_out *out = &channel->out[lane];
    sl_gather *gather = lane_pop(out);
    uint32_t record_bytes = gather->bytes - (uint32_t)sizeof(sl_frame_head);
    fill_head(channel, lane, (sl_frame_head *)(void *)gather_data(gather), gather->bytes,
              gather->records, 0);
    memcpy(frame, gather_data(gather), gather->bytes);
    node->transport->ops->post(node->transport, peer, frame, gather->bytes);
    out->sent_bytes += record_bytes;
    out->queued_bytes -= record_bytes;
    node->channels.queued_bytes -= record_bytes;
    account(node, gather->bytes);
    gather_give(&node->channels, gather);
    return true;
}

static bool window_open(const sl_node *node, const sl_lane_out *out, sl_lane lane) {
    uint64_t window = lane == SL_LANE_DATA ? node->options.window_bytes : SL_CONTROL_WINDOW;
    uint64_t under_way = out->sent_bytes - out->acked_bytes;
    return !under_way || under_way + out->head->bytes <= window;
}

/* Bulk credit is also due when nothing more is on its way: a sender may be waiting for an empty
 * window. On the lanes a window holds several frames, so a waiting sender always gets a quarter. */
static bool credit_due(const sl_node *node, const sl_channel *channel) {
    const sl_lane_in *in = channel->in;
    uint64_t bulk = channel->bulk_consumed_bytes - channel->bulk_told_bytes;
    return in[SL_LANE_DATA].consumed_bytes - in[SL_LANE_DATA].told_bytes >=
               node->options.window_bytes / 4 ||
           in[SL_LANE_CONTROL].consumed_bytes - in[SL_LANE_CONTROL].told_bytes >=
               SL_CONTROL_WINDOW / 4 ||
           bulk >= node->options.blob_window_bytes / 4 ||
           (bulk && channel->bulk_consumed_bytes == channel->bulk_announced_bytes);
}

/* True when anything left. */
static bool flush_lane(sl_node *node, uint32_t peer, sl_lane lane, bool full_only) {
    sl_lane_out *out = &sl_channel_of(node, peer)->out[lane];
    bool posted = false;
    if (sl_channel_of(node, peer)->held)
        return false;
    while (out->head && !(full_only && out->head == out->tail) && window_open(node, out, lane)) {
        if (!post_gathered(node, peer, lane))
            break;
        posted = true;
    }
    return posted;
}

/* After both goodbyes there is nobody to tell. */
static bool ended_both_ways(const sl_channel *channel) {
    return channel->peer.state == SL_PEER_SAID_GOODBYE && channel->peer.goodbye_sent;
}

/* Is a frame without messages to leave? */
static bool bare_due(const sl_node *node, const sl_channel *channel) {
    return channel->ask || channel->answer || (!channel->held && credit_due(node, channel));
}

static bool flush_channel(sl_node *node, uint32_t peer) {
    sl_channel *channel = sl_channel_of(node, peer);
    bool posted = channel->hello_due && sl_link_post_hello(node, peer);
    if (channel->peer.state == SL_PEER_LOST)
        return posted;
    posted |= flush_lane(node, peer, SL_LANE_CONTROL, false);
    posted |= flush_lane(node, peer, SL_LANE_DATA, false);
    if (bare_due(node, channel) && !ended_both_ways(channel) &&
        post_bare(node, peer, channel->ask ? SL_FRAME_ASK : 0)) {
        channel->ask = channel->answer = 0;
        posted = true;
    }
    tell_awaiting(node, peer);
    return posted;
}

static bool must_flush(const sl_node *node, const sl_channel *channel) {
    if (channel->hello_due)
        return true;
    if (channel->peer.state == SL_PEER_LOST || ended_both_ways(channel))
        return false;
    bool waiting = channel->out[SL_LANE_CONTROL].head || channel->out[SL_LANE_DATA].head;
    return (waiting && !channel->held) || bare_due(node, channel);
}

bool sl_channels_flush(sl_node *node) {
    sl_channels *channels = &node->channels;
    bool posted = false;
    uint32_t kept = 0, count = channels->dirty_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t peer = channels->dirty[i];
        sl_channel *channel = sl_channel_of(node, peer);
        channel->peer.dirty = 0;
        posted |= flush_channel(node, peer);
        if (must_flush(node, channel)) {
            channel->peer.dirty = 1;
            channels->dirty[kept++] = peer;
        }
    }
    /* Flushing may have told waiters, whose sends come in a later turn: nothing was added
     * meanwhile. */
    channels->dirty_count = kept;
    if (!kept)
        gather_trim(channels);
    return posted;
}

/* ---- credit and ends ---- */

void sl_channel_credit(sl_node *node, uint32_t peer, sl_lane lane, uint64_t bytes,
                       uint64_t bulk_bytes) {
    if (node->channels.peers[peer]->state == SL_PEER_LOST)
        return;
    sl_channel *channel = sl_channel_of(node, peer);
    if (!SL_PLANT(credit_lost) || bytes < 256)
        channel->in[lane].consumed_bytes += bytes;
    channel->bulk_consumed_bytes += bulk_bytes;
    if (!channel->peer.dirty && credit_due(node, channel))
        sl_channel_mark(node, peer);
}

bool sl_channels_goodbye(sl_node *node) {
    bool all = true;
    for (uint32_t peer = 0; peer < node->transport->count; peer++) {
        const sl_peer *known = node->channels.peers[peer];
        if (peer == node->id || known->state == SL_PEER_LOST || known->goodbye_sent)
            continue;
        sl_channel *channel = sl_channel_open(node, peer);
        if (!channel) {
            all = false;
            continue;
        }
        bool empty = !channel->out[SL_LANE_CONTROL].head && !channel->out[SL_LANE_DATA].head;
        channel->peer.goodbye_sent = empty && post_bare(node, peer, SL_FRAME_GOODBYE);
        all &= channel->peer.goodbye_sent;
    }
    return all;
}

bool sl_channel_ended(const sl_node *node, uint32_t peer) {
    uint8_t state = node->channels.peers[peer]->state;
    if (state != SL_PEER_SAID_GOODBYE)
        return state == SL_PEER_LOST;
    const sl_channel *channel = sl_channel_of(node, peer);
    return !channel->bulk_in.count && !channel->bulk_out.count;
}

/* Drops what waits to leave and what is under way. */
void sl_channel_clear(sl_node *node, sl_channel *channel) {
    lane_clear(&node->channels, &channel->out[SL_LANE_CONTROL]);
    lane_clear(&node->channels, &channel->out[SL_LANE_DATA]);
    sl_transfers_clear(node, &channel->bulk_in);
    sl_transfers_clear(node, &channel->bulk_out);
}

void sl_channels_fini(sl_node *node) {
    sl_channels *channels = &node->channels;
    if (!channels->peers)
        return; /* it came to nothing */
    for (uint32_t peer = 0; peer < node->transport->count; peer++)
        (void)sl_channel_bar_unopened(node, peer); /* who rests is kept apart */
    for (uint32_t i = 0; i < channels->open_count; i++) {
        sl_channel *channel = sl_channel_of(node, channels->open[i]);
        sl_channel_clear(node, channel);
        free(channel);
    }
    while (channels->free_gathers) {
        sl_gather *next = channels->free_gathers->next;
        free(channels->free_gathers);
        channels->free_gathers = next;
    }
    free(channels->peers);
    free(channels->open);
    free(channels->dirty);
    memset(channels, 0, sizeof *channels);
}
