/* A transport in front of another: keeps every byte that leaves a node, for tests that look for
 * what must not be among them. */
#ifndef SL_TESTS_RECORDER_H
#define SL_TESTS_RECORDER_H

#include <pthread.h>

#include "runtime/transport.h"

/* What left, of all nodes that share it. Zeroed but for the lock: empty. */
typedef struct sl_recording {
    pthread_mutex_t lock;
    uint8_t *bytes; /* free() it */
    size_t size, room;
    uint64_t frames, blobs;
} sl_recording;

/* Takes over `inner`. NULL when out of memory. */
sl_transport *sl_recorder_create(sl_transport *inner, sl_recording *recording);

/* Adds what left by another way. */
void sl_recording_add(sl_recording *recording, const void *bytes, size_t size);

/* Forgets what was recorded; and how many bytes, and of them blobs, were. */
void sl_recording_clear(sl_recording *recording);
uint64_t sl_recording_size(sl_recording *recording);
uint64_t sl_recording_blobs(sl_recording *recording);

/* True when `size` bytes of `what` stand somewhere in what was recorded. */
bool sl_recording_has(sl_recording *recording, const void *what, size_t size);

#endif
