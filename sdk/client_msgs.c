#include "sdk/client_msgs.h"
#define SL_PROTOCOL "sdk/client_msgs.def"
#include "runtime/protocol_define.h"
