#include "sdk/run_msgs.h"
#define SL_PROTOCOL "sdk/run_msgs.def"
#include "runtime/protocol_define.h"
