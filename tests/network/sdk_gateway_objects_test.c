/* Objects of clients from outside: brought, read, named as arguments, returned by tasks; and such
 * as do not keep to the rules. */
#include "tests/lib/test.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "sdk/remote_name.h"
#include "sdk/value.h"
#include "tests/lib/outside.h"

enum { LARGE = 5 << 20 };

SL_TASK(sum_of) {
    sl_view view;
    if (sl_get(sl_arg_object(call, 0), SL_FOREVER, &view) != 0)
        return sl_call_fail(call, "%s", sl_error_text());
    double sum = 0;
    const float *all = view.value.data;
    for (size_t i = 0; i < view.value.bytes / sizeof *all; i++)
        sum += all[i];
    sl_view_release(&view);
    return sl_return_f64(call, sum);
}

SL_TASK(count_up) {
    size_t count = (size_t)sl_arg_i64(call, 0);
    void *data;
    sl_object *object = sl_object_create(sl_array(SL_F32, NULL, 1, &count), &data);
    if (!object)
        return sl_call_fail(call, "%s", sl_error_text());
    for (size_t i = 0; i < count; i++)
        ((float *)data)[i] = (float)i;
    sl_object_seal(object);
    int err = sl_return_object(call, object);
    sl_object_release(object);
    return err;
}

static _Atomic int began, go_on;

SL_TASK(read_later) {
    atomic_fetch_add(&began, 1);
    while (!atomic_load(&go_on) && !sl_call_cancelled(call))
        usleep(1000);
    sl_view view;
    if (sl_get(sl_arg_object(call, 0), SL_FOREVER, &view) != 0)
        return sl_call_fail(call, "%s", sl_error_text());
    int64_t bytes = (int64_t)view.value.bytes;
    sl_view_release(&view);
    return sl_return_i64(call, bytes);
}

static uint8_t *pattern(size_t bytes) {
    uint8_t *data = malloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)(i * 31 + i / 997);
    return data;
}

/* Of any size, around those of pieces and reads. */
static void there_and_back(sl_remote *remote) {
    static const size_t sizes[] = {0, 1, 5, 64999, 65000, 65001, 1 << 20, (1 << 20) + 1, LARGE + 3};
    uint8_t *data = pattern(LARGE + 3);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        sl_view view;
        sl_object *object = sl_remote_put(remote, sl_value_bytes(data, sizes[i]));
        REQUIRE(object != NULL);
        CHECK_INT(outside_field(remote, "held_bytes"), sizes[i]);
        CHECK_INT(sl_get(object, SL_FOREVER, &view), 0);
        CHECK_INT(view.value.type, SL_TYPE_BYTES);
        CHECK_INT(view.value.bytes, sizes[i]);
        CHECK(view.value.bytes != sizes[i] || memcmp(view.value.data, data, sizes[i]) == 0);
        CHECK(sl_object_retain(object) == object);
        sl_object_release(object), sl_object_release(object);
        CHECK_INT(view.value.bytes, sizes[i]); /* it keeps the object */
        sl_view_release(&view);
        CHECK_INT(outside_field(remote, "held_bytes"), 0);
    }
    free(data);
}

static void types_stay(sl_remote *remote) {
    size_t shape[3] = {2, 5, 3};
    uint8_t pixels[30] = {1, 2, 3};
    sl_view view;
    sl_object *image = sl_remote_put(remote, sl_image(pixels, 2, 5, 3));
    REQUIRE(image != NULL);
    CHECK_INT(sl_get(image, 10, &view), 0);
    CHECK_INT(view.value.type, SL_TYPE_IMAGE);
    CHECK_INT(view.value.dimensions, 3);
    CHECK(memcmp(view.value.shape, shape, sizeof shape) == 0);
    sl_view_release(&view);
    sl_object_release(image);
    sl_object *text = sl_remote_put(remote, sl_string("a text"));
    REQUIRE(text != NULL);
    CHECK_INT(sl_get(text, 10, &view), 0);
    CHECK_STR(view.value.data, "a text");
    CHECK_INT(view.value.bytes, 6);
    CHECK(sl_object_seal(text) != 0);
    CHECK(!sl_remote_put(remote, sl_object_value(text)));
    sl_view_release(&view);
    sl_object_release(text);
}

