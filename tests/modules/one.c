/* A module as a user writes one. */
#include <starlane.h>

static int constructed;

__attribute__((constructor)) static void count(void) {
    __atomic_fetch_add(&constructed, 1, __ATOMIC_SEQ_CST);
}

SL_TASK(square) {
    double x = sl_arg_f64(call, 0);
    return sl_return_f64(call, x * x);
}

SL_TASK(who) {
    return sl_return_string(call, "one");
}

SL_TASK(refuse, .retries = 1, .priority = 7, .memory_bytes = 1 << 20) {
    return sl_call_fail(call, "I refuse %s", sl_arg_string(call, 0));
}

/* How often this copy of the module was constructed: once. */
SL_TASK(constructions) {
    return sl_return_i64(call, __atomic_load_n(&constructed, __ATOMIC_SEQ_CST));
}

SL_TASK(node, .cpus = 1) {
    return sl_return_i64(call, sl_call_node(call));
}

SL_TASK(double_all) {
    size_t count;
    const float *in = sl_arg_array(call, 0, SL_F32, &count);
    float *out = sl_return_array(call, SL_F32, 1, &count);
    for (size_t i = 0; out && i < count; i++)
        out[i] = 2 * in[i];
    return 0;
}

/* Submits another task of its module, and waits for it. */
SL_TASK(sum_of_squares) {
    double sum = 0;
    int64_t count = sl_arg_i64(call, 0);
    for (int64_t i = 0; i < count; i++) {
        sl_future *one = sl_submit(&square, SL_ARGS(sl_f64((double)i)));
        if (sl_wait(one, SL_FOREVER) != 0)
            return sl_call_fail(call, "%s", sl_error_text());
        sum += sl_result_f64(one);
        sl_release(one);
    }
    return sl_return_f64(call, sum);
}

/* Submits another task of its module, which may run when this one has long ended. */
SL_TASK(leave_behind) {
    sl_future *later = sl_submit(&square, SL_ARGS(sl_f64(2)));
    if (!later)
        return sl_call_fail(call, "%s", sl_error_text());
    sl_release(later);
    return 0;
}

SL_TASK(make_object) {
    size_t count = (size_t)sl_arg_i64(call, 0);
    void *data;
    sl_object *object = sl_object_create(sl_vector(SL_F64, NULL, count), &data);
    if (!object)
        return sl_call_fail(call, "%s", sl_error_text());
    for (size_t i = 0; i < count; i++)
        ((double *)data)[i] = 1;
    sl_object_seal(object);
    int error = sl_return_object(call, object);
    sl_object_release(object);
    return error;
}

SL_TASK(sum_object) {
    sl_view view;
    if (sl_get(sl_arg_object(call, 0), 30, &view) != 0)
        return sl_call_fail(call, "%s", sl_error_text());
    double sum = 0;
    for (size_t i = 0; i < sl_value_count(&view.value); i++)
        sum += ((const double *)view.value.data)[i];
    sl_view_release(&view);
    return sl_return_f64(call, sum);
}
