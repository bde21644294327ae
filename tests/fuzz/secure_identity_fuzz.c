/* Identity files of any bytes: refused, or written again as they were. The first byte says whether
 * the checksum is put right, without which nothing but the seeds would get further.
 *
 * To make seeds: SL_FUZZ_SEEDS=FOLDER build/fuzz/tests/secure_identity_fuzz -runs=0 */
#include "tests/fuzz/secure_people.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    uint8_t file[1 + SL_IDENTITY_FILE_MOST_BYTES] = {0},
                     bare[1 + SL_IDENTITY_FILE_MOST_BYTES] = {1};
    (void)argc, (void)argv;
    seed_file("whole", file, 1 + key_file(7, file + 1));
    seed_file("whole_put_right", bare, 1 + key_file(8, bare + 1));
    memset(bare + 1, 7, SL_IDENTITY_FILE_LEAST_BYTES);
    memcpy(bare + 1, "SLKEYS\1\0", 8);
    seed_file("without_key", bare, 1 + SL_IDENTITY_FILE_LEAST_BYTES);
    return 0;
}

static void put_right(uint8_t *file, size_t size) {
    static const char domain[] = "starlane identity file v1";
    crypto_hash_sha256_state state;
    if (size < 32)
        return;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const uint8_t *)domain, sizeof domain);
    crypto_hash_sha256_update(&state, file, size - 32);
    crypto_hash_sha256_final(&state, file + size - 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t again[SL_IDENTITY_FILE_MOST_BYTES];
    sl_identity *identity;
    if (size < 1)
        return 0;
    uint8_t *file = malloc(size);
    require(file != NULL);
    memcpy(file, data + 1, size - 1);
    if (data[0] & 1)
        put_right(file, size - 1);
    if (sl_identity_decode(file, size - 1, &identity) == SL_OK) {
        require(sl_identity_encode(identity, true, again) == size - 1);
        require(memcmp(again, file, size - 1) == 0);
        sl_identity_destroy(identity);
    } else {
        require(sl_err_detail()[0] != '\0');
    }
    free(file);
    return 0;
}
