#include "tests/lib/made_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEYS = 6, REVOKED = 3, EXPIRED = 4, OTHERS = 5 };

static char directory[64], texts[KEYS][SL_KEY_TEXT_BYTES];
static sl_key_store *store;

static void require(bool holds) {
    if (!holds)
        abort();
}

static void end(void) {
    static const char *const files[] = {"api-keys", "api-keys.secret", "api-keys.lock"};
    char path[128];
    sl_key_store_close(store);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(directory);
}

sl_key_store *made_keys(void) {
    static const uint32_t scopes[KEYS] = {SL_SCOPE_SUBMIT | SL_SCOPE_READ | SL_SCOPE_ADMIN |
                                              SL_SCOPE_COMMAND,
                                          SL_SCOPE_SUBMIT,
                                          SL_SCOPE_READ,
                                          SL_SCOPE_SUBMIT,
                                          SL_SCOPE_SUBMIT,
                                          SL_SCOPE_SUBMIT};
    const sl_quota quota = {
        .project = "q", .ucu_s = 5, .tasks = 3, .payload_bytes = 200, .output_bytes = 9};
    char id[SL_KEY_NAME_BYTES];
    strcpy(directory, "/tmp/starlane-keys-XXXXXX");
    require(mkdtemp(directory) != NULL && sl_key_store_open(directory, &store) == SL_OK);
    atexit(end);
    for (int i = 0; i < KEYS; i++)
        require(sl_key_store_create(store, i == OTHERS ? "q" : "p", scopes[i], 1,
                                    i == EXPIRED ? 2 : 0, texts[i]) == SL_OK);
    snprintf(id, sizeof id, "%.16s", texts[REVOKED] + strlen("slk_"));
    require(sl_key_store_revoke(store, id, 2) == SL_OK);
    require(sl_key_store_set_quota(store, &quota) == SL_OK);
    return store;
}

const char *made_key(uint32_t which) {
    return texts[which % KEYS];
}

const char *made_keys_directory(void) {
    return directory;
}
