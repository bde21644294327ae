/* Results that stay where they were made, on networks inside this process: each node has a store of
 * its own, and at the end of each test nothing may be left in any of them. */
#include "tests/lib/test.h"

#include <unistd.h>

#include "actors/store/store.h"
#include "sdk/client.h"
#include "starlane.h"

enum { NODES = 4, COUNT = 20000, LARGE = COUNT * 8 };

static void fill(double *numbers, size_t count, double first) {
    for (size_t i = 0; i < count; i++)
        numbers[i] = first + (double)i;
}

static bool is_filled(const double *numbers, size_t count, double first) {
    for (size_t i = 0; i < count; i++)
        if (numbers[i] != first + (double)i)
            return false;
    return true;
}

SL_TASK(make_array) {
    double first = sl_arg_f64(call, 0);
    double *numbers = sl_return_array(call, SL_F64, 2, (size_t[]){4, COUNT / 4});
    if (!numbers)
        return 1;
    fill(numbers, COUNT, first);
    return 0;
}

SL_TASK(make_copied) {
    double numbers[COUNT];
    fill(numbers, COUNT, sl_arg_f64(call, 0));
    sl_value value = sl_vector(SL_F64, numbers, COUNT);
    sl_return_string(call, "what counts is the last");
    sl_return_value(call, &value);
    sl_return_f64(call, 5);
    return sl_return_value(call, &value);
}

SL_TASK(make_text) {
    char *text = malloc(LARGE + 1);
    memset(text, 'x', LARGE);
    text[LARGE] = '\0';
    int error = sl_return_string(call, text);
    free(text);
    return error;
}

SL_TASK(make_bytes) {
    unsigned char *bytes = malloc(LARGE);
    memset(bytes, 9, LARGE);
    int error = sl_return_bytes(call, bytes, LARGE);
    free(bytes);
    return error;
}

SL_TASK(make_image) {
    unsigned char *pixels = calloc(1, 100 * 200 * 3);
    sl_value value = sl_image(pixels, 100, 200, 3);
    int error = sl_return_value(call, &value);
    free(pixels);
    return error;
}

SL_TASK(make_and_fail) {
    double *numbers = sl_return_array(call, SL_F64, 1, (size_t[]){COUNT});
    fill(numbers, COUNT, 0);
    return sl_call_fail(call, "on purpose");
}

static _Atomic int going;

SL_TASK(make_late, .timeout_s = 0.05) {
    double *numbers = sl_return_array(call, SL_F64, 1, (size_t[]){COUNT});
    fill(numbers, COUNT, 0);
    usleep(120000);
    return 0;
}

/* Once it has been called often it runs on the loop, which meanwhile can not say that it is late.
 */
SL_TASK(late_on_the_loop, .brief = 1, .timeout_s = 0.005) {
    if (!sl_arg_i64(call, 0))
        return 0;
    double *numbers = sl_return_array(call, SL_F64, 1, (size_t[]){COUNT});
    fill(numbers, COUNT, 0);
    usleep(10000);
    return 0;
}

/* The same of an object, perhaps another node's. */
SL_TASK(pass_late, .timeout_s = 0.05) {
    int error = sl_return_object(call, sl_arg_object(call, 0));
    usleep(120000);
    return error;
}

SL_TASK(make_slowly, .cpus = SL_NO_CPUS) {
    double *numbers = sl_return_array(call, SL_F64, 1, (size_t[]){COUNT});
    fill(numbers, COUNT, 0);
    going = 1;
    usleep(20000);
    return 0;
}

static int sum_of(sl_call *call) {
    size_t count;
    double sum = 0;
    for (size_t at = 0; at < sl_arg_count(call); at++) {
        const double *numbers = sl_arg_array(call, at, SL_F64, &count);
        for (size_t i = 0; i < count; i++)
            sum += numbers[i];
    }
    return sl_return_f64(call, sum);
}

SL_TASK(sum) {
    return sum_of(call);
}

SL_TASK(sum_briefly, .brief = 1) {
    return sum_of(call);
}

SL_TASK(add_one) {
    size_t count;
    const double *numbers = sl_arg_array(call, 0, SL_F64, &count);
    double *more = sl_return_array(call, SL_F64, 1, &count);
    if (!more)
        return 1;
    for (size_t i = 0; i < count; i++)
        more[i] = numbers[i] + 1;
    return 0;
}

SL_TASK(length_of) {
    return sl_return_i64(call, (int64_t)strlen(sl_arg_string(call, 0)));
}

