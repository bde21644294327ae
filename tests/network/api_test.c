/* The application interface on networks inside this process: values, futures, waits, errors. */
#include "tests/lib/test.h"

#include <pthread.h>
#include <unistd.h>

#include "starlane.h"

/* ---- tasks ---- */

SL_TASK(square) {
    double x = sl_arg_f64(call, 0);
    return sl_return_f64(call, x * x);
}

SL_TASK(add_all, .brief = 1) {
    double sum = 0;
    for (size_t i = 0; i < sl_arg_count(call); i++)
        sum += sl_arg_f64(call, i);
    return sl_return_f64(call, sum);
}

SL_TASK(nothing, .brief = 1) {
    (void)call;
    return 0;
}

SL_TASK(refuse) {
    return sl_call_fail(call, "I refuse %s %d", "argument", 7);
}

SL_TASK(return_number) {
    return (int)sl_arg_i64(call, 0);
}

static _Atomic int ran;

SL_TASK(sleep_ms, .cpus = SL_NO_CPUS) {
    ran++;
    for (int64_t left = sl_arg_i64(call, 0); left > 0 && !sl_call_cancelled(call); left--)
        usleep(1000);
    return 0;
}

SL_TASK(fail_until, .retries = 3) {
    if (sl_call_attempt(call) < (uint32_t)sl_arg_i64(call, 0))
        return sl_call_fail(call, "attempt %u", sl_call_attempt(call));
    return sl_return_i64(call, sl_call_attempt(call));
}

/* Answers the kind of each argument as a letter. */
SL_TASK(describe) {
    char text[64] = "";
    for (size_t i = 0; i < sl_arg_count(call) && i < sizeof text - 1; i++)
        text[i] = "nbsaf"[sl_arg(call, i)->type];
    return sl_return_string(call, text);
}

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

SL_TASK(where, .cpus = 1) {
    usleep(2000); /* long enough that one node alone is not the best place for all */
    return sl_return_i64(call, sl_call_node(call));
}

/* ---- helpers ---- */

static void join(uint32_t nodes) {
    sl_init_options options = {.nodes = nodes};
    if (sl_init(NULL, NULL, &options) != 0) {
        fprintf(stderr, "%s\n", sl_error_text());
        abort();
    }
}

static sl_options *options_for_run(char *output, size_t size) {
    sl_options *options = NULL;
    snprintf(output, size, "%s/run", sl_test_dir());
    if (sl_options_create(&options) != 0 || sl_options_set(options, "output", output) != 0)
        abort();
    return options;
}

/* ---- tests ---- */

TEST(without_a_network_nothing_is_submitted) {
    CHECK(sl_submit(&square, SL_ARGS(sl_f64(2))) == NULL);
    CHECK_CONTAINS(sl_error_text(), "sl_init");
    CHECK_INT(sl_wait(NULL, 0), SL_ERROR_INVALID);
    CHECK_CONTAINS(sl_error_text(), "sl_init");
    CHECK_INT(sl_shutdown(), SL_ERROR_CLOSED);
    CHECK_INT(sl_size(), 0);
}

TEST(a_task_answers) {
    join(1);
    CHECK(sl_init(NULL, NULL, NULL) != 0);
    CHECK_INT(sl_size(), 1);
    sl_future *future = sl_submit(&square, SL_ARGS(sl_f64(3)));
    REQUIRE(future);
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    CHECK_INT(sl_state_of(future), SL_FUTURE_DONE);
    CHECK_DOUBLE(sl_result_f64(future), 9, 0);
    CHECK_INT(sl_wait(future, 0), 0); /* as often as one likes */
    CHECK_INT(sl_shutdown(), 0);
    CHECK_DOUBLE(sl_result_f64(future), 9, 0); /* results outlive the network */
    sl_release(future);
}

TEST(errors_travel_with_their_message) {
    join(2);
    sl_future *future = sl_submit(&refuse, SL_NO_ARGS);
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_STR(sl_error_text(), "I refuse argument 7");
    CHECK(sl_result(future) == NULL);
    CHECK_INT(sl_state_of(future), SL_FUTURE_FAILED);
    sl_release(future);

    future = sl_submit(&return_number, SL_ARGS(sl_i64(-3)));
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "return_number returned -3");
    sl_release(future);

    future = sl_submit(&fail_until, SL_ARGS(sl_i64(3)));
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    CHECK_INT(sl_result_i64(future), 3);
    sl_release(future);
    future = sl_submit(&fail_until, SL_ARGS(sl_i64(9)));
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_STR(sl_error_text(), "attempt 4");
    sl_release(future);

    sl_task_options vast = square.options;
    vast.memory_bytes = (uint64_t)1 << 60;
    future = sl_submit_with(&square, SL_ARGS(sl_f64(1)), &vast);
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "no node of the network could ever run it");
    sl_release(future);
    CHECK_INT(sl_shutdown(), 0);
}

