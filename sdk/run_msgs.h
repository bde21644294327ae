/* The protocol between the nodes of a run and the actor that drives it. */
#ifndef SL_SDK_RUN_MSGS_H
#define SL_SDK_RUN_MSGS_H
#define SL_PROTOCOL "sdk/run_msgs.def"
#include "runtime/protocol.h"
#endif
