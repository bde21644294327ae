/* How long a node sleeps between two looks at MPI when only looking tells it of a message: from
 * peers on other hosts, and while MPI has work of ours to go on with.
 *
 * A look costs 25–50 µs of a core, a pause half its length of latency in the mean. So pauses begin
 * at `least_ns` after an event and grow with the time since, up to `most_ns` (2 ms: a message waits
 * 1 ms in the mean). A node that is calm looks more seldom:
 *   calm for 1 s    pauses up to 2.5 × most_ns (5 ms), that begin at an eighth of it
 *   calm for 10 s   pauses up to 5 × most_ns (10 ms: 5 ms in the mean), likewise
 * Calm is at most SL_MPI_CALM_EVENTS events a second, which heartbeats do not reach; the next event
 * beyond them ends it at once. Pure: the caller gives the time. */
#ifndef SL_MPI_PAUSE_H
#define SL_MPI_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

#define SL_MPI_CALM_EVENTS 128

typedef struct sl_mpi_pause {
    uint64_t least_ns, most_ns;
    uint64_t last_event_ns, busy_ns; /* busy: calm has lasted since */
    uint64_t second_ns;              /* when the second began that `events` counts */
    uint32_t events;
} sl_mpi_pause;

void sl_mpi_pause_init(sl_mpi_pause *pause, uint64_t least_ns, uint64_t most_ns, uint64_t now_ns);

/* Something came or went. */
void sl_mpi_pause_event(sl_mpi_pause *pause, uint64_t now_ns);

/* The next pause, in ns, while only peers that cannot ring may send. */
uint64_t sl_mpi_pause_waiting(const sl_mpi_pause *pause, uint64_t now_ns);

/* The same while MPI has work to go on with, never stretched by calm. bulk: it moves in steps that
 * are no events, so that its pauses grow by a 64th of the idle time. */
uint64_t sl_mpi_pause_working(const sl_mpi_pause *pause, uint64_t now_ns, bool bulk);

#endif
