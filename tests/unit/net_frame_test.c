/* Frames of a link: what is taken, and what is not. */
#include "net/frame.h"

#include "tests/lib/test.h"

typedef struct sink {
    uint32_t messages;
    uint64_t bytes;
    uint8_t last[70000];
    size_t last_bytes;
    bool in_blob;
    char bye[600];
} sink;

static sl_err on_message(void *context, const uint8_t *data, size_t bytes, sl_blob *blob) {
    sink *to = context;
    to->messages++;
    to->bytes += bytes;
    to->in_blob = blob != NULL;
    to->last_bytes = bytes;
    if (bytes && bytes <= sizeof to->last)
        memcpy(to->last, data, bytes);
    return bytes == 4 && memcmp(data, "stop", 4) == 0 ? sl_fail(SL_ERR_REFUSED, "told to stop")
                                                      : SL_OK;
}

static void on_bye(void *context, const char *why) {
    snprintf(((sink *)context)->bye, 600, "%s", why);
}

static const sl_frame_ops ops = {on_message, on_bye};
static const sl_frame_limits limits = {SL_FRAME_PAYLOAD_MOST, 100000, 150000};

static size_t put(uint8_t *at, sl_frame_kind kind, uint16_t stream, const void *data,
                  size_t bytes) {
    sl_frame_put_head(at, kind, stream, (uint32_t)bytes);
    if (bytes)
        memcpy(at + SL_FRAME_HEAD_BYTES, data, bytes);
    return SL_FRAME_HEAD_BYTES + bytes;
}

static size_t put_begin(uint8_t *at, uint16_t stream, uint64_t total, const char *data) {
    uint8_t payload[256];
    memcpy(payload, &total, 8);
    memcpy(payload + 8, data, strlen(data));
    return put(at, SL_FRAME_BEGIN, stream, payload, 8 + strlen(data));
}

static sl_err read_once(sink *to, const uint8_t *data, size_t bytes) {
    sl_frame_reader reader;
    size_t used;
    sl_frame_reader_init(&reader, &ops, to, &limits);
    sl_err err = sl_frame_read(&reader, data, bytes, UINT64_MAX, &used);
    sl_frame_reader_fini(&reader);
    return err;
}

TEST(messages_come_out_however_the_bytes_are_cut) {
    uint8_t wire[1024];
    size_t bytes = put(wire, SL_FRAME_WHOLE, 0, "hello", 5);
    bytes += put(wire + bytes, SL_FRAME_BEAT, 0, NULL, 0);
    bytes += put_begin(wire + bytes, 3, 10, "abcd");
    bytes += put(wire + bytes, SL_FRAME_WHOLE, 0, "between", 7);
    bytes += put(wire + bytes, SL_FRAME_MORE, 3, "efghij", 6);
    for (size_t piece = 1; piece <= bytes; piece++) {
        sl_frame_reader reader;
        sink to = {};
        size_t from = 0;
        sl_frame_reader_init(&reader, &ops, &to, &limits);
        for (size_t end = piece; from < bytes; end = end + piece < bytes ? end + piece : bytes) {
            size_t used;
            if (end > bytes)
                end = bytes;
            REQUIRE(sl_frame_read(&reader, wire + from, end - from, UINT64_MAX, &used) == SL_OK);
            from += used;
        }
        CHECK_INT(to.messages, 3);
        CHECK(to.in_blob && to.last_bytes == 10 && memcmp(to.last, "abcdefghij", 10) == 0);
        CHECK_INT(reader.declared, 0);
        CHECK_INT(reader.frames, 5);
        sl_frame_reader_fini(&reader);
    }
}

TEST(no_more_frames_are_taken_than_asked_for) {
    uint8_t wire[64];
    size_t bytes = 0, used;
    sl_frame_reader reader;
    sink to = {};
    for (int i = 0; i < 3; i++)
        bytes += put(wire + bytes, SL_FRAME_WHOLE, 0, "x", 1);
    sl_frame_reader_init(&reader, &ops, &to, &limits);
    CHECK_INT(sl_frame_read(&reader, wire, bytes, 2, &used), SL_OK);
    CHECK_INT(to.messages, 2);
    CHECK_INT(used, 18);
    sl_frame_reader_fini(&reader);
}

