/* Who the nodes are, for clients that seal tasks for them. The roster asks every node, so it is
 * asked at most once a second, whoever wants to know; its last answer serves meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "actors/gateway/gateway_internal.h"
#include "actors/roster/roster_msgs.h"
#include "runtime/log.h"

#define FRESH_NS SL_NS_PER_S

static void answer(gateway *gw, gw_session *session) {
    gateway_nodes nodes = {.number = session->who_number, .nodes = {gw->known, gw->known_count}};
    session->asks_who = false;
    gw_send(gw, session, SL_GATEWAY_NODES, &nodes, NULL);
}

static void gather(gateway *gw) {
    roster_gather ask = {};
    sl_addr roster = sl_addr_well_known(sl_self(gw->self).node, SL_SLOT_ROSTER);
    if (!gw->gathering)
        gw->gathering = roster_gather_send(gw->self, roster, &ask) == SL_OK;
}

void gw_take_who(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_who *who = sl_gateway_decode(parts, SL_GATEWAY_WHO);
    if (!who || !(session->scopes & (SL_SCOPE_SUBMIT | SL_SCOPE_COMMAND))) {
        gw_refuse(gw, session, "%s",
                  who ? "this API key may not ask for nodes: it lacks the scope submit"
                      : sl_err_detail());
        free(who);
        return;
    }
    session->asks_who = true;
    session->who_number = who->number;
    free(who);
    if (gw->known_ns && sl_now_ns(gw->self) - gw->known_ns < FRESH_NS)
        answer(gw, session);
    else
        gather(gw);
}

/* The entries, and behind them what they point to. */
static gateway_node *copy_list(const roster_list *list) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < list->nodes.count; i++)
        bytes += list->nodes.items[i].credential.bytes;
    gateway_node *nodes = malloc((list->nodes.count + 1) * sizeof *nodes + bytes);
    uint8_t *at = nodes ? (uint8_t *)(nodes + list->nodes.count) : NULL;
    for (uint32_t i = 0; nodes && i < list->nodes.count; i++) {
        const roster_entry *entry = &list->nodes.items[i];
        nodes[i] = (gateway_node){.node = entry->node, .credential = {at, entry->credential.bytes}};
        memcpy(at, entry->credential.data, entry->credential.bytes);
        at += entry->credential.bytes;
    }
    return nodes;
}

void gw_on_roster(gateway *gw, const void *body) {
    const roster_list *list = body;
    gateway_node *nodes = copy_list(list);
    gw->gathering = false;
    if (!nodes)
        sl_error("gateway", "no memory for a list of nodes");
    free(gw->known);
    gw->known = nodes;
    gw->known_count = nodes ? list->nodes.count : 0;
    gw->known_ns = sl_now_ns(gw->self);
    for (gw_session *session = gw->sessions; session; session = session->next)
        if (session->asks_who && session->stage == GW_OPEN)
            answer(gw, session);
}
