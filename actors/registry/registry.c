/* Design notes
 * The period is the same whether anything changes or not: what it must show is that this node
 * lives. Only while nodes are still missing at the start it is an eighth of that. Who is believed
 * to live is judged in judge.c, by what beats.c and the gossip here bring.
 */
#include "actors/registry/registry.h"

#include <stdlib.h>
#include <string.h>

#include "actors/registry/hardware.h"
#include "actors/registry/registry_internal.h"
#include "runtime/log.h"
#include "runtime/plant.h"
#include "runtime/runtime_msgs.h"

enum { TIMER_TICK, TIMER_URGENT, TIMER_VIEW, TIMER_JUDGE };

enum {
    HASTE = 8,         /* part of the period between ticks while nodes are missing at the start */
    HASTE_LARGE = 2,   /* the same in a large network, which asks for them */
    CALL_EVERY = 8,    /* ticks after which dead nodes are called: they may have come back */
    REPLY_MESSAGES = 4 /* at most, to a node that asks for our view */
};

static const uint64_t min_haste_ns = 5 * SL_NS_PER_MS;
static const uint64_t urgent_gap_ns = 10 * SL_NS_PER_MS; /* between news that cannot wait */
static const uint64_t view_delay_ns = 10 * SL_NS_PER_MS; /* of mere changes of load */

static uint64_t divide_up(uint64_t a, uint64_t b) {
    return (a + b - 1) / b;
}

/* Within so many periods a node tells each other node itself. */
static uint64_t direct_periods(uint32_t nodes) {
    return 2 * divide_up(nodes - 1, SL_REGISTRY_FANOUT) + 2;
}

uint64_t sl_registry_suspect_ns(uint64_t suspect_ns, uint64_t period_ns, uint32_t nodes,
                                uint32_t entries) {
    uint64_t direct = direct_periods(nodes);
    uint64_t hearsay =
        6 * (sl_members_bits(nodes - 1) + divide_up(nodes, (uint64_t)entries * SL_REGISTRY_FANOUT));
    uint64_t least_ns = period_ns * (direct < hearsay ? direct : hearsay);
    return suspect_ns > least_ns ? suspect_ns : least_ns;
}

uint64_t sl_registry_direct_ns(uint64_t period_ns, uint32_t nodes) {
    return period_ns * direct_periods(nodes);
}

static sl_rng *rng(const sl_registry *r) {
    return sl_node_rng(sl_actor_node(r->self));
}

/* Counts what cannot be true; says so at the 1st, 2nd, 4th, 8th … time. */
void sl_registry_refuse(sl_registry *r, const sl_message *message, const char *what) {
    sl_metric_add(sl_registry_metrics(r), SL_METRIC_gossip_refused, 1);
    int64_t count = sl_metric_value(sl_registry_metrics(r), SL_METRIC_gossip_refused);
    if ((count & (count - 1)) == 0)
        sl_warn("registry", "%s in %s from node %u was ignored (%lld so far)", what,
                message->type->record.name, message->from.node, (long long)count);
}

void sl_registry_tell_watchers(sl_registry *r) {
    sl_watchers_tell(&r->watchers, &r->members, r->self, r->awake_ns);
}

static void tell_watchers_soon(sl_registry *r) {
    if (r->view_timer || !r->watchers.count)
        return;
    r->view_timer = true;
    sl_timer_start(r->self, view_delay_ns, TIMER_VIEW);
}

/* ---- gossip out ---- */

void sl_registry_too_large(sl_registry *r) {
    if (!r->too_large_told)
        sl_warn("registry", "this node cannot make itself known: %s", sl_err_detail());
    r->too_large_told = true;
}

static void send_entries(sl_registry *r, uint32_t to, const registry_member *entries,
                         uint32_t count, bool wants_reply) {
    registry_gossip gossip = {.members = {entries, count}, .wants_reply = wants_reply};
    if (registry_gossip_send(r->self, sl_addr_well_known(to, SL_SLOT_REGISTRY), &gossip) ==
        SL_ERR_TOO_LARGE)
        sl_registry_too_large(r);
}

