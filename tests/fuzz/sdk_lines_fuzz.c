/* Lines of a file of any bytes, held against a plain search for line feeds. The first byte is the
 * longest line allowed. */
#include "sdk/line_reader.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

/* The line at *at as it should be read, and moves on; false at the end. */
static bool expect(const uint8_t **at, const uint8_t *end, const uint8_t **line, size_t *length) {
    if (*at == end)
        return false;
    const uint8_t *newline = memchr(*at, '\n', (size_t)(end - *at));
    *line = *at;
    *length = (size_t)((newline ? newline : end) - *at);
    *at = newline ? newline + 1 : end;
    if (*length && (*line)[*length - 1] == '\r')
        --*length;
    return true;
}

static void compare(sl_line_reader *reader, const uint8_t *data, size_t size, size_t limit) {
    const uint8_t *end = data + size, *line;
    size_t length, got, bad;
    char *text;
    if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
        data += 3;
    for (;;) {
        sl_err err = sl_line_reader_next(reader, &text, &got);
        if (!expect(&data, end, &line, &length)) {
            require(err == SL_ERR_CLOSED);
            return;
        }
        require(err == (length > limit ? SL_ERR_TOO_LARGE : SL_OK));
        if (err != SL_OK)
            continue;
        require(got == length && memcmp(text, line, length) == 0 && text[length] == '\0');
        if (!sl_utf8_valid(text, got, &bad))
            require(bad < got && sl_utf8_valid(text, bad, &bad));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int file = -1;
    if (file < 0)
        file = memfd_create("fuzz", MFD_CLOEXEC);
    if (!size)
        return 0;
    require(ftruncate(file, 0) == 0 && pwrite(file, data + 1, size - 1, 0) == (ssize_t)size - 1);
    require(lseek(file, 0, SEEK_SET) == 0);
    /* As opened, but with little room, so that lines lie across what two calls read. */
    sl_line_reader reader = {.fd = file, .capacity = 16, .limit = 1 + data[0] % 64};
    reader.buffer = malloc(reader.capacity);
    require(reader.buffer != NULL);
    compare(&reader, data + 1, size - 1, reader.limit);
    sl_line_reader_close(&reader);
    return 0;
}
