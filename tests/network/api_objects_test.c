/* Objects through the API, on networks inside this process: each node has a store of its own. */
#include "tests/lib/test.h"

#include <pthread.h>
#include <unistd.h>

#include "starlane.h"

enum { COUNT = 100000 };

SL_TASK(sum_object) {
    sl_view view;
    sl_object *object = sl_arg_object(call, 0);
    if (!object)
        return 0; /* fails with the reason */
    if (sl_get(object, 30, &view) != 0)
        return sl_call_fail(call, "get: %s", sl_error_text());
    double sum = 0;
    const double *numbers = view.value.data;
    for (size_t i = 0; i < sl_value_count(&view.value); i++)
        sum += numbers[i];
    sl_view_release(&view);
    return sl_return_f64(call, sum);
}

SL_TASK(make_object) {
    void *data;
    size_t count = (size_t)sl_arg_i64(call, 0);
    sl_object *object = sl_object_create(sl_vector(SL_F64, NULL, count), &data);
    if (!object)
        return sl_call_fail(call, "make: %s", sl_error_text());
    for (size_t i = 0; i < count; i++)
        ((double *)data)[i] = 1;
    sl_object_seal(object);
    int error = sl_return_object(call, object);
    sl_object_release(object);
    return error;
}

/* Hands on what it was given. */
SL_TASK(pass_on) {
    return sl_return_object(call, sl_arg_object(call, 0));
}

SL_TASK(node_of) {
    (void)sl_arg_object(call, 0);
    return sl_return_i64(call, sl_call_node(call));
}

static sl_object *kept; /* by a task, beyond its end */

SL_TASK(keep) {
    sl_object *object = sl_object_retain(sl_arg_object(call, 0));
    if (!object)
        return sl_call_fail(call, "keep: %s", sl_error_text());
    __atomic_store_n(&kept, object, __ATOMIC_SEQ_CST);
    return 0;
}

SL_TASK(read_briefly, .brief = 1) {
    sl_view view;
    int error = sl_get(sl_arg_object(call, 0), 1, &view);
    if (error)
        return sl_call_fail(call, "%s", sl_error_text());
    sl_view_release(&view);
    return 0;
}

static sl_options *options; /* while there is a network */

static void leave(void) {
    CHECK_INT(sl_shutdown(), 0);
    sl_options_destroy(options);
}

static void join(const char *nodes, const char *store_bytes) {
    if (sl_options_create(&options) != 0 || sl_options_set(options, "nodes", nodes) != 0 ||
        sl_options_set(options, "cpus", "1") != 0 ||
        (store_bytes && sl_options_set(options, "store-bytes", store_bytes) != 0))
        abort();
    sl_init_options init = {.options = options};
    if (sl_init(NULL, NULL, &init) != 0) {
        fprintf(stderr, "%s\n", sl_error_text());
        abort();
    }
}

static double *ones(size_t count) {
    double *numbers = malloc(count * sizeof *numbers);
    for (size_t i = 0; i < count; i++)
        numbers[i] = 1;
    return numbers;
}

TEST(put_and_get_in_one_process) {
    static const size_t shape[2] = {20, 30};
    float matrix[600];
    unsigned char pixels[4 * 5 * 3];
    sl_view view, second;
    for (int i = 0; i < 600; i++)
        matrix[i] = (float)i;
    memset(pixels, 7, sizeof pixels);
    join("1", NULL);
    sl_object *array = sl_put(sl_array(SL_F32, matrix, 2, shape));
    sl_object *text = sl_put(sl_string("some text"));
    sl_object *image = sl_put(sl_image(pixels, 4, 5, 3));
    sl_object *number = sl_put(sl_f64(2.5));
    sl_object *empty = sl_put(sl_bytes(NULL, 0));
    REQUIRE(array && text && image && number && empty);
    matrix[0] = 100; /* a copy was made */
    CHECK_INT(sl_get(array, 0, &view), 0);
    CHECK_INT(sl_get(array, 0, &second), 0);
    CHECK(view.value.data == second.value.data);
    CHECK_INT(view.value.type, SL_TYPE_ARRAY);
    CHECK_INT(view.value.dimensions, 2);
    CHECK_INT(view.value.shape[1], 30);
    CHECK(((const float *)view.value.data)[0] == 0 && ((const float *)view.value.data)[599] == 599);
    sl_object_release(array); /* the views keep it */
    CHECK(((const float *)view.value.data)[598] == 598);
    sl_view_release(&view);
    sl_view_release(&view);
    sl_view_release(&second);
    CHECK_INT(sl_get(text, 0, &view), 0);
    CHECK_STR(view.value.data, "some text");
    CHECK_INT(view.value.bytes, 9);
    sl_view_release(&view);
    CHECK_INT(sl_get(image, 0, &view), 0);
    CHECK_INT(view.value.type, SL_TYPE_IMAGE);
    CHECK_INT(view.value.shape[0], 4);
    CHECK_INT(view.value.shape[2], 3);
    sl_view_release(&view);
    CHECK_INT(sl_get(number, 0, &view), 0);
    CHECK(*(const double *)view.value.data == 2.5);
    sl_view_release(&view);
    CHECK_INT(sl_get(empty, 0, &view), 0);
    CHECK_INT(view.value.bytes, 0);
    sl_view_release(&view);
    sl_object_release(text);
    sl_object_release(image);
    sl_object_release(number);
    sl_object_release(empty);
    leave();
}

