/* Detached calls: their results, for whom and for how long. */
#include "tests/lib/test.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/outside.h"

static _Atomic int go_on, begun;

SL_TASK(hold_on) {
    atomic_fetch_add(&begun, 1);
    while (!atomic_load(&go_on) && !sl_call_cancelled(call))
        usleep(1000);
    return sl_return_i64(call, 3 * sl_arg_i64(call, 0));
}

SL_TASK(refuse) {
    return sl_call_fail(call, "I refuse %s", sl_arg_string(call, 0));
}

SL_TASK(give) {
    size_t bytes = (size_t)sl_arg_i64(call, 0);
    void *data = sl_return_array(call, SL_U8, 1, &bytes);
    if (data)
        memset(data, 7, bytes);
    return 0;
}

SL_TASK(bytes_of) {
    size_t bytes = 0;
    (void)sl_arg_bytes(call, 0, &bytes);
    return sl_return_i64(call, (int64_t)bytes);
}

SL_TASK(length_of) {
    sl_view view;
    if (sl_get(sl_arg_object(call, 0), 30, &view) != 0)
        return sl_call_fail(call, "%s", sl_error_text());
    atomic_fetch_add(&begun, 1);
    while (!atomic_load(&go_on))
        usleep(1000);
    int err = sl_return_i64(call, (int64_t)view.value.bytes);
    sl_view_release(&view);
    return err;
}

SL_TASK(make) {
    sl_object *object = sl_put(sl_bytes("object", 6));
    int err = sl_return_object(call, object);
    sl_object_release(object);
    return err;
}

static void hold(void) {
    atomic_store(&go_on, 0);
    atomic_store(&begun, 0);
}

static void let_go(void) {
    atomic_store(&go_on, 1);
}

static void await_begun(void) {
    while (!atomic_load(&begun))
        usleep(1000);
}

/* The id of one that was accepted. */
static uint64_t id_of(sl_future *future) {
    sl_command_state state = {.id = 0};
    if (sl_wait(future, SL_FOREVER) != 0 || sl_result_command(future, &state) != 0)
        sl_test_fail(__FILE__, __LINE__, "%s", sl_error_text());
    sl_release(future);
    return state.id;
}

static uint64_t detach_hold(sl_remote *remote, int64_t number) {
    return id_of(sl_remote_submit_detached(remote, "hold_on", SL_ARGS(sl_i64(number)), NULL));
}

static sl_command_stands stands(sl_remote *remote, uint64_t id) {
    sl_command_state state = {.call = 0};
    CHECK_INT(sl_remote_commands(remote, &id, 1, &state), 0);
    CHECK(state.call || state.stands == SL_COMMAND_UNKNOWN);
    return state.stands;
}

static void await_stands(sl_remote *remote, uint64_t id, sl_command_stands wanted) {
    for (int i = 0; i < 30000 && stands(remote, id) != wanted; i++)
        usleep(1000);
    CHECK_INT(stands(remote, id), wanted);
}

static int collect(sl_remote *remote, uint64_t id, int64_t *result) {
    sl_future *future = sl_remote_collect(remote, id);
    int err = sl_wait(future, 60);
    if (err == 0)
        *result = sl_result_i64(future);
    sl_release(future);
    return err;
}

/* It goes on without its client, and another has its result, more than once. */
static void without_its_client(void) {
    sl_remote *one = outside_join("physics", "submit"), *two = outside_join("physics", "read");
    int64_t result = 0;
    hold();
    uint64_t id = detach_hold(one, 5);
    await_begun();
    sl_future *early = sl_remote_collect(two, id), *given_up = sl_remote_collect(two, id);
    CHECK_INT(sl_wait(early, 0.02), SL_ERROR_TIMEOUT);
    sl_cancel(given_up);
    CHECK_INT(sl_wait(given_up, 30), SL_ERROR_CANCELLED);
    sl_disconnect(one);
    CHECK_INT(stands(two, id), SL_COMMAND_WAITS); /* until it has ended */
    let_go();
    CHECK_INT(sl_wait(early, 60), 0);
    CHECK_INT(sl_result_i64(early), 15);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(collect(two, id, &result), 0);
        CHECK_INT(result, 15);
    }
    CHECK_INT(stands(two, id), SL_COMMAND_DONE);
    char part[10];
    size_t bytes = sizeof part;
    int ended;
    CHECK(sl_remote_output(two, id, 0, 0, part, &bytes, &ended) != 0);
    CHECK_CONTAINS(sl_error_text(), "is a call");
    sl_release(early), sl_release(given_up);
    sl_disconnect(two);
}