/* Tells one node. What a full queue or a closing peer keeps back the next period brings. Returns
 * the number of entries. */
static uint32_t gossip_to(sl_registry *r, uint32_t to, bool wants_reply) {
    sl_gossip_page page;
    sl_addr at = sl_addr_well_known(to, SL_SLOT_REGISTRY);
    for (;;) {
        uint32_t count = sl_gossip_fill(&r->gossip, &r->members, to, &page);
        registry_gossip gossip = {.briefs = {page.briefs, count}, .wants_reply = wants_reply};
        if (registry_gossip_send(r->self, at, &gossip) != SL_ERR_TOO_LARGE ||
            !sl_gossip_shrink(&r->gossip, count))
            return count;
    }
}

static void gossip_round(sl_registry *r) {
    r->last_gossip_ns = sl_now_ns(r->self);
    r->told_count = 0;
    for (uint32_t i = 0; i < SL_REGISTRY_FANOUT && i < r->gossip.order_count; i++) {
        uint32_t to = sl_gossip_peer(&r->gossip, &r->members, rng(r));
        if (to == SL_NO_NODE)
            return;
        r->told[r->told_count++] = to;
        gossip_to(r, to, false);
    }
}

static void gossip_soon(sl_registry *r) {
    if (r->urgent_timer || r->members.count == 1)
        return;
    r->urgent_timer = true;
    uint64_t since_ns = sl_now_ns(r->self) - r->last_gossip_ns;
    sl_timer_start(r->self, since_ns < urgent_gap_ns ? urgent_gap_ns - since_ns : 0, TIMER_URGENT);
}

/* Own entry alone, to all of a small network, or to a few of a large one, which are asked for what
 * they know when `join`. */
static void announce(sl_registry *r, bool join) {
    registry_offer offer;
    registry_member entry = sl_member_wire(&r->members, r->members.self, &offer);
    bool direct = r->members.count <= SL_REGISTRY_DIRECT_NODES;
    uint32_t peers =
        direct ? r->gossip.order_count : sl_members_bits(r->members.count) + SL_REGISTRY_FANOUT;
    for (uint32_t i = 0; i < peers; i++) {
        uint32_t to = sl_gossip_peer(&r->gossip, &r->members, rng(r));
        if (to == SL_NO_NODE)
            return;
        send_entries(r, to, &entry, 1, join && !direct);
    }
}

void sl_registry_tell(sl_registry *r, uint32_t to, uint32_t about) {
    registry_offer offers[2];
    registry_member entries[2] = {sl_member_wire(&r->members, r->members.self, &offers[0]),
                                  sl_member_wire(&r->members, about, &offers[1])};
    send_entries(r, to, entries, about == r->members.self ? 1 : 2, false);
}

static void tell_some(sl_registry *r, const uint32_t *nodes, uint32_t count, uint32_t about) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t to = nodes ? nodes[i] : i;
        const sl_member *member = &r->members.all[to];
        if (to != r->members.self && to != about && member->known && sl_member_present(member) &&
            !sl_node_set_has(&r->members.held, to))
            sl_registry_tell(r, to, about);
    }
}

void sl_registry_tell_all(sl_registry *r, uint32_t about) {
    uint32_t listeners[SL_REGISTRY_LISTENERS];
    if (r->members.count <= SL_REGISTRY_DIRECT_NODES) {
        tell_some(r, NULL, r->members.count, about);
        return;
    }
    tell_some(r, listeners, sl_registry_listeners_of(r, about, listeners), about);
    gossip_soon(r);
}

/* ---- the tick ---- */

static uint64_t tick_delay_ns(const sl_registry *r) {
    uint64_t period_ns = r->options.gossip_period_ns;
    uint64_t haste = r->members.count <= SL_REGISTRY_DIRECT_NODES ? HASTE : HASTE_LARGE;
    if (r->members.known < r->members.count && period_ns / haste >= min_haste_ns)
        period_ns /= haste;
    /* A tenth more or less, lest all nodes fall into step. */
    return period_ns - period_ns / 10 + sl_rng_below(rng(r), period_ns / 5 + 1);
}

