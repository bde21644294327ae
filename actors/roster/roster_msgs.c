#include "actors/roster/roster_msgs.h"
#define SL_PROTOCOL "actors/roster/roster_msgs.def"
#include "runtime/protocol_define.h"
