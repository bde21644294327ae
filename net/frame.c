/* Design notes
 * A stream's memory is asked for when it begins, as its length is known and within the limits; the
 * system gives pages only as bytes arrive. The limits may be raised while bytes come in (a peer
 * that has shown its key may send more), so they are looked at with every frame. */
#include "net/frame.h"

#include <string.h>

static uint64_t get_little(const uint8_t *at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static void put_little(uint8_t *at, size_t bytes, uint64_t value) {
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

void sl_frame_put_head(uint8_t out[SL_FRAME_HEAD_BYTES], sl_frame_kind kind, uint16_t stream,
                       uint32_t bytes) {
    put_little(out, 4, bytes);
    out[4] = (uint8_t)kind;
    out[5] = 0;
    put_little(out + 6, 2, stream);
}

void sl_frame_reader_init(sl_frame_reader *reader, const sl_frame_ops *ops, void *context,
                          const sl_frame_limits *limits) {
    *reader = (sl_frame_reader){.ops = ops, .context = context, .limits = *limits};
}

void sl_frame_reader_fini(sl_frame_reader *reader) {
    for (int i = 0; i < SL_FRAME_STREAMS; i++) {
        sl_blob_release(reader->streams[i].blob);
        reader->streams[i].blob = NULL;
    }
}

static sl_err begin_stream(sl_frame_reader *reader, uint16_t number, const uint8_t *payload,
                           uint32_t bytes) {
    sl_frame_stream *stream = &reader->streams[number];
    if (stream->blob)
        return sl_fail(SL_ERR_DECODE, "stream %u begins before it has ended", number);
    if (bytes < sizeof(uint64_t))
        return sl_fail(SL_ERR_DECODE, "stream %u begins without its length", number);
    uint64_t total = get_little(payload, sizeof(uint64_t));
    if (total > reader->limits.message_bytes || total > reader->limits.stream_bytes ||
        reader->declared > reader->limits.stream_bytes - total)
        return sl_fail(SL_ERR_TOO_LARGE,
                       "a message of %llu bytes; %llu are taken, of all that are under way %llu",
                       (unsigned long long)total, (unsigned long long)reader->limits.message_bytes,
                       (unsigned long long)reader->limits.stream_bytes);
    SL_TRY(sl_blob_create(total, &stream->blob));
    stream->got = 0;
    reader->declared += total;
    return SL_OK;
}

static sl_err add_to_stream(sl_frame_reader *reader, uint16_t number, const uint8_t *data,
                            size_t bytes) {
    sl_frame_stream *stream = &reader->streams[number];
    if (!stream->blob)
        return sl_fail(SL_ERR_DECODE, "stream %u goes on without having begun", number);
    if (bytes > stream->blob->bytes - stream->got)
        return sl_fail(SL_ERR_DECODE, "stream %u is longer than it said", number);
    if (bytes)
        memcpy(stream->blob->data + stream->got, data, bytes);
    stream->got += bytes;
    if (stream->got < stream->blob->bytes)
        return SL_OK;
    sl_blob *blob = stream->blob;
    stream->blob = NULL;
    reader->declared -= blob->bytes;
    sl_err err = reader->ops->message(reader->context, blob->data, blob->bytes, blob);
    sl_blob_release(blob);
    return err;
}

static sl_err take_bye(sl_frame_reader *reader, const uint8_t *payload, uint32_t bytes) {
    char why[SL_FRAME_BYE_MOST + 1];
    if (bytes > SL_FRAME_BYE_MOST)
        return sl_fail(SL_ERR_DECODE, "a goodbye of %u bytes", bytes);
    for (uint32_t i = 0; i < bytes; i++)
        why[i] = payload[i] < 0x20 || payload[i] == 0x7f ? '?' : (char)payload[i];
    why[bytes] = '\0';
    reader->left = true;
    reader->ops->bye(reader->context, why);
    return SL_OK;
}

static sl_err take_frame(sl_frame_reader *reader, uint8_t kind, uint16_t stream,
                         const uint8_t *payload, uint32_t bytes) {
    switch (kind) {
    case SL_FRAME_WHOLE:
        return reader->ops->message(reader->context, payload, bytes, NULL);
    case SL_FRAME_BEGIN:
        SL_TRY(begin_stream(reader, stream, payload, bytes));
        return add_to_stream(reader, stream, payload + 8, bytes - 8);
    case SL_FRAME_MORE:
        if (!bytes)
            return sl_fail(SL_ERR_DECODE, "stream %u goes on with nothing", stream);
        return add_to_stream(reader, stream, payload, bytes);
    case SL_FRAME_BEAT:
        return bytes ? sl_fail(SL_ERR_DECODE, "a heartbeat of %u bytes", bytes) : SL_OK;
    case SL_FRAME_BYE:
        return take_bye(reader, payload, bytes);
    default:
        return sl_fail(SL_ERR_DECODE, "a frame of kind %u", kind);
    }
}

sl_err sl_frame_read(sl_frame_reader *reader, const uint8_t *data, size_t bytes, uint64_t most,
                     size_t *used) {
    *used = 0;
    for (; most && !reader->left && bytes - *used >= SL_FRAME_HEAD_BYTES; most--) {
        const uint8_t *head = data + *used;
        uint32_t payload = (uint32_t)get_little(head, 4);
        uint16_t stream = (uint16_t)get_little(head + 6, 2);
        if (payload > reader->limits.frame_bytes)
            return sl_fail(SL_ERR_TOO_LARGE, "a frame of %u bytes; at most %u are taken here",
                           payload, reader->limits.frame_bytes);
        if (head[5] != 0 || stream >= SL_FRAME_STREAMS)
            return sl_fail(SL_ERR_DECODE, "no head of a frame");
        if (bytes - *used - SL_FRAME_HEAD_BYTES < payload)
            break;
        reader->frames++;
        SL_TRY(take_frame(reader, head[4], stream, head + SL_FRAME_HEAD_BYTES, payload));
        *used += SL_FRAME_HEAD_BYTES + payload;
    }
    return SL_OK;
}
