/* Threads of simulated nodes: sleeping and waking in virtual time, and the death of their node. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "runtime/futex.h"
#include "runtime/simulator.h"
#include "tests/lib/test.h"

typedef struct world {
    sl_simulator *simulator;
    _Atomic uint32_t word;
    uint64_t woken_ns; /* 0: not yet */
    uint32_t turns;
    bool leaves, left;
    char error[64];
} world;

static void begin(world *w) {
    sl_simulator_options options = {.nodes = 2, .seed = 1};
    sl_node *node;
    *w = (world){.leaves = true};
    REQUIRE(sl_simulator_create(&options, &w->simulator) == SL_OK);
    for (uint32_t i = 0; i < 2; i++) {
        sl_node_options node_options = {.incarnation = 1 + i};
        REQUIRE(sl_simulator_start(w->simulator, i, &node_options, &node) == SL_OK);
    }
}

static void wait_for_word(void *context) {
    world *w = context;
    (void)!sl_fail(SL_ERR_FAILED, "mine");
    while (atomic_load(&w->word) == 0 && !(w->left && w->leaves)) {
        w->turns++;
        sl_futex_wait(&w->word, 0, SL_FUTEX_FOREVER);
    }
    w->woken_ns = 1 + sl_simulator_now_ns(w->simulator);
    snprintf(w->error, sizeof w->error, "%s", sl_err_detail());
}

static void set_word(void *context) {
    world *w = context;
    sl_simulator_sleep(3 * SL_NS_PER_MS);
    (void)!sl_fail(SL_ERR_FAILED, "the other's");
    atomic_store(&w->word, 1);
    sl_futex_wake(&w->word);
}

TEST(a_thread_sleeps_until_another_wakes_it) {
    world w;
    begin(&w);
    REQUIRE(sl_simulator_thread(w.simulator, 0, wait_for_word, &w) == SL_OK);
    REQUIRE(sl_simulator_thread(w.simulator, 1, set_word, &w) == SL_OK);
    CHECK_INT(sl_simulator_threads(w.simulator, 0), 1);
    CHECK_INT(w.woken_ns, 0);
    sl_simulator_run(w.simulator, 10 * SL_NS_PER_MS);
    CHECK_INT(w.woken_ns, 1 + 3 * SL_NS_PER_MS);
    CHECK_INT(w.turns, 1);
    CHECK(strcmp(w.error, "mine") == 0); /* the last error is a thread's own */
    CHECK_INT(sl_simulator_threads(w.simulator, 0), 0);
    CHECK_INT(sl_simulator_threads(w.simulator, 1), 0);
    sl_simulator_destroy(w.simulator);
}

static void wait_a_while(void *context) {
    world *w = context;
    sl_futex_wait(&w->word, 0, 5 * SL_NS_PER_MS);
    w->woken_ns = 1 + sl_simulator_now_ns(w->simulator);
    sl_futex_wait(&w->word, 1, SL_FUTEX_FOREVER); /* it is not 1: no sleep */
    w->turns++;
}

TEST(a_sleep_ends_with_its_time) {
    world w;
    begin(&w);
    REQUIRE(sl_simulator_thread(w.simulator, 0, wait_a_while, &w) == SL_OK);
    sl_simulator_run(w.simulator, 10 * SL_NS_PER_MS);
    CHECK_INT(w.woken_ns, 1 + 5 * SL_NS_PER_MS);
    CHECK_INT(w.turns, 1);
    sl_simulator_destroy(w.simulator);
}

TEST(a_node_that_stands_still_lets_its_threads_sleep) {
    world w;
    begin(&w);
    REQUIRE(sl_simulator_thread(w.simulator, 0, wait_a_while, &w) == SL_OK);
    sl_simulator_pause(w.simulator, 0, true);
    sl_simulator_run(w.simulator, 40 * SL_NS_PER_MS);
    CHECK_INT(w.woken_ns, 0);
    sl_simulator_pause(w.simulator, 0, false);
    sl_simulator_run(w.simulator, 60 * SL_NS_PER_MS);
    CHECK(w.woken_ns > 40 * SL_NS_PER_MS);
    sl_simulator_destroy(w.simulator);
}

TEST(threads_leave_with_their_node) {
    world w;
    begin(&w);
    REQUIRE(sl_simulator_thread(w.simulator, 0, wait_for_word, &w) == SL_OK);
    w.left = true;
    sl_simulator_kill(w.simulator, 0);
    CHECK(w.woken_ns != 0);
    CHECK_INT(sl_simulator_threads(w.simulator, 0), 0);
    sl_simulator_destroy(w.simulator);
}

TEST(one_that_waits_for_ever_is_seen) {
    world w;
    begin(&w);
    w.leaves = false;
    REQUIRE(sl_simulator_thread(w.simulator, 0, wait_for_word, &w) == SL_OK);
    sl_simulator_kill(w.simulator, 0);
    CHECK_INT(sl_simulator_threads(w.simulator, 0), 1);
    sl_simulator_destroy(w.simulator);
}

typedef struct job {
    sl_job job; /* first */
    world *world;
} job;

static void run_job(sl_job *base) {
    sl_simulator_sleep(2 * SL_NS_PER_MS);
    ((job *)(void *)base)->world->turns++;
}

static void dropped(sl_event *event) {
    ((job *)(void *)((char *)event - offsetof(job, job.event)))->world->woken_ns = 1;
}

TEST(a_job_may_wait) {
    world w;
    begin(&w);
    job one = {.job = {.event = {.to = SL_NO_ADDR, .drop = dropped}, .run = run_job}, .world = &w};
    sl_simulator_run_job_apart(sl_simulator_pool(w.simulator, 0), &one.job);
    CHECK_INT(w.turns, 0);
    sl_simulator_run(w.simulator, SL_NS_PER_MS);
    CHECK_INT(w.turns, 0);
    sl_simulator_run(w.simulator, 5 * SL_NS_PER_MS);
    CHECK_INT(w.turns, 1);
    CHECK_INT(w.woken_ns, 1);
    sl_simulator_destroy(w.simulator);
}
