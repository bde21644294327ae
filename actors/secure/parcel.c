/* Design notes
 * The key of the chunks is derived from the data key and the whole head, so nothing of a head can
 * be changed; its random id makes two parcels unlike even if somebody used a key twice. */
#include "actors/secure/parcel.h"

#include <sodium.h>

#include "actors/secure/hkdf.h"
#include "actors/secure/secret.h"

#define MAGIC "SLPRCL"
#define LABEL "starlane parcel key v1"

enum { VERSION = 1, MAGIC_BYTES = sizeof MAGIC - 1, ID_BYTES = 16 };

_Static_assert(MAGIC_BYTES + 2 + 8 + ID_BYTES == SL_PARCEL_HEAD_BYTES, "the head");

typedef struct parcel_head {
    sl_suite suite;
    uint64_t bytes;
} parcel_head;

/* ---- keys ---- */

sl_err sl_parcel_key_create(uint8_t **data_key) {
    void *memory;
    SL_TRY(sl_secret_create(SL_PARCEL_KEY_BYTES, &memory));
    randombytes_buf(memory, SL_PARCEL_KEY_BYTES);
    *data_key = memory;
    return SL_OK;
}

sl_err sl_parcel_key_copy(const uint8_t data_key[SL_PARCEL_KEY_BYTES], uint8_t **copy) {
    void *memory;
    SL_TRY(sl_secret_create(SL_PARCEL_KEY_BYTES, &memory));
    memcpy(memory, data_key, SL_PARCEL_KEY_BYTES);
    *copy = memory;
    return SL_OK;
}

/* Begins with the chunks behind `head`, which is SL_PARCEL_HEAD_BYTES. */
static sl_err begin(const uint8_t data_key[SL_PARCEL_KEY_BYTES], const uint8_t *head,
                    sl_suite suite, bool sealing, sl_chunks **chunks) {
    uint8_t derived[SL_CHUNK_KEY_BYTES + SL_CHUNK_PREFIX_BYTES];
    const sl_part info[] = {{LABEL, sizeof LABEL}, {head, SL_PARCEL_HEAD_BYTES}};
    SL_TRY(sl_chunks_create(chunks));
    sl_hkdf_expand(data_key, info, SL_PART_COUNT(info), derived, sizeof derived);
    sl_err err = sl_chunks_begin(*chunks, suite, sealing, derived, derived + SL_CHUNK_KEY_BYTES);
    sl_secret_wipe(derived, sizeof derived);
    if (err != SL_OK)
        sl_chunks_destroy(*chunks);
    return err;
}

/* ---- sizes ---- */

/* Data of no bytes are one empty chunk. */
static uint64_t chunks_of(uint64_t bytes) {
    return bytes ? (bytes - 1) / SL_PARCEL_CHUNK_BYTES + 1 : 1;
}

uint64_t sl_parcel_bytes(uint64_t bytes) {
    return SL_PARCEL_HEAD_BYTES + bytes + chunks_of(bytes) * SL_CHUNK_TAG_BYTES;
}

static sl_err read_head(const void *parcel, uint64_t size, parcel_head *head) {
    const uint8_t *at = parcel;
    sl_reader reader = {at, at + (size < SL_PARCEL_HEAD_BYTES ? size : SL_PARCEL_HEAD_BYTES),
                        false};
    const uint8_t *magic = sl_read_bytes(&reader, MAGIC_BYTES);
    uint8_t version = sl_read_u8(&reader), suite = sl_read_u8(&reader);
    head->bytes = sl_read_u64(&reader);
    (void)sl_read_bytes(&reader, ID_BYTES);
    if (reader.bad || memcmp(magic, MAGIC, MAGIC_BYTES) != 0)
        return sl_fail(SL_ERR_DECODE, "this is no sealed parcel");
    if (version != VERSION || !sl_suite_known(suite))
        return sl_fail(SL_ERR_DECODE, "a sealed parcel of version %u, suite %u", version, suite);
    head->suite = (sl_suite)suite;
    if (head->bytes > size || sl_parcel_bytes(head->bytes) != size)
        return sl_fail(SL_ERR_DECODE, "a sealed parcel of %llu bytes was cut, or something added",
                       (unsigned long long)head->bytes);
    return SL_OK;
}

sl_err sl_parcel_measure(const void *parcel, uint64_t size, uint64_t *bytes) {
    parcel_head head;
    SL_TRY(read_head(parcel, size, &head));
    *bytes = head.bytes;
    return SL_OK;
}

/* ---- sealing and opening ---- */

static size_t next_bytes(uint64_t left) {
    return left < SL_PARCEL_CHUNK_BYTES ? (size_t)left : SL_PARCEL_CHUNK_BYTES;
}

static sl_err seal_chunks(sl_chunks *chunks, const uint8_t *from, uint64_t left, uint8_t *out) {
    for (bool last = false; !last;) {
        size_t bytes = next_bytes(left);
        last = bytes == left;
        SL_TRY(sl_chunks_seal(chunks, from, bytes, last, out, out + bytes));
        from += bytes, left -= bytes;
        out += bytes + SL_CHUNK_TAG_BYTES;
    }
    return SL_OK;
}

sl_err sl_parcel_seal(const uint8_t data_key[SL_PARCEL_KEY_BYTES], const void *from, uint64_t bytes,
                      uint8_t *out) {
    sl_chunks *chunks = NULL;
    sl_suite suite = sl_suite_best();
    uint8_t *at = sl_write_bytes(out, MAGIC, MAGIC_BYTES);
    at = sl_write_number(at, VERSION, 1);
    at = sl_write_number(at, suite, 1);
    at = sl_write_number(at, bytes, 8);
    randombytes_buf(at, ID_BYTES);
    SL_TRY(begin(data_key, out, suite, true, &chunks));
    sl_err err = seal_chunks(chunks, from, bytes, at + ID_BYTES);
    sl_chunks_destroy(chunks);
    return err;
}

static sl_err open_chunks(sl_chunks *chunks, const uint8_t *from, uint64_t left, uint8_t *to) {
    for (bool last = false; !last;) {
        size_t bytes = next_bytes(left);
        last = bytes == left;
        SL_TRY(sl_chunks_open(chunks, from, bytes, last, from + bytes, to));
        from += bytes + SL_CHUNK_TAG_BYTES;
        to += bytes, left -= bytes;
    }
    return SL_OK;
}

sl_err sl_parcel_open(const uint8_t data_key[SL_PARCEL_KEY_BYTES], const void *parcel,
                      uint64_t size, uint8_t *to) {
    parcel_head head;
    sl_chunks *chunks = NULL;
    const uint8_t *at = parcel;
    SL_TRY(read_head(parcel, size, &head));
    SL_TRY(begin(data_key, at, head.suite, false, &chunks));
    sl_err err = open_chunks(chunks, at + SL_PARCEL_HEAD_BYTES, head.bytes, to);
    sl_chunks_destroy(chunks);
    if (err != SL_OK)
        sl_secret_wipe(to, (size_t)head.bytes);
    return err;
}
