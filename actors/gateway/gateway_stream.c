#include "actors/gateway/gateway_stream.h"

#include <stdlib.h>
#include <string.h>

/* Of a frame: with the link's head it is one frame there too. */
enum { FRAME_BYTES = 65536, PART_BYTES = FRAME_BYTES - SL_GATEWAY_HEAD_BYTES };

/* ---- out ---- */

void sl_stream_out_init(sl_stream_out *out) {
    *out = (sl_stream_out){.tail = &out->first};
}

static uint64_t size_of(const sl_stream_frame *frame) {
    return frame->bytes + (frame->blob ? frame->blob->bytes : 0);
}

static void free_frames(sl_stream_frame *frame) {
    for (sl_stream_frame *next; frame; frame = next) {
        next = frame->next;
        sl_blob_release(frame->blob);
        free(frame);
    }
}

void sl_stream_out_fini(sl_stream_out *out) {
    free_frames(out->first);
    sl_stream_out_init(out);
}

static sl_stream_frame *make_frame(sl_gateway_kind part, const uint8_t *data, size_t bytes,
                                   sl_blob *blob) {
    size_t head = part ? SL_GATEWAY_HEAD_BYTES : 0;
    sl_stream_frame *frame = malloc(sizeof *frame + head + bytes);
    if (!frame)
        return NULL;
    *frame = (sl_stream_frame){.bytes = (uint32_t)(head + bytes), .blob = sl_blob_retain(blob)};
    if (part)
        sl_gateway_head(frame->data, part, 0);
    if (bytes)
        memcpy(frame->data + head, data, bytes);
    return frame;
}

static void release_whole(void *whole, void *data) {
    (void)data;
    sl_blob_release(whole);
}

/* A part of a blob, which stays as long as that. */
static sl_stream_frame *make_part(sl_blob *whole, uint64_t offset, uint64_t bytes) {
    sl_blob *part;
    if (sl_blob_wrap(whole->data + offset, bytes, release_whole, whole, &part) != SL_OK)
        return NULL;
    sl_blob_retain(whole);
    sl_stream_frame *frame = make_frame(SL_GATEWAY_MORE, NULL, 0, part);
    sl_blob_release(part);
    return frame;
}

typedef struct chain {
    sl_stream_frame *first, **tail;
    uint64_t bytes;
} chain;

static bool add(chain *to, sl_stream_frame *frame) {
    if (!frame)
        return false;
    *to->tail = frame;
    to->tail = &frame->next;
    to->bytes += size_of(frame);
    return true;
}

static bool cut(chain *to, const uint8_t *message, size_t bytes, sl_blob *data) {
    uint64_t total = bytes + (data ? data->bytes : 0), some;
    if (!add(to, make_frame(SL_GATEWAY_LONG, (const uint8_t *)&total, sizeof total, NULL)))
        return false;
    for (uint64_t at = 0; at < bytes; at += some) {
        some = bytes - at < PART_BYTES ? bytes - at : PART_BYTES;
        if (!add(to, make_frame(SL_GATEWAY_MORE, message + at, some, NULL)))
            return false;
    }
    for (uint64_t at = 0; data && at < data->bytes; at += some) {
        some = data->bytes - at < PART_BYTES ? data->bytes - at : PART_BYTES;
        if (!add(to, make_part(data, at, some)))
            return false;
    }
    return true;
}

sl_err sl_stream_put(sl_stream_out *out, const uint8_t *message, size_t bytes, sl_blob *data) {
    chain parts = {.tail = &parts.first};
    bool whole = bytes + (data ? data->bytes : 0) <= FRAME_BYTES;
    if (!(whole ? add(&parts, make_frame(0, message, bytes, data))
                : cut(&parts, message, bytes, data))) {
        free_frames(parts.first);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a message of %zu bytes", bytes);
    }
    *out->tail = parts.first;
    out->tail = parts.tail;
    if (!out->unsent)
        out->unsent = parts.first;
    out->held_bytes += parts.bytes;
    out->unsent_bytes += parts.bytes;
    return SL_OK;
}

