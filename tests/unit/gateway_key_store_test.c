/* API keys on disk: what holds, what does not, and who may touch the files. */
#include "actors/gateway/key_store.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/strbuf.h"
#include "tests/lib/test.h"

/* A path in the test's directory; it stays. Not from several threads. */
static const char *place(const char *name) {
    static char paths[32][512];
    for (int i = 0; i < 32; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", sl_test_dir(), name);
        if (!paths[i][0])
            memcpy(paths[i], path, sizeof path);
        if (strcmp(paths[i], path) == 0)
            return paths[i];
    }
    abort();
}

static sl_err check(sl_key_store *store, const char *text, const char *project, uint64_t now_s) {
    const sl_api_key *key;
    const char *known;
    return sl_key_store_check(store, text, strlen(text), project, now_s, &key, &known);
}

TEST(a_key_opens_its_project_until_it_expires_or_is_revoked) {
    sl_key_store *store;
    char text[SL_KEY_TEXT_BYTES], id[SL_KEY_NAME_BYTES] = {};
    const sl_api_key *key;
    const char *known;
    REQUIRE(sl_key_store_open(place("one"), &store) == SL_OK);
    REQUIRE(sl_key_store_create(store, "physics", SL_SCOPE_SUBMIT, 1000, 2000, text) == SL_OK);
    CHECK_INT(strlen(text), SL_KEY_TEXT_BYTES - 1);
    memcpy(id, text + 4, 16);
    REQUIRE(sl_key_store_check(store, text, strlen(text), "physics", 1999, &key, &known) == SL_OK);
    CHECK_STR(key->id, id);
    CHECK_STR(known, id);
    CHECK_INT(key->scopes, SL_SCOPE_SUBMIT);
    CHECK_INT(check(store, text, "physics", 2000), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), "expired");
    CHECK_INT(check(store, text, "chemistry", 1500), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), "not for project 'chemistry'");
    REQUIRE(sl_key_store_revoke(store, id, 1600) == SL_OK);
    CHECK_INT(check(store, text, "physics", 1700), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), "revoked");
    CHECK_INT(sl_key_store_revoke(store, id, 1700), SL_ERR_EXISTS);
    CHECK_INT(sl_key_store_revoke(store, "0123", 1700), SL_ERR_NOT_FOUND);
    sl_key_store_close(store);
}

TEST(every_letter_of_a_key_counts) {
    sl_key_store *store;
    char text[SL_KEY_TEXT_BYTES], longer[SL_KEY_TEXT_BYTES + 1];
    REQUIRE(sl_key_store_open(place("two"), &store) == SL_OK);
    REQUIRE(sl_key_store_create(store, "p", SL_SCOPE_READ, 1, 0, text) == SL_OK);
    for (size_t i = 0; i < strlen(text); i++) {
        char old = text[i];
        text[i] = old == '0' ? '1' : '0';
        CHECK_INT(check(store, text, "p", 5), SL_ERR_REFUSED);
        text[i] = old;
    }
    CHECK_INT(check(store, text, "p", UINT64_MAX), SL_OK); /* it does not expire */
    snprintf(longer, sizeof longer, "%s0", text);
    CHECK_INT(check(store, longer, "p", 5), SL_ERR_REFUSED);
    text[40] = '\0';
    CHECK_INT(check(store, text, "p", 5), SL_ERR_REFUSED);
    CHECK_INT(check(store, "", "p", 5), SL_ERR_REFUSED);
    sl_key_store_close(store);
}

TEST(what_cannot_be_a_key_is_not_made) {
    sl_key_store *store;
    char text[SL_KEY_TEXT_BYTES], name[80];
    memset(name, 'a', sizeof name);
    name[65] = '\0';
    REQUIRE(sl_key_store_open(place("three"), &store) == SL_OK);
    CHECK_INT(sl_key_store_create(store, "", 1, 1, 0, text), SL_ERR_INVALID);
    CHECK_INT(sl_key_store_create(store, "a b", 1, 1, 0, text), SL_ERR_INVALID);
    CHECK_INT(sl_key_store_create(store, "a\nkey", 1, 1, 0, text), SL_ERR_INVALID);
    CHECK_INT(sl_key_store_create(store, name, 1, 1, 0, text), SL_ERR_INVALID);
    CHECK_INT(sl_key_store_create(store, "a", 0, 1, 0, text), SL_ERR_INVALID);
    CHECK_INT(sl_key_store_create(store, "a", SL_SCOPES_ALL + 1, 1, 0, text), SL_ERR_INVALID);
    CHECK_INT(sl_key_store_list(store)->count, 0);
    sl_key_store_close(store);
}

