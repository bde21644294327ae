/* Who listens between the nodes of a network and between it and its clients from outside, and reads
 * what the gateway leaves on its disk. Both ends are in a test's process, which is linked with
 * lib/recorder.c and lib/outside.c, and with sl_thread_network_create() and sl_link_send()
 * wrapped. */
#ifndef SL_TESTS_SEALED_OUTSIDE_H
#define SL_TESTS_SEALED_OUTSIDE_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "net/link.h"
#include "runtime/transport_thread.h"
#include "tests/lib/outside.h"
#include "tests/lib/recorder.h"
#include "tests/lib/test.h"

static sl_recording between = {.lock = PTHREAD_MUTEX_INITIALIZER};
static sl_recording outside = {.lock = PTHREAD_MUTEX_INITIALIZER};

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

/* Every message of the links goes through here, before TLS. */
sl_err __real_sl_link_send(sl_link *link, const void *message, size_t bytes, sl_blob *data);
sl_err __wrap_sl_link_send(sl_link *link, const void *message, size_t bytes, sl_blob *data);
sl_err __wrap_sl_link_send(sl_link *link, const void *message, size_t bytes, sl_blob *data) {
    sl_recording_add(&outside, message, bytes);
    if (data)
        sl_recording_add(&outside, data->data, data->bytes);
    return __real_sl_link_send(link, message, bytes, data);
}

static inline bool disk_has(const char *what) {
    static uint8_t bytes[4 << 20];
    bool has = false;
    int files = 0;
    DIR *entries = opendir(outside_directory);
    for (struct dirent *e; entries && (e = readdir(entries));) {
        char path[900];
        snprintf(path, sizeof path, "%s/%s", outside_directory, e->d_name);
        FILE *file = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        size_t got = file ? fread(bytes, 1, sizeof bytes, file) : 0;
        files += file != NULL;
        has |= got && memmem(bytes, got, what, strlen(what)) != NULL;
        if (file)
            fclose(file);
    }
    if (entries)
        closedir(entries);
    CHECK(files > 0);
    return has;
}

/* Any 16 bytes of it: it might have been cut on its way. */
static inline bool seen(const char *what) {
    size_t size = strlen(what);
    for (size_t at = 0; at + 16 <= size; at += 4)
        if (sl_recording_has(&between, what + at, 16) || sl_recording_has(&outside, what + at, 16))
            return true;
    return disk_has(what);
}

#endif
