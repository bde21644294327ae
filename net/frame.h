/* Frames: how messages lie in the byte stream of a link.
 *
 *   u32 payload bytes, u8 kind, u8 zero, u16 stream; then the payload (little endian)
 *
 * A message of at most SL_FRAME_PAYLOAD_MOST bytes is one frame. A larger one is a stream: its
 * first frame begins with its length (u64), the others follow in order, and frames of other
 * messages may lie between them. Several streams run side by side, each under a number that is free
 * again once it has ended.
 *
 * Reading is pure: bytes go in, messages come out, and whatever the bytes are, no more memory is
 * taken than the limits say. Not thread safe. */
#ifndef SL_NET_FRAME_H
#define SL_NET_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/blob.h"
#include "runtime/err.h"

enum {
    SL_FRAME_HEAD_BYTES = 8,
    SL_FRAME_PAYLOAD_MOST = 65536,
    SL_FRAME_STREAMS = 8,
    SL_FRAME_BYE_MOST = 512
};

typedef enum sl_frame_kind {
    SL_FRAME_WHOLE = 1, /* a message */
    SL_FRAME_BEGIN = 2, /* of a stream */
    SL_FRAME_MORE = 3,  /* of a stream */
    SL_FRAME_BEAT = 4,  /* nothing but a sign of life */
    SL_FRAME_BYE = 5    /* the last frame: why the sender closes, as text */
} sl_frame_kind;

/* Writes a head to `out`. */
void sl_frame_put_head(uint8_t out[SL_FRAME_HEAD_BYTES], sl_frame_kind kind, uint16_t stream,
                       uint32_t bytes);

/* What one may send. The sums hold for all of its streams together. */
typedef struct sl_frame_limits {
    uint32_t frame_bytes;   /* of a frame's payload; 512 … SL_FRAME_PAYLOAD_MOST */
    uint64_t message_bytes; /* of one stream */
    uint64_t stream_bytes;  /* declared by streams that have not ended; 0: no streams */
} sl_frame_limits;

typedef struct sl_frame_ops {
    /* A message. `blob` is NULL, or holds the data: retain it to keep them. An error ends the
     * reading, and is what sl_frame_read() returns. */
    sl_err (*message)(void *context, const uint8_t *data, size_t bytes, sl_blob *blob);
    /* The other side closes. `why` is text without control characters. */
    void (*bye)(void *context, const char *why);
} sl_frame_ops;

typedef struct sl_frame_stream {
    sl_blob *blob; /* NULL: this number is free */
    uint64_t got;
} sl_frame_stream;

typedef struct sl_frame_reader {
    const sl_frame_ops *ops;
    void *context;
    sl_frame_limits limits;
    sl_frame_stream streams[SL_FRAME_STREAMS];
    uint64_t declared; /* by streams under way */
    uint64_t frames;   /* of any kind, so far */
    bool left;         /* it said goodbye */
} sl_frame_reader;

void sl_frame_reader_init(sl_frame_reader *reader, const sl_frame_ops *ops, void *context,
                          const sl_frame_limits *limits);
void sl_frame_reader_fini(sl_frame_reader *reader);

/* Takes the whole frames at the beginning of `data`, at most `most` of them, and says in `*used`
 * how many bytes they were. Errors say what is wrong: SL_ERR_DECODE, SL_ERR_TOO_LARGE (over a
 * limit), SL_ERR_NO_MEMORY, or what `message` returned; then nothing more can be read. */
sl_err sl_frame_read(sl_frame_reader *reader, const uint8_t *data, size_t bytes, uint64_t most,
                     size_t *used) SL_CHECKED;

#endif
