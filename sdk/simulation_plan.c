/* What a seed brings: which faults come, where and when, and what there is to do.
 *
 * Each seed first draws which kinds of faults it has at all ("swarm"): a seed of one kind of fault
 * goes deeper into it than one that has a little of everything. Half of the faults come at a point
 * rather than at a time, because the moments that matter are few and short. */
#include <stdlib.h>
#include <string.h>

#include "sdk/simulation.h"

#define FIRST_NS (100 * SL_NS_PER_MS)
#define LAST_NS  (2500 * SL_NS_PER_MS)

static const char *const kind_names[SL_SIM_KINDS] = {
    "pause", "slow", "crash", "cut", "delay", "skew", "owner", "power", "full", "error", "lie"};
static const char *const point_names[SL_SIM_POINTS] = {
    "", "journal", "journaled", "accepted", "assigned", "ended", "done"};

static bool one_in(sl_rng *rng, uint64_t n) {
    return sl_rng_below(rng, n) == 0;
}

static uint64_t between(sl_rng *rng, uint64_t least, uint64_t most) {
    return least + sl_rng_below(rng, most - least + 1);
}

/* Short ones are many, long ones happen. */
static uint64_t duration_ns(sl_rng *rng) {
    static const uint64_t most_ms[] = {5, 50, 300, 1000, 3000};
    return between(rng, 1, most_ms[sl_rng_below(rng, 5)]) * SL_NS_PER_MS;
}

static bool is_of_an_owner(sl_sim_kind kind) {
    return kind >= SL_SIM_OWNER && kind <= SL_SIM_ERROR;
}

static void place(sl_sim_fault *fault, sl_rng *rng) {
    fault->at_ns = between(rng, FIRST_NS, LAST_NS);
    fault->point = one_in(rng, 2) ? SL_SIM_AT_TIME
                                  : (sl_sim_point)between(rng, SL_SIM_AT_JOURNAL, SL_SIM_AT_DONE);
    if (fault->point == SL_SIM_AT_TIME)
        return;
    fault->count = (uint32_t)between(rng, 1, one_in(rng, 2) ? 4 : 25);
    fault->at_ns = one_in(rng, 2) ? 0 : between(rng, 0, 500) * SL_NS_PER_US;
    if (!one_in(rng, 3))
        fault->node = SL_NO_NODE;
}

/* Long enough for some to give others up, and not for all. */
static uint64_t parting_ns(sl_rng *rng) {
    return between(rng, 500, 4000) * SL_NS_PER_MS;
}

static sl_sim_fault draw(sl_sim_kind kind, uint32_t nodes, uint32_t owners, sl_rng *rng) {
    sl_sim_fault fault = {.kind = kind,
                          .node = (uint32_t)sl_rng_below(rng, nodes),
                          .peer = (uint32_t)sl_rng_below(rng, nodes),
                          .duration_ns = duration_ns(rng),
                          .amount = (uint32_t)between(rng, 0, 20),
                          .both = !one_in(rng, 3)};
    if (is_of_an_owner(kind))
        fault.node = (uint32_t)sl_rng_below(rng, owners);
    else if (kind == SL_SIM_CRASH)
        fault.node = (uint32_t)between(rng, owners, nodes - 1);
    if ((kind == SL_SIM_CUT || kind == SL_SIM_PAUSE) && one_in(rng, 2))
        fault.duration_ns = parting_ns(rng);
    place(&fault, rng);
    bool drawn_owner = fault.node != SL_NO_NODE;
    /* Only owners pass these points; only they have a disk. */
    if (!drawn_owner && is_of_an_owner(kind) &&
        (fault.point == SL_SIM_AT_ASSIGNED || fault.point == SL_SIM_AT_ENDED))
        fault.node = (uint32_t)sl_rng_below(rng, owners);
    return fault;
}

void sl_sim_plan_draw(sl_sim_plan *plan, uint32_t nodes, uint32_t owners, bool programs,
                      sl_rng *rng) {
    sl_sim_kind kinds[SL_SIM_KINDS];
    uint32_t kind_count = 0;
    memset(plan, 0, sizeof *plan);
    for (int kind = 0; kind < SL_SIM_KINDS; kind++) {
        bool possible = kind != SL_SIM_CRASH || nodes > owners;
        if (one_in(rng, 3) && possible)
            kinds[kind_count++] = (sl_sim_kind)kind;
    }
    if (programs && nodes > owners && one_in(rng, 2)) { /* what lives there goes on elsewhere */
        kinds[0] = SL_SIM_CRASH;
        kind_count += !kind_count;
    }
    plan->ghosts = one_in(rng, 4);
    if (!kind_count || one_in(rng, 10))
        return;
    plan->count = (uint32_t)between(rng, 1, one_in(rng, 3) ? SL_SIM_FAULTS_MOST : 4);
    for (uint32_t i = 0; i < plan->count; i++)
        plan->faults[i] = draw(kinds[sl_rng_below(rng, kind_count)], nodes, owners, rng);
}

