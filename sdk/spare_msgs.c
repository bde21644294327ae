#include "sdk/spare_msgs.h"
#define SL_PROTOCOL "sdk/spare_msgs.def"
#include "runtime/protocol_define.h"
