/* Sealed tasks beside the same not sealed, and large ones beside the bare cipher. Keys are made for
 * the run; both ranks have one identity. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/api_program.h"

enum { BULK_BYTES = 64 << 20, CHUNK_BYTES = 1 << 16 };

SL_TASK(first_byte) {
    size_t bytes;
    const uint8_t *data = sl_arg_bytes(call, 0, &bytes);
    return sl_return_i64(call, bytes == BULK_BYTES ? data[0] : -1);
}

static void certify(const char *directory, const char *role) {
    char own[4400], request[4500], signed_[4500];
    snprintf(own, sizeof own, "%s/%s", directory, role);
    snprintf(request, sizeof request, "%s/certificate", own);
    snprintf(signed_, sizeof signed_, "%s/signed-%s", directory, role);
    if (sl_keys_create(own, role, role, NULL) != 0 ||
        sl_keys_sign(directory, request, 1, signed_) != 0 || rename(signed_, request) != 0)
        api_die("keys");
}

/* The directory is the authority's; nodes and client are below. The last file says that all is
 * there. */
void api_make_keys(const char *directory, char pin[65]) {
    char done[4400], partial[4400], *text;
    snprintf(done, sizeof done, "%s/pin", directory);
    snprintf(partial, sizeof partial, "%s/pin.part", directory);
    if (sl_launch_rank() == 0) {
        if (sl_keys_create(directory, "authority", NULL, NULL) != 0)
            api_die("authority");
        certify(directory, "node");
        certify(directory, "client");
        if (sl_keys_show(directory, 0, &text) != 0 ||
            sscanf(strstr(text, "fingerprint"), "fingerprint %64s", pin) != 1)
            api_die("fingerprint");
        sl_free(text);
        FILE *file = fopen(partial, "w");
        if (!file || fputs(pin, file) < 0 || fclose(file) != 0 || rename(partial, done) != 0)
            api_die(done);
        return;
    }
    FILE *file;
    while (!(file = fopen(done, "r")))
        usleep(10000);
    if (fscanf(file, "%64s", pin) != 1)
        api_die(done);
    fclose(file);
}

static double one_s(const sl_task_options *how, size_t count) {
    double *took = malloc((count + 1) * sizeof *took);
    if (!took)
        api_die("no memory");
    for (size_t i = 0; i <= count; i++) {
        double begin_s = api_now_s();
        sl_future *future = sl_submit_with(&add_one, SL_ARGS(sl_i64((int64_t)i)), how);
        if (sl_wait(future, SL_FOREVER) != 0 || sl_result_i64(future) != (int64_t)i + 1)
            api_die("a task");
        took[i] = api_now_s() - begin_s;
        sl_release(future);
    }
    qsort(took, count + 1, sizeof *took, api_by_value);
    double median = took[count / 2];
    free(took);
    return median;
}

static double bulk_per_s(const sl_task_options *how, const uint8_t *data, size_t count) {
    double begin_s = api_now_s();
    for (size_t i = 0; i < count; i++) {
        sl_future *future = sl_submit_with(&first_byte, SL_ARGS(sl_bytes(data, BULK_BYTES)), how);
        if (sl_wait(future, SL_FOREVER) != 0 || sl_result_i64(future) != data[0])
            api_die("a large task");
        sl_release(future);
    }
    return (double)count * BULK_BYTES / (api_now_s() - begin_s);
}

static void crypt_all(EVP_CIPHER_CTX *context, bool sealing, const uint8_t *from, uint8_t *to) {
    uint8_t key[32] = {1}, nonce[12] = {2}, tag[16];
    int made;
    for (size_t at = 0; at < BULK_BYTES; at += CHUNK_BYTES) {
        EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce, sealing);
        EVP_CipherUpdate(context, to + at, &made, from + at, CHUNK_BYTES);
        if (sealing) {
            EVP_CipherFinal_ex(context, tag, &made);
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, sizeof tag, tag);
        }
    }
}

static double bare_per_s(const uint8_t *data, uint8_t *sealed, size_t count) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    double begin_s = api_now_s();
    for (size_t i = 0; i < count; i++) {
        crypt_all(context, true, data, sealed);
        crypt_all(context, false, sealed, sealed);
    }
    double seconds = api_now_s() - begin_s;
    EVP_CIPHER_CTX_free(context);
    return (double)count * BULK_BYTES / seconds;
}

void api_run_sealed(const char *what, FILE *out, const char *directory, const char *pin,
                    size_t count, int rounds) {
    char client[4400];
    sl_keys *keys;
    uint8_t *data = malloc(BULK_BYTES), *sealed = malloc(BULK_BYTES);
    snprintf(client, sizeof client, "%s/client", directory);
    if (!data || !sealed || sl_keys_open(client, pin, NULL, &keys) != 0)
        api_die("keys");
    memset(data, 1, BULK_BYTES), memset(sealed, 1, BULK_BYTES);
    const sl_seal seal = {.keys = keys};
    sl_task_options how = add_one.options;
    how.sealed = &seal;
    for (int round = -1; round < rounds; round++) {
        bool one = strcmp(what, "sealed-one") == 0, bulk = strcmp(what, "sealed-bulk") == 0;
        double ours = bulk  ? bulk_per_s(&how, data, count)
                      : one ? one_s(&how, count)
                            : api_window_per_s(&add_one, &how, count);
        double floor = bulk  ? bare_per_s(data, sealed, count)
                       : one ? one_s(NULL, count)
                             : api_window_per_s(&add_one, NULL, count);
        if (round >= 0)
            fprintf(out, "%.9g %.9g\n", ours, floor);
    }
    sl_keys_close(keys);
    free(data), free(sealed);
}