TEST(written_in_place_and_sealed_once) {
    sl_view view;
    void *data = NULL;
    join("1", NULL);
    sl_object *object = sl_object_create(sl_bytes(NULL, 50000), &data);
    REQUIRE(object && data);
    memset(data, 3, 50000);
    CHECK_INT(sl_get(object, 1, &view), SL_ERROR_INVALID);
    CHECK_CONTAINS(sl_error_text(), "not sealed");
    CHECK_INT(sl_object_seal(object), 0);
    CHECK_INT(sl_object_seal(object), SL_ERROR_INVALID);
    CHECK_INT(sl_get(object, 1, &view), 0);
    CHECK(view.value.data == data);
    sl_view_release(&view);
    sl_object_release(object);
    CHECK(sl_object_create(sl_string("x"), &data) == NULL);
    CHECK(sl_put(sl_wait_for(NULL)) == NULL);
    CHECK_CONTAINS(sl_error_text(), "an object is made of");
    CHECK(sl_put(sl_array(SL_F32, &view, 9, NULL)) == NULL);
    CHECK_INT(sl_get(NULL, 0, &view), SL_ERROR_INVALID);
    leave();
    CHECK(sl_put(sl_f64(1)) == NULL);
    CHECK_CONTAINS(sl_error_text(), "there is no network");
}

TEST(tasks_of_every_node_read_it) {
    enum { TASKS = 60 };
    sl_future *futures[TASKS];
    double *numbers = ones(COUNT);
    join("4", NULL);
    sl_object *object = sl_put(sl_vector(SL_F64, numbers, COUNT));
    REQUIRE(object);
    for (int i = 0; i < TASKS; i++)
        futures[i] = sl_submit(&sum_object, SL_ARGS(sl_object_value(object)));
    sl_object_release(object); /* the tasks keep it */
    CHECK_INT(sl_wait_all(futures, TASKS, SL_FOREVER), 0);
    for (int i = 0; i < TASKS; i++) {
        CHECK(sl_result_f64(futures[i]) == COUNT);
        sl_release(futures[i]);
    }
    leave();
    free(numbers);
}

TEST(results_that_are_objects_go_from_task_to_task) {
    enum { TASKS = 20 };
    sl_future *made[TASKS], *passed[TASKS], *sums[TASKS];
    sl_view view;
    bool elsewhere = false;
    join("4", NULL);
    for (int i = 0; i < TASKS; i++) {
        made[i] = sl_submit(&make_object, SL_ARGS(sl_i64(i % 2 ? COUNT : 10)));
        passed[i] = sl_submit(&pass_on, SL_ARGS(sl_wait_for(made[i])));
        sums[i] = sl_submit(&sum_object, SL_ARGS(sl_wait_for(passed[i])));
        sl_release(made[i]);
    }
    for (int i = 0; i < TASKS; i++) {
        if (sl_wait(sums[i], SL_FOREVER) != 0)
            fprintf(stderr, "%s\n", sl_error_text());
        CHECK(sl_result_f64(sums[i]) == (i % 2 ? COUNT : 10));
        CHECK_INT(sl_get(sl_result_object(passed[i]), 30, &view), 0);
        CHECK_INT(sl_value_count(&view.value), i % 2 ? COUNT : 10);
        elsewhere |= sl_object_node(sl_result_object(passed[i])) != 0;
        sl_release(passed[i]);
        CHECK(((const double *)view.value.data)[9] == 1); /* the view keeps it */
        sl_view_release(&view);
        sl_release(sums[i]);
    }
    CHECK(elsewhere);
    leave();
}

