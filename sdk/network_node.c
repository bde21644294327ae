/* Wires one node: transport -> node -> minder and pool -> registry, executor, scheduler, driver. */
#include "sdk/network.h"
#include "sdk/gateway_door.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actors/registry/registry.h"
#include "actors/scheduler/scheduler.h"
#include "sdk/host.h"
#include "sdk/task_functions.h"

#define KILL_GRACE_NS     (2 * SL_NS_PER_S)
#define STORE_LEAST_BYTES ((uint64_t)256 << 20)

enum { COMMANDS_MOST = 8192 /* at once on one node: tasks may ask for no core */ };

static uint32_t or_zero(int32_t number) {
    return number >= 0 ? (uint32_t)number : 0;
}

/* ---- the node ---- */

static sl_err make_node(sl_network_node *of) {
    const sl_config *config = of->network->config;
    of->metrics = calloc(1, sizeof *of->metrics);
    if (!of->metrics)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for node %u", of->rank);
    sl_metrics_init(of->metrics);
    sl_node_options options = {
        .transport = of->transport,
        .metrics = of->metrics,
        .seed = of->network->seed + of->rank * UINT64_C(0x9E3779B97F4A7C15),
        .incarnation = of->incarnation,
        .mailbox_limit = (uint32_t)sl_config_int(config, SL_OPT_MAILBOX_LIMIT),
        .window_bytes = sl_config_bytes(config, SL_OPT_WINDOW_BYTES),
        .blob_window_bytes = sl_config_bytes(config, SL_OPT_BLOB_WINDOW_BYTES),
        .spin_ns = sl_config_duration_ns(config, SL_OPT_SPIN_US),
        .idle_max_ns = sl_config_duration_ns(config, SL_OPT_IDLE_MAX_US),
    };
    SL_TRY(sl_node_create(&options, &of->node));
    of->transport = NULL; /* the node's now */
    return SL_OK;
}

static sl_err make_trace(sl_network_node *of) {
    if (!sl_config_is_set(of->network->config, SL_OPT_TRACE))
        return SL_OK;
    char label[256];
    snprintf(label, sizeof label, "rank %u %.96s %s", of->rank, of->network->hardware.hostname,
             of->location.region);
    sl_trace_options options = {
        .node = of->rank, .label = label, .clock = &sl_clock_real, .lanes = 1};
    SL_TRY(sl_trace_open(&of->trace, &options));
    of->lane = sl_trace_lane_open(of->trace, 0, "loop");
    return SL_OK;
}

/* ---- the pool ---- */

/* Cores that other ranks use too are left to the kernel to divide. */
static bool binds(const sl_network_node *of) {
    return sl_config_bool(of->network->config, SL_OPT_BIND) && !of->offer.oversubscribed;
}

static sl_err make_pool(sl_network_node *of) {
    const sl_config *config = of->network->config;
    uint32_t threads = sl_config_is_set(config, SL_OPT_POOL_THREADS)
                           ? (uint32_t)sl_config_int(config, SL_OPT_POOL_THREADS)
                           : of->offer.cpus;
    if (threads == 0)
        threads = 1;
    int *cpus = binds(of) && of->offer.core_count ? calloc(threads, sizeof *cpus) : NULL;
    for (uint32_t i = 0; cpus && i < threads; i++) {
        uint32_t count;
        uint32_t core = of->offer.cores[i % of->offer.core_count];
        cpus[i] = sl_hardware_core_pus(&of->network->hardware, core, &count)[0];
    }
    sl_pool_options options = {.threads = threads, .cpus = cpus};
    sl_err err = sl_pool_create(of->node, &options, &of->pool);
    free(cpus);
    return err;
}

/* ---- the executor ---- */

/* One grantable core per task slot. Slots beyond the cores there are get numbers of their own, and
 * nothing is bound then. */
static sl_err make_cores(sl_network_node *of, sl_grant_offer *grant) {
    const sl_hardware *hardware = &of->network->hardware;
    uint32_t count = of->offer.cpus < SL_GRANT_CORES_MAX ? of->offer.cpus : SL_GRANT_CORES_MAX;
    of->grant_cores = calloc(count ? count : 1, sizeof *of->grant_cores);
    if (!of->grant_cores)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the cores of node %u", of->rank);
    for (uint32_t i = 0; i < count; i++) {
        sl_grant_core *core = &of->grant_cores[i];
        if (of->offer.cpus > of->offer.core_count) {
            *core = (sl_grant_core){.cpu_count = 1, .cpus = {i}};
            continue;
        }
        uint32_t pus, index = of->offer.cores[i];
        const int32_t *numbers = sl_hardware_core_pus(hardware, index, &pus);
        core->numa = or_zero(hardware->cores[index].numa);
        core->cpu_count = pus < SL_GRANT_CPUS_PER_CORE ? pus : SL_GRANT_CPUS_PER_CORE;
        for (uint32_t j = 0; j < core->cpu_count; j++)
            core->cpus[j] = (uint32_t)numbers[j];
    }
    grant->cores = of->grant_cores;
    grant->core_count = count;
    return SL_OK;
}

