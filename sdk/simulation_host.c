/* The lives of a node: its actors as sdk/network_node.c starts them, over a simulated disk, pool
 * and commands. */
#include <stdlib.h>
#include <string.h>

#include "actors/registry/registry.h"
#include "actors/scheduler/scheduler.h"
#include "sdk/simulation.h"

#define LEDGER_PATH    "ledger.db"
#define LINGER_NS      (50 * SL_NS_PER_MS)
#define SYNC_LEAST_NS  (100 * SL_NS_PER_US)
#define SYNC_SPREAD_NS (4 * SL_NS_PER_MS)

sl_err sl_sim_host_create(sl_simulation *simulation, uint32_t number) {
    sl_sim_host *host = &simulation->hosts[number];
    sl_rng *rng = &simulation->rng;
    uint32_t nodes = simulation->options.nodes;
    *host = (sl_sim_host){.simulation = simulation,
                          .number = number,
                          .incarnation = number,
                          .core_count = 2 + (uint32_t)sl_rng_below(rng, SL_SIM_CORES_MOST - 1),
                          .memory_bytes = (4 + sl_rng_below(rng, 5)) << 28,
                          .ucu_milli = (2 + sl_rng_below(rng, 7)) * 1000};
    snprintf(host->name, sizeof host->name, "host-%u", number % simulation->machines);
    for (uint32_t i = 0; i < host->core_count; i++)
        host->cores[i] = (sl_grant_core){.cpu_count = 1, .cpus = {i}};
    host->states = malloc(nodes);
    host->apart = malloc(nodes);
    host->rows = calloc((size_t)nodes * SL_LANES, sizeof *host->rows);
    if (!host->states || !host->apart || !host->rows)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a simulated host");
    if (number >= simulation->owners)
        return SL_OK;
    return sl_ledger_simdisk_create(sl_rng_u64(rng), &host->disk);
}

void sl_sim_host_destroy(sl_sim_host *host) {
    sl_ledger_simdisk_destroy(host->disk);
    free(host->states);
    free(host->apart);
    free(host->rows);
}

/* ---- start ---- */

static sl_err open_ledger(sl_sim_host *host, bool *failed) {
    bool first = host->simulation->session == 1;
    sl_ledger_options options = {.mode = first ? SL_LEDGER_CREATE : SL_LEDGER_RESUME,
                                 .clock =
                                     sl_simulator_clock(host->simulation->simulator, host->number),
                                 .disk = sl_ledger_simdisk_base(host->disk),
                                 .queue_bytes = 64 << 10,
                                 .no_thread = true};
    sl_err err = sl_ledger_open(LEDGER_PATH, &options, &host->ledger);
    if (err == SL_ERR_NOT_FOUND && !first) { /* the power went before it was there at all */
        options.mode = SL_LEDGER_CREATE;
        err = sl_ledger_open(LEDGER_PATH, &options, &host->ledger);
    }
    *failed = err != SL_OK;
    if (err != SL_OK)
        sl_sim_violate(host->simulation, "node %u cannot open its ledger: %s", host->number,
                       sl_err_detail());
    return SL_OK;
}

/* Shorter than some defaults, which would outlast the faults. */
const sl_link_timings sl_sim_timings = {
    .kinds[SL_LINK_SAME_HOST] = {500 * SL_NS_PER_MS, SL_SIM_DEAD_NS},
    .kinds[SL_LINK_SAME_REGION] = {300 * SL_NS_PER_MS, 450 * SL_NS_PER_MS},
    .kinds[SL_LINK_REGIONS] = {500 * SL_NS_PER_MS, SL_SIM_DEAD_NS}};

static sl_err spawn_registry(sl_sim_host *host, sl_node *node) {
    sl_registry_options options = {.hostname = host->name,
                                   .cores = host->core_count,
                                   .memory_bytes = host->memory_bytes,
                                   .ucu_milli = host->ucu_milli,
                                   .incarnation = host->incarnation,
                                   .gossip_period_ns = SL_SIM_PERIOD_NS,
                                   .timings = &sl_sim_timings,
                                   .join_ns = SL_NS_PER_S,
                                   .leave_ns = SL_NS_PER_S};
    snprintf(options.location.region, sizeof options.location.region, "region-%u",
             host->number % 2);
    return sl_node_spawn(node, SL_SLOT_REGISTRY, &sl_registry_class, &options, sizeof options,
                         NULL);
}

static sl_err spawn_executor(sl_sim_host *host, sl_node *node) {
    sl_pool_options pool = {.threads = 1, .run = sl_sim_run_job, .context = host};
    SL_TRY(sl_pool_create(node, &pool, &host->pool));
    sl_executor_options options = {.offer = {.cores = host->cores,
                                             .core_count = host->core_count,
                                             .memory_bytes = host->memory_bytes,
                                             .ucu_milli = host->ucu_milli},
                                   .functions = host->simulation->functions,
                                   .commands = &sl_sim_commands,
                                   .commands_context = host,
                                   .pool = host->pool,
                                   .keep_bytes = SL_SIM_KEEP_BYTES,
                                   .bind = true};
    return sl_node_spawn(node, SL_SLOT_EXECUTOR, &sl_executor_class, &options, sizeof options,
                         NULL);
}

