/* The actor of a rank that stands by: when a rank of its host dies, it offers what that one did.
 *
 * Design notes
 * - Until then the node is JOINING: known, linked to all, and given nothing. It has no executor.
 * - Every spare of the host sees the same deaths. Each dead rank has an order of spares, by its
 * place among the ranks of the host; the first that stands by takes it, and tells the others.
 * Should two have taken the same one all the same, that with the higher number stands by again.
 * - A rank that comes back after it was taken for dead offers what it did before; its spare stands
 * by again and lets what it runs end. It stays with that rank, whose cores its executor binds to.
 */
#include <stdlib.h>
#include <string.h>

#include "actors/registry/registry_msgs.h"
#include "runtime/log.h"
#include "runtime/runtime_msgs.h"
#include "sdk/network.h"
#include "sdk/spare_msgs.h"

typedef struct spare {
    sl_actor *self;
    sl_network_node *of;
    uint8_t *states;  /* of each rank, as the registry has it; UINT8_MAX: not heard of */
    uint32_t *takers; /* of each rank: the other spare that said that it takes it, or SL_NO_NODE */
    uint32_t rank;    /* whose offer this one has; SL_NO_NODE: nobody's */
    bool failed;
    bool stands_by; /* again */
} spare;

/* ---- who is who ---- */

static bool is_here(const spare *s, uint32_t rank) {
    return sl_network_same_host(s->of->network, s->of->rank, rank);
}

static bool is_spare_here(const spare *s, uint32_t rank) {
    return sl_network_is_spare(s->of->network, rank) && is_here(s, rank);
}

static bool has_taken(const spare *s, uint32_t which) {
    for (uint32_t rank = 0; rank < s->of->network->count; rank++)
        if (s->takers[rank] == which)
            return true;
    return which == s->of->rank && s->rank != SL_NO_NODE;
}

static bool stands_by(const spare *s, uint32_t which) {
    bool waits = which == s->of->rank || s->states[which] == SL_MEMBER_JOINING;
    return is_spare_here(s, which) && waits && !has_taken(s, which);
}

/* Another spare offers in its place, and lives. */
static uint32_t taker_of(const spare *s, uint32_t rank) {
    uint32_t taker = s->takers[rank];
    return taker != SL_NO_NODE && s->states[taker] != SL_MEMBER_DEAD ? taker : SL_NO_NODE;
}

/* The first in its order that stands by; SL_NO_NODE: none does. */
static uint32_t successor_of(const spare *s, uint32_t rank) {
    uint32_t count = s->of->network->count, place = 0, spares = 0;
    for (uint32_t i = 0; i < count; i++) {
        place += i < rank && is_here(s, i);
        spares += is_spare_here(s, i);
    }
    if (!spares)
        return SL_NO_NODE;
    uint32_t first = place % spares, found = SL_NO_NODE, at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_spare_here(s, i))
            continue;
        if (stands_by(s, i) && (at >= first || found == SL_NO_NODE)) {
            found = i;
            if (at >= first)
                return found;
        }
        at++;
    }
    return found;
}

/* ---- taking a place ---- */

static void tell(spare *s, uint32_t to) {
    spare_takes body = {s->failed ? s->of->rank : s->rank}; /* its own: it is of no use */
    if (to != s->of->rank && is_spare_here(s, to))
        (void)spare_takes_send(s->self, sl_addr_well_known(to, SL_SLOT_SPARE), &body);
}

static sl_err offer(spare *s, uint32_t rank) {
    sl_offer theirs;
    SL_TRY(sl_network_offer(s->of->network, rank, &theirs));
    sl_offer_fini(&s->of->offer);
    s->of->offer = theirs;
    SL_TRY(sl_network_node_serve(s->of));
    registry_offer now = sl_network_node_offer(s->of);
    registry_free body = {.offer = {&now, 1}};
    return registry_free_send(s->self, sl_addr_well_known(s->of->rank, SL_SLOT_REGISTRY), &body);
}

