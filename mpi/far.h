/* Frames between ranks that share no memory, through MPI. */
#ifndef SL_MPI_FAR_H
#define SL_MPI_FAR_H

#include "mpi/internal.h"
#include "mpi/requests.h"

typedef struct sl_mpi_buffer {
    struct sl_mpi_buffer *next;
} sl_mpi_buffer;

typedef struct sl_mpi_far {
    MPI_Comm comm;
    MPI_Request *ring; /* NULL: there is nobody to receive from */
    uint8_t *ring_memory;
    uint32_t ring_size, ring_at;
    size_t frame_bytes, stride; /* the stride is on whole cache lines */
    uint64_t receive_errors;
    const sl_mpi_host *host;
    bool deaths; /* MPI has told of one; which, is asked when nothing else comes */
    bool *told;  /* per peer: it is dead, and the sink knows */

    sl_mpi_buffer *pool; /* free buffers, the last used first */
    uint32_t buffers, buffers_max;
    sl_mpi_requests sends;
    uint32_t *outstanding; /* per peer: buffers in `sends` */
    uint32_t window, count;
} sl_mpi_far;

sl_err sl_mpi_far_open(sl_mpi_far *far, const sl_mpi *mpi) SL_CHECKED;

/* Takes back what was posted. What MPI does not let go of stays allocated. */
void sl_mpi_far_close(sl_mpi_far *far);

/* As the operations of a transport (transport.h). To a peer that was abandoned one frame at a time:
 * MPI keeps what goes to a process that has ended for ever. */
void *sl_mpi_far_acquire(sl_mpi_far *far, uint32_t peer, bool abandoned);
/* True when MPI has not done with it yet. */
bool sl_mpi_far_post(sl_mpi_far *far, uint32_t peer, void *frame, size_t bytes);
void sl_mpi_far_give_back(sl_mpi_far *far, void *frame);
size_t sl_mpi_far_poll(sl_mpi_far *far, const sl_transport_sink *sink, size_t budget);

/* Sends to `peer` that are not over go to `orphans`, which has room for them. */
void sl_mpi_far_abandon(sl_mpi_far *far, uint32_t peer, sl_mpi_requests *orphans);

/* Has all that was posted left, but for what goes to peers that were abandoned? */
bool sl_mpi_far_drained(const sl_mpi_far *far, const bool *abandoned);

/* Logs that something to `peer` was lost. */
void sl_mpi_far_send_failed(uint32_t peer, int code);

#endif
