/* Design notes
 * Receiving. A ring of persistent receives from any source is posted on a communicator that carries
 * nothing else. MPI matches messages of one sender to receives in the order of posting, so testing
 * only the head of the ring keeps each sender's order, and an idle poll costs one MPI_Test.
 *
 * Sending. MPI_Isend from a buffer of the pool. Small frames are over at once and their buffer is
 * reused while it is hot; the others wait in `sends`, at most `window` to one peer. MPI_Send would
 * be as fast but may wait for the peer. */
#include "mpi/far.h"

#include <stdlib.h>

#include "mpi/ulfm.h"
#include "runtime/log.h"
#include "runtime/clock.h"

enum { FRAME_TAG = 1, ALIGNMENT = 64 };

#define POOL_MAX_BYTES ((size_t)64 << 20)   /* of frame buffers sent and not yet over, all peers */
#define CANCEL_NS      (100 * SL_NS_PER_MS) /* to cancel the ring in at close */

/* ---- sending ---- */

void sl_mpi_far_give_back(sl_mpi_far *far, void *frame) {
    sl_mpi_buffer *free_one = frame;
    free_one->next = far->pool;
    far->pool = free_one;
}

/* A new buffer, with room for its request: there are never more requests than buffers. */
static void *buffer_create(sl_mpi_far *far) {
    if (far->buffers >= far->buffers_max ||
        sl_mpi_requests_reserve(&far->sends, (int)far->buffers + 1 - far->sends.count) != SL_OK)
        return NULL;
    void *frame = aligned_alloc(ALIGNMENT, far->stride);
    far->buffers += frame != NULL;
    return frame;
}

void *sl_mpi_far_acquire(sl_mpi_far *far, uint32_t peer, bool abandoned) {
    if (far->outstanding[peer] >= (abandoned ? 1 : far->window))
        return NULL;
    sl_mpi_buffer *frame = far->pool;
    if (!frame)
        return buffer_create(far);
    far->pool = frame->next;
    return frame;
}

void sl_mpi_far_send_failed(uint32_t peer, int code) {
    sl_err err = sl_mpi_check(code, "a send");
    sl_error("mpi", "frame lost: peer %u %s %s", peer, sl_err_name(err), sl_err_detail());
}

bool sl_mpi_far_post(sl_mpi_far *far, uint32_t peer, void *frame, size_t bytes) {
    MPI_Request request;
    int over = 0;
    int code = MPI_Isend(frame, (int)bytes, MPI_BYTE, (int)peer, FRAME_TAG, far->comm, &request);
    if (code == MPI_SUCCESS)
        code = MPI_Test(&request, &over, MPI_STATUS_IGNORE);
    far->deaths |= sl_mpi_ulfm_tells(code);
    if (code != MPI_SUCCESS)
        sl_mpi_far_send_failed(peer, code);
    if (over || code != MPI_SUCCESS) {
        sl_mpi_far_give_back(far, frame);
        return false;
    }
    far->outstanding[peer]++;
    sl_mpi_requests_add(&far->sends, request, (sl_mpi_entry){frame, 0, peer, SL_MPI_FRAME_SEND});
    return true;
}

static size_t poll_sends(sl_mpi_far *far) {
    int over = sl_mpi_requests_test(&far->sends);
    for (int i = 0; i < over; i++) {
        const sl_mpi_finished *finished = &far->sends.finished[i];
        far->deaths |= sl_mpi_ulfm_tells(finished->code);
        if (finished->code != MPI_SUCCESS)
            sl_mpi_far_send_failed(finished->entry.peer, finished->code);
        far->outstanding[finished->entry.peer]--;
        sl_mpi_far_give_back(far, finished->entry.object);
    }
    return (size_t)over;
}

/* ---- receiving ---- */

/* The 1st, 2nd, 4th, 8th … error is logged: a peer must not fill the disk. */
static void receive_failed(sl_mpi_far *far, int code) {
    far->receive_errors++;
    if (far->receive_errors & (far->receive_errors - 1))
        return;
    sl_err err = sl_mpi_check(code, "receive of a frame");
    sl_warn("mpi", "frame dropped: %s %s errors %llu", sl_err_name(err), sl_err_detail(),
            (unsigned long long)far->receive_errors);
}

static void frame_deliver(sl_mpi_far *far, const sl_transport_sink *sink, MPI_Status *status,
                          int code) {
    int bytes = 0;
    if (code != MPI_SUCCESS) {
        receive_failed(far, code);
        return;
    }
    uint32_t peer = (uint32_t)status->MPI_SOURCE;
    MPI_Get_count(status, MPI_BYTE, &bytes);
    if (peer < far->count && bytes > 0)
        sink->frame(sink->context, peer, far->ring_memory + far->ring_at * far->stride,
                    (size_t)bytes);
}

