/* Frames of any bytes, cut anywhere: what comes out does not depend on the cuts, and no more memory
 * is declared than the limits say. */
#include <stdlib.h>
#include <string.h>

#include "net/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct sum {
    uint64_t messages, bytes, hash;
} sum;

static void require(int truth) {
    if (!truth)
        abort();
}

static sl_err on_message(void *context, const uint8_t *data, size_t bytes, sl_blob *blob) {
    sum *to = context;
    require(!blob || (blob->data == data && blob->bytes == bytes));
    to->messages++;
    to->bytes += bytes;
    for (size_t i = 0; i < bytes; i++)
        to->hash = (to->hash ^ data[i]) * 0x100000001b3;
    return bytes == 13 ? SL_ERR_REFUSED : SL_OK;
}

static void on_bye(void *context, const char *why) {
    sum *to = context;
    require(strlen(why) <= SL_FRAME_BYE_MOST);
    to->hash ^= strlen(why);
}

static const sl_frame_ops ops = {on_message, on_bye};

static sl_err read_in(size_t piece, const uint8_t *data, size_t size, sum *to) {
    static const sl_frame_limits limits = {4096, 1 << 20, 3 << 19};
    sl_frame_reader reader;
    sl_err err = SL_OK;
    size_t from = 0, end = 0;
    sl_frame_reader_init(&reader, &ops, to, &limits);
    while (end < size && err == SL_OK) {
        size_t used;
        end = size - end < piece ? size : end + piece;
        err = sl_frame_read(&reader, data + from, end - from, UINT64_MAX, &used);
        require(used <= end - from && reader.declared <= limits.stream_bytes);
        from += used;
    }
    sl_frame_reader_fini(&reader);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sum whole = {0}, cut = {0};
    sl_err first = read_in(size, data, size, &whole);
    sl_err second = read_in(size ? 1 + data[0] % 32 : 1, data, size, &cut);
    require(first == second && memcmp(&whole, &cut, sizeof cut) == 0);
    return 0;
}
