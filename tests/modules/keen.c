/* A module that is brought sealed: what it is called, given and says is nobody's but its client's.
 */
#include <stdlib.h>
#include <string.h>

#include <starlane.h>

SL_TASK(keen_echo) {
    size_t bytes;
    const void *data = sl_arg_bytes(call, 0, &bytes);
    return sl_return_bytes(call, data, bytes);
}

SL_TASK(keen_count) {
    size_t bytes;
    const unsigned char *data = sl_arg_bytes(call, 0, &bytes);
    int64_t sum = 0;
    for (size_t i = 0; data && i < bytes; i++)
        sum += data[i];
    return sl_return_i64(call, sum);
}

SL_TASK(keen_word) {
    return sl_return_string(call, sl_arg_string(call, 0));
}

SL_TASK(keen_halve) {
    size_t count;
    const double *in = sl_arg_array(call, 0, SL_F64, &count);
    double *out = sl_return_array(call, SL_F64, 1, &count);
    for (size_t i = 0; out && i < count; i++)
        out[i] = in[i] / 2;
    return 0;
}

SL_TASK(keen_refusal) {
    return sl_call_fail(call, "%s", sl_arg_string(call, 0));
}

SL_TASK(keen_node) {
    return sl_return_i64(call, sl_call_node(call));
}

/* Whether it may submit another of its own in the clear: it may not. */
SL_TASK(keen_careless) {
    sl_future *future = sl_submit(&keen_word, SL_ARGS(sl_string(sl_arg_string(call, 0))));
    if (!future)
        return sl_return_string(call, sl_error_text());
    sl_release(future);
    return sl_call_fail(call, "it went in the clear");
}

/* Another of its own, sealed, by keys that it opens where it runs. */
SL_TASK(keen_careful) {
    sl_keys *keys;
    char text[200];
    if (sl_keys_open(sl_arg_string(call, 0), sl_arg_string(call, 1), NULL, &keys) != 0)
        return sl_call_fail(call, "%s", sl_error_text());
    const sl_seal seal = {.keys = keys};
    const sl_task_options sealed = {.cpus = SL_NO_CPUS, .sealed = &seal};
    sl_future *future =
        sl_submit_with(&keen_word, SL_ARGS(sl_string(sl_arg_string(call, 2))), &sealed);
    int err = sl_wait(future, 30);
    strncpy(text, err ? sl_error_text() : sl_result_string(future), sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sl_release(future);
    sl_keys_close(keys);
    return err ? sl_call_fail(call, "%s", text) : sl_return_string(call, text);
}

SL_TASK(keen_object) {
    sl_object *object = sl_put(sl_i64(1));
    int err = sl_return_object(call, object);
    sl_object_release(object);
    return err;
}