TEST(a_task_keeps_an_object_beyond_its_end) {
    sl_view view;
    double *numbers = ones(COUNT);
    join("3", NULL);
    for (int i = 0; i < 12; i++) {
        sl_object *object = sl_put(sl_vector(SL_F64, numbers, COUNT));
        sl_future *future = sl_submit(&keep, SL_ARGS(sl_object_value(object)));
        sl_object_release(object);
        CHECK_INT(sl_wait(future, SL_FOREVER), 0);
        sl_release(future);
        REQUIRE(kept);
        CHECK_INT(sl_get(kept, 30, &view), 0);
        CHECK_INT(sl_value_count(&view.value), COUNT);
        sl_view_release(&view);
        sl_object_release(kept);
        kept = NULL;
    }
    leave();
    free(numbers);
}

TEST(no_room_is_an_error) {
    sl_view view;
    sl_object *objects[4];
    char *bytes = calloc(1, 1 << 20);
    join("2", "1MiB");
    CHECK(sl_put(sl_bytes(bytes, (1 << 20) + 1)) == NULL);
    CHECK_CONTAINS(sl_error_text(), "store-bytes");
    for (int i = 0; i < 4; i++)
        REQUIRE((objects[i] = sl_put(sl_bytes(bytes, 1 << 18))) != NULL);
    CHECK(sl_put(sl_bytes(bytes, 1)) == NULL);
    CHECK_CONTAINS(sl_error_text(), "no room for an object of 1 bytes");
    CHECK_INT(sl_get(objects[3], 0, &view), 0);
    sl_object_release(objects[3]);
    CHECK(sl_put(sl_bytes(bytes, 1)) == NULL); /* the view keeps it */
    sl_view_release(&view);
    sl_object *small = sl_put(sl_bytes(bytes, 1));
    CHECK(small != NULL);
    sl_object_release(small);
    for (int i = 0; i < 3; i++)
        sl_object_release(objects[i]);
    /* Copies of others' objects make room: each of these is read at the other node. */
    for (int i = 0; i < 20; i++) {
        sl_future *made = sl_submit(&make_object, SL_ARGS(sl_i64(50000)));
        sl_future *sum = sl_submit(&sum_object, SL_ARGS(sl_wait_for(made)));
        CHECK_INT(sl_wait(sum, SL_FOREVER), 0);
        if (sl_get(sl_result_object(made), 30, &view) == 0)
            sl_view_release(&view);
        else
            CHECK_STR(sl_error_text(), "");
        sl_release(made);
        sl_release(sum);
    }
    leave();
    free(bytes);
}

TEST(arguments_of_the_wrong_type) {
    join("1", NULL);
    sl_object *object = sl_put(sl_f64(1));
    sl_future *number = sl_submit(&sum_object, SL_ARGS(sl_f64(1)));
    sl_future *none = sl_submit(&sum_object, SL_NO_ARGS);
    sl_future *fine = sl_submit(&node_of, SL_ARGS(sl_object_value(object)));
    sl_future *brief = sl_submit(&read_briefly, SL_ARGS(sl_object_value(object)));
    CHECK(sl_wait(number, SL_FOREVER) != 0);
    CHECK_CONTAINS(sl_error_text(), "is a number f64, not an object");
    CHECK(sl_wait(none, SL_FOREVER) != 0);
    CHECK_CONTAINS(sl_error_text(), "is missing");
    CHECK_INT(sl_wait(fine, SL_FOREVER), 0);
    CHECK_INT(sl_wait(brief, SL_FOREVER), 0); /* it lies here: no wait */
    CHECK(sl_result_object(fine) == NULL);
    CHECK_CONTAINS(sl_error_text(), "not an object");
    CHECK(sl_submit(&sum_object, SL_ARGS(sl_object_value(NULL))) == NULL);
    sl_release(number);
    sl_release(none);
    sl_release(fine);
    sl_release(brief);
    leave();
    sl_view view; /* what is here stays */
    CHECK_INT(sl_get(object, 0, &view), 0);
    sl_view_release(&view);
    sl_object_release(object);
}
