/* The size up to which MPI sends a message in one piece, without asking the receiver first. */
#ifndef SL_MPI_EAGER_LIMIT_H
#define SL_MPI_EAGER_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

/* A gather frame of this size moved the most records a second over Open MPI's shared memory. */
#define SL_MPI_FRAME_PREFERRED_BYTES 16384
/* Below it no eager limit is followed: such frames would be all header. */
#define SL_MPI_FRAME_LEAST_BYTES     1024

/* Before MPI starts: asks Open MPI, through its environment, to send preferred frames eagerly. What
 * the user has set (also by `mpirun --mca`, which is told by the environment) stays. */
void sl_mpi_eager_limit_request(void);

/* After MPI started: the largest frame, at most SL_MPI_FRAME_PREFERRED_BYTES, that goes eagerly
 * through every path whose limit is known. requested: MPI was started after
 * sl_mpi_eager_limit_request(), so that the environment has the limits; else MPI's tool interface
 * is asked (200 ms with Open MPI 4.1). */
size_t sl_mpi_eager_frame_bytes(bool requested);

#endif
