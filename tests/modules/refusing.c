/* A module that finds that it cannot be used. */
#include <starlane.h>

__attribute__((constructor)) static void look(void) {
    sl_module_fail("the licence of %d has expired", 1999);
}

SL_TASK(who) {
    return sl_return_string(call, "refusing");
}
