/* Faults as they happen, and their healing. */
#include "sdk/simulation.h"

/* Nodes that hear nothing of each other for as long as this may give each other up. */
#define PARTING_NS (300 * SL_NS_PER_MS)

static sl_simulator *simulator_of(const sl_simulation *simulation) {
    return simulation->simulator;
}

static uint64_t now_ns(const sl_simulation *simulation) {
    return sl_simulator_now_ns(simulation->simulator);
}

typedef void heal_call(void *context, uint64_t number);

static void heal_later(sl_simulation *simulation, const sl_sim_fault *fault, heal_call *heal) {
    uint64_t at_ns = now_ns(simulation) + fault->duration_ns;
    if (at_ns > simulation->faults_over_ns)
        simulation->faults_over_ns = at_ns;
    if (sl_simulator_at(simulator_of(simulation), at_ns, heal, simulation,
                        (uint64_t)(fault - simulation->plan.faults)) != SL_OK)
        sl_sim_violate(simulation, "out of memory");
}

static sl_sim_fault *fault_of(sl_simulation *simulation, uint64_t number) {
    return &simulation->plan.faults[number];
}

/* ---- of loops and clocks ---- */

static void heal_pause(void *context, uint64_t number) {
    sl_simulation *simulation = context;
    sl_simulator_pause(simulator_of(simulation), fault_of(simulation, number)->node, false);
}

static void heal_slow(void *context, uint64_t number) {
    sl_simulation *simulation = context;
    sl_simulator_slow(simulator_of(simulation), fault_of(simulation, number)->node, 1);
}

static void skew(sl_simulation *simulation, const sl_sim_fault *fault) {
    double jump_s = ((double)fault->amount - 10) * 100;
    sl_simulator_skew(simulator_of(simulation), fault->node, jump_s,
                      (int32_t)fault->amount * 20 - 200);
}

/* ---- of ways ---- */

static bool on_one_side(const sl_sim_fault *fault, uint32_t node) {
    return fault->amount % 2 ? node == fault->node : node % 2 == fault->node % 2;
}

/* A node alone, or a region, from all others; or one node from one other. */
static bool is_of_cut(const sl_sim_fault *fault, uint32_t from, uint32_t to) {
    if (fault->amount % 4 == 3)
        return from == fault->node && to == fault->peer;
    return on_one_side(fault, from) && !on_one_side(fault, to);
}

static void cut(sl_simulation *simulation, const sl_sim_fault *fault, bool is_cut) {
    for (uint32_t a = 0; a < simulation->options.nodes; a++) {
        for (uint32_t b = 0; b < simulation->options.nodes; b++) {
            if (!is_of_cut(fault, a, b))
                continue;
            sl_simulator_cut(simulator_of(simulation), a, b, is_cut);
            if (fault->both)
                sl_simulator_cut(simulator_of(simulation), b, a, is_cut);
        }
    }
}

/* Where nothing else went wrong (who stood still, or has just come, gives nobody up). */
static void check_cut(sl_simulation *simulation, const sl_sim_fault *fault) {
    uint32_t nodes = simulation->options.nodes;
    if (fault->duration_ns < sl_sim_parted_ns(simulation) || simulation->stopping)
        return;
    for (uint32_t i = 0; i < simulation->plan.count; i++)
        if (simulation->plan.faults[i].begun && simulation->plan.faults[i].kind != SL_SIM_CUT)
            return;
    for (uint32_t a = 0; a < nodes; a++) {
        for (uint32_t b = 0; b < nodes; b++) {
            if (!is_of_cut(fault, a, b) || a == b)
                continue;
            sl_sim_check_cut(simulation, a, b);
            if (fault->both)
                sl_sim_check_cut(simulation, b, a);
        }
    }
}

static void heal_cut(void *context, uint64_t number) {
    sl_simulation *simulation = context;
    check_cut(simulation, fault_of(simulation, number));
    cut(simulation, fault_of(simulation, number), false);
}

