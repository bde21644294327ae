/* Arguments and results of clients from outside that are too large for a message: they go as
 * objects under the hood; and such as do not keep to the rules. */
#include "tests/lib/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "sdk/remote_name.h"
#include "sdk/value.h"
#include "tests/lib/cutter.h"
#include "tests/lib/outside.h"

enum { COUNT = 18 << 20, BYTES = COUNT * 4 }; /* 72 MiB */

/* All that it is given, to check it: the sum of arrays and bytes, and the lengths of strings. */
SL_TASK(add_all) {
    double sum = 0;
    for (size_t i = 0; i < sl_arg_count(call); i++) {
        const sl_value *value = sl_arg(call, i);
        if (value->type == SL_TYPE_STRING)
            sum += (double)strlen(value->data);
        for (size_t k = 0; value->type == SL_TYPE_BYTES && k < value->bytes; k++)
            sum += ((const uint8_t *)value->data)[k];
        for (size_t k = 0; value->type == SL_TYPE_ARRAY && k < value->bytes / sizeof(float); k++)
            sum += ((const float *)value->data)[k];
    }
    return sl_return_f64(call, sum);
}

SL_TASK(count_up) {
    size_t shape[2] = {(size_t)sl_arg_i64(call, 0), 2};
    float *all = sl_return_array(call, SL_F32, 2, shape);
    for (size_t i = 0; all && i < shape[0] * shape[1]; i++)
        all[i] = (float)(i % 1000);
    return all ? 0 : 1;
}

/* So short that it runs where messages are handled, and nothing may be waited for. */
SL_TASK(last_of, .brief = 1) {
    const sl_value *value = sl_arg(call, 0);
    return sl_return_i64(call, value ? ((const uint8_t *)value->data)[value->bytes - 1] : -1);
}

SL_TASK(long_string) {
    size_t bytes = (size_t)sl_arg_i64(call, 0);
    char *text = malloc(bytes + 1);
    memset(text, 'x', bytes);
    text[bytes] = '\0';
    int err = sl_return_string(call, text);
    free(text);
    return err;
}

static float *floats(void) {
    float *all = malloc(BYTES);
    for (size_t i = 0; i < COUNT; i++)
        all[i] = (float)(i % 16);
    return all;
}

static sl_value array_of(const float *all, size_t *count) {
    *count = COUNT;
    return sl_array(SL_F32, all, 1, count);
}

static void nothing_is_held(sl_remote *remote) {
    while (outside_field(remote, "held_bytes"))
        usleep(1000);
}

static void as_arguments(sl_remote *remote) {
    float *all = floats();
    size_t count;
    char *text = malloc(40 << 20);
    memset(text, 'y', 40 << 20);
    text[(40 << 20) - 1] = '\0';
    sl_future *future = sl_remote_submit(
        remote, "add_all", SL_ARGS(sl_string("abc"), array_of(all, &count), sl_string("de")), NULL);
    REQUIRE(future != NULL);
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    CHECK(sl_result_f64(future) == COUNT * 7.5 + 5);
    sl_release(future);
    /* None of them is too large by itself; and a batch of such and others. */
    sl_value half = sl_value_bytes(all, 40 << 20), small = sl_string("f");
    const sl_args calls[3] = {SL_ARGS(small), SL_ARGS(half, sl_string(text)), SL_ARGS(small)};
    sl_future *futures[3];
    REQUIRE(sl_remote_submit_batch(remote, "add_all", calls, 3, NULL, futures) == 0);
    CHECK_INT(sl_wait_all(futures, 3, SL_FOREVER), 0);
    CHECK(sl_result_f64(futures[0]) == 1 && sl_result_f64(futures[2]) == 1);
    double sum = (40 << 20) - 1;
    for (size_t i = 0; i < 40 << 20; i++)
        sum += ((uint8_t *)all)[i];
    CHECK(sl_result_f64(futures[1]) == sum);
    for (int i = 0; i < 3; i++)
        sl_release(futures[i]);
    nothing_is_held(remote);
    free(all), free(text);
}