static void results_of_all_kinds(void) {
    enum { LARGE = 300000, MUCH = 65 << 20 };
    sl_remote *remote = outside_join("physics", "submit,read");
    size_t bytes;
    let_go();
    uint64_t plain = id_of(sl_remote_call_detached(remote, "starlane.crc32", "hello", 5, NULL));
    uint64_t large = id_of(sl_remote_submit_detached(remote, "give", SL_ARGS(sl_i64(LARGE)), NULL));
    uint64_t none = id_of(sl_remote_call_detached(remote, "nosuch", "", 0, NULL));
    uint64_t bad =
        id_of(sl_remote_submit_detached(remote, "refuse", SL_ARGS(sl_string("this")), NULL));
    uint64_t made = id_of(sl_remote_submit_detached(remote, "make", SL_NO_ARGS, NULL));
    sl_future *text = sl_remote_collect(remote, plain);
    CHECK_INT(sl_wait(text, 60), 0);
    CHECK(memcmp(sl_result_bytes(text, &bytes), "3610a686", 8) == 0);
    for (int i = 0; i < 2; i++) {
        sl_future *array = sl_remote_collect(remote, large);
        CHECK_INT(sl_wait(array, 60), 0);
        const uint8_t *data = sl_result_array(array, SL_U8, &bytes);
        CHECK(data && bytes == LARGE && data[0] == 7 && data[LARGE - 1] == 7);
        sl_release(array);
    }
    int64_t result = 0;
    uint8_t *much = calloc(MUCH, 1); /* more than a message takes */
    uint64_t id =
        id_of(sl_remote_submit_detached(remote, "bytes_of", SL_ARGS(sl_bytes(much, MUCH)), NULL));
    CHECK_INT(collect(remote, id, &result), 0);
    CHECK_INT(result, MUCH);
    free(much);
    CHECK_INT(collect(remote, none, &result), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "nosuch");
    CHECK_INT(collect(remote, bad, &result), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "I refuse this");
    CHECK_INT(collect(remote, made, &result), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "cannot return an object");
    CHECK_INT(stands(remote, bad), SL_COMMAND_FAILED);
    sl_release(text);
    CHECK(!sl_remote_submit_detached(remote, "", SL_NO_ARGS, NULL));
    CHECK_INT(outside_field(remote, "running"), 0);
    sl_disconnect(remote);
}

/* Objects among the arguments stay until the call has ended, though their client has left. */
static void objects_among_arguments(void) {
    static uint8_t data[70000];
    sl_remote *one = outside_join("physics", "submit"), *two = outside_join("physics", "read");
    int64_t result = 0;
    hold();
    sl_object *object = sl_remote_put(one, sl_value_bytes(data, sizeof data));
    REQUIRE(object != NULL);
    uint64_t id =
        id_of(sl_remote_submit_detached(one, "length_of", SL_ARGS(sl_object_value(object)), NULL));
    sl_object_release(object);
    sl_disconnect(one);
    await_begun();
    let_go();
    CHECK_INT(collect(two, id, &result), 0);
    CHECK_INT(result, sizeof data);
    sl_disconnect(two);
}

static void taking_back(void) {
    sl_remote *one = outside_join("physics", "submit"),
              *two = outside_join("physics", "submit,read");
    int64_t result = 0;
    hold();
    uint64_t id = detach_hold(one, 1);
    await_begun();
    sl_future *waits = sl_remote_collect(two, id);
    CHECK_INT(sl_remote_cancel_command(two, id), 0);
    CHECK_INT(sl_wait(waits, 60), SL_ERROR_CANCELLED);
    CHECK_INT(collect(two, id, &result), SL_ERROR_CANCELLED);
    CHECK_INT(stands(two, id), SL_COMMAND_CANCELLED);
    sl_release(waits);
    let_go();
    sl_disconnect(one);
    sl_disconnect(two);
}

static void for_whom(void) {
    sl_remote *mine = outside_join("alpha", "submit"), *same = outside_join("alpha", "submit"),
              *other = outside_join("beta", "submit,read");
    int64_t result = 0;
    let_go();
    uint64_t id = detach_hold(mine, 2);
    CHECK_INT(collect(mine, id, &result), 0); /* one's own: without the scope read */
    CHECK_INT(result, 6);
    CHECK_INT(collect(same, id, &result), SL_ERROR_NOT_FOUND);
    CHECK_INT(collect(other, id, &result), SL_ERROR_NOT_FOUND);
    CHECK_CONTAINS(sl_error_text(), "no such call");
    CHECK_INT(collect(other, id + 1, &result), SL_ERROR_NOT_FOUND);
    CHECK_INT(stands(other, id), SL_COMMAND_UNKNOWN);
    hold();
    id = detach_hold(mine, 2);
    CHECK_INT(sl_remote_cancel_command(other, id), 0);
    CHECK_INT(collect(other, id, &result), SL_ERROR_NOT_FOUND);
    let_go();
    CHECK_INT(collect(mine, id, &result), 0); /* it was not taken back */
    sl_disconnect(mine);
    sl_disconnect(same);
    sl_disconnect(other);
}

