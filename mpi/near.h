/* Frames and bulk data between the ranks of one host, over the memory they share (segment.h),
 * without MPI: frames through rings, blobs by reading them out of their sender's memory. */
#ifndef SL_MPI_NEAR_H
#define SL_MPI_NEAR_H

#include "mpi/deaths.h"
#include "mpi/segment.h"
#include "runtime/arrivals.h"
#include "runtime/transport.h"

/* This rank's view of one rank of its host, itself included. */
typedef struct sl_mpi_near_peer {
    sl_mpi_ring_end out, in;
    uint32_t rank;
    bool acquired;       /* a slot of `out` is being filled */
    bool abandoned;      /* no bulk data goes, and what comes of it is dropped */
    uint64_t first_in;   /* offers with lower ids are of an earlier life of the link */
    bool lost;           /* its process has ended, and this was told */
    sl_arrivals notes;   /* that wait for a slot of `out` */
    sl_arrivals offered; /* by the peer, not asked for yet */
    sl_arrivals wanted;  /* asked for, not offered yet */
    sl_arrivals sent;    /* offered to the peer, not fetched yet */
} sl_mpi_near_peer;

typedef struct sl_mpi_near {
    const sl_mpi_host *host;
    sl_mpi_near_peer *peers; /* by local rank; NULL: none is near */
    size_t frame_bytes;
    uint32_t first;           /* whose ring is looked at first, in turn */
    uint32_t notes;           /* waiting, over all peers */
    uint32_t sends, receives; /* of bulk data under way, over all peers */
    uint32_t offers;          /* not asked for, over all peers */
    sl_arrivals small, large; /* to be fetched now */
    uint64_t fetched_bytes;   /* of the first large one */
    sl_mpi_deaths deaths;
    uint32_t deaths_told;
} sl_mpi_near;

sl_err sl_mpi_near_open(sl_mpi_near *near, const sl_mpi_host *host, size_t frame_bytes) SL_CHECKED;

/* From now on poll() tells of peers whose process has ended; `wake(context)` ends a sleep, and is
 * called on another thread. */
void sl_mpi_near_watch(sl_mpi_near *near, void (*wake)(void *), void *context);

/* Releases what was under way; peers that still read our blobs will not believe them. */
void sl_mpi_near_close(sl_mpi_near *near);

/* NULL: `peer` is of another host, or nothing is shared. */
static inline sl_mpi_near_peer *sl_mpi_near_find(const sl_mpi_near *near, uint32_t peer) {
    uint32_t local = near->host->local_of[peer];
    return local == SL_MPI_FAR ? NULL : &near->peers[local];
}

/* As the operations of a transport (transport.h), for peers that are near. Bulk data goes this way
 * only where host->readable. */
void *sl_mpi_near_acquire(sl_mpi_near_peer *peer);
void sl_mpi_near_post(sl_mpi_near *near, sl_mpi_near_peer *peer, size_t bytes);
sl_err sl_mpi_near_bulk_send(sl_mpi_near *near, sl_mpi_near_peer *peer, uint64_t id,
                             sl_blob *blob) SL_CHECKED;
sl_err sl_mpi_near_bulk_receive(sl_mpi_near *near, sl_mpi_near_peer *peer, uint64_t id,
                                uint64_t bytes) SL_CHECKED;
size_t sl_mpi_near_poll(sl_mpi_near *near, const sl_transport_sink *sink, size_t budget);
/* Is there anything that poll() would find? */
bool sl_mpi_near_ready(const sl_mpi_near *near);
void sl_mpi_near_abandon(sl_mpi_near *near, sl_mpi_near_peer *peer);
void sl_mpi_near_readmit(sl_mpi_near *near, sl_mpi_near_peer *peer, uint64_t first_in,
                         uint64_t first_out);

/* Frames lie in their receivers' memory from the beginning: only bulk data can be under way. */
static inline bool sl_mpi_near_drained(const sl_mpi_near *near) {
    return !near->sends && !near->notes;
}

#endif
