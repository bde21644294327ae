#include "runtime/runtime_msgs.h"
#define SL_PROTOCOL "runtime/runtime_msgs.def"
#include "runtime/protocol_define.h"