/* What is kept counts, and the oldest goes first. */
static void bounds(void) {
    enum { EACH = 300000, COUNT = 12 };
    uint64_t ids[COUNT], unknown = 0;
    sl_remote *remote = outside_join("gamma", "submit,read");
    int64_t result = 0;
    let_go();
    for (int i = 0; i < COUNT; i++) {
        ids[i] = id_of(sl_remote_submit_detached(remote, "give", SL_ARGS(sl_i64(EACH)), NULL));
        for (sl_command_stands now = SL_COMMAND_WAITS;
             now == SL_COMMAND_WAITS || now == SL_COMMAND_RUNS; usleep(1000))
            now = stands(remote, ids[i]);
    }
    for (int i = 0; i < COUNT; i++)
        unknown += stands(remote, ids[i]) == SL_COMMAND_UNKNOWN;
    CHECK(unknown > 0 && stands(remote, ids[COUNT - 1]) == SL_COMMAND_DONE);
    CHECK_INT(stands(remote, ids[0]), SL_COMMAND_UNKNOWN);
    CHECK_INT(collect(remote, ids[0], &result), SL_ERROR_NOT_FOUND);
    uint64_t held = outside_field(remote, "held_bytes");
    CHECK(held >= (COUNT - unknown) * EACH && held < (COUNT - unknown + 1) * EACH);
    CHECK_INT(sl_api_quota(outside_directory, "delta", 0, 1, EACH / 2, 0), 0);
    sl_remote *small = outside_join("delta", "submit,read");
    hold();
    uint64_t first = detach_hold(small, 1);
    sl_future *second = sl_remote_submit_detached(small, "hold_on", SL_ARGS(sl_i64(1)), NULL);
    CHECK_INT(sl_wait(second, 60), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "quota");
    sl_release(second);
    let_go();
    CHECK_INT(collect(small, first, &result), 0);
    uint64_t much = id_of(sl_remote_submit_detached(small, "give", SL_ARGS(sl_i64(EACH)), NULL));
    CHECK_INT(collect(small, much, &result), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "more than the project's quota of bytes leaves");
    sl_disconnect(remote);
    sl_disconnect(small);
}

static void hostile(void) {
    gateway_collect collects = {.number = 3, .id = 77};
    raw r;
    raw_enter(&r, "epsilon");
    raw_say(&r, SL_GATEWAY_COLLECT, &collects, NULL, 0);
    raw_say(&r, SL_GATEWAY_COLLECT, &collects, NULL, 0);
    raw_refused(&r, "numbers ascend");
}

TEST(detached_calls) {
    const char *const options[] = {"gateway-keep-bytes", "1MiB", NULL};
    REQUIRE(outside_begin_with(options) == 0);
    without_its_client();
    results_of_all_kinds();
    objects_among_arguments();
    taking_back();
    for_whom();
    bounds();
    hostile();
    CHECK_INT(sl_shutdown(), 0);
}

/* Dropped when their time is over; and a network that ends has nothing left of any. */
TEST(detached_calls_are_forgotten) {
    const char *const options[] = {"gateway-keep-ended", "1s", NULL};
    REQUIRE(outside_begin_with(options) == 0);
    sl_remote *remote = outside_join("physics", "submit,read");
    int64_t result = 0;
    let_go();
    uint64_t id = detach_hold(remote, 4);
    CHECK_INT(collect(remote, id, &result), 0);
    CHECK_INT(result, 12);
    await_stands(remote, id, SL_COMMAND_UNKNOWN);
    CHECK_INT(collect(remote, id, &result), SL_ERROR_NOT_FOUND);
    CHECK_INT(outside_field(remote, "held_bytes"), 0);
    (void)id_of(sl_remote_submit_detached(remote, "give", SL_ARGS(sl_i64(100)), NULL));
    hold();
    id = detach_hold(remote, 4);
    await_begun();
    sl_future *waits = sl_remote_collect(remote, id);
    let_go();
    CHECK_INT(sl_shutdown(), 0);
    (void)sl_wait(waits, SL_FOREVER);
    sl_release(waits);
    sl_disconnect(remote);
}
