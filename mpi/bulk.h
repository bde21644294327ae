/* Bulk transfers: blobs sent from, and received into, their own memory. */
#ifndef SL_MPI_BULK_H
#define SL_MPI_BULK_H

#include "mpi/internal.h"
#include "mpi/requests.h"

/* A large receive that is not posted yet. */
typedef struct sl_mpi_wanted {
    struct sl_mpi_wanted *next;
    uint64_t id, bytes;
} sl_mpi_wanted;

/* The large receives from a peer of this host. */
typedef struct sl_mpi_near {
    sl_mpi_wanted *head, *tail; /* waiting, in the order they were asked for */
    uint32_t posted;
} sl_mpi_near;

typedef struct sl_mpi_bulk {
    const sl_mpi *mpi;
    MPI_Comm comm;
    int tag_mask;
    uint64_t large_bytes;
    sl_mpi_requests under_way; /* entry.object is the blob, one reference held */
    uint32_t sends;            /* of those, how many send */
    sl_mpi_near *near;         /* per rank */
    int waiting;               /* in their queues, all together */
} sl_mpi_bulk;

sl_err sl_mpi_bulk_open(sl_mpi_bulk *bulk, const sl_mpi *mpi) SL_CHECKED;

/* Frees the memory, not what is under way. */
void sl_mpi_bulk_close(sl_mpi_bulk *bulk);

/* SL_ERR_AGAIN with SL_MPI_BULK_MAX under way, SL_ERR_TRANSPORT when MPI refuses. The ids that one
 * node gives to one peer must differ under the tag mask while they are under way (a counter does).
 * Large data of a peer on this host is received in the order it was asked for, so what the peer
 * does not send holds back what it sends after it. */
sl_err sl_mpi_bulk_send(sl_mpi_bulk *bulk, uint32_t peer, uint64_t id, sl_blob *blob) SL_CHECKED;
sl_err sl_mpi_bulk_receive(sl_mpi_bulk *bulk, uint32_t peer, uint64_t id,
                           uint64_t bytes) SL_CHECKED;

/* How many transfers are over; they are in bulk->under_way.finished, and their references the
 * caller's. */
int sl_mpi_bulk_test(sl_mpi_bulk *bulk);

/* Posts what waited for a receive from `peer` to end. False: that of *failed cannot be posted and
 * is forgotten (its cause is logged); call again. */
bool sl_mpi_bulk_next(sl_mpi_bulk *bulk, uint32_t peer, uint64_t *failed);

/* Whether a finished receive filled its blob; logs why not. */
bool sl_mpi_bulk_whole(const sl_mpi_finished *finished);

/* Gives up every transfer with `peer`: receives are cancelled, and what MPI may still touch goes to
 * `orphans`. */
void sl_mpi_bulk_abandon(sl_mpi_bulk *bulk, uint32_t peer, sl_mpi_requests *orphans);

#endif
