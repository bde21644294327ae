/* Sealing: the speed of bodies beside the bare cipher, and what a small task costs beside the bare
 * arithmetic of its keys. Times are the thread's processor time: nothing here waits. */
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/secure/opener.h"
#include "bench/bench.h"
#include "bench/machine.h"
#include "runtime/err.h"

enum { SMALL_BYTES = 256, LARGE_BYTES = 1 << 16, NOW_S = 1800000000, HEAD_ROOM = 4096 };

#define BODY_BYTES ((size_t)64 << 20)

static void check(sl_err err, const char *what) {
    if (err != SL_OK)
        bench_die("%s: %s: %s", what, sl_err_name(err), sl_err_detail());
}

static void *get(size_t bytes) {
    void *memory = malloc(bytes);
    if (!memory)
        bench_die("no memory");
    memset(memory, 1, bytes);
    return memory;
}

/* ---- people ---- */

typedef struct people {
    sl_identity *authority, *client, *node;
    sl_trust *trust;
    sl_peer to_node;
    sl_sealer *sealer;
    sl_opener *opener;
} people;

static sl_identity *somebody(const sl_identity *authority, sl_role role) {
    sl_identity *made;
    sl_certificate c = {.role = role, .name = "bench", .validity = {NOW_S - 1, NOW_S + 1000}};
    check(sl_identity_create(&made), "identity");
    check(sl_identity_renew(made, NOW_S, 1000), "key");
    check(sl_identity_request(made, &c), "request");
    check(sl_identity_certify(authority, &c, c.validity, &c), "certificate");
    check(sl_identity_adopt(made, &c), "certificate");
    return made;
}

static sl_trust *trust_in(const sl_identity *authority) {
    sl_trust *trust;
    uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES];
    sl_fingerprint(sl_identity_key(authority), fingerprint);
    check(sl_trust_create(&trust), "trust");
    check(sl_trust_pin(trust, fingerprint), "trust");
    return trust;
}

static people meet(void) {
    people p;
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    size_t bytes;
    check(sl_identity_create(&p.authority), "authority");
    p.client = somebody(p.authority, SL_ROLE_CLIENT);
    p.node = somebody(p.authority, SL_ROLE_NODE);
    p.trust = trust_in(p.authority);
    check(sl_identity_credential(p.node, credential, &bytes), "credential");
    check(sl_trust_check(p.trust, credential, bytes, NOW_S, &p.to_node), "credential");
    check(sl_sealer_create(&p.sealer), "sealer");
    check(sl_opener_create(&p.opener), "opener");
    return p;
}

static void part(people *p) {
    sl_sealer_destroy(p->sealer), sl_opener_destroy(p->opener);
    sl_trust_destroy(p->trust);
    sl_identity_destroy(p->authority), sl_identity_destroy(p->client);
    sl_identity_destroy(p->node);
}

static sl_seal_request request_of(const people *p, size_t bytes) {
    return (sl_seal_request){.sender = p->client,
                             .recipients = &p->to_node,
                             .recipient_count = 1,
                             .kind = SL_SEAL_TASK,
                             .body_bytes = bytes,
                             .now_s = NOW_S,
                             .lifetime_s = 600,
                             .open_part = {"cpus 1", 6}};
}

static sl_open_request open_of(const people *p) {
    return (sl_open_request){
        .recipient = p->node, .trust = p->trust, .kind = SL_SEAL_TASK, .now_s = NOW_S};
}

/* ---- bodies ---- */

typedef struct body_case {
    const char *what;
    const char *floor_name;
    sl_suite suite;
    size_t chunk_bytes;
    bool shared, opening;
    double goal_ratio;
} body_case;

typedef struct buffers {
    uint8_t *body, *sealed, *chunk;
    size_t body_bytes;
} buffers;

/* The same chunks by the same library, from the same memory to the same memory. */
static double raw_gcm_s(const buffers *m, size_t chunk, bool opening) {
    uint8_t key[32] = {1}, iv[12] = {0}, tag[16] = {0};
    int made;
    EVP_CIPHER *gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    double begin_s = machine_thread_cpu_s();
    EVP_CipherInit_ex2(context, gcm, key, NULL, !opening, NULL);
    for (size_t at = 0; at < m->body_bytes; at += chunk) {
        iv[0]++;
        EVP_CipherInit_ex2(context, NULL, NULL, iv, -1, NULL);
        EVP_CipherUpdate(context, m->chunk, &made, m->body + at, (int)chunk);
        if (opening) /* a tag that does not fit costs what one that does costs */
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag);
        EVP_CipherFinal_ex(context, tag, &made);
        if (!opening)
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag);
    }
    double seconds = machine_thread_cpu_s() - begin_s;
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(gcm);
    return seconds;
}

