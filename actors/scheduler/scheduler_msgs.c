#include "actors/scheduler/scheduler_msgs.h"
#define SL_PROTOCOL "actors/scheduler/scheduler_msgs.def"
#include "runtime/protocol_define.h"
