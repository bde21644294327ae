/* What was placed behind something that turns out to be long is run elsewhere, and what ran before
 * it in the same row is told of. */
#include "tests/lib/test.h"

#include <stdatomic.h>
#include <unistd.h>

#include "runtime/node.h"
#include "starlane.h"

enum { QUICK = 20000 };

static atomic_int stays, go_on;

SL_TASK(quick) {
    return sl_return_i64(call, sl_arg_i64(call, 0) + 1);
}

SL_TASK(stay) {
    atomic_store(&stays, 1);
    while (!atomic_load(&go_on))
        usleep(1000);
    return sl_return_i64(call, 0);
}

static void run_quick(void) {
    static sl_future *futures[QUICK];
    for (int i = 0; i < QUICK; i++)
        futures[i] = sl_submit(&quick, SL_ARGS(sl_i64(i)));
    int wrong = 0;
    CHECK_INT(sl_wait_all(futures, QUICK, 30), 0);
    for (int i = 0; i < QUICK; i++) {
        wrong += sl_result_i64(futures[i]) != i + 1;
        sl_release(futures[i]);
    }
    CHECK_INT(wrong, 0);
}

static sl_options *open_with(const char *cpus, uint32_t nodes) {
    sl_options *options;
    if (sl_options_create(&options) != 0 || sl_options_set(options, "cpus", cpus) != 0 ||
        sl_init(NULL, NULL, &(sl_init_options){.options = options, .nodes = nodes}) != 0)
        abort();
    return options;
}

static void close_with(sl_options *options) {
    CHECK_INT(sl_shutdown(), 0);
    sl_options_destroy(options);
}

TEST(short_tasks_do_not_wait_for_a_long_one) {
    sl_options *options = open_with("1", 2);
    atomic_store(&stays, 0), atomic_store(&go_on, 0);
    run_quick(); /* now they are known to be short, and nodes are given more than fits */
    sl_future *long_one = sl_submit(&stay, SL_NO_ARGS);
    while (!atomic_load(&stays))
        usleep(1000);
    for (int i = 0; i < 3; i++)
        run_quick();
    CHECK(sl_wait(long_one, 0) != 0);
    atomic_store(&go_on, 1);
    CHECK_INT(sl_wait(long_one, 60), 0);
    sl_release(long_one);
    close_with(options);
}

/* ---- in one row ---- */

enum { BEFORE = 100, ROW = 300, ROW_TRIES = 20000 };

static atomic_int lasting, may_end;

/* Short, but for some, of which nothing tells beforehand. */
SL_TASK(mostly_short) {
    int64_t i = sl_arg_i64(call, 0);
    if (i < 0) {
        atomic_fetch_add(&lasting, 1);
        while (!atomic_load(&may_end))
            usleep(1000);
    }
    if (i == -2) { /* it has been alone in its row for long, and now waits */
        sl_future *other = sl_submit(&quick, SL_ARGS(sl_i64(6)));
        if (sl_wait(other, 60) != 0 || sl_result_i64(other) != 7)
            return sl_call_fail(call, "what it waits for does not come");
        sl_release(other);
    }
    return sl_return_i64(call, i + 1);
}

static void learn_that_it_is_short(void) {
    static sl_future *futures[ROW_TRIES];
    for (int i = 0; i < ROW_TRIES; i++)
        futures[i] = sl_submit(&mostly_short, SL_ARGS(sl_i64(i)));
    CHECK_INT(sl_wait_all(futures, ROW_TRIES, 60), 0);
    for (int i = 0; i < ROW_TRIES; i++)
        sl_release(futures[i]);
}

/* Every core is busy while a row gathers behind it: short ones, one that lasts, short ones. */
static void submit_row(int cores, int64_t lasts, sl_future **row) {
    sl_future *busy[2];
    atomic_store(&stays, 0), atomic_store(&go_on, 0);
    atomic_store(&lasting, 0), atomic_store(&may_end, 0);
    for (int i = 0; i < cores; i++) {
        atomic_store(&stays, 0);
        busy[i] = sl_submit(&stay, SL_NO_ARGS);
        while (!atomic_load(&stays))
            usleep(1000);
    }
    for (int i = 0; i < ROW; i++)
        row[i] = sl_submit(&mostly_short, SL_ARGS(sl_i64(i == BEFORE ? lasts : i)));
    usleep(50000);
    atomic_store(&go_on, 1);
    CHECK_INT(sl_wait_all(busy, (size_t)cores, 60), 0);
    for (int i = 0; i < cores; i++)
        sl_release(busy[i]);
    while (!atomic_load(&lasting))
        usleep(1000);
}

