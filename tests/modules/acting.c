/* A module with an actor, which modules do not have. */
#include <starlane.h>

SL_ACTOR(counter, .state_bytes = sizeof(int64_t)) {
    return sl_return_i64(call, ++*(int64_t *)state);
}

SL_TASK(who) {
    return sl_return_string(call, "acting");
}
