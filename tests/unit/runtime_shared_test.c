/* Memory that other processes map: pieces, places, and places that are none. */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/rng.h"
#include "runtime/shared.h"

static sl_shared *arena(uint64_t bytes) {
    sl_shared *shared = NULL;
    if (sl_shared_create(bytes, &shared) != SL_OK)
        abort();
    return shared;
}

TEST(pieces_do_not_overlap) {
    enum { PIECES = 64, ROUNDS = 20000 };
    sl_shared *shared = arena(8 << 20);
    sl_blob *blobs[PIECES] = {0};
    sl_rng rng;
    sl_rng_seed(&rng, 7);
    size_t refused = 0, wrong = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t at = (uint32_t)sl_rng_below(&rng, PIECES);
        if (blobs[at]) {
            uint64_t bytes = blobs[at]->bytes;
            wrong += blobs[at]->data[0] != at || blobs[at]->data[bytes - 1] != at;
            sl_blob_release(blobs[at]);
            blobs[at] = NULL;
            continue;
        }
        uint64_t bytes = SL_SHARED_LEAST_BYTES + sl_rng_below(&rng, 1 << (13 + round % 7));
        if (sl_shared_take(shared, bytes, &blobs[at]) != SL_OK) {
            blobs[at] = NULL;
            refused++;
            continue;
        }
        wrong += (uintptr_t)blobs[at]->data % 4096 != 0;
        memset(blobs[at]->data, (int)at, bytes);
    }
    CHECK_INT(wrong, 0);
    CHECK(refused < ROUNDS / 10);
    for (int i = 0; i < PIECES; i++)
        sl_blob_release(blobs[i]);
    sl_blob *whole = NULL; /* all came together again */
    CHECK_INT(sl_shared_take(shared, 16 << 20, &whole), SL_OK);
    sl_blob_release(whole);
    sl_shared_release(shared);
}

TEST(what_does_not_fit_is_refused) {
    sl_shared *shared = arena(1 << 20);
    sl_blob *blob = NULL, *other = NULL;
    CHECK_INT(sl_shared_take(shared, SL_SHARED_LEAST_BYTES - 1, &blob), SL_ERR_INVALID);
    CHECK_INT(sl_shared_take(shared, (2 << 20) + 1, &blob), SL_ERR_NO_MEMORY);
    CHECK_INT(sl_shared_take(shared, UINT64_MAX, &blob), SL_ERR_NO_MEMORY);
    CHECK_INT(sl_shared_take(shared, (1 << 20) + 1, &blob), SL_OK);
    CHECK_INT(sl_shared_take(shared, 4096, &other), SL_ERR_NO_MEMORY);
    sl_shared_release(shared); /* the blob keeps it */
    memset(blob->data, 1, blob->bytes);
    sl_blob_release(blob);
}

static int read_as_another(const sl_shared_place *place, int mapped, int go) {
    char word = 'm';
    sl_shared_map *map = NULL;
    if (sl_shared_map_open(place, &map) != SL_OK)
        return 2;
    if (write(mapped, &word, 1) != 1)
        return 5;
    if (read(go, &word, 1) != 0) /* until the other process has ended */
        return 3;
    const char *data = sl_shared_map_at(map, place);
    return data && strcmp(data + place->bytes - 6, "hello") == 0 ? 0 : 4;
}

TEST(another_process_reads_it_after_the_first_has_ended) {
    int places[2], ends[2], code = -1;
    sl_shared_place place;
    REQUIRE(pipe(places) == 0 && pipe(ends) == 0);
    pid_t maker = fork();
    if (maker == 0) {
        sl_blob *blob = NULL;
        sl_shared *shared = arena(1 << 20);
        if (sl_shared_take(shared, 100000, &blob) != SL_OK)
            _exit(1);
        strcpy((char *)blob->data + 99994, "hello");
        sl_shared_place_of(shared, blob, &place);
        (void)!write(places[1], &place, sizeof place);
        pause();
        _exit(0);
    }
    REQUIRE(read(places[0], &place, sizeof place) == sizeof place);
    pid_t reader = fork();
    if (reader == 0) {
        close(ends[1]);
        _exit(read_as_another(&place, places[1], ends[0]));
    }
    close(places[1]);
    char mapped = 0;
    CHECK_INT(read(places[0], &mapped, 1), 1);
    kill(maker, SIGKILL);
    waitpid(maker, NULL, 0);
    close(ends[1]);
    waitpid(reader, &code, 0);
    CHECK(WIFEXITED(code));
    CHECK_INT(WEXITSTATUS(code), 0);
}

