/* The secret half of who somebody is: an Ed25519 key for life, and X25519 keys, signed by it, for
 * what is sealed to it, which are renewed. An authority is an identity that signs others'
 * certificates.
 *
 * A node makes a new encryption key at every start and keeps it in memory alone: who takes its
 * disk, or its memory after it has ended, opens nothing that was sealed to it. A client's is in its
 * identity file, or it could not read results after it was started anew.
 *
 * The object lies in memory of sl_secret_create(). Reading it is fine from several threads;
 * renewing and adopting are not while others use it. Times are seconds since 1970. */
#ifndef SL_SECURE_IDENTITY_H
#define SL_SECURE_IDENTITY_H

#include "actors/secure/certificate.h"
#include "actors/secure/hpke.h"

enum {
    SL_IDENTITY_FILE_LEAST_BYTES = 8 + 32 + 32,
    SL_IDENTITY_FILE_MOST_BYTES = SL_IDENTITY_FILE_LEAST_BYTES + 48
};

typedef struct sl_identity sl_identity;

/* A new random one, without an encryption key and a certificate. */
sl_err sl_identity_create(sl_identity **identity) SL_CHECKED;
void sl_identity_destroy(sl_identity *identity); /* wipes; NULL is fine */

/* Its public key: SL_PUBLIC_KEY_BYTES, as long as it lives. */
const uint8_t *sl_identity_key(const sl_identity *identity);

/* Signs the parts (sl_sign_parts()), of which the first is a domain. */
void sl_identity_sign(const sl_identity *identity, const sl_part *parts, size_t count,
                      uint8_t signature[SL_SIGNATURE_BYTES]);

/* Makes an encryption key, valid for `lifetime_s` from a little before `now_s` (clocks differ). The
 * one before it still opens what is under way; the one before that is wiped. */
sl_err sl_identity_renew(sl_identity *identity, uint64_t now_s, uint64_t lifetime_s) SL_CHECKED;

/* Fills in identity, authority and signature of `certificate`, whose other fields are the caller's
 * wish: a request for a certificate, which also proves that the asker has the key. */
sl_err sl_identity_request(const sl_identity *identity, sl_certificate *certificate) SL_CHECKED;

/* Signs what is asked for, with a validity of the authority's choice, when the request itself
 * holds. SL_ERR_SEAL when it does not. */
sl_err sl_identity_certify(const sl_identity *authority, const sl_certificate *request,
                           sl_validity validity, sl_certificate *certificate) SL_CHECKED;

/* Takes `certificate` (copied) for its own; a request of its own is fine. SL_ERR_SEAL when it is
 * another's, or does not hold. */
sl_err sl_identity_adopt(sl_identity *identity, const sl_certificate *certificate) SL_CHECKED;

/* Its certificate; NULL before one was adopted. */
const sl_certificate *sl_identity_certificate(const sl_identity *identity);

/* Its newest encryption key; NULL before one was made. */
const sl_box_key *sl_identity_box(const sl_identity *identity);

/* Writes its credential, with the newest encryption key, to `out`, which has room for
 * SL_CREDENTIAL_MOST_BYTES. SL_ERR_NOT_FOUND when it lacks a certificate or an encryption key. */
sl_err sl_identity_credential(const sl_identity *identity, uint8_t *out, size_t *bytes) SL_CHECKED;

/* The key pair that envelopes name so, or NULL. For this room; wiped by the second renewal. */
const sl_hpke_keys *sl_identity_keys(const sl_identity *identity,
                                     const uint8_t id[SL_KEY_ID_BYTES]);

/* The content of an identity file: what is secret, whole, with the newest encryption key if
 * `with_key`. `out` has room for SL_IDENTITY_FILE_MOST_BYTES and is memory for secrets. */
size_t sl_identity_encode(const sl_identity *identity, bool with_key, uint8_t *out);

/* SL_ERR_DECODE says what is wrong with it, in words that follow "FILE: ". Any bytes. */
sl_err sl_identity_decode(const void *bytes, size_t size, sl_identity **identity) SL_CHECKED;

#endif