/* NULL where the machine has no GPU that works: then the variable is left as it is. */
static sl_err make_gpu_ids(sl_network_node *of, uint32_t *count) {
    const sl_hardware *hardware = &of->network->hardware;
    *count = 0;
    if (!sl_hardware_count(hardware, SL_HARDWARE_GPU))
        return SL_OK;
    of->gpu_ids = calloc(SL_HARDWARE_ACCELERATORS_MAX, sizeof *of->gpu_ids);
    if (!of->gpu_ids)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the GPUs of node %u", of->rank);
    for (uint32_t i = 0; i < of->offer.accelerator_count; i++) {
        const sl_accelerator *device = &hardware->accelerators[of->offer.accelerators[i]];
        if (device->type == SL_HARDWARE_GPU)
            of->gpu_ids[(*count)++] = device->visible_id;
    }
    return SL_OK;
}

static sl_err spawn_executor(sl_network_node *of) {
    sl_executor_options options = {
        .offer = {.memory_bytes = of->offer.memory_bytes,
                  .ucu_milli = (uint64_t)llround(of->offer.total_ucu * 1000)},
        .functions = of->network->functions,
        .pool = of->pool,
        .kill_grace_ns = KILL_GRACE_NS,
        .keep_bytes = sl_config_bytes(of->network->config, SL_OPT_RESULT_INLINE),
        .bind = binds(of),
        .trace = of->lane,
    };
    sl_minder_options minder = {.running_max = COMMANDS_MOST};
    SL_TRY(make_cores(of, &options.offer));
    SL_TRY(make_gpu_ids(of, &options.offer.gpu_count));
    SL_TRY(sl_minder_create(&minder, &of->minder));
    options.minder = of->minder;
    options.gpu_ids = (const char *const *)of->gpu_ids;
    return sl_node_spawn(of->node, SL_SLOT_EXECUTOR, &sl_executor_class, &options, sizeof options,
                         NULL);
}

/* ---- the other actors ---- */

registry_offer sl_network_node_offer(const sl_network_node *of) {
    uint32_t cores = of->offer.cpus < SL_GRANT_CORES_MAX ? of->offer.cpus : SL_GRANT_CORES_MAX;
    uint64_t ucu_milli = (uint64_t)llround(of->offer.total_ucu * 1000);
    return (registry_offer){.cores = cores,
                            .cores_free = cores,
                            .gpus = of->offer.gpus,
                            .gpus_free = of->offer.gpus,
                            .memory_bytes = of->offer.memory_bytes,
                            .memory_free_bytes = of->offer.memory_bytes,
                            .ucu_milli = ucu_milli,
                            .ucu_free_milli = ucu_milli};
}

static sl_err spawn_registry(sl_network_node *of) {
    const sl_config *config = of->network->config;
    registry_offer offer = sl_network_node_offer(of);
    sl_registry_options options = {
        .hostname = of->network->hardware.hostname,
        .location = of->location,
        .cores = offer.cores,
        .gpus = offer.gpus,
        .memory_bytes = offer.memory_bytes,
        .ucu_milli = offer.ucu_milli,
        .await_executor = sl_network_is_spare(of->network, of->rank),
        .description = of->description,
        .incarnation = of->incarnation,
        .gossip_period_ns = sl_config_duration_ns(config, SL_OPT_HEARTBEAT_MS),
        .timings = &of->network->timings,
    };
    return sl_node_spawn(of->node, SL_SLOT_REGISTRY, &sl_registry_class, &options, sizeof options,
                         NULL);
}

static sl_err spawn_scheduler(sl_network_node *of, const sl_network_setup *setup) {
    sl_scheduler_options options = {
        .ledger = of->rank == 0 ? setup->ledger : NULL,
        .policy = sl_config_text(of->network->config, SL_OPT_POLICY),
        .seed = of->network->seed + of->rank,
        .end_s = setup->end_s,
        .margin_s = setup->margin_s,
        .trace = of->lane,
        .explain = of->rank == 0 && setup->ledger,
    };
    return sl_node_spawn(of->node, SL_SLOT_SCHEDULER, &sl_scheduler_class, &options, sizeof options,
                         NULL);
}

/* A rank that offers nothing, such as a driver, makes objects too. */
static uint64_t default_bytes(const sl_network_node *of) {
    uint64_t bytes = of->offer.memory_bytes / 4;
    return bytes > STORE_LEAST_BYTES ? bytes : STORE_LEAST_BYTES;
}