static bool holds_text(const char *path, const char *text) {
    static char data[100000];
    FILE *file = fopen(path, "rb");
    size_t bytes = file ? fread(data, 1, sizeof data, file) : 0;
    if (file)
        fclose(file);
    return memmem(data, bytes, text, strlen(text)) != NULL;
}

TEST(no_key_is_on_disk) {
    sl_key_store *store;
    char text[SL_KEY_TEXT_BYTES];
    struct stat found;
    REQUIRE(sl_key_store_open(place("four"), &store) == SL_OK);
    REQUIRE(sl_key_store_create(store, "p", 7, 1, 0, text) == SL_OK);
    CHECK(holds_text(place("four/api-keys"), "key "));
    CHECK(!holds_text(place("four/api-keys"), text + 21));
    CHECK(!holds_text(place("four/api-keys.secret"), text + 21));
    REQUIRE(stat(place("four/api-keys"), &found) == 0);
    CHECK_INT(found.st_mode & 0777, 0600);
    REQUIRE(stat(place("four"), &found) == 0);
    CHECK_INT(found.st_mode & 0777, 0700);
    sl_key_store_close(store);
}

TEST(stores_see_each_others_changes) {
    sl_key_store *gateway, *command;
    char text[SL_KEY_TEXT_BYTES], id[SL_KEY_NAME_BYTES] = {};
    REQUIRE(sl_key_store_open(place("five"), &gateway) == SL_OK);
    REQUIRE(sl_key_store_open(place("five"), &command) == SL_OK);
    REQUIRE(sl_key_store_create(command, "p", 7, 1, 0, text) == SL_OK);
    CHECK_INT(check(gateway, text, "p", 5), SL_ERR_REFUSED);
    REQUIRE(sl_key_store_refresh(gateway) == SL_OK);
    CHECK_INT(check(gateway, text, "p", 5), SL_OK);
    sl_quota quota = {
        .project = "p", .ucu_s = 12.5, .tasks = 3, .payload_bytes = 1 << 20, .output_bytes = 7};
    REQUIRE(sl_key_store_set_quota(command, &quota) == SL_OK);
    quota.tasks = 4;
    REQUIRE(sl_key_store_set_quota(command, &quota) == SL_OK);
    memcpy(id, text + 4, 16);
    REQUIRE(sl_key_store_revoke(command, id, 9) == SL_OK);
    REQUIRE(sl_key_store_refresh(gateway) == SL_OK);
    CHECK_INT(check(gateway, text, "p", 10), SL_ERR_REFUSED);
    sl_quota seen = sl_key_store_quota(gateway, "p");
    CHECK(seen.ucu_s == 12.5 && seen.tasks == 4 && seen.payload_bytes == 1 << 20 &&
          seen.output_bytes == 7);
    CHECK_INT(sl_key_store_list(gateway)->quota_count, 1);
    CHECK_INT(sl_key_store_quota(gateway, "q").tasks, 0);
    sl_key_store_close(gateway);
    sl_key_store_close(command);
}

static void *make_keys(void *argument) {
    sl_key_store *store;
    char text[SL_KEY_TEXT_BYTES];
    if (sl_key_store_open(argument, &store) != SL_OK)
        return argument;
    for (int i = 0; i < 20; i++)
        if (sl_key_store_create(store, "p", 1, 1, 0, text) != SL_OK)
            return argument;
    sl_key_store_close(store);
    return NULL;
}

