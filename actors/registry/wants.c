/* Whole entries, for those who ask.
 *
 * Gossip is brief (gossip.h). A node that is told of one it knows nothing of, or that has become
 * something else, asks the teller for the whole entry. In a large network that is young it also
 * asks for those whose numbers it has heard nothing of: by rumour alone the last of ten thousand
 * would come after a message for each. */
#include <string.h>

#include "actors/registry/registry_internal.h"

enum {
    WANT_MOST = 48,     /* asked for at once */
    ANSWER_MESSAGES = 4 /* at most, to one that asks */
};

static const uint64_t want_again_ns = 200 * SL_NS_PER_MS; /* more than most ways there and back */

typedef struct want {
    registry_number nodes[WANT_MOST];
    uint32_t count;
} want;

static void add(sl_registry *r, want *w, uint32_t node) {
    if (w->count == WANT_MOST || sl_node_set_has(&r->wanted, node))
        return;
    sl_node_set_add(&r->wanted, node);
    w->nodes[w->count++].node = node;
}

static void ask(sl_registry *r, uint32_t whom, const want *w) {
    registry_want body = {.nodes = {w->nodes, w->count}};
    if (w->count)
        (void)registry_want_send(r->self, sl_addr_well_known(whom, SL_SLOT_REGISTRY), &body);
}

/* What was asked for and has not come is asked for again. */
static void forget_old(sl_registry *r) {
    if (r->awake_ns - r->wanted_ns < want_again_ns)
        return;
    memset(r->wanted.words, 0, r->wanted.count * sizeof *r->wanted.words);
    r->wanted_ns = r->awake_ns;
}

/* Known already, and no worse than what is known: most of what comes is. */
static bool is_old(const sl_registry *r, const registry_brief *brief) {
    const sl_member *member = &r->members.all[brief->node];
    return brief->node != r->members.self && member->known &&
           brief->incarnation == member->incarnation && brief->version <= member->version &&
           brief->state <= SL_MEMBER_ALIVE && brief->state <= member->state;
}

uint32_t sl_registry_understand(sl_registry *r, const sl_message *message, registry_member *claims,
                                registry_offer *offers) {
    const registry_gossip *gossip = message->body;
    uint32_t count = 0;
    want w = {.count = 0};
    forget_old(r);
    for (uint32_t i = 0; i < gossip->briefs.count; i++) {
        const registry_brief *brief = &gossip->briefs.items[i];
        if (brief->node >= r->members.count) {
            sl_registry_refuse(r, message, "an entry that cannot be true");
            continue;
        }
        if (is_old(r, brief))
            continue;
        if (sl_member_from_brief(&r->members, brief, &offers[count], &claims[count]))
            count++;
        else if (sl_members_lack(&r->members, brief->node, brief->incarnation, brief->version) &&
                 !sl_registry_is_cut_off(r, brief->node))
            add(r, &w, brief->node);
    }
    if (message->from.node < r->members.count && message->from.node != r->members.self)
        ask(r, message->from.node, &w);
    return count;
}

void sl_registry_ask_for_missing(sl_registry *r) {
    uint32_t nodes = r->members.count;
    if (nodes <= SL_REGISTRY_DIRECT_NODES || r->members.known == nodes)
        return;
    uint32_t whom = sl_gossip_peer(&r->gossip, &r->members, sl_node_rng(sl_actor_node(r->self)));
    if (whom == SL_NO_NODE)
        return;
    want w = {.count = 0};
    forget_old(r);
    for (uint32_t i = 0; i < nodes && w.count < WANT_MOST; i++) {
        uint32_t node = r->next_missing;
        r->next_missing = node + 1 < nodes ? node + 1 : 0;
        if (!r->members.all[node].known && !sl_registry_is_cut_off(r, node))
            add(r, &w, node);
    }
    ask(r, whom, &w);
}

void sl_registry_on_want(sl_registry *r, const sl_message *message) {
    const registry_want *body = message->body;
    sl_addr to = sl_addr_well_known(message->from.node, SL_SLOT_REGISTRY);
    sl_gossip_whole page;
    uint32_t done = 0, taken = 0;
    if (message->from.node >= r->members.count || message->from.node == r->members.self) {
        sl_registry_refuse(r, message, "a wish from nowhere");
        return;
    }
    for (int i = 0; i < ANSWER_MESSAGES && done < body->nodes.count; i++) {
        uint32_t count = sl_gossip_fill_wanted(&r->gossip, &r->members, body->nodes.items + done,
                                               body->nodes.count - done, &taken, &page);
        registry_gossip answer = {.members = {page.entries, count}};
        sl_err err = count ? registry_gossip_send(r->self, to, &answer) : SL_OK;
        if (err == SL_ERR_TOO_LARGE && sl_gossip_shrink(&r->gossip, count))
            continue;
        if (err == SL_ERR_TOO_LARGE)
            sl_registry_too_large(r);
        done += taken;
    }
}
