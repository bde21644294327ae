/* Maps of the application interface, on networks inside this process. */
#include "tests/lib/test.h"

#include <unistd.h>

#include "starlane.h"

SL_TASK(scale) {
    size_t count;
    const float *in = sl_arg_array(call, 0, SL_F32, &count);
    double by = sl_arg_f64(call, 1);
    const sl_value *value = sl_arg(call, 0);
    if (!in)
        return 0;
    float *out = sl_return_array(call, SL_F32, value->dimensions, value->shape);
    if (!out)
        return 1;
    for (size_t i = 0; i < count; i++)
        out[i] = in[i] * (float)by;
    return 0;
}

/* Answers the kind of each argument as a letter. */
SL_TASK(describe) {
    char text[64] = "";
    for (size_t i = 0; i < sl_arg_count(call) && i < sizeof text - 1; i++)
        text[i] = "nbsaf"[sl_arg(call, i)->type];
    return sl_return_string(call, text);
}

SL_TASK(sleep_ms, .cpus = SL_NO_CPUS) {
    for (int64_t left = sl_arg_i64(call, 0); left > 0 && !sl_call_cancelled(call); left--)
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

TEST(map_gathers_what_pieces_return) {
    enum { ROWS = 10007, COLUMNS = 3 };
    static float numbers[ROWS * COLUMNS];
    static const size_t chunks[] = {0, 1000, ROWS, 4 * ROWS, 13};
    size_t count;
    join(2);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        numbers[i] = (float)i;
    for (int c = 0; c < 5; c++) {
        sl_future *future =
            sl_map(&scale, sl_array(SL_F32, numbers, 2, (size_t[]){ROWS, COLUMNS}),
                   &(sl_map_options){.chunk = chunks[c], .args = SL_ARGS(sl_f64(2))});
        CHECK_INT(sl_wait(future, SL_FOREVER), 0);
        const sl_value *value = sl_result(future);
        REQUIRE(value);
        CHECK_INT(value->dimensions, 2);
        CHECK_INT(value->shape[0], ROWS);
        CHECK_INT(value->shape[1], COLUMNS);
        const float *result = sl_result_array(future, SL_F32, &count);
        CHECK_INT(count, ROWS * COLUMNS);
        int wrong = 0;
        for (int i = 0; i < ROWS * COLUMNS; i++)
            wrong += result[i] != (float)i * 2;
        CHECK_INT(wrong, 0);
        sl_release(future);
    }
    CHECK_INT(sl_shutdown(), 0);
}

TEST(a_map_is_an_argument) {
    static float numbers[30000];
    size_t count;
    join(2);
    for (int i = 0; i < 30000; i++)
        numbers[i] = 1;
    sl_map_options options = {.chunk = 1000, .args = SL_ARGS(sl_f64(3))};
    sl_future *map = sl_map(&scale, sl_vector(SL_F32, numbers, 30000), &options);
    sl_future *after = sl_submit(&scale, SL_ARGS(sl_wait_for(map), sl_f64(5)));
    sl_release(map);
    CHECK_INT(sl_wait(after, SL_FOREVER), 0);
    const float *result = sl_result_array(after, SL_F32, &count);
    CHECK_INT(count, 30000);
    CHECK(result && result[0] == 15 && result[29999] == 15);
    sl_release(after);
    options.args = SL_ARGS(sl_f64(2));
    map = sl_map(&scale, sl_vector(SL_F32, numbers, 0), &options);
    CHECK_INT(sl_wait(map, SL_FOREVER), 0);
    CHECK_INT(sl_value_count(sl_result(map)), 0);
    sl_release(map);
    CHECK_INT(sl_shutdown(), 0);
}

TEST(a_map_fails_with_its_piece) {
    static float numbers[10000];
    join(2);
    sl_map_options options = {.chunk = 100};
    sl_future *future = sl_map(&scale, sl_vector(SL_F32, numbers, 10000), &options);
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "piece ");
    CHECK_CONTAINS(sl_error_text(), "argument 1 of task scale is missing");
    sl_release(future);
    future = sl_map(&describe, sl_vector(SL_F32, numbers, 10000), &options);
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "a string");
    sl_release(future);
    CHECK(sl_map(&scale, sl_f64(1), NULL) == NULL);
    CHECK(sl_map(NULL, sl_vector(SL_F32, numbers, 1), NULL) == NULL);
    sl_future *slow = sl_submit(&sleep_ms, SL_ARGS(sl_i64(20000)));
    options.args = SL_ARGS(sl_wait_for(slow));
    future = sl_map(&describe, sl_vector(SL_F32, numbers, 10000), &options);
    sl_cancel(future);
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_CANCELLED);
    sl_release(future);
    sl_cancel(slow);
    sl_release(slow);
    CHECK_INT(sl_shutdown(), 0);
}
