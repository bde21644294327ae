/* The transport: moves frames and bulk data between the nodes of a network.
 *
 * Three stand behind this interface: mpi (real), thread (many nodes in one process) and the
 * simulator. Above it, runtime/channel gathers messages into frames and bounds what is in flight; a
 * transport only moves bytes.
 *
 * Promises of every transport
 * - Frames from one node to another arrive whole, once, and in the order they were posted.
 * - Bulk data arrives whole, once, straight in the blob that bulk_receive() made for it (or as the
 * very blob that was sent, where both nodes share memory). It is not ordered against frames.
 * - Nothing blocks. acquire() answers NULL when the peer's window of frame buffers is used up.
 * - All calls are made by the node's loop thread, except wake(), which any thread may make.
 * - A frame handed to the sink is valid until the callback returns; it starts 8-byte aligned. Its
 * content is another process's word: the receiver decodes it with bounds.
 * - Between two nodes there may be several lives of their link, one after another: abandon() ends
 * one, readmit() begins the next. Frames go on through all of them, in order: who reads them tells
 * the lives apart. Bulk data belongs to the life it was sent in, and is known by its id: ids from
 * one node to another grow, and each life begins with one that none before had. */
#ifndef SL_RUNTIME_TRANSPORT_H
#define SL_RUNTIME_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/blob.h"
#include "runtime/err.h"

typedef struct sl_transport sl_transport;

/* What poll() reports to. Callbacks may call any operation of the transport but poll, sleep and
 * close. */
typedef struct sl_transport_sink {
    void *context;
    void (*frame)(void *context, uint32_t peer, const void *frame, size_t bytes);
    /* The blob passed to bulk_send(id) is no longer read; its reference is dropped after the call.
     */
    void (*bulk_sent)(void *context, uint32_t peer, uint64_t id);
    /* What bulk_receive(id) asked for is there; the reference passes to the callee. NULL: it
     * failed, or was of another length than was asked for. */
    void (*bulk_received)(void *context, uint32_t peer, uint64_t id, sl_blob *blob);
    /* The process of `peer` has ended, for certain, and everything it had posted has been
     * delivered. Told once, by transports that can know; NULL: it is not told. */
    void (*lost)(void *context, uint32_t peer);
} sl_transport_sink;

typedef struct sl_transport_ops {
    const char *name;

    /* A buffer of frame_bytes for a frame to `peer` (8-byte aligned), or NULL when the window is
     * used up. At most one acquired buffer per peer is outstanding; it must be posted. */
    void *(*acquire)(sl_transport *transport, uint32_t peer);

    /* Sends the first `bytes` (1 … frame_bytes) of an acquired buffer and takes the buffer back. */
    void (*post)(sl_transport *transport, uint32_t peer, void *frame, size_t bytes);

    /* Sends a blob; retains it until sink.bulk_sent. `id` is chosen by the sender, and unique among
     * the transfers from this node to `peer` that are under way. SL_ERR_AGAIN, here and from
     * bulk_receive: too many are under way at this node; some later poll() makes room. SL_ERR_DEAD,
     * from both: the peer is abandoned. */
    sl_err (*bulk_send)(sl_transport *transport, uint32_t peer, uint64_t id, sl_blob *blob);

    /* Expects the blob of `bytes` that `peer` sends as `id` (before or after this call). */
    sl_err (*bulk_receive)(sl_transport *transport, uint32_t peer, uint64_t id, uint64_t bytes);

    /* Delivers what has arrived, at most about `budget` events; returns how many there were. */
    size_t (*poll)(sl_transport *transport, const sl_transport_sink *sink, size_t budget);

    /* Sleep in three steps, as in doorbell.h: arm, look once more at every source of work, then
     * sleep (at most timeout_ns; it may return earlier) or disarm. */
    uint32_t (*arm)(sl_transport *transport);
    void (*disarm)(sl_transport *transport);
    void (*sleep)(sl_transport *transport, uint32_t ticket, uint64_t timeout_ns);

    /* Ends a sleep, now or the next. Any thread. */
    void (*wake)(sl_transport *transport);

    /* True when everything posted or sent has left this node's memory (nothing to wait for at
     * exit). */
    bool (*drained)(sl_transport *transport);

    /* `peer` is given up: forgets the bulk data under way to and from it. Blobs it was to receive
     * are released without bulk_sent, what was asked of it is not reported. Frames from it are
     * still delivered, and a few may be under way to it, by which the two may find each other
     * again; a transport that would wait for a process that has ended takes no more than one. May
     * be called again. */
    void (*abandon)(sl_transport *transport, uint32_t peer);

    /* A new life of the link to a peer that was abandoned. Bulk data from it with an id below
     * `first_in` is of an earlier life and dropped, as is word of what was sent to it below
     * `first_out`. Once both sides have called this, everything is as it was at the beginning. */
    void (*readmit)(sl_transport *transport, uint32_t peer, uint64_t first_in, uint64_t first_out);

    /* Frees everything, the transport itself included. Frames not yet left are lost: drain first.
     */
    void (*close)(sl_transport *transport);
} sl_transport_ops;

/* The public head of every transport; the implementation's struct begins with it. */
struct sl_transport {
    const sl_transport_ops *ops;
    uint32_t self;      /* this node, 0 … count-1 */
    uint32_t count;     /* nodes of the network */
    size_t frame_bytes; /* size of a frame buffer */
    bool replaces;      /* after sink.lost() what comes is of another process of that number */
};

#endif
