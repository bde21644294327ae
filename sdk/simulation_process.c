/* What a process that calls the API has beside its node's actors: the client, the host of user
 * actors, and a program, on a thread of its own, as sl_init() gives them to a rank where all drive.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/waiting.h"
#include "sdk/host.h"
#include "sdk/simulation.h"
#include "sdk/task_call.h"

enum { PROGRAMS_EACH = 7 /* of so many seeds one has programs */ };

bool sl_sim_has_programs(const sl_simulation *simulation) {
    return simulation->options.seed % PROGRAMS_EACH == 0;
}

/* ---- whose calls they are ---- */

static _Thread_local sl_simulation *here;

sl_simulation *sl_sim_here(void) {
    return here;
}

static sl_client *find(void *context) {
    sl_simulation *simulation = context;
    uint32_t node = sl_simulator_turning(simulation->simulator);
    sl_sim_process *process = node == SL_NO_NODE ? NULL : simulation->hosts[node].process;
    return process && process->open ? &process->client : NULL;
}

/* Calls within a body of an actor or a task are that body's. */
void sl_sim_switches(void *simulation, void *places[SL_SIM_PLACES]) {
    (void)simulation;
    places[0] = sl_call_swap(places[0]);
    places[1] = sl_executor_wait_swap(places[1]);
}

/* ---- all of them ---- */

sl_err sl_sim_processes_create(sl_simulation *simulation) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!sl_sim_has_programs(simulation))
        return SL_OK;
    pthread_once(&once, sl_sim_counters_define);
    SL_TRY(sl_sim_calls_register(simulation->functions));
    sl_rng_seed(&simulation->program_rng, simulation->options.seed ^ UINT64_C(0x94d049bb133111eb));
    simulation->counters = calloc(SL_SIM_COUNTERS_MOST, sizeof *simulation->counters);
    simulation->calls = calloc(SL_SIM_CALLS_MOST, sizeof *simulation->calls);
    if (!simulation->counters || !simulation->calls)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the actors of a simulation");
    for (uint32_t i = 0; i < simulation->options.nodes; i++) {
        sl_sim_process *process = simulation->hosts[i].process = calloc(1, sizeof *process);
        if (process)
            process->lost = calloc(simulation->options.nodes, sizeof *process->lost);
        if (!process || !process->lost)
            return sl_fail(SL_ERR_NO_MEMORY, "no memory for the processes of a simulation");
    }
    (void)sl_futures_made();
    here = simulation;
    sl_session_stand_in(find, simulation);
    return SL_OK;
}

void sl_sim_processes_destroy(sl_simulation *simulation) {
    if (here == simulation) {
        here = NULL;
        sl_session_stand_in(NULL, NULL);
    }
    for (uint32_t i = 0; simulation->hosts && i < simulation->options.nodes; i++) {
        sl_sim_process *process = simulation->hosts[i].process;
        if (process)
            free(process->lost);
        free(process);
    }
    free(simulation->counters);
    free(simulation->calls);
}

/* ---- one life ---- */

static void set_up(sl_sim_host *host, sl_node *node) {
    sl_sim_process *process = host->process;
    bool *lost = process->lost;
    memset(process, 0, sizeof *process);
    process->lost = memset(lost, 0, host->simulation->options.nodes);
    process->network = (sl_network){.count = host->simulation->options.nodes,
                                    .local_count = 1,
                                    .nodes = &process->node,
                                    .lost = process->lost,
                                    .timings = sl_sim_timings,
                                    .functions = host->simulation->functions,
                                    .clean = true};
    process->node = (sl_network_node){.network = &process->network,
                                      .rank = host->number,
                                      .incarnation = host->incarnation,
                                      .pool = host->pool,
                                      .node = node,
                                      .store = host->store};
    process->client.network = &process->network;
    process->client.ranks = host->simulation->options.nodes;
    process->client.all_drive = true;
}

