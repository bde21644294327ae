/* Design notes: one encoding per head. Whatever the encoder would not write is refused, unknown
 * flags and numbers too, and every length is held against its bound and against what is there
 * before it is believed.
 */
#include "actors/secure/envelope.h"

#include <sodium.h>

#define MAGIC       "SLSEAL"
#define HASH_DOMAIN "starlane envelope head v1"
#define SIGN_DOMAIN "starlane envelope v1"

enum {
    VERSION = 1,
    MAGIC_BYTES = 6,
    PREFIX_BYTES = MAGIC_BYTES + 2 + 4, /* as far as the head's size */
    FLAG_SHARED = 1,
    COUNT_BYTES = 2,
    CREATED_SLACK_S = 300
};

static uint8_t log2_of(uint32_t bytes) {
    uint8_t log = 0;
    while (bytes >> (log + 1))
        log++;
    return log;
}

/* ---- encoding ---- */

static void hash_head(const void *head, size_t bytes, uint8_t hash[SL_ENVELOPE_HASH_BYTES]) {
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const uint8_t *)HASH_DOMAIN, sizeof HASH_DOMAIN);
    crypto_hash_sha256_update(&state, head, bytes);
    crypto_hash_sha256_final(&state, hash);
}

size_t sl_seal_head_encode(sl_seal_head *envelope, uint8_t *out) {
    const sl_seal_head *e = envelope;
    size_t unsigned_bytes = SL_ENVELOPE_FIXED_BYTES + e->credential.bytes + e->open_part.bytes;
    uint8_t *at = sl_write_bytes(out, MAGIC, MAGIC_BYTES);
    at = sl_write_number(at, VERSION, 1);
    at = sl_write_number(at, e->suite, 1);
    at = sl_write_number(at, unsigned_bytes + SL_SIGNATURE_BYTES, 4);
    at = sl_write_number(at, e->kind, 1);
    at = sl_write_number(at, e->shared ? FLAG_SHARED : 0, 1);
    at = sl_write_number(at, e->runs, 1);
    at = sl_write_number(at, log2_of(e->chunk_bytes), 1);
    at = sl_write_number(at, e->body_bytes, 8);
    at = sl_write_number(at, e->created_s, 8);
    at = sl_write_number(at, e->expires_s, 8);
    at = sl_write_bytes(at, e->id, sizeof e->id);
    at = sl_write_bytes(at, e->about, sizeof e->about);
    at = sl_write_bytes(at, e->commitment, sizeof e->commitment);
    at = sl_write_number(at, e->credential.bytes, 2);
    at = sl_write_number(at, e->open_part.bytes, 4);
    at = sl_write_bytes(at, e->credential.data, e->credential.bytes);
    sl_write_bytes(at, e->open_part.data, e->open_part.bytes);
    hash_head(out, unsigned_bytes, envelope->hash);
    return unsigned_bytes;
}

void sl_seal_head_signed_parts(const sl_seal_head *envelope, sl_part parts[2]) {
    parts[0] = (sl_part){SIGN_DOMAIN, sizeof SIGN_DOMAIN};
    parts[1] = (sl_part){envelope->hash, sizeof envelope->hash};
}

/* ---- decoding ---- */

static sl_err check_prefix(const uint8_t *bytes, size_t size) {
    size_t magic = size < MAGIC_BYTES ? size : MAGIC_BYTES;
    if (memcmp(bytes, MAGIC, magic) != 0)
        return sl_fail(SL_ERR_DECODE, "this is no sealed envelope");
    if (size > MAGIC_BYTES && bytes[MAGIC_BYTES] != VERSION)
        return sl_fail(SL_ERR_DECODE, "an envelope of version %u: this program reads version %u",
                       bytes[MAGIC_BYTES], VERSION);
    return SL_OK;
}

sl_err sl_seal_head_measure(const void *bytes, size_t size, size_t *needed) {
    SL_TRY(check_prefix(bytes, size));
    if (size < PREFIX_BYTES) {
        *needed = PREFIX_BYTES;
        return SL_OK;
    }
    sl_reader reader = {(const uint8_t *)bytes + MAGIC_BYTES + 2, (const uint8_t *)bytes + size,
                        false};
    size_t head = sl_read_u32(&reader);
    if (head < SL_ENVELOPE_FIXED_BYTES + SL_SIGNATURE_BYTES || head > SL_HEAD_MOST_BYTES)
        return sl_fail(SL_ERR_DECODE, "an envelope's head cannot have %zu bytes", head);
    if (size < head + COUNT_BYTES) {
        *needed = head + COUNT_BYTES;
        return SL_OK;
    }
    reader.at = (const uint8_t *)bytes + head;
    size_t count = sl_read_u16(&reader);
    if (count > SL_STANZAS_MOST)
        return sl_fail(SL_ERR_DECODE, "an envelope for %zu recipients: at most %d", count,
                       SL_STANZAS_MOST);
    *needed = head + COUNT_BYTES + count * SL_STANZA_BYTES;
    return SL_OK;
}

