/* Who is silent, who is suspected, who is dead.
 *
 * Design notes
 * Own ears. A node that beats for this one and is not heard for the link's suspect time is mute; any
 * frame of it ends that. Of the others this node hears by gossip, after a while that grows with the
 * network (sl_registry_suspect_ns()), and by what is said of them.
 *
 * Suspicion. Who misses a node says so at once to all (of a large network: to its other listeners
 * and to some, and news runs on). Whoever knows better answers with what it has heard since, the
 * suspect itself first of all: a newer version clears it everywhere. Nothing is sent to a suspect,
 * but a bare frame now and then that asks for an answer (sl_node_peer_ask()).
 *
 * Death takes own ears and others: the suspect has not answered this node either, for as long as
 * the link's dead time is beyond its suspect time, and another node says that it too waits in vain
 * (or has buried it, or there is no other). A node that hears nobody at all, so that nobody agrees,
 * takes three times as long: the fault may be its own. So one node that judges wrongly cannot expel
 * another; and one that others hear and that tells this node nothing has no link to it and is dead
 * here alone: what one of two has given up the other cannot use.
 *
 * Certain deaths. The kernel tells of a process of this host that has ended. That is told to all,
 * and believed at once of a witness that has the same host as the dead.
 *
 * Time is this node's waking time: it advances by what has passed, but by no more than a period and
 * a quarter between two looks. A node that stood still or was starved does not hold its own absence
 * against others, and judges nobody until it has looked at what came meanwhile. */
#include <string.h>

#include "actors/registry/registry_internal.h"
#include "runtime/log.h"
#include "runtime/plant.h"

enum {
    ASK_EVERY = 2, /* ticks between questions to a suspect */
    ALONE = 3,     /* times the wait when nobody agrees */
    STALLED = 2,   /* periods between two looks: this node stood still */
    FORGET = 512   /* part of the longest gap that is forgotten each tick */
};

void sl_registry_advance(sl_registry *r) {
    uint64_t now_ns = sl_now_ns(r->self), passed_ns = now_ns - r->last_ns;
    uint64_t most_ns = r->options.gossip_period_ns + r->options.gossip_period_ns / 4;
    r->awake_ns += passed_ns < most_ns ? passed_ns : most_ns;
    r->last_ns = now_ns;
    r->stood_still |= passed_ns > STALLED * r->options.gossip_period_ns;
    sl_registry_own(r)->heard_ns = r->awake_ns;
}

static sl_link_timing timing_of(const sl_registry *r, const sl_member *member) {
    return sl_link_timing_now(&r->options.timings, sl_registry_own(r), member,
                              r->options.gossip_period_ns);
}

