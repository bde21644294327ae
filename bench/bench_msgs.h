#ifndef SL_BENCH_BENCH_MSGS_H
#define SL_BENCH_BENCH_MSGS_H
#define SL_PROTOCOL "bench/bench_msgs.def"
#include "runtime/protocol.h"
#endif
