/* Keys on disk for tests of the interface: an authority, a node and a client that it certified. */
#ifndef SL_TESTS_SEALING_KEYS_H
#define SL_TESTS_SEALING_KEYS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "starlane.h"
#include "tests/lib/files.h"
#include "tests/lib/test.h"

typedef struct sl_test_keys {
    char authority[300], node[300], client[300];
    char fingerprint[65]; /* of the authority */
} sl_test_keys;

static inline void sl_test_keys_need(int err, const char *what) {
    if (err == 0)
        return;
    fprintf(stderr, "%s: %s\n", what, sl_error_text());
    exit(1);
}

/* An identity certified for so many days; `project` may be NULL. */
static inline void sl_test_keys_certify(const sl_test_keys *keys, const char *directory,
                                        const char *role, const char *name, const char *project) {
    char request[400], signed_[400];
    snprintf(request, sizeof request, "%s/certificate", directory);
    snprintf(signed_, sizeof signed_, "%s.signed", directory);
    sl_test_keys_need(sl_keys_create(directory, role, name, project), directory);
    sl_test_keys_need(sl_keys_sign(keys->authority, request, 1, signed_), directory);
    if (rename(signed_, request) != 0)
        exit(1);
}

static inline void sl_test_fingerprint(const char *directory, char fingerprint[65]) {
    char *text;
    sl_test_keys_need(sl_keys_show(directory, 0, &text), directory);
    const char *at = strstr(text, "fingerprint");
    if (!at || sscanf(at, "fingerprint %64s", fingerprint) != 1)
        exit(1);
    sl_free(text);
}

/* In the test's own directory, once. */
static inline const sl_test_keys *sl_test_keys_make(void) {
    static sl_test_keys keys;
    if (keys.fingerprint[0])
        return &keys;
    snprintf(keys.authority, sizeof keys.authority, "%s", sl_test_path("authority"));
    snprintf(keys.node, sizeof keys.node, "%s", sl_test_path("node"));
    snprintf(keys.client, sizeof keys.client, "%s", sl_test_path("client"));
    sl_test_keys_need(sl_keys_create(keys.authority, "authority", NULL, NULL), "authority");
    sl_test_fingerprint(keys.authority, keys.fingerprint);
    sl_test_keys_certify(&keys, keys.node, "node", "node-1.site", NULL);
    sl_test_keys_certify(&keys, keys.client, "client", "alice", "physics");
    return &keys;
}

#endif
