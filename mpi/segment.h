/* The memory that the ranks of one host share: each rank makes one segment, which holds its
 * doorbell and a ring of frames from every rank of its host, itself included.
 *
 * The ranks of a host are processes of one user, who may write each other's memory anyway: what
 * lies in a segment is checked for being sound, not for being written on purpose to mislead while
 * it is read. */
#ifndef SL_MPI_SEGMENT_H
#define SL_MPI_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mpi/ring.h"
#include "runtime/doorbell.h"
#include "runtime/err.h"

struct sl_mpi;

typedef struct sl_mpi_segment {
    uint64_t magic;
    uint32_t incarnation; /* of the rank that made it */
    uint32_t local_size;
    uint64_t ring_bytes, bytes;
    _Alignas(SL_MPI_LINE_BYTES) sl_doorbell bell;
    /* Per rank of the host, before the rings: what that rank reads of our blobs with lower ids is
     * not to be believed. UINT64_MAX when it has been given up. */
    _Alignas(SL_MPI_LINE_BYTES) _Atomic uint64_t valid_from[];
} sl_mpi_segment;

/* Where a rank of the host is, as a process and as memory. */
typedef struct sl_mpi_neighbour {
    uint32_t rank; /* of the network */
    pid_t pid;
    int pidfd; /* -1: the system has none */
    sl_mpi_segment *segment;
} sl_mpi_neighbour;

typedef struct sl_mpi_host {
    sl_mpi_neighbour *neighbours; /* by local rank; NULL: nothing is shared */
    uint32_t count, self;
    uint32_t
        *local_of;     /* the local rank of each rank of the network; SL_MPI_FAR: of another host */
    uint32_t far;      /* ranks that MPI alone reaches */
    uint32_t slots;    /* of each ring */
    bool readable;     /* every rank may read every other's memory */
    sl_doorbell *bell; /* this rank's */
    sl_doorbell alone; /* where nothing is shared */
} sl_mpi_host;

#define SL_MPI_FAR UINT32_MAX

/* Collective over the ranks of the host. Where they cannot share (a line is logged) or are not to
 * (`shared`, the same at all), every rank is far, this one too. */
sl_err sl_mpi_host_open(sl_mpi_host *host, const struct sl_mpi *mpi, bool shared) SL_CHECKED;

/* clean: no rank of the host uses them any more. Else all stays mapped. */
void sl_mpi_host_close(sl_mpi_host *host, bool clean);

/* Whether the process of `rank` has ended, as far as the system tells: never of other hosts'. */
bool sl_mpi_host_ended(const sl_mpi_host *host, uint32_t rank);

/* What a segment takes, and one made of zeroed memory, on a border of two cache lines. */
size_t sl_mpi_segment_bytes(uint32_t local_size, uint32_t slots, size_t frame_bytes);
void sl_mpi_segment_init(sl_mpi_segment *zeroed, uint32_t local_size, uint32_t slots,
                         size_t frame_bytes, uint32_t incarnation);

/* The ring in `segment` that local rank `from` writes. */
sl_mpi_ring *sl_mpi_segment_ring(sl_mpi_segment *segment, uint32_t from);

#endif