static double raw_xchacha_s(const buffers *m, size_t chunk, bool opening) {
    uint8_t key[32] = {1}, nonce[24] = {0}, tag[16];
    /* Opening checks the tag first and stops at a wrong one: each chunk is sealed beforehand. */
    uint8_t *tags = get(m->body_bytes / chunk * 16);
    for (size_t i = 0; opening && i < m->body_bytes / chunk; i++)
        crypto_aead_xchacha20poly1305_ietf_encrypt_detached(m->sealed + i * chunk, tags + i * 16,
                                                            NULL, m->body + i * chunk, chunk, NULL,
                                                            0, NULL, nonce, key);
    double begin_s = machine_thread_cpu_s();
    for (size_t i = 0; i < m->body_bytes / chunk; i++)
        if (!opening)
            crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
                m->chunk, tag, NULL, m->body + i * chunk, chunk, NULL, 0, NULL, nonce, key);
        else if (crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
                     m->chunk, NULL, m->sealed + i * chunk, chunk, tags + i * 16, NULL, 0, nonce,
                     key) != 0)
            bench_die("libsodium does not open what it sealed");
    double seconds = machine_thread_cpu_s() - begin_s;
    free(tags);
    return seconds;
}

/* All of the envelope, its head too. With `keep` it is put together in m->sealed. */
static double seal_s(people *p, const buffers *m, const body_case *c, bool keep, size_t *size) {
    sl_seal_request request = request_of(p, m->body_bytes);
    size_t head;
    request.suite = c->suite, request.chunk_bytes = (uint32_t)c->chunk_bytes;
    request.shared = c->shared;
    double begin_s = machine_thread_cpu_s();
    check(sl_seal_head_bytes(&request, &head), "head");
    check(sl_sealer_begin(p->sealer, &request, m->sealed), "begin");
    *size = head;
    for (size_t at = 0; at < m->body_bytes; at += c->chunk_bytes) {
        bool last = at + c->chunk_bytes == m->body_bytes;
        uint8_t *to = keep ? m->sealed + *size : m->chunk;
        check(sl_sealer_chunk(p->sealer, m->body + at, c->chunk_bytes, last, to), "seal");
        *size += sl_sealer_chunk_bytes(p->sealer, c->chunk_bytes, last);
    }
    return machine_thread_cpu_s() - begin_s;
}

static double open_s(people *p, const buffers *m, size_t size) {
    sl_open_request request = open_of(p);
    sl_seal_head envelope;
    size_t needed, bytes;
    bool last = false;
    double begin_s = machine_thread_cpu_s();
    check(sl_opener_begin(p->opener, m->sealed, size, &request, &envelope, NULL), "open");
    for (size_t at = envelope.bytes; !last; at += needed) {
        check(sl_opener_measure(p->opener, m->sealed + at, size - at, &needed), "measure");
        check(sl_opener_chunk(p->opener, m->sealed + at, needed, m->chunk, &bytes, &last), "open");
    }
    return machine_thread_cpu_s() - begin_s;
}

static void measure_body(bench *b, people *p, const buffers *m, const body_case *c) {
    samples ours = {0}, floor = {0};
    size_t size;
    if (!bench_wants(b, c->what))
        return;
    for (uint32_t round = 0; round < b->rounds; round++) {
        double raw_s = c->suite == SL_SUITE_AES256_GCM
                           ? raw_gcm_s(m, c->chunk_bytes, c->opening)
                           : raw_xchacha_s(m, c->chunk_bytes, c->opening);
        double seconds = seal_s(p, m, c, c->opening, &size);
        if (c->opening)
            seconds = open_s(p, m, size);
        samples_add(&floor, (double)m->body_bytes / raw_s);
        samples_add(&ours, (double)m->body_bytes / seconds);
    }
    report_print(&b->report, &(report_row){.bench = "seal",
                                           .what = c->what,
                                           .unit = REPORT_BYTES_PER_S,
                                           .ours = &ours,
                                           .floor_name = c->floor_name,
                                           .floor = &floor,
                                           .goal_ratio = c->goal_ratio});
    samples_fini(&ours), samples_fini(&floor);
}

#define GCM     SL_SUITE_AES256_GCM
#define XCHACHA SL_SUITE_XCHACHA20_POLY1305
#define RAW_GCM "AES-256-GCM by OpenSSL alone, same chunks"
#define RAW_X   "XChaCha20-Poly1305 by libsodium alone, same chunks"

static const body_case bodies[] = {
    {"seal, AES-256-GCM, 64 KiB chunks", RAW_GCM, GCM, 1 << 16, false, false, 0.9},
    {"seal, AES-256-GCM, 1 MiB chunks", RAW_GCM, GCM, 1 << 20, false, false, 0.9},
    {"open, AES-256-GCM, 64 KiB chunks", RAW_GCM, GCM, 1 << 16, false, true, 0.9},
    {"seal, XChaCha20-Poly1305, 64 KiB chunks", RAW_X, XCHACHA, 1 << 16, false, false, 0.9},
    {"seal, XChaCha20-Poly1305, 1 MiB chunks", RAW_X, XCHACHA, 1 << 20, false, false, 0.9},
    {"open, XChaCha20-Poly1305, 64 KiB chunks", RAW_X, XCHACHA, 1 << 16, false, true, 0.9},
    {"seal for several, AES-256-GCM, 64 KiB chunks", RAW_GCM, GCM, 1 << 16, true, false, 0},
};

