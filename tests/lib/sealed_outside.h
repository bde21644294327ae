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
#include "tests/lib/outside.h"
#include "tests/lib/recorded_nodes.h"
#include "tests/lib/sealing_keys.h"
#include "tests/lib/test.h"

static sl_recording outside = {.lock = PTHREAD_MUTEX_INITIALIZER};

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

static inline bool seen(const char *what) {
    return sl_recording_has_some(&between, what) || sl_recording_has_some(&outside, what) ||
           disk_has(what);
}

/* ---- the network, and a client of it ---- */

static sl_remote *remote;
static sl_keys *keys;
static sl_seal seal;

static inline void begin_with(const char *const *options, const char *scopes) {
    const sl_test_keys *k = sl_test_keys_make();
    sl_test_keys_need(outside_begin_with(options), "network");
    remote = outside_join("physics", scopes);
    sl_test_keys_need(sl_keys_open(k->client, k->fingerprint, NULL, &keys), "keys");
    seal = (sl_seal){.keys = keys};
    sl_recording_clear(&between), sl_recording_clear(&outside);
}

static inline void end(void) {
    sl_disconnect(remote);
    sl_keys_close(keys);
    CHECK_INT(sl_shutdown(), 0);
}

static inline const sl_task_options *sealed(void) {
    static sl_task_options how;
    how = (sl_task_options){.sealed = &seal};
    return &how;
}

#endif