static uint64_t later(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* How long no sign of life has come, from itself or by others. */
static uint64_t unheard_ns(const sl_registry *r, const sl_member *member) {
    return r->awake_ns - later(member->heard_ns, member->spoke_ns);
}

/* ---- dead ---- */

void sl_registry_bury(sl_registry *r, uint32_t node, const char *why) {
    sl_member *member = &r->members.all[node];
    bool left = member->state == SL_MEMBER_LEAVING;
    if (!sl_members_set_state(&r->members, node, SL_MEMBER_DEAD))
        return;
    member->owes = member->mute = member->held = 0;
    sl_metric_add(sl_registry_metrics(r), SL_METRIC_nodes_lost, 1);
    if (left)
        sl_info("registry", "node %u (%s) has left", node, member->host);
    else
        sl_warn("registry", "node %u (%s) is dead: %s", node, member->host, why);
    if (!SL_PLANT(loss_untold))
        sl_node_peer_lost(sl_actor_node(r->self), node);
}

void sl_registry_witness(sl_registry *r, uint32_t node) {
    const sl_member *member = &r->members.all[node];
    registry_died died = {.node = node, .incarnation = member->incarnation};
    bool known = member->known && member->state != SL_MEMBER_LEAVING;
    sl_registry_bury(r, node, "its process has ended");
    for (uint32_t to = 0; known && to < r->members.count; to++) {
        if (to != r->members.self && r->members.all[to].known &&
            sl_member_present(&r->members.all[to]))
            (void)registry_died_send(r->self, sl_addr_well_known(to, SL_SLOT_REGISTRY), &died);
    }
}

/* Only who shares a host with the dead can know. */
static bool may_witness(const sl_registry *r, uint32_t from, uint32_t node) {
    const sl_member *witness = &r->members.all[from], *dead = &r->members.all[node];
    return witness->known && dead->known && from != node &&
           (sl_link_kind_of(witness, dead) == SL_LINK_SAME_HOST || SL_PLANT(witness_any));
}

void sl_registry_on_died(sl_registry *r, const sl_message *message) {
    const registry_died *died = message->body;
    uint32_t from = message->from.node;
    if (died->node >= r->members.count || from >= r->members.count ||
        died->node == r->members.self || !may_witness(r, from, died->node)) {
        sl_registry_refuse(r, message, "the word of a death from who cannot know");
        return;
    }
    sl_registry_spoke(r, from);
    if (died->incarnation == r->members.all[died->node].incarnation)
        sl_registry_bury(r, died->node, "its process has ended, a node of its host says");
    sl_registry_tell_watchers(r);
}

/* ---- suspected ---- */

static void suspect(sl_registry *r, uint32_t node, uint64_t since_ns) {
    sl_member *member = &r->members.all[node];
    member->suspected_ns = since_ns;
    member->silent = member->mute;
    if (!sl_members_set_state(&r->members, node, SL_MEMBER_SUSPECTED))
        return;
    sl_metric_add(sl_registry_metrics(r), SL_METRIC_nodes_suspected, 1);
    sl_info("registry", "node %u (%s) is silent", node, member->host);
    sl_registry_tell_all(r, node);
}

/* Who could say that it too waits in vain. */
static bool has_others(const sl_registry *r, uint32_t node) {
    for (uint32_t other = 0; other < r->members.count; other++) {
        const sl_member *member = &r->members.all[other];
        if (other != node && other != r->members.self && member->known && sl_member_present(member))
            return true;
    }
    return false;
}

/* Since when this node waits for a suspect's answer. */
static uint64_t waits_since_ns(const sl_member *member) {
    return later(member->suspected_ns, member->spoke_ns);
}

static void judge_suspect(sl_registry *r, uint32_t node, sl_link_timing timing) {
    sl_member *member = &r->members.all[node];
    uint64_t wait_ns = timing.dead_ns - timing.suspect_ns;
    uint64_t waited_ns = r->awake_ns - waits_since_ns(member);
    if (!member->silent && (member->mute || waited_ns >= wait_ns / 2)) {
        member->silent = 1;
        sl_members_touch(&r->members, node, true);
        sl_registry_tell_all(r, node);
    }
    if (waited_ns < wait_ns)
        return;
    if (member->condemned || member->seconded_ns)
        sl_registry_bury(r, node, "it is silent, and others say so");
    else if (!has_others(r, node))
        sl_registry_bury(r, node, "it was silent for too long");
    else if (waited_ns >= ALONE * wait_ns)
        sl_registry_bury(r, node, "it was silent for too long, though nobody else says so");
}

/* ---- everybody ---- */

/* Others hear of it and we do not hear from it: it has given us up, or what it sends does not come.
 * Either way the two of us have no link, and both must know. */
static bool has_no_link(const sl_registry *r, const sl_member *member) {
    uint64_t silent_ns = r->awake_ns - member->spoke_ns;
    uint64_t least_ns =
        ALONE * sl_link_timing_of(&r->options.timings, sl_registry_own(r), member).dead_ns;
    if (!member->owes)
        least_ns = later(least_ns, 3 * sl_registry_direct_ns(r->options.gossip_period_ns,
                                                             r->members.count));
    return silent_ns >= least_ns && !SL_PLANT(link_one_sided);
}

/* Of a node that is mute what others tell is known for a while after its end. */
static uint64_t lag_ns(sl_link_timing timing) {
    return timing.suspect_ns / 2;
}

static void judge_present(sl_registry *r, uint32_t node, sl_link_timing timing) {
    const sl_member *member = &r->members.all[node];
    uint64_t unheard = unheard_ns(r, member);
    uint64_t hearsay_ns = sl_registry_suspect_ns(timing.suspect_ns, r->options.gossip_period_ns,
                                                 r->members.count,
                                                 sl_gossip_capacity(&r->gossip, &r->members));
    if (member->mute && unheard >= lag_ns(timing))
        suspect(r, node, member->spoke_ns + timing.suspect_ns);
    else if (!member->owes && unheard >= hearsay_ns)
        suspect(r, node, r->awake_ns - unheard + hearsay_ns);
}

static void judge_member(sl_registry *r, uint32_t node, sl_link_timing timing) {
    sl_member *member = &r->members.all[node];
    uint64_t silent_ns = r->awake_ns - member->spoke_ns;
    if (!member->known) {
        if (r->awake_ns >= r->options.join_ns)
            sl_registry_bury(r, node, "it was never heard of");
        return;
    }
    if (member->state == SL_MEMBER_LEAVING) {
        if (unheard_ns(r, member) >= r->options.leave_ns)
            sl_registry_bury(r, node, "it has left");
        return;
    }
    member->mute = member->owes && silent_ns >= timing.suspect_ns;
    if (has_no_link(r, member) && has_others(r, node))
        sl_registry_bury(r, node, "nothing comes from it, whatever others hear");
    else if (member->state == SL_MEMBER_SUSPECTED)
        judge_suspect(r, node, timing);
    else
        judge_present(r, node, timing);
}

/* A suspect that has spoken since is told what is said of it, and answers that itself. */
static void attend(sl_registry *r, uint32_t node, sl_link_timing timing) {
    sl_member *member = &r->members.all[node];
    sl_node *at = sl_actor_node(r->self);
    bool suspected = member->state == SL_MEMBER_SUSPECTED;
    bool answered = suspected && member->spoke_ns > member->suspected_ns &&
                    r->awake_ns - member->spoke_ns < timing.suspect_ns;
    bool hold = member->mute || (suspected && !answered);
    bool turns = hold != member->held;
    if (turns) {
        member->held = hold;
        sl_members_touch(&r->members, node, false);
        if (!SL_PLANT(suspect_held) || hold)
            sl_node_peer_hold(at, node, hold);
    }
    if (hold && (turns || r->ticks % ASK_EVERY == 0))
        sl_node_peer_ask(at, node);
    if (answered && (turns || r->ticks % ASK_EVERY == 0))
        sl_registry_tell(r, node, node);
}

/* When it is to be judged again: mind only if that is before the next tick. */
static uint64_t due_ns(const sl_registry *r, const sl_member *member, sl_link_timing timing) {
    uint64_t wait_ns = timing.dead_ns - timing.suspect_ns;
    if (member->state == SL_MEMBER_SUSPECTED) {
        uint64_t half_ns = waits_since_ns(member) + wait_ns / 2;
        return half_ns > r->awake_ns ? half_ns : waits_since_ns(member) + wait_ns;
    }
    if (member->state == SL_MEMBER_LEAVING || !member->owes)
        return UINT64_MAX;
    return member->mute ? member->heard_ns + lag_ns(timing)
                        : member->spoke_ns + timing.suspect_ns;
}

static void look_for_frames(sl_registry *r, uint32_t node) {
    uint64_t frames = sl_node_peer_frames(sl_actor_node(r->self), node);
    if (frames == r->members.all[node].frames)
        return;
    r->members.all[node].frames = frames;
    sl_registry_spoke(r, node);
}

void sl_registry_judge(sl_registry *r) {
    uint64_t next_ns = UINT64_MAX, period_ns = r->options.gossip_period_ns;
    for (uint32_t node = 0; !r->stood_still && node < r->members.count; node++) {
        sl_member *member = &r->members.all[node];
        if (node == r->members.self || member->state == SL_MEMBER_DEAD)
            continue;
        look_for_frames(r, node);
        sl_link_timing timing = timing_of(r, member);
        judge_member(r, node, timing);
        if (member->state == SL_MEMBER_DEAD)
            continue;
        attend(r, node, timing);
        uint64_t due = due_ns(r, member, timing);
        if (due > r->awake_ns && due < next_ns)
            next_ns = due;
    }
    if (!r->judge_timer && next_ns < r->awake_ns + period_ns)
        r->judge_timer = sl_registry_judge_in(r, next_ns - r->awake_ns);
}

void sl_registry_forget_gaps(sl_registry *r) {
    for (uint32_t node = 0; node < r->members.count; node++)
        r->members.all[node].gap_ns -= r->members.all[node].gap_ns / FORGET;
}

/* ---- what others say ---- */

bool sl_registry_hear_doubt(sl_registry *r, uint32_t from, const registry_member *claim,
                            sl_merge merge) {
    bool doubts = claim->state == SL_MEMBER_SUSPECTED || claim->state == SL_MEMBER_DEAD;
    if (merge == SL_MERGE_REFUSED || !doubts || from >= r->members.count ||
        claim->node == r->members.self || from == claim->node || from == r->members.self)
        return false;
    sl_member *member = &r->members.all[claim->node];
    if (claim->incarnation != member->incarnation)
        return false;
    bool lives = member->state == SL_MEMBER_ALIVE && claim->version < member->version &&
                 unheard_ns(r, member) < lag_ns(timing_of(r, member));
    bool dead = member->state == SL_MEMBER_DEAD && claim->state == SL_MEMBER_SUSPECTED;
    if (dead || lives) /* never for a death both know of: that would be answered too */
        sl_registry_tell(r, from, claim->node);
    if (claim->silent || claim->state == SL_MEMBER_DEAD)
        member->seconded_ns = r->awake_ns;
    return member->state == SL_MEMBER_SUSPECTED;
}
