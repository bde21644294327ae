/* Design notes
 * Time: `awake_ns` advances with each tick by what has passed, but by no more than two periods. So
 * a node that was itself stopped or starved does not hold its own absence against the others.
 * The period is the same whether anything changes or not: what it must show is that this node
 * lives, and at 100 ms and three messages that is 0.15 % of a core (4 to 64 nodes, measured). Only
 * while nodes are still missing at the start it is an eighth of that.
 * To a suspected node next to nothing is sent (see PROBE_EVERY): it clears itself by being heard.
 */
#include "actors/registry/registry.h"

#include <stdlib.h>
#include <string.h>

#include "actors/registry/gossip.h"
#include "actors/registry/hardware.h"
#include "actors/registry/watchers.h"
#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/runtime_msgs.h"
#include "runtime/plant.h"

enum { TIMER_TICK, TIMER_URGENT, TIMER_VIEW };

enum {
    HASTE = 8,          /* part of the period between ticks while nodes are missing at the start */
    PROBE_EVERY = 4,    /* ticks after which suspected nodes may be told something */
    CALL_EVERY = 8,     /* ticks after which dead nodes are called: they may have come back */
    REPLY_MESSAGES = 4, /* at most, to a node that asks for our view */
    JUDGED_MOST = 256,  /* members judged in a tick */
    ASKERS_MAX = 64     /* waiting for room for a description; more are not answered */
};

static const uint64_t min_haste_ns = 5 * SL_NS_PER_MS;
static const uint64_t urgent_gap_ns = 10 * SL_NS_PER_MS; /* between news that cannot wait */
static const uint64_t view_delay_ns = 10 * SL_NS_PER_MS; /* of mere changes of load */

typedef struct registry {
    sl_actor *self;
    sl_registry_options options;
    sl_members members;
    sl_gossip gossip;
    sl_watchers watchers;
    uint64_t awake_ns;
    uint64_t last_tick_ns;
    uint64_t last_gossip_ns;
    uint64_t ticks;
    uint32_t next_judged;
    bool urgent_timer;
    bool view_timer;
    bool too_large_told;
    bool stands_by; /* as asked by registry_stand */
    sl_addr askers[ASKERS_MAX];
    uint32_t asker_count;
} registry;

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

static sl_metrics *metrics(const registry *r) {
    return sl_node_metrics(sl_actor_node(r->self));
}

static sl_rng *rng(const registry *r) {
    return sl_node_rng(sl_actor_node(r->self));
}

static sl_member *own(const registry *r) {
    return &r->members.all[r->members.self];
}

/* Counts what cannot be true; says so at the 1st, 2nd, 4th, 8th … time. */
static void refuse(registry *r, const sl_message *message, const char *what) {
    sl_metric_add(metrics(r), SL_METRIC_gossip_refused, 1);
    int64_t count = sl_metric_value(metrics(r), SL_METRIC_gossip_refused);
    if ((count & (count - 1)) == 0)
        sl_warn("registry", "%s in %s from node %u was ignored (%lld so far)", what,
                message->type->record.name, message->from.node, (long long)count);
}

static void tell_watchers(registry *r) {
    sl_watchers_tell(&r->watchers, &r->members, r->self, r->awake_ns);
}

static void tell_watchers_soon(registry *r) {
    if (r->view_timer || !r->watchers.count)
        return;
    r->view_timer = true;
    sl_timer_start(r->self, view_delay_ns, TIMER_VIEW);
}

/* ---- gossip out ---- */

static sl_err send_entries(registry *r, uint32_t to, const registry_member *entries, uint32_t count,
                           bool wants_reply) {
    registry_gossip gossip = {.members = {entries, count}, .wants_reply = wants_reply};
    return registry_gossip_send(r->self, sl_addr_well_known(to, SL_SLOT_REGISTRY), &gossip);
}

/* Tells one node. What a full queue or a closing peer keeps back the next period brings. Returns
 * the number of entries. */
