/* The floor of the task benchmark: a task farm in plain MPI. */
#ifndef SL_BENCH_FLOOR_FARM_H
#define SL_BENCH_FLOOR_FARM_H

#include <stdint.h>

/* Tasks a second from rank 0 through rank 1 and back: 16 bytes a task, 16 bytes a result, `batch`
 * to a message, `window` tasks (at least one batch) under way. Blocking MPI_Send and MPI_Recv.
 * Called by ranks 0 and 1 at the same time; 0 at once on the others, and on rank 1. */
double floor_farm_per_s(uint32_t tasks, uint32_t batch, uint32_t window);

#endif
