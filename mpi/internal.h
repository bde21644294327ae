/* What the files of this folder share: the joined network, and how MPI's errors become ours. */
#ifndef SL_MPI_INTERNAL_H
#define SL_MPI_INTERNAL_H

#include <mpi.h>

#include "mpi/bootstrap.h"
#include "mpi/segment.h"

/* Options with every default filled in. */
typedef struct sl_mpi_settings {
    uint32_t window, receive_ring;
    uint64_t pause_min_ns, pause_max_ns, pause_bells_ns, large_bytes;
    uint32_t finalize_timeout_s;
} sl_mpi_settings;

struct sl_mpi {
    MPI_Comm frames, bulk, host_comm; /* private; the last: of the ranks of this host */
    bool started;                     /* MPI was started here, so it is finalized here */
    uint32_t rank, count;
    size_t frame_bytes;
    int tag_mask; /* a bulk transfer's tag is its id under this mask */
    sl_mpi_settings settings;
    sl_mpi_host host;
    sl_mpi_facts *facts;
    uint8_t *data; /* all ranks' data, where the facts point */
    sl_transport *transport;
};

/* SL_OK for MPI_SUCCESS; else SL_ERR_TRANSPORT with MPI's words after `what`. */
sl_err sl_mpi_check(int code, const char *what) SL_CHECKED;
#define SL_MPI_TRY(call) SL_TRY(sl_mpi_check((call), #call))

/* The transport over `mpi` (transport_mpi.c). It clears mpi->transport when it is closed. */
sl_err sl_mpi_transport_open(sl_mpi *mpi, sl_transport **transport) SL_CHECKED;

#endif
