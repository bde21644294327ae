/* Who somebody is: a certificate is the word of an authority that a public key (Ed25519) is that of
 * a node or client of this name; an encryption key (X25519) is the word of that identity that what
 * is for it may be sealed to this key for a while. A credential is both, one behind the other.
 *
 * Certificate, little endian:
 *     "SLCT" version role name-bytes project-bytes from_s:8 to_s:8 identity:32 authority:32
 *     name project signature:64
 * Encryption key: key:32 from_s:8 to_s:8 signature:64
 *
 * A certificate whose authority is the identity itself is a request for one, or is pinned as it is.
 * Everything here is public. Decoders take any bytes. Times are seconds since 1970. Any thread. */
#ifndef SL_SECURE_CERTIFICATE_H
#define SL_SECURE_CERTIFICATE_H

#include <stdint.h>

#include "actors/secure/wire.h"
#include "runtime/err.h"

enum {
    SL_PUBLIC_KEY_BYTES = 32,
    SL_SIGNATURE_BYTES = 64,
    SL_KEY_FINGERPRINT_BYTES = 32,
    SL_KEY_ID_BYTES = 16,
    SL_NAME_MAX = 63, /* bytes, of letters, digits and `_ - . : @` */
    SL_CERTIFICATE_LEAST_BYTES = 88 + SL_SIGNATURE_BYTES,
    SL_CERTIFICATE_MOST_BYTES = SL_CERTIFICATE_LEAST_BYTES + 2 * SL_NAME_MAX,
    SL_BOX_KEY_BYTES = 48 + SL_SIGNATURE_BYTES,
    SL_CREDENTIAL_MOST_BYTES = SL_CERTIFICATE_MOST_BYTES + SL_BOX_KEY_BYTES
};

/* The numbers are on the wire. */
typedef enum sl_role { SL_ROLE_NODE = 1, SL_ROLE_CLIENT = 2 } sl_role;

/* [from_s, to_s) */
typedef struct sl_validity {
    uint64_t from_s;
    uint64_t to_s;
} sl_validity;

typedef struct sl_certificate {
    sl_role role;
    char name[SL_NAME_MAX + 1];    /* not empty */
    char project[SL_NAME_MAX + 1]; /* "" for nodes of all projects */
    sl_validity validity;
    uint8_t identity[SL_PUBLIC_KEY_BYTES];
    uint8_t authority[SL_PUBLIC_KEY_BYTES]; /* who signed */
    uint8_t signature[SL_SIGNATURE_BYTES];
} sl_certificate;

typedef struct sl_box_key {
    uint8_t key[SL_PUBLIC_KEY_BYTES];
    sl_validity validity;
    uint8_t signature[SL_SIGNATURE_BYTES]; /* by the identity whose key it is */
} sl_box_key;

/* SL_ERR_INVALID says what is wrong with a name, a project or a validity that is to be certified.
 */
sl_err sl_certificate_check_fields(const sl_certificate *certificate) SL_CHECKED;

/* Returns the bytes written to `out`, which has room for SL_CERTIFICATE_MOST_BYTES. */
size_t sl_certificate_encode(const sl_certificate *certificate, uint8_t *out);

/* Reads one from the front of `reader`. SL_ERR_DECODE; no signature is checked. */
sl_err sl_certificate_read(sl_reader *reader, sl_certificate *certificate) SL_CHECKED;

/* Exactly one. */
sl_err sl_certificate_decode(const void *bytes, size_t size,
                             sl_certificate *certificate) SL_CHECKED;

void sl_box_key_encode(const sl_box_key *key, uint8_t out[SL_BOX_KEY_BYTES]);
sl_err sl_box_key_read(sl_reader *reader, sl_box_key *key) SL_CHECKED;

/* SL_ERR_SEAL when the signature is not by `certificate->authority`, or by the identity
 * `owner`. Costs tens of microseconds. */
sl_err sl_certificate_verify(const sl_certificate *certificate) SL_CHECKED;
sl_err sl_box_key_verify(const sl_box_key *key,
                         const uint8_t owner[SL_PUBLIC_KEY_BYTES]) SL_CHECKED;

/* What is signed: a domain, so that no signature stands for two things, and the encoding. The
 * number of parts is that of the arrays. */
void sl_certificate_signed_parts(const uint8_t *encoded, size_t size, sl_part parts[2]);
void sl_box_key_signed_parts(const uint8_t encoded[SL_BOX_KEY_BYTES],
                             const uint8_t owner[SL_PUBLIC_KEY_BYTES], sl_part parts[3]);

/* The SHA-256 of a public key of Ed25519, which people compare and clients pin. */
void sl_fingerprint(const uint8_t key[SL_PUBLIC_KEY_BYTES],
                    uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES]);

/* The name of an encryption key in envelopes. */
void sl_key_id(const uint8_t key[SL_PUBLIC_KEY_BYTES], uint8_t id[SL_KEY_ID_BYTES]);

/* Lower-case hexadecimal; `text` has room for 2 * size + 1. Not for secrets. */
void sl_hex(const uint8_t *bytes, size_t size, char *text);

/* SL_ERR_SYNTAX unless `text` is exactly 2 * size hexadecimal digits. */
sl_err sl_hex_parse(const char *text, size_t size, uint8_t *bytes) SL_CHECKED;

/* A signature of Ed25519 over parts, which are hashed first (SHA-256 behind the domain). */
void sl_sign_parts(const uint8_t *secret, const sl_part *parts, size_t count,
                   uint8_t signature[SL_SIGNATURE_BYTES]);
bool sl_verify_parts(const uint8_t key[SL_PUBLIC_KEY_BYTES], const sl_part *parts, size_t count,
                     const uint8_t signature[SL_SIGNATURE_BYTES]);

/* SL_ERR_SEAL when `now_s` is outside; `what` names the thing for the message. */
sl_err sl_validity_check(const sl_validity *validity, uint64_t now_s, const char *what) SL_CHECKED;

#endif
