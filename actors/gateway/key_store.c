/* Design notes
 * A key has 256 random bits, so a fast hash of it is as hard to turn back as a slow one; what a
 * slow hash is for, guessing what people choose, there is nothing of here, and a gateway can check
 * thousands of keys a second. The hash is taken of the whole text; looking a key up by its id tells
 * by its time whether there is such an id, which is no secret, and no more.
 *
 * Who changes the file holds the lock file's lock from reading to the new file's place. */
#include "actors/gateway/key_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/strbuf.h"

#define KEYS_FILE   "api-keys"
#define SECRET_FILE "api-keys.secret"
#define LOCK_FILE   "api-keys.lock"
#define CHECKSUM    "checksum "

enum { SECRET_BYTES = 32, SUM_LINE_BYTES = sizeof CHECKSUM - 1 + 64 + 1 };

struct sl_key_store {
    int dir_fd, lock_fd;
    char directory[512];
    uint8_t secret[SECRET_BYTES];
    sl_key_list list;
    struct timespec changed; /* of the file that was read */
    ino_t inode;
};

static sl_err told(const sl_key_store *store, const char *name, const char *what) {
    return sl_fail(SL_ERR_IO, "%s/%s: %s: %s", store->directory, name, what, strerror(errno));
}

/* ---- files ---- */

static sl_err check_private(const sl_key_store *store, const char *name, int fd, mode_t kind) {
    struct stat found;
    if (fstat(fd, &found) != 0)
        return told(store, name, "cannot be looked at");
    if ((found.st_mode & S_IFMT) != kind || found.st_uid != geteuid() || found.st_mode & 077)
        return sl_fail(SL_ERR_REFUSED,
                       "%s/%s: it belongs to another user, or others may reach it (mode %03o): "
                       "chmod go= '%s'",
                       store->directory, name, (unsigned)found.st_mode & 0777, store->directory);
    return SL_OK;
}

