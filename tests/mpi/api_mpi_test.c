/* The application interface over the ranks of an MPI job. The ranks that do not drive leave inside
 * sl_init(), with the exit code that is checked by mpirun's. */
#include "tests/lib/test.h"

#include "starlane.h"

SL_TASK(where) {
    return sl_return_i64(call, sl_call_node(call));
}

SL_TASK(twice) {
    size_t count;
    const double *in = sl_arg_array(call, 0, SL_F64, &count);
    double *out = sl_return_array(call, SL_F64, 1, &count);
    for (size_t i = 0; in && out && i < count; i++)
        out[i] = 2 * in[i];
    return 0;
}

SL_TASK(complain) {
    return sl_call_fail(call, "from node %u of %u", sl_call_node(call), sl_size());
}

/* Each call waits for the next, which any rank may run. */
SL_TASK(sum_to) {
    int64_t n = sl_arg_i64(call, 0);
    if (n == 0)
        return sl_return_i64(call, 0);
    sl_future *rest = sl_submit(&sum_to, SL_ARGS(sl_i64(n - 1)));
    int error = sl_wait(rest, 60);
    if (error == 0)
        error = sl_return_i64(call, n + sl_result_i64(rest));
    else
        error = sl_call_fail(call, "%s", sl_error_text());
    sl_release(rest);
    return error;
}

static void check_nested(void) {
    sl_future *futures[8];
    for (int i = 0; i < 8; i++)
        futures[i] = sl_submit(&sum_to, SL_ARGS(sl_i64(10 * i)));
    CHECK_INT(sl_wait_all(futures, 8, 60), 0);
    for (int i = 0; i < 8; i++) {
        CHECK_INT(sl_result_i64(futures[i]), 5 * i * (10 * i + 1));
        sl_release(futures[i]);
    }
}

static void check_spread(void) {
    enum { COUNT = 2000 };
    static sl_args args[COUNT];
    static sl_future *futures[COUNT];
    uint64_t seen = 0;
    CHECK_INT(sl_submit_batch(&where, args, COUNT, NULL, futures), 0);
    CHECK_INT(sl_wait_all(futures, COUNT, SL_FOREVER), 0);
    for (int i = 0; i < COUNT; i++) {
        seen |= UINT64_C(1) << sl_result_i64(futures[i]);
        sl_release(futures[i]);
    }
    CHECK(seen != 0 && seen < UINT64_C(1) << sl_size());
    if (sl_size() > 1)
        CHECK((seen & (seen - 1)) != 0);
}

static void check_large(size_t count) {
    double *numbers = malloc(count * sizeof *numbers);
    for (size_t i = 0; i < count; i++)
        numbers[i] = (double)i;
    sl_future *futures[8];
    for (int i = 0; i < 8; i++)
        futures[i] = sl_submit(&twice, SL_ARGS(i % 2 ? sl_wait_for(futures[i - 1])
                                                     : sl_vector(SL_F64, numbers, count)));
    CHECK_INT(sl_wait_all(futures, 8, SL_FOREVER), 0);
    for (int i = 0; i < 8; i++) {
        size_t got = 0, wrong = 0;
        const double *result = sl_result_array(futures[i], SL_F64, &got);
        CHECK_INT(got, count);
        for (size_t j = 0; j < got; j++)
            wrong += result[j] != (i % 2 ? 4.0 : 2.0) * (double)j;
        CHECK_INT(wrong, 0);
        sl_release(futures[i]);
    }
    free(numbers);
}

static void check_errors(void) {
    sl_future *futures[64];
    for (int i = 0; i < 64; i++)
        futures[i] = sl_submit(&complain, SL_NO_ARGS);
    for (int i = 0; i < 64; i++) {
        CHECK_INT(sl_wait(futures[i], SL_FOREVER), SL_ERROR_FAILED);
        CHECK_CONTAINS(sl_error_text(), "from node");
        sl_release(futures[i]);
    }
}

TEST(the_first_rank_drives) {
    int error = sl_init(NULL, NULL, NULL);
    if (error)
        fprintf(stderr, "%s\n", sl_error_text());
    REQUIRE(error == 0);
    CHECK_INT(sl_rank(), 0);
    check_spread();
    check_large(100);
    check_large(1000000);
    check_errors();
    check_nested();
    CHECK_INT(sl_shutdown(), 0);
}
