/* A module that needs what nobody has. */
#include <starlane.h>

double nobody_has_this(double x);

SL_TASK(who) {
    return sl_return_f64(call, nobody_has_this(sl_arg_f64(call, 0)));
}
