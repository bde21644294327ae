/* Sealed maps, on a network inside this process: every byte between its nodes is recorded, and
 * searched for what was sealed. */
#include <pthread.h>
#include <unistd.h>

#include "tests/lib/sealed_network.h"

static const char secret[] = "what nobody between the two ends may read, whoever they are";
static const char reason[] = "a reason that would give away what was computed, if told";

/* ---- tasks ---- */

SL_TASK(same_rows) {
    const sl_value *rows = sl_arg(call, 0);
    return sl_return_value(call, rows);
}

SL_TASK(twice) {
    size_t count;
    const double *in = sl_arg_array(call, 0, SL_F64, &count);
    double *out = sl_return_array(call, SL_F64, 1, &count);
    for (size_t i = 0; out && i < count; i++)
        out[i] = 2 * in[i];
    return 0;
}

SL_TASK(third_fails) {
    size_t count;
    const double *in = sl_arg_array(call, 0, SL_F64, &count);
    if (count && in[0] > 2.5 && in[0] < 3.5)
        return sl_call_fail(call, "%s", sl_arg_string(call, 1));
    return sl_return_value(call, sl_arg(call, 0));
}

SL_TASK(unlike_pieces) {
    size_t count;
    const double *in = sl_arg_array(call, 0, SL_F64, &count);
    return in[0] > 1.5 ? sl_return_string(call, secret) : sl_return_value(call, sl_arg(call, 0));
}

SL_TASK(sleep_long) {
    for (int i = 0; i < 300 && !sl_call_cancelled(call); i++)
        usleep(100000);
    return sl_return_value(call, sl_arg(call, 0));
}

/* ---- maps ---- */

enum { ROWS = 5000, PIECE = 250, WIDTH = sizeof secret };

/* Every row is the secret, with a number behind it. */
static char *secret_rows(void) {
    char *rows = calloc(ROWS, WIDTH + 8);
    for (int i = 0; i < ROWS; i++)
        snprintf(rows + (size_t)i * (WIDTH + 8), WIDTH + 8, "%s%d", secret, i);
    return rows;
}

static sl_value rows_of(const char *rows, const size_t shape[2]) {
    return sl_array(SL_U8, rows, 2, shape);
}

static void check_mapped(const sl_task_options *how) {
    const size_t shape[2] = {ROWS, WIDTH + 8};
    size_t count = 0;
    char *rows = secret_rows();
    const sl_map_options by = {.chunk = PIECE, .options = how};
    sl_future *map = sl_map(&same_rows, rows_of(rows, shape), &by);
    CHECK_INT(sl_wait(map, 60), 0);
    const char *got = sl_result_array(map, SL_U8, &count);
    CHECK_INT(count, ROWS * (WIDTH + 8));
    CHECK(got && memcmp(got, rows, count) == 0);
    const sl_value *value = sl_result(map);
    CHECK(value && value->dimensions == 2 && value->shape[0] == ROWS);
    sl_release(map);
    free(rows);
}

TEST(nobody_between_sees_a_sealed_map) {
    join(sl_test_keys_make()->node);
    sl_task_options how = sealed(&same_rows);
    check_mapped(&how);
    CHECK(sl_recording_size(&between) > 0);
    CHECK(!heard(secret));
    CHECK(!sl_recording_has(&between, "same_rows", 9));
    leave();
}

TEST(everybody_between_sees_a_map_that_is_not) {
    join(sl_test_keys_make()->node);
    check_mapped(NULL);
    CHECK(heard(secret));
    CHECK(sl_recording_has(&between, "same_rows", 9));
    leave();
}

