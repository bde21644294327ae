/* The protocol between the spare ranks of a host. */
#ifndef SL_SDK_SPARE_MSGS_H
#define SL_SDK_SPARE_MSGS_H
#define SL_PROTOCOL "sdk/spare_msgs.def"
#include "runtime/protocol.h"
#endif
