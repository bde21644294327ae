#include "tests/lib/test_msgs.h"
#define SL_PROTOCOL "tests/lib/test_msgs.def"
#include "runtime/protocol_define.h"
