/* The simulator itself, and a round of seeds: a fixed one, those that once found something, and a
 * random one, which is printed. */
#include <inttypes.h>
#include <stdlib.h>

#include "runtime/rng.h"
#include "sdk/simulation.h"
#include "tests/lib/test.h"

enum { FIXED_SEEDS = 150, RANDOM_SEEDS = 50 };

static sl_simulation_result run(uint32_t nodes, uint64_t seed, const bool *faults) {
    sl_simulation_options options = {.nodes = nodes, .seed = seed, .faults = faults};
    sl_simulation_result result = {.failed = true};
    CHECK_INT(sl_simulation_run(&options, &result), SL_OK);
    return result;
}

static void check_seed(uint32_t nodes, uint64_t seed) {
    sl_simulation_result result = run(nodes, seed, NULL);
    if (result.failed)
        sl_test_fail(__FILE__, __LINE__, "%s; replay: starlane simulate --nodes %u --seed %" PRIu64,
                     result.violation, nodes, seed);
}

/* Whatever else runs, and however memory lies. */
TEST(a_seed_is_the_same_run_every_time) {
    for (uint64_t seed = 1; seed <= 12; seed++) {
        void *between = malloc(1000 * seed);
        sl_simulation_result first = run(5, seed, NULL);
        free(between);
        sl_simulation_result second = run(5, seed, NULL);
        CHECK(first.hash == second.hash);
        CHECK(first.events == second.events);
        CHECK(first.virtual_ns == second.virtual_ns);
    }
}

TEST(other_seeds_are_other_runs) {
    CHECK(run(4, 1, NULL).hash != run(4, 2, NULL).hash);
}

TEST(faults_can_be_left_out) {
    bool none[SL_SIM_FAULTS_MOST] = {false};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        sl_simulation_result result = run(5, seed, none);
        CHECK(!result.failed);
        CHECK_INT(result.faults, 0);
        CHECK_INT(result.sessions, 1);
    }
}

TEST(networks_of_all_small_sizes) {
    for (uint32_t nodes = 1; nodes <= 9; nodes++) {
        for (uint64_t seed = 1; seed <= 6; seed++)
            check_seed(nodes, 1000 * nodes + seed);
    }
}

/* Of the API, with user actors and tasks: every seventh seed. */
TEST(programs) {
    for (uint64_t seed = 7; seed <= 7 * 60; seed += 7)
        check_seed(5, seed);
    for (uint64_t seed = 7 * 100; seed <= 7 * 140; seed += 7)
        check_seed(3, seed);
}

TEST(a_seed_of_programs_is_the_same_run_every_time) {
    for (uint64_t seed = 7; seed <= 7 * 6; seed += 7) {
        sl_simulation_result first = run(5, seed, NULL), second = run(5, seed, NULL);
        CHECK(first.hash == second.hash);
        CHECK(first.events == second.events);
    }
}

TEST(fixed_seeds) {
    for (uint64_t seed = 1; seed <= FIXED_SEEDS; seed++)
        check_seed(5, seed);
}

/* Each of them found a defect once. What they bring changes with the simulator, so the defects have
 * tests of their own where that is possible. */
TEST(seeds_that_found_something) {
    static const uint64_t seeds[] = {346, 469, 553, 1277, 1549, 103420};
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++)
        check_seed(5, seeds[i]);
    check_seed(5, 1652);         /* a move whose answer nobody gave */
    check_seed(3, 3006794);      /* last words of a job that reached the next one */
    check_seed(3, 342356117079); /* an owner's death at the end of the last task */
}

TEST(random_seeds) {
    sl_rng rng;
    REQUIRE(sl_rng_seed_from_system(&rng) == SL_OK);
    uint64_t first = sl_rng_below(&rng, UINT64_C(1000000000000));
    printf("random seeds of 5 nodes from %" PRIu64 "\n", first);
    for (uint64_t i = 0; i < RANDOM_SEEDS; i++)
        check_seed(5, first + i);
}
