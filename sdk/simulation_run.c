/* One seed from its beginning to its end. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/registry/registry.h"
#include "runtime/blob.h"
#include "sdk/simulation.h"

#define FAULTS_NS   (3 * SL_NS_PER_S)   /* after that no fault begins at a time */
#define END_NS      (120 * SL_NS_PER_S) /* everything has ended long before */
#define STILL_NS    (500 * SL_NS_PER_MS)
#define PROGRAMS_NS (30 * SL_NS_PER_S) /* for their last questions */
#define GOODBYE_NS  (15 * SL_NS_PER_S)

enum {
    SESSIONS_MOST = 40,
    TIGHT_FRAME = 2048 /* bytes: windows, which hold some frames, fill with a few messages */
};

/* Three regions: near, far, and farther with a thin line. */
static const sl_simulator_link links[9] = {
    {50000, 20000, 1000000000},    {2000000, 200000, 100000000}, {15000000, 1000000, 10000000},
    {2000000, 200000, 100000000},  {50000, 20000, 1000000000},   {9000000, 900000, 20000000},
    {15000000, 1000000, 10000000}, {9000000, 900000, 20000000},  {50000, 20000, 1000000000}};

static void turned(void *context, uint32_t node) {
    sl_simulation *simulation = context;
    sl_sim_host_turned(&simulation->hosts[node]);
    sl_sim_check_step(&simulation->hosts[node]);
}

/* ---- sessions ---- */

static sl_err begin_session(sl_simulation *simulation) {
    simulation->session++;
    simulation->session_over_ns = UINT64_MAX;
    if (simulation->session > SESSIONS_MOST) {
        sl_sim_violate(simulation, "%u sessions, and no end", simulation->session);
        return SL_OK;
    }
    for (uint32_t i = 0; i < simulation->options.nodes; i++) {
        simulation->hosts[i].back = false;
        SL_TRY(sl_sim_host_start(&simulation->hosts[i]));
    }
    return SL_OK;
}

/* The job ends: every process of it is killed, or the power goes. */
static sl_err next_session(sl_simulation *simulation) {
    bool power = sl_rng_below(&simulation->rng, 2);
    sl_simulator_ghosts(simulation->simulator, false); /* another job's messages do not come here */
    for (uint32_t i = 0; i < simulation->options.nodes; i++)
        sl_sim_host_kill(&simulation->hosts[i], power);
    for (uint32_t i = 0; i < simulation->owners; i++)
        sl_ledger_simdisk_break(simulation->hosts[i].disk, SL_SIMDISK_WELL, 0);
    sl_simulator_note(simulation->simulator, 0, sl_simulator_now_ns(simulation->simulator), 0,
                      "all end; session %u", simulation->session + 1);
    sl_simulator_ghosts(simulation->simulator, simulation->plan.ghosts);
    return begin_session(simulation);
}

static void name_unfinished(sl_simulation *simulation) {
    for (uint32_t owner = 0; owner < simulation->owners; owner++) {
        const sl_sim_user *user = &simulation->users[owner];
        for (uint32_t tag = 0; tag < user->count; tag++) {
            const sl_sim_task *task = &user->tasks[tag];
            if (!task->ended)
                sl_sim_violate(simulation,
                               "task %u.%u never ended: %s, %s, ran %u times, %u succeeded, "
                               "%u run now, after %u others",
                               owner, tag, task->accepted ? "accepted" : "not accepted",
                               task->submitted ? "submitted" : "not submitted", task->runs,
                               task->successes, task->running, task->after_count);
        }
    }
}

/* Until all tasks have ended and the time of faults is over. */
static sl_err work(sl_simulation *simulation) {
    sl_simulator *simulator = simulation->simulator;
    simulation->chatting = true;
    while (!simulation->failed) {
        uint64_t now_ns = sl_simulator_now_ns(simulator);
        bool over = now_ns >= FAULTS_NS && simulation->session_over_ns == UINT64_MAX &&
                    now_ns > simulation->faults_over_ns && sl_sim_all_ended(simulation);
        if (over)
            break;
        if (now_ns >= END_NS) {
            name_unfinished(simulation);
            break;
        }
        uint64_t until_ns = now_ns + 50 * SL_NS_PER_MS;
        if (simulation->session_over_ns < until_ns)
            until_ns = simulation->session_over_ns;
        while (!simulation->failed && sl_simulator_step(simulator, until_ns)) {
            if (simulation->session_over_ns < until_ns)
                until_ns = simulation->session_over_ns;
        }
        if (sl_simulator_now_ns(simulator) >= simulation->session_over_ns)
            SL_TRY(next_session(simulation));
    }
    return SL_OK;
}

/* ---- the end ---- */

static void run_for(sl_simulation *simulation, uint64_t ns) {
    uint64_t until_ns = sl_simulator_now_ns(simulation->simulator) + ns;
    while (!simulation->failed && sl_simulator_step(simulation->simulator, until_ns)) {
    }
}

