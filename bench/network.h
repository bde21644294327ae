/* A network for one measurement: made, run to its end, taken down. Over MPI each rank of the job is
 * a node and calls this at the same time; otherwise the nodes are threads of this process. */
#ifndef SL_BENCH_NETWORK_H
#define SL_BENCH_NETWORK_H

#include "bench/bench.h"
#include "runtime/node.h"

/* Slots of the benchmarks' own actors, beside SL_SLOT_DRIVER. */
enum { SLOT_SINK = 8, SLOT_METER = 9, SLOT_CLERK = 10 };

typedef struct network_plan {
    bool mpi;
    bool apart;     /* MPI: through MPI alone, as between hosts */
    uint32_t nodes; /* without MPI */

    /* Starts the actors of a node, before its loop runs. */
    void (*spawn)(sl_node *node, void *context);
    /* Turns the loop itself for a while, on the loop's thread, before it is left to run; or NULL.
     */
    void (*drive)(sl_node *node, void *context);
    /* After the loop has ended, before the node goes; or NULL. */
    void (*finish)(sl_node *node, void *context);
    void *context;
} network_plan;

/* Returns when every node (of this process) has ended; dies if one fails. */
void network_run(const network_plan *plan);

/* Tells every node to stop. */
void network_stop(sl_actor *self);

/* Dies, with the cause, unless `err` is SL_OK. */
void network_check(sl_err err, const char *what);

/* Frame bytes of the transport that network_run() uses; known after the first run. */
size_t network_frame_bytes(void);

/* Opens MPI when mpirun started this process, and says which rank it is; and the end of it. */
void network_mpi_open(bench *b);
void network_mpi_close(void);

#endif
