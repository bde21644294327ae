/* Parcels of any bytes, and good ones of which the data change something: what is measured fits,
 * and what opens is what was sealed.
 *
 * To make seeds: SL_FUZZ_SEEDS=FOLDER build/fuzz/tests/secure_parcel_fuzz -runs=0 */
#include "actors/secure/parcel.h"
#include "tests/fuzz/secure_people.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY = 0x5c, SMALL = 100, LARGE = SL_PARCEL_CHUNK_BYTES + 9 };

static const uint8_t data_key[SL_PARCEL_KEY_BYTES] = {1, 2, 3};
static uint8_t *good;
static size_t good_bytes;

static void seal_seed(const char *name, size_t bytes) {
    uint8_t *body = malloc(bytes + 1);
    free(good);
    good_bytes = sl_parcel_bytes(bytes);
    good = malloc(good_bytes);
    require(body && good);
    memset(body, BODY, bytes);
    require(sl_parcel_seal(data_key, body, bytes, good) == SL_OK);
    seed_file(name, good, good_bytes);
    free(body);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    require(sodium_init() >= 0);
    seal_seed("empty", 0);
    seal_seed("small", SMALL);
    seal_seed("chunks", LARGE);
    return 0;
}

static void check(const uint8_t *parcel, size_t size, bool is_good) {
    uint64_t bytes;
    sl_err err = sl_parcel_measure(parcel, size, &bytes);
    require(err == SL_OK || !is_good);
    if (err != SL_OK)
        return;
    require(bytes < size && sl_parcel_bytes(bytes) == size);
    uint8_t *to = malloc(bytes + 1);
    require(to != NULL);
    err = sl_parcel_open(data_key, parcel, size, to);
    require(err == SL_OK || !is_good);
    for (size_t i = 0; i < bytes; i++)
        require(to[i] == (err == SL_OK ? BODY : 0));
    free(to);
}

/* Two bytes say where, one what is done there. */
static void check_changed(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(good_bytes);
    bool changed = false;
    require(copy != NULL);
    memcpy(copy, good, good_bytes);
    for (size_t i = 0; i + 3 <= size && i < 24; i += 3) {
        size_t at = ((size_t)data[i] << 8 | data[i + 1]) * good_bytes / 65536;
        copy[at] ^= data[i + 2];
    }
    changed = memcmp(copy, good, good_bytes) != 0;
    check(copy, good_bytes, !changed);
    uint64_t bytes;
    if (changed && sl_parcel_measure(copy, good_bytes, &bytes) == SL_OK) {
        uint8_t *to = malloc(bytes + 1);
        require(to && sl_parcel_open(data_key, copy, good_bytes, to) == SL_ERR_SEAL);
        free(to);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check(data, size, false);
    check_changed(data, size);
    return 0;
}
