#include "actors/registry/registry_msgs.h"
#define SL_PROTOCOL "actors/registry/registry_msgs.def"
#include "runtime/protocol_define.h"
