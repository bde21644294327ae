/* A module whose tasks have the names of those of another. */
#include <starlane.h>

SL_TASK(square) {
    double x = sl_arg_f64(call, 0);
    return sl_return_f64(call, -x * x);
}

SL_TASK(who) {
    return sl_return_string(call, "two");
}
