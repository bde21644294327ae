/* The size up to which MPI sends a message in one piece, without asking the receiver first. */
#ifndef SL_MPI_EAGER_LIMIT_H
#define SL_MPI_EAGER_LIMIT_H

#include <stddef.h>

/* A gather frame of this size moved the most records a second over Open MPI's shared memory. */
#define SL_MPI_FRAME_PREFERRED_BYTES 16384

/* Before MPI starts: asks Open MPI, through its environment, to send preferred frames eagerly. What
 * the user has set (also by `mpirun --mca`, which is told by the environment) stays. */
void sl_mpi_eager_limit_request(void);

/* After MPI started: the largest frame, at most SL_MPI_FRAME_PREFERRED_BYTES, that goes eagerly
 * through every path whose limit MPI's tool interface shows. */
size_t sl_mpi_eager_frame_bytes(void);

#endif
