/* Bulk transfers: blobs sent from, and received into, their own memory. */
#ifndef SL_MPI_BULK_H
#define SL_MPI_BULK_H

#include "mpi/internal.h"
#include "mpi/requests.h"

typedef struct sl_mpi_bulk {
    MPI_Comm comm;
    int tag_mask;
    uint64_t large_bytes;
    sl_mpi_requests under_way; /* entry.object is the blob, one reference held */
    uint32_t sends;            /* of those, how many send */
} sl_mpi_bulk;

void sl_mpi_bulk_open(sl_mpi_bulk *bulk, const sl_mpi *mpi);

/* Frees the memory, not what is under way. */
void sl_mpi_bulk_close(sl_mpi_bulk *bulk);

/* SL_ERR_AGAIN with SL_MPI_BULK_MAX under way, SL_ERR_TRANSPORT when MPI refuses. The ids that one
 * node gives to one peer must differ under the tag mask while they are under way (a
 * counter does). */
sl_err sl_mpi_bulk_send(sl_mpi_bulk *bulk, uint32_t peer, uint64_t id, sl_blob *blob) SL_CHECKED;
sl_err sl_mpi_bulk_receive(sl_mpi_bulk *bulk, uint32_t peer, uint64_t id,
                           uint64_t bytes) SL_CHECKED;

/* How many transfers are over; they are in bulk->under_way.finished, and their references the
 * caller's. */
int sl_mpi_bulk_test(sl_mpi_bulk *bulk);

/* Whether a finished receive filled its blob; logs why not. */
bool sl_mpi_bulk_whole(const sl_mpi_finished *finished);

/* Gives up every transfer with `peer`: receives are cancelled, and what MPI may still touch goes to
 * `orphans`. */
void sl_mpi_bulk_abandon(sl_mpi_bulk *bulk, uint32_t peer, sl_mpi_requests *orphans);

#endif