TEST(wrong_types_are_named) {
    join(1);
    sl_future *future = sl_submit(&square, SL_ARGS(sl_string("three")));
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_STR(sl_error_text(), "argument 0 of task square is a string, not a number f64");
    sl_release(future);
    future = sl_submit(&square, SL_NO_ARGS);
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_STR(sl_error_text(), "argument 0 of task square is missing: it was given 0");
    sl_release(future);
    future = sl_submit(&scale, SL_ARGS(sl_i64(1), sl_f64(2)));
    CHECK(sl_wait(future, SL_FOREVER) != 0);
    CHECK_STR(sl_error_text(), "argument 0 of task scale is a number i64, not an array f32");
    sl_release(future);

    future = sl_submit(&describe, SL_ARGS(sl_f64(1)));
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    CHECK_DOUBLE(sl_result_f64(future), 0, 0);
    CHECK_STR(sl_error_text(), "the result of task describe is a string, not a number f64");
    sl_release(future);
    future = sl_submit(&nothing, SL_NO_ARGS);
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    CHECK_INT(sl_result(future)->type, SL_TYPE_NONE);
    CHECK_STR(sl_result_string(future), "");
    sl_release(future);
    CHECK_INT(sl_shutdown(), 0);
}

TEST(bad_submits_are_refused) {
    sl_task unknown = {.name = "unknown", .body = square.body};
    sl_task_options bad = square.options;
    sl_value none = {.type = (sl_type)77};
    float numbers[2] = {1, 2};
    join(1);
    CHECK(sl_submit(NULL, SL_NO_ARGS) == NULL);
    CHECK(sl_submit(&unknown, SL_NO_ARGS) == NULL);
    CHECK_CONTAINS(sl_error_text(), "SL_TASK");
    CHECK(sl_submit(&square, SL_ARGS(none)) == NULL);
    CHECK_CONTAINS(sl_error_text(), "argument 0");
    CHECK(sl_submit(&square, SL_ARGS(sl_f64(1), sl_string(NULL))) == NULL);
    CHECK_CONTAINS(sl_error_text(), "argument 1");
    CHECK(sl_submit(&square, SL_ARGS(sl_wait_for(NULL))) == NULL);
    CHECK(sl_submit(&square, SL_ARGS(sl_array(SL_F32, numbers, 9, NULL))) == NULL);
    CHECK(sl_submit(&square, SL_ARGS(sl_array((sl_dtype)99, numbers, 1, (size_t[]){2}))) == NULL);
    CHECK(sl_submit(&square,
                    SL_ARGS(sl_array(SL_F32, numbers, 2, (size_t[]){SIZE_MAX, SIZE_MAX}))) == NULL);
    CHECK(sl_submit(&square, SL_ARGS(sl_array(SL_F32, NULL, 1, (size_t[]){2}))) == NULL);
    bad.cpus = -2;
    CHECK(sl_submit_with(&square, SL_NO_ARGS, &bad) == NULL);
    bad = square.options;
    bad.timeout_s = -1;
    CHECK(sl_submit_with(&square, SL_NO_ARGS, &bad) == NULL);
    CHECK_INT(sl_shutdown(), 0);
}

TEST(arguments_keep_type_and_shape) {
    float numbers[6] = {1, 2, 3, 4, 5, 6};
    join(2);
    sl_future *future = sl_submit(
        &describe, SL_ARGS(sl_f64(1), sl_bytes("ab", 2), sl_string("text"), sl_bytes(NULL, 0),
                           sl_array(SL_F32, numbers, 2, (size_t[]){2, 3}), sl_string(""), sl_i64(1),
                           sl_vector(SL_F32, numbers, 0), sl_f32(2)));
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    CHECK_STR(sl_result_string(future), "absbasaaa");
    sl_release(future);
    future = sl_submit(&scale, SL_ARGS(sl_array(SL_F32, numbers, 2, (size_t[]){2, 3}), sl_f64(10)));
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    const sl_value *value = sl_result(future);
    REQUIRE(value);
    CHECK_INT(value->dimensions, 2);
    CHECK_INT(value->shape[0], 2);
    CHECK_INT(value->shape[1], 3);
    CHECK_INT(sl_value_count(value), 6);
    for (int i = 0; i < 6; i++)
        CHECK_DOUBLE(((const float *)value->data)[i], 10.0 * (i + 1), 0);
    sl_release(future);
    CHECK_INT(sl_shutdown(), 0);
}