static bool all_closed(const sl_simulation *simulation) {
    for (uint32_t i = 0; i < simulation->options.nodes; i++) {
        if (sl_simulator_node(simulation->simulator, i) &&
            !sl_simulator_ended(simulation->simulator, i, NULL, NULL))
            return false;
    }
    return true;
}

static void check_closed(sl_simulation *simulation) {
    for (uint32_t i = 0; i < simulation->options.nodes; i++) {
        const sl_node *node = sl_simulator_node(simulation->simulator, i);
        sl_err err = SL_OK;
        if (!node)
            continue;
        if (!sl_simulator_ended(simulation->simulator, i, &err, NULL)) {
            sl_sim_violate(simulation, "node %u does not end", i);
            continue;
        }
        if (err != SL_OK && simulation->gentle)
            sl_sim_violate(simulation, "node %u ended badly: %s", i, sl_err_text(err));
        sl_node_load load = sl_node_loads(node);
        if (load.actors || load.messages || load.queued_bytes)
            sl_sim_violate(simulation, "node %u ended with something left over", i);
    }
}

static void close_all(sl_simulation *simulation) {
    simulation->stopping = true;
    for (uint32_t i = 0; i < simulation->options.nodes; i++) {
        sl_node *node = sl_simulator_node(simulation->simulator, i);
        if (node)
            sl_node_stop(node, 0);
    }
    uint64_t until_ns = sl_simulator_now_ns(simulation->simulator) + GOODBYE_NS;
    while (!simulation->failed && !all_closed(simulation) &&
           sl_simulator_step(simulation->simulator, until_ns)) {
    }
    check_closed(simulation);
}

/* A node gives up another one, of which it hears from others at best, when it has heard nothing of
 * it for three times the longest dead time, or for three rounds in which every node tells every
 * other one (see has_no_link() in judge.c). */
uint64_t sl_sim_parted_ns(const sl_simulation *simulation) {
    uint64_t rounds_ns = 3 * sl_registry_direct_ns(SL_SIM_PERIOD_NS, simulation->options.nodes);
    uint64_t dead_ns = 3 * SL_SIM_DEAD_NS;
    return 500 * SL_NS_PER_MS + (rounds_ns > dead_ns ? rounds_ns : dead_ns);
}

/* After the last fault all that live find each other: when those who cannot hear each other have
 * given each other up, what was held back has come, and who must call has called. */
static uint64_t agreement_ns(const sl_simulation *simulation) {
    return 1700 * SL_NS_PER_MS + sl_sim_parted_ns(simulation);
}

static void end_programs(sl_simulation *simulation) {
    uint64_t until_ns = sl_simulator_now_ns(simulation->simulator) + PROGRAMS_NS;
    while (!simulation->failed && !sl_sim_programs_ended(simulation) &&
           sl_simulator_step(simulation->simulator, until_ns)) {
    }
    const sl_sim_program *last = NULL;
    for (uint32_t i = 0; i < simulation->options.nodes; i++) {
        const sl_sim_process *process = simulation->hosts[i].process;
        if (process && process->open && (!last || process->program.stage < last->stage))
            last = &process->program;
    }
    if (last && last->stage != SL_SIM_LEFT)
        sl_sim_violate(simulation,
                       "the program of node %u does not end: it waits for message %" PRIu64
                       " to actor %u (wish %u)",
                       last->host->number, last->awaited.number, last->awaited.index,
                       last->awaited.wish);
}

static void settle(sl_simulation *simulation) {
    uint64_t agreed_ns = simulation->faults_over_ns + agreement_ns(simulation);
    uint64_t now_ns = sl_simulator_now_ns(simulation->simulator);
    if (now_ns < agreed_ns && simulation->faults_over_ns)
        run_for(simulation, agreed_ns - now_ns);
    simulation->chatting = false;
    end_programs(simulation);
    run_for(simulation, STILL_NS);
}

static uint32_t faults_begun(const sl_simulation *simulation) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < simulation->plan.count; i++)
        count += simulation->plan.faults[i].begun;
    return count;
}

/* The last task's end may be the point of one more fault: then it is not over yet. */
static sl_err work_and_settle(sl_simulation *simulation) {
    uint32_t before;
    SL_TRY(begin_session(simulation));
    do {
        SL_TRY(work(simulation));
        before = faults_begun(simulation);
        if (!simulation->failed)
            settle(simulation);
    } while (!simulation->failed && faults_begun(simulation) != before);
    return SL_OK;
}

static void end(sl_simulation *simulation) {
    sl_sim_check_views(simulation);
    sl_sim_check_rest(simulation);
    close_all(simulation);
}

static void kill_all(sl_simulation *simulation) {
    for (uint32_t i = 0; i < simulation->options.nodes; i++)
        sl_sim_host_kill(&simulation->hosts[i], false);
    for (uint32_t i = 0; i < simulation->owners && !simulation->failed; i++)
        sl_sim_check_ledger(&simulation->hosts[i], true);
}

