#include "actors/store/store_msgs.h"
#define SL_PROTOCOL "actors/store/store_msgs.def"
#include "runtime/protocol_define.h"