static void heal_delay(void *context, uint64_t number) {
    sl_simulation *simulation = context;
    const sl_sim_fault *fault = fault_of(simulation, number);
    sl_simulator_delay(simulator_of(simulation), fault->node, fault->peer, 0);
}

/* ---- of lives ---- */

/* It comes back alone, while the others live on, and joins them as a new member. */
static void heal_crash(void *context, uint64_t number) {
    sl_simulation *simulation = context;
    sl_sim_host *host = &simulation->hosts[fault_of(simulation, number)->node];
    if (sl_simulator_node(simulator_of(simulation), host->number) || simulation->stopping)
        return;
    host->back = true;
    if (sl_sim_host_start(host) != SL_OK)
        sl_sim_violate(simulation, "node %u cannot start: %s", host->number, sl_err_detail());
}

/* By a while after a death that nothing else disturbed all must know of it. */
static void look_at_death(void *context, uint64_t number) {
    sl_simulation *simulation = context;
    if (simulation->parted == 1 && !simulation->failed &&
        simulation->deaths_session == simulation->session)
        sl_sim_check_death(simulation, fault_of(simulation, number)->node);
}

static void crash(sl_simulation *simulation, const sl_sim_fault *fault) {
    simulation->deaths_session = simulation->session;
    sl_sim_host_kill(&simulation->hosts[fault->node], false);
    if (simulation->parted == 1 &&
        sl_simulator_at(simulator_of(simulation), now_ns(simulation) + SL_SIM_KNOWN_NS,
                        look_at_death, simulation,
                        (uint64_t)(fault - simulation->plan.faults)) != SL_OK)
        sl_sim_violate(simulation, "out of memory");
    if (fault->amount % 3 == 0)
        heal_later(simulation, fault, heal_crash);
}

/* Nobody may believe it: so it parts nobody. */
static void lie(sl_simulation *simulation, const sl_sim_fault *fault) {
    sl_node *node = sl_simulator_node(simulator_of(simulation), fault->node);
    registry_died died = {.node = fault->peer,
                          .incarnation = simulation->hosts[fault->peer].incarnation};
    for (uint32_t to = 0; node && to < simulation->options.nodes; to++) {
        if (to != fault->node)
            (void)!sl_node_send(node, sl_addr_well_known(to, SL_SLOT_REGISTRY), &registry_died_type,
                                &died);
    }
}

static void crash_owner(sl_simulation *simulation, const sl_sim_fault *fault) {
    sl_sim_host_kill(&simulation->hosts[fault->node], fault->amount % 2);
    sl_sim_session_ends(simulation, now_ns(simulation) + fault->duration_ns);
}

/* ---- of disks ---- */

static void break_disk(sl_simulation *simulation, const sl_sim_fault *fault,
                       sl_simdisk_fault what) {
    sl_ledger_simdisk *disk = simulation->hosts[fault->node].disk;
    if (disk && simulation->hosts[fault->node].ledger)
        sl_ledger_simdisk_break(disk, what, fault->amount);
}

static void heal_disk(void *context, uint64_t number) {
    sl_simulation *simulation = context;
    sl_ledger_simdisk *disk = simulation->hosts[fault_of(simulation, number)->node].disk;
    if (disk)
        sl_ledger_simdisk_break(disk, SL_SIMDISK_WELL, 0);
}

/* ---- all of them ---- */

static bool may_part(const sl_sim_fault *fault) {
    switch (fault->kind) {
    case SL_SIM_SKEW:
    case SL_SIM_LIE:
    case SL_SIM_FULL:
    case SL_SIM_ERROR:
        return false;
    case SL_SIM_DELAY:
    case SL_SIM_PAUSE:
    case SL_SIM_CUT:
        return fault->duration_ns >= PARTING_NS;
    default:
        return true;
    }
}

