/* The doorbells of the ranks of one host, in memory they share (MPI_Win_allocate_shared). */
#ifndef SL_MPI_BELLS_H
#define SL_MPI_BELLS_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/doorbell.h"
#include "runtime/err.h"

typedef struct sl_mpi_bells {
    sl_doorbell *own;   /* in the window, or `alone` */
    sl_doorbell **of;   /* per rank of the network; NULL: that rank has no bell we can reach */
    uint32_t unreached; /* ranks without a bell */
    sl_doorbell *alone;
    MPI_Win window; /* MPI_WIN_NULL when there is none */
} sl_mpi_bells;

/* Collective over `host` (a part of `network`). Without `shared`, or where MPI cannot give shared
 * memory (a line is logged), every rank but this one is unreached. */
sl_err sl_mpi_bells_open(sl_mpi_bells *bells, MPI_Comm network, MPI_Comm host,
                         bool shared) SL_CHECKED;

/* clean: collective over the host. Else only plain memory is freed, and not the bells. */
void sl_mpi_bells_close(sl_mpi_bells *bells, bool clean);

#endif