void sl_sim_fault_describe(const sl_sim_fault *fault, char *text, size_t size) {
    int length = snprintf(text, size, "%s", kind_names[fault->kind]);
    if (fault->node == SL_NO_NODE)
        length += snprintf(text + length, size - (size_t)length, " of the node there");
    else
        length += snprintf(text + length, size - (size_t)length, " of node %u", fault->node);
    if (fault->point == SL_SIM_AT_TIME)
        length += snprintf(text + length, size - (size_t)length, " at %.3f ms",
                           (double)fault->at_ns / 1e6);
    else
        length += snprintf(text + length, size - (size_t)length, " %.3f ms after %s #%u",
                           (double)fault->at_ns / 1e6, point_names[fault->point], fault->count);
    snprintf(text + length, size - (size_t)length, " for %.0f ms (peer %u, amount %u%s)",
             (double)fault->duration_ns / 1e6, fault->peer, fault->amount,
             fault->both ? ", both ways" : "");
}

/* ---- work ---- */

static void draw_dependencies(sl_sim_task *task, sl_rng *rng) {
    if (!task->tag || !one_in(rng, 3))
        return;
    task->after_count = (uint32_t)between(rng, 1, SL_SIM_AFTER_MOST);
    for (uint32_t i = 0; i < task->after_count; i++)
        task->after[i] = (uint32_t)sl_rng_below(rng, task->tag);
    if (task->after_count == 2 && task->after[0] == task->after[1])
        task->after_count = 1;
}

static void draw_task(sl_sim_task *task, uint32_t owner, uint32_t tag, uint64_t most_ms,
                      sl_rng *rng) {
    *task =
        (sl_sim_task){.owner = owner,
                      .tag = tag,
                      .kind = one_in(rng, 3) ? SL_TASK_FUNCTION : SL_TASK_COMMAND,
                      .cores = one_in(rng, 4) ? 2 : 1,
                      .memory_bytes = between(rng, 0, 4) << 28,
                      .ucu_milli = between(rng, 0, 2) * 1000,
                      .duration_ns = between(rng, 1, one_in(rng, 6) ? 400 : most_ms) * SL_NS_PER_MS,
                      .work_ns = between(rng, 1, 3000) * SL_NS_PER_US,
                      .exit_code = one_in(rng, 8) ? 3 : 0,
                      .retries = (uint32_t)sl_rng_below(rng, 3),
                      .priority = (int32_t)sl_rng_below(rng, 3),
                      .cancel = one_in(rng, 20)};
    if (one_in(rng, 16))
        task->timeout_ns = task->duration_ns / 2;
    if (one_in(rng, 12))
        task->exit_code = 143; /* as if ended by the signal that ends jobs */
    draw_dependencies(task, rng);
}

sl_err sl_sim_work_draw(sl_simulation *simulation) {
    for (uint32_t owner = 0; owner < simulation->owners; owner++) {
        sl_sim_user *user = &simulation->users[owner];
        uint64_t most_ms = one_in(&simulation->rng, 2) ? 8 : 90; /* short ones are given ahead */
        user->count = (uint32_t)between(&simulation->rng, 4, 40);
        user->tasks = calloc(user->count, sizeof *user->tasks);
        user->batches = calloc(2 * (size_t)user->count, sizeof *user->batches);
        if (!user->tasks || !user->batches)
            return sl_fail(SL_ERR_NO_MEMORY, "no memory for the tasks of a simulation");
        for (uint32_t tag = 0; tag < user->count; tag++)
            draw_task(&user->tasks[tag], owner, tag, most_ms, &simulation->rng);
    }
    return SL_OK;
}

void sl_sim_work_free(sl_simulation *simulation) {
    for (uint32_t owner = 0; owner < simulation->owners; owner++) {
        free(simulation->users[owner].tasks);
        free(simulation->users[owner].batches);
    }
}
