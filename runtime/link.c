/* Lives of a link: how the one between two nodes is lost, and opened again.
 *
 * Design notes
 * - A node has a counter of incarnations. It grows by one for every link that is lost; the new
 * number stands for this node on the next link to that peer, so no two lives of a link have the
 * same pair of numbers. Other links of the node keep theirs: two nodes that lose each other do not
 * trouble a third.
 * - Who has lost a link says HELLO with its number when it hears anything from the peer, when it is
 * told to call it, and in answer to a HELLO, then with the peer's number too. Who gets a HELLO with
 * a number that is not the one its link is with has lost that link: it was buried there, or the
 * peer began anew. Who gets its own number back opens the link, and confirms it by one more HELLO
 * before anything else. Frames of a pair of nodes keep their order through all of this, so an older
 * HELLO never comes after a newer one, and nothing of the new link before the HELLO that opens it.
 * - Actors never meet two lives of a link at once: what waits for them when the link is lost is
 * dropped, and a new number is told only when every actor has handled the loss (no control message
 * waits).
 * - A node that closes opens nothing. Who takes it for linked is told that it is not, with goodbye.
 */
#include "runtime/node_internal.h"
#include "runtime/plant.h"

#include <string.h>

static void forget(sl_node *node, uint32_t peer, uint8_t state) {
    if (state != SL_PEER_SAID_GOODBYE)
        node->channels.said_goodbye++;
    sl_mailboxes_forget(node, peer);
    node->transport->ops->abandon(node->transport, peer);
    sl_waiters_tell_node(node, peer);
}

void sl_link_lose(sl_node *node, uint32_t peer) {
    uint8_t state = node->channels.peers[peer]->state;
    sl_channel *channel = sl_channel_open(node, peer);
    if (!channel) {
        sl_link_bar(node, peer);
        return;
    }
    channel->peer.state = SL_PEER_LOST;
    channel->peer.known = 0;
    channel->own = ++node->incarnation;
    channel->buried = channel->hello_due = 0;
    channel->held = channel->ask = channel->answer = 0;
    channel->calls = 0;
    sl_channel_clear(node, channel);
    forget(node, peer, state);
}

void sl_link_bar(sl_node *node, uint32_t peer) {
    uint8_t state = node->channels.peers[peer]->state;
    if (!sl_channel_bar_unopened(node, peer)) {
        sl_channel *channel = sl_channel_of(node, peer);
        channel->peer.state = SL_PEER_LOST;
        channel->peer.barred = 1;
        channel->hello_due = 0;
        sl_channel_clear(node, channel);
    }
    if (state != SL_PEER_LOST)
        forget(node, peer, state);
}

void sl_links_rejoin(sl_node *node) {
    for (uint32_t peer = 0; peer < node->transport->count; peer++) {
        if (peer == node->id)
            continue;
        sl_link_lose(node, peer);
        if (sl_node_peer_is_gone(node, peer)) /* no memory for it */
            continue;
        sl_channel *channel = sl_channel_of(node, peer);
        channel->bulk_out.first_id = channel->bulk_out.start_id = (uint64_t)node->incarnation << 32;
        channel->buried = 1; /* in its earlier life, or it soon will be */
        sl_link_answer(node, peer);
    }
}

void sl_link_answer(sl_node *node, uint32_t peer) {
    if (sl_node_peer_is_gone(node, peer))
        return;
    sl_channel_of(node, peer)->hello_due = 1;
    sl_channel_mark(node, peer);
}

/* The first few times, then at the 16th, 32nd, 64th …, and at each CALL_EVERY-th: a dead peer may
 * cost memory each time. */
void sl_link_call(sl_node *node, uint32_t peer) {
    enum { CALL_FIRST = 8, CALL_EVERY = 512 };
    uint32_t calls = ++sl_channel_of(node, peer)->calls;
    if (calls <= CALL_FIRST || (calls & (calls - 1)) == 0 || calls % CALL_EVERY == 0)
        sl_link_answer(node, peer);
}

