/* All ranks drive: each submits and waits for its own, and leaves when it likes. */
#include "tests/lib/test.h"

#include <unistd.h>

#include "starlane.h"

SL_TASK(add) {
    return sl_return_i64(call, sl_arg_i64(call, 0) + sl_arg_i64(call, 1));
}

SL_TASK(sum_to) {
    int64_t n = sl_arg_i64(call, 0);
    if (n == 0)
        return sl_return_i64(call, 0);
    sl_future *rest = sl_submit(&sum_to, SL_ARGS(sl_i64(n - 1)));
    int error = sl_wait(rest, 60);
    if (error == 0)
        error = sl_return_i64(call, n + sl_result_i64(rest));
    sl_release(rest);
    return error;
}

static void check_chain(int64_t rank) {
    sl_future *sum = sl_submit(&add, SL_ARGS(sl_i64(rank), sl_i64(0)));
    for (int64_t i = 1; i <= 100; i++) {
        sl_future *next = sl_submit(&add, SL_ARGS(sl_wait_for(sum), sl_i64(i)));
        sl_release(sum);
        sum = next;
    }
    CHECK_INT(sl_wait(sum, 60), 0);
    CHECK_INT(sl_result_i64(sum), 5050 + rank);
    sl_release(sum);
}

static void check_batch(int64_t rank) {
    enum { COUNT = 500 };
    sl_value values[COUNT][2];
    sl_args args[COUNT];
    sl_future *futures[COUNT];
    for (int i = 0; i < COUNT; i++) {
        values[i][0] = sl_i64(i);
        values[i][1] = sl_i64(rank);
        args[i] = (sl_args){values[i], 2};
    }
    CHECK_INT(sl_submit_batch(&add, args, COUNT, NULL, futures), 0);
    CHECK_INT(sl_wait_all(futures, COUNT, 60), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(sl_result_i64(futures[i]), i + rank);
        sl_release(futures[i]);
    }
}

TEST(every_rank_drives) {
    int error = sl_init(NULL, NULL, &(sl_init_options){.all_drive = 1});
    if (error)
        fprintf(stderr, "%s\n", sl_error_text());
    REQUIRE(error == 0);
    int64_t rank = sl_rank();
    check_chain(rank);
    check_batch(rank);
    sl_future *deep = sl_submit(&sum_to, SL_ARGS(sl_i64(20)));
    int error_deep = sl_wait(deep, 60);
    CHECK_STR(error_deep ? sl_error_text() : "", "");
    CHECK_INT(sl_result_i64(deep), 210);
    sl_release(deep);
    usleep((useconds_t)(rank * 20000)); /* they leave one after another */
    CHECK_INT(sl_shutdown(), 0);
}