static size_t poll_frames(sl_mpi_far *far, const sl_transport_sink *sink, size_t budget) {
    size_t frames = 0;
    for (; frames < budget; frames++) {
        int arrived = 0;
        MPI_Status status;
        int code = MPI_Test(&far->ring[far->ring_at], &arrived, &status);
        far->deaths |= sl_mpi_ulfm_tells(code);
        if (!arrived)
            return frames;
        frame_deliver(far, sink, &status, code);
        code = MPI_Start(&far->ring[far->ring_at]);
        if (code != MPI_SUCCESS)
            receive_failed(far, code);
        far->ring_at = far->ring_at + 1 == far->ring_size ? 0 : far->ring_at + 1;
    }
    return frames;
}

/* ---- deaths that MPI tells of ---- */

typedef struct death_notice {
    const sl_mpi_far *far;
    const sl_transport_sink *sink;
} death_notice;

/* Of ranks that share memory with us the system tells (deaths.h). */
static void on_death(void *context, uint32_t rank) {
    const death_notice *to = context;
    if (rank >= to->far->count || to->far->told[rank] ||
        to->far->host->local_of[rank] != SL_MPI_FAR)
        return;
    to->far->told[rank] = true;
    if (to->sink->lost)
        to->sink->lost(to->sink->context, rank);
}

size_t sl_mpi_far_poll(sl_mpi_far *far, const sl_transport_sink *sink, size_t budget) {
    size_t events = far->ring ? poll_frames(far, sink, budget) : 0;
    if (far->sends.count)
        events += poll_sends(far);
    if (far->deaths && !events) {
        death_notice notice = {far, sink};
        far->deaths = false;
        sl_mpi_ulfm_look(far->comm, on_death, &notice);
    }
    return events;
}

/* ---- the end ---- */

void sl_mpi_far_abandon(sl_mpi_far *far, uint32_t peer, sl_mpi_requests *orphans) {
    far->buffers -= far->outstanding[peer];
    far->outstanding[peer] = 0;
    sl_mpi_requests_move(&far->sends, orphans, peer);
}

bool sl_mpi_far_drained(const sl_mpi_far *far, const bool *abandoned) {
    for (int i = 0; i < far->sends.count; i++)
        if (!abandoned[far->sends.entries[i].peer])
            return false;
    return true;
}

/* Takes back a posted receive; false when MPI does not let go of it in time. */
static bool receive_cancel(MPI_Request *request, uint64_t until_ns) {
    int over = 0;
    MPI_Cancel(request);
    do {
        if (MPI_Test(request, &over, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return false;
    } while (!over && sl_clock_now_ns() < until_ns);
    return over && MPI_Request_free(request) == MPI_SUCCESS;
}

static void ring_close(sl_mpi_far *far) {
    uint64_t until = sl_clock_now_ns() + CANCEL_NS;
    bool ours = true;
    for (uint32_t i = 0; far->ring && i < far->ring_size; i++)
        if (far->ring[i] != MPI_REQUEST_NULL)
            ours &= receive_cancel(&far->ring[i], until);
    if (ours)
        free(far->ring_memory);
    free(far->ring);
}

void sl_mpi_far_close(sl_mpi_far *far) {
    ring_close(far);
    while (far->pool) {
        sl_mpi_buffer *next = far->pool->next;
        free(far->pool);
        far->pool = next;
    }
    sl_mpi_requests_fini(&far->sends);
    free(far->outstanding);
    free(far->told);
}

/* ---- the beginning ---- */

static sl_err ring_open(sl_mpi_far *far) {
    far->ring = calloc(far->ring_size, sizeof *far->ring);
    far->ring_memory = aligned_alloc(ALIGNMENT, far->ring_size * far->stride);
    if (!far->ring || !far->ring_memory)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u receives", far->ring_size);
    for (uint32_t i = 0; i < far->ring_size; i++)
        far->ring[i] = MPI_REQUEST_NULL;
    for (uint32_t i = 0; i < far->ring_size; i++) {
        void *place = far->ring_memory + i * far->stride;
        SL_MPI_TRY(MPI_Recv_init(place, (int)far->frame_bytes, MPI_BYTE, MPI_ANY_SOURCE, FRAME_TAG,
                                 far->comm, &far->ring[i]));
    }
    return sl_mpi_check(MPI_Startall((int)far->ring_size, far->ring), "MPI_Startall");
}

sl_err sl_mpi_far_open(sl_mpi_far *far, const sl_mpi *mpi) {
    size_t stride = (mpi->frame_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *far = (sl_mpi_far){.comm = mpi->frames,
                        .ring_size = mpi->settings.receive_ring,
                        .frame_bytes = mpi->frame_bytes,
                        .stride = stride,
                        .buffers_max = (uint32_t)(POOL_MAX_BYTES / stride),
                        .window = mpi->settings.window,
                        .host = &mpi->host,
                        .count = mpi->count};
    far->outstanding = calloc(mpi->count, sizeof *far->outstanding);
    far->told = calloc(mpi->count, sizeof *far->told);
    if (!far->outstanding || !far->told)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u peers", mpi->count);
    return mpi->host.far ? ring_open(far) : SL_OK;
}
