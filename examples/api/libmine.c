/* A module: tasks for networks that were built and started without them.
 *
 *     cc -shared -fPIC libmine.c -o libmine.so $(pkg-config --cflags --libs starlane)
 *     starlane submit --connect URL --project demo --module libmine.so --function count_primes 0
 * 1000000
 *
 * Or by a program: module.c. */
#include <starlane.h>
#include <stdbool.h>

static bool is_prime(int64_t number) {
    for (int64_t divisor = 2; divisor * divisor <= number; divisor++)
        if (number % divisor == 0)
            return false;
    return number > 1;
}

SL_TASK(count_primes, .retries = 1) {
    int64_t from = sl_arg_i64(call, 0), to = sl_arg_i64(call, 1), primes = 0;
    if (from < 0 || to < from)
        return sl_call_fail(call, "no range: %lld to %lld", (long long)from, (long long)to);
    for (int64_t number = from; number < to && !sl_call_cancelled(call); number++)
        primes += is_prime(number);
    return sl_return_i64(call, primes);
}

/* Submits tasks of its own module: one a tenth. */
SL_TASK(count_primes_in_tenths) {
    enum { PARTS = 10 };
    sl_future *parts[PARTS];
    int64_t to = sl_arg_i64(call, 0), primes = 0;
    for (int64_t i = 0; i < PARTS; i++)
        parts[i] =
            sl_submit(&count_primes, SL_ARGS(sl_i64(to * i / PARTS), sl_i64(to * (i + 1) / PARTS)));
    for (int64_t i = 0; i < PARTS; i++) {
        if (sl_wait(parts[i], SL_FOREVER) == 0)
            primes += sl_result_i64(parts[i]);
        else
            sl_call_fail(call, "%s", sl_error_text());
        sl_release(parts[i]);
    }
    return sl_return_i64(call, primes);
}