static void end_row(int64_t lasts, sl_future **row) {
    atomic_store(&may_end, 1);
    CHECK_INT(sl_wait(row[BEFORE], 60), 0);
    CHECK_INT(sl_result_i64(row[BEFORE]), lasts + 1);
    CHECK_INT(atomic_load(&lasting), 1);
    for (int i = 0; i < ROW; i++)
        sl_release(row[i]);
}

/* All end but the one that lasts. */
static void others_end(const char *cpus, uint32_t nodes, int64_t lasts) {
    sl_future *row[ROW];
    sl_options *options = open_with(cpus, nodes);
    int wrong = 0;
    learn_that_it_is_short();
    submit_row(2, lasts, row);
    for (int i = 0; i < ROW; i++)
        if (i != BEFORE && (sl_wait(row[i], 20) != 0 || sl_result_i64(row[i]) != i + 1))
            wrong++, i = ROW; /* one is enough */
    CHECK_INT(wrong, 0);
    CHECK(sl_wait(row[BEFORE], 0) != 0);
    end_row(lasts, row);
    close_with(options);
}

TEST(what_is_in_one_row_with_a_long_call_runs_on_another_core) {
    others_end("2", 1, -1);
}

TEST(what_is_in_one_row_with_a_long_call_runs_on_another_node) {
    others_end("1", 2, -1);
}

TEST(what_was_long_may_wait_when_its_row_was_taken_from_it) {
    others_end("2", 1, -2);
}

/* There is nowhere else: those before it are done, and those behind it can still be taken back. */
TEST(what_is_behind_a_long_call_can_be_cancelled) {
    sl_future *row[ROW];
    sl_options *options = open_with("1", 1);
    int wrong = 0;
    learn_that_it_is_short();
    submit_row(1, -1, row);
    for (int i = BEFORE + 1; i < ROW; i++)
        sl_cancel(row[i]);
    for (int i = 0; i < ROW && !wrong; i++)
        if (i != BEFORE)
            wrong += sl_wait(row[i], 20) != (i < BEFORE ? 0 : SL_ERROR_CANCELLED);
    CHECK_INT(wrong, 0);
    end_row(-1, row);
    close_with(options);
}

/* ---- on the loop ---- */

enum { BRIEF = 20, BRIEF_TRIES = 5000, TOO_LONG_US = 3000 };

static atomic_int long_on_loop;

SL_TASK(mostly_brief, .brief = 1) {
    if (sl_arg_i64(call, 0) < 0) {
        atomic_fetch_add(&long_on_loop, sl_node_runs_here());
        usleep(TOO_LONG_US);
    }
    return 0;
}

/* The loop has other work than one after another of them: it goes on after the first. */
TEST(a_row_on_the_loop_ends_with_its_first_long_call) {
    static sl_future *futures[BRIEF_TRIES];
    sl_options *options = open_with("1", 1);
    for (int i = 0; i < BRIEF_TRIES; i++)
        futures[i] = sl_submit(&mostly_brief, SL_ARGS(sl_i64(i)));
    CHECK_INT(sl_wait_all(futures, BRIEF_TRIES, 60), 0);
    atomic_store(&stays, 0), atomic_store(&go_on, 0);
    sl_future *busy = sl_submit(&stay, SL_NO_ARGS);
    while (!atomic_load(&stays))
        usleep(1000);
    for (int i = 0; i < BRIEF_TRIES; i++)
        sl_release(futures[i]);
    for (int i = 0; i < BRIEF; i++)
        futures[i] = sl_submit(&mostly_brief, SL_ARGS(sl_i64(-1)));
    usleep(50000);
    atomic_store(&go_on, 1);
    CHECK_INT(sl_wait_all(futures, BRIEF, 60), 0);
    CHECK_INT(sl_wait(busy, 60), 0);
    CHECK(atomic_load(&long_on_loop) <= 1);
    for (int i = 0; i < BRIEF; i++)
        sl_release(futures[i]);
    sl_release(busy);
    close_with(options);
}