/* Data of every size around those at which they go another way. */
TEST(large_arguments_and_results) {
    static const size_t sizes[] = {1,    11,    12,     500,    8000,    8191,
                                   8192, 16384, 100000, 300000, 5000000, 20000000};
    join(2);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t count = sizes[s], got;
        float *numbers = malloc(count * sizeof *numbers);
        for (size_t i = 0; i < count; i++)
            numbers[i] = (float)(i % 1000);
        sl_future *future =
            sl_submit(&scale, SL_ARGS(sl_vector(SL_F32, numbers, count), sl_f64(2)));
        free(numbers);
        CHECK_INT(sl_wait(future, SL_FOREVER), 0);
        const float *result = sl_result_array(future, SL_F32, &got);
        CHECK_INT(got, count);
        size_t wrong = 0;
        for (size_t i = 0; i < got; i++)
            wrong += result[i] != (float)(i % 1000) * 2;
        CHECK_INT(wrong, 0);
        sl_release(future);
    }
    CHECK_INT(sl_shutdown(), 0);
}

TEST(futures_are_dependencies) {
    join(2);
    sl_future *chain[200];
    chain[0] = sl_submit(&square, SL_ARGS(sl_f64(1)));
    for (int i = 1; i < 200; i++)
        chain[i] = sl_submit(
            &add_all, SL_ARGS(sl_wait_for(chain[i - 1]), sl_f64(1), sl_wait_for(chain[i / 2])));
    double expected[200] = {1};
    for (int i = 1; i < 200; i++)
        expected[i] = expected[i - 1] + 1 + expected[i / 2];
    CHECK_INT(sl_wait_all(chain, 200, SL_FOREVER), 0);
    for (int i = 0; i < 200; i++) {
        CHECK_DOUBLE(sl_result_f64(chain[i]), expected[i], 0);
        sl_release(chain[i]);
    }
    CHECK_INT(sl_shutdown(), 0);
}

/* Large results go on without being copied, alone or beside others. */
TEST(large_results_are_arguments) {
    enum { COUNT = 50000 };
    static float numbers[COUNT];
    size_t count;
    join(2);
    for (int i = 0; i < COUNT; i++)
        numbers[i] = (float)i;
    sl_future *first = sl_submit(&scale, SL_ARGS(sl_vector(SL_F32, numbers, COUNT), sl_f64(2)));
    sl_future *second = sl_submit(&scale, SL_ARGS(sl_wait_for(first), sl_f64(3)));
    sl_future *both = sl_submit(&describe, SL_ARGS(sl_wait_for(first), sl_wait_for(second),
                                                   sl_vector(SL_F32, numbers, COUNT)));
    sl_release(first);
    CHECK_INT(sl_wait(second, SL_FOREVER), 0);
    const float *result = sl_result_array(second, SL_F32, &count);
    CHECK_INT(count, COUNT);
    CHECK(result && result[COUNT - 1] == (float)(COUNT - 1) * 6);
    CHECK_INT(sl_wait(both, SL_FOREVER), 0);
    CHECK_STR(sl_result_string(both), "aaa");
    sl_release(second);
    sl_release(both);
    CHECK_INT(sl_shutdown(), 0);
}

TEST(what_needs_a_failure_fails) {
    enum { LONG = 20000 };
    static sl_future *chain[LONG];
    join(1);
    chain[0] = sl_submit(&refuse, SL_NO_ARGS);
    for (int i = 1; i < LONG; i++)
        chain[i] = sl_submit(&add_all, SL_ARGS(sl_wait_for(chain[i - 1])));
    CHECK_INT(sl_wait(chain[1], SL_FOREVER), SL_ERROR_FAILED);
    CHECK_STR(sl_error_text(),
              "it needs the result of task refuse, which failed: I refuse argument 7");
    CHECK_INT(sl_wait(chain[LONG - 1], SL_FOREVER), SL_ERROR_FAILED);
    sl_future *late = sl_submit(&add_all, SL_ARGS(sl_wait_for(chain[0])));
    CHECK_INT(sl_wait(late, SL_FOREVER), SL_ERROR_FAILED);
    sl_release(late);
    for (int i = 0; i < LONG; i++)
        sl_release(chain[i]);
    CHECK_INT(sl_shutdown(), 0);
}