sl_err sl_sim_process_start(sl_sim_host *host, sl_node *node) {
    sl_sim_process *process = host->process;
    sl_simulation *simulation = host->simulation;
    if (!process)
        return SL_OK;
    set_up(host, node);
    sl_client *client = &process->client;
    sl_host_setup setup = {.of = &process->node, .client = client};
    SL_TRY(sl_node_spawn(node, SL_SLOT_HOST, &sl_host_class, &setup, sizeof setup, NULL));
    SL_TRY(sl_node_spawn(node, SL_SLOT_DRIVER, &sl_client_class, &client, sizeof client, NULL));
    process->open = true;
    process->program = (sl_sim_program){.host = host, .stage = SL_SIM_LEFT};
    if (simulation->writers == SL_SIM_WRITERS_MOST)
        return SL_OK;
    process->program.writer = simulation->writers++;
    process->program.stage = SL_SIM_WORKS;
    return sl_simulator_thread(simulation->simulator, host->number, sl_sim_program_main,
                               &process->program);
}

void sl_sim_process_dies(sl_sim_host *host) {
    if (host->process)
        host->process->over = true;
}

/* Actors end with the program that spawned them. */
void sl_sim_process_end(sl_sim_host *host) {
    sl_simulation *simulation = host->simulation;
    sl_sim_process *process = host->process;
    if (!process || !process->open)
        return;
    if (sl_simulator_threads(simulation->simulator, host->number))
        sl_sim_violate(simulation, "a thread of node %u waits, and its network is left",
                       host->number);
    process->open = false;
    process->program.stage = SL_SIM_LEFT;
    free(atomic_exchange(&process->client.host, NULL));
    for (uint32_t i = 0; i < simulation->counter_count; i++) {
        sl_sim_counter *counter = &simulation->counters[i];
        counter->gone |= counter->ref.home == host->number;
        counter->stopped |= counter->gone;
    }
}

/* ---- what must hold ---- */

bool sl_sim_programs_ended(sl_simulation *simulation) {
    for (uint32_t i = 0; i < simulation->options.nodes; i++) {
        const sl_sim_process *process = simulation->hosts[i].process;
        if (process && process->open && process->program.stage != SL_SIM_LEFT)
            return false;
    }
    return true;
}

static uint32_t residents_of(const sl_host *host) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < host->residents.capacity; i++)
        for (const sl_id_node *at = host->residents.buckets[i]; at; at = at->next)
            count += ((const sl_resident *)(const void *)at)->stage != SL_GONE;
    return count;
}

static uint32_t asks_of(const sl_host *host) {
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < host->ask_count; slot++)
        count += host->asks[slot].future != NULL;
    return count;
}

static uint32_t names_of(const sl_host *host) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < SL_NAME_BUCKETS; i++)
        count += host->names[i] != NULL;
    return count;
}

static void check_host(sl_sim_host *of, const sl_host *host) {
    uint32_t residents = residents_of(host), asks = asks_of(host), names = names_of(host);
    if (residents || host->records.count || asks || names || atomic_load(&host->letters) ||
        atomic_load(&host->letter_bytes))
        sl_sim_violate(of->simulation,
                       "node %u has actors left over: %u that live there, %u of its own, %u names, "
                       "%u messages, %u questions",
                       of->number, residents, host->records.count, names,
                       atomic_load(&host->letters), asks);
}

static void check_client(sl_sim_host *of, const sl_client *client) {
    uint32_t calls = client->slot_count - client->free_count;
    if (calls || client->queue_count || client->unaccepted_count || client->arrived)
        sl_sim_violate(of->simulation,
                       "node %u has calls left over: %u sent, %u to be sent, %u not "
                       "accepted",
                       of->number, calls, client->queue_count, client->unaccepted_count);
}

void sl_sim_check_process(sl_sim_host *host) {
    if (!host->process || !host->process->open)
        return;
    check_client(host, &host->process->client);
    check_host(host, atomic_load(&host->process->client.host));
}

void sl_sim_check_futures(sl_simulation *simulation) {
    if (!simulation->counters)
        return;
    int64_t futures = sl_futures_made();
    if (futures)
        sl_sim_violate(simulation, "%" PRId64 " futures were left over", futures);
}