static void as_arguments(sl_remote *remote) {
    enum { COUNT = 100000 };
    static float all[COUNT];
    double sum = 0;
    for (int i = 0; i < COUNT; i++)
        sum += all[i] = (float)(i % 7);
    sl_object *object = sl_remote_put(remote, sl_vector(SL_F32, all, COUNT));
    REQUIRE(object != NULL);
    sl_future *futures[20];
    for (int i = 0; i < 20; i++) /* on both nodes */
        futures[i] = sl_remote_submit(remote, "sum_of", SL_ARGS(sl_object_value(object)), NULL);
    CHECK(!sl_submit(&sum_of, SL_ARGS(sl_object_value(object))));
    CHECK_CONTAINS(sl_error_text(), "of a connection");
    sl_object_release(object); /* the tasks keep it */
    CHECK_INT(sl_wait_all(futures, 20, SL_FOREVER), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_DOUBLE(sl_result_f64(futures[i]), sum, 0);
        sl_release(futures[i]);
    }
    CHECK_INT(outside_field(remote, "held_bytes"), 0);
    sl_object *ours = sl_put(sl_string("ours"));
    CHECK(!sl_remote_submit(remote, "sum_of", SL_ARGS(sl_object_value(ours)), NULL));
    CHECK_CONTAINS(sl_error_text(), "not of this connection");
    sl_object_release(ours);
}

static void as_results(sl_remote *remote) {
    enum { COUNT = 400000 };
    sl_future *made = sl_remote_submit(remote, "count_up", SL_ARGS(sl_i64(COUNT)), NULL);
    sl_view view;
    CHECK_INT(sl_wait(made, SL_FOREVER), 0);
    sl_object *object = sl_result_object(made);
    REQUIRE(object != NULL);
    CHECK_INT(outside_field(remote, "held_bytes"), COUNT * sizeof(float));
    sl_future *sum = sl_remote_submit(remote, "sum_of", SL_ARGS(sl_object_value(object)), NULL);
    CHECK_INT(sl_get(object, SL_FOREVER, &view), 0);
    CHECK_INT(view.value.dtype, SL_F32);
    CHECK_INT(view.value.shape[0], COUNT);
    CHECK_DOUBLE(((const float *)view.value.data)[COUNT - 1], COUNT - 1, 0);
    CHECK_INT(sl_wait(sum, SL_FOREVER), 0);
    CHECK_DOUBLE(sl_result_f64(sum), (double)COUNT * (COUNT - 1) / 2, 0);
    sl_release(made); /* the view keeps it */
    CHECK_DOUBLE(((const float *)view.value.data)[1], 1, 0);
    sl_view_release(&view);
    sl_release(sum);
    CHECK_INT(outside_field(remote, "held_bytes"), 0);
    /* Nobody wants it any more. */
    for (int i = 0; i < 50; i++) {
        made = sl_remote_submit(remote, "count_up", SL_ARGS(sl_i64(COUNT)), NULL);
        if (i % 2)
            sl_cancel(made);
        sl_release(made);
    }
    while (outside_field(remote, "running") || outside_field(remote, "held_bytes"))
        usleep(1000);
}

