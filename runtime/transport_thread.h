/* The thread transport: the nodes of a network as threads of one process. For tests, and for the
 * network of a single machine that was not started by MPI. */
#ifndef SL_RUNTIME_TRANSPORT_THREAD_H
#define SL_RUNTIME_TRANSPORT_THREAD_H

#include "runtime/transport.h"

enum { SL_THREAD_MAX_NODES = 4096 };

/* Makes the `count` transports of one network: transports[i] is node i's. frame_bytes 0: 16 KiB.
 * The network's memory goes when the last of them is closed. Frames are handed over in rings of 16
 * between two nodes, made when first used; a bulk blob is handed over itself. */
sl_err sl_thread_network_create(uint32_t count, size_t frame_bytes,
                                sl_transport **transports) SL_CHECKED;

#endif
