/* Design notes
 * With MPI a process has one node, whose loop runs on the thread that opened MPI. Without it all
 * nodes are here: the first one's loop runs on the caller's thread, each other one's on its own.
 * What the ranks of a host claim of it travels with MPI's first exchange, so each knows its share
 * before its node exists. */
#include "sdk/network.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/watchdog.h"
#include "runtime/log.h"
#include "runtime/thread.h"
#include "runtime/transport_thread.h"
#include "sdk/launch_state.h"
#include "sdk/network_stop.h"
#include "sdk/options.h"
#include "sdk/task_functions.h"

/* ---- open ---- */

static sl_err join_mpi(sl_network *network, const void *communicator, bool discovered) {
    sl_claim claim;
    sl_mpi_options options = {.communicator = communicator};
    if (discovered) {
        sl_claim_of(&network->hardware, &claim);
        options.data = &claim;
        options.data_bytes = sizeof claim;
    }
    if (sl_config_is_set(network->config, SL_OPT_FRAME_BYTES))
        options.frame_bytes = sl_config_bytes(network->config, SL_OPT_FRAME_BYTES);
    SL_TRY(sl_mpi_open(&options, &network->mpi));
    network->count = sl_mpi_count(network->mpi);
    network->local_count = 1;
    network->nodes = calloc(1, sizeof *network->nodes);
    network->lost = calloc(network->count, sizeof *network->lost);
    if (!network->nodes || !network->lost)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a node");
    network->nodes[0].rank = sl_mpi_rank(network->mpi);
    network->nodes[0].incarnation = sl_mpi_peer(network->mpi, network->nodes[0].rank)->incarnation;
    network->nodes[0].transport = sl_mpi_transport(network->mpi);
    return sl_mpi_collective(network->mpi, NULL, 0, 0, &network->agreeing);
}

static sl_err join_threads(sl_network *network) {
    uint32_t count = (uint32_t)sl_config_int(network->config, SL_OPT_NODES);
    size_t frame_bytes = sl_config_is_set(network->config, SL_OPT_FRAME_BYTES)
                             ? sl_config_bytes(network->config, SL_OPT_FRAME_BYTES)
                             : 0;
    sl_transport **transports = calloc(count, sizeof(void *));
    network->nodes = calloc(count, sizeof *network->nodes);
    sl_err err = transports && network->nodes
                     ? sl_thread_network_create(count, frame_bytes, transports)
                     : sl_fail(SL_ERR_NO_MEMORY, "no memory for %u nodes", count);
    for (uint32_t i = 0; err == SL_OK && i < count; i++) {
        network->nodes[i].rank = i;
        network->nodes[i].incarnation = ((uint32_t)network->seed >> 1) + i;
        network->nodes[i].transport = transports[i];
    }
    network->count = network->local_count = count;
    free(transports);
    return err;
}

static sl_err draw_seed(sl_network *network) {
    sl_rng rng;
    if (sl_config_is_set(network->config, SL_OPT_SEED)) {
        network->seed = (uint64_t)sl_config_int(network->config, SL_OPT_SEED);
        return SL_OK;
    }
    SL_TRY(sl_rng_seed_from_system(&rng));
    network->seed = sl_rng_u64(&rng);
    return SL_OK;
}

static sl_err open_network(sl_network *network, const void *communicator, bool over_mpi) {
    SL_TRY(draw_seed(network));
    SL_TRY(sl_task_functions_freeze(&network->functions));
    sl_err err = sl_network_discover(network);
    if (err != SL_OK && !over_mpi)
        return err;
    char cause[512];
    snprintf(cause, sizeof cause, "%s", err == SL_OK ? "" : sl_err_detail());
    SL_TRY(over_mpi ? join_mpi(network, communicator, err == SL_OK) : join_threads(network));
    for (uint32_t i = 0; i < network->local_count; i++)
        network->nodes[i].network = network;
    if (err == SL_OK)
        err = sl_network_spares(network);
    else
        err = sl_fail(err, "%s", cause);
    if (err == SL_OK)
        err = sl_network_place(network);
    if (err == SL_OK)
        err = sl_network_keys_open(network);
    return sl_network_agree(network, err);
}

