#ifndef SL_TESTS_TEST_MSGS_H
#define SL_TESTS_TEST_MSGS_H
#define SL_PROTOCOL "tests/lib/test_msgs.def"
#include "runtime/protocol.h"
#endif
