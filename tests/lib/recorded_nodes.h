/* Who listens between the nodes of a network in a test's process, which is linked with
 * lib/recorder.c, and with sl_thread_network_create() wrapped. */
#ifndef SL_TESTS_RECORDED_NODES_H
#define SL_TESTS_RECORDED_NODES_H

#include <pthread.h>
#include <string.h>

#include "runtime/transport_thread.h"
#include "tests/lib/recorder.h"

static sl_recording between = {.lock = PTHREAD_MUTEX_INITIALIZER};

sl_err __real_sl_thread_network_create(uint32_t count, size_t frame_bytes,
                                       sl_transport **transports);
sl_err __wrap_sl_thread_network_create(uint32_t count, size_t frame_bytes,
                                       sl_transport **transports);
sl_err __wrap_sl_thread_network_create(uint32_t count, size_t frame_bytes,
                                       sl_transport **transports) {
    sl_err err = __real_sl_thread_network_create(count, frame_bytes, transports);
    for (uint32_t i = 0; err == SL_OK && i < count; i++)
        transports[i] = sl_recorder_create(transports[i], &between);
    return err;
}

/* Any 16 bytes of it: it might have been cut on its way. */
static inline bool sl_recording_has_some(sl_recording *in, const char *what) {
    size_t size = strlen(what);
    for (size_t at = 0; at + 16 <= size; at += 4)
        if (sl_recording_has(in, what + at, 16))
            return true;
    return false;
}

#endif
