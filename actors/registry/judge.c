/* Who is silent, who is suspected, who is dead.
 *
 * Design notes
 * Own ears. A node that beats for this one and is not heard for the link's suspect time is mute;
 * any frame of it ends that. Of the others this node hears by gossip, after a while that grows with
 * the network (sl_registry_suspect_ns()), and by what is said of them.
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
#include "actors/registry/registry_internal.h"
#include "runtime/log.h"
#include "runtime/plant.h"

enum {
    JUDGED_MOST = 256, /* members judged in a tick that have no ear */
    ASK_EVERY = 2,     /* ticks between questions to a suspect */
    ALONE = 3,         /* times the wait when nobody agrees */
    STALLED = 2,       /* periods between two looks: this node stood still */
    FORGET = 512       /* part of the longest gap that is forgotten each tick */
};

void sl_registry_advance(sl_registry *r) {
    uint64_t now_ns = sl_now_ns(r->self), passed_ns = now_ns - r->last_ns;
    uint64_t most_ns = r->options.gossip_period_ns + r->options.gossip_period_ns / 4;
    r->awake_ns += passed_ns < most_ns ? passed_ns : most_ns;
    r->last_ns = now_ns;
    r->stood_still |= passed_ns > STALLED * r->options.gossip_period_ns;
    sl_registry_own(r)->heard_ms = sl_member_ms(r->awake_ns);
}

static sl_link_timing base_timing(const sl_registry *r, uint32_t node) {
    static const sl_link_timings defaults = {.rule_count = 0};
    const sl_ear *ear = sl_registry_ear(r, node);
    return sl_link_timing_of(r->options.timings ? r->options.timings : &defaults,
                             sl_registry_own(r), &r->members.all[node], ear && ear->witnessed);
}

static sl_link_timing timing_of(const sl_registry *r, uint32_t node) {
    const sl_ear *ear = sl_registry_ear(r, node);
    return sl_link_timing_stretch(base_timing(r, node), ear ? ear->gap_ns : 0,
                                  ear ? ear->rtt_ns : 0, r->options.gossip_period_ns);
}

