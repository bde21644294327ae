/* Design notes: signatures are over the SHA-256 of a domain text and the encoding. The domain ends
 * with a NUL, which no text has inside, so no two things that are signed begin alike. One encoding
 * per certificate: the decoder refuses what the encoder would not write, so nothing can be changed
 * and stay valid.
 */
#include "actors/secure/certificate.h"

#include <sodium.h>

#define MAGIC              "SLCT"
#define CERTIFICATE_DOMAIN "starlane certificate v1"
#define BOX_KEY_DOMAIN     "starlane encryption key v1"
#define FINGERPRINT_DOMAIN "starlane fingerprint v1"
#define KEY_ID_DOMAIN      "starlane key id v1"

enum { VERSION = 1, MAGIC_BYTES = 4 };

static const char name_characters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:@";

/* ---- signatures and hashes ---- */

static void hash_parts(const sl_part *parts, size_t count, uint8_t hash[32]) {
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < count; i++)
        crypto_hash_sha256_update(&state, parts[i].data, parts[i].bytes);
    crypto_hash_sha256_final(&state, hash);
}

void sl_sign_parts(const uint8_t *secret, const sl_part *parts, size_t count,
                   uint8_t signature[SL_SIGNATURE_BYTES]) {
    uint8_t hash[32];
    hash_parts(parts, count, hash);
    crypto_sign_detached(signature, NULL, hash, sizeof hash, secret);
}

bool sl_verify_parts(const uint8_t key[SL_PUBLIC_KEY_BYTES], const sl_part *parts, size_t count,
                     const uint8_t signature[SL_SIGNATURE_BYTES]) {
    uint8_t hash[32];
    hash_parts(parts, count, hash);
    return crypto_sign_verify_detached(signature, hash, sizeof hash, key) == 0;
}

void sl_fingerprint(const uint8_t key[SL_PUBLIC_KEY_BYTES],
                    uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES]) {
    const sl_part parts[] = {{FINGERPRINT_DOMAIN, sizeof FINGERPRINT_DOMAIN},
                             {key, SL_PUBLIC_KEY_BYTES}};
    hash_parts(parts, SL_PART_COUNT(parts), fingerprint);
}

void sl_key_id(const uint8_t key[SL_PUBLIC_KEY_BYTES], uint8_t id[SL_KEY_ID_BYTES]) {
    const sl_part parts[] = {{KEY_ID_DOMAIN, sizeof KEY_ID_DOMAIN}, {key, SL_PUBLIC_KEY_BYTES}};
    uint8_t hash[32];
    hash_parts(parts, SL_PART_COUNT(parts), hash);
    memcpy(id, hash, SL_KEY_ID_BYTES);
}

void sl_hex(const uint8_t *bytes, size_t size, char *text) {
    sodium_bin2hex(text, 2 * size + 1, bytes, size);
}

sl_err sl_hex_parse(const char *text, size_t size, uint8_t *bytes) {
    size_t made = 0;
    const char *end = NULL;
    if (strlen(text) != 2 * size ||
        sodium_hex2bin(bytes, size, text, 2 * size, NULL, &made, &end) != 0 || made != size)
        return sl_fail(SL_ERR_SYNTAX, "'%.80s' is not %zu hexadecimal digits", text, 2 * size);
    return SL_OK;
}

sl_err sl_validity_check(const sl_validity *validity, uint64_t now_s, const char *what) {
    if (now_s < validity->from_s)
        return sl_fail(SL_ERR_SEAL, "%s is valid only in %llu s: is the clock right?", what,
                       (unsigned long long)(validity->from_s - now_s));
    if (now_s >= validity->to_s)
        return sl_fail(SL_ERR_SEAL, "%s is no longer valid, since %llu s", what,
                       (unsigned long long)(now_s - validity->to_s));
    return SL_OK;
}

/* ---- certificates ---- */

static bool is_name(const char *text, bool may_be_empty) {
    return (may_be_empty || *text) && !text[strspn(text, name_characters)];
}

static const char *field_fault(const sl_certificate *c) {
    if (c->role != SL_ROLE_NODE && c->role != SL_ROLE_CLIENT)
        return "a role is that of a node or of a client";
    if (!is_name(c->name, false))
        return "a name is 1 to 63 letters, digits and _ - . : @";
    if (!is_name(c->project, true))
        return "a project is up to 63 letters, digits and _ - . : @";
    if (c->validity.from_s >= c->validity.to_s)
        return "a certificate ends before it begins";
    return NULL;
}

sl_err sl_certificate_check_fields(const sl_certificate *certificate) {
    const char *fault = field_fault(certificate);
    return fault ? sl_fail(SL_ERR_INVALID, "%s", fault) : SL_OK;
}

size_t sl_certificate_encode(const sl_certificate *certificate, uint8_t *out) {
    const sl_certificate *c = certificate;
    size_t name = strlen(c->name), project = strlen(c->project);
    uint8_t *at = sl_write_bytes(out, MAGIC, MAGIC_BYTES);
    at = sl_write_number(at, VERSION, 1);
    at = sl_write_number(at, c->role, 1);
    at = sl_write_number(at, name, 1);
    at = sl_write_number(at, project, 1);
    at = sl_write_number(at, c->validity.from_s, 8);
    at = sl_write_number(at, c->validity.to_s, 8);
    at = sl_write_bytes(at, c->identity, sizeof c->identity);
    at = sl_write_bytes(at, c->authority, sizeof c->authority);
    at = sl_write_bytes(at, c->name, name);
    at = sl_write_bytes(at, c->project, project);
    at = sl_write_bytes(at, c->signature, sizeof c->signature);
    return (size_t)(at - out);
}