TEST(waits_end_in_time) {
    join(1);
    sl_future *slow = sl_submit(&sleep_ms, SL_ARGS(sl_i64(200)));
    CHECK_INT(sl_wait(slow, 0), SL_ERROR_TIMEOUT);
    CHECK_INT(sl_wait(slow, 0.01), SL_ERROR_TIMEOUT);
    CHECK_INT(sl_state_of(slow), SL_FUTURE_PENDING);
    CHECK(sl_result(slow) == NULL);
    sl_future *quick = sl_submit(&sleep_ms, SL_ARGS(sl_i64(1)));
    sl_future *both[3] = {slow, NULL, quick};
    size_t index = 99;
    CHECK_INT(sl_wait_all(both, 3, 0.02), SL_ERROR_TIMEOUT);
    CHECK_INT(sl_wait_any(both, 3, SL_FOREVER, &index), 0);
    CHECK_INT(index, 2);
    sl_future *alone[2] = {slow, NULL};
    CHECK_INT(sl_wait_any(alone, 2, 0.001, &index), SL_ERROR_TIMEOUT);
    CHECK_INT(sl_wait_any(alone, 2, SL_FOREVER, &index), 0);
    CHECK_INT(index, 0);
    CHECK_INT(sl_wait_any(alone + 1, 1, SL_FOREVER, &index), SL_ERROR_INVALID);
    CHECK_INT(sl_wait_all(both, 3, SL_FOREVER), 0);
    CHECK_INT(sl_wait_all(NULL, 0, SL_FOREVER), 0);
    sl_release(slow);
    sl_release(quick);
    CHECK_INT(sl_shutdown(), 0);
}

TEST(cancel_takes_back) {
    join(1);
    sl_future *running = sl_submit(&sleep_ms, SL_ARGS(sl_i64(20000)));
    sl_future *blocked = sl_submit(&describe, SL_ARGS(sl_wait_for(running)));
    sl_future *never = sl_submit(&describe, SL_ARGS(sl_wait_for(blocked)));
    int before = ran;
    while (ran == before && sl_wait(running, 0.001) == SL_ERROR_TIMEOUT && !ran)
        continue;
    sl_cancel(blocked);
    CHECK_INT(sl_wait(blocked, SL_FOREVER), SL_ERROR_CANCELLED);
    CHECK_INT(sl_state_of(blocked), SL_FUTURE_CANCELLED);
    CHECK_INT(sl_wait(never, SL_FOREVER), SL_ERROR_CANCELLED);
    CHECK_CONTAINS(sl_error_text(), "cancelled");
    sl_cancel(running);
    sl_cancel(running);
    CHECK_INT(sl_wait(running, SL_FOREVER), SL_ERROR_CANCELLED);
    sl_cancel(running);
    sl_cancel(NULL);
    sl_release(running);
    sl_release(blocked);
    sl_release(never);
    CHECK_INT(sl_shutdown(), 0);
}

TEST(shutdown_ends_what_is_pending) {
    join(2);
    sl_future *slow = sl_submit(&sleep_ms, SL_ARGS(sl_i64(20000)));
    sl_future *blocked = sl_submit(&describe, SL_ARGS(sl_wait_for(slow)));
    usleep(20000);
    CHECK_INT(sl_shutdown(), 0);
    CHECK_INT(sl_wait(slow, SL_FOREVER), SL_ERROR_CLOSED);
    CHECK_INT(sl_wait(blocked, SL_FOREVER), SL_ERROR_CLOSED);
    sl_release(slow);
    sl_release(blocked);
}