/* The fields as far as the credential. */
static const char *read_fixed(sl_reader *reader, sl_seal_head *e) {
    e->kind = sl_read_u8(reader);
    uint8_t flags = sl_read_u8(reader);
    e->shared = flags & FLAG_SHARED;
    e->runs = sl_read_u8(reader);
    uint8_t chunk_log2 = sl_read_u8(reader);
    e->body_bytes = sl_read_u64(reader);
    e->created_s = sl_read_u64(reader);
    e->expires_s = sl_read_u64(reader);
    sl_read_copy(reader, e->id, sizeof e->id);
    sl_read_copy(reader, e->about, sizeof e->about);
    sl_read_copy(reader, e->commitment, sizeof e->commitment);
    e->credential.bytes = sl_read_u16(reader);
    e->open_part.bytes = sl_read_u32(reader);
    if (e->kind < SL_SEAL_TASK || e->kind > SL_SEAL_DATA)
        return "of an unknown kind";
    if (flags & ~FLAG_SHARED)
        return "with unknown flags";
    if (!e->runs)
        return "that may not be opened at all";
    if (chunk_log2 > log2_of(SL_CHUNK_MOST_BYTES) || chunk_log2 < log2_of(SL_CHUNK_LEAST_BYTES))
        return "with chunks of a size that is not allowed";
    e->chunk_bytes = 1u << chunk_log2;
    return NULL;
}

static const char *read_head(sl_reader *reader, sl_seal_head *e) {
    sl_read_bytes(reader, MAGIC_BYTES + 1);
    e->suite = sl_read_u8(reader);
    size_t head = sl_read_u32(reader);
    const uint8_t *begin = reader->at - PREFIX_BYTES;
    if (!sl_suite_known(e->suite))
        return "of an unknown suite";
    const char *fault = read_fixed(reader, e);
    if (fault)
        return fault;
    if (head != SL_ENVELOPE_FIXED_BYTES + e->credential.bytes + e->open_part.bytes +
                    SL_SIGNATURE_BYTES ||
        e->credential.bytes > SL_CREDENTIAL_MOST_BYTES ||
        e->open_part.bytes > SL_OPEN_PART_MOST_BYTES)
        return "whose lengths do not fit each other";
    e->credential.data = sl_read_bytes(reader, e->credential.bytes);
    e->open_part.data = sl_read_bytes(reader, e->open_part.bytes);
    e->signature = sl_read_bytes(reader, SL_SIGNATURE_BYTES);
    e->stanza_count = sl_read_u16(reader);
    e->stanzas = sl_read_bytes(reader, (size_t)e->stanza_count * SL_STANZA_BYTES);
    if (reader->bad)
        return "that ends too early";
    e->bytes = (size_t)(reader->at - begin);
    hash_head(begin, head - SL_SIGNATURE_BYTES, e->hash);
    return NULL;
}

sl_err sl_seal_head_read(const void *bytes, size_t size, sl_seal_head *envelope) {
    size_t needed;
    SL_TRY(sl_seal_head_measure(bytes, size, &needed));
    if (size < needed)
        return sl_fail(SL_ERR_DECODE, "an envelope's head ends too early");
    sl_seal_head read = {0};
    sl_reader reader = {bytes, (const uint8_t *)bytes + needed, false};
    const char *fault = read_head(&reader, &read);
    if (fault)
        return sl_fail(SL_ERR_DECODE, "an envelope %s", fault);
    *envelope = read;
    return SL_OK;
}

/* ---- checking ---- */

sl_err sl_seal_head_check(const sl_seal_head *envelope, sl_trust *trust, uint64_t now_s,
                          sl_peer *sender) {
    sl_peer peer;
    sl_part parts[2];
    SL_TRY(
        sl_trust_check(trust, envelope->credential.data, envelope->credential.bytes, now_s, &peer));
    sl_seal_head_signed_parts(envelope, parts);
    if (!sl_verify_parts(peer.certificate.identity, parts, 2, envelope->signature))
        return sl_fail(SL_ERR_SEAL, "an envelope is not signed by %s, its sender",
                       peer.certificate.name);
    sl_validity force = {
        envelope->created_s < CREATED_SLACK_S ? 0 : envelope->created_s - CREATED_SLACK_S,
        envelope->expires_s};
    SL_TRY(sl_validity_check(&force, now_s, "an envelope"));
    *sender = peer;
    return SL_OK;
}

const uint8_t *sl_seal_head_stanza(const sl_seal_head *envelope, const sl_identity *identity) {
    for (uint32_t i = 0; i < envelope->stanza_count; i++) {
        const uint8_t *stanza = envelope->stanzas + (size_t)i * SL_STANZA_BYTES;
        if (sl_identity_keys(identity, stanza))
            return stanza;
    }
    return NULL;
}
