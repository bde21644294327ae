/* A session's messages over connections that end at any frame. */
#include "actors/gateway/gateway_stream.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/test.h"

enum { MESSAGES = 200 };

typedef struct reader {
    sl_stream_in in;
    uint32_t next; /* message that is due */
    uint32_t wrong;
} reader;

static size_t size_of(uint32_t number) {
    static const size_t sizes[] = {8, 9, 5000, 65536, 65537, 131072, 200000};
    return sizes[number % (sizeof sizes / sizeof *sizes)];
}

static uint8_t *message_of(uint32_t number) {
    size_t size = size_of(number);
    uint8_t *message = malloc(size);
    for (size_t i = 0; i < size; i++)
        message[i] = (uint8_t)(number * 3 + i * 5 + i / 1000);
    memset(message, 0, SL_GATEWAY_HEAD_BYTES);
    message[0] = SL_GATEWAY_SUBMIT;
    return message;
}

static void put(sl_stream_out *out, uint32_t number) {
    uint8_t *message = message_of(number);
    size_t size = size_of(number), head = number % 2 ? size : 8 + (size - 8) / 3;
    sl_blob *blob = NULL;
    if (head < size)
        REQUIRE(sl_blob_copy(message + head, size - head, &blob) == SL_OK);
    CHECK_INT(sl_stream_put(out, message, head, blob), SL_OK);
    sl_blob_release(blob);
    free(message);
}

static void take(reader *to, const sl_stream_frame *frame) {
    uint8_t bytes[70000];
    size_t size = frame->bytes, got;
    const uint8_t *message;
    memcpy(bytes, frame->data, frame->bytes);
    if (frame->blob) {
        memcpy(bytes + size, frame->blob->data, frame->blob->bytes);
        size += frame->blob->bytes;
    }
    CHECK(size <= 65536);
    CHECK_INT(sl_stream_take(&to->in, bytes, size, &message, &got), SL_OK);
    if (!message)
        return;
    uint8_t *due = message_of(to->next);
    to->wrong += got != size_of(to->next) || memcmp(message, due, got) != 0;
    free(due);
    to->next++;
}

/* Frames arrive, get lost with their connection, and are sent again; some words of what was taken
 * come late, or not at all. */
TEST(each_message_comes_once_and_in_order) {
    sl_stream_out out;
    reader to = {.next = 0};
    uint32_t given = 0, seed = 1;
    sl_stream_out_init(&out);
    sl_stream_in_init(&to.in, 1 << 20);
    while (to.next < MESSAGES) {
        seed = seed * 1103515245 + 12345;
        uint32_t dice = seed >> 16;
        if (given < MESSAGES && dice % 3)
            put(&out, given++);
        for (uint32_t i = dice % 7; i && out.unsent; i--) {
            const sl_stream_frame *frame = out.unsent;
            bool arrives = dice % 11 != 0;
            sl_stream_sent(&out);
            if (!arrives) { /* nor does anything after it: a new connection */
                CHECK_INT(sl_stream_taken(&out, to.in.count), SL_OK);
                sl_stream_rewind(&out);
                break;
            }
            take(&to, frame);
        }
        if (dice % 5 == 0)
            CHECK_INT(sl_stream_taken(&out, to.in.count), SL_OK);
    }
    CHECK_INT(to.wrong, 0);
    CHECK_INT(given, MESSAGES);
    CHECK_INT(sl_stream_taken(&out, to.in.count), SL_OK);
    CHECK_INT(out.held_bytes, 0);
    CHECK(!out.first);
    CHECK_INT(sl_stream_taken(&out, to.in.count + 1), SL_ERR_DECODE);
    sl_stream_out_fini(&out);
    sl_stream_in_fini(&to.in);
}

TEST(what_is_kept_is_bounded_by_what_is_told) {
    sl_stream_out out;
    sl_stream_in in;
    uint8_t message[1000] = {SL_GATEWAY_SUBMIT};
    const uint8_t *got;
    size_t bytes;
    sl_stream_out_init(&out);
    sl_stream_in_init(&in, 1 << 20);
    CHECK(!sl_stream_must_tell(&in));
    for (int i = 0; i < SL_STREAM_TELL_FRAMES; i++) {
        CHECK_INT(sl_stream_put(&out, message, sizeof message, NULL), SL_OK);
        CHECK_INT(sl_stream_take(&in, message, sizeof message, &got, &bytes), SL_OK);
        CHECK(sl_stream_must_tell(&in) == (i == SL_STREAM_TELL_FRAMES - 1));
        sl_stream_sent(&out);
    }
    CHECK_INT(out.held_bytes, 1000 * SL_STREAM_TELL_FRAMES);
    CHECK_INT(out.unsent_bytes, 0);
    sl_stream_told(&in);
    CHECK(!sl_stream_must_tell(&in));
    CHECK_INT(sl_stream_taken(&out, 10), SL_OK);
    CHECK_INT(out.held_bytes, 1000 * (SL_STREAM_TELL_FRAMES - 10));
    sl_stream_rewind(&out);
    CHECK_INT(out.unsent_bytes, out.held_bytes);
    CHECK_INT(sl_stream_taken(&out, 11), SL_ERR_DECODE); /* not sent again yet */
    sl_stream_out_fini(&out);
    sl_stream_in_fini(&in);
}
