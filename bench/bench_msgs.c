#include "bench/bench_msgs.h"
#define SL_PROTOCOL "bench/bench_msgs.def"
#include "runtime/protocol_define.h"
