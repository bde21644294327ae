/* What an MPI that tolerates failures (ULFM: Open MPI 5 under `mpirun --with-ft ulfm`) knows of
 * ranks that have died, of other hosts too. With another MPI nothing is known, and nothing is
 * asked.
 *
 * The library decides when it is built: Open MPI's <mpi-ext.h> must be there. */
#ifndef SL_MPI_ULFM_H
#define SL_MPI_ULFM_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

/* Whether MPI's error `code` says that a rank has died. */
bool sl_mpi_ulfm_tells(int code);

/* Calls `lost(context, rank)` for each rank of `comm` that MPI knows to be dead, those of earlier
 * calls included, and lets receives from any rank go on. */
void sl_mpi_ulfm_look(MPI_Comm comm, void (*lost)(void *context, uint32_t rank), void *context);

#endif
