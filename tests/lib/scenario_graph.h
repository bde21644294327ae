/* Random graphs of messages: actors on all nodes send parcels of all sizes to random actors, which
 * send them on. Checks order for each pair and lane, content, and that every parcel arrived once;
 * then stops the network. Every node of the network calls scenario_graph_spawn() with the same
 * options. */
#ifndef SL_TESTS_SCENARIO_GRAPH_H
#define SL_TESTS_SCENARIO_GRAPH_H

#include "runtime/node.h"

typedef struct scenario_graph_options {
    uint64_t seed;
    uint32_t actors;      /* of each node */
    uint32_t parcels;     /* that each actor starts */
    uint32_t hops;        /* that each parcel makes after the first */
    uint32_t body_bytes;  /* largest filler, at most 1,000,000 */
    uint32_t blob_bytes;  /* largest blob */
    uint32_t urgent_each; /* one control message for so many parcels; 0: none */
} scenario_graph_options;

typedef struct scenario_graph_result {
    uint64_t sent;
    uint64_t received;
    uint64_t errors;
    uint64_t refused;        /* sends that had to be tried again */
    uint64_t memory_bytes;   /* most seen */
    uint64_t total_received; /* of all nodes; node 0 knows */
    uint64_t total_errors;
} scenario_graph_result;

/* `result` lives until the node has run, and is this node's alone. */
void scenario_graph_spawn(sl_node *node, const scenario_graph_options *options,
                          scenario_graph_result *result);

/* What total_received must be. */
uint64_t scenario_graph_total(const scenario_graph_options *options, uint32_t nodes);

#endif