static sl_err read_file(const sl_key_store *store, const char *name, char **text, size_t *bytes,
                        struct stat *found) {
    int fd = openat(store->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? SL_ERR_NOT_FOUND : told(store, name, "cannot be opened");
    sl_err err = check_private(store, name, fd, S_IFREG);
    if (err == SL_OK && (fstat(fd, found) != 0 || found->st_size > SL_KEY_FILE_MOST_BYTES))
        err = sl_fail(SL_ERR_TOO_LARGE, "%s/%s is too large", store->directory, name);
    size_t room = err == SL_OK ? (size_t)found->st_size : 0, got = 0;
    char *to = malloc(room + 1);
    if (!to && err == SL_OK)
        err = sl_fail(SL_ERR_NO_MEMORY, "no memory for API keys");
    while (err == SL_OK && got < room) {
        ssize_t some = read(fd, to + got, room - got);
        if (some <= 0)
            err = some < 0 && errno == EINTR ? SL_OK : told(store, name, "cannot be read");
        else
            got += (size_t)some;
    }
    close(fd);
    if (err != SL_OK) {
        free(to);
        return err;
    }
    *text = to;
    *bytes = got;
    return SL_OK;
}

/* Puts a file in its place; with `once` only where none is: then SL_ERR_EXISTS. */
static sl_err write_file(const sl_key_store *store, const char *name, const void *data,
                         size_t bytes, bool once) {
    char beside[64];
    snprintf(beside, sizeof beside, "%s.new.%ld", name, (long)getpid());
    unlinkat(store->dir_fd, beside, 0);
    int fd =
        openat(store->dir_fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return told(store, name, "cannot be written");
    bool good = write(fd, data, bytes) == (ssize_t)bytes && fsync(fd) == 0;
    int error = errno;
    close(fd);
    if (good && once) {
        good = linkat(store->dir_fd, beside, store->dir_fd, name, 0) == 0;
        error = errno;
        unlinkat(store->dir_fd, beside, 0);
    } else if (good) {
        good = renameat(store->dir_fd, beside, store->dir_fd, name) == 0;
        error = errno;
    }
    if (good && fsync(store->dir_fd) == 0)
        return SL_OK;
    unlinkat(store->dir_fd, beside, 0);
    errno = error;
    return once && error == EEXIST ? SL_ERR_EXISTS : told(store, name, "cannot be written");
}

static sl_err open_secret(sl_key_store *store) {
    char *data = NULL;
    size_t bytes = 0;
    struct stat found;
    sl_err err = read_file(store, SECRET_FILE, &data, &bytes, &found);
    if (err == SL_ERR_NOT_FOUND) {
        randombytes_buf(store->secret, SECRET_BYTES);
        err = write_file(store, SECRET_FILE, store->secret, SECRET_BYTES, true);
        if (err != SL_ERR_EXISTS)
            return err;
        err = read_file(store, SECRET_FILE, &data, &bytes, &found); /* another was first */
    }
    SL_TRY(err);
    if (bytes == SECRET_BYTES)
        memcpy(store->secret, data, SECRET_BYTES);
    else
        err = sl_fail(SL_ERR_DECODE, "%s/" SECRET_FILE " has %zu bytes, not %d", store->directory,
                      bytes, SECRET_BYTES);
    sodium_memzero(data, bytes);
    free(data);
    return err;
}

/* ---- the list ---- */

static void sum_of(const sl_key_store *store, const char *text, size_t bytes,
                   char line[SUM_LINE_BYTES + 1]) {
    uint8_t sum[32];
    crypto_generichash(sum, sizeof sum, (const uint8_t *)text, bytes, store->secret, SECRET_BYTES);
    line += snprintf(line, sizeof CHECKSUM, CHECKSUM);
    for (int i = 0; i < 32; i++)
        line += snprintf(line, 3, "%02x", sum[i]);
    *line++ = '\n';
    *line = '\0';
}

static sl_err parse(const sl_key_store *store, const char *text, size_t bytes, sl_key_list *list) {
    char line[SUM_LINE_BYTES + 1];
    size_t body = bytes - SUM_LINE_BYTES;
    if (bytes >= SUM_LINE_BYTES)
        sum_of(store, text, body, line);
    if (bytes < SUM_LINE_BYTES || sodium_memcmp(line, text + body, SUM_LINE_BYTES) != 0)
        return sl_fail(SL_ERR_REFUSED,
                       "%s/" KEYS_FILE " was changed by something else than starlane key: its "
                       "checksum is wrong. Bring back a copy, or remove it and make new keys",
                       store->directory);
    return sl_key_list_parse(text, body, list);
}

sl_err sl_key_store_refresh(sl_key_store *store) {
    struct stat found;
    char *text;
    size_t bytes;
    sl_key_list list;
    if (fstatat(store->dir_fd, KEYS_FILE, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
        found.st_ino == store->inode && found.st_mtim.tv_sec == store->changed.tv_sec &&
        found.st_mtim.tv_nsec == store->changed.tv_nsec)
        return SL_OK;
    sl_err err = read_file(store, KEYS_FILE, &text, &bytes, &found);
    if (err == SL_ERR_NOT_FOUND) {
        sl_key_list_fini(&store->list);
        store->inode = 0;
        return SL_OK;
    }
    SL_TRY(err);
    err = parse(store, text, bytes, &list);
    free(text);
    SL_TRY(err);
    sl_key_list_fini(&store->list);
    store->list = list;
    store->inode = found.st_ino;
    store->changed = found.st_mtim;
    return SL_OK;
}

static sl_err save(sl_key_store *store, const sl_key_list *list) {
    char line[SUM_LINE_BYTES + 1];
    sl_strbuf text;
    sl_strbuf_init(&text, SL_KEY_FILE_MOST_BYTES - SUM_LINE_BYTES);
    sl_key_list_print(list, &text);
    sl_err err = sl_strbuf_err(&text);
    if (err == SL_OK) {
        sum_of(store, text.data, text.length, line);
        text.limit_bytes = SL_KEY_FILE_MOST_BYTES;
        sl_strbuf_append(&text, line);
        err = sl_strbuf_err(&text);
    }
    if (err == SL_OK)
        err = write_file(store, KEYS_FILE, text.data, text.length, false);
    sl_strbuf_fini(&text);
    return err;
}

/* ---- opening ---- */

static sl_err open_parts(sl_key_store *store, const char *directory) {
    if (sodium_init() < 0)
        return sl_fail(SL_ERR_UNAVAILABLE, "the system gives no random numbers");
    if (snprintf(store->directory, sizeof store->directory, "%s", directory) >=
        (int)sizeof store->directory)
        return sl_fail(SL_ERR_INVALID, "a directory's name of %zu bytes", strlen(directory));
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return sl_fail(SL_ERR_IO, "%s: cannot be created: %s", directory, strerror(errno));
    store->dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (store->dir_fd < 0)
        return sl_fail(SL_ERR_IO, "%s: cannot be opened: %s", directory, strerror(errno));
    SL_TRY(check_private(store, ".", store->dir_fd, S_IFDIR));
    store->lock_fd =
        openat(store->dir_fd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (store->lock_fd < 0)
        return told(store, LOCK_FILE, "cannot be opened");
    SL_TRY(open_secret(store));
    return sl_key_store_refresh(store);
}

sl_err sl_key_store_open(const char *directory, sl_key_store **out) {
    sl_key_store *store = calloc(1, sizeof *store);
    if (!store)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for API keys");
    store->dir_fd = store->lock_fd = -1;
    sl_err err = open_parts(store, directory);
    if (err != SL_OK) {
        sl_key_store_close(store);
        return err;
    }
    *out = store;
    return SL_OK;
}

void sl_key_store_close(sl_key_store *store) {
    if (!store)
        return;
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    if (store->dir_fd >= 0)
        close(store->dir_fd);
    sl_key_list_fini(&store->list);
    sodium_memzero(store->secret, SECRET_BYTES);
    free(store);
}

const sl_key_list *sl_key_store_list(const sl_key_store *store) {
    return &store->list;
}

const sl_api_key *sl_key_list_find(const sl_key_list *list, const char *id) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->keys[i].id, id) == 0)
            return &list->keys[i];
    return NULL;
}

/* ---- changing ---- */

/* The list as it is now, with room for one more of each; nobody else changes it meanwhile. */
static sl_err begin_change(sl_key_store *store) {
    while (flock(store->lock_fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return told(store, LOCK_FILE, "cannot be locked");
    sl_key_list *list = &store->list;
    SL_TRY(sl_key_store_refresh(store));
    sl_api_key *keys = realloc(list->keys, (list->count + 1) * sizeof *keys);
    if (keys)
        list->keys = keys;
    sl_quota *quotas = realloc(list->quotas, (list->quota_count + 1) * sizeof *quotas);
    if (quotas)
        list->quotas = quotas;
    return keys && quotas ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for API keys");
}

/* Saves what was changed if all is well; what is known is what the file says in any case. */
static sl_err end_change(sl_key_store *store, sl_err err) {
    char why[1024];
    if (err == SL_OK)
        err = save(store, &store->list);
    snprintf(why, sizeof why, "%s", sl_err_detail());
    store->inode = 0;
    sl_err again = sl_key_store_refresh(store);
    flock(store->lock_fd, LOCK_UN);
    return err == SL_OK ? again : sl_fail(err, "%s", why);
}

static void hash_key(const sl_key_store *store, const char *text, uint8_t hash[SL_KEY_HASH_BYTES]) {
    crypto_generichash(hash, SL_KEY_HASH_BYTES, (const uint8_t *)text, SL_KEY_TEXT_BYTES - 1,
                       store->secret, SECRET_BYTES);
}

static void put_hex(const uint8_t *bytes, size_t count, char *to) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    *to = '\0';
}

static void draw_key(const sl_key_store *store, sl_api_key *key, char *text) {
    uint8_t drawn[40];
    randombytes_buf(drawn, sizeof drawn);
    memcpy(text, "slk_", 4);
    put_hex(drawn, 8, text + 4);
    memcpy(key->id, text + 4, SL_KEY_NAME_BYTES);
    text[20] = '_';
    put_hex(drawn + 8, 32, text + 21);
    hash_key(store, text, key->hash);
    sodium_memzero(drawn, sizeof drawn);
}

void sl_draw(void *to, size_t bytes) {
    randombytes_buf(to, bytes);
}

uint32_t sl_name_hash(const char *name, const uint8_t key[16]) {
    uint8_t hash[crypto_shorthash_BYTES];
    uint32_t at;
    crypto_shorthash(hash, (const uint8_t *)name, strlen(name), key);
    memcpy(&at, hash, sizeof at);
    return at;
}

void sl_name_draw(char text[SL_DRAWN_BYTES]) {
    uint8_t drawn[(SL_DRAWN_BYTES - 1) / 2];
    randombytes_buf(drawn, sizeof drawn);
    put_hex(drawn, sizeof drawn, text);
    sodium_memzero(drawn, sizeof drawn);
}

bool sl_name_is(const char *one, const char *other) {
    return sodium_memcmp(one, other, SL_DRAWN_BYTES - 1) == 0;
}

sl_err sl_key_store_create(sl_key_store *store, const char *project, uint32_t scopes,
                           uint64_t now_s, uint64_t expires_s, char *text) {
    char drawn[SL_KEY_TEXT_BYTES];
    if (!sl_project_is_valid(project))
        return sl_fail(SL_ERR_INVALID,
                       "'%.80s' is no name of a project: 1 to %d letters, digits and _ - .",
                       project, SL_PROJECT_BYTES - 1);
    if (!scopes || scopes > SL_SCOPES_ALL)
        return sl_fail(SL_ERR_INVALID, "a key without a scope opens nothing");
    sl_err err = begin_change(store);
    if (err == SL_OK && store->list.count == SL_KEYS_MOST)
        err = sl_fail(SL_ERR_TOO_LARGE, "there are %d keys; no more can be kept", SL_KEYS_MOST);
    if (err == SL_OK) {
        sl_api_key *key = &store->list.keys[store->list.count++];
        *key = (sl_api_key){.scopes = scopes, .created_s = now_s, .expires_s = expires_s};
        strcpy(key->project, project);
        draw_key(store, key, drawn);
    }
    err = end_change(store, err);
    if (err == SL_OK)
        memcpy(text, drawn, sizeof drawn);
    sodium_memzero(drawn, sizeof drawn);
    return err;
}

static sl_api_key *find(const sl_key_store *store, const char *id, size_t bytes) {
    for (size_t i = 0; i < store->list.count; i++)
        if (bytes == SL_KEY_NAME_BYTES - 1 && memcmp(store->list.keys[i].id, id, bytes) == 0)
            return &store->list.keys[i];
    return NULL;
}

sl_err sl_key_store_revoke(sl_key_store *store, const char *id, uint64_t now_s) {
    sl_err err = begin_change(store);
    sl_api_key *key = err == SL_OK ? find(store, id, strlen(id)) : NULL;
    if (err == SL_OK && !key)
        err =
            sl_fail(SL_ERR_NOT_FOUND, "there is no key '%.40s': starlane key list shows them", id);
    else if (err == SL_OK && key->revoked_s)
        err = sl_fail(SL_ERR_EXISTS, "key %s was revoked before", key->id);
    else if (err == SL_OK)
        key->revoked_s = now_s ? now_s : 1;
    return end_change(store, err);
}

static sl_quota *find_quota(const sl_key_store *store, const char *project) {
    for (size_t i = 0; i < store->list.quota_count; i++)
        if (strcmp(store->list.quotas[i].project, project) == 0)
            return &store->list.quotas[i];
    return NULL;
}

sl_err sl_key_store_set_quota(sl_key_store *store, const sl_quota *quota) {
    if (!sl_project_is_valid(quota->project) || !(quota->ucu_s >= 0))
        return sl_fail(SL_ERR_INVALID, "no quota of a project");
    sl_err err = begin_change(store);
    if (err == SL_OK) {
        sl_quota *at = find_quota(store, quota->project);
        if (!at && store->list.quota_count == SL_KEYS_MOST)
            err = sl_fail(SL_ERR_TOO_LARGE, "too many projects");
        else
            *(at ? at : &store->list.quotas[store->list.quota_count++]) = *quota;
    }
    return end_change(store, err);
}

sl_quota sl_key_store_quota(const sl_key_store *store, const char *project) {
    const sl_quota *found = find_quota(store, project);
    return found ? *found : (sl_quota){};
}

/* ---- checking ---- */

sl_err sl_key_store_check(const sl_key_store *store, const char *text, size_t bytes,
                          const char *project, uint64_t now_s, const sl_api_key **out,
                          const char **known) {
    uint8_t hash[SL_KEY_HASH_BYTES], nobody[SL_KEY_HASH_BYTES] = {};
    bool formed = bytes == SL_KEY_TEXT_BYTES - 1 && memcmp(text, "slk_", 4) == 0;
    const sl_api_key *key = formed ? find(store, text + 4, SL_KEY_NAME_BYTES - 1) : NULL;
    *known = key ? key->id : "";
    if (!formed)
        return sl_fail(SL_ERR_REFUSED, "no such API key: one is slk_ and what starlane key create "
                                       "showed behind it");
    hash_key(store, text, hash);
    bool same = sodium_memcmp(hash, key ? key->hash : nobody, sizeof hash) == 0;
    if (!key || !same)
        return sl_fail(SL_ERR_REFUSED, "no such API key");
    if (key->revoked_s)
        return sl_fail(SL_ERR_REFUSED, "API key %s was revoked", key->id);
    if (key->expires_s && now_s >= key->expires_s)
        return sl_fail(SL_ERR_REFUSED, "API key %s has expired: ask for a new one", key->id);
    if (strcmp(key->project, project) != 0)
        return sl_fail(SL_ERR_REFUSED, "API key %s is not for project '%.64s'", key->id, project);
    *out = key;
    return SL_OK;
}
