#include "actors/executor/executor_msgs.h"
#define SL_PROTOCOL "actors/executor/executor_msgs.def"
#include "runtime/protocol_define.h"