bool sl_registry_judge_in(sl_registry *r, uint64_t delay_ns) {
    return sl_timer_start(r->self, delay_ns, TIMER_JUDGE) != 0;
}

static void judge(sl_registry *r) {
    sl_registry_advance(r);
    sl_registry_judge(r);
    sl_registry_tell_watchers(r);
}

/* Should two nodes have given each other up, and nothing be on its way between them any more. */
static void call_dead(sl_registry *r) {
    for (uint32_t node = 0; node < r->members.count; node++)
        if (node != r->members.self && r->members.all[node].state == SL_MEMBER_DEAD)
            sl_node_call_peer(sl_actor_node(r->self), node);
}

static void on_tick(sl_registry *r) {
    r->ticks++;
    sl_registry_own(r)->version++;
    judge(r);
    sl_registry_judge_some(r);
    r->stood_still = false;
    gossip_round(r);
    sl_registry_ask_for_missing(r);
    sl_registry_beat_all(r);
    if (r->ticks % CALL_EVERY == 0)
        call_dead(r);
    sl_registry_tell_watchers(r);
    sl_timer_start(r->self, tick_delay_ns(r), TIMER_TICK);
}

static void on_timer(sl_registry *r, const node_timer *timer) {
    switch (timer->cookie) {
    case TIMER_TICK:
        on_tick(r);
        break;
    case TIMER_URGENT:
        r->urgent_timer = false;
        gossip_round(r);
        break;
    case TIMER_JUDGE:
        r->judge_timer = false;
        judge(r);
        break;
    default:
        r->view_timer = false;
        sl_registry_tell_watchers(r);
        break;
    }
}

/* ---- gossip in ---- */

/* A node without a link to this one is of no use here, whatever others say of it: one that is
 * buried stays so until its link is open again, also when somebody speaks of a new life of it. */
bool sl_registry_is_cut_off(const sl_registry *r, uint32_t node) {
    if (node >= r->members.count || node == r->members.self || SL_PLANT(death_undone))
        return false;
    const sl_member *member = &r->members.all[node];
    return (!member->known || member->state == SL_MEMBER_DEAD) &&
           !sl_node_peer_alive(sl_actor_node(r->self), node);
}

static sl_merge merge_one(sl_registry *r, const sl_message *message, const registry_member *claim) {
    if (sl_registry_is_cut_off(r, claim->node))
        return SL_MERGE_STALE;
    sl_merge merge = sl_members_merge(&r->members, claim, r->awake_ns);
    if (merge == SL_MERGE_REFUSED)
        sl_registry_refuse(r, message, "an entry that cannot be true");
    return merge;
}

/* Whoever doubts this node is answered; whoever else may have heard of it too. */
static void hear_of_myself(sl_registry *r, uint32_t from, const registry_member *claim,
                           sl_merge merge) {
    if (merge == SL_MERGE_REFUTED)
        gossip_soon(r);
    if (merge != SL_MERGE_REFUSED && claim->state >= SL_MEMBER_SUSPECTED &&
        from != r->members.self && from < r->members.count)
        sl_registry_tell(r, from, r->members.self);
}

static sl_registry_life life_of(const sl_registry *r, uint32_t node) {
    if (node >= r->members.count)
        return (sl_registry_life){.state = SL_MEMBER_STATES};
    return (sl_registry_life){r->members.all[node].incarnation, r->members.all[node].state};
}