void sl_stream_sent(sl_stream_out *out) {
    out->unsent_bytes -= size_of(out->unsent);
    out->unsent = out->unsent->next;
    out->sent++;
}

sl_err sl_stream_taken(sl_stream_out *out, uint64_t count) {
    if (count > out->sent)
        return sl_fail(SL_ERR_DECODE, "%llu messages were taken of %llu", (unsigned long long)count,
                       (unsigned long long)out->sent);
    for (; out->taken < count && out->first; out->taken++) {
        sl_stream_frame *frame = out->first;
        out->first = frame->next;
        if (!out->first)
            out->tail = &out->first;
        out->held_bytes -= size_of(frame);
        frame->next = NULL;
        free_frames(frame);
    }
    return SL_OK;
}

void sl_stream_rewind(sl_stream_out *out) {
    out->unsent = out->first;
    out->unsent_bytes = out->held_bytes;
    out->sent = out->taken;
}

/* ---- in ---- */

void sl_stream_in_init(sl_stream_in *in, uint64_t most_bytes) {
    *in = (sl_stream_in){.most_bytes = most_bytes};
}

void sl_stream_in_fini(sl_stream_in *in) {
    sl_blob_release(in->blob);
    in->blob = NULL;
}

static sl_err begin(sl_stream_in *in, const uint8_t *frame, size_t size) {
    uint64_t total;
    if (in->got < (in->blob ? in->blob->bytes : 0) || size != SL_GATEWAY_HEAD_BYTES + sizeof total)
        return sl_fail(SL_ERR_DECODE, "a long message begins in another, or wrong");
    memcpy(&total, frame + SL_GATEWAY_HEAD_BYTES, sizeof total);
    if (!total || total > in->most_bytes)
        return sl_fail(SL_ERR_TOO_LARGE, "a message of %llu bytes; %llu are taken",
                       (unsigned long long)total, (unsigned long long)in->most_bytes);
    sl_stream_in_fini(in);
    in->got = 0;
    return sl_blob_create(total, &in->blob);
}

static sl_err go_on(sl_stream_in *in, const uint8_t *frame, size_t size, const uint8_t **message,
                    size_t *bytes) {
    uint64_t left = in->blob ? in->blob->bytes - in->got : 0;
    size -= SL_GATEWAY_HEAD_BYTES;
    if (!size || size > left)
        return sl_fail(SL_ERR_DECODE, "more of a long message than there is");
    memcpy(in->blob->data + in->got, frame + SL_GATEWAY_HEAD_BYTES, size);
    in->got += size;
    if (in->got < in->blob->bytes)
        return SL_OK;
    *message = in->blob->data;
    *bytes = in->blob->bytes;
    return SL_OK;
}

sl_err sl_stream_take(sl_stream_in *in, const uint8_t *frame, size_t size, const uint8_t **message,
                      size_t *bytes) {
    *message = NULL;
    *bytes = 0;
    if (size < SL_GATEWAY_HEAD_BYTES)
        return sl_fail(SL_ERR_DECODE, "no message of a gateway");
    in->count++;
    in->bytes += size;
    if (frame[0] == SL_GATEWAY_LONG)
        return begin(in, frame, size);
    if (frame[0] == SL_GATEWAY_MORE)
        return go_on(in, frame, size, message, bytes);
    if (in->blob && in->got < in->blob->bytes)
        return sl_fail(SL_ERR_DECODE, "a message in the midst of a long one");
    sl_stream_in_fini(in);
    in->got = 0;
    *message = frame;
    *bytes = size;
    return SL_OK;
}

bool sl_stream_must_tell(const sl_stream_in *in) {
    return in->count - in->told >= SL_STREAM_TELL_FRAMES ||
           (in->bytes >= SL_STREAM_TELL_BYTES && in->count > in->told);
}

void sl_stream_told(sl_stream_in *in) {
    in->told = in->count;
    in->bytes = 0;
}
