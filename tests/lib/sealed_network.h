/* A network inside a test's process, every byte between whose nodes is recorded, and a client that
 * seals tasks for it. The program is linked with lib/recorder.c, and with
 * sl_thread_network_create() wrapped. */
#ifndef SL_TESTS_SEALED_NETWORK_H
#define SL_TESTS_SEALED_NETWORK_H

#include "tests/lib/recorded_nodes.h"
#include "tests/lib/sealing_keys.h"

enum { NODES = 3 };

static inline bool heard(const char *what) {
    return sl_recording_has_some(&between, what);
}

static sl_options *options;
static sl_keys *keys;
static sl_seal seal;

/* With options besides, name and value by turns, until a NULL; NULL: none. */
static inline void join_with(const char *identity, const char *const *more) {
    const sl_test_keys *k = sl_test_keys_make();
    sl_test_keys_need(sl_options_create(&options), "options");
    sl_test_keys_need(sl_options_set(options, "policy", "random"), "policy");
    if (identity) {
        sl_test_keys_need(sl_options_set(options, "keys", identity), "keys");
        sl_test_keys_need(sl_options_set(options, "authority", k->fingerprint), "authority");
    }
    for (; more && *more; more += 2)
        sl_test_keys_need(sl_options_set(options, more[0], more[1]), more[0]);
    const sl_init_options init = {.options = options, .nodes = NODES};
    sl_test_keys_need(sl_init(NULL, NULL, &init), "init");
    sl_test_keys_need(sl_keys_open(k->client, k->fingerprint, NULL, &keys), "keys");
    seal = (sl_seal){.keys = keys};
    sl_recording_clear(&between);
}

static inline void join(const char *identity) {
    join_with(identity, NULL);
}

static inline void leave(void) {
    sl_keys_close(keys);
    CHECK_INT(sl_shutdown(), 0);
    sl_options_destroy(options);
}

static inline sl_task_options sealed(const sl_task *task) {
    sl_task_options sealing = task->options;
    sealing.sealed = &seal;
    return sealing;
}

#endif