/* A run that was begun before is started again. */
static void tell_launch(int code) {
    if (!sl_launch_restart())
        sl_launch_tell_exit(code);
}

/* MPI waits without end for a rank that dies as it starts, wherever that cannot be seen. */
static sl_err open_in_time(sl_network *network, const void *communicator) {
    bool over_mpi = communicator || sl_mpi_launched();
    uint64_t timeout_s = sl_config_duration_ns(network->config, SL_OPT_START_TIMEOUT) / SL_NS_PER_S;
    sl_mpi_watchdog watchdog;
    if (!over_mpi || !timeout_s)
        return open_network(network, communicator, over_mpi);
    sl_mpi_watchdog_start(&watchdog,
                          "bringing all ranks together (--start-timeout; has one not been started, "
                          "or died?)",
                          (uint32_t)timeout_s, SL_RUN_FAILED, tell_launch);
    sl_err err = open_network(network, communicator, over_mpi);
    sl_mpi_watchdog_stop(&watchdog);
    return err;
}

int sl_network_open(const sl_options *options, const void *communicator, sl_network **out) {
    sl_network *network = calloc(1, sizeof *network);
    if (!network)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a network");
    network->config = options->config;
    network->clean = true;
    sl_launch_take();
    pthread_mutex_init(&network->ending.lock, NULL);
    sl_err err = open_in_time(network, communicator);
    if (err != SL_OK) {
        char cause[1024];
        snprintf(cause, sizeof cause, "%s", sl_err_detail());
        sl_network_close(network, SL_RUN_BAD_INPUT);
        return sl_fail(err, "%s", cause);
    }
    *out = network;
    return SL_OK;
}

uint32_t sl_network_rank(const sl_network *network) {
    return network->nodes[0].rank;
}

uint32_t sl_network_size(const sl_network *network) {
    return network->count;
}

bool sl_network_leads(const sl_network *network) {
    return network->nodes[0].rank == 0;
}

void sl_network_lose(sl_network *network, uint32_t rank) {
    network->clean = false;
    if (network->lost && rank < network->count)
        network->lost[rank] = true;
}

void sl_network_regain(sl_network *network, uint32_t rank) {
    if (network->lost && rank < network->count)
        network->lost[rank] = false;
}

int sl_network_is_clean(const sl_network *network) {
    return network->clean;
}

/* ---- start and finish ---- */

static _Atomic(sl_network *) network_here;

sl_network *sl_network_here(void) {
    return atomic_load(&network_here);
}

sl_network_node *sl_network_node_here(uint32_t rank) {
    const sl_network *network = atomic_load(&network_here);
    for (uint32_t i = 0; network && i < network->local_count; i++)
        if (network->nodes[i].rank == rank)
            return &network->nodes[i];
    return NULL;
}

static void now_here(sl_network *network) {
    sl_network *none = NULL;
    atomic_compare_exchange_strong(&network_here, &none, network);
}

static void no_longer_here(sl_network *network) {
    sl_network *this = network;
    atomic_compare_exchange_strong(&network_here, &this, NULL);
}

sl_err sl_network_start(sl_network *network, const sl_network_setup *setup) {
    if (network->used)
        return sl_fail(SL_ERR_INVALID, "a network is served, run or looked at once");
    network->used = true;
    now_here(network);
    sl_err err = SL_OK;
    for (uint32_t i = 0; i < network->local_count && err == SL_OK; i++)
        err = sl_network_node_start(&network->nodes[i], setup);
    err = sl_network_agree(network, err);
    for (uint32_t i = 0; i < network->local_count && err != SL_OK; i++)
        sl_network_node_finish(&network->nodes[i]);
    if (err != SL_OK)
        no_longer_here(network);
    return err;
}

