/* What the actors of a simulated network say to each other. */
#ifndef SL_SDK_SIMULATION_MSGS_H
#define SL_SDK_SIMULATION_MSGS_H
#define SL_PROTOCOL "sdk/simulation_msgs.def"
#include "runtime/protocol.h"
#endif
