/* The store's protocol: what other actors include of it. */
#ifndef SL_STORE_MSGS_H
#define SL_STORE_MSGS_H
#define SL_PROTOCOL "actors/store/store_msgs.def"
#include "runtime/protocol.h"
#endif