void sl_network_finish(sl_network *network) {
    sl_network_write_records(network);
    if (network->stuck)
        return;
    for (uint32_t i = 0; i < network->local_count; i++)
        sl_network_node_finish(&network->nodes[i]);
    no_longer_here(network);
}

/* ---- the loops ---- */

static void run_loop(sl_network_node *of) {
    of->err = sl_node_run(of->node, &of->code);
    if (of->err != SL_OK)
        snprintf(of->detail, sizeof of->detail, "%s", sl_err_detail());
}

static void *loop_thread(void *argument) {
    run_loop(argument);
    return NULL;
}

/* A node whose thread cannot start is stopped on ours, which tells the others goodbye. */
static void start_loop(sl_network_node *of) {
    of->threaded = sl_thread_start(&of->thread, loop_thread, of) == SL_OK;
    if (!of->threaded) {
        of->err = sl_fail(SL_ERR_UNAVAILABLE, "cannot start a thread for node %u", of->rank);
        snprintf(of->detail, sizeof of->detail, "%s", sl_err_detail());
    }
}

static sl_err first_error(sl_network *network) {
    for (uint32_t i = 0; i < network->local_count; i++) {
        if (network->nodes[i].err == SL_OK)
            continue;
        network->clean = false;
        return sl_fail(network->nodes[i].err, "node %u: %s", network->nodes[i].rank,
                       network->nodes[i].detail);
    }
    return SL_OK;
}

sl_err sl_network_loop(sl_network *network, uint32_t *code) {
    bool all = true;
    for (uint32_t i = 1; i < network->local_count; i++) {
        start_loop(&network->nodes[i]);
        all &= network->nodes[i].threaded;
    }
    for (uint32_t i = 0; i < network->local_count && !all; i++)
        sl_node_stop(network->nodes[i].node, SL_RUN_FAILED);
    run_loop(&network->nodes[0]);
    for (uint32_t i = 1; i < network->local_count; i++) {
        /* Told already, unless it took the first one, which was silent for long, to be dead. */
        sl_node_stop(network->nodes[i].node, network->nodes[0].code);
        if (network->nodes[i].threaded)
            pthread_join(network->nodes[i].thread, NULL);
        network->nodes[i].threaded = false;
    }
    *code = network->nodes[0].code;
    return first_error(network);
}

/* ---- serve, stop, close ---- */

int sl_network_serve(sl_network *network, int *code) {
    sl_network_setup setup = {.driver = &sl_network_stopper_class};
    uint32_t stopped_with = 0;
    SL_TRY(sl_network_start(network, &setup));
    sl_network_set_serving(network, true);
    sl_err err = sl_network_loop(network, &stopped_with);
    sl_network_set_serving(network, false);
    char cause[512];
    snprintf(cause, sizeof cause, "%s", err == SL_OK ? "" : sl_err_detail());
    sl_network_finish(network);
    *code = (int)stopped_with;
    return err == SL_OK ? SL_OK : sl_fail(err, "%s", cause);
}

void sl_network_close(sl_network *network, int code) {
    if (network && network->drives)
        sl_launch_tell_end(code, !network->clean);
    if (!network || network->stuck) /* what runs still uses it; the process is about to end */
        return;
    for (uint32_t i = 0; i < network->local_count; i++) {
        sl_transport *unused = network->mpi ? NULL : network->nodes[i].transport;
        if (unused) /* MPI's is closed with MPI */
            unused->ops->close(unused);
        sl_offer_fini(&network->nodes[i].offer);
        free(network->nodes[i].description);
    }
    if (network->clean)
        sl_collective_close(network->agreeing);
    sl_network_keys_close(network);
    sl_mpi_close(network->mpi, network->clean, code);
    free(network->lost);
    free(network->nodes);
    free(network->is_spare);
    sl_hardware_fini(&network->hardware);
    sl_spec_destroy(network->spec);
    sl_topology_file_destroy(network->topology);
    pthread_mutex_destroy(&network->ending.lock);
    free(network);
}