TEST(maps_of_few_and_of_none) {
    double numbers[] = {1, 2, 3};
    size_t count = 9;
    join(sl_test_keys_make()->node);
    sl_task_options how = sealed(&twice);
    const sl_map_options by = {.options = &how};
    sl_future *few = sl_map(&twice, sl_vector(SL_F64, numbers, 3), &by);
    const double *got = sl_wait(few, 60) == 0 ? sl_result_array(few, SL_F64, &count) : NULL;
    CHECK_INT(count, 3);
    CHECK(got && got[0] == 2 && got[2] == 6);
    sl_future *none = sl_map(&twice, sl_vector(SL_F64, numbers, 0), &by);
    CHECK_INT(sl_wait(none, 60), 0);
    CHECK(sl_result_array(none, SL_F64, &count) != NULL || count == 0);
    CHECK_INT(count, 0);
    sl_release(few), sl_release(none);
    leave();
}

TEST(how_sealed_maps_fail) {
    double numbers[] = {1, 2, 3, 4};
    join(sl_test_keys_make()->node);
    sl_task_options how = sealed(&third_fails);
    const sl_map_options by = {.chunk = 1, .args = SL_ARGS(sl_string(reason)), .options = &how};
    sl_future *fails = sl_map(&third_fails, sl_vector(SL_F64, numbers, 4), &by);
    char expected[200];
    snprintf(expected, sizeof expected, "piece 2: %s", reason);
    CHECK_INT(sl_wait(fails, 60), SL_ERROR_FAILED);
    CHECK_STR(sl_error_text(), expected);
    CHECK_INT(sl_state_of(fails), SL_FUTURE_FAILED);
    CHECK(!sl_result(fails));
    sl_task_options unlike = sealed(&unlike_pieces);
    const sl_map_options mixed = {.chunk = 1, .options = &unlike};
    sl_future *apart = sl_map(&unlike_pieces, sl_vector(SL_F64, numbers, 2), &mixed);
    CHECK_INT(sl_wait_all(&apart, 1, 60), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "return arrays that go together; piece 1 is a string");
    CHECK_INT(sl_state_of(apart), SL_FUTURE_FAILED);
    sl_release(fails), sl_release(apart);
    CHECK(!heard(reason));
    leave();
}

TEST(a_sealed_map_that_is_cancelled_or_outlives_its_network) {
    double numbers[] = {1, 2, 3, 4};
    join(sl_test_keys_make()->node);
    sl_task_options slow = sealed(&sleep_long), how = sealed(&twice);
    const sl_map_options slowly = {.chunk = 1, .options = &slow},
                         by = {.chunk = 1, .options = &how};
    sl_future *gone = sl_map(&sleep_long, sl_vector(SL_F64, numbers, 4), &slowly);
    sl_future *kept = sl_map(&twice, sl_vector(SL_F64, numbers, 4), &by);
    sl_cancel(gone);
    CHECK_INT(sl_wait(gone, 60), SL_ERROR_CANCELLED);
    CHECK_INT(sl_state_of(gone), SL_FUTURE_CANCELLED);
    CHECK_INT(sl_wait_any(&kept, 1, 60, &(size_t){0}), 0);
    leave();
    size_t count = 0;
    const double *got = sl_result_array(kept, SL_F64, &count);
    CHECK_INT(count, 4);
    CHECK(got && got[3] == 8);
    sl_release(gone), sl_release(kept);
}

static void *ask_map(void *map) {
    size_t count = 0;
    const double *got = sl_result_array(map, SL_F64, &count);
    CHECK(got && count == 4 && got[3] == 8);
    CHECK_INT(sl_state_of(map), SL_FUTURE_DONE);
    return NULL;
}

TEST(several_threads_open_one_map) {
    double numbers[] = {1, 2, 3, 4};
    pthread_t threads[4];
    join(sl_test_keys_make()->node);
    sl_task_options how = sealed(&twice);
    const sl_map_options by = {.chunk = 1, .options = &how};
    sl_future *map = sl_map(&twice, sl_vector(SL_F64, numbers, 4), &by);
    CHECK_INT(sl_wait_any(&map, 1, 60, &(size_t){0}), 0);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, ask_map, map);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    sl_release(map);
    leave();
}
