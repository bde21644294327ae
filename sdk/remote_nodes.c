/* Who the nodes of a network are, as its gateway tells it. */
#include <stdlib.h>
#include <string.h>

#include "runtime/thread.h"
#include "sdk/remote.h"
#include "sdk/seal.h"

#define ANSWER_NS (30 * SL_NS_PER_S)

static sl_roster_node *copy_nodes(const gateway_nodes *nodes) {
    sl_roster_node *copy = calloc(nodes->nodes.count + 1, sizeof *copy);
    for (uint32_t i = 0; copy && i < nodes->nodes.count; i++) {
        const gateway_node *node = &nodes->nodes.items[i];
        copy[i].node = node->node;
        copy[i].bytes = node->credential.bytes;
        if (node->credential.bytes)
            memcpy(copy[i].credential, node->credential.data, node->credential.bytes);
    }
    return copy;
}

sl_err sl_remote_take_nodes(sl_remote *remote, const sl_gateway_parts *parts) {
    gateway_nodes *nodes = sl_gateway_decode(parts, SL_GATEWAY_NODES);
    if (!nodes)
        return SL_ERR_DECODE;
    sl_roster_node *copy = copy_nodes(nodes);
    pthread_mutex_lock(&remote->lock);
    free(remote->nodes);
    remote->nodes = copy;
    remote->node_count = copy ? nodes->nodes.count : 0;
    remote->told_nodes = true;
    pthread_cond_broadcast(&remote->changed);
    pthread_mutex_unlock(&remote->lock);
    free(nodes);
    return SL_OK;
}

/* With the lock. Threads that ask at once may have one answer. */
static sl_err ask(sl_remote *remote) {
    struct timespec end = sl_cond_deadline(ANSWER_NS);
    gateway_who who = {.number = ++remote->asked_nodes};
    remote->told_nodes = false;
    SL_TRY(sl_remote_send(remote, SL_GATEWAY_WHO, &who, NULL));
    if (!sl_remote_await(remote, &remote->told_nodes, &end))
        return sl_fail(SL_ERR_TIMEOUT, "%s does not say who the nodes are",
                       sl_link_peer(remote->link));
    if (!remote->told_nodes)
        return sl_remote_closed(remote);
    return remote->nodes ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for a list of nodes");
}

static sl_err fetch(void *context, sl_roster_node **list, uint32_t *count) {
    sl_remote *remote = context;
    pthread_mutex_lock(&remote->lock);
    sl_err err = remote->closed ? sl_remote_closed(remote) : ask(remote);
    sl_roster_node *copy = err == SL_OK ? calloc(remote->node_count + 1, sizeof *copy) : NULL;
    if (copy)
        memcpy(copy, remote->nodes, remote->node_count * sizeof *copy);
    *list = copy;
    *count = copy ? remote->node_count : 0;
    pthread_mutex_unlock(&remote->lock);
    if (err != SL_OK)
        return err;
    return copy ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for a list of nodes");
}

sl_seal_source sl_remote_source(sl_remote *remote) {
    return (sl_seal_source){remote->source, fetch, remote};
}
