/* Objects between memory and a disk that is full, slow to take things, or gives back other things
 * than it was given. Without a network: the store of one node, any thread. */
#include "tests/lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "actors/store/store.h"
#include "runtime/rng.h"

/* ---- the disk ---- */

static struct {
    _Atomic uint64_t room; /* bytes it still takes */
    _Atomic bool counts;
    _Atomic uint32_t at_most; /* bytes in one call; 0: all */
    _Atomic bool flips, cuts, interrupts;
    _Atomic uint32_t writes, reads;
} disk;

static ssize_t disk_write(void *context, int fd, const void *from, size_t bytes, off_t at) {
    (void)context;
    disk.writes++;
    if (disk.interrupts && disk.writes % 2) {
        errno = EINTR;
        return -1;
    }
    if (disk.at_most && bytes > disk.at_most)
        bytes = disk.at_most;
    if (disk.counts && bytes > disk.room) {
        if (!disk.room) {
            errno = ENOSPC;
            return -1;
        }
        bytes = disk.room;
    }
    if (disk.counts)
        disk.room -= bytes;
    return pwrite(fd, from, bytes, at);
}

static ssize_t disk_read(void *context, int fd, void *to, size_t bytes, off_t at) {
    (void)context;
    disk.reads++;
    if (disk.at_most && bytes > disk.at_most)
        bytes = disk.at_most;
    if (disk.cuts)
        return 0;
    ssize_t got = pread(fd, to, bytes, at);
    if (disk.flips && got > 0)
        ((unsigned char *)to)[got / 2] ^= 4;
    return got;
}

static const sl_spill_disk faulty = {.write = disk_write, .read = disk_read};

/* ---- the store ---- */

static sl_store *store_of(uint64_t limit_bytes, bool shares, bool spills) {
    sl_store *store = NULL;
    sl_store_options options = {.nodes = 2,
                                .incarnation = 1,
                                .limit_bytes = limit_bytes,
                                .shares = shares,
                                .spill_directory = spills ? sl_test_dir() : NULL,
                                .disk = &faulty};
    memset(&disk, 0, sizeof disk);
    if (sl_store_create(&options, &store) != SL_OK) {
        fprintf(stderr, "%s\n", sl_err_detail());
        abort();
    }
    return store;
}

static unsigned char byte_of(uint32_t seed, size_t at) {
    return (unsigned char)(seed * 131 + at * 7 + (at >> 8));
}

static sl_store_object *put(sl_store *store, uint32_t seed, uint64_t bytes) {
    sl_store_object *object = NULL;
    sl_store_type type = {.kind = 1, .dimensions = 1, .shape = {seed}};
    if (sl_store_make(store, &type, bytes, &object) != SL_OK)
        return NULL;
    unsigned char *data = sl_store_data(object);
    for (size_t i = 0; i < bytes; i++)
        data[i] = byte_of(seed, i);
    CHECK_INT(sl_store_seal(object), SL_OK);
    return object;
}

static bool is_right(const sl_store_content *content, uint32_t seed, uint64_t bytes) {
    const unsigned char *data = content->data;
    if (content->bytes != bytes || content->type.shape[0] != seed)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (data[i] != byte_of(seed, i))
            return false;
    return true;
}

static bool reads_right(sl_store_object *object, uint32_t seed, uint64_t bytes) {
    sl_store_content content;
    if (sl_store_get(object, 0, &content) != SL_OK) {
        fprintf(stderr, "%s\n", sl_err_detail());
        return false;
    }
    bool right = is_right(&content, seed, bytes);
    sl_store_unpin(object);
    return right;
}

