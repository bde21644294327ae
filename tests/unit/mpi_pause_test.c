/* How the pauses between two looks at MPI grow and shrink. Times are given, none is measured. */
#include "mpi/pause.h"
#include "runtime/clock.h"
#include "tests/lib/test.h"

enum { LEAST_NS = 50000, MOST_NS = 2000000 };

static const uint64_t begin_ns = 1000 * SL_NS_PER_S, ms = SL_NS_PER_MS;

static sl_mpi_pause fresh(void) {
    sl_mpi_pause pause;
    sl_mpi_pause_init(&pause, LEAST_NS, MOST_NS, begin_ns);
    return pause;
}

TEST(pauses_grow_with_the_idle_time) {
    sl_mpi_pause pause = fresh();
    CHECK_INT(sl_mpi_pause_waiting(&pause, begin_ns), LEAST_NS);
    CHECK_INT(sl_mpi_pause_waiting(&pause, begin_ns + 700000), 700000);
    CHECK_INT(sl_mpi_pause_waiting(&pause, begin_ns + 3 * ms), MOST_NS);
    CHECK_INT(sl_mpi_pause_waiting(&pause, begin_ns + 999 * ms), MOST_NS);
    sl_mpi_pause_event(&pause, begin_ns + 500 * ms);
    CHECK_INT(sl_mpi_pause_waiting(&pause, begin_ns + 500 * ms), LEAST_NS);
}

TEST(calm_stretches_them) {
    sl_mpi_pause pause = fresh();
    CHECK_INT(sl_mpi_pause_waiting(&pause, begin_ns + 1000 * ms), 5 * ms);
    CHECK_INT(sl_mpi_pause_waiting(&pause, begin_ns + 9999 * ms), 5 * ms);
    CHECK_INT(sl_mpi_pause_waiting(&pause, begin_ns + 10000 * ms), 10 * ms);
    CHECK_INT(sl_mpi_pause_waiting(&pause, begin_ns + 1000000 * ms), 10 * ms);
}

/* Twenty a second for 20 s: they shorten the next pause, not the calm. */
TEST(heartbeats_do_not_end_calm) {
    sl_mpi_pause pause = fresh();
    uint64_t now = begin_ns;
    for (int i = 0; i < 400; i++)
        sl_mpi_pause_event(&pause, now += 50 * ms);
    CHECK_INT(sl_mpi_pause_waiting(&pause, now), 10 * ms / 8);
    CHECK_INT(sl_mpi_pause_waiting(&pause, now + 4 * ms), 4 * ms);
    CHECK_INT(sl_mpi_pause_waiting(&pause, now + 40 * ms), 10 * ms);
}

TEST(traffic_ends_calm_at_once) {
    sl_mpi_pause pause = fresh();
    uint64_t now = begin_ns + 60 * SL_NS_PER_S;
    for (int i = 0; i < SL_MPI_CALM_EVENTS; i++)
        sl_mpi_pause_event(&pause, now += ms);
    CHECK_INT(sl_mpi_pause_waiting(&pause, now), 10 * ms / 8);
    sl_mpi_pause_event(&pause, now += ms);
    CHECK_INT(sl_mpi_pause_waiting(&pause, now), LEAST_NS);
    CHECK_INT(sl_mpi_pause_waiting(&pause, now + 999 * ms), MOST_NS);
    CHECK_INT(sl_mpi_pause_waiting(&pause, now + 1000 * ms), 5 * ms);
}

TEST(work_under_way_is_not_slowed_by_calm) {
    sl_mpi_pause pause = fresh();
    uint64_t later = begin_ns + 60 * SL_NS_PER_S;
    CHECK_INT(sl_mpi_pause_working(&pause, later, false), MOST_NS);
    CHECK_INT(sl_mpi_pause_working(&pause, begin_ns + 6400000, true), 100000);
    CHECK_INT(sl_mpi_pause_working(&pause, later, true), MOST_NS);
    sl_mpi_pause_event(&pause, later);
    CHECK_INT(sl_mpi_pause_working(&pause, later + 100000, false), 100000);
}

/* An option of a user: one long pause for all. */
TEST(the_least_may_be_the_most) {
    sl_mpi_pause pause;
    sl_mpi_pause_init(&pause, 5 * ms, 5 * ms, begin_ns);
    CHECK_INT(sl_mpi_pause_waiting(&pause, begin_ns), 5 * ms);
    CHECK_INT(sl_mpi_pause_waiting(&pause, begin_ns + 2 * SL_NS_PER_S), 12500000);
    sl_mpi_pause_event(&pause, begin_ns + 20 * SL_NS_PER_S);
    CHECK_INT(sl_mpi_pause_waiting(&pause, begin_ns + 20 * SL_NS_PER_S), 5 * ms);
}
