/* Objects over the ranks of an MPI job: between ranks of one host they are read where they lie. */
#include "tests/lib/test.h"

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
    CHECK_INT(sl_store_loads(store).copies, copies); /* large ones of this host are not copied */
    CHECK_INT(sl_store_loads(store).mapped, 0);      /* nothing is left */
    CHECK_INT(sl_shutdown(), 0);
}