static size_t names_in_directory(void) {
    size_t count = 0;
    DIR *directory = opendir(sl_test_dir());
    if (!directory)
        abort();
    for (struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(directory);
    return count;
}

enum { EACH = 10000 };

TEST(what_was_used_longest_ago_goes_to_the_disk_and_comes_back) {
    enum { COUNT = 10 };
    for (int shares = 0; shares < 2; shares++) {
        sl_store *store = store_of(4 * EACH, shares, true);
        sl_store_object *objects[COUNT];
        sl_store_content content;
        for (uint32_t i = 0; i < 4; i++)
            objects[i] = put(store, i, EACH);
        CHECK_INT(sl_store_loads(store).spills, 0);
        CHECK(reads_right(objects[0], 0, EACH)); /* now 1 is the oldest */
        REQUIRE((objects[4] = put(store, 4, EACH)) != NULL);
        CHECK(!sl_store_is_here(objects[1]));
        CHECK(sl_store_is_here(objects[0]) && sl_store_is_here(objects[2]));
        for (uint32_t i = 5; i < COUNT; i++)
            REQUIRE((objects[i] = put(store, i, EACH)) != NULL);
        CHECK_INT(sl_store_loads(store).spilled, 6);
        CHECK(sl_store_loads(store).bytes <= 4 * EACH);
        CHECK_INT(names_in_directory(), 0); /* nothing to be left when the process is killed */
        for (uint32_t i = 0; i < COUNT; i++)
            CHECK(reads_right(objects[i], i, EACH));
        uint64_t before = disk.writes; /* the disk has them all: they need not be written again */
        for (uint32_t i = 0; i < COUNT - 4; i++)
            CHECK(reads_right(objects[i], i, EACH));
        CHECK_INT(disk.writes, before);
        CHECK_INT(sl_store_get(objects[COUNT - 1], 0, &content), SL_OK);
        for (uint32_t i = 0; i < COUNT - 1; i++)
            CHECK(reads_right(objects[i], i, EACH));
        CHECK(is_right(&content, COUNT - 1, EACH)); /* somebody has it: it stays */
        sl_store_unpin(objects[COUNT - 1]);
        for (uint32_t i = 0; i < COUNT; i++)
            sl_store_object_release(objects[i]);
        CHECK_INT(sl_store_loads(store).objects, 0);
        CHECK_INT(sl_store_loads(store).bytes, 0);
        sl_store_release(store);
    }
}

TEST(what_somebody_has_is_not_spilled) {
    sl_store *store = store_of(3 * EACH, false, true);
    sl_store_object *objects[4];
    sl_store_content contents[3];
    for (uint32_t i = 0; i < 3; i++) {
        objects[i] = put(store, i, EACH);
        CHECK_INT(sl_store_get(objects[i], 0, &contents[i]), SL_OK);
    }
    CHECK(put(store, 3, EACH) == NULL);
    CHECK_CONTAINS(sl_err_detail(), "store-bytes");
    CHECK_INT(disk.writes, 0);
    sl_store_unpin(objects[1]);
    REQUIRE((objects[3] = put(store, 3, EACH)) != NULL);
    CHECK(is_right(&contents[0], 0, EACH) && is_right(&contents[2], 2, EACH));
    CHECK_INT(sl_store_get(objects[3], 0, &contents[1]), SL_OK);
    CHECK_INT(sl_store_get(objects[1], 0, &contents[1]), SL_ERR_NO_MEMORY); /* nowhere to */
    sl_store_unpin(objects[0]);
    CHECK(reads_right(objects[1], 1, EACH));
    CHECK(put(store, 4, 3 * EACH + 1) == NULL); /* no spilling makes that fit */
    sl_store_unpin(objects[2]);
    sl_store_unpin(objects[3]);
    for (int i = 0; i < 4; i++)
        sl_store_object_release(objects[i]);
    sl_store_release(store);
}

TEST(without_a_directory_no_room_is_an_error) {
    sl_store *store = store_of(3 * EACH, false, false);
    sl_store_options nowhere = {.nodes = 1, .limit_bytes = 1, .spill_directory = "/nowhere/at all"};
    sl_store_object *objects[3];
    for (uint32_t i = 0; i < 3; i++)
        objects[i] = put(store, i, EACH);
    CHECK(put(store, 3, EACH) == NULL);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK(reads_right(objects[i], i, EACH));
        sl_store_object_release(objects[i]);
    }
    sl_store_release(store);
    CHECK_INT(sl_store_create(&nowhere, &store), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), "/nowhere/at all");
}

TEST(a_full_disk_is_an_error_and_loses_nothing) {
    enum { COUNT = 8 };
    sl_store *store = store_of(4 * EACH, false, true);
    sl_store_object *objects[COUNT + 1] = {0};
    disk.counts = true;
    disk.room = 2 * EACH + EACH / 2; /* the third is cut */
    uint32_t made = 0;
    while (made < COUNT && (objects[made] = put(store, made, EACH)))
        made++;
    CHECK_INT(made, 6);
    CHECK_CONTAINS(sl_err_detail(), "no room for an object of 10000 bytes");
    CHECK_CONTAINS(sl_err_detail(), "No space left");
    CHECK(put(store, 7, EACH) == NULL);
    disk.counts = false;
    for (uint32_t i = 0; i < made; i++)
        CHECK(reads_right(objects[i], i, EACH));
    disk.counts = true;
    disk.room = 0;
    for (uint32_t i = 0; i < made; i++) /* what the disk has it has; nothing more can go there */
        if (sl_store_is_here(objects[i]))
            CHECK(reads_right(objects[i], i, EACH));
    disk.counts = false;
    REQUIRE((objects[made] = put(store, made, EACH)) != NULL); /* there is room again */
    for (uint32_t i = 0; i <= made; i++) {
        CHECK(reads_right(objects[i], i, EACH));
        sl_store_object_release(objects[i]);
    }
    CHECK_INT(sl_store_loads(store).bytes, 0);
    sl_store_release(store);
}

