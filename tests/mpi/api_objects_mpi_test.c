/* Objects over the ranks of an MPI job: between ranks of one host they are read where they lie. */
#include "tests/lib/test.h"

#include <unistd.h>

#include "actors/store/store.h"
#include "sdk/client.h"
#include "starlane.h"

SL_TASK(make_object) {
    void *data;
    size_t bytes = (size_t)sl_arg_i64(call, 0);
    sl_object *object = sl_object_create(sl_bytes(NULL, bytes), &data);
    if (!object)
        return sl_call_fail(call, "make: %s", sl_error_text());
    for (size_t i = 0; i < bytes; i++)
        ((unsigned char *)data)[i] = (unsigned char)(i * 31 >> 3);
    sl_object_seal(object);
    int error = sl_return_object(call, object);
    sl_object_release(object);
    return error;
}

static size_t wrong_bytes(const sl_view *view) {
    size_t wrong = 0;
    const unsigned char *data = view->value.data;
    for (size_t i = 0; i < view->value.bytes; i++)
        wrong += data[i] != (unsigned char)(i * 31 >> 3);
    return wrong;
}

SL_TASK(check_object) {
    sl_view view;
    if (sl_get(sl_arg_object(call, 0), 30, &view) != 0)
        return sl_call_fail(call, "get: %s", sl_error_text());
    size_t wrong = wrong_bytes(&view);
    size_t bytes = view.value.bytes;
    sl_view_release(&view);
    return wrong ? sl_call_fail(call, "%zu bytes are wrong", wrong)
                 : sl_return_i64(call, (int64_t)bytes);
}

static void check_size(int64_t bytes, uint32_t *foreign) {
    enum { COUNT = 24 };
    sl_future *made[COUNT], *checked[2 * COUNT];
    sl_view view;
    for (int i = 0; i < COUNT; i++) {
        made[i] = sl_submit(&make_object, SL_ARGS(sl_i64(bytes)));
        checked[2 * i] = sl_submit(&check_object, SL_ARGS(sl_wait_for(made[i])));
        checked[2 * i + 1] = sl_submit(&check_object, SL_ARGS(sl_wait_for(made[i])));
    }
    CHECK_INT(sl_wait_all(checked, 2 * COUNT, SL_FOREVER), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(sl_result_i64(checked[2 * i]), bytes);
        CHECK_INT(sl_result_i64(checked[2 * i + 1]), bytes);
        CHECK_INT(sl_wait(made[i], SL_FOREVER), 0);
        *foreign += sl_object_node(sl_result_object(made[i])) != sl_rank();
        CHECK_INT(sl_get(sl_result_object(made[i]), 30, &view), 0);
        CHECK_INT(wrong_bytes(&view), 0);
        sl_release(made[i]);
        CHECK_INT(wrong_bytes(&view), 0); /* the view keeps it */
        sl_view_release(&view);
        sl_release(checked[2 * i]);
        sl_release(checked[2 * i + 1]);
    }
}

SL_TASK(make_result) {
    size_t bytes = (size_t)sl_arg_i64(call, 0);
    unsigned char *data = sl_return_array(call, SL_U8, 1, &bytes);
    for (size_t i = 0; data && i < bytes; i++)
        data[i] = (unsigned char)(i * 31 >> 3);
    return data == NULL;
}

SL_TASK(check_result) {
    size_t bytes, wrong = 0;
    const unsigned char *data = sl_arg_array(call, 0, SL_U8, &bytes);
    for (size_t i = 0; i < bytes; i++)
        wrong += data[i] != (unsigned char)(i * 31 >> 3);
    return wrong ? sl_call_fail(call, "%zu bytes are wrong", wrong) : sl_return_i64(call, 0);
}

/* What the store of its node has of this and other nodes' objects. */
SL_TASK(count_left) {
    sl_store_load load = sl_store_loads(sl_session_store(sl_call_node(call)));
    int64_t pair[2] = {sl_call_node(call),
                       (int64_t)(load.owned + load.holds + load.leases + load.mapped)};
    usleep(2000); /* so that every rank gets some */
    return sl_return_bytes(call, pair, sizeof pair);
}

/* Which rank counts is the scheduler's business: until each was seen with nothing. */
static bool nothing_is_left(void) {
    bool empty[64] = {false};
    uint32_t seen = 0;
    for (int i = 0; i < 500 && seen < sl_size(); i++) {
        sl_future *futures[32];
        for (int j = 0; j < 32; j++)
            futures[j] = sl_submit(&count_left, SL_NO_ARGS);
        for (int j = 0; j < 32; j++) {
            size_t bytes;
            const int64_t *pair = sl_wait(futures[j], 30) == 0
                                      ? (const int64_t *)sl_result_bytes(futures[j], &bytes)
                                      : NULL;
            if (pair && pair[1] == 0 && !empty[pair[0]]) {
                empty[pair[0]] = true;
                seen++;
            }
            sl_release(futures[j]);
        }
    }
    return seen == sl_size();
}

/* Read here, elsewhere, both, or by nobody. */
static void check_results(int64_t bytes) {
    enum { COUNT = 32 };
    sl_future *made[COUNT], *checked[COUNT];
    size_t count, wrong = 0;
    for (int i = 0; i < COUNT; i++) {
        made[i] = sl_submit(&make_result, SL_ARGS(sl_i64(bytes)));
        checked[i] = sl_submit(&check_result, SL_ARGS(sl_wait_for(made[i])));
        sl_release(sl_submit(&make_result, SL_ARGS(sl_i64(bytes))));
        if (i % 4 == 3)
            sl_cancel(made[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        bool done = sl_wait(made[i], 30) == 0, has_been_checked = sl_wait(checked[i], 30) == 0;
        CHECK(done == has_been_checked);
        const unsigned char *data = done && i % 2 ? sl_result_array(made[i], SL_U8, &count) : NULL;
        CHECK(!done || i % 2 == 0 || (data && count == (size_t)bytes));
        for (size_t at = 0; data && at < count; at++)
            wrong += data[at] != (unsigned char)(at * 31 >> 3);
        sl_release(made[i]);
        sl_release(checked[i]);
    }
    CHECK_INT(wrong, 0);
}

TEST(objects_between_ranks) {
    int error = sl_init(NULL, NULL, NULL);
    if (error)
        fprintf(stderr, "%s\n", sl_error_text());
    REQUIRE(error == 0);
    uint32_t foreign = 0, foreign_small = 0;
    sl_store *store = sl_session_store(sl_rank());
    check_size(100, &foreign_small);
    uint64_t copies = sl_store_loads(store).copies;
    check_size(100000, &foreign);
    do /* until some were made elsewhere: where is the scheduler's business */
        check_size(3000000, &foreign);
    while (sl_size() > 1 && !foreign);
    const char *share = getenv("STARLANE_STORE_SHARE");
    if (sl_size() > 1 && share && strcmp(share, "false") == 0)
        CHECK(sl_store_loads(store).copies > copies);
    else /* large ones of this host are not copied */
        CHECK_INT(sl_store_loads(store).copies, copies);
    check_results(100000);
    check_results(1000000);
    check_results(3000000);
    CHECK(nothing_is_left());
    CHECK_INT(sl_shutdown(), 0);
}
