/* Tasks that submit tasks and wait for them, on networks inside this process. */
#include "tests/lib/test.h"

#include <unistd.h>

#include "starlane.h"

SL_TASK(square) {
    double x = sl_arg_f64(call, 0);
    return sl_return_f64(call, x * x);
}

SL_TASK(sleep_ms, .cpus = SL_NO_CPUS) {
    for (int64_t left = sl_arg_i64(call, 0); left > 0 && !sl_call_cancelled(call); left--)
        usleep(1000);
    return 0;
}

SL_TASK_DECLARE(fibonacci);
SL_TASK(fibonacci) {
    int64_t n = sl_arg_i64(call, 0);
    if (n < 2)
        return sl_return_i64(call, n);
    sl_future *parts[2] = {sl_submit(&fibonacci, SL_ARGS(sl_i64(n - 1))),
                           sl_submit(&fibonacci, SL_ARGS(sl_i64(n - 2)))};
    int error = sl_wait_all(parts, 2, SL_FOREVER);
    if (error == 0)
        error = sl_return_i64(call, sl_result_i64(parts[0]) + sl_result_i64(parts[1]));
    sl_release(parts[0]);
    sl_release(parts[1]);
    return error;
}

/* Waits in each way there is, for what a network of one core can only run meanwhile. */
SL_TASK(wait_inside) {
    sl_future *futures[20];
    size_t index;
    for (int i = 0; i < 20; i++)
        futures[i] = sl_submit(&square, SL_ARGS(sl_f64(i)));
    double sum = 0;
    for (int left = 20; left; left--) {
        if (sl_wait_any(futures, 20, 30, &index) != 0 || sl_wait(futures[index], 30) != 0)
            return sl_call_fail(call, "inside: %s", sl_error_text());
        sum += sl_result_f64(futures[index]);
        sl_release(futures[index]);
        futures[index] = NULL;
    }
    return sl_return_f64(call, sum);
}

SL_TASK(wait_too_briefly, .brief = 1) {
    sl_future *future = sl_submit(&sleep_ms, SL_ARGS(sl_i64(1)));
    int error = sl_wait(future, SL_FOREVER);
    sl_release(future);
    return error;
}

SL_TASK(never_ends, .timeout_s = 0.05) {
    while (!sl_call_cancelled(call))
        usleep(1000);
    return 0;
}

static void join(uint32_t nodes) {
    sl_init_options options = {.nodes = nodes};
    if (sl_init(NULL, NULL, &options) != 0) {
        fprintf(stderr, "%s\n", sl_error_text());
        abort();
    }
}

static sl_options *options_with(const char *nodes, const char *cpus) {
    sl_options *options = NULL;
    if (sl_options_create(&options) != 0 || sl_options_set(options, "nodes", nodes) != 0 ||
        sl_options_set(options, "cpus", cpus) != 0)
        abort();
    return options;
}

/* One core, and it is given back by every task that waits. */
TEST(tasks_submit_tasks_and_wait_for_them) {
    static const char *const shapes[][2] = {{"1", "1"}, {"2", "1"}, {"1", "2"}};
    for (int i = 0; i < 3; i++) {
        sl_options *own = options_with(shapes[i][0], shapes[i][1]);
        CHECK_INT(sl_init(NULL, NULL, &(sl_init_options){.options = own}), 0);
        sl_future *futures[3] = {sl_submit(&fibonacci, SL_ARGS(sl_i64(12))),
                                 sl_submit(&wait_inside, SL_NO_ARGS),
                                 sl_submit(&fibonacci, SL_ARGS(sl_i64(10)))};
        CHECK_INT(sl_wait_all(futures, 3, 60), 0);
        CHECK_INT(sl_result_i64(futures[0]), 144);
        CHECK_DOUBLE(sl_result_f64(futures[1]), 2470, 0);
        CHECK_INT(sl_result_i64(futures[2]), 55);
        for (int j = 0; j < 3; j++)
            sl_release(futures[j]);
        CHECK_INT(sl_shutdown(), 0);
        sl_options_destroy(own);
    }
}

TEST(a_brief_task_may_not_wait) {
    join(1);
    int errors = 0;
    for (int i = 0; i < 200; i++) {
        sl_future *future = sl_submit(&wait_too_briefly, SL_NO_ARGS);
        errors += sl_wait(future, SL_FOREVER) != 0;
        sl_release(future);
    }
    CHECK_INT(errors, 200);
    CHECK_INT(sl_shutdown(), 0);
}

TEST(a_time_limit_ends_the_wait) {
    join(1);
    sl_future *future = sl_submit(&never_ends, SL_NO_ARGS);
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "longer than its 0.05 s");
    sl_release(future);
    CHECK_INT(sl_shutdown(), 0);
}

/* Tasks that wait for tasks as the network is left: nobody hangs. */
TEST(shutdown_while_tasks_wait) {
    for (int i = 0; i < 20; i++) {
        join(2);
        sl_future *future = sl_submit(&fibonacci, SL_ARGS(sl_i64(20)));
        usleep((useconds_t)(i * 1500));
        CHECK_INT(sl_shutdown(), 0);
        CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_CLOSED);
        sl_release(future);
    }
}
