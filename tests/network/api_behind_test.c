/* What was placed behind something that turns out to be long is run elsewhere. */
#include "tests/lib/test.h"

#include <stdatomic.h>
#include <unistd.h>

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

TEST(short_tasks_do_not_wait_for_a_long_one) {
    sl_options *options;
    REQUIRE(sl_options_create(&options) == 0 && sl_options_set(options, "cpus", "1") == 0);
    CHECK_INT(sl_init(NULL, NULL, &(sl_init_options){.options = options, .nodes = 2}), 0);
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
    CHECK_INT(sl_shutdown(), 0);
    sl_options_destroy(options);
}