TEST(places_that_are_none) {
    sl_shared *shared = arena(1 << 20);
    sl_blob *blob = NULL, *plain = NULL;
    sl_shared_map *map = NULL;
    sl_shared_place good, bad;
    REQUIRE(sl_shared_take(shared, 8192, &blob) == SL_OK);
    CHECK(sl_shared_place_of(shared, blob, &good));
    CHECK_INT(sl_blob_create(8192, &plain), SL_OK);
    CHECK(!sl_shared_place_of(shared, plain, &bad));
    CHECK(!sl_shared_place_of(NULL, blob, &bad));
    bad = good;
    bad.arena_bytes = UINT64_MAX;
    CHECK_INT(sl_shared_map_open(&bad, &map), SL_ERR_DECODE);
    bad = good;
    bad.pid = UINT32_MAX;
    CHECK_INT(sl_shared_map_open(&bad, &map), SL_ERR_DECODE);
    bad = good;
    bad.arena_bytes *= 2;
    CHECK_INT(sl_shared_map_open(&bad, &map), SL_ERR_UNAVAILABLE);
    bad = good;
    bad.file++;
    CHECK_INT(sl_shared_map_open(&bad, &map), SL_ERR_UNAVAILABLE);
    bad = good;
    bad.number = 0; /* a terminal, a pipe, nothing: no arena */
    CHECK_INT(sl_shared_map_open(&bad, &map), SL_ERR_UNAVAILABLE);
    REQUIRE(sl_shared_map_open(&good, &map) == SL_OK);
    CHECK(sl_shared_map_at(map, &good) != NULL);
    bad = good;
    bad.offset = good.arena_bytes - 4096;
    bad.bytes = 4097;
    CHECK(sl_shared_map_at(map, &bad) == NULL);
    bad.offset = UINT64_MAX - 100;
    CHECK(sl_shared_map_at(map, &bad) == NULL);
    bad = good;
    bad.bytes = UINT64_MAX;
    CHECK(sl_shared_map_at(map, &bad) == NULL);
    bad = good;
    bad.file++;
    CHECK(sl_shared_map_at(map, &bad) == NULL);
    sl_shared_map_release(map);
    sl_blob_release(plain);
    sl_blob_release(blob);
    sl_shared_release(shared);
}

/* An ordinary file could be cut while it is read. */
TEST(only_what_cannot_shrink_is_mapped) {
    char path[512];
    struct stat facts;
    sl_shared_map *map = NULL;
    snprintf(path, sizeof path, "%s/file", sl_test_dir());
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    int loose = memfd_create("loose", MFD_CLOEXEC);
    REQUIRE(fd >= 0 && loose >= 0 && ftruncate(fd, 8192) == 0 && ftruncate(loose, 8192) == 0);
    fstat(fd, &facts);
    sl_shared_place place = {facts.st_ino, 8192, 0, 8192, (uint32_t)getpid(), (uint32_t)fd};
    CHECK_INT(sl_shared_map_open(&place, &map), SL_ERR_UNAVAILABLE);
    fstat(loose, &facts);
    place.file = facts.st_ino;
    place.number = (uint32_t)loose;
    CHECK_INT(sl_shared_map_open(&place, &map), SL_ERR_UNAVAILABLE);
    close(fd);
    close(loose);
}

TEST(the_host_has_a_number) {
    CHECK(sl_shared_host() != 0);
    CHECK(sl_shared_host() == sl_shared_host());
}