static uint32_t gossip_to(registry *r, uint32_t to, bool wants_reply) {
    sl_gossip_page page;
    for (;;) {
        uint32_t count = sl_gossip_fill(&r->gossip, &r->members, to, &page);
        if (send_entries(r, to, page.entries, count, wants_reply) != SL_ERR_TOO_LARGE)
            return count;
        if (sl_gossip_shrink(&r->gossip, count))
            continue;
        if (!r->too_large_told)
            sl_warn("registry", "this node cannot make itself known: %s", sl_err_detail());
        r->too_large_told = true;
        return 0;
    }
}

static void gossip_round(registry *r, bool probe) {
    r->last_gossip_ns = sl_now_ns(r->self);
    for (uint32_t i = 0; i < SL_REGISTRY_FANOUT && i < r->gossip.order_count; i++) {
        uint32_t to = sl_gossip_peer(&r->gossip, &r->members, probe, rng(r));
        if (to == SL_NO_NODE)
            return;
        gossip_to(r, to, false);
    }
}

static void gossip_soon(registry *r) {
    if (r->urgent_timer || r->members.count == 1)
        return;
    r->urgent_timer = true;
    uint64_t since_ns = sl_now_ns(r->self) - r->last_gossip_ns;
    sl_timer_start(r->self, since_ns < urgent_gap_ns ? urgent_gap_ns - since_ns : 0, TIMER_URGENT);
}

/* Own entry alone, to all of a small network, or to a few of a large one, which are asked for what
 * they know when `join`. */
static void announce(registry *r, bool join) {
    registry_offer offer;
    registry_member entry = sl_member_wire(&r->members, r->members.self, &offer);
    bool direct = r->members.count <= SL_REGISTRY_DIRECT_NODES;
    uint32_t peers =
        direct ? r->gossip.order_count : sl_members_bits(r->members.count) + SL_REGISTRY_FANOUT;
    for (uint32_t i = 0; i < peers; i++) {
        uint32_t to = sl_gossip_peer(&r->gossip, &r->members, true, rng(r));
        if (to == SL_NO_NODE)
            return;
        (void)send_entries(r, to, &entry, 1, join && !direct);
    }
}

/* ---- silence ---- */

/* Nothing more is sent to the node or taken from it. */
static void bury(registry *r, uint32_t node, const char *why) {
    sl_member *member = &r->members.all[node];
    bool left = member->state == SL_MEMBER_LEAVING;
    if (!sl_members_set_state(&r->members, node, SL_MEMBER_DEAD))
        return;
    sl_metric_add(metrics(r), SL_METRIC_nodes_lost, 1);
    if (left)
        sl_info("registry", "node %u (%s) has left", node, member->profile->host.data);
    else
        sl_warn("registry", "node %u (%s) is dead: %s", node, member->profile->host.data, why);
    if (left)
        sl_node_peer_gone(sl_actor_node(r->self), node);
    else if (!SL_PLANT(loss_untold))
        sl_node_peer_lost(sl_actor_node(r->self), node);
}

static void on_peer_lost(registry *r, const node_peer_lost *lost) {
    bury(r, lost->node,
         lost->calls ? "it has given this node up, or begins anew" : "its link is gone");
    tell_watchers(r);
}

/* The link is open again. Where the other had buried this node, it is this one that comes back, as
 * a new member: what is said of its earlier life is no longer said of it. */
static void on_peer_back(registry *r, const node_peer_back *back) {
    sl_members_revive(&r->members, back->node, r->awake_ns);
    if (back->buried) {
        own(r)->incarnation = sl_node_incarnation(sl_actor_node(r->self));
        own(r)->version++;
        sl_members_touch(&r->members, r->members.self, true);
    }
    gossip_to(r, back->node, true);
    gossip_soon(r);
    tell_watchers(r);
}

/* Should two nodes have given each other up, and nothing be on its way between them any more. */
static void call_dead(registry *r) {
    for (uint32_t node = 0; node < r->members.count; node++)
        if (node != r->members.self && r->members.all[node].state == SL_MEMBER_DEAD)
            sl_node_call_peer(sl_actor_node(r->self), node);
}

