/* The roster: which nodes there are to seal tasks for. Every node has one. Asked by another, it
 * says who its node is; asked by a thread or an actor of its own process, it asks all nodes that
 * live and tells what they said. Credentials are bytes here: who seals believes them as far as
 * the authority goes that it has pinned. */
#ifndef SL_ACTORS_ROSTER_H
#define SL_ACTORS_ROSTER_H

#include "actors/roster/roster_msgs.h"

enum { SL_ROSTER_CREDENTIAL_BYTES = 512 };

typedef struct sl_roster sl_roster;

/* What a node said of itself. */
typedef struct sl_roster_node {
    uint32_t node;
    uint32_t bytes;
    uint8_t credential[SL_ROSTER_CREDENTIAL_BYTES];
} sl_roster_node;

typedef struct sl_roster_options {
    uint32_t nodes; /* of the network */
    /* This node's credential; returns its bytes, 0 when it has no identity. Loop thread. */
    uint32_t (*own)(void *context, uint8_t credential[SL_ROSTER_CREDENTIAL_BYTES]);
    void *context;
} sl_roster_options;

sl_err sl_roster_create(const sl_roster_options *options, sl_roster **roster) SL_CHECKED;

/* After its node is gone. NULL is fine. */
void sl_roster_destroy(sl_roster *roster);

/* The actor; its argument is an sl_roster *. */
extern const sl_actor_class sl_roster_class;

/* Asks all nodes and waits, at most `timeout_ns`, until those that live have answered: `*list`,
 * `*count` of it, is the caller's to free(). Nodes without an identity are left out. Any thread but
 * a loop's, while the node lives. SL_ERR_TIMEOUT; SL_ERR_CLOSED: the node has ended meanwhile. */
sl_err sl_roster_gather(sl_roster *roster, uint64_t timeout_ns, sl_roster_node **list,
                        uint32_t *count) SL_CHECKED;

#endif