static void for_one_that_is_brief(sl_remote *remote) {
    enum { MANY = 500 };
    uint8_t *all = calloc(1, BYTES), few[3] = {1, 2, 3};
    static sl_args args[MANY];
    static sl_future *futures[MANY];
    const sl_value small = sl_value_bytes(few, 3);
    all[BYTES - 1] = 77;
    for (int i = 0; i < MANY; i++)
        args[i] = (sl_args){&small, 1};
    REQUIRE(sl_remote_submit_batch(remote, "last_of", args, MANY, NULL, futures) == 0);
    CHECK_INT(sl_wait_all(futures, MANY, SL_FOREVER), 0);
    for (int i = 0; i < MANY; i++)
        sl_release(futures[i]);
    for (int i = 0; i < 3; i++) {
        sl_future *future =
            sl_remote_submit(remote, "last_of", SL_ARGS(sl_value_bytes(all, BYTES)), NULL);
        CHECK_INT(sl_wait(future, SL_FOREVER), 0);
        CHECK_INT(sl_result_i64(future), 77);
        sl_release(future);
    }
    free(all);
    nothing_is_held(remote);
}

static void *read_it(void *future) {
    size_t count = 0;
    const float *all = sl_result_array(future, SL_F32, &count);
    uint64_t wrong = !all || count != COUNT;
    for (size_t i = 0; !wrong && i < COUNT; i++)
        wrong += all[i] != (float)(i % 1000);
    CHECK_INT(wrong, 0);
    return NULL;
}

static void as_results(sl_remote *remote) {
    pthread_t threads[3];
    sl_future *future = sl_remote_submit(remote, "count_up", SL_ARGS(sl_i64(COUNT / 2)), NULL),
              *text = sl_remote_submit(remote, "long_string", SL_ARGS(sl_i64(BYTES)), NULL);
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    CHECK_INT(sl_wait(text, SL_FOREVER), 0);
    CHECK_INT(outside_field(remote, "held_bytes"), 2 * (uint64_t)BYTES + 1); /* in the network */
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, read_it, future);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    const sl_value *value = sl_result(future);
    CHECK(value && value->dimensions == 2 && value->shape[0] == COUNT / 2 && value->shape[1] == 2);
    CHECK_INT(strlen(sl_result_string(text)), BYTES);
    sl_release(future), sl_release(text);
    nothing_is_held(remote);
}

/* Nobody reads it, or wants it any more, or can. */
static void not_read(sl_remote *remote) {
    for (int i = 0; i < 4; i++) {
        sl_future *future = sl_remote_submit(remote, "count_up", SL_ARGS(sl_i64(COUNT / 2)), NULL);
        if (i % 2)
            sl_cancel(future);
        if (i < 2)
            (void)sl_wait(future, SL_FOREVER);
        sl_release(future);
    }
    while (outside_field(remote, "running"))
        usleep(1000);
    nothing_is_held(remote);
    sl_remote *other = outside_join("physics", "submit");
    sl_future *late = sl_remote_submit(other, "count_up", SL_ARGS(sl_i64(COUNT / 2)), NULL);
    CHECK_INT(sl_wait(late, SL_FOREVER), 0);
    sl_disconnect(other);
    CHECK(sl_result(late) == NULL);
    CHECK_CONTAINS(sl_error_text(), "the connection is closed");
    sl_release(late);
    nothing_is_held(remote);
}