static void take(spare *s, uint32_t rank) {
    if (offer(s, rank) != SL_OK) {
        s->failed = true;
        sl_error("run", "this spare cannot take the place of rank %u: %s", rank, sl_err_detail());
    } else {
        s->rank = rank;
        sl_warn("run", "rank %u is dead; this spare offers in its place", rank);
    }
    for (uint32_t i = 0; i < s->of->network->count; i++)
        tell(s, i);
}

/* Only while the rank is dead, and no other spare with a lower number is there for it. */
static void keep_or_leave(spare *s) {
    bool wanted = s->states[s->rank] == SL_MEMBER_DEAD && taker_of(s, s->rank) >= s->of->rank;
    if (wanted == !s->stands_by)
        return;
    s->stands_by = !wanted;
    sl_warn("run",
            wanted ? "rank %u is dead; this spare offers in its place"
                   : "rank %u has its place again; this spare stands by",
            s->rank);
    registry_stand body = {s->stands_by};
    (void)registry_stand_send(s->self, sl_addr_well_known(s->of->rank, SL_SLOT_REGISTRY), &body);
}

static void look(spare *s) {
    if (s->rank != SL_NO_NODE) {
        keep_or_leave(s);
        return;
    }
    for (uint32_t rank = 0; rank < s->of->network->count && !s->failed; rank++) {
        if (s->states[rank] != SL_MEMBER_DEAD || !is_here(s, rank) || is_spare_here(s, rank) ||
            taker_of(s, rank) != SL_NO_NODE || successor_of(s, rank) != s->of->rank)
            continue;
        take(s, rank);
        return;
    }
}

/* ---- messages ---- */

static void on_view(spare *s, const registry_view *view) {
    for (uint32_t i = 0; i < view->members.count; i++)
        if (view->members.items[i].node < s->of->network->count)
            s->states[view->members.items[i].node] = view->members.items[i].state;
    look(s);
}

static void on_takes(spare *s, uint32_t from, uint32_t rank) {
    if (rank >= s->of->network->count || !is_spare_here(s, from))
        return;
    if (taker_of(s, rank) == SL_NO_NODE || from < s->takers[rank])
        s->takers[rank] = from;
    look(s);
}

static sl_err spare_start(sl_actor *self, void *state, const void *arguments) {
    spare *s = state;
    *s = (spare){.self = self, .of = *(sl_network_node *const *)arguments, .rank = SL_NO_NODE};
    uint32_t count = s->of->network->count;
    s->states = malloc(count);
    s->takers = malloc(count * sizeof *s->takers);
    if (!s->states || !s->takers)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a spare among %u ranks", count);
    memset(s->states, 0xff, count);
    memset(s->takers, 0xff, count * sizeof *s->takers);
    sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    registry_watch watch = {};
    return registry_watch_send(self, sl_addr_well_known(s->of->rank, SL_SLOT_REGISTRY), &watch);
}

static void spare_stop(sl_actor *self, void *state) {
    spare *s = state;
    (void)self;
    free(s->states);
    free(s->takers);
}

static sl_err spare_receive(sl_actor *self, void *state, const sl_message *message) {
    spare *s = state;
    (void)self;
    switch (message->type->id) {
    case registry_view_id:
        on_view(s, message->body);
        break;
    case spare_takes_id:
        on_takes(s, message->from.node, ((const spare_takes *)message->body)->rank);
        break;
    case node_peer_back_id:
        if (s->rank != SL_NO_NODE || s->failed)
            tell(s, ((const node_peer_back *)message->body)->node);
        break;
    default:
        break;
    }
    return SL_OK;
}

const sl_actor_class sl_spare_class = {.name = "spare",
                                       .state_bytes = sizeof(spare),
                                       .start = spare_start,
                                       .receive = spare_receive,
                                       .stop = spare_stop};
