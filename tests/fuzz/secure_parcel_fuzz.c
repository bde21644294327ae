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
typedef struct sealed {
    uint8_t *bytes;
    size_t size;
} sealed;

static sealed small, chunks;

static sealed seal(size_t bytes) {
    uint8_t *body = malloc(bytes + 1);
    sealed made = {malloc(sl_parcel_bytes(bytes)), sl_parcel_bytes(bytes)};
    require(body && made.bytes);
    memset(body, BODY, bytes);
    require(sl_parcel_seal(data_key, body, bytes, made.bytes) == SL_OK);
    free(body);
    return made;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    require(sodium_init() >= 0);
    sealed empty = seal(0);
    small = seal(SMALL);
    chunks = seal(LARGE);
    seed_file("empty", empty.bytes, empty.size);
    seed_file("small", small.bytes, small.size);
    free(empty.bytes);
    return 0;
}

/* Does it open? */
static bool check(const uint8_t *parcel, size_t size) {
    uint64_t bytes;
    if (sl_parcel_measure(parcel, size, &bytes) != SL_OK)
        return false;
    require(bytes < size && sl_parcel_bytes(bytes) == size);
    uint8_t *to = malloc(bytes + 1);
    require(to != NULL);
    sl_err err = sl_parcel_open(data_key, parcel, size, to);
    for (size_t i = 0; i < bytes; i++)
        require(to[i] == (err == SL_OK ? BODY : 0));
    free(to);
    return err == SL_OK;
}

/* Two bytes say where, one what is done there. */
static void check_changed(const sealed *good, const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(good->size);
    require(copy != NULL);
    memcpy(copy, good->bytes, good->size);
    for (size_t i = 0; i + 3 <= size && i < 24; i += 3)
        copy[((size_t)data[i] << 8 | data[i + 1]) * good->size / 65536] ^= data[i + 2];
    bool changed = memcmp(copy, good->bytes, good->size) != 0;
    require(check(copy, good->size) != changed);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    (void)check(data, size);
    check_changed(size && data[0] % 64 == 0 ? &chunks : &small, data, size);
    return 0;
}
