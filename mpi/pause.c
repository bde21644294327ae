#include "mpi/pause.h"

#include "runtime/clock.h"

enum { BULK_SHARE = 64, CALM_FIRST_SHARE = 8 };

void sl_mpi_pause_init(sl_mpi_pause *pause, uint64_t least_ns, uint64_t most_ns, uint64_t now_ns) {
    *pause = (sl_mpi_pause){.least_ns = least_ns,
                            .most_ns = most_ns,
                            .last_event_ns = now_ns,
                            .busy_ns = now_ns,
                            .second_ns = now_ns};
}

void sl_mpi_pause_event(sl_mpi_pause *pause, uint64_t now_ns) {
    if (now_ns - pause->second_ns >= SL_NS_PER_S) {
        pause->second_ns = now_ns;
        pause->events = 0;
    }
    if (++pause->events > SL_MPI_CALM_EVENTS)
        pause->busy_ns = now_ns;
    pause->last_event_ns = now_ns;
}

static uint64_t within(uint64_t ns, uint64_t least_ns, uint64_t most_ns) {
    if (ns > most_ns)
        return most_ns;
    return ns < least_ns ? least_ns : ns;
}

uint64_t sl_mpi_pause_waiting(const sl_mpi_pause *pause, uint64_t now_ns) {
    uint64_t idle_ns = now_ns - pause->last_event_ns, calm_ns = now_ns - pause->busy_ns;
    if (calm_ns < SL_NS_PER_S)
        return within(idle_ns, pause->least_ns, pause->most_ns);
    uint64_t most_ns = calm_ns < 10 * SL_NS_PER_S ? pause->most_ns * 5 / 2 : pause->most_ns * 5;
    uint64_t first_ns = most_ns / CALM_FIRST_SHARE;
    return within(idle_ns, first_ns > pause->least_ns ? first_ns : pause->least_ns, most_ns);
}

uint64_t sl_mpi_pause_working(const sl_mpi_pause *pause, uint64_t now_ns, bool bulk) {
    uint64_t idle_ns = now_ns - pause->last_event_ns;
    return within(bulk ? idle_ns / BULK_SHARE : idle_ns, pause->least_ns, pause->most_ns);
}
