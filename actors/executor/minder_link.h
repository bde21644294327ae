/* The minder's end of one spawner: its process, its socket, and the requests that wait for room.
 *
 * The minder's lock is held in every call but sl_minder_link_start(). */
#ifndef SL_ACTORS_EXECUTOR_MINDER_LINK_H
#define SL_ACTORS_EXECUTOR_MINDER_LINK_H

#include <stdint.h>
#include <sys/types.h>

#include "actors/executor/process_wire.h"

/* A request on its way. Owns `spec` and `stdin_fd`. */
typedef struct sl_minder_frame sl_minder_frame;
struct sl_minder_frame {
    sl_minder_frame *next;
    sl_spawner_request request;
    unsigned char *spec;
    int stdin_fd;
};

void sl_minder_frame_destroy(sl_minder_frame *frame);

typedef struct sl_minder_link {
    int socket; /* -1: no spawner */
    pid_t pid;
    uint32_t running; /* commands handed to this link and not ended */
    sl_minder_frame *first, *last;
} sl_minder_link;

/* Starts a spawner, which rings `bell` (an eventfd) after its replies: its socket and pid. It gets
 * the signal of its node's death when the calling thread ends. SL_ERR_FAILED, SL_ERR_IO. */
sl_err sl_minder_link_start(const char *spawner_path, int bell, int *socket, pid_t *pid) SL_CHECKED;

/* Queues `frame` (taken over) behind those waiting. */
void sl_minder_link_push(sl_minder_link *link, sl_minder_frame *frame);

/* Sends the first frame waiting and hands it back: destroy it. NULL when there is none, no room
 * now, or no spawner. `err` is SL_OK or SL_ERR_AGAIN, else the link is broken. */
sl_minder_frame *sl_minder_link_send(sl_minder_link *link, sl_err *err);

/* Takes the first frame waiting off the queue, which has one. */
sl_minder_frame *sl_minder_link_pop(sl_minder_link *link);

/* Closes the socket and, unless it has none, reaps the spawner: 0 or its wait status. Frames stay.
 */
int sl_minder_link_close(sl_minder_link *link);

/* Throws away the frames waiting. */
void sl_minder_link_drop(sl_minder_link *link);

#endif
