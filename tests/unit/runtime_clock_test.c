#include "runtime/clock.h"
#include "tests/lib/test.h"

TEST(monotonic_never_goes_back) {
    uint64_t last = sl_clock_now_ns();
    for (int i = 0; i < 100000; i++) {
        uint64_t now = sl_clock_now_ns();
        REQUIRE(now >= last);
        last = now;
    }
}

TEST(wall_time_is_seconds_since_1970) {
    double now = sl_clock_wall_s();
    CHECK(now > 1.7e9); /* November 2023 */
    CHECK(now < 4.2e9); /* 2103 */
}

TEST(the_real_clock_sleeps_at_least_as_asked) {
    uint64_t start = sl_clock_real.now_ns(&sl_clock_real);
    sl_clock_real.sleep_ns(&sl_clock_real, 3 * SL_NS_PER_MS);
    CHECK(sl_clock_real.now_ns(&sl_clock_real) - start >= 3 * SL_NS_PER_MS);
    CHECK(sl_clock_real.wall_s(&sl_clock_real) > 1.7e9);
}

typedef struct virtual_clock {
    sl_clock clock;
    uint64_t *now_ns;
} virtual_clock;

static uint64_t virtual_now_ns(const sl_clock *clock) {
    return *((const virtual_clock *)clock)->now_ns;
}

static double virtual_wall_s(const sl_clock *clock) {
    return 1e9 + (double)virtual_now_ns(clock) * 1e-9;
}

static void virtual_sleep_ns(const sl_clock *clock, uint64_t pause_ns) {
    *((const virtual_clock *)clock)->now_ns += pause_ns;
}

TEST(a_virtual_clock_takes_its_place) {
    uint64_t now_ns = 5;
    virtual_clock mine = {{virtual_now_ns, virtual_wall_s, virtual_sleep_ns, NULL}, &now_ns};
    const sl_clock *clock = &mine.clock;
    clock->sleep_ns(clock, 3600 * SL_NS_PER_S);
    CHECK_INT(clock->now_ns(clock), 3600 * SL_NS_PER_S + 5);
    CHECK_DOUBLE(clock->wall_s(clock), 1e9 + 3600, 1e-6);
}
