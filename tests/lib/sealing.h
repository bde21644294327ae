/* People to seal for: an authority, and nodes and clients that it vouches for. */
#ifndef SL_TESTS_SEALING_H
#define SL_TESTS_SEALING_H

#include "actors/secure/identity.h"
#include "actors/secure/trust.h"
#include "tests/lib/test.h"

/* What time it is in these tests, seconds since 1970. */
#define SL_TEST_NOW_S ((uint64_t)1800000000)

/* Ends the program: for what no test can go on without. */
static inline void sl_test_need(sl_err err, const char *what) {
    if (err == SL_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, sl_err_name(err), sl_err_detail());
    exit(1);
}

static inline sl_identity *sl_test_authority(void) {
    sl_identity *authority = NULL;
    sl_test_need(sl_identity_create(&authority), "an authority");
    return authority;
}

/* Somebody with a certificate for a day and an encryption key for an hour. */
static inline sl_identity *sl_test_somebody(const sl_identity *authority, sl_role role,
                                            const char *name, const char *project) {
    sl_identity *made = NULL;
    sl_certificate c = {.role = role, .validity = {SL_TEST_NOW_S - 1000, SL_TEST_NOW_S + 86400}};
    snprintf(c.name, sizeof c.name, "%s", name);
    snprintf(c.project, sizeof c.project, "%s", project);
    sl_test_need(sl_identity_create(&made), name);
    sl_test_need(sl_identity_renew(made, SL_TEST_NOW_S, 3600), name);
    sl_test_need(sl_identity_request(made, &c), name);
    sl_test_need(sl_identity_certify(authority, &c, c.validity, &c), name);
    sl_test_need(sl_identity_adopt(made, &c), name);
    return made;
}

static inline void sl_test_pin(sl_trust *trust, const sl_identity *authority) {
    uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES];
    sl_fingerprint(sl_identity_key(authority), fingerprint);
    sl_test_need(sl_trust_pin(trust, fingerprint), "pin");
}

static inline sl_trust *sl_test_trust(const sl_identity *authority) {
    sl_trust *trust = NULL;
    sl_test_need(sl_trust_create(&trust), "trust");
    sl_test_pin(trust, authority);
    return trust;
}

static inline sl_peer sl_test_peer(sl_trust *trust, const sl_identity *identity) {
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    size_t size = 0;
    sl_peer peer = {0};
    sl_test_need(sl_identity_credential(identity, credential, &size), "credential");
    sl_test_need(sl_trust_check(trust, credential, size, SL_TEST_NOW_S, &peer), "peer");
    return peer;
}

#endif