TEST(a_goodbye_is_text_and_the_last_word) {
    uint8_t wire[128];
    sink to = {};
    size_t bytes = put(wire, SL_FRAME_BYE, 0, "so\x1b[1m long\n", 12);
    bytes += put(wire + bytes, SL_FRAME_WHOLE, 0, "late", 4);
    CHECK_INT(read_once(&to, wire, bytes), SL_OK);
    CHECK_STR(to.bye, "so?[1m long?");
    CHECK_INT(to.messages, 0);
}

TEST(what_is_no_frame_is_refused_and_says_why) {
    uint8_t wire[512];
    sink to = {};
    sl_frame_put_head(wire, SL_FRAME_WHOLE, 0, SL_FRAME_PAYLOAD_MOST + 1);
    CHECK_INT(read_once(&to, wire, SL_FRAME_HEAD_BYTES), SL_ERR_TOO_LARGE);
    CHECK_CONTAINS(sl_err_detail(), "65537");
    CHECK_INT(read_once(&to, wire, put(wire, 99, 0, NULL, 0)), SL_ERR_DECODE);
    CHECK_INT(read_once(&to, wire, put(wire, SL_FRAME_WHOLE, SL_FRAME_STREAMS, "", 0)),
              SL_ERR_DECODE);
    put(wire, SL_FRAME_WHOLE, 0, NULL, 0);
    wire[5] = 1;
    CHECK_INT(read_once(&to, wire, SL_FRAME_HEAD_BYTES), SL_ERR_DECODE);
    CHECK_INT(read_once(&to, wire, put(wire, SL_FRAME_BEAT, 0, "x", 1)), SL_ERR_DECODE);
    CHECK_INT(read_once(&to, wire, put(wire, SL_FRAME_MORE, 0, "x", 1)), SL_ERR_DECODE);
    CHECK_CONTAINS(sl_err_detail(), "without having begun");
    CHECK_INT(read_once(&to, wire, put(wire, SL_FRAME_BEGIN, 0, "short", 5)), SL_ERR_DECODE);
    CHECK_INT(read_once(&to, wire, put_begin(wire, 0, 2, "three")), SL_ERR_DECODE);
    CHECK_CONTAINS(sl_err_detail(), "longer than it said");
    size_t bytes = put_begin(wire, 0, 9, "x");
    CHECK_INT(read_once(&to, wire, bytes + put_begin(wire + bytes, 0, 9, "x")), SL_ERR_DECODE);
    CHECK_INT(read_once(&to, wire, bytes + put(wire + bytes, SL_FRAME_MORE, 0, NULL, 0)),
              SL_ERR_DECODE);
    CHECK_INT(read_once(&to, wire, put(wire, SL_FRAME_WHOLE, 0, "stop", 4)), SL_ERR_REFUSED);
    CHECK_INT(to.messages, 1);
}

TEST(streams_take_no_more_than_the_limits_say) {
    uint8_t wire[512];
    sink to = {};
    CHECK_INT(read_once(&to, wire, put_begin(wire, 0, 100001, "x")), SL_ERR_TOO_LARGE);
    CHECK_INT(read_once(&to, wire, put_begin(wire, 0, UINT64_MAX, "x")), SL_ERR_TOO_LARGE);
    size_t bytes = put_begin(wire, 0, 100000, "x");
    CHECK_INT(read_once(&to, wire, bytes), SL_OK);
    CHECK_INT(read_once(&to, wire, bytes + put_begin(wire + bytes, 1, 50001, "x")),
              SL_ERR_TOO_LARGE);
    CHECK_INT(read_once(&to, wire, bytes + put_begin(wire + bytes, 1, 50000, "x")), SL_OK);
    CHECK_INT(to.messages, 0);
}

TEST(a_stranger_sends_small_frames_only) {
    uint8_t wire[64];
    size_t used;
    sink to = {};
    sl_frame_reader reader;
    sl_frame_limits stranger = {.frame_bytes = 512};
    sl_frame_reader_init(&reader, &ops, &to, &stranger);
    size_t bytes = put_begin(wire, 0, 8, "x");
    CHECK_INT(sl_frame_read(&reader, wire, bytes, 9, &used), SL_ERR_TOO_LARGE);
    sl_frame_put_head(wire, SL_FRAME_WHOLE, 0, 513);
    CHECK_INT(sl_frame_read(&reader, wire, SL_FRAME_HEAD_BYTES, 9, &used), SL_ERR_TOO_LARGE);
    sl_frame_reader_fini(&reader);
}
