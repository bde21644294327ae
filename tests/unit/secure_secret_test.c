/* Secrets in memory: where they may lie while they are needed, and that they are nowhere
 * afterwards.
 */
#include <sys/resource.h>
#include <unistd.h>

#include "actors/secure/body.h"
#include "actors/secure/secret.h"
#include "tests/lib/sealed.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* The line of /proc/self/smaps that begins with `field`, of the mapping that `address` lies in. */
static const char *mapping_says(const void *address, const char *field) {
    static char line[512];
    unsigned long from, to, at = (unsigned long)address;
    bool inside = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = at >= from && at < to;
        else if (inside && strncmp(line, field, strlen(field)) == 0) {
            fclose(maps);
            return line + strlen(field);
        }
    }
    if (maps)
        fclose(maps);
    return "";
}

TEST(secrets_are_locked_and_in_no_core_dump) {
    struct rlimit limit;
    void *secret;
    REQUIRE(sl_secret_create(100, &secret) == SL_OK);
    CHECK_INT((uintptr_t)secret % 64, 0);
    if (!SANITIZED) /* whose mlock() does nothing */
        CHECK_CONTAINS(mapping_says(secret, "VmFlags:"), " dd");
    if (!SANITIZED && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur >= 65536)
        CHECK_CONTAINS(mapping_says(secret, "VmFlags:"), " lo");
    sl_secret_destroy(secret);
    sl_secret_destroy(NULL);
}

/* Small limits must not keep a node from starting. */
TEST(secrets_do_without_locking) {
    struct rlimit old, none;
    void *secret;
    REQUIRE(getrlimit(RLIMIT_MEMLOCK, &old) == 0);
    none = old, none.rlim_cur = 0;
    CHECK_INT(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    CHECK_INT(sl_secret_create(100, &secret), SL_OK);
    sl_secret_destroy(secret);
    CHECK_INT(setrlimit(RLIMIT_MEMLOCK, &old), 0);
}

/* The kernel reads it for us, and says when that is not allowed. */
static bool may_read(const void *at) {
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    bool read_it = write(ends[1], at, 1) == 1;
    close(ends[0]), close(ends[1]);
    return read_it;
}

TEST(beyond_a_secret_there_is_nothing_to_read) {
    void *secret;
    REQUIRE(sl_secret_create(64, &secret) == SL_OK);
    CHECK(may_read((uint8_t *)secret + 63));
    CHECK(!may_read((uint8_t *)secret + 64));
    CHECK(!may_read((uint8_t *)secret - 4096));
    sl_secret_destroy(secret);
}

/* ---- nothing stays ---- */

enum { MASK = 0xa5, PATTERN = 32 };

/* A secret as this test remembers it: so that the search does not find the test's own copy. */
typedef struct pattern {
    const char *what;
    uint8_t masked[PATTERN];
} pattern;

static void remember(pattern *p, const char *what, const uint8_t *bytes) {
    p->what = what;
    for (int i = 0; i < PATTERN; i++)
        p->masked[i] = bytes[i] ^ MASK;
}

static bool is_there(const uint8_t *at, const pattern *p) {
    for (int i = 0; i < PATTERN; i++)
        if ((at[i] ^ MASK) != p->masked[i])
            return false;
    return true;
}

static uint32_t count_in(const uint8_t *from, size_t bytes, const pattern *p) {
    uint32_t found = 0;
    for (size_t i = 0; i + PATTERN <= bytes; i++)
        if ((from[i] ^ MASK) == p->masked[0] && is_there(from + i, p)) {
            found++;
            if (getenv("SL_TEST_SHOW"))
                fprintf(stderr, "%s at %p\n", p->what, (const void *)(from + i));
        }
    return found;
}

/* How often it stands in what this process can read and write: stack, heap, data, all maps. */
static uint32_t count_everywhere(const pattern *p) {
    char line[512], rights[8];
    unsigned long from, to;
    uint32_t found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3 && rights[0] == 'r' &&
            rights[1] == 'w' && !strstr(line, "[v"))
            found += count_in((const uint8_t *)from, to - from, p);
    if (maps)
        fclose(maps);
    return found;
}

