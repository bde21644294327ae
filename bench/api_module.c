/* The module that `starlane-bench api` measures: a task that the program has too, and 1 MiB. */
#include <starlane.h>

static const unsigned char ballast[1 << 20] = {1};

SL_TASK(add_one) {
    size_t at = (size_t)sl_arg_count(call) & (sizeof ballast - 1);
    return sl_return_i64(call, sl_arg_i64(call, 0) + 1 +
                                   (((volatile const unsigned char *)ballast)[at] & 2));
}
