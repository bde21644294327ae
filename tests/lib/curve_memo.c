/* Linked with --wrap, remembers what libsodium said of signatures and shared points: a fuzz program
 * asks the same of the parts that it did not change, and curves would cost more than all else. A
 * question is remembered whole, so the answer is the one that libsodium gives. */
#include <sodium.h>
#include <stdint.h>
#include <string.h>

enum { PLACES = 1024, MESSAGE_BYTES = 32 };

int __real_crypto_sign_verify_detached(const unsigned char *signature, const unsigned char *message,
                                       unsigned long long bytes, const unsigned char *key);
int __wrap_crypto_sign_verify_detached(const unsigned char *signature, const unsigned char *message,
                                       unsigned long long bytes, const unsigned char *key);
int __real_crypto_scalarmult(unsigned char *to, const unsigned char *scalar,
                             const unsigned char *point);
int __wrap_crypto_scalarmult(unsigned char *to, const unsigned char *scalar,
                             const unsigned char *point);

typedef struct question {
    uint8_t first[crypto_sign_BYTES], second[MESSAGE_BYTES], third[crypto_sign_PUBLICKEYBYTES];
} question;

typedef struct place {
    question asked;
    uint8_t made[crypto_scalarmult_BYTES];
    int answer;
    uint8_t taken;
} place;

static place *place_of(place *places, const question *q) {
    uint64_t hash = 0, word;
    for (size_t i = 0; i + sizeof word <= sizeof *q; i += sizeof word) {
        memcpy(&word, (const uint8_t *)q + i, sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    }
    return &places[hash >> 32 & (PLACES - 1)];
}

int __wrap_crypto_sign_verify_detached(const unsigned char *signature, const unsigned char *message,
                                       unsigned long long bytes, const unsigned char *key) {
    static place places[PLACES];
    question q;
    if (bytes != sizeof q.second)
        return __real_crypto_sign_verify_detached(signature, message, bytes, key);
    memcpy(q.first, signature, sizeof q.first);
    memcpy(q.second, message, sizeof q.second);
    memcpy(q.third, key, sizeof q.third);
    place *p = place_of(places, &q);
    if (!p->taken || memcmp(&p->asked, &q, sizeof q) != 0)
        *p = (place){.asked = q,
                     .answer = __real_crypto_sign_verify_detached(signature, message, bytes, key),
                     .taken = 1};
    return p->answer;
}

int __wrap_crypto_scalarmult(unsigned char *to, const unsigned char *scalar,
                             const unsigned char *point) {
    static place places[PLACES];
    question q = {0};
    memcpy(q.first, scalar, crypto_scalarmult_SCALARBYTES);
    memcpy(q.second, point, crypto_scalarmult_BYTES);
    place *p = place_of(places, &q);
    if (!p->taken || memcmp(&p->asked, &q, sizeof q) != 0) {
        *p = (place){.asked = q, .taken = 1};
        p->answer = __real_crypto_scalarmult(p->made, scalar, point);
    }
    memcpy(to, p->made, sizeof p->made);
    return p->answer;
}
