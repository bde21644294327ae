/* The messages of a session, in order, over as many connections as it takes.
 *
 * Each side keeps what it has sent until the other says how many frames it has got: at the latest
 * in the first words of the next connection, which goes on from there. So nothing is lost and
 * nothing comes twice, wherever a connection breaks. A frame is a message of a link, of one frame
 * there, so that all come in the order they were sent; what is larger than that is cut:
 *
 *   SL_GATEWAY_LONG with the length, then SL_GATEWAY_MORE, until all of it has come
 *
 * Not thread safe. */
#ifndef SL_GATEWAY_STREAM_H
#define SL_GATEWAY_STREAM_H

#include "actors/gateway/gateway_msgs.h"
#include "runtime/blob.h"

/* When so much has come since the other side was told, it is told. */
enum { SL_STREAM_TELL_FRAMES = 64, SL_STREAM_TELL_BYTES = 1 << 20 };

typedef struct sl_stream_frame {
    struct sl_stream_frame *next;
    sl_blob *blob; /* goes behind the bytes; NULL: nothing */
    uint32_t bytes;
    uint8_t data[];
} sl_stream_frame;

typedef struct sl_stream_out {
    sl_stream_frame *first, *unsent, **tail;
    uint64_t taken; /* frames that the other side is known to have */
    uint64_t sent;  /* on this connection, or taken */
    uint64_t held_bytes, unsent_bytes;
} sl_stream_out;

void sl_stream_out_init(sl_stream_out *out);
void sl_stream_out_fini(sl_stream_out *out);

/* Adds a message, copied, and `data` behind it (retained; NULL: none). All or nothing:
 * SL_ERR_NO_MEMORY. */
sl_err sl_stream_put(sl_stream_out *out, const uint8_t *message, size_t bytes,
                     sl_blob *data) SL_CHECKED;

/* out->unsent, which is not NULL, has been sent. */
void sl_stream_sent(sl_stream_out *out);

/* The other side has got `count` frames in all. SL_ERR_DECODE: so many were never sent. */
sl_err sl_stream_taken(sl_stream_out *out, uint64_t count) SL_CHECKED;

/* A new connection: what is not known to be taken is to be sent again. */
void sl_stream_rewind(sl_stream_out *out);

typedef struct sl_stream_in {
    uint64_t count, told; /* frames that have come, and how many of them the other side knows of */
    uint64_t bytes;       /* that have come since */
    uint64_t most_bytes;  /* of a message */
    sl_blob *blob;        /* a message that comes in parts */
    uint64_t got;         /* of it */
} sl_stream_in;

void sl_stream_in_init(sl_stream_in *in, uint64_t most_bytes);
void sl_stream_in_fini(sl_stream_in *in);

/* Takes a frame. `*message` is the message that it is, or ends, valid until the next call; NULL:
 * more is to come. SL_ERR_DECODE, SL_ERR_TOO_LARGE, SL_ERR_NO_MEMORY. */
sl_err sl_stream_take(sl_stream_in *in, const uint8_t *frame, size_t size, const uint8_t **message,
                      size_t *bytes) SL_CHECKED;

/* Is the other side to be told how much has come? */
bool sl_stream_must_tell(const sl_stream_in *in);
void sl_stream_told(sl_stream_in *in);

#endif