static void happen(sl_simulation *simulation, sl_sim_fault *fault) {
    sl_simulator *simulator = simulator_of(simulation);
    uint64_t extra_ns = fault->amount * 10 * SL_NS_PER_MS;
    switch (fault->kind) {
    case SL_SIM_PAUSE:
        sl_simulator_pause(simulator, fault->node, true);
        heal_later(simulation, fault, heal_pause);
        break;
    case SL_SIM_SLOW:
        sl_simulator_slow(simulator, fault->node, 10 + fault->amount * fault->amount * 10);
        heal_later(simulation, fault, heal_slow);
        break;
    case SL_SIM_CRASH:
        crash(simulation, fault);
        break;
    case SL_SIM_CUT:
        cut(simulation, fault, true);
        heal_later(simulation, fault, heal_cut);
        break;
    case SL_SIM_DELAY:
        sl_simulator_delay(simulator, fault->node, fault->peer, extra_ns);
        heal_later(simulation, fault, heal_delay);
        break;
    case SL_SIM_SKEW:
        skew(simulation, fault);
        break;
    case SL_SIM_LIE:
        lie(simulation, fault);
        break;
    case SL_SIM_OWNER:
        crash_owner(simulation, fault);
        break;
    case SL_SIM_POWER:
        break_disk(simulation, fault, SL_SIMDISK_POWER);
        heal_later(simulation, fault, heal_disk);
        break;
    case SL_SIM_FULL:
        break_disk(simulation, fault, SL_SIMDISK_FULL);
        heal_later(simulation, fault, heal_disk);
        break;
    default:
        break_disk(simulation, fault, SL_SIMDISK_ERROR);
        heal_later(simulation, fault, heal_disk);
        break;
    }
}

/* Is the fault possible, there and now? A point may be passed by a node of another kind. */
static bool applies(const sl_simulation *simulation, const sl_sim_fault *fault) {
    bool owner = fault->node < simulation->owners;
    if (fault->kind == SL_SIM_LIE)
        return fault->node % simulation->machines != fault->peer % simulation->machines;
    return fault->kind == SL_SIM_CRASH ? !owner : fault->kind < SL_SIM_OWNER || owner;
}

static void on_fault(void *context, uint64_t number) {
    sl_simulation *simulation = context;
    sl_sim_fault *fault = fault_of(simulation, number);
    if (simulation->stopping || !applies(simulation, fault))
        return;
    if (sl_simulator_traces(simulation->simulator)) {
        char text[SL_SIM_TEXT];
        sl_sim_fault_describe(fault, text, sizeof text);
        sl_simulator_note(simulation->simulator, fault->node, now_ns(simulation), 0, "%s", text);
    }
    fault->begun = true;
    simulation->losses |= may_part(fault);
    simulation->gentle &= !may_part(fault);
    simulation->parted += may_part(fault);
    if (now_ns(simulation) > simulation->faults_over_ns)
        simulation->faults_over_ns = now_ns(simulation);
    sl_simulator_mark(simulation->simulator, 0xfa017 + number);
    happen(simulation, fault);
}

static void ask_for(sl_simulation *simulation, uint32_t number, uint64_t at_ns) {
    if (sl_simulator_at(simulation->simulator, at_ns, on_fault, simulation, number) != SL_OK)
        sl_sim_violate(simulation, "out of memory");
}

void sl_sim_faults_begin(sl_simulation *simulation) {
    sl_sim_plan *plan = &simulation->plan;
    for (uint32_t i = 0; i < plan->count; i++) {
        sl_sim_fault *fault = &plan->faults[i];
        fault->left_out = simulation->options.faults && !simulation->options.faults[i];
        if (fault->point == SL_SIM_AT_TIME && !fault->left_out)
            ask_for(simulation, i, fault->at_ns);
    }
    sl_simulator_ghosts(simulation->simulator, plan->ghosts);
}

/* Never at once: an actor may be running. */
void sl_sim_pass(sl_simulation *simulation, sl_sim_point point, uint32_t node) {
    uint32_t count = ++simulation->passed[point];
    for (uint32_t i = 0; i < simulation->plan.count; i++) {
        sl_sim_fault *fault = &simulation->plan.faults[i];
        if (fault->point != point || fault->left_out || fault->begun || fault->count != count)
            continue;
        if (fault->node == SL_NO_NODE)
            fault->node = node;
        ask_for(simulation, i, now_ns(simulation) + fault->at_ns);
    }
}
