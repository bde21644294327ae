/* The scheduler's protocol: what other actors include of it. */
#ifndef SL_SCHEDULER_MSGS_H
#define SL_SCHEDULER_MSGS_H
#define SL_PROTOCOL "actors/scheduler/scheduler_msgs.def"
#include "runtime/protocol.h"
#endif