static void suspect(registry *r, uint32_t node) {
    if (!sl_members_set_state(&r->members, node, SL_MEMBER_SUSPECTED))
        return;
    sl_metric_add(metrics(r), SL_METRIC_nodes_suspected, 1);
    sl_info("registry", "node %u (%s) is silent", node, r->members.all[node].profile->host.data);
}

/* Others hear of it and we do not hear from it: it has given us up, or what it sends does not come.
 * Either way the two of us have no link, and both must know. A node tells each other one itself
 * once in direct_periods(); three times that leave no doubt. */
static bool has_no_link(const registry *r, const sl_member *member, uint64_t dead_ns) {
    uint64_t silent_ns = sl_silent_ns(member->spoke_ms, r->awake_ns);
    uint64_t direct_ns = 3 * direct_periods(r->members.count) * r->options.gossip_period_ns;
    return member->known && silent_ns >= dead_ns && silent_ns >= direct_ns &&
           !SL_PLANT(link_one_sided);
}

static void judge(registry *r, uint32_t node, uint64_t suspect_ns, uint64_t dead_ns) {
    const sl_member *member = &r->members.all[node];
    uint64_t silent_ns = sl_silent_ns(member->heard_ms, r->awake_ns);
    if (member->state == SL_MEMBER_DEAD)
        return;
    if (silent_ns < suspect_ns) {
        if (has_no_link(r, member, dead_ns))
            bury(r, node, "others hear of it, this node does not");
        return;
    }
    if (silent_ns >= dead_ns)
        bury(r, node, member->known ? "it was silent for too long" : "it was never heard of");
    else if (member->condemned || member->state == SL_MEMBER_LEAVING)
        bury(r, node, "another node says so, and it is silent");
    else if (member->known)
        suspect(r, node);
}

/* Of a large network a part each tick: the times at which its nodes are suspected are longer than
 * such a round. */
static void judge_some(registry *r) {
    uint64_t suspect_ns =
        sl_registry_suspect_ns(r->options.suspect_ns, r->options.gossip_period_ns, r->members.count,
                               sl_gossip_capacity(&r->gossip, &r->members));
    uint64_t dead_ns = r->options.dead_ns;
    if (dead_ns < 2 * suspect_ns)
        dead_ns = 2 * suspect_ns;
    uint32_t count = r->members.count < JUDGED_MOST ? r->members.count : JUDGED_MOST;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = r->next_judged;
        r->next_judged = node + 1 < r->members.count ? node + 1 : 0;
        if (node != r->members.self)
            judge(r, node, suspect_ns, dead_ns);
    }
}

/* ---- the tick ---- */

static uint64_t tick_delay_ns(const registry *r) {
    uint64_t period_ns = r->options.gossip_period_ns;
    if (r->members.known < r->members.count && period_ns / HASTE >= min_haste_ns)
        period_ns /= HASTE;
    /* A tenth more or less, lest all nodes fall into step. */
    return period_ns - period_ns / 10 + sl_rng_below(rng(r), period_ns / 5 + 1);
}

static void on_tick(registry *r) {
    uint64_t now_ns = sl_now_ns(r->self), passed_ns = now_ns - r->last_tick_ns;
    uint64_t most_ns = 2 * r->options.gossip_period_ns;
    r->awake_ns += passed_ns < most_ns ? passed_ns : most_ns;
    r->last_tick_ns = now_ns;
    own(r)->version++;
    own(r)->heard_ms = sl_member_ms(r->awake_ns);
    judge_some(r);
    gossip_round(r, ++r->ticks % PROBE_EVERY == 0);
    if (r->ticks % CALL_EVERY == 0)
        call_dead(r);
    tell_watchers(r);
    sl_timer_start(r->self, tick_delay_ns(r), TIMER_TICK);
}