TEST(a_batch_of_many) {
    enum { COUNT = 50000 };
    sl_value *values = malloc(COUNT * sizeof *values);
    sl_args *args = malloc(COUNT * sizeof *args);
    sl_future **futures = malloc(COUNT * sizeof(sl_future *));
    join(2);
    for (int i = 0; i < COUNT; i++) {
        values[i] = sl_f64(i);
        args[i] = (sl_args){&values[i], 1};
    }
    CHECK_INT(sl_submit_batch(&square, args, COUNT, NULL, futures), 0);
    CHECK_INT(sl_wait_all(futures, COUNT, SL_FOREVER), 0);
    int wrong = 0;
    for (int i = 0; i < COUNT; i++) {
        wrong += sl_result_f64(futures[i]) != (double)i * i;
        sl_release(futures[i]);
    }
    CHECK_INT(wrong, 0);
    values[COUNT - 1].type = (sl_type)50;
    CHECK_INT(sl_submit_batch(&square, args, COUNT, NULL, futures), SL_ERROR_INVALID);
    CHECK_CONTAINS(sl_error_text(), "call 49999");
    CHECK_INT(sl_submit_batch(&square, args, 0, NULL, futures), 0);
    CHECK_INT(sl_shutdown(), 0);
    free(values);
    free(args);
    free(futures);
}

static void *submit_many(void *unused) {
    for (int round = 0; round < 200; round++) {
        sl_future *futures[8];
        for (int i = 0; i < 8; i++)
            futures[i] = sl_submit(&square, SL_ARGS(sl_f64(i)));
        for (int left = 8; left; left--) {
            size_t index = 0;
            CHECK_INT(sl_wait_any(futures, 8, SL_FOREVER, &index), 0);
            CHECK_DOUBLE(sl_result_f64(futures[index]), (double)index * (double)index, 0);
            sl_release(futures[index]);
            futures[index] = NULL;
        }
    }
    return unused;
}

TEST(any_thread_submits_and_waits) {
    pthread_t threads[4];
    join(2);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, submit_many, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(sl_shutdown(), 0);
}

TEST(tasks_are_spread) {
    sl_future *futures[300];
    int64_t at[3] = {0};
    join(3);
    for (int i = 0; i < 300; i++)
        futures[i] = sl_submit(&where, SL_NO_ARGS);
    CHECK_INT(sl_wait_all(futures, 300, SL_FOREVER), 0);
    for (int i = 0; i < 300; i++) {
        int64_t node = sl_result_i64(futures[i]);
        CHECK(node >= 0 && node < 3);
        at[node % 3]++;
        sl_release(futures[i]);
    }
    CHECK(at[0] && at[1] && at[2]);
    CHECK_INT(sl_shutdown(), 0);
}

/* A task list may name any function: what it gives a task of the API is not values. */
TEST(arguments_that_are_no_values_fail_the_task) {
    char path[512], output[512];
    int code = -1;
    sl_options *own = options_for_run(output, sizeof output);
    snprintf(path, sizeof path, "%s/tasks", sl_test_dir());
    FILE *file = fopen(path, "w");
    REQUIRE(file);
    fputs("{\"name\":\"a\",\"function\":\"square\",\"args\":\"junk\"}\n"
          "{\"name\":\"b\",\"function\":\"square\",\"args\":\"SLv1................\"}\n",
          file);
    fclose(file);
    sl_network *network = NULL;
    REQUIRE(sl_network_open(own, NULL, &network) == 0);
    CHECK_INT(sl_run(network, &(sl_run_request){.tasks = path}, &code), 0);
    CHECK_INT(code, SL_RUN_FAILED);
    sl_network_close(network, code);
    sl_options_destroy(own);
    for (int i = 0; i < 2; i++) {
        char *text = NULL;
        CHECK_INT(sl_explain(output, i ? "b" : "a", 0, &text), 0);
        CHECK_CONTAINS(text, "values that do not decode");
        sl_free(text);
    }
}

TEST(flags_are_taken_from_the_command_line) {
    char *argv[] = {(char[]){"program"}, (char[]){"--verbose"}, (char[]){"--starlane-nodes=3"},
                    (char[]){"file"}, NULL};
    char **arguments = argv;
    int argc = 4;
    CHECK_INT(sl_init(&argc, &arguments, NULL), 0);
    CHECK_INT(argc, 3);
    CHECK_STR(argv[1], "--verbose");
    CHECK_STR(argv[2], "file");
    CHECK(argv[3] == NULL);
    CHECK_INT(sl_size(), 3);
    CHECK_INT(sl_shutdown(), 0);
    char *bad[] = {(char[]){"program"}, (char[]){"--starlane-nods=3"}, NULL};
    arguments = bad;
    argc = 2;
    CHECK(sl_init(&argc, &arguments, NULL) != 0);
    CHECK_CONTAINS(sl_error_text(), "nodes");
}
