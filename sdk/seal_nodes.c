/* Design notes
 * Nodes are learned from the source and kept for a while, or until a task was not sealed to the
 * node that got it. To wrap a key costs some 50 us a node, so in a large network each task is
 * sealed for some of the nodes alone: always for one of the same few groups, since every other set
 * would be another queue to the scheduler. */
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/node.h"
#include "sdk/seal_internal.h"

#define LEARNED_NS (60 * SL_NS_PER_S)

enum { NODES_MOST = 16, NODE_MOST = 65535 };

_Static_assert((int)SL_ROSTER_CREDENTIAL_BYTES >= (int)SL_CREDENTIAL_MOST_BYTES, "credential");

/* ---- whom to seal for ---- */

/* Those whose credentials hold; what a node says of itself beyond that counts for nothing. */
static uint32_t believe(const sl_keys *keys, const sl_roster_node *list, uint32_t count,
                        sl_seal_known *nodes) {
    const sl_certificate *self = sl_identity_certificate(keys->identity);
    uint64_t now_s = (uint64_t)sl_clock_wall_s();
    uint32_t made = 0;
    for (uint32_t i = 0; i < count; i++) {
        sl_peer *peer = &nodes[made].peer;
        if (list[i].node > NODE_MOST ||
            sl_trust_check(keys->trust, list[i].credential, list[i].bytes, now_s, peer) != SL_OK ||
            peer->certificate.role != SL_ROLE_NODE)
            continue;
        const char *project = peer->certificate.project;
        if (*project && strcmp(project, self->project) != 0)
            continue;
        nodes[made++].node = list[i].node;
    }
    return made;
}

/* With the lock. */
static sl_seal_learned *find_learned(sl_keys *keys, uint64_t source) {
    for (int i = 0; i < SL_SEAL_SOURCES_MOST; i++)
        if (keys->learned[i].source == source)
            return &keys->learned[i];
    return NULL;
}

static void keep_learned(sl_keys *keys, const sl_seal_learned *news) {
    pthread_mutex_lock(&keys->lock);
    sl_seal_learned *at = find_learned(keys, news->source);
    if (!at)
        at = &keys->learned[SL_SEAL_SOURCES_MOST - 1];
    free(at->nodes);
    memmove(keys->learned + 1, keys->learned, (size_t)(at - keys->learned) * sizeof *at);
    keys->learned[0] = *news;
    pthread_mutex_unlock(&keys->lock);
}

static sl_err copy_learned(sl_keys *keys, uint64_t source, sl_seal_known **nodes, uint32_t *count) {
    sl_err err = SL_ERR_NOT_FOUND;
    pthread_mutex_lock(&keys->lock);
    const sl_seal_learned *at = find_learned(keys, source);
    if (at && sl_clock_now_ns() - at->at_ns < LEARNED_NS) {
        *nodes = malloc((at->count + 1) * sizeof **nodes);
        *count = at->count;
        err = *nodes ? SL_OK : SL_ERR_NO_MEMORY;
        if (*nodes && at->count)
            memcpy(*nodes, at->nodes, at->count * sizeof **nodes);
    }
    pthread_mutex_unlock(&keys->lock);
    return err;
}

void sl_seal_forget(sl_keys *keys, uint64_t source) {
    pthread_mutex_lock(&keys->lock);
    sl_seal_learned *at = find_learned(keys, source);
    if (at)
        at->source = 0;
    pthread_mutex_unlock(&keys->lock);
}

/* The nodes of a source; the list is the caller's. */
sl_err sl_seal_learn(sl_keys *keys, const sl_seal_source *source, sl_seal_known **nodes,
                     uint32_t *count) {
    sl_roster_node *list;
    uint32_t found;
    sl_err err = copy_learned(keys, source->id, nodes, count);
    if (err != SL_ERR_NOT_FOUND)
        return err == SL_OK ? SL_OK : sl_fail(err, "no memory for nodes");
    if (sl_node_runs_here())
        return sl_fail(SL_ERR_INVALID, "nothing can be sealed where messages are handled");
    sl_seal_learned news = {.source = source->id, .at_ns = sl_clock_now_ns()};
    SL_TRY(source->fetch(source->context, &list, &found));
    news.nodes = malloc((found + 1) * sizeof *news.nodes);
    if (news.nodes)
        news.count = believe(keys, list, found, news.nodes);
    free(list);
    if (!news.nodes)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for nodes");
    keep_learned(keys, &news);
    err = copy_learned(keys, source->id, nodes, count);
    return err == SL_OK ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for nodes");
}

static bool is_named(const sl_seal *seal, const sl_seal_known *node) {
    bool named = !seal->nodes;
    for (size_t i = 0; i < seal->node_count && !named; i++)
        named = strcmp(seal->nodes[i], node->peer.certificate.name) == 0;
    return named;
}

static int by_key(const void *a, const void *b) {
    return memcmp(((const sl_seal_known *)a)->peer.key_id, ((const sl_seal_known *)b)->peer.key_id,
                  SL_KEY_ID_BYTES);
}

static bool same_key(const sl_seal_known *a, const sl_seal_known *b) {
    return by_key(a, b) == 0;
}

/* Nodes of one process have one key. */
static uint32_t count_keys(const sl_seal_known *nodes, uint32_t count) {
    uint32_t keys = 0;
    for (uint32_t i = 0; i < count; i++)
        keys += !i || !same_key(&nodes[i - 1], &nodes[i]);
    return keys;
}

static sl_err refuse_all(const sl_seal *seal) {
    return sl_fail(SL_ERR_NOT_FOUND,
                   seal->nodes ? "none of the nodes named for this task is in the network with a "
                                 "certificate that is believed"
                               : "no node of the network has a certificate that is believed: "
                                 "nodes are started with --keys and --authority");
}

/* Leaves those named, of these one group, with a bit for each node of it. */
sl_err sl_seal_choose(sl_keys *keys, const sl_seal *seal, sl_seal_known *nodes, uint32_t *count,
                      sl_seal_made *made) {
    uint32_t kept = 0, top = 0, most = seal->nodes_most ? seal->nodes_most : NODES_MOST;
    for (uint32_t i = 0; i < *count; i++)
        if (is_named(seal, &nodes[i]))
            nodes[kept++] = nodes[i];
    if (!kept)
        return refuse_all(seal);
    qsort(nodes, kept, sizeof *nodes, by_key);
    uint32_t keys_found = count_keys(nodes, kept), groups = (keys_found + most - 1) / most;
    uint32_t group = atomic_fetch_add(&keys->next_group, 1) % groups, key = 0, chosen = 0;
    for (uint32_t i = 0; i < kept; i++)
        top = nodes[i].node > top ? nodes[i].node : top;
    made->among_bytes = top / 8 + 1;
    made->among = calloc(1, made->among_bytes);
    if (!made->among)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a set of nodes");
    sl_seal_known last = nodes[0];
    for (uint32_t i = 0; i < kept; i++) {
        bool another = !same_key(&last, &nodes[i]);
        key += another;
        last = nodes[i];
        if (key % groups != group)
            continue;
        made->among[last.node / 8] |= (uint8_t)(1u << last.node % 8);
        if (!chosen || !same_key(&nodes[chosen - 1], &last))
            nodes[chosen++] = last;
    }
    *count = chosen;
    return SL_OK;
}
