#include "sdk/actor_msgs.h"
#define SL_PROTOCOL "sdk/actor_msgs.def"
#include "runtime/protocol_define.h"
