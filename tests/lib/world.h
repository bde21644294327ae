/* A network of nodes inside a test: many nodes of this process, each loop in a thread of its own,
 * or the one node that a given transport (MPI's, say) has here. Scenarios know only nodes, so that
 * the same one runs on either. */
#ifndef SL_TESTS_WORLD_H
#define SL_TESTS_WORLD_H

#include <pthread.h>

#include "runtime/node.h"

typedef struct world_options {
    uint32_t count;          /* nodes on the thread transport */
    sl_transport *transport; /* or this one alone, taken over */
    size_t frame_bytes;      /* of the thread transport; 0: its default */
    sl_node_options node;    /* for all of them; transport, seed and incarnation are set for each */
    uint64_t seed;
} world_options;

typedef struct world {
    uint32_t count; /* nodes of this process */
    sl_node **nodes;
    pthread_t *threads;
    sl_err *results; /* of each sl_node_run() */
    char (*details)[256];
    uint32_t *codes;
} world;

/* Makes the nodes; false (and a failed check) when that does not go. */
bool world_open(world *w, const world_options *options);

/* Runs the loops; world_run() starts and joins all. A single node runs on the calling thread. */
void world_start(world *w, uint32_t node);
void world_join(world *w, uint32_t node);
void world_run(world *w);

/* Checks that nothing was left behind in any node, and frees them; or frees them as they are. */
void world_close(world *w);
void world_free(world *w);

#endif
