/* Peers that are held: what is sent to them waits, and they are asked for a sign of life. */
#include "runtime/node_internal.h"

static bool is_open(const sl_node *node, uint32_t peer) {
    return node->channels.peers[peer]->state >= SL_PEER_LIVE;
}

void sl_channel_hold(sl_node *node, uint32_t peer, bool hold) {
    if (node->channels.peers[peer]->state == SL_PEER_LOST || !(hold || is_open(node, peer)))
        return;
    sl_channel *channel = sl_channel_open(node, peer);
    if (!channel || channel->held == hold)
        return;
    channel->held = hold;
    if (hold)
        return;
    if (sl_transfers_start(node, peer, true) != SL_OK)
        sl_node_peer_lost(node, peer);
    else
        sl_channel_mark(node, peer);
}

bool sl_channel_held(const sl_node *node, uint32_t peer) {
    return is_open(node, peer) && !node->channels.peers[peer]->barred &&
           sl_channel_of(node, peer)->held;
}

void sl_channel_ask(sl_node *node, uint32_t peer) {
    if (node->channels.peers[peer]->state == SL_PEER_LOST)
        return;
    sl_channel *channel = sl_channel_open(node, peer);
    if (!channel)
        return;
    channel->ask = 1;
    sl_channel_mark(node, peer);
}
