/* The promises of runtime/transport.h, checked over any transport: every node of the network runs
 * the same function at the same time, in a process or a thread of its own. Failures go to the test
 * harness. */
#ifndef SL_TESTS_TRANSPORT_CONFORMANCE_H
#define SL_TESTS_TRANSPORT_CONFORMANCE_H

#include "runtime/transport.h"

typedef struct transport_conformance_options {
    uint64_t seed;           /* the same at every node */
    uint32_t frames;         /* random frames that each node sends; 0: 2000 */
    uint64_t bulk_max_bytes; /* of the largest blob, which one pair exchanges; 0: 8 MiB */
    bool to_self;            /* this transport lets a node send to itself */
} transport_conformance_options;

/* Order, wholeness, no loss and no duplicate of random frames; a window that closes; bulk both
 * ways; sleep ended by a frame and by wake(). Afterwards the transport is quiet and as good as new.
 */
void transport_conformance_run(sl_transport *transport,
                               const transport_conformance_options *options);

/* Every node gives up its next neighbour, to and from which no bulk data must come or go any more,
 * and frames must. Afterwards the transport can only be closed. */
void transport_conformance_abandon(sl_transport *transport);

/* Neighbours give each other up and open new lives of their links, several times: bulk data of the
 * lives before never arrives, that of the present one does, frames go on in order. Afterwards the
 * transport can only be closed. */
void transport_conformance_readmit(sl_transport *transport);

/* One node's meeting with all others: nobody returns before all have called. */
void transport_conformance_meet(sl_transport *transport);

/* Two transfers are not of the length that was asked for: their bulk_received() says so, and a
 * third is not harmed. */
void transport_conformance_misfit(sl_transport *t);

#endif
