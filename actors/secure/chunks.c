/* Design notes
 * AES-256-GCM is OpenSSL's because it is twice as fast as libsodium's; XChaCha20-Poly1305 is
 * libsodium's because OpenSSL has none. The cipher is fetched once: looking it up again costs more
 * than sealing a small body. OpenSSL keeps the expanded AES key in ordinary memory for as long as a
 * body is under way, and wipes it at its end (EVP_CIPHER_CTX_reset()).
 */
#include "actors/secure/chunks.h"

#include <openssl/evp.h>
#include <sodium.h>

#include "actors/secure/secret.h"

enum { NUMBER_BYTES = 4, GCM_NONCE_BYTES = 12, XCHACHA_NONCE_BYTES = 24 };

_Static_assert(SL_CHUNK_PREFIX_BYTES + NUMBER_BYTES + 1 == XCHACHA_NONCE_BYTES, "nonce");
_Static_assert(XCHACHA_NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(SL_CHUNK_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");

struct sl_chunks {
    uint8_t secret[SL_CHUNK_KEY_BYTES]; /* of XChaCha20-Poly1305 */
    uint8_t prefix[SL_CHUNK_PREFIX_BYTES];
    sl_suite suite;
    bool sealing;
    uint64_t next;
    EVP_CIPHER *gcm;
    EVP_CIPHER_CTX *context;
};

sl_suite sl_suite_best(void) {
    return sodium_init() >= 0 && crypto_aead_aes256gcm_is_available() ? SL_SUITE_AES256_GCM
                                                                      : SL_SUITE_XCHACHA20_POLY1305;
}

bool sl_suite_known(unsigned suite) {
    return suite == SL_SUITE_XCHACHA20_POLY1305 || suite == SL_SUITE_AES256_GCM;
}

sl_err sl_chunks_create(sl_chunks **chunks) {
    void *memory;
    SL_TRY(sl_secret_create(sizeof **chunks, &memory));
    sl_chunks *made = memory;
    made->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    made->context = EVP_CIPHER_CTX_new();
    if (!made->gcm || !made->context) {
        sl_chunks_destroy(made);
        return sl_fail(SL_ERR_NO_MEMORY, "OpenSSL gives no AES-256-GCM");
    }
    *chunks = made;
    return SL_OK;
}

void sl_chunks_destroy(sl_chunks *chunks) {
    if (!chunks)
        return;
    EVP_CIPHER_CTX_free(chunks->context);
    EVP_CIPHER_free(chunks->gcm);
    sl_secret_destroy(chunks);
}

void sl_chunks_end(sl_chunks *chunks) {
    sl_secret_wipe(chunks->secret, sizeof chunks->secret);
    if (chunks->suite == SL_SUITE_AES256_GCM)
        EVP_CIPHER_CTX_reset(chunks->context);
    chunks->suite = 0;
}

sl_err sl_chunks_begin(sl_chunks *chunks, sl_suite suite, bool sealing,
                       const uint8_t key[SL_CHUNK_KEY_BYTES],
                       const uint8_t prefix[SL_CHUNK_PREFIX_BYTES]) {
    sl_chunks_end(chunks);
    chunks->sealing = sealing;
    chunks->next = 0;
    memcpy(chunks->prefix, prefix, sizeof chunks->prefix);
    if (suite == SL_SUITE_XCHACHA20_POLY1305)
        memcpy(chunks->secret, key, sizeof chunks->secret);
    else if (suite != SL_SUITE_AES256_GCM)
        return sl_fail(SL_ERR_INVALID, "there is no suite %u", (unsigned)suite);
    else if (EVP_CipherInit_ex2(chunks->context, chunks->gcm, key, NULL, sealing, NULL) != 1)
        return sl_fail(SL_ERR_NO_MEMORY, "OpenSSL could not begin with AES-256-GCM");
    chunks->suite = suite;
    return SL_OK;
}

/* The nonce of the next chunk, `prefix_bytes` of the prefix first. */
static sl_err take_nonce(sl_chunks *chunks, bool last, size_t prefix_bytes, uint8_t *nonce) {
    if (chunks->next > UINT32_MAX)
        return sl_fail(SL_ERR_TOO_LARGE, "a body has more chunks than can be numbered");
    uint8_t *at = sl_write_bytes(nonce, chunks->prefix, prefix_bytes);
    at = sl_write_number(at, chunks->next++, NUMBER_BYTES);
    *at = last;
    return SL_OK;
}

/* Encrypts or decrypts; the tag is for the caller to get or set. */
static bool gcm_run(sl_chunks *chunks, const uint8_t *nonce, const void *from, size_t bytes,
                    uint8_t *to) {
    int made = 0;
    return EVP_CipherInit_ex2(chunks->context, NULL, NULL, nonce, -1, NULL) == 1 &&
           (bytes == 0 || (EVP_CipherUpdate(chunks->context, to, &made, from, (int)bytes) == 1 &&
                           (size_t)made == bytes));
}

static bool gcm_end(sl_chunks *chunks) {
    uint8_t none[SL_CHUNK_TAG_BYTES];
    int made = 0;
    return EVP_CipherFinal_ex(chunks->context, none, &made) == 1 && made == 0;
}

sl_err sl_chunks_seal(sl_chunks *chunks, const void *from, size_t bytes, bool last, uint8_t *to,
                      uint8_t tag[SL_CHUNK_TAG_BYTES]) {
    uint8_t nonce[XCHACHA_NONCE_BYTES];
    if (!chunks->suite || !chunks->sealing || bytes > SL_CHUNK_MOST_BYTES)
        return sl_fail(SL_ERR_INVALID, "no chunk of %zu bytes is to be sealed now", bytes);
    if (chunks->suite == SL_SUITE_XCHACHA20_POLY1305) {
        SL_TRY(take_nonce(chunks, last, SL_CHUNK_PREFIX_BYTES, nonce));
        crypto_aead_xchacha20poly1305_ietf_encrypt_detached(to, tag, NULL, from, bytes, NULL, 0,
                                                            NULL, nonce, chunks->secret);
        return SL_OK;
    }
    SL_TRY(take_nonce(chunks, last, GCM_NONCE_BYTES - NUMBER_BYTES - 1, nonce));
    if (!gcm_run(chunks, nonce, from, bytes, to) || !gcm_end(chunks) ||
        EVP_CIPHER_CTX_ctrl(chunks->context, EVP_CTRL_AEAD_GET_TAG, SL_CHUNK_TAG_BYTES, tag) != 1)
        return sl_fail(SL_ERR_NO_MEMORY, "OpenSSL could not encrypt");
    return SL_OK;
}

static bool open_xchacha(sl_chunks *chunks, const uint8_t *nonce, const uint8_t *from, size_t bytes,
                         const uint8_t *tag, uint8_t *to) {
    return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(to, NULL, from, bytes, tag, NULL, 0,
                                                               nonce, chunks->secret) == 0;
}

static bool open_gcm(sl_chunks *chunks, const uint8_t *nonce, const uint8_t *from, size_t bytes,
                     const uint8_t *tag, uint8_t *to) {
    return gcm_run(chunks, nonce, from, bytes, to) &&
           EVP_CIPHER_CTX_ctrl(chunks->context, EVP_CTRL_AEAD_SET_TAG, SL_CHUNK_TAG_BYTES,
                               (void *)tag) == 1 &&
           gcm_end(chunks);
}

sl_err sl_chunks_open(sl_chunks *chunks, const uint8_t *from, size_t bytes, bool last,
                      const uint8_t tag[SL_CHUNK_TAG_BYTES], uint8_t *to) {
    uint8_t nonce[XCHACHA_NONCE_BYTES];
    if (!chunks->suite || chunks->sealing || bytes > SL_CHUNK_MOST_BYTES)
        return sl_fail(SL_ERR_INVALID, "no chunk of %zu bytes is to be opened now", bytes);
    uint64_t number = chunks->next;
    bool gcm = chunks->suite == SL_SUITE_AES256_GCM;
    SL_TRY(take_nonce(chunks, last,
                      gcm ? GCM_NONCE_BYTES - NUMBER_BYTES - 1 : SL_CHUNK_PREFIX_BYTES, nonce));
    if ((gcm ? open_gcm : open_xchacha)(chunks, nonce, from, bytes, tag, to))
        return SL_OK;
    sl_secret_wipe(to, bytes);
    return sl_fail(SL_ERR_SEAL,
                   "chunk %llu of the body does not open: it was changed, cut or moved",
                   (unsigned long long)number);
}