SL_TASK(where) {
    return sl_return_i64(call, sl_call_node(call));
}

static sl_options *options;

static void join_with(const char *store_bytes, const char *spill) {
    if (sl_options_create(&options) != 0 || sl_options_set(options, "nodes", "4") != 0 ||
        sl_options_set(options, "cpus", "1") != 0 ||
        sl_options_set(options, "result-inline", "32KiB") != 0 ||
        sl_options_set(options, "store-bytes", store_bytes) != 0 ||
        (spill && sl_options_set(options, "store-spill", spill) != 0))
        abort();
    if (sl_init(NULL, NULL, &(sl_init_options){.options = options}) != 0) {
        fprintf(stderr, "%s\n", sl_error_text());
        abort();
    }
}

static void join(const char *store_bytes) {
    join_with(store_bytes, NULL);
}

/* What is let go of is told by messages: soon nothing is left, but copies that nobody has. */
static bool nothing_left(void) {
    for (uint32_t node = 0; node < NODES; node++) {
        sl_store_load load = sl_store_loads(sl_session_store(node));
        if (load.holds || load.leases || load.mapped || load.owned || load.pinned)
            return false;
    }
    return true;
}

static void leave(void) {
    for (int i = 0; i < 5000 && !nothing_left(); i++)
        usleep(1000);
    CHECK(nothing_left());
    CHECK_INT(sl_shutdown(), 0);
    sl_options_destroy(options);
}

TEST(every_type_is_read_where_it_is_wanted) {
    enum { EACH = 8 };
    sl_future *arrays[EACH], *copied[EACH];
    size_t count, bytes;
    bool stayed = false;
    join("64MiB");
    for (int i = 0; i < EACH; i++) {
        arrays[i] = sl_submit(&make_array, SL_ARGS(sl_f64(i)));
        copied[i] = sl_submit(&make_copied, SL_ARGS(sl_f64(i)));
    }
    sl_future *text = sl_submit(&make_text, SL_NO_ARGS);
    sl_future *raw = sl_submit(&make_bytes, SL_NO_ARGS);
    sl_future *image = sl_submit(&make_image, SL_NO_ARGS);
    for (int i = 0; i < EACH; i++) {
        CHECK_INT(sl_wait(arrays[i], 30), 0);
        stayed |= arrays[i]->kept && sl_object_node(arrays[i]->kept) != 0;
        const double *numbers = sl_result_array(arrays[i], SL_F64, &count);
        REQUIRE(numbers && count == COUNT);
        CHECK(is_filled(numbers, count, i));
        CHECK(numbers == sl_result_array(arrays[i], SL_F64, &count));
        CHECK_INT(sl_result(arrays[i])->dimensions, 2);
        CHECK_INT(sl_result(arrays[i])->shape[1], COUNT / 4);
        CHECK_INT(sl_wait(copied[i], 30), 0);
        numbers = sl_result_array(copied[i], SL_F64, &count);
        CHECK(numbers && count == COUNT && is_filled(numbers, count, i));
        sl_release(arrays[i]);
        sl_release(copied[i]);
    }
    CHECK(stayed);
    CHECK_INT(sl_wait(text, 30), 0);
    CHECK_INT(strlen(sl_result_string(text)), LARGE);
    CHECK_INT(sl_wait(raw, 30), 0);
    const unsigned char *data = sl_result_bytes(raw, &bytes);
    CHECK(data && bytes == LARGE && data[LARGE - 1] == 9);
    CHECK_INT(sl_wait(image, 30), 0);
    CHECK(sl_result(image) && sl_result(image)->type == SL_TYPE_IMAGE &&
          sl_result(image)->shape[1] == 200);
    CHECK(sl_result_object(image) == NULL); /* where it is kept is the library's business */
    sl_release(text), sl_release(raw), sl_release(image);
    leave();
}

