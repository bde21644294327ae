#include "runtime/rng.h"
#include "tests/lib/test.h"

/* The first outputs of the authors' C reference from the state {1, 2, 3, 4}; the first two also by
 * hand: rotl(2 * 5, 7) * 9 = 11520, and then s[1] is 0. */
TEST(follows_the_reference) {
    static const uint64_t expected[] = {11520u,
                                        0u,
                                        1509978240u,
                                        1215971899390074240u,
                                        1216172134540287360u,
                                        607988272756665600u,
                                        16172922978634559625u,
                                        8476171486693032832u};
    sl_rng rng = {{1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        CHECK(sl_rng_u64(&rng) == expected[i]);
}

TEST(seeding_is_splitmix64) {
    sl_rng rng;
    sl_rng_seed(&rng, 0);
    CHECK(rng.state[0] == 0xe220a8397b1dcdafu); /* SplitMix64's published first outputs from 0 */
    CHECK(rng.state[1] == 0x6e789e6aa1b965f4u);
    CHECK(rng.state[2] == 0x06c45d188009454fu);
}

TEST(a_seed_repeats_and_another_differs) {
    sl_rng a, b, c;
    int same = 0;
    sl_rng_seed(&a, 42), sl_rng_seed(&b, 42), sl_rng_seed(&c, 43);
    for (int i = 0; i < 1000; i++) {
        uint64_t x = sl_rng_u64(&a);
        CHECK(x == sl_rng_u64(&b));
        same += x == sl_rng_u64(&c);
    }
    CHECK_INT(same, 0);
}

TEST(below_keeps_its_bound_and_is_even) {
    enum { SIDES = 6, DRAWS = 60000 };
    int count[SIDES] = {0};
    sl_rng rng;
    sl_rng_seed(&rng, 7);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t side = sl_rng_below(&rng, SIDES);
        REQUIRE(side < SIDES);
        count[side]++;
    }
    double chi = 0, mean = (double)DRAWS / SIDES;
    for (int i = 0; i < SIDES; i++)
        chi += (count[i] - mean) * (count[i] - mean) / mean;
    CHECK(chi < 20.5); /* 5 degrees of freedom, p = 0.001; the seed is fixed */
}

/* With bound 3 * 2^62, plain scaling or a modulus gives one third of the range twice the weight of
 * the rest. */
TEST(below_is_unbiased_for_a_huge_bound) {
    enum { DRAWS = 30000 };
    const uint64_t third = (uint64_t)1 << 62;
    int count[3] = {0};
    sl_rng rng;
    sl_rng_seed(&rng, 11);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t x = sl_rng_below(&rng, 3 * third);
        REQUIRE(x < 3 * third);
        count[x / third]++;
    }
    for (int i = 0; i < 3; i++)
        CHECK(count[i] > 9600 && count[i] < 10400);
}

TEST(below_the_smallest_and_largest_bound) {
    sl_rng rng;
    sl_rng_seed(&rng, 1);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(sl_rng_below(&rng, 1), 0);
        CHECK(sl_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
    }
}

TEST(doubles_fill_the_unit_interval) {
    sl_rng rng;
    double sum = 0, low = 1, high = 0;
    sl_rng_seed(&rng, 3);
    for (int i = 0; i < 100000; i++) {
        double x = sl_rng_double(&rng);
        REQUIRE(x >= 0 && x < 1);
        sum += x;
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    CHECK_DOUBLE(sum / 100000, 0.5, 0.005);
    CHECK(low < 0.001 && high > 0.999);
}

TEST(split_gives_independent_and_repeatable_parts) {
    sl_rng parent, again, first, second, repeated;
    sl_rng_seed(&parent, 5), sl_rng_seed(&again, 5);
    sl_rng_split(&parent, &first);
    sl_rng_split(&parent, &second);
    sl_rng_split(&again, &repeated);
    uint64_t x = sl_rng_u64(&first);
    CHECK(x == sl_rng_u64(&repeated));
    CHECK(x != sl_rng_u64(&second));
}

TEST(system_seeds_differ) {
    sl_rng a, b;
    REQUIRE(sl_rng_seed_from_system(&a) == SL_OK);
    REQUIRE(sl_rng_seed_from_system(&b) == SL_OK);
    CHECK(sl_rng_u64(&a) != sl_rng_u64(&b));
}