bool sl_link_post_hello(sl_node *node, uint32_t peer) {
    sl_channel *channel = sl_channel_of(node, peer);
    bool is_lost = channel->peer.state == SL_PEER_LOST;
    if (node->urgent.head && is_lost)
        return false;
    sl_frame_head *frame = node->transport->ops->acquire(node->transport, peer);
    if (!frame)
        return false;
    bool closing = is_lost && node->phase != SL_NODE_RUNNING;
    sl_hello hello = {.answers = channel->peer.known,
                      .yours = channel->peer.incarnation,
                      .first_bulk_id = channel->bulk_out.first_id};
    size_t bytes = sizeof *frame + sizeof hello;
    *frame = (sl_frame_head){.magic = SL_FRAME_MAGIC,
                             .version = SL_FRAME_VERSION,
                             .lane = SL_LANE_CONTROL,
                             .bytes = (uint32_t)bytes,
                             .incarnation = channel->own,
                             .flags = SL_FRAME_HELLO | (closing ? SL_FRAME_GOODBYE : 0)};
    memcpy(frame + 1, &hello, sizeof hello);
    node->transport->ops->post(node->transport, peer, frame, bytes);
    sl_metric_add(node->metrics, SL_METRIC_frames_sent, 1);
    sl_metric_add(node->metrics, SL_METRIC_bytes_sent, (int64_t)bytes);
    channel->hello_due = 0;
    return true;
}

/* Both numbers are known to both. */
static void open_link(sl_node *node, uint32_t peer, uint64_t first_in) {
    sl_channel *channel = sl_channel_of(node, peer);
    uint64_t first_out = channel->bulk_out.first_id;
    if (SL_PLANT(bulk_of_old))
        first_in = first_out = channel->bulk_out.first_id = channel->bulk_out.start_id = 0;
    uint64_t consumed_bytes = channel->in[SL_LANE_DATA].consumed_bytes;
    *channel = (sl_channel){.peer = {.incarnation = channel->peer.incarnation,
                                     .state = SL_PEER_LIVE,
                                     .known = 1,
                                     .dirty = channel->peer.dirty},
                            .bulk_out = channel->bulk_out,
                            .bulk_in = {.first_id = first_in, .start_id = first_in},
                            .own = channel->own,
                            .buried = channel->buried};
    if (SL_PLANT(credit_of_old))
        channel->in[SL_LANE_DATA].consumed_bytes = consumed_bytes;
    node->channels.said_goodbye--;
    node->transport->ops->readmit(node->transport, peer, first_in, first_out);
    sl_metric_add(node->metrics, SL_METRIC_nodes_back, 1);
    sl_info("node", "the link to node %u is open again", peer);
    sl_node_tell_back(node, peer, channel->buried);
}

void sl_link_hello(sl_node *node, uint32_t peer, const sl_frame_head *head, const sl_hello *hello) {
    sl_channel *channel = sl_channel_of(node, peer);
    if (head->flags & SL_FRAME_GOODBYE) {
        sl_node_peer_gone(node, peer);
        return;
    }
    if (channel->peer.state != SL_PEER_LOST) {
        if (channel->peer.known && channel->peer.incarnation == head->incarnation)
            return; /* said again before the peer knew that the link is open */
        sl_info("node", "node %u has given this one up, or begins anew", peer);
        sl_link_lose(node, peer);
        channel->buried = 1;
        sl_node_tell_lost(node, peer, node->phase == SL_NODE_RUNNING);
    }
    if (node->phase != SL_NODE_RUNNING || SL_PLANT(hello_once))
        return;
    channel->peer.known = 1;
    channel->peer.incarnation = head->incarnation;
    if (hello->answers && hello->yours == channel->own)
        open_link(node, peer, hello->first_bulk_id);
    channel->hello_due = 1;
    sl_channel_mark(node, peer);
}