static void read_text(sl_reader *reader, size_t bytes, char text[SL_NAME_MAX + 1]) {
    memset(text, 0, SL_NAME_MAX + 1);
    if (bytes > SL_NAME_MAX)
        reader->bad = true;
    else
        sl_read_copy(reader, text, bytes);
    if (strlen(text) != bytes) /* a NUL inside */
        reader->bad = true;
}

sl_err sl_certificate_read(sl_reader *reader, sl_certificate *certificate) {
    sl_certificate c = {0};
    char magic[MAGIC_BYTES];
    sl_read_copy(reader, magic, sizeof magic);
    uint8_t version = sl_read_u8(reader);
    if (reader->bad || memcmp(magic, MAGIC, sizeof magic) != 0)
        return sl_fail(SL_ERR_DECODE, "this is no certificate");
    if (version != VERSION)
        return sl_fail(SL_ERR_DECODE, "a certificate of version %u: this program reads version %u",
                       version, VERSION);
    c.role = sl_read_u8(reader);
    size_t name = sl_read_u8(reader), project = sl_read_u8(reader);
    c.validity.from_s = sl_read_u64(reader);
    c.validity.to_s = sl_read_u64(reader);
    sl_read_copy(reader, c.identity, sizeof c.identity);
    sl_read_copy(reader, c.authority, sizeof c.authority);
    read_text(reader, name, c.name);
    read_text(reader, project, c.project);
    sl_read_copy(reader, c.signature, sizeof c.signature);
    if (reader->bad)
        return sl_fail(SL_ERR_DECODE, "a certificate ends too early, or has bad names");
    const char *fault = field_fault(&c);
    if (fault)
        return sl_fail(SL_ERR_DECODE, "a certificate does not decode: %s", fault);
    *certificate = c;
    return SL_OK;
}

sl_err sl_certificate_decode(const void *bytes, size_t size, sl_certificate *certificate) {
    sl_certificate read;
    sl_reader reader = {bytes, (const uint8_t *)bytes + size, false};
    SL_TRY(sl_certificate_read(&reader, &read));
    if (reader.at != reader.end)
        return sl_fail(SL_ERR_DECODE, "%zu bytes follow a certificate",
                       (size_t)(reader.end - reader.at));
    *certificate = read;
    return SL_OK;
}

void sl_certificate_signed_parts(const uint8_t *encoded, size_t size, sl_part parts[2]) {
    parts[0] = (sl_part){CERTIFICATE_DOMAIN, sizeof CERTIFICATE_DOMAIN};
    parts[1] = (sl_part){encoded, size - SL_SIGNATURE_BYTES};
}

sl_err sl_certificate_verify(const sl_certificate *certificate) {
    uint8_t encoded[SL_CERTIFICATE_MOST_BYTES];
    sl_part parts[2];
    sl_certificate_signed_parts(encoded, sl_certificate_encode(certificate, encoded), parts);
    if (!sl_verify_parts(certificate->authority, parts, 2, certificate->signature))
        return sl_fail(SL_ERR_SEAL, "the certificate of %s is not signed by its authority",
                       certificate->name);
    return SL_OK;
}

/* ---- encryption keys ---- */

void sl_box_key_encode(const sl_box_key *key, uint8_t out[SL_BOX_KEY_BYTES]) {
    uint8_t *at = sl_write_bytes(out, key->key, sizeof key->key);
    at = sl_write_number(at, key->validity.from_s, 8);
    at = sl_write_number(at, key->validity.to_s, 8);
    sl_write_bytes(at, key->signature, sizeof key->signature);
}

sl_err sl_box_key_read(sl_reader *reader, sl_box_key *key) {
    sl_box_key k;
    sl_read_copy(reader, k.key, sizeof k.key);
    k.validity.from_s = sl_read_u64(reader);
    k.validity.to_s = sl_read_u64(reader);
    sl_read_copy(reader, k.signature, sizeof k.signature);
    if (reader->bad)
        return sl_fail(SL_ERR_DECODE, "an encryption key ends too early");
    if (k.validity.from_s >= k.validity.to_s)
        return sl_fail(SL_ERR_DECODE, "an encryption key ends before it begins");
    *key = k;
    return SL_OK;
}

void sl_box_key_signed_parts(const uint8_t encoded[SL_BOX_KEY_BYTES],
                             const uint8_t owner[SL_PUBLIC_KEY_BYTES], sl_part parts[3]) {
    parts[0] = (sl_part){BOX_KEY_DOMAIN, sizeof BOX_KEY_DOMAIN};
    parts[1] = (sl_part){owner, SL_PUBLIC_KEY_BYTES};
    parts[2] = (sl_part){encoded, SL_BOX_KEY_BYTES - SL_SIGNATURE_BYTES};
}

sl_err sl_box_key_verify(const sl_box_key *key, const uint8_t owner[SL_PUBLIC_KEY_BYTES]) {
    uint8_t encoded[SL_BOX_KEY_BYTES];
    sl_part parts[3];
    sl_box_key_encode(key, encoded);
    sl_box_key_signed_parts(encoded, owner, parts);
    if (!sl_verify_parts(owner, parts, 3, key->signature))
        return sl_fail(SL_ERR_SEAL, "an encryption key is not signed by its owner");
    return SL_OK;
}