TEST(commands_at_the_same_time_lose_nothing) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    sl_key_store *store;
    void *path = (void *)(uintptr_t)place("six");
    REQUIRE(sl_key_store_open(path, &store) == SL_OK);
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, make_keys, path) == 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        CHECK(!wrong);
    }
    REQUIRE(sl_key_store_refresh(store) == SL_OK);
    CHECK_INT(sl_key_store_list(store)->count, 20 * THREADS);
    sl_key_store_close(store);
}

/* Changes one byte of a file; returns what it was. */
static char poke(const char *path, off_t at, char to) {
    char old = 0;
    int fd = open(path, O_RDWR);
    if (fd < 0 || pread(fd, &old, 1, at) != 1 || pwrite(fd, &to, 1, at) != 1)
        abort();
    close(fd);
    return old;
}

TEST(a_changed_file_is_not_believed) {
    sl_key_store *store, *other;
    char text[SL_KEY_TEXT_BYTES];
    struct stat found;
    const char *path = place("seven/api-keys");
    REQUIRE(sl_key_store_open(place("seven"), &store) == SL_OK);
    REQUIRE(sl_key_store_create(store, "p", SL_SCOPE_READ, 1, 0, text) == SL_OK);
    REQUIRE(stat(path, &found) == 0);
    for (off_t at = 0; at < found.st_size; at += 7) {
        char old = poke(path, at, '~');
        CHECK_INT(sl_key_store_open(place("seven"), &other), SL_ERR_REFUSED);
        poke(path, at, old);
    }
    CHECK_CONTAINS(sl_err_detail(), "checksum");
    REQUIRE(truncate(path, 30) == 0);
    CHECK_INT(sl_key_store_refresh(store), SL_ERR_REFUSED);
    CHECK_INT(check(store, text, "p", 5), SL_OK); /* what was known stays */
    CHECK_INT(sl_key_store_create(store, "p", 1, 1, 0, text), SL_ERR_REFUSED);
    sl_key_store_close(store);
}

TEST(files_of_others_and_links_are_refused) {
    sl_key_store *store;
    const char *keys = place("eight/api-keys"), *directory = place("eight");
    char text[SL_KEY_TEXT_BYTES];
    REQUIRE(sl_key_store_open(directory, &store) == SL_OK);
    REQUIRE(sl_key_store_create(store, "p", 1, 1, 0, text) == SL_OK);
    sl_key_store_close(store);
    REQUIRE(chmod(keys, 0644) == 0);
    CHECK_INT(sl_key_store_open(directory, &store), SL_ERR_REFUSED);
    REQUIRE(chmod(keys, 0600) == 0 && chmod(directory, 0755) == 0);
    CHECK_INT(sl_key_store_open(directory, &store), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), "chmod");
    REQUIRE(chmod(directory, 0700) == 0 && rename(keys, place("elsewhere")) == 0 &&
            symlink(place("elsewhere"), keys) == 0);
    CHECK_INT(sl_key_store_open(directory, &store), SL_ERR_IO);
    REQUIRE(unlink(keys) == 0 && mkfifo(keys, 0600) == 0);
    CHECK_INT(sl_key_store_open(directory, &store), SL_ERR_REFUSED); /* and does not hang */
}

TEST(scopes_are_words) {
    uint32_t scopes;
    char text[SL_SCOPES_BYTES];
    CHECK_INT(sl_scopes_parse("admin,submit", &scopes), SL_OK);
    CHECK_INT(scopes, SL_SCOPE_ADMIN | SL_SCOPE_SUBMIT);
    sl_scopes_print(scopes, text);
    CHECK_STR(text, "submit,admin");
    CHECK_INT(sl_scopes_parse("submit,read,admin,command,module", &scopes), SL_OK);
    CHECK_INT(scopes, SL_SCOPES_ALL);
    sl_scopes_print(scopes, text);
    CHECK_STR(text, "submit,read,admin,command,module");
    CHECK_INT(sl_scopes_parse("", &scopes), SL_ERR_INVALID);
    CHECK_INT(sl_scopes_parse("read,", &scopes), SL_ERR_INVALID);
    CHECK_INT(sl_scopes_parse("root", &scopes), SL_ERR_INVALID);
}
