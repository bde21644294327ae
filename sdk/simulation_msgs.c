#include "sdk/simulation_msgs.h"
#define SL_PROTOCOL "sdk/simulation_msgs.def"
#include "runtime/protocol_define.h"