static void quotas_hold(void) {
    sl_remote *remote = outside_join("small", "submit,read");
    static uint8_t data[200000];
    CHECK_INT(sl_api_quota(outside_directory, "small", 0, 0, 300000, 0), 0);
    sl_disconnect(remote);
    remote = outside_join("small", "submit,read");
    sl_object *one = sl_remote_put(remote, sl_value_bytes(data, sizeof data));
    REQUIRE(one != NULL);
    CHECK(!sl_remote_put(remote, sl_value_bytes(data, sizeof data)));
    CHECK_CONTAINS(sl_error_text(), "quota");
    sl_future *made = sl_remote_submit(remote, "count_up", SL_ARGS(sl_i64(40000)), NULL);
    CHECK_INT(sl_wait(made, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "quota");
    sl_release(made);
    CHECK_INT(outside_field(remote, "held_bytes"), sizeof data);
    sl_object_release(one);
    one = sl_remote_put(remote, sl_value_bytes(data, sizeof data));
    CHECK(one != NULL);
    sl_disconnect(remote); /* takes them along */
    sl_view view;
    CHECK_INT(sl_get(one, 1, &view), SL_ERROR_CLOSED);
    sl_object_release(one);
    remote = outside_join("small", "submit,read");
    CHECK_INT(outside_field(remote, "held_bytes"), 0);
    sl_remote *reader = outside_join("small", "read");
    CHECK(!sl_remote_put(reader, sl_value_bytes(data, 10)));
    CHECK_CONTAINS(sl_error_text(), "scope submit");
    sl_disconnect(reader);
    sl_disconnect(remote);
    static uint8_t much[2 << 20]; /* more than the store has */
    remote = outside_join("physics", "submit,read");
    sl_object *objects[40];
    size_t count = 0;
    while (count < 40 &&
           (objects[count] = sl_remote_put(remote, sl_value_bytes(much, sizeof much))))
        count++;
    CHECK(count > 5 && count < 40);
    CHECK_CONTAINS(sl_error_text(), "store");
    while (count)
        sl_object_release(objects[--count]);
    sl_disconnect(remote);
}

/* A task of a client that has gone still has its object until it has ended. */
static void kept_by_tasks(void) {
    sl_remote *remote = outside_join("physics", "submit,read"), *other;
    static uint8_t data[100000];
    atomic_store(&began, 0);
    atomic_store(&go_on, 0);
    sl_object *object = sl_remote_put(remote, sl_value_bytes(data, sizeof data));
    sl_future *late =
        sl_remote_submit(remote, "read_later", SL_ARGS(sl_object_value(object)), NULL);
    while (!atomic_load(&began))
        usleep(1000);
    sl_object_release(object);
    CHECK_INT(outside_field(remote, "held_bytes"), sizeof data + 40);
    atomic_store(&go_on, 1);
    CHECK_INT(sl_wait(late, SL_FOREVER), 0);
    CHECK_INT(sl_result_i64(late), sizeof data);
    sl_release(late);
    atomic_store(&go_on, 0);
    object = sl_remote_put(remote, sl_value_bytes(data, sizeof data));
    late = sl_remote_submit(remote, "read_later", SL_ARGS(sl_object_value(object)), NULL);
    while (atomic_load(&began) < 2)
        usleep(1000);
    sl_disconnect(remote);
    sl_object_release(object);
    sl_release(late);
    other = outside_join("physics", "read");
    while (outside_field(other, "held_bytes"))
        usleep(1000);
    sl_disconnect(other);
}

/* Numbers are each connection's own, also of one project. */
static void apart(void) {
    sl_remote *one = outside_join("alpha", "submit,read"),
              *two = outside_join("beta", "submit,read");
    sl_object *mine = sl_remote_put(one, sl_string("mine")), *theirs;
    REQUIRE(mine != NULL);
    CHECK(!sl_remote_submit(two, "sum_of", SL_ARGS(sl_object_value(mine)), NULL));
    sl_store_id id = sl_remote_name_of(1);
    sl_value value = {.type = SL_TYPE_OBJECT, .data = &id};
    uint8_t wire[64];
    sl_value_size size;
    REQUIRE(sl_values_measure(&value, 1, &size) == SL_OK);
    sl_values_encode(&value, 1, wire, NULL);
    sl_future *no = sl_remote_call(two, "sum_of", wire, size.bytes, NULL);
    CHECK_INT(sl_wait(no, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "no such object");
    sl_release(no);
    /* What is echoed is no object of a task, whatever it looks like. */
    theirs = sl_put(sl_string("the network's own"));
    value = sl_object_value(theirs);
    sl_values_encode(&value, 1, wire, NULL);
    uint8_t text[72];
    memcpy(text, wire, size.bytes);
    no = sl_remote_call(two, "starlane.echo", text, size.bytes, NULL);
    CHECK_INT(sl_wait(no, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "no such object");
    sl_release(no);
    /* Nor are data that are said to be kept in one. */
    sl_store_id own = sl_store_id_of((sl_store_object *)theirs);
    value = (sl_value){.type = SL_TYPE_BYTES, .bytes = 18, .kept_ = &own};
    REQUIRE(sl_values_measure(&value, 1, &size) == SL_OK);
    sl_values_encode(&value, 1, wire, NULL);
    no = sl_remote_call(two, "sum_of", wire, size.bytes, NULL);
    CHECK_INT(sl_wait(no, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "no such object");
    sl_release(no);
    sl_object_release(theirs);
    CHECK_INT(outside_field(two, "held_bytes"), 0);
    CHECK_INT(outside_field(one, "held_bytes"), 5);
    sl_object_release(mine);
    sl_disconnect(one);
    sl_disconnect(two);
}

static void hostile(void) {
    sl_remote *good = outside_join("epsilon", "submit,read");
    gateway_put put = {.number = 1, .bytes = 100, .kind = SL_TYPE_BYTES}, odd;
    gateway_piece piece = {.number = 1};
    gateway_read read = {.number = 1, .bytes = 50};
    gateway_release gone = {.number = 77};
    static uint8_t data[200];
    raw r;
    raw_enter(&r, "epsilon");
    raw_say(&r, SL_GATEWAY_PIECE, &piece, data, 50);
    raw_refused(&r, "which has not begun");
    raw_enter(&r, "epsilon");
    raw_say(&r, SL_GATEWAY_PUT, &put, NULL, 0);
    raw_say(&r, SL_GATEWAY_PUT, &put, NULL, 0);
    raw_refused(&r, "object 1 after object 1: numbers ascend");
    raw_enter(&r, "epsilon");
    raw_say(&r, SL_GATEWAY_PUT, &put, NULL, 0);
    piece.offset = 20;
    raw_say(&r, SL_GATEWAY_PIECE, &piece, data, 50);
    raw_refused(&r, "does not follow the last");
    raw_enter(&r, "epsilon");
    raw_say(&r, SL_GATEWAY_PUT, &put, NULL, 0);
    piece.offset = 0;
    raw_say(&r, SL_GATEWAY_PIECE, &piece, data, 101);
    raw_refused(&r, "does not follow the last");
    raw_enter(&r, "epsilon");
    raw_say(&r, SL_GATEWAY_PUT, &put, NULL, 0);
    raw_say(&r, SL_GATEWAY_PIECE, &piece, NULL, 0);
    raw_refused(&r, "does not follow the last");
    raw_enter(&r, "epsilon");
    raw_say(&r, SL_GATEWAY_RELEASE, &gone, NULL, 0); /* nothing happens */
    raw_say(&r, SL_GATEWAY_READ, &read, NULL, 0);    /* refused, politely */
    raw_say(&r, SL_GATEWAY_PUT, &put, NULL, 0);
    raw_say(&r, SL_GATEWAY_READ, &read, NULL, 0); /* not whole */
    raw_say(&r, SL_GATEWAY_PIECE, &piece, data, 100);
    piece.offset = 100;
    raw_say(&r, SL_GATEWAY_PIECE, &piece, data, 1);
    raw_refused(&r, "does not follow the last");
    raw_enter(&r, "epsilon");
    raw_say(&r, SL_GATEWAY_PUT, &put, NULL, 0);
    piece.offset = 0;
    raw_say(&r, SL_GATEWAY_PIECE, &piece, data, 100);
    read.offset = 101;
    raw_say(&r, SL_GATEWAY_READ, &read, NULL, 0);
    raw_refused(&r, "a read of 50 bytes at 101 of an object of 100");
    raw_enter(&r, "epsilon");
    odd = put;
    odd.number = SL_GATEWAY_OBJECT_OWN + 1;
    raw_say(&r, SL_GATEWAY_PUT, &odd, NULL, 0);
    raw_refused(&r, "numbers ascend");
    sl_disconnect(good);
}

/* What cannot be an object is refused alone. */
static void no_objects(void) {
    sl_remote *good = outside_join("epsilon", "submit,read");
    gateway_dimension large[2] = {{UINT64_MAX / 2}, {16}}, few[1] = {{3}};
    gateway_put put = {.number = 1, .bytes = 100, .kind = SL_TYPE_BYTES}, odd;
    gateway_piece piece;
    raw r;
    raw_enter(&r, "epsilon");
    odd = (gateway_put){
        .number = 2, .bytes = 96, .kind = SL_TYPE_ARRAY, .dtype = SL_F32, .shape = {large, 2}};
    raw_say(&r, SL_GATEWAY_PUT, &odd, NULL, 0);
    odd = (gateway_put){.number = 3, .bytes = 96, .kind = 99, .shape = {few, 1}};
    raw_say(&r, SL_GATEWAY_PUT, &odd, NULL, 0);
    odd = (gateway_put){.number = 4, .bytes = UINT64_MAX, .kind = SL_TYPE_BYTES};
    raw_say(&r, SL_GATEWAY_PUT, &odd, NULL, 0);
    odd = (gateway_put){.number = 5, .bytes = 3, .kind = SL_TYPE_STRING};
    raw_say(&r, SL_GATEWAY_PUT, &odd, NULL, 0);
    piece = (gateway_piece){.number = 5};
    raw_say(&r, SL_GATEWAY_PIECE, &piece, "abc", 3); /* without its end */
    raw_say(&r, SL_GATEWAY_PUT, &put, NULL, 0);      /* a number that is old, at last */
    raw_refused(&r, "numbers ascend");
    /* Others notice nothing. */
    sl_object *object = sl_remote_put(good, sl_string("fine"));
    sl_view view;
    CHECK_INT(sl_get(object, SL_FOREVER, &view), 0);
    CHECK_STR(view.value.data, "fine");
    sl_view_release(&view);
    sl_object_release(object);
    CHECK_INT(outside_field(good, "held_bytes"), 0);
    sl_disconnect(good);
}

TEST(objects_from_outside) {
    const char *const options[] = {"store-bytes", "32MB", NULL};
    REQUIRE(outside_begin_with(options) == 0);
    sl_remote *remote = outside_join("physics", "submit,read");
    there_and_back(remote);
    types_stay(remote);
    as_arguments(remote);
    as_results(remote);
    sl_disconnect(remote);
    quotas_hold();
    kept_by_tasks();
    apart();
    hostile();
    no_objects();
    CHECK_INT(sl_shutdown(), 0);
}
