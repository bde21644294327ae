/* Timers against a list that is searched. */
#include "runtime/timer.h"

#include "runtime/rng.h"
#include "tests/lib/test.h"

enum { MOST = 300 };

typedef struct expected {
    uint64_t deadline_ns, order, id, cookie;
    bool alive;
} expected;

static expected model[MOST];
static sl_timers timers;

static expected *first_due(uint64_t now_ns) {
    expected *first = NULL;
    for (expected *e = model; e < model + MOST; e++) {
        if (!e->alive || e->deadline_ns > now_ns)
            continue;
        if (!first || e->deadline_ns < first->deadline_ns ||
            (e->deadline_ns == first->deadline_ns && e->order < first->order))
            first = e;
    }
    return first;
}

static void fire_all(uint64_t now_ns) {
    sl_timer timer;
    while (sl_timers_due(&timers, now_ns, &timer)) {
        expected *e = first_due(now_ns);
        REQUIRE(e);
        CHECK_INT(timer.id, e->id);
        CHECK_INT(timer.cookie, e->cookie);
        CHECK_INT(timer.owner.slot, e->cookie % 1000);
        e->alive = false;
    }
    CHECK(!first_due(now_ns));
}

TEST(random_starts_cancels_and_deadlines) {
    sl_rng rng;
    uint64_t now_ns = 0, order = 0;
    sl_rng_seed(&rng, 11);
    sl_timers_init(&timers);
    CHECK(sl_timers_delay_ns(&timers, 5) == UINT64_MAX);
    for (int step = 0; step < 50000; step++) {
        expected *e = &model[sl_rng_below(&rng, MOST)];
        if (!e->alive) {
            *e = (expected){now_ns + sl_rng_below(&rng, 200), order++, 0,
                            sl_rng_below(&rng, 1 << 30), true};
            sl_addr owner = {1, (uint32_t)(e->cookie % 1000), 2};
            e->id = sl_timers_start(&timers, e->deadline_ns, owner, e->cookie);
            CHECK(e->id != 0);
        } else if (sl_rng_below(&rng, 3) == 0) {
            sl_timers_cancel(&timers, e->id);
            e->alive = false;
            sl_timers_cancel(&timers, e->id); /* again: ignored */
        }
        if (sl_rng_below(&rng, 4) == 0)
            fire_all(++now_ns);
    }
    uint32_t alive = 0;
    for (int i = 0; i < MOST; i++)
        alive += model[i].alive;
    CHECK_INT(timers.count, alive);
    fire_all(now_ns + 1000);
    CHECK_INT(timers.count, 0);
    sl_timers_cancel(&timers, 0);
    sl_timers_cancel(&timers, UINT64_MAX);
    sl_timers_fini(&timers);
}
