/* The registry's protocol: what other actors include of it. */
#ifndef SL_REGISTRY_MSGS_H
#define SL_REGISTRY_MSGS_H

/* Of a node in the network. Only forward: a node that was dead and comes back has a new
 * incarnation. */
typedef enum sl_member_state {
    SL_MEMBER_JOINING,
    SL_MEMBER_ALIVE,
    SL_MEMBER_SUSPECTED,
    SL_MEMBER_LEAVING,
    SL_MEMBER_DEAD,
    SL_MEMBER_STATES
} sl_member_state;

#define SL_PROTOCOL "actors/registry/registry_msgs.def"
#include "runtime/protocol.h"
#endif
