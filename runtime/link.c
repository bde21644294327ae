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

void sl_link_lose(sl_node *node, uint32_t peer) {
    sl_channel *channel = &node->channels.peers[peer];
    if (channel->state == SL_PEER_LIVE)
        node->channels.said_goodbye++;
    channel->state = SL_PEER_LOST;
    sl_channel_clear(node, peer);
    sl_mailboxes_forget(node, peer);
    channel->own = ++node->incarnation;
    channel->known = channel->buried = channel->hello_due = 0;
    node->transport->ops->abandon(node->transport, peer);
    sl_waiters_tell_node(node, peer);
}

void sl_links_rejoin(sl_node *node) {
    for (uint32_t peer = 0; peer < node->transport->count; peer++) {
        sl_channel *channel = &node->channels.peers[peer];
        if (peer == node->id)
            continue;
        channel->state = SL_PEER_LOST;
        channel->bulk_out.first_id = channel->bulk_out.start_id = (uint64_t)node->incarnation << 32;
        channel->buried = 1; /* in its earlier life, or it soon will be */
        node->channels.said_goodbye++;
        node->transport->ops->abandon(node->transport, peer);
        sl_link_answer(node, peer);
    }
}

void sl_link_answer(sl_node *node, uint32_t peer) {
    sl_channel *channel = &node->channels.peers[peer];
    if (channel->barred)
        return;
    channel->hello_due = 1;
    sl_channel_mark(node, peer);
}

bool sl_link_post_hello(sl_node *node, uint32_t peer) {
    sl_channel *channel = &node->channels.peers[peer];
    if (node->urgent.head && channel->state == SL_PEER_LOST)
        return false;
    sl_frame_head *frame = node->transport->ops->acquire(node->transport, peer);
    if (!frame)
        return false;
    bool closing = channel->state == SL_PEER_LOST && node->phase != SL_NODE_RUNNING;
    sl_hello hello = {.answers = channel->known,
                      .yours = channel->incarnation,
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
    sl_channel *channel = &node->channels.peers[peer];
    uint64_t first_out = channel->bulk_out.first_id;
    if (SL_PLANT(bulk_of_old))
        first_in = first_out = channel->bulk_out.first_id = channel->bulk_out.start_id = 0;
    uint64_t consumed_bytes = channel->in[SL_LANE_DATA].consumed_bytes;
    *channel = (sl_channel){.bulk_out = channel->bulk_out,
                            .bulk_in = {.first_id = first_in, .start_id = first_in},
                            .own = channel->own,
                            .incarnation = channel->incarnation,
                            .known = 1,
                            .state = SL_PEER_LIVE,
                            .dirty = channel->dirty,
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
    sl_channel *channel = &node->channels.peers[peer];
    if (head->flags & SL_FRAME_GOODBYE) {
        sl_node_peer_gone(node, peer);
        return;
    }
    if (channel->state != SL_PEER_LOST) {
        if (channel->known && channel->incarnation == head->incarnation)
            return; /* said again before the peer knew that the link is open */
        sl_info("node", "node %u has given this one up, or begins anew", peer);
        sl_link_lose(node, peer);
        channel->buried = 1;
        sl_node_tell_lost(node, peer, node->phase == SL_NODE_RUNNING);
    }
    if (node->phase != SL_NODE_RUNNING || SL_PLANT(hello_once))
        return;
    channel->known = 1;
    channel->incarnation = head->incarnation;
    if (hello->answers && hello->yours == channel->own)
        open_link(node, peer, hello->first_bulk_id);
    channel->hello_due = 1;
    sl_channel_mark(node, peer);
}
