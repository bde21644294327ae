/* Many senders, one slow actor: on node 0 lives the actor, on every node live senders that send as
 * fast as they may and wait for room when refused. Checks that all arrives in order, that control
 * messages overtake, and that memory is bounded by the mailbox and the windows; then stops the
 * network. */
#ifndef SL_TESTS_SCENARIO_PRESSURE_H
#define SL_TESTS_SCENARIO_PRESSURE_H

#include "runtime/node.h"

typedef struct scenario_pressure_options {
    uint32_t senders;    /* of each node */
    uint32_t messages;   /* of each sender */
    uint32_t body_bytes; /* of each message */
    uint32_t blob_bytes; /* of each message; 0: no blob */
    uint32_t mailbox_limit;
} scenario_pressure_options;

typedef struct scenario_pressure_result {
    uint64_t received;
    uint64_t overtaken;    /* control messages that came before data sent earlier */
    uint64_t urgent;       /* control messages received */
    uint64_t refused;      /* by senders of this node */
    uint64_t waiting_most; /* messages in mailboxes of this node */
    uint64_t queued_most;  /* bytes waiting to leave this node */
    uint64_t memory_most;
    uint64_t blobs_most; /* bytes alive in this process */
} scenario_pressure_result;

void scenario_pressure_spawn(sl_node *node, const scenario_pressure_options *options,
                             scenario_pressure_result *result);

#endif