TEST(what_is_torn_is_noticed) {
    sl_store *store = store_of(EACH, false, true);
    sl_store_object *first = put(store, 1, EACH), *second = put(store, 2, EACH);
    sl_store_content content;
    REQUIRE(first && second && !sl_store_is_here(first));
    disk.flips = true;
    CHECK_INT(sl_store_get(first, 0, &content), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), "not what was written");
    disk.flips = false;
    disk.cuts = true;
    CHECK_INT(sl_store_get(first, 0, &content), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), "cut");
    disk.cuts = false;
    disk.at_most = 77; /* both ways in many pieces, and interrupted */
    disk.interrupts = true;
    CHECK(reads_right(first, 1, EACH));
    CHECK(reads_right(second, 2, EACH));
    CHECK(reads_right(first, 1, EACH));
    sl_store_object_release(first);
    sl_store_object_release(second);
    CHECK_INT(sl_store_loads(store).bytes, 0);
    sl_store_release(store);
}

/* ---- chaos, against a model ---- */

enum { THREADS = 4, SLOTS = 24, MOST = 9000 };

typedef struct slot {
    sl_store_object *object;
    sl_store_content content;
    uint32_t seed;
    uint64_t bytes;
    bool has; /* its content */
} slot;

typedef struct walker {
    sl_store *store;
    uint64_t seed;
    uint32_t rounds, wrong, refused;
    uint64_t gets;
} walker;

static void step(walker *w, slot *s, sl_rng *rng) {
    if (!s->object) {
        s->seed = (uint32_t)sl_rng_below(rng, 1000000);
        s->bytes = sl_rng_below(rng, MOST);
        s->object = put(w->store, s->seed, s->bytes);
        w->refused += !s->object;
        return;
    }
    if (s->has) {
        w->wrong += !is_right(&s->content, s->seed, s->bytes);
        sl_store_unpin(s->object);
        s->has = false;
        return;
    }
    if (sl_rng_below(rng, 4) == 0) {
        sl_store_object_release(s->object);
        s->object = NULL;
        return;
    }
    sl_err err = sl_store_get(s->object, 0, &s->content);
    s->has = err == SL_OK;
    w->gets += s->has;
    w->refused += err == SL_ERR_NO_MEMORY;
    w->wrong += err != SL_OK && err != SL_ERR_NO_MEMORY;
    w->wrong += s->has && !is_right(&s->content, s->seed, s->bytes);
}

static void *walk(void *context) {
    walker *w = context;
    slot slots[SLOTS] = {0};
    sl_rng rng;
    sl_rng_seed(&rng, w->seed);
    for (uint32_t i = 0; i < w->rounds; i++) {
        step(w, &slots[sl_rng_below(&rng, SLOTS)], &rng);
        for (uint32_t j = 0, had = 0; j < SLOTS; j++) /* few at a time, so that there is room */
            if (slots[j].has && ++had > 3) {
                sl_store_unpin(slots[j].object);
                slots[j].has = false;
            }
    }
    for (uint32_t j = 0; j < SLOTS; j++) {
        if (slots[j].has)
            sl_store_unpin(slots[j].object);
        sl_store_object_release(slots[j].object);
    }
    return NULL;
}

static void chaos(bool shares, uint64_t limit_bytes, uint64_t disk_room) {
    pthread_t threads[THREADS];
    walker walkers[THREADS];
    sl_store *store = store_of(limit_bytes, shares, true);
    disk.counts = disk_room != 0;
    disk.room = disk_room;
    for (int i = 0; i < THREADS; i++) {
        walkers[i] = (walker){.store = store, .seed = 77 + (uint64_t)i, .rounds = 6000};
        if (pthread_create(&threads[i], NULL, walk, &walkers[i]) != 0)
            abort();
    }
    uint64_t gets = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(walkers[i].wrong, 0);
        gets += walkers[i].gets;
    }
    sl_store_load load = sl_store_loads(store);
    CHECK(gets > 1000);
    CHECK(load.spills > 0 && load.loads > 0);
    CHECK_INT(load.objects, 0);
    CHECK_INT(load.bytes, 0);
    sl_store_release(store);
}

TEST(chaos_with_little_memory) {
    chaos(false, 150000, 0);
    chaos(true, 150000, 0);
    chaos(false, 60000, 0); /* less than what is held at once: some are refused */
}

TEST(chaos_with_a_disk_that_gets_full) {
    chaos(false, 150000, 3000000);
}
