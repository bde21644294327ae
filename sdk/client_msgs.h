/* The protocol between the clients of a network. */
#ifndef SL_SDK_CLIENT_MSGS_H
#define SL_SDK_CLIENT_MSGS_H
#define SL_PROTOCOL "sdk/client_msgs.def"
#include "runtime/protocol.h"
#endif
