/* The protocol of the roster. */
#ifndef SL_ROSTER_MSGS_H
#define SL_ROSTER_MSGS_H
#define SL_PROTOCOL "actors/roster/roster_msgs.def"
#include "runtime/protocol.h"
#endif