void sl_registry_take(sl_registry *r, const sl_message *message, const registry_member *claims,
                      uint32_t count) {
    uint32_t from = message->from.node;
    sl_merge most = SL_MERGE_STALE;
    bool held = from < r->members.count && sl_node_set_has(&r->members.held, from), doubts = false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = claims[i].node;
        sl_registry_life before = life_of(r, node);
        sl_merge merge = merge_one(r, message, &claims[i]);
        if (node == r->members.self)
            hear_of_myself(r, from, &claims[i], merge);
        else
            doubts |= sl_registry_hear(r, from, &claims[i], merge, before);
        if (merge > most)
            most = merge;
    }
    r->listeners_stale |= most == SL_MERGE_STATE;
    if (most == SL_MERGE_STATE && r->members.count > SL_REGISTRY_DIRECT_NODES &&
        sl_node_set_next(&r->members.urgent, 0) != UINT32_MAX)
        gossip_soon(r);
    if (most == SL_MERGE_STATE || held || doubts)
        sl_registry_judge(r);
    if (most == SL_MERGE_STATE || held)
        sl_registry_tell_watchers(r);
    else if (most == SL_MERGE_LOAD)
        tell_watchers_soon(r);
}

static void reply_to(sl_registry *r, uint32_t to) {
    uint32_t told = 0;
    for (int i = 0; i < REPLY_MESSAGES && told + 1 < r->members.known; i++) {
        uint32_t count = gossip_to(r, to, false);
        if (count <= 1)
            return;
        told += count - 1;
    }
}

static void on_gossip(sl_registry *r, const sl_message *message) {
    const registry_gossip *gossip = message->body;
    uint32_t from = message->from.node;
    if (from < r->members.count)
        sl_registry_spoke(r, from, true);
    for (uint32_t i = 0; i < gossip->briefs.count; i++) {
        if (gossip->briefs.items[i].node < r->members.count)
            __builtin_prefetch(&r->members.all[gossip->briefs.items[i].node]);
    }
    if (gossip->members.count)
        sl_registry_take(r, message, gossip->members.items, gossip->members.count);
    sl_gossip_whole heard;
    uint32_t count = sl_registry_understand(r, message, heard.entries, heard.offers);
    sl_registry_take(r, message, heard.entries, count);
    if (gossip->wants_reply && from != r->members.self && from < r->members.count)
        reply_to(r, from);
}

/* ---- this node ---- */

/* Nothing was free of some resource, and now something is: others may be waiting for that. */
static bool has_room_again(const registry_offer *before, const registry_offer *now) {
    return (!before->cores_free && now->cores_free) || (!before->gpus_free && now->gpus_free);
}

static bool is_local(const sl_registry *r, const sl_message *message) {
    return message->from.node == r->members.self || message->from.node == SL_NO_NODE;
}

static void on_free(sl_registry *r, const sl_message *message) {
    const registry_free *report = message->body;
    if (!is_local(r, message) || report->offer.count != 1 ||
        !sl_offer_plausible(report->offer.items)) {
        sl_registry_refuse(r, message, "an offer that is not this node's");
        return;
    }
    sl_member *me = sl_registry_own(r);
    registry_offer before = sl_member_offer(me), now = *report->offer.items;
    bool joined = me->state == SL_MEMBER_JOINING && !r->stands_by;
    if (!joined && memcmp(&before, &now, sizeof now) == 0)
        return;
    if (sl_members_offer(&r->members, &now) != SL_OK) {
        sl_warn("registry", "%s", sl_err_detail());
        return;
    }
    me->version++;
    if (joined) {
        sl_members_set_state(&r->members, r->members.self, SL_MEMBER_ALIVE);
        announce(r, false);
        sl_registry_tell_watchers(r);
        return;
    }
    if (has_room_again(&before, &now))
        gossip_soon(r);
    tell_watchers_soon(r);
}

static void on_stand(sl_registry *r, const sl_message *message) {
    bool by = ((const registry_stand *)message->body)->by;
    if (!is_local(r, message)) {
        sl_registry_refuse(r, message, "a wish of another node");
        return;
    }
    r->stands_by = by;
    if (!sl_members_set_state(&r->members, r->members.self,
                              by ? SL_MEMBER_JOINING : SL_MEMBER_ALIVE))
        return;
    sl_registry_own(r)->version++;
    announce(r, false);
    sl_registry_tell_watchers(r);
}