/* Ranks share memory where their messages go through it too. */
static sl_err spawn_store(sl_network_node *of) {
    const sl_config *config = of->network->config;
    sl_store_options options = {
        .node = of->rank,
        .nodes = of->network->count,
        .incarnation = of->incarnation,
        .limit_bytes = sl_config_is_set(config, SL_OPT_STORE_BYTES)
                           ? sl_config_bytes(config, SL_OPT_STORE_BYTES)
                           : default_bytes(of),
        .shares = of->network->mpi && sl_config_bool(config, SL_OPT_STORE_SHARE),
        .spill_directory = sl_config_is_set(config, SL_OPT_STORE_SPILL)
                               ? sl_config_text(config, SL_OPT_STORE_SPILL)
                               : NULL,
    };
    SL_TRY(sl_store_create(&options, &of->store));
    return sl_node_spawn(of->node, SL_SLOT_STORE, &sl_store_class, &of->store, sizeof of->store,
                         NULL);
}

/* The nodes of a process have one identity. */
static uint32_t own_credential(void *context, uint8_t credential[SL_ROSTER_CREDENTIAL_BYTES]) {
    size_t bytes;
    (void)context;
    return sl_sealed_credential(sl_task_functions_sealed(), credential, &bytes) == SL_OK
               ? (uint32_t)bytes
               : 0;
}

static sl_err spawn_roster(sl_network_node *of) {
    sl_roster_options options = {.nodes = of->network->count, .own = own_credential};
    SL_TRY(sl_roster_create(&options, &of->roster));
    return sl_node_spawn(of->node, SL_SLOT_ROSTER, &sl_roster_class, &of->roster, sizeof of->roster,
                         NULL);
}

sl_err sl_network_node_serve(sl_network_node *of) {
    SL_TRY(make_pool(of));
    return spawn_executor(of);
}

/* A spare has no executor before it takes another's place. */
static sl_err spawn_server(sl_network_node *of) {
    if (!sl_network_is_spare(of->network, of->rank))
        return sl_network_node_serve(of);
    return sl_node_spawn(of->node, SL_SLOT_SPARE, &sl_spare_class, &of, sizeof of, NULL);
}

/* Clients' tasks have numbers of their own, which a ledger would take for those of its run. */
static sl_err open_gateway(sl_network_node *of, const sl_network_setup *setup) {
    sl_network *network = of->network;
    if (of->rank != 0 || !*sl_config_text(network->config, SL_OPT_LISTEN))
        return SL_OK;
    if (setup->ledger)
        return sl_fail(SL_ERR_INVALID, "--listen is for starlane up, and for programs that call "
                                       "sl_init(); a run takes no tasks of others");
    double cores = of->offer.cpus ? of->offer.cpus : 1;
    return sl_gateway_open(network->config, of->node, of->store, of->offer.total_ucu / cores,
                           network->stays, &network->gateway);
}

/* The program speaks to the host of this process's first node. */
static sl_err spawn_host(sl_network_node *of, const sl_network_setup *setup) {
    sl_host_setup host = {.of = of, .client = of == of->network->nodes ? setup->client : NULL};
    return sl_node_spawn(of->node, SL_SLOT_HOST, &sl_host_class, &host, sizeof host, NULL);
}

static sl_err start_parts(sl_network_node *of, const sl_network_setup *setup) {
    SL_TRY(make_trace(of));
    SL_TRY(make_node(of));
    SL_TRY(spawn_registry(of));
    SL_TRY(spawn_store(of));
    SL_TRY(spawn_roster(of));
    SL_TRY(spawn_server(of));
    SL_TRY(spawn_scheduler(of, setup));
    SL_TRY(open_gateway(of, setup));
    if (setup->client)
        SL_TRY(spawn_host(of, setup));
    if (!setup->driver || of != of->network->nodes)
        return SL_OK;
    return sl_node_spawn(of->node, SL_SLOT_DRIVER, setup->driver, setup->driver_argument,
                         setup->driver_argument_bytes, NULL);
}

sl_err sl_network_node_start(sl_network_node *of, const sl_network_setup *setup) {
    sl_err err = start_parts(of, setup);
    if (err != SL_OK)
        sl_network_node_finish(of);
    return err;
}

void sl_network_node_finish(sl_network_node *of) {
    struct sl_gateway_place *gateway = of->rank == 0 ? of->network->gateway : NULL;
    sl_gateway_close(gateway);
    if (of->pool)
        sl_pool_destroy(of->pool);
    sl_minder_destroy(of->minder);
    sl_node_destroy(of->node);
    sl_gateway_free(gateway);
    if (of->rank == 0)
        of->network->gateway = NULL;
    sl_store_release(of->store);
    sl_roster_destroy(of->roster);
    sl_trace_close(of->trace);
    free(of->metrics);
    free(of->grant_cores);
    free(of->gpu_ids);
    of->pool = NULL;
    of->minder = NULL;
    of->node = NULL;
    of->store = NULL;
    of->roster = NULL;
    of->trace = NULL;
    of->lane = NULL;
    of->metrics = NULL;
    of->grant_cores = NULL;
    of->gpu_ids = NULL;
}
