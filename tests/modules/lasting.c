/* A module that cannot be unloaded once it is loaded: linked with -z nodelete. */
#include <starlane.h>

SL_TASK(who) {
    return sl_return_string(call, "lasting");
}