/* An actor that never hears of the network waits for ever: without memory this one fails, and its
 * node with it. */
static sl_err on_watch(sl_registry *r, const sl_message *message) {
    if (message->from.node != r->members.self) {
        sl_registry_refuse(r, message, "a watch by an actor of another node");
        return SL_OK;
    }
    sl_err err = sl_watchers_add(&r->watchers, message->from, r->members.count);
    if (err == SL_ERR_NO_MEMORY)
        return err;
    if (err != SL_OK)
        sl_warn("registry", "an actor cannot watch the network: %s", sl_err_detail());
    sl_registry_tell_watchers(r);
    return SL_OK;
}

/* ---- descriptions ---- */

static sl_err describe_to(sl_registry *r, sl_addr asker) {
    registry_description description = {
        .node = r->members.self,
        .json = sl_text_of(r->options.description ? r->options.description : "{}")};
    return registry_description_send(r->self, asker, &description);
}

static void on_describe(sl_registry *r, sl_addr asker) {
    if (asker.node == SL_NO_NODE || describe_to(r, asker) != SL_ERR_AGAIN)
        return;
    if (r->asker_count == SL_REGISTRY_ASKERS_MAX) {
        sl_warn("registry", "too many wait for a description: node %u gets none", asker.node);
        return;
    }
    r->askers[r->asker_count++] = asker;
    sl_await_room(r->self, asker);
}

static void on_room(sl_registry *r) {
    sl_registry_tell_watchers(r);
    uint32_t count = r->asker_count;
    r->asker_count = 0;
    for (uint32_t i = 0; i < count; i++)
        on_describe(r, r->askers[i]);
}

/* ---- life ---- */

static void apply_defaults(sl_registry_options *options, uint32_t nodes) {
    if (!options->gossip_period_ns)
        options->gossip_period_ns = SL_REGISTRY_PERIOD_NS;
    if (!options->join_ns)
        options->join_ns = SL_REGISTRY_JOIN_NS + nodes * SL_NS_PER_MS;
    if (!options->leave_ns)
        options->leave_ns = SL_REGISTRY_LEAVE_NS;
}

static sl_err describe_myself(sl_registry *r) {
    const sl_registry_options *options = &r->options;
    const sl_location *location = &options->location;
    char host[SL_MEMBER_HOST_MAX];
    sl_hardware_text(host, sizeof host, options->hostname ? options->hostname : "");
    registry_offer offer = {.cores = options->cores,
                            .cores_free = options->cores,
                            .gpus = options->gpus,
                            .gpus_free = options->gpus,
                            .memory_bytes = options->memory_bytes,
                            .memory_free_bytes = options->memory_bytes,
                            .ucu_milli = options->ucu_milli,
                            .ucu_free_milli = options->ucu_milli};
    registry_member entry = {.node = r->members.self,
                             .incarnation = options->incarnation,
                             .version = sl_registry_own(r)->version,
                             .state = options->await_executor ? SL_MEMBER_JOINING : SL_MEMBER_ALIVE,
                             .host = sl_text_of(host),
                             .region = sl_text_of(location->region),
                             .zone = sl_text_of(location->zone),
                             .has_coordinates = location->has_coordinates,
                             .latitude = location->latitude,
                             .longitude = location->longitude,
                             .offer = {&offer, 1}};
    SL_TRY(sl_members_describe(&r->members, &entry));
    registry_description description = {.json = sl_text_of(options->description)};
    return sl_record_check(&registry_description_type.record, &description);
}

static void registry_fini(sl_registry *r) {
    sl_watchers_fini(&r->watchers);
    sl_node_set_fini(&r->heard);
    sl_node_set_fini(&r->wanted);
    free(r->ears);
    sl_gossip_fini(&r->gossip);
    sl_members_fini(&r->members);
}