/* ---- the whole ---- */

static sl_err create(sl_simulation *simulation) {
    const sl_simulation_options *options = &simulation->options;
    sl_rng plan;
    sl_rng_seed(&simulation->rng, options->seed ^ UINT64_C(0x9e3779b97f4a7c15));
    sl_rng_split(&simulation->rng, &plan);
    sl_rng_seed(&simulation->object_rng, options->seed ^ UINT64_C(0xbf58476d1ce4e5b9));
    uint32_t most = options->nodes < SL_SIM_OWNERS_MOST ? options->nodes : SL_SIM_OWNERS_MOST;
    simulation->loud = options->seed % 3 == 0 || sl_rng_below(&simulation->rng, 4) == 0;
    simulation->owners = 1 + (uint32_t)sl_rng_below(&simulation->rng, most);
    simulation->machines = options->nodes;
    if (sl_rng_below(&simulation->rng, 2))
        simulation->machines = 1 + (uint32_t)sl_rng_below(&simulation->rng, options->nodes);
    sl_sim_plan_draw(&simulation->plan, options->nodes, simulation->owners,
                     sl_sim_has_programs(simulation), &plan);
    sl_simulator_options simulator = {.nodes = options->nodes,
                                      .seed = options->seed,
                                      .regions =
                                          1 + (uint32_t)sl_rng_below(&simulation->rng, 3) / 2 * 2,
                                      .links = links,
                                      .frame_bytes = options->seed % 6 == 3 ? TIGHT_FRAME : 0,
                                      .trace = options->trace,
                                      .turned = turned,
                                      .context = simulation};
    if (sl_sim_has_programs(simulation))
        simulator.switches = sl_sim_switches;
    simulator.machines = simulation->machines;
    SL_TRY(sl_simulator_create(&simulator, &simulation->simulator));
    SL_TRY(sl_functions_create(&simulation->functions));
    SL_TRY(sl_functions_register(simulation->functions, "sim.work", sl_sim_function, simulation));
    simulation->hosts = calloc(options->nodes, sizeof *simulation->hosts);
    if (!simulation->hosts)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u hosts", options->nodes);
    for (uint32_t i = 0; i < options->nodes; i++)
        SL_TRY(sl_sim_host_create(simulation, i));
    SL_TRY(sl_sim_processes_create(simulation));
    sl_functions_freeze(simulation->functions);
    return sl_sim_work_draw(simulation);
}

static void destroy(sl_simulation *simulation) {
    for (uint32_t i = 0; simulation->hosts && i < simulation->options.nodes; i++)
        sl_sim_host_kill(&simulation->hosts[i], false);
    if (simulation->simulator)
        sl_simulator_destroy(simulation->simulator);
    for (uint32_t i = 0; simulation->hosts && i < simulation->options.nodes; i++)
        sl_sim_host_destroy(&simulation->hosts[i]);
    sl_sim_processes_destroy(simulation);
    sl_functions_destroy(simulation->functions);
    sl_sim_work_free(simulation);
    free(simulation->hosts);
}

static void tell(const sl_simulation *simulation, sl_simulation_result *result) {
    *result =
        (sl_simulation_result){.failed = simulation->failed,
                               .plan = simulation->plan,
                               .events = sl_simulator_events(simulation->simulator),
                               .hash = sl_simulator_hash(simulation->simulator),
                               .virtual_ns = sl_simulator_now_ns(simulation->simulator),
                               .frames = sl_simulator_traffic_of(simulation->simulator).frames,
                               .sessions = simulation->session};
    memcpy(result->violation, simulation->violation, sizeof result->violation);
    for (uint32_t i = 0; i < simulation->owners; i++)
        result->tasks += simulation->users[i].count;
    result->faults = faults_begun(simulation);
}

sl_err sl_simulation_run(const sl_simulation_options *options, sl_simulation_result *result) {
    sl_simulation simulation = {.options = *options,
                                .session_over_ns = UINT64_MAX,
                                .function_host = SL_NO_NODE,
                                .gentle = true};
    uint64_t blobs_before_bytes = sl_blob_alive_bytes();
    sl_err err = create(&simulation);
    if (err == SL_OK) {
        sl_sim_faults_begin(&simulation);
        err = work_and_settle(&simulation);
        if (err == SL_OK && !simulation.failed)
            end(&simulation);
        kill_all(&simulation);
        sl_sim_check_futures(&simulation);
        if (sl_blob_alive_bytes() != blobs_before_bytes)
            sl_sim_violate(&simulation, "%llu bytes of blobs were left over",
                           (unsigned long long)(sl_blob_alive_bytes() - blobs_before_bytes));
        tell(&simulation, result);
    }
    destroy(&simulation);
    return err;
}