TEST(tasks_get_them_from_where_they_are) {
    enum { CHAINS = 12, LENGTH = 6 };
    sl_future *ends[CHAINS], *sums[CHAINS], *brief[CHAINS];
    const double all = (double)COUNT * (COUNT - 1) / 2;
    join("64MiB");
    for (int i = 0; i < CHAINS; i++) {
        ends[i] = sl_submit(&make_array, SL_ARGS(sl_f64(0)));
        for (int j = 0; j < LENGTH; j++) {
            sl_future *next = sl_submit(&add_one, SL_ARGS(sl_wait_for(ends[i])));
            sl_release(ends[i]);
            ends[i] = next;
        }
        sums[i] = sl_submit(&sum, SL_ARGS(sl_wait_for(ends[i]), sl_wait_for(ends[0])));
        brief[i] = sl_submit(&sum_briefly, SL_ARGS(sl_wait_for(ends[i])));
    }
    for (int i = 0; i < CHAINS; i++) {
        CHECK_INT(sl_wait(sums[i], 30), 0);
        CHECK(sl_result_f64(sums[i]) == 2 * (all + LENGTH * (double)COUNT));
        CHECK_INT(sl_wait(brief[i], 30), 0);
        CHECK(sl_result_f64(brief[i]) == all + LENGTH * (double)COUNT);
        CHECK(ends[i]->value.data == NULL); /* it never came here */
    }
    for (int i = 0; i < CHAINS; i++)
        sl_release(ends[i]), sl_release(sums[i]), sl_release(brief[i]);
    sl_future *text = sl_submit(&make_text, SL_NO_ARGS);
    sl_future *length = sl_submit(&length_of, SL_ARGS(sl_wait_for(text)));
    sl_release(text);
    CHECK_INT(sl_wait(length, 30), 0);
    CHECK_INT(sl_result_i64(length), LARGE);
    sl_release(length);
    leave();
}

/* A task called so often that it runs on the loop is given a large argument there too. */
TEST(a_brief_task_waits_for_its_argument_elsewhere) {
    enum { OFTEN = 300 };
    join("64MiB");
    for (int i = 0; i < OFTEN; i++) {
        sl_future *none = sl_submit(&sum_briefly, SL_NO_ARGS);
        CHECK_INT(sl_wait(none, 30), 0);
        sl_release(none);
    }
    for (int i = 0; i < 40; i++) {
        sl_future *made = sl_submit(&make_array, SL_ARGS(sl_f64(1)));
        sl_future *total = sl_submit(&sum_briefly, SL_ARGS(sl_wait_for(made), sl_wait_for(made)));
        if (sl_wait(total, 30) != 0)
            CHECK_STR(sl_error_text(), "");
        CHECK(sl_result_f64(total) == (double)COUNT * (COUNT + 1));
        sl_release(made), sl_release(total);
    }
    leave();
}

/* Where it can begin at once: mostly, as what is known of other nodes may be old. */
TEST(a_task_goes_to_its_largest_argument) {
    enum { TRIES = 60 };
    int there = 0, elsewhere = 0;
    join("64MiB");
    for (int i = 0; i < TRIES; i++) {
        sl_future *busy = sl_submit(&make_slowly, SL_NO_ARGS); /* so that not all are made here */
        sl_future *made[3];
        for (int j = 0; j < 3; j++)
            made[j] = sl_submit(&make_array, SL_ARGS(sl_f64(j)));
        CHECK_INT(sl_wait_all(made, 3, 30), 0);
        CHECK_INT(sl_wait(busy, 30), 0);
        sl_future *one = sl_submit(&where, SL_ARGS(sl_f64(1), sl_wait_for(made[i % 3])));
        CHECK_INT(sl_wait(one, 30), 0);
        uint32_t node = sl_object_node(made[i % 3]->kept);
        there += node != 0 && sl_result_i64(one) == node;
        elsewhere += node != 0 && sl_result_i64(one) != node;
        for (int j = 0; j < 3; j++)
            sl_release(made[j]);
        sl_release(busy), sl_release(one);
    }
    CHECK(there > 3 * elsewhere);
    if (there <= 3 * elsewhere)
        fprintf(stderr, "%d there, %d elsewhere\n", there, elsewhere);
    leave();
}

TEST(what_nobody_reads_is_let_go_of) {
    enum { EACH = 12 };
    sl_future *futures[EACH];
    join("64MiB");
    for (int i = 0; i < EACH; i++) /* not even waited for */
        sl_release(sl_submit(&make_array, SL_ARGS(sl_f64(0))));
    for (int i = 0; i < EACH; i++) {
        going = 0;
        futures[i] = sl_submit(&make_slowly, SL_NO_ARGS);
        while (i % 2 && !going)
            usleep(1000);
        sl_cancel(futures[i]);
    }
    for (int i = 0; i < EACH; i++) {
        (void)sl_wait(futures[i], 30);
        sl_release(futures[i]);
        futures[i] = sl_submit(&make_and_fail, SL_NO_ARGS);
    }
    for (int i = 0; i < EACH; i++) {
        CHECK(sl_wait(futures[i], 30) != 0);
        CHECK_STR(sl_error_text(), "on purpose");
        sl_release(futures[i]);
    }
    leave();
}

