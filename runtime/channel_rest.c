/* Which peers have a channel. Design notes
 * - In a large network a node talks with most others seldom and little: gossip, in the control
 * lane. A channel is made when a peer is first spoken to or heard, and while there are more than
 *   OPEN_MOST of them, making one lets another rest that has nothing under way: six numbers remain.
 *   A network of up to OPEN_MOST nodes knows nothing of this.
 * - A channel may rest if what remains makes the very same channel again. So whatever else it comes
 *   to hold, now or in a later version, keeps it open, and is never lost. */
#include "runtime/node_internal.h"

#include <string.h>

enum { OPEN_MOST = 128, ASKED_MOST = 4 /* channels, before another is made beyond OPEN_MOST */ };

/* Of the control lane; everything received has been handled. */
typedef struct resting {
    sl_peer peer;
    uint32_t out_sequence;
    uint32_t sent_bytes;
    uint32_t acked_bytes;
    uint32_t in_sequence;
    uint32_t consumed_bytes;
    uint32_t told_bytes;
} resting;

_Static_assert(sizeof(resting) <= SL_SLAB_GRAIN, "it is what ten thousand of ten thousand are");

static const sl_peer untouched = {.state = SL_PEER_UNTOUCHED},
                     gone = {.state = SL_PEER_LOST, .barred = 1};

/* What is shared is never written to: only what has a channel is. */
static sl_peer *shared(const sl_peer *peer) {
    return (sl_peer *)(uintptr_t)peer;
}

sl_err sl_channels_init(sl_node *node) {
    sl_channels *channels = &node->channels;
    uint32_t count = node->transport->count;
    channels->frame_bytes = (uint32_t)node->transport->frame_bytes & ~7u;
    channels->peers = malloc(count * sizeof *channels->peers);
    if (!channels->peers)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the channels to %u nodes", count);
    for (uint32_t peer = 0; peer < count; peer++)
        channels->peers[peer] = shared(&untouched);
    return SL_OK;
}

/* ---- there and back ---- */

static void put_to_rest(const sl_channel *channel, resting *rest) {
    const sl_lane_out *out = &channel->out[SL_LANE_CONTROL];
    const sl_lane_in *in = &channel->in[SL_LANE_CONTROL];
    *rest = (resting){channel->peer,
                      (uint32_t)out->sequence,
                      (uint32_t)out->sent_bytes,
                      (uint32_t)out->acked_bytes,
                      (uint32_t)in->sequence,
                      (uint32_t)in->consumed_bytes,
                      (uint32_t)in->told_bytes};
    rest->peer.state = SL_PEER_RESTING;
}

static void wake(const sl_node *node, const resting *rest, sl_channel *channel) {
    sl_lane_out *out = &channel->out[SL_LANE_CONTROL];
    sl_lane_in *in = &channel->in[SL_LANE_CONTROL];
    memset(channel, 0, sizeof *channel);
    channel->peer = rest->peer;
    channel->peer.state = SL_PEER_LIVE;
    channel->own = node->options.incarnation; /* whoever had a loss stays awake */
    out->sequence = rest->out_sequence;
    out->sent_bytes = rest->sent_bytes;
    out->acked_bytes = rest->acked_bytes;
    in->sequence = rest->in_sequence;
    in->received_bytes = in->consumed_bytes = rest->consumed_bytes;
    in->told_bytes = rest->told_bytes;
}

/* ---- opening ---- */

/* The channel of a peer that is resting now, or NULL. */
static sl_channel *let_rest(sl_node *node, uint32_t peer) {
    sl_channel *channel = sl_channel_of(node, peer), again;
    resting rest;
    if (channel->peer.dirty || channel->peer.state != SL_PEER_LIVE)
        return NULL;
    put_to_rest(channel, &rest);
    wake(node, &rest, &again);
    /* Both were zeroed as a whole; what differs in a gap only stays awake.
     * NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
    if (memcmp(channel, &again, sizeof again) != 0)
        return NULL;
    resting *kept = sl_slab_take(&node->slab, sizeof rest);
    if (!kept)
        return NULL;
    *kept = rest;
    node->channels.peers[peer] = &kept->peer;
    return channel;
}

/* The memory of a channel that may rest, whose place in `open` is then that of `peer`. */
static sl_channel *from_another(sl_node *node, uint32_t peer) {
    sl_channels *channels = &node->channels;
    for (int i = 0; i < ASKED_MOST; i++) {
        channels->hand = channels->hand + 1 < channels->open_count ? channels->hand + 1 : 0;
        sl_channel *channel = let_rest(node, channels->open[channels->hand]);
        if (channel) {
            channels->open[channels->hand] = peer;
            return channel;
        }
    }
    return NULL;
}

static bool grow(sl_channels *channels) {
    uint32_t capacity = channels->open_capacity ? 2 * channels->open_capacity : 8;
    uint32_t *open = realloc(channels->open, capacity * sizeof *open);
    if (!open)
        return false;
    channels->open = open;
    uint32_t *dirty = realloc(channels->dirty, capacity * sizeof *dirty);
    if (!dirty)
        return false;
    channels->dirty = dirty;
    channels->open_capacity = capacity;
    return true;
}

static sl_channel *one_more(sl_channels *channels, uint32_t peer) {
    if (channels->open_count == channels->open_capacity && !grow(channels))
        return NULL;
    sl_channel *channel = malloc(sizeof *channel);
    if (channel)
        channels->open[channels->open_count++] = peer;
    return channel;
}

sl_channel *sl_channel_open(sl_node *node, uint32_t peer) {
    sl_channels *channels = &node->channels;
    sl_peer *known = channels->peers[peer];
    if (known->state >= SL_PEER_LIVE)
        return sl_channel_of(node, peer);
    sl_channel *channel = NULL;
    if (channels->open_count >= OPEN_MOST)
        channel = from_another(node, peer);
    if (!channel)
        channel = one_more(channels, peer);
    if (!channel)
        return NULL;
    static const resting nothing = {.peer = {.state = SL_PEER_UNTOUCHED}};
    bool rested = known->state == SL_PEER_RESTING;
    wake(node, rested ? (const resting *)(const void *)known : &nothing, channel);
    if (rested)
        sl_slab_give(&node->slab, known, sizeof(resting));
    channels->peers[peer] = &channel->peer;
    return channel;
}

uint64_t sl_channel_frames(const sl_node *node, uint32_t peer, uint64_t *ago_ns) {
    const sl_peer *known = node->channels.peers[peer];
    uint16_t now_ms = (uint16_t)(sl_node_now_ns(node) / SL_NS_PER_MS);
    *ago_ns = (uint16_t)(now_ms - known->heard_ms) * SL_NS_PER_MS;
    if (known->state == SL_PEER_RESTING)
        return ((const resting *)(const void *)known)->in_sequence;
    if (known->state != SL_PEER_LIVE && known->state != SL_PEER_SAID_GOODBYE)
        return 0;
    const sl_lane_in *in = sl_channel_of(node, peer)->in;
    return in[SL_LANE_CONTROL].sequence + in[SL_LANE_DATA].sequence;
}

/* ---- ends ---- */

bool sl_channel_bar_unopened(sl_node *node, uint32_t peer) {
    sl_peer *known = node->channels.peers[peer];
    if (known->state >= SL_PEER_LIVE)
        return false;
    if (known->state == SL_PEER_RESTING)
        sl_slab_give(&node->slab, known, sizeof(resting));
    node->channels.peers[peer] = shared(&gone);
    return true;
}