static uint64_t later(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static void touch_silent(sl_registry *r, uint32_t node, bool silent) {
    sl_node_set_put(&r->members.silent, node, silent);
}

/* ---- dead ---- */

static void forget_doubts(sl_registry *r, uint32_t node) {
    sl_node_set_remove(&r->members.held, node);
    touch_silent(r, node, false);
}

void sl_registry_bury(sl_registry *r, uint32_t node, const char *why) {
    sl_member *member = &r->members.all[node];
    bool left = member->state == SL_MEMBER_LEAVING;
    if (!sl_members_set_state(&r->members, node, SL_MEMBER_DEAD))
        return;
    sl_registry_drop_ear(r, node);
    sl_registry_forget_listener(r, node);
    forget_doubts(r, node);
    r->listeners_stale = true;
    sl_metric_add(sl_registry_metrics(r), SL_METRIC_nodes_lost, 1);
    if (left)
        sl_info("registry", "node %u (%s) has left", node, member->profile->host.data);
    else
        sl_warn("registry", "node %u (%s) is dead: %s", node, member->profile->host.data, why);
    if (left)
        sl_node_peer_gone(sl_actor_node(r->self), node);
    else if (!SL_PLANT(loss_untold))
        sl_node_peer_lost(sl_actor_node(r->self), node);
}

/* The other has forgotten who beats for it, too. */
void sl_registry_revive(sl_registry *r, uint32_t node) {
    sl_registry_drop_ear(r, node);
    sl_registry_forget_listener(r, node);
    forget_doubts(r, node);
    sl_members_revive(&r->members, node, r->awake_ns);
    r->listeners_stale = true;
}

/* Only who shares a host with the dead can know. */
static bool may_witness(const sl_registry *r, uint32_t from, uint32_t node) {
    const sl_member *witness = &r->members.all[from], *dead = &r->members.all[node];
    return witness->known && dead->known && from != node &&
           (sl_link_kind_of(witness, dead) == SL_LINK_SAME_HOST || SL_PLANT(witness_any));
}

void sl_registry_witness(sl_registry *r, uint32_t node) {
    const sl_member *member = &r->members.all[node];
    registry_died died = {.node = node, .incarnation = member->incarnation};
    bool is_news =
        member->known && sl_member_present(member) && may_witness(r, r->members.self, node);
    sl_registry_bury(r, node, "its process has ended");
    for (uint32_t to = 0; is_news && to < r->members.count; to++) {
        if (to != r->members.self && r->members.all[to].known &&
            sl_member_present(&r->members.all[to]))
            (void)registry_died_send(r->self, sl_addr_well_known(to, SL_SLOT_REGISTRY), &died);
    }
}

void sl_registry_on_died(sl_registry *r, const sl_message *message) {
    const registry_died *died = message->body;
    uint32_t from = message->from.node;
    if (died->node >= r->members.count || from >= r->members.count ||
        died->node == r->members.self || !may_witness(r, from, died->node)) {
        sl_registry_refuse(r, message, "the word of a death from who cannot know");
        return;
    }
    sl_registry_spoke(r, from, false);
    if (died->incarnation >= r->members.all[died->node].incarnation) {
        sl_registry_bury(r, died->node, "its process has ended, a node of its host says");
        sl_node_peer_ended(sl_actor_node(r->self), died->node);
    }
    sl_registry_tell_watchers(r);
}

/* ---- suspected ---- */

static void suspect(sl_registry *r, uint32_t node, uint64_t since_ns) {
    sl_ear *ear = sl_registry_listen(r, node);
    if (!ear || !sl_members_set_state(&r->members, node, SL_MEMBER_SUSPECTED))
        return;
    ear->suspected_ns = since_ns;
    touch_silent(r, node, ear->mute);
    sl_metric_add(sl_registry_metrics(r), SL_METRIC_nodes_suspected, 1);
    sl_info("registry", "node %u (%s) is silent", node, r->members.all[node].profile->host.data);
    sl_registry_tell_all(r, node);
}

/* Is there anybody who could say that it too waits in vain? */
static bool has_others(const sl_registry *r, uint32_t node) {
    for (uint32_t other = 0; other < r->members.count; other++) {
        const sl_member *member = &r->members.all[other];
        if (other != node && other != r->members.self && member->known && sl_member_present(member))
            return true;
    }
    return false;
}

/* One that is frozen or cut off, and not dead, finds that it was given up right behind the last
 * that was sent to it: so nothing of that is begun. */
static void give_up(sl_registry *r, uint32_t node, const char *why) {
    sl_registry_bury(r, node, why);
    sl_node_call_peer(sl_actor_node(r->self), node);
}

/* Since when this node waits for a suspect's answer. */
static uint64_t waits_since_ns(const sl_ear *ear) {
    return later(ear->suspected_ns, ear->spoke_ns);
}

static void judge_suspect(sl_registry *r, uint32_t node, sl_link_timing timing) {
    const sl_ear *ear = sl_registry_ear(r, node);
    uint64_t wait_ns = timing.dead_ns - timing.suspect_ns;
    uint64_t waited_ns = ear ? r->awake_ns - waits_since_ns(ear) : 0;
    if (!ear)
        return;
    bool seconded = ear->seconded_ns != 0;
    if (!sl_node_set_has(&r->members.silent, node) && (ear->mute || waited_ns >= wait_ns / 2)) {
        touch_silent(r, node, true);
        sl_members_touch(&r->members, node, SL_HEAT_STATE);
        sl_registry_tell_all(r, node);
    }
    if (waited_ns < wait_ns)
        return;
    if (r->members.all[node].condemned || seconded)
        give_up(r, node, "it is silent, and others say so");
    else if (!has_others(r, node))
        give_up(r, node, "it was silent for too long");
    else if (waited_ns >= ALONE * wait_ns)
        give_up(r, node, "it was silent for too long, though nobody else says so");
}

/* ---- everybody ---- */

/* Others hear of it and we do not hear from it: it has given us up, or what it sends does not come.
 * Either way the two of us have no link, and both must know. */
static bool has_no_link(const sl_registry *r, uint32_t node, bool owes) {
    uint64_t least_ns = ALONE * base_timing(r, node).dead_ns;
    if (!owes)
        least_ns = later(least_ns,
                         3 * sl_registry_direct_ns(r->options.gossip_period_ns, r->members.count));
    return sl_registry_silent_ns(r, node) >= least_ns && !SL_PLANT(link_one_sided);
}

/* Of a node that is mute what others tell is known for a while after its end. */
static uint64_t lag_ns(sl_link_timing timing) {
    return timing.suspect_ns / 2;
}

static void judge_present(sl_registry *r, uint32_t node, const sl_ear *ear, sl_link_timing timing) {
    uint64_t unheard_ns = sl_registry_unheard_ns(r, node);
    if (ear && ear->owes) {
        if (ear->mute && unheard_ns >= lag_ns(timing))
            suspect(r, node, ear->spoke_ns + timing.suspect_ns);
        return;
    }
    uint64_t hearsay_ns = sl_registry_suspect_ns(timing.suspect_ns, r->options.gossip_period_ns,
                                                 r->members.count, sl_gossip_capacity(&r->gossip));
    if (unheard_ns >= hearsay_ns)
        suspect(r, node, r->awake_ns - unheard_ns + hearsay_ns);
}

static void judge_member(sl_registry *r, uint32_t node, sl_link_timing timing) {
    const sl_member *member = &r->members.all[node];
    sl_ear *ear = sl_registry_ear(r, node);
    if (!member->known) {
        if (r->awake_ns >= r->options.join_ns)
            sl_registry_bury(r, node, "it was never heard of");
        return;
    }
    if (member->state == SL_MEMBER_LEAVING) {
        if (sl_registry_unheard_ns(r, node) >= r->options.leave_ns)
            sl_registry_bury(r, node, "it has left");
        return;
    }
    if (ear)
        ear->mute = ear->owes && sl_registry_silent_ns(r, node) >= timing.suspect_ns;
    if (has_no_link(r, node, ear && ear->owes) && has_others(r, node))
        give_up(r, node, "nothing comes from it, whatever others hear");
    else if (member->state == SL_MEMBER_SUSPECTED)
        judge_suspect(r, node, timing);
    else
        judge_present(r, node, ear, timing);
}

/* Nothing is sent to one that is silent. A suspect that has spoken since is told what is said of
 * it, and answers that itself. */
static void attend(sl_registry *r, const sl_ear *ear, sl_link_timing timing) {
    uint32_t node = ear->node;
    sl_node *at = sl_actor_node(r->self);
    bool suspected = r->members.all[node].state == SL_MEMBER_SUSPECTED;
    bool answered = suspected && ear->spoke_ns > ear->suspected_ns &&
                    r->awake_ns - ear->spoke_ns < timing.suspect_ns;
    bool hold = ear->mute || (suspected && !answered);
    bool turns = hold != sl_node_set_has(&r->members.held, node);
    if (turns) {
        sl_node_set_put(&r->members.held, node, hold);
        sl_members_touch(&r->members, node, SL_HEAT_NONE);
        if (!SL_PLANT(hold_kept) || hold)
            sl_node_peer_hold(at, node, hold);
    }
    if (hold && (turns || r->ticks % ASK_EVERY == 0))
        sl_node_peer_ask(at, node);
    if (answered && (turns || r->ticks % ASK_EVERY == 0))
        sl_registry_tell(r, node, node);
}

/* When it is to be judged again: mind only if that is before the next tick. */
static uint64_t due_ns(const sl_registry *r, const sl_ear *ear, sl_link_timing timing) {
    uint64_t wait_ns = timing.dead_ns - timing.suspect_ns;
    const sl_member *member = &r->members.all[ear->node];
    if (member->state == SL_MEMBER_SUSPECTED) {
        uint64_t half_ns = waits_since_ns(ear) + wait_ns / 2;
        return half_ns > r->awake_ns ? half_ns : waits_since_ns(ear) + wait_ns;
    }
    if (member->state == SL_MEMBER_LEAVING || !ear->owes)
        return UINT64_MAX;
    if (!ear->mute)
        return ear->spoke_ns + timing.suspect_ns;
    return r->awake_ns - sl_registry_unheard_ns(r, ear->node) + lag_ns(timing);
}

/* Judging may make or drop ears, each only that of the node judged. */
static void judge_ear(sl_registry *r, uint32_t node, uint64_t *next_ns) {
    sl_ear *ear = sl_registry_ear(r, node);
    sl_registry_look_for_frames(r, ear);
    sl_link_timing timing = timing_of(r, node);
    judge_member(r, node, timing);
    ear = sl_registry_ear(r, node);
    if (!ear)
        return;
    attend(r, ear, timing);
    uint64_t due = due_ns(r, ear, timing);
    if (due > r->awake_ns && due < *next_ns)
        *next_ns = due;
    bool doubted = r->members.all[node].state == SL_MEMBER_SUSPECTED || ear->seconded_ns ||
                   sl_node_set_has(&r->members.held, node);
    if (!ear->owes && !doubted)
        sl_registry_drop_ear(r, node);
}

void sl_registry_judge(sl_registry *r) {
    uint64_t next_ns = UINT64_MAX;
    uint32_t node = 0;
    for (; !r->stood_still && (node = sl_node_set_next(&r->heard, node)) != UINT32_MAX; node++)
        judge_ear(r, node, &next_ns);
    if (!r->stood_still)
        r->looked_ns = r->awake_ns;
    if (!r->judge_timer && next_ns < r->awake_ns + r->options.gossip_period_ns)
        r->judge_timer = sl_registry_judge_in(r, next_ns - r->awake_ns);
}

/* Of one without an ear: nothing can be said of it yet, whatever its link is like. */
static bool is_fresh(const sl_registry *r, const sl_member *member, uint64_t missed_ns,
                     uint64_t cut_off_ns) {
    return member->known && member->state <= SL_MEMBER_ALIVE &&
           sl_silent_ns(member->heard_ms, r->awake_ns) < missed_ns &&
           sl_silent_ns(member->spoke_ms, r->awake_ns) < cut_off_ns;
}

/* The times at which those without an ear are missed are longer than such a round. */
void sl_registry_judge_some(sl_registry *r) {
    uint32_t nodes = r->members.count, count = nodes < JUDGED_MOST ? nodes : JUDGED_MOST;
    uint64_t period_ns = r->options.gossip_period_ns;
    uint64_t missed_ns =
        sl_registry_suspect_ns(0, period_ns, nodes, sl_gossip_capacity(&r->gossip));
    uint64_t cut_off_ns = 3 * sl_registry_direct_ns(period_ns, nodes);
    for (uint32_t i = 0; !r->stood_still && i < count; i++) {
        uint32_t node = r->next_judged;
        const sl_member *member = &r->members.all[node];
        r->next_judged = node + 1 < nodes ? node + 1 : 0;
        if (node != r->members.self && member->state != SL_MEMBER_DEAD &&
            !sl_node_set_has(&r->heard, node) && !is_fresh(r, member, missed_ns, cut_off_ns))
            judge_member(r, node, base_timing(r, node));
    }
    for (uint32_t i = 0; i < r->ear_count; i++)
        r->ears[i].gap_ns -= r->ears[i].gap_ns / FORGET;
}

/* ---- what others say ---- */

/* A suspicion has begun by what another one says, or has ended; or it is of another life: what was
 * said of the one before counts no more. */
static void follow_state(sl_registry *r, uint32_t node, sl_merge merge, sl_registry_life before) {
    const sl_member *member = &r->members.all[node];
    bool suspected = member->state == SL_MEMBER_SUSPECTED;
    bool anew = member->incarnation != before.incarnation;
    sl_ear *ear = suspected ? sl_registry_listen(r, node) : sl_registry_ear(r, node);
    if (anew || (!suspected && merge >= SL_MERGE_HEARD)) {
        touch_silent(r, node, false);
        if (ear)
            ear->seconded_ns = 0;
    }
    if (ear && suspected && (anew || before.state != SL_MEMBER_SUSPECTED))
        ear->suspected_ns = r->awake_ns;
}

bool sl_registry_hear(sl_registry *r, uint32_t from, const registry_member *claim, sl_merge merge,
                      sl_registry_life before) {
    uint32_t node = claim->node;
    bool doubts = claim->state == SL_MEMBER_SUSPECTED || claim->state == SL_MEMBER_DEAD;
    if (merge == SL_MERGE_REFUSED)
        return false;
    follow_state(r, node, merge, before);
    const sl_member *member = &r->members.all[node];
    if (!doubts || from >= r->members.count || from == node || from == r->members.self ||
        claim->incarnation != member->incarnation)
        return false;
    bool lives = member->state == SL_MEMBER_ALIVE && claim->version < member->version &&
                 sl_registry_unheard_ns(r, node) < lag_ns(timing_of(r, node));
    bool dead = member->state == SL_MEMBER_DEAD && claim->state == SL_MEMBER_SUSPECTED;
    if (dead || lives) /* never for a death both know of: that would be answered too */
        sl_registry_tell(r, from, node);
    sl_ear *ear = sl_registry_ear(r, node);
    if (ear && (claim->silent || claim->state == SL_MEMBER_DEAD))
        ear->seconded_ns = later(r->awake_ns, 1);
    return member->state == SL_MEMBER_SUSPECTED;
}
