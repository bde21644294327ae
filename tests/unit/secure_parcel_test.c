/* Parcels: of every size around the chunks', and changed, cut, longer, out of order, or another's.
 */
#include <stdlib.h>
#include <string.h>

#include "actors/secure/parcel.h"
#include "actors/secure/secret.h"
#include "tests/lib/sealing.h"

enum { CHUNK = SL_PARCEL_CHUNK_BYTES, SEALED_CHUNK = CHUNK + SL_CHUNK_TAG_BYTES };

static uint8_t *a_key(void) {
    uint8_t *key;
    sl_test_need(sl_parcel_key_create(&key), "key");
    return key;
}

static uint8_t *pattern(size_t bytes) {
    uint8_t *data = malloc(bytes + 1);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)(i * 7 + i / 251 + 1);
    return data;
}

static uint8_t *seal(const uint8_t *key, const uint8_t *data, size_t bytes) {
    uint8_t *parcel = malloc(sl_parcel_bytes(bytes));
    sl_test_need(sl_parcel_seal(key, data, bytes, parcel), "seal");
    return parcel;
}

/* It does not open, and nothing of it is given away. */
static void refuse(const uint8_t *key, const uint8_t *parcel, size_t size, size_t room) {
    uint8_t *to = malloc(room + 1);
    uint64_t bytes = 0;
    memset(to, 0xaa, room + 1);
    sl_err err = sl_parcel_measure(parcel, size, &bytes);
    if (err == SL_OK && bytes <= room) {
        err = sl_parcel_open(key, parcel, size, to);
        for (size_t i = 0; i < bytes; i++)
            CHECK_INT(to[i], 0);
        CHECK_INT(err, SL_ERR_SEAL);
    } else {
        CHECK_INT(err, SL_ERR_DECODE);
    }
    CHECK_INT(to[room], 0xaa);
    free(to);
}

TEST(there_and_back) {
    const size_t sizes[] = {0, 1, 63, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17};
    uint8_t *key = a_key(), *again;
    sl_test_need(sl_parcel_key_copy(key, &again), "copy");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t bytes = sizes[i], size = sl_parcel_bytes(bytes);
        uint8_t *data = pattern(bytes), *parcel = seal(key, data, bytes), *to = malloc(bytes + 1);
        uint64_t measured = 1;
        CHECK_INT(sl_parcel_measure(parcel, size, &measured), SL_OK);
        CHECK_INT(measured, bytes);
        CHECK_INT(sl_parcel_open(again, parcel, size, to), SL_OK);
        CHECK(memcmp(to, data, bytes) == 0);
        CHECK(bytes < 16 || !memmem(parcel, size, data, 16));
        refuse(key, parcel, size - 1, bytes);
        free(data), free(parcel), free(to);
    }
    sl_secret_destroy(key), sl_secret_destroy(again);
}

TEST(no_two_are_alike) {
    uint8_t *key = a_key(), *other = a_key(), *data = pattern(100);
    uint8_t *one = seal(key, data, 100), *two = seal(key, data, 100);
    CHECK(memcmp(key, other, SL_PARCEL_KEY_BYTES) != 0);
    CHECK(memcmp(one + SL_PARCEL_HEAD_BYTES, two + SL_PARCEL_HEAD_BYTES, 100) != 0);
    refuse(other, one, sl_parcel_bytes(100), 100);
    memcpy(one, two, SL_PARCEL_HEAD_BYTES); /* the head of another */
    refuse(key, one, sl_parcel_bytes(100), 100);
    free(data), free(one), free(two);
    sl_secret_destroy(key), sl_secret_destroy(other);
}

TEST(every_bit_and_every_cut) {
    enum { BYTES = 100 };
    uint8_t *key = a_key(), *data = pattern(BYTES), *parcel = seal(key, data, BYTES);
    size_t size = sl_parcel_bytes(BYTES);
    for (size_t i = 0; i < 8 * size; i++) {
        parcel[i / 8] ^= (uint8_t)(1u << i % 8);
        refuse(key, parcel, size, BYTES);
        parcel[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t cut = 0; cut < size; cut++)
        refuse(key, parcel, cut, BYTES);
    uint8_t *longer = malloc(size + 1);
    memcpy(longer, parcel, size);
    longer[size] = 0;
    refuse(key, longer, size + 1, BYTES);
    free(longer), free(data), free(parcel);
    sl_secret_destroy(key);
}

static void set_bytes(uint8_t *parcel, uint64_t bytes) {
    sl_write_number(parcel + 8, bytes, 8);
}

TEST(chunks_out_of_order_or_left_out) {
    enum { BYTES = 3 * CHUNK };
    uint8_t *key = a_key(), *data = pattern(BYTES), *parcel = seal(key, data, BYTES);
    size_t size = sl_parcel_bytes(BYTES);
    uint8_t *changed = malloc(size), *first = changed + SL_PARCEL_HEAD_BYTES;
    memcpy(changed, parcel, size);
    memcpy(first, parcel + SL_PARCEL_HEAD_BYTES + SEALED_CHUNK, SEALED_CHUNK);
    memcpy(first + SEALED_CHUNK, parcel + SL_PARCEL_HEAD_BYTES, SEALED_CHUNK);
    refuse(key, changed, size, BYTES); /* two have changed places */
    memcpy(changed, parcel, size);
    memcpy(first, first + SEALED_CHUNK, SEALED_CHUNK);
    refuse(key, changed, size, BYTES); /* one is there twice */
    memcpy(changed, parcel, size);
    set_bytes(changed, BYTES - CHUNK);
    refuse(key, changed, size - SEALED_CHUNK, BYTES); /* the last one is gone */
    set_bytes(changed, UINT64_MAX);
    refuse(key, changed, size, BYTES);
    set_bytes(changed, UINT64_MAX - SL_PARCEL_HEAD_BYTES);
    refuse(key, changed, size, BYTES);
    free(changed), free(data), free(parcel);
    sl_secret_destroy(key);
}