static void measure_bodies(bench *b, people *p) {
    buffers m = {.body_bytes = b->quick ? BODY_BYTES / 8 : BODY_BYTES};
    m.body = get(m.body_bytes);
    m.sealed = get(m.body_bytes + m.body_bytes / 1024 + HEAD_ROOM);
    m.chunk = get(SL_CHUNK_MOST_BYTES + HEAD_ROOM);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        measure_body(b, p, &m, &bodies[i]);
    free(m.body), free(m.sealed), free(m.chunk);
}

/* ---- small tasks ---- */

/* The arithmetic that a sealing (opening) cannot do without. */
static double arithmetic_s(bool opening, uint64_t count) {
    uint8_t pk[32], sk[64], ephemeral[32], point[32], shared[32], text[32] = {0}, signature[64];
    crypto_sign_keypair(pk, sk);
    crypto_scalarmult_base(point, sk);
    crypto_sign_detached(signature, NULL, text, sizeof text, sk);
    double begin_s = machine_thread_cpu_s();
    for (uint64_t i = 0; i < count; i++) {
        if (!opening) {
            randombytes_buf(ephemeral, sizeof ephemeral);
            crypto_scalarmult_base(shared, ephemeral);
            crypto_sign_detached(signature, NULL, text, sizeof text, sk);
        } else if (crypto_sign_verify_detached(signature, text, sizeof text, pk) != 0) {
            bench_die("libsodium refuses its own signature");
        }
        if (crypto_scalarmult(shared, sk, point) != 0)
            bench_die("X25519 failed");
    }
    return (machine_thread_cpu_s() - begin_s) / (double)count;
}

static double seal_whole_s(people *p, uint8_t *bytes, size_t payload, uint64_t count,
                           size_t *size) {
    sl_seal_request request = request_of(p, payload);
    size_t body_at;
    double begin_s = machine_thread_cpu_s();
    for (uint64_t i = 0; i < count; i++) {
        check(sl_seal_layout(&request, size, &body_at), "layout");
        memset(bytes + body_at, 1, payload);
        check(sl_seal_whole(p->sealer, &request, bytes), "seal");
    }
    return (machine_thread_cpu_s() - begin_s) / (double)count;
}

/* `known`: the sender has been met before. */
static double open_small_s(people *p, const uint8_t *bytes, size_t size, uint64_t count,
                           bool known) {
    static uint8_t copy[HEAD_ROOM];
    sl_open_request request = open_of(p);
    double seconds = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *body;
        size_t body_bytes;
        sl_trust *fresh = known ? NULL : trust_in(p->authority);
        request.trust = known ? p->trust : fresh;
        double begin_s = machine_thread_cpu_s();
        memcpy(copy, bytes, size);
        check(sl_open_whole(p->opener, copy, size, &request, NULL, &body, &body_bytes), "open");
        seconds += machine_thread_cpu_s() - begin_s;
        sl_trust_destroy(fresh);
    }
    return seconds / (double)count;
}

static void print_small(bench *b, const char *what, samples *ours, const char *floor_name,
                        samples *floor, double goal) {
    report_print(&b->report, &(report_row){.bench = "seal",
                                           .what = what,
                                           .unit = REPORT_SECONDS,
                                           .ours = ours,
                                           .floor_name = floor_name,
                                           .floor = floor,
                                           .less_is_better = true,
                                           .goal = goal});
    samples_fini(ours);
}

static void measure_small(bench *b, people *p) {
    samples seal = {0}, large = {0}, open = {0}, meeting = {0}, seal_floor = {0}, open_floor = {0};
    static uint8_t bytes[LARGE_BYTES + HEAD_ROOM];
    uint64_t count = bench_amount(b, 2000);
    size_t size = 0;
    if (!bench_wants(b, "a small task"))
        return;
    for (uint32_t round = 0; round < b->rounds; round++) {
        samples_add(&seal_floor, arithmetic_s(false, count));
        samples_add(&large, seal_whole_s(p, bytes, LARGE_BYTES, count / 2, &size));
        samples_add(&seal, seal_whole_s(p, bytes, SMALL_BYTES, count, &size));
        samples_add(&open_floor, arithmetic_s(true, count));
        samples_add(&open, open_small_s(p, bytes, size, count, true));
        samples_add(&meeting, open_small_s(p, bytes, size, count, false));
    }
    print_small(b, "seal a small task (256 B) for one node", &seal,
                "two X25519 and an Ed25519 signature alone", &seal_floor, 150e-6);
    print_small(b, "seal a task of 64 KiB, all of it", &large,
                "two X25519 and an Ed25519 signature alone", &seal_floor, 0);
    print_small(b, "open the small one", &open, "an X25519 and an Ed25519 verification alone",
                &open_floor, 150e-6);
    print_small(b, "open it, from a sender not met before", &meeting,
                "an X25519 and an Ed25519 verification alone", &open_floor, 0);
    samples_fini(&seal_floor), samples_fini(&open_floor);
}

void bench_seal(bench *b) {
    if (b->ranks > 1)
        return;
    people p = meet();
    measure_bodies(b, &p);
    measure_small(b, &p);
    part(&p);
}