static void within_quotas(void) {
    CHECK_INT(sl_api_quota(outside_directory, "small", 0, 0, 50 << 20, 0), 0);
    sl_remote *remote = outside_join("small", "submit,read");
    float *all = floats();
    size_t count;
    CHECK(!sl_remote_submit(remote, "add_all", SL_ARGS(array_of(all, &count)), NULL));
    CHECK_CONTAINS(sl_error_text(), "more bytes than its quota allows");
    sl_future *made = sl_remote_submit(remote, "count_up", SL_ARGS(sl_i64(COUNT / 2)), NULL);
    CHECK_INT(sl_wait(made, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "more bytes than its quota allows");
    sl_release(made);
    CHECK_INT(outside_field(remote, "held_bytes"), 0);
    free(all);
    sl_disconnect(remote);
}

/* Arguments and results over a connection that breaks again and again. */
static void cut_off(void) {
    char *key = outside_key("physics", "submit,read"), url[600];
    uint16_t to, from;
    float *all = floats();
    size_t count;
    sscanf(outside_url, "starlane://127.0.0.1:%hu", &to);
    cutter *between = cutter_start(to, &from);
    snprintf(url, sizeof url, "starlane://127.0.0.1:%u%s", from, strchr(outside_url, '#'));
    sl_remote *remote;
    REQUIRE(sl_connect(url, key, "physics", NULL, &remote) == 0);
    cutter_set(between, 20 << 20);
    cutter_cut(between);
    sl_future *sum = sl_remote_submit(remote, "add_all", SL_ARGS(array_of(all, &count)), NULL),
              *made = sl_remote_submit(remote, "count_up", SL_ARGS(sl_i64(COUNT / 2)), NULL);
    CHECK_INT(sl_wait(sum, SL_FOREVER), 0);
    CHECK(sl_result_f64(sum) == COUNT * 7.5);
    CHECK_INT(sl_wait(made, SL_FOREVER), 0);
    read_it(made);
    CHECK(cutter_cuts(between) > 3);
    sl_release(sum), sl_release(made);
    cutter_set(between, 0); /* that it leaves is not to be lost: the session would be kept */
    cutter_cut(between);
    nothing_is_held(remote);
    sl_disconnect(remote);
    cutter_stop(between);
    free(all);
    sl_free(key);
}

/* ---- what is no client of ours ---- */

/* A call whose argument is said to be kept in the object of that name. */
static void call_with(sl_remote *remote, sl_value value, sl_store_id id, const char *why) {
    uint8_t wire[256];
    sl_value_size size;
    value.data = NULL;
    value.kept_ = &id;
    REQUIRE(sl_values_measure(&value, 1, &size) == SL_OK && size.bytes <= sizeof wire);
    sl_values_encode(&value, 1, wire, NULL);
    sl_future *future = sl_remote_call(remote, "add_all", wire, size.bytes, NULL);
    CHECK_INT(sl_wait(future, SL_FOREVER), why ? SL_ERROR_FAILED : 0);
    if (why)
        CHECK_CONTAINS(sl_error_text(), why);
    sl_release(future);
    if (why) /* what only repeats its argument names no object of anybody's */
        return;
    future = sl_remote_call(remote, "starlane.echo", wire, size.bytes, NULL);
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    sl_release(future);
}

static void hostile(sl_remote *good) {
    sl_remote *remote = outside_join("epsilon", "submit,read");
    uint8_t data[1000] = {1, 2, 3};
    sl_object *mine = sl_remote_put(remote, sl_value_bytes(data, sizeof data)),
              *theirs = sl_remote_put(good, sl_value_bytes(data, sizeof data)),
              *ours = sl_put(sl_value_bytes(data, sizeof data));
    sl_value bytes = sl_value_bytes(data, sizeof data);
    REQUIRE(mine && theirs && ours);
    call_with(remote, bytes, sl_remote_name_of(1), NULL);
    call_with(remote, bytes, sl_remote_name_of(2), "there is no such object");
    call_with(remote, bytes, sl_remote_name_of(SL_GATEWAY_OBJECT_OWN + 1), "there is no such");
    call_with(remote, bytes, sl_store_id_of((sl_store_object *)ours), "there is no such object");
    bytes.bytes = 999;
    call_with(remote, bytes, sl_remote_name_of(1), "data that are something else");
    bytes.bytes = (size_t)1 << 40;
    call_with(remote, bytes, sl_remote_name_of(1), "data that are something else");
    size_t count = 250;
    call_with(remote, sl_array(SL_F32, data, 1, &count), sl_remote_name_of(1), "something else");
    sl_object_release(mine), sl_object_release(theirs), sl_object_release(ours);
    nothing_is_held(remote);
    sl_disconnect(remote);
}

TEST(large_data_from_outside) {
    const char *const options[] = {"store-bytes", "600MB", NULL};
    REQUIRE(outside_begin_with(options) == 0);
    sl_remote *remote = outside_join("physics", "submit,read");
    as_arguments(remote);
    for_one_that_is_brief(remote);
    as_results(remote);
    not_read(remote);
    within_quotas();
    cut_off();
    hostile(remote);
    nothing_is_held(remote);
    sl_disconnect(remote);
    CHECK_INT(sl_shutdown(), 0);
}

/* A store without room for it. */
TEST(large_data_without_room) {
    const char *const options[] = {"store-bytes", "32MB", "store-spill", "", NULL};
    REQUIRE(outside_begin_with(options) == 0);
    sl_remote *remote = outside_join("physics", "submit,read");
    float *all = floats();
    size_t count;
    CHECK(!sl_remote_submit(remote, "add_all", SL_ARGS(array_of(all, &count)), NULL));
    CHECK(sl_error_text()[0] != '\0');
    sl_future *made = sl_remote_submit(remote, "count_up", SL_ARGS(sl_i64(COUNT / 2)), NULL);
    CHECK_INT(sl_wait(made, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "return an object");
    sl_release(made);
    nothing_is_held(remote);
    free(all);
    sl_disconnect(remote);
    CHECK_INT(sl_shutdown(), 0);
}
