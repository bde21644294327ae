/* Floors of MPI: what plain MPI calls do between ranks 0 and 1 of this job, measured in the same
 * run as what is compared with them.
 *
 * Called by ranks 0 and 1 at the same time with the same arguments, MPI started, by the thread that
 * calls MPI. Both get the median of `repetitions` (1 … 101), after one that warms up; other ranks
 * get 0 at once. The calls use MPI_COMM_WORLD with tags of their own. */
#ifndef SL_BENCH_FLOOR_MPI_H
#define SL_BENCH_FLOOR_MPI_H

#include <stddef.h>
#include <stdint.h>

/* One-way latency of `bytes` in seconds: MPI_Send and MPI_Recv to and fro, half the round trip. */
double floor_mpi_latency_s(size_t bytes, uint32_t round_trips, uint32_t repetitions);

/* Messages a second from 0 to 1 by blocking MPI_Send and MPI_Recv, the last acknowledged. */
double floor_mpi_stream_per_s(size_t bytes, uint32_t messages, uint32_t repetitions);

/* Messages a second from 0 to 1 in windows of 64 MPI_Isend and MPI_Irecv, each window acknowledged.
 */
double floor_mpi_window_per_s(size_t bytes, uint32_t messages, uint32_t repetitions);

/* Bytes a second from 0 to 1, `window` transfers of `bytes` (at most INT_MAX) at once out of one
 * buffer into one buffer, as the OSU benchmark osu_bw does. 0 where there is no memory. */
double floor_mpi_bandwidth_bytes_per_s(size_t bytes, uint32_t window, uint32_t windows,
                                       uint32_t repetitions);

#endif
