#include "bench/network.h"

#include <mpi.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpi/bootstrap.h"
#include "runtime/log.h"
#include "runtime/runtime_msgs.h"
#include "runtime/transport_thread.h"

enum { MOST_NODES = 64 };

/* As `starlane` sets them by default (runtime/options.def, --spin-us). */
#define SPIN_NS (20 * SL_NS_PER_US)

static sl_mpi *job; /* keeps MPI alive between networks; NULL without mpirun */
static size_t frame_bytes;

void bench_die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("starlane-bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    if (job)
        MPI_Abort(MPI_COMM_WORLD, 1);
    exit(1);
}

void network_check(sl_err err, const char *what) {
    if (err != SL_OK)
        bench_die("%s: %s: %s", what, sl_err_text(err), sl_err_detail());
}

size_t network_frame_bytes(void) {
    return frame_bytes;
}

void network_mpi_open(bench *b) {
    b->ranks = 1;
    if (!sl_mpi_launched())
        return;
    network_check(sl_mpi_open(&(sl_mpi_options){0}, &job), "MPI");
    b->rank = sl_mpi_rank(job);
    b->ranks = sl_mpi_count(job);
    sl_log_set_node((int)b->rank);
}

void network_mpi_close(void) {
    sl_mpi_close(job, true, 1);
    job = NULL;
}

void network_stop(sl_actor *self) {
    node_stop stop = {0};
    for (uint32_t node = sl_node_count(sl_actor_node(self)); node-- > 0;)
        network_check(node_stop_send(self, sl_addr_well_known(node, SL_SLOT_NODE), &stop), "stop");
}

/* ---- one node ---- */

typedef struct member {
    const network_plan *plan;
    sl_node *node;
    pthread_t thread;
} member;

static void member_init(member *m, const network_plan *plan, sl_transport *transport,
                        uint32_t incarnation) {
    sl_node_options options = {.transport = transport,
                               .incarnation = incarnation,
                               .seed = transport->self + 1,
                               .spin_ns = SPIN_NS};
    frame_bytes = transport->frame_bytes;
    m->plan = plan;
    network_check(sl_node_create(&options, &m->node), "a node");
    plan->spawn(m->node, plan->context);
}

static void *member_run(void *argument) {
    member *m = argument;
    if (m->plan->drive)
        m->plan->drive(m->node, m->plan->context);
    network_check(sl_node_run(m->node, NULL), "a node's loop");
    return NULL;
}

static void member_fini(member *m) {
    if (m->plan->finish)
        m->plan->finish(m->node, m->plan->context);
    sl_node_destroy(m->node);
}

/* ---- networks ---- */

static void run_mpi(const network_plan *plan) {
    sl_mpi *mpi;
    member m;
    MPI_Comm world = MPI_COMM_WORLD;
    MPI_Barrier(world); /* a rank that is early waits here, not in a measurement */
    network_check(
        sl_mpi_open(&(sl_mpi_options){.communicator = &world, .no_sharing = plan->apart}, &mpi),
        "a network");
    member_init(&m, plan, sl_mpi_transport(mpi), sl_mpi_peer(mpi, sl_mpi_rank(mpi))->incarnation);
    member_run(&m);
    member_fini(&m);
    sl_mpi_close(mpi, true, 1);
}

static void run_threads(const network_plan *plan) {
    sl_transport *transports[MOST_NODES];
    member members[MOST_NODES];
    if (plan->nodes < 1 || plan->nodes > MOST_NODES)
        bench_die("a network of %u nodes: 1 to %d are possible", plan->nodes, MOST_NODES);
    network_check(sl_thread_network_create(plan->nodes, 0, transports), "a network of threads");
    for (uint32_t i = 0; i < plan->nodes; i++)
        member_init(&members[i], plan, transports[i], i + 1);
    for (uint32_t i = 1; i < plan->nodes; i++)
        if (pthread_create(&members[i].thread, NULL, member_run, &members[i]) != 0)
            bench_die("no thread for node %u", i);
    member_run(&members[0]);
    for (uint32_t i = 1; i < plan->nodes; i++)
        pthread_join(members[i].thread, NULL);
    for (uint32_t i = 0; i < plan->nodes; i++)
        member_fini(&members[i]);
}

void network_run(const network_plan *plan) {
    if (plan->mpi)
        run_mpi(plan);
    else
        run_threads(plan);
}