/* All of a life: identities made and read from bytes, a task sealed and opened, streaming and
 * whole. Notes the secrets; leaves nothing. Not inlined: its stack is searched too, once it has
 * returned.
 */
static __attribute__((noinline)) void live(pattern patterns[4]) {
    void *file;
    sl_identity *authority = sl_test_authority(), *copy;
    sl_identity *client = sl_test_somebody(authority, SL_ROLE_CLIENT, "alice", "p");
    sl_identity *node = sl_test_somebody(authority, SL_ROLE_NODE, "node-1", "");
    sl_trust *trust = sl_test_trust(authority);
    sl_peer to = sl_test_peer(trust, node);
    sl_sealer *sealer;
    sl_opener *opener;
    sl_test_need(sl_secret_create(SL_IDENTITY_FILE_MOST_BYTES, &file), "file");
    size_t size = sl_identity_encode(node, true, file), head_bytes, made = 0;
    remember(&patterns[0], "the identity's seed", (uint8_t *)file + 8);
    remember(&patterns[1], "the encryption key", (uint8_t *)file + 40);
    sl_test_need(sl_identity_decode(file, size, &copy), "decode");
    sl_test_need(sl_sealer_create(&sealer), "sealer");
    sl_test_need(sl_opener_create(&opener), "opener");
    sl_seal_request request = {.sender = client,
                               .recipients = &to,
                               .recipient_count = 1,
                               .kind = SL_SEAL_TASK,
                               .body_bytes = SL_BODY_UNKNOWN,
                               .now_s = SL_TEST_NOW_S,
                               .lifetime_s = 60};
    sl_open_request as = {
        .recipient = copy, .trust = trust, .kind = SL_SEAL_TASK, .now_s = SL_TEST_NOW_S};
    uint8_t head[2048], text[PATTERN], sealed[512], opened[512];
    sl_flow flow;
    sl_seal_head envelope;
    memset(text, 0x5c, sizeof text);
    for (int suite = SL_SUITE_XCHACHA20_POLY1305; suite <= SL_SUITE_AES256_GCM; suite++) {
        request.suite = suite;
        sl_test_need(sl_seal_head_bytes(&request, &head_bytes), "head");
        sl_test_need(sl_sealer_begin(sealer, &request, head), "begin");
        sl_test_need(sl_sealer_feed(sealer, text, sizeof text, true, sealed, 10, &flow), "feed");
        made = flow.made;
        while (!flow.done) {
            sl_test_need(sl_sealer_feed(sealer, NULL, 0, true, sealed + made, 512 - made, &flow),
                         "feed");
            made += flow.made;
        }
        sl_test_need(sl_opener_begin(opener, head, head_bytes, &as, &envelope, NULL), "open");
        sl_test_need(sl_body_unwrap(&envelope, node, envelope.stanzas, file), "unwrap");
        remember(&patterns[2 + suite - 1], suite == 1 ? "a data key" : "another data key", file);
        sl_test_need(sl_opener_feed(opener, sealed, made, true, opened, 512, &flow), "open");
    }
    CHECK(count_everywhere(&patterns[0]) > 0);
    CHECK(count_everywhere(&patterns[1]) > 0);
    CHECK(count_everywhere(&patterns[3]) > 0);
    sl_secret_destroy(file);
    sl_sealer_destroy(sealer), sl_opener_destroy(opener), sl_trust_destroy(trust);
    sl_identity_destroy(authority), sl_identity_destroy(client);
    sl_identity_destroy(node), sl_identity_destroy(copy);
}

TEST(no_key_stays_in_memory) {
    if (SANITIZED) {
        printf("   (a sanitizer's memory is not searched)\n");
        return;
    }
    pattern patterns[4];
    live(patterns);
    for (int i = 0; i < 4; i++)
        if (count_everywhere(&patterns[i]) != 0)
            sl_test_fail(__FILE__, __LINE__, "%s is still in memory", patterns[i].what);
}
