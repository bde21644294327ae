/* Fixed layouts, little endian: what certificates, key files and envelopes are made of. A reader
 * never passes its end: what is not there reads as zeros and leaves the reader bad. A writer's
 * caller has measured the room. */
#ifndef SL_SECURE_WIRE_H
#define SL_SECURE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes to be hashed, signed or sealed one after another. */
typedef struct sl_part {
    const void *data;
    size_t bytes;
} sl_part;

#define SL_PART_COUNT(parts) (sizeof(parts) / sizeof *(parts))

typedef struct sl_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
} sl_reader;

/* The next `bytes`, or NULL. */
static inline const uint8_t *sl_read_bytes(sl_reader *reader, size_t bytes) {
    if (reader->bad || (size_t)(reader->end - reader->at) < bytes) {
        reader->bad = true;
        return NULL;
    }
    reader->at += bytes;
    return reader->at - bytes;
}

static inline void sl_read_copy(sl_reader *reader, void *to, size_t bytes) {
    const uint8_t *from = sl_read_bytes(reader, bytes);
    if (from)
        memcpy(to, from, bytes);
    else
        memset(to, 0, bytes);
}

static inline uint64_t sl_read_number(sl_reader *reader, size_t bytes) {
    const uint8_t *from = sl_read_bytes(reader, bytes);
    uint64_t value = 0;
    for (size_t i = 0; from && i < bytes; i++)
        value |= (uint64_t)from[i] << 8 * i;
    return value;
}

static inline uint8_t sl_read_u8(sl_reader *reader) {
    return (uint8_t)sl_read_number(reader, 1);
}

static inline uint16_t sl_read_u16(sl_reader *reader) {
    return (uint16_t)sl_read_number(reader, 2);
}

static inline uint32_t sl_read_u32(sl_reader *reader) {
    return (uint32_t)sl_read_number(reader, 4);
}

static inline uint64_t sl_read_u64(sl_reader *reader) {
    return sl_read_number(reader, 8);
}

/* All of these return where the next one goes. */
static inline uint8_t *sl_write_bytes(uint8_t *to, const void *from, size_t bytes) {
    if (bytes)
        memcpy(to, from, bytes);
    return to + bytes;
}

static inline uint8_t *sl_write_number(uint8_t *to, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * i);
    return to + bytes;
}

#endif
