/* The actors of the message benchmark: a sender at node 0, a sink at the last node. */
#ifndef SL_BENCH_MESSAGE_ACTORS_H
#define SL_BENCH_MESSAGE_ACTORS_H

#include "bench/network.h"

typedef enum message_kind {
    MESSAGE_BURSTS,   /* 8 B, 256 at a time, the next when they are handled: same node */
    MESSAGE_FLOOD,    /* 16 B, as many as the window lets through */
    MESSAGE_PING,     /* 8 B to and fro */
    MESSAGE_PER_TURN, /* 8 B, one each turn of the loop */
    MESSAGE_PARCELS   /* blobs, `window` under way */
} message_kind;

typedef struct message_case {
    message_kind kind;
    bool mpi, apart; /* as in network_plan */
    uint32_t nodes;
    uint64_t count; /* messages timed, after a tenth of them to warm up */
    uint64_t bytes; /* of a blob */
    uint32_t window;
    double seconds; /* out, at node 0: from the first send until all are handled and this is known
                     */
} message_case;

/* Runs the case on a network of its own. */
void message_measure(message_case *c);

#endif