static sl_err spawn_scheduler(sl_sim_host *host, sl_node *node) {
    sl_scheduler_options options = {
        .ledger = host->ledger,
        .seed = host->simulation->options.seed + host->number,
        .explain = host->ledger && host->simulation->options.seed % 2,
    };
    return sl_node_spawn(node, SL_SLOT_SCHEDULER, &sl_scheduler_class, &options, sizeof options,
                         NULL);
}

static void forget_life(sl_sim_host *host) {
    uint32_t nodes = host->simulation->options.nodes;
    memset(host->states, 0xff, nodes);
    memset(host->apart, 0, nodes);
    memset(host->rows, 0, (size_t)nodes * SL_LANES * sizeof *host->rows);
    host->known = 0;
    host->own = (registry_offer){.cores = 0};
    host->step_asked = false;
}

sl_err sl_sim_host_start(sl_sim_host *host) {
    sl_simulation *simulation = host->simulation;
    bool tight = simulation->options.seed % 3 == 0, failed = false;
    host->incarnation += 1 << 16; /* it grows by one with each link that is lost */
    sl_node_options options = {.seed = simulation->options.seed ^ host->incarnation,
                               .incarnation = host->incarnation,
                               .rejoins = host->back,
                               .mailbox_limit = tight ? 16 : 0,
                               .window_bytes = tight ? 1 : 0,
                               .blob_window_bytes = tight ? 32 << 10 : 0};
    sl_node *node;
    forget_life(host);
    SL_TRY(sl_simulator_start(simulation->simulator, host->number, &options, &node));
    if (host->disk) {
        SL_TRY(open_ledger(host, &failed));
        if (failed)
            return SL_OK;
        if (simulation->session > 1)
            SL_TRY(sl_sim_user_resume(host));
    }
    SL_TRY(spawn_registry(host, node));
    SL_TRY(sl_sim_objects_start(host, node));
    SL_TRY(spawn_executor(host, node));
    SL_TRY(spawn_scheduler(host, node));
    SL_TRY(sl_node_spawn(node, SL_SIM_SLOT, &sl_sim_actor_class, &host, sizeof host, NULL));
    return sl_sim_process_start(host, node);
}

/* ---- death ---- */

void sl_sim_host_kill(sl_sim_host *host, bool power) {
    if (!host->simulation) /* it was never made */
        return;
    sl_simulator *simulator = host->simulation->simulator;
    if (!sl_simulator_node(simulator, host->number))
        return;
    if (power && host->disk)
        sl_ledger_simdisk_power_off(host->disk);
    host->simulation->deaths++;
    sl_sim_process_dies(host);
    sl_sim_commands_kill(host);
    /* Without power the ledger's last words go nowhere; who they were for is gone either way. */
    (void)!sl_ledger_close(host->ledger, NULL);
    host->ledger = NULL;
    sl_simulator_kill(simulator, host->number);
    sl_sim_process_end(host);
    sl_sim_objects_end(host);
    if (host->pool)
        sl_pool_destroy(host->pool);
    host->pool = NULL;
    if (host->disk &&
        sl_ledger_simdisk_dead(host->disk)) /* its last words may have been too much */
        sl_ledger_simdisk_restore(host->disk);
}

void sl_sim_session_ends(sl_simulation *simulation, uint64_t at_ns) {
    if (at_ns < simulation->session_over_ns)
        simulation->session_over_ns = at_ns;
}

/* ---- the ledger's writer: not a thread here, but an event ---- */

static void owner_died(void *context, uint64_t life) {
    sl_sim_host *host = context;
    sl_simulation *simulation = host->simulation;
    if (life != sl_simulator_life(simulation->simulator, host->number))
        return;
    sl_simulator_note(simulation->simulator, host->number,
                      sl_simulator_now_ns(simulation->simulator), 0, "the power goes");
    sl_sim_host_kill(host, true);
    sl_sim_session_ends(simulation, sl_simulator_now_ns(simulation->simulator) +
                                        sl_rng_below(&simulation->rng, 2 * SL_NS_PER_S));
}

static void on_step(void *context, uint64_t life) {
    sl_sim_host *host = context;
    sl_simulation *simulation = host->simulation;
    if (!host->ledger || life != sl_simulator_life(simulation->simulator, host->number))
        return;
    host->step_asked = false;
    sl_sim_pass(simulation, SL_SIM_AT_JOURNAL, host->number);
    if (!host->ledger)
        return;
    (void)!sl_ledger_step(host->ledger); /* a failure is told to those who posted */
    if (sl_ledger_simdisk_dead(host->disk))
        owner_died(host, life);
    else
        sl_sim_pass(simulation, SL_SIM_AT_JOURNALED, host->number);
}

void sl_sim_host_turned(sl_sim_host *host) {
    sl_simulation *simulation = host->simulation;
    bool pressing = false;
    if (!host->ledger || host->step_asked || !sl_ledger_waits(host->ledger, &pressing))
        return;
    uint64_t wait_ns = SYNC_LEAST_NS + sl_rng_below(&simulation->rng, SYNC_SPREAD_NS);
    if (!pressing)
        wait_ns += LINGER_NS;
    host->step_asked =
        sl_simulator_at(simulation->simulator, sl_simulator_now_ns(simulation->simulator) + wait_ns,
                        on_step, host,
                        sl_simulator_life(simulation->simulator, host->number)) == SL_OK;
}