static void on_timer(registry *r, const node_timer *timer) {
    switch (timer->cookie) {
    case TIMER_TICK:
        on_tick(r);
        break;
    case TIMER_URGENT:
        r->urgent_timer = false;
        gossip_round(r, false);
        break;
    default:
        r->view_timer = false;
        tell_watchers(r);
        break;
    }
}

/* ---- gossip in ---- */

/* A node without a link to this one is of no use here, whatever others say of it: one that is
 * buried stays so until its link is open again, also when somebody speaks of a new life of it. */
static bool is_cut_off(const registry *r, const registry_member *claim) {
    if (claim->node >= r->members.count || claim->node == r->members.self || SL_PLANT(death_undone))
        return false;
    const sl_member *member = &r->members.all[claim->node];
    return (!member->known || member->state == SL_MEMBER_DEAD) &&
           !sl_node_peer_alive(sl_actor_node(r->self), claim->node);
}

static sl_merge merge_one(registry *r, const sl_message *message, const registry_member *claim) {
    if (is_cut_off(r, claim))
        return SL_MERGE_STALE;
    sl_merge merge = sl_members_merge(&r->members, claim, r->awake_ns);
    if (merge == SL_MERGE_REFUSED)
        refuse(r, message, "an entry that cannot be true");
    return merge;
}

static void reply_to(registry *r, uint32_t to) {
    uint32_t told = 0;
    for (int i = 0; i < REPLY_MESSAGES && told + 1 < r->members.known; i++) {
        uint32_t count = gossip_to(r, to, false);
        if (count <= 1)
            return;
        told += count - 1;
    }
}

static void on_gossip(registry *r, const sl_message *message) {
    const registry_gossip *gossip = message->body;
    sl_merge most = SL_MERGE_STALE;
    if (message->from.node < r->members.count)
        sl_members_spoke(&r->members, message->from.node, r->awake_ns);
    for (uint32_t i = 0; i < gossip->members.count; i++) {
        if (gossip->members.items[i].node < r->members.count)
            __builtin_prefetch(&r->members.all[gossip->members.items[i].node]);
    }
    for (uint32_t i = 0; i < gossip->members.count; i++) {
        sl_merge merge = merge_one(r, message, &gossip->members.items[i]);
        if (merge == SL_MERGE_REFUTED)
            gossip_soon(r);
        if (merge > most)
            most = merge;
    }
    if (most == SL_MERGE_STATE)
        tell_watchers(r);
    else if (most == SL_MERGE_LOAD)
        tell_watchers_soon(r);
    if (gossip->wants_reply && message->from.node != r->members.self &&
        message->from.node < r->members.count)
        reply_to(r, message->from.node);
}

/* ---- this node ---- */

/* Nothing was free of some resource, and now something is: others may be waiting for that. */
static bool has_room_again(const registry_offer *before, const registry_offer *now) {
    return (!before->cores_free && now->cores_free) || (!before->gpus_free && now->gpus_free);
}

static bool is_local(const registry *r, const sl_message *message) {
    return message->from.node == r->members.self || message->from.node == SL_NO_NODE;
}

static void on_free(registry *r, const sl_message *message) {
    const registry_free *report = message->body;
    if (!is_local(r, message) || report->offer.count != 1 ||
        !sl_offer_plausible(report->offer.items)) {
        refuse(r, message, "an offer that is not this node's");
        return;
    }
    sl_member *me = own(r);
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
        tell_watchers(r);
        return;
    }
    if (has_room_again(&before, &now))
        gossip_soon(r);
    tell_watchers_soon(r);
}

static void on_stand(registry *r, const sl_message *message) {
    bool by = ((const registry_stand *)message->body)->by;
    if (!is_local(r, message)) {
        refuse(r, message, "a wish of another node");
        return;
    }
    r->stands_by = by;
    if (!sl_members_set_state(&r->members, r->members.self,
                              by ? SL_MEMBER_JOINING : SL_MEMBER_ALIVE))
        return;
    own(r)->version++;
    announce(r, false);
    tell_watchers(r);
}

