/* Blobs and the memory they lie in. */
#include "runtime/blob.h"
#include "runtime/pages.h"
#include "runtime/rng.h"
#include "tests/lib/test.h"

enum { MANY = 400 };

static void fill(sl_blob *blob, uint64_t number) {
    for (uint64_t i = 0; i + 8 <= blob->bytes; i += 4096)
        memcpy(blob->data + i, &number, 8);
}

static bool holds(const sl_blob *blob, uint64_t number) {
    for (uint64_t i = 0; i + 8 <= blob->bytes; i += 4096)
        if (memcmp(blob->data + i, &number, 8) != 0)
            return false;
    return true;
}

/* Random sizes come and go, and none is written by another. */
TEST(blobs_do_not_overlap) {
    sl_rng rng;
    sl_blob *blobs[MANY] = {NULL};
    uint64_t alive = sl_blob_alive_bytes();
    sl_rng_seed(&rng, 5);
    for (uint64_t step = 0; step < 20 * MANY; step++) {
        uint32_t i = (uint32_t)sl_rng_below(&rng, MANY);
        if (blobs[i]) {
            CHECK(holds(blobs[i], i));
            sl_blob_release(blobs[i]);
        }
        uint64_t most = (uint64_t)1 << (6 + sl_rng_below(&rng, 16));
        REQUIRE(sl_blob_create(sl_rng_below(&rng, most), &blobs[i]) == SL_OK);
        CHECK((uintptr_t)blobs[i]->data % 64 == 0);
        fill(blobs[i], i);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        CHECK(!blobs[i] || holds(blobs[i], i));
        sl_blob_release(blobs[i]);
    }
    CHECK_INT(sl_blob_alive_bytes(), alive);
}

/* What was freed last is given out next, and cut no smaller than it is. */
TEST(freed_memory_is_taken_again) {
    static const uint64_t sizes[] = {64 << 10, 100000, 1 << 20, 3 << 20, 16 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        sl_page *page;
        void *first = sl_pages_take(sizes[i], &page);
        REQUIRE(first);
        sl_pages_give(first, sizes[i], page);
        uint64_t cached = sl_pages_cached_bytes();
        void *again = sl_pages_take(sizes[i], &page);
        CHECK(again == first);
        CHECK(sl_pages_cached_bytes() + sizes[i] <= cached);
        sl_pages_give(again, sizes[i], page);
        CHECK_INT(sl_pages_cached_bytes(), cached);
    }
}

/* A huge page holds 32 pieces of 64 KiB, or what adds up to as much. */
TEST(pieces_fill_a_page) {
    sl_page *pages[64];
    void *pieces[64];
    uint64_t cached = sl_pages_cached_bytes();
    for (int i = 0; i < 64; i++) {
        pieces[i] = sl_pages_take(64 << 10, &pages[i]);
        REQUIRE(pieces[i] && pages[i]);
        for (int k = 0; k < i; k++)
            CHECK(pieces[k] != pieces[i]);
    }
    for (int i = 0; i < 64; i++)
        sl_pages_give(pieces[i], 64 << 10, pages[i]);
    CHECK(sl_pages_cached_bytes() - cached <= 64 * (64 << 10));
    CHECK((sl_pages_cached_bytes() - cached) % (2 << 20) == 0);
}

TEST(what_is_kept_is_bounded) {
    enum { COUNT = 300 };
    sl_page *pages[COUNT];
    void *data[COUNT];
    for (int large = 0; large < 2; large++) {
        uint64_t bytes = large ? (2 << 20) : (1 << 20);
        for (int i = 0; i < COUNT; i++)
            REQUIRE((data[i] = sl_pages_take(bytes, &pages[i])));
        for (int i = 0; i < COUNT; i++)
            sl_pages_give(data[i], bytes, pages[i]);
        CHECK(sl_pages_cached_bytes() <= (uint64_t)258 << 20);
    }
}

static void count_freed(void *context, void *data) {
    (void)data;
    ++*(int *)context;
}

TEST(the_last_reference_frees) {
    int freed = 0;
    char text[] = "abc";
    sl_blob *blob;
    REQUIRE(sl_blob_wrap(text, sizeof text, count_freed, &freed, &blob) == SL_OK);
    CHECK(sl_blob_retain(blob) == blob);
    sl_blob_release(blob);
    CHECK(freed == 0 && blob->data == (uint8_t *)text);
    sl_blob_release(blob);
    CHECK_INT(freed, 1);
    CHECK(sl_blob_create(SL_BLOB_MAX_BYTES + 1, &blob) == SL_ERR_TOO_LARGE);
}