static sl_err registry_init(sl_registry *r) {
    sl_node *node = sl_actor_node(r->self);
    SL_TRY(sl_members_init(&r->members, sl_node_id(node), sl_node_count(node)));
    SL_TRY(describe_myself(r));
    if (!sl_node_set_init(&r->heard, r->members.count) ||
        !sl_node_set_init(&r->wanted, r->members.count))
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to listen to %u nodes", r->members.count);
    return sl_gossip_init(&r->gossip, &r->members, SL_REGISTRY_GOSSIP_BYTES, rng(r));
}

static sl_err registry_start(sl_actor *self, void *state, const void *arguments) {
    sl_registry *r = state;
    r->self = self;
    if (arguments)
        r->options = *(const sl_registry_options *)arguments;
    apply_defaults(&r->options, sl_node_count(sl_actor_node(self)));
    sl_err err = registry_init(r);
    if (err != SL_OK) {
        registry_fini(r);
        return err;
    }
    r->last_ns = sl_now_ns(self);
    r->listeners_stale = true;
    if (r->members.count == 1)
        return SL_OK; /* nobody to tell, nobody to miss */
    sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    announce(r, true);
    sl_timer_start(self, tick_delay_ns(r), TIMER_TICK);
    return SL_OK;
}

static void registry_stop(sl_actor *self, void *state) {
    sl_registry *r = state;
    sl_registry_own(r)->state = SL_MEMBER_LEAVING;
    sl_registry_own(r)->version++;
    announce(r, false);
    for (uint32_t node = 0; node < r->members.count; node++)
        sl_node_peer_hold(sl_actor_node(self), node, false); /* what waits shall leave */
    registry_fini(r);
}

static void on_peer_lost(sl_registry *r, const node_peer_lost *lost) {
    if (lost->ended)
        sl_registry_witness(r, lost->node);
    else
        sl_registry_bury(r, lost->node,
                         lost->calls ? "it has given this node up, or begins anew"
                                     : "its link is gone");
    sl_registry_tell_watchers(r);
}

/* The link is open again. Where the other had buried this node, it is this one that comes back, as
 * a new member: what is said of its earlier life is no longer said of it. */
static void on_peer_back(sl_registry *r, const node_peer_back *back) {
    sl_registry_revive(r, back->node);
    if (back->buried) {
        sl_registry_own(r)->incarnation = sl_node_incarnation(sl_actor_node(r->self));
        sl_registry_own(r)->version++;
        sl_members_touch(&r->members, r->members.self, SL_HEAT_STATE);
    }
    gossip_to(r, back->node, true);
    gossip_soon(r);
    sl_registry_tell_watchers(r);
}

static sl_err registry_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self;
    sl_registry *r = state;
    if (message->type->lane != SL_LANE_LOCAL)
        sl_registry_advance(r);
    switch (message->type->id) {
    case registry_gossip_id:
        on_gossip(r, message);
        break;
    case registry_want_id:
        sl_registry_on_want(r, message);
        break;
    case registry_beat_id:
        sl_registry_on_beat(r, message);
        break;
    case registry_died_id:
        sl_registry_on_died(r, message);
        break;
    case registry_ping_id:
        sl_registry_on_ping(r, message);
        break;
    case registry_pong_id:
        sl_registry_on_pong(r, message);
        break;
    case registry_free_id:
        on_free(r, message);
        break;
    case registry_stand_id:
        on_stand(r, message);
        break;
    case registry_watch_id:
        return on_watch(r, message);
    case registry_describe_id:
        on_describe(r, message->from);
        break;
    case node_timer_id:
        on_timer(r, message->body);
        break;
    case node_room_id:
        on_room(r);
        break;
    case node_peer_lost_id:
        on_peer_lost(r, message->body);
        break;
    case node_peer_back_id:
        on_peer_back(r, message->body);
        break;
    default:
        sl_registry_refuse(r, message, "an unwelcome message");
        break;
    }
    return SL_OK;
}

const sl_actor_class sl_registry_class = {
    .name = "registry",
    .state_bytes = sizeof(sl_registry),
    .start = registry_start,
    .receive = registry_receive,
    .stop = registry_stop,
};