/* It is found to be late when its body has returned, and the hold was made. */
TEST(late_attempts_leave_no_holds) {
    enum { EACH = 6 };
    sl_future *made[EACH], *passed[EACH];
    double numbers[1000] = {0};
    join("64MiB");
    sl_object *object = sl_put(sl_vector(SL_F64, numbers, 1000));
    for (int i = 0; i < EACH; i++) {
        made[i] = sl_submit(&make_late, SL_NO_ARGS);
        passed[i] = sl_submit(&pass_late, SL_ARGS(sl_object_value(object)));
    }
    for (int i = 0; i < EACH; i++) {
        CHECK(sl_wait(made[i], 30) != 0);
        CHECK_CONTAINS(sl_error_text(), "longer than its");
        CHECK(sl_wait(passed[i], 30) != 0);
        sl_release(made[i]), sl_release(passed[i]);
    }
    sl_object_release(object);
    for (int i = 0; i < 400 * NODES; i++) {
        made[0] = sl_submit(&late_on_the_loop, SL_ARGS(sl_i64(i % 400 > 390)));
        (void)sl_wait(made[0], 30);
        sl_release(made[0]);
    }
    leave();
}

TEST(without_room_they_travel) {
    sl_future *futures[10];
    size_t count;
    join("100000B");
    for (int i = 0; i < 10; i++)
        futures[i] = sl_submit(&make_array, SL_ARGS(sl_f64(i)));
    for (int i = 0; i < 10; i++) {
        CHECK_INT(sl_wait(futures[i], 30), 0);
        const double *numbers = sl_result_array(futures[i], SL_F64, &count);
        CHECK(numbers && is_filled(numbers, count, i));
        CHECK(!futures[i]->kept);
        sl_release(futures[i]);
    }
    leave();
}

TEST(the_whole_of_a_map_is_put_together_here) {
    enum { ROWS = 200000 };
    double *numbers = malloc(ROWS * sizeof *numbers);
    size_t count;
    fill(numbers, ROWS, 0);
    join("64MiB");
    sl_future *more = sl_map(&add_one, sl_vector(SL_F64, numbers, ROWS), NULL);
    sl_future *total = sl_submit(&sum, SL_ARGS(sl_wait_for(more)));
    CHECK_INT(sl_wait(total, 30), 0);
    CHECK(sl_result_f64(total) == (double)ROWS * (ROWS + 1) / 2);
    const double *all = sl_result_array(more, SL_F64, &count);
    CHECK(all && count == ROWS && is_filled(all, count, 1));
    sl_release(more), sl_release(total);
    leave();
    free(numbers);
}

/* More than the stores have room for, read here and by tasks of every node. */
TEST(what_was_spilled_is_read_from_everywhere) {
    enum { MANY = 40 };
    sl_future *made[MANY], *sums[MANY];
    sl_object *objects[MANY];
    double numbers[COUNT];
    size_t count;
    uint64_t spills = 0;
    join_with("500000B", sl_test_dir());
    for (int i = 0; i < MANY; i++) {
        fill(numbers, COUNT, i);
        made[i] = sl_submit(&make_array, SL_ARGS(sl_f64(i)));
        REQUIRE((objects[i] = sl_put(sl_vector(SL_F64, numbers, COUNT))) != NULL);
    }
    CHECK_INT(sl_wait_all(made, MANY, 60), 0);
    for (uint32_t node = 0; node < NODES; node++)
        spills += sl_store_loads(sl_session_store(node)).spilled;
    CHECK(spills >= MANY - 3);
    for (int i = 0; i < MANY; i++)
        sums[i] = sl_submit(i % 2 ? &sum : &sum_briefly, SL_ARGS(sl_wait_for(made[i])));
    for (int i = 0; i < MANY; i++) {
        sl_view view;
        if (sl_get(objects[i], 30, &view) != 0)
            CHECK_STR(sl_error_text(), "");
        else
            CHECK(is_filled(view.value.data, COUNT, i));
        sl_view_release(&view);
        if (sl_wait(sums[i], 60) != 0)
            CHECK_STR(sl_error_text(), "");
        CHECK(sl_result_f64(sums[i]) == (double)COUNT * (COUNT - 1) / 2 + (double)i * COUNT);
        const double *all = sl_result_array(made[i], SL_F64, &count);
        CHECK(all && is_filled(all, count, i));
        sl_release(made[i]), sl_release(sums[i]);
        sl_object_release(objects[i]);
    }
    leave();
}
