/* Tasks through a scheduler: a driver at node 0 submits, the last node works. */
#ifndef SL_BENCH_FARM_H
#define SL_BENCH_FARM_H

#include "bench/network.h"

typedef struct farm_plan {
    bool mpi;
    uint32_t nodes;
    uint32_t cores; /* of the last node; the others offer none */
    bool commands;
    uint8_t payload[256];
    uint32_t payload_bytes;
    uint32_t batch; /* tasks of one submit */
    uint64_t depth; /* tasks submitted and not done, kept up */
    uint64_t warm;  /* tasks done before the clock starts; it also waits until `depth` is reached */
    uint64_t count; /* tasks timed */
    double per_s;   /* out, at node 0: tasks done a second */
} farm_plan;

/* Runs the plan on a network of its own. */
void farm_measure(farm_plan *plan);

#endif
