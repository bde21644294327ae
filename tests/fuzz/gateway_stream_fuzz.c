/* Frames of a session, of any bytes: no message is longer than the bound or comes out before all of
 * it is there, and each frame is counted once. */
#include <stdlib.h>
#include <string.h>

#include "actors/gateway/gateway_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 5000 };

static void require(int truth) {
    if (!truth)
        abort();
}

/* Each frame is a length of two bytes, and so many more. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sl_stream_in in;
    uint64_t frames = 0, given = 0, taken = 0;
    sl_stream_in_init(&in, MOST);
    for (size_t at = 0; at + 2 <= size;) {
        size_t length = data[at] + 256u * data[at + 1], bytes, left = size - at - 2;
        const uint8_t *message;
        if (length > left)
            length = left;
        uint8_t *frame = malloc(length + 1);
        require(frame != NULL);
        memcpy(frame, data + at + 2, length);
        sl_err err = sl_stream_take(&in, frame, length, &message, &bytes);
        given += length;
        at += 2 + length;
        if (err == SL_OK && message) {
            taken += bytes;
            require(bytes <= MOST || message == frame);
            for (size_t i = 0; i < bytes; i++)
                require(message[i] <= 255); /* it can be read */
        }
        free(frame);
        if (err != SL_OK)
            break;
        require(in.count == ++frames);
        require(taken <= given);
        if (sl_stream_must_tell(&in))
            sl_stream_told(&in);
    }
    sl_stream_in_fini(&in);
    return 0;
}