/* An actor that never hears of the network waits for ever: without memory this one fails, and its
 * node with it. */
static sl_err on_watch(registry *r, const sl_message *message) {
    if (message->from.node != r->members.self) {
        refuse(r, message, "a watch by an actor of another node");
        return SL_OK;
    }
    sl_err err = sl_watchers_add(&r->watchers, message->from, r->members.count);
    if (err == SL_ERR_NO_MEMORY)
        return err;
    if (err != SL_OK)
        sl_warn("registry", "an actor cannot watch the network: %s", sl_err_detail());
    tell_watchers(r);
    return SL_OK;
}

/* ---- descriptions ---- */

static sl_err describe_to(registry *r, sl_addr asker) {
    registry_description description = {
        .node = r->members.self,
        .json = sl_text_of(r->options.description ? r->options.description : "{}")};
    return registry_description_send(r->self, asker, &description);
}

static void on_describe(registry *r, sl_addr asker) {
    if (asker.node == SL_NO_NODE || describe_to(r, asker) != SL_ERR_AGAIN)
        return;
    if (r->asker_count == ASKERS_MAX) {
        sl_warn("registry", "too many wait for a description: node %u gets none", asker.node);
        return;
    }
    r->askers[r->asker_count++] = asker;
    sl_await_room(r->self, asker);
}

static void on_room(registry *r) {
    tell_watchers(r);
    uint32_t count = r->asker_count;
    r->asker_count = 0;
    for (uint32_t i = 0; i < count; i++)
        on_describe(r, r->askers[i]);
}

/* ---- life ---- */

static void apply_defaults(sl_registry_options *options) {
    if (!options->gossip_period_ns)
        options->gossip_period_ns = SL_REGISTRY_PERIOD_NS;
    if (!options->suspect_ns)
        options->suspect_ns = SL_REGISTRY_SUSPECT_NS;
    if (!options->dead_ns)
        options->dead_ns = SL_REGISTRY_DEAD_NS;
}

static sl_err describe_myself(registry *r) {
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
                             .version = own(r)->version,
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

static void registry_fini(registry *r) {
    sl_watchers_fini(&r->watchers);
    sl_gossip_fini(&r->gossip);
    sl_members_fini(&r->members);
}

static sl_err registry_init(registry *r) {
    sl_node *node = sl_actor_node(r->self);
    SL_TRY(sl_members_init(&r->members, sl_node_id(node), sl_node_count(node)));
    SL_TRY(describe_myself(r));
    return sl_gossip_init(&r->gossip, &r->members, SL_REGISTRY_GOSSIP_BYTES, rng(r));
}

static sl_err registry_start(sl_actor *self, void *state, const void *arguments) {
    registry *r = state;
    r->self = self;
    if (arguments)
        r->options = *(const sl_registry_options *)arguments;
    apply_defaults(&r->options);
    sl_err err = registry_init(r);
    if (err != SL_OK) {
        registry_fini(r);
        return err;
    }
    r->last_tick_ns = sl_now_ns(self);
    if (r->members.count == 1)
        return SL_OK; /* nobody to tell, nobody to miss */
    sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    announce(r, true);
    sl_timer_start(self, tick_delay_ns(r), TIMER_TICK);
    return SL_OK;
}

static void registry_stop(sl_actor *self, void *state) {
    (void)self;
    registry *r = state;
    own(r)->state = SL_MEMBER_LEAVING;
    own(r)->version++;
    announce(r, false);
    registry_fini(r);
}

static sl_err registry_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self;
    registry *r = state;
    switch (message->type->id) {
    case registry_gossip_id:
        on_gossip(r, message);
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
        refuse(r, message, "an unwelcome message");
        break;
    }
    return SL_OK;
}

const sl_actor_class sl_registry_class = {
    .name = "registry",
    .state_bytes = sizeof(registry),
    .start = registry_start,
    .receive = registry_receive,
    .stop = registry_stop,
};
