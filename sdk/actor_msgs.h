/* The protocol between the hosts of user actors. */
#ifndef SL_SDK_ACTOR_MSGS_H
#define SL_SDK_ACTOR_MSGS_H
#define SL_PROTOCOL "sdk/actor_msgs.def"
#include "runtime/protocol.h"
#endif
