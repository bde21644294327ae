/* Lines of a text file, a pipe or the standard input, each of bounded length.
 *
 * A line ends with LF or with the file; that and a CR before it are not part of it. A UTF-8 byte
 * order mark at the very start is skipped. One thread at a time; reads block. */
#ifndef SL_SDK_LINE_READER_H
#define SL_SDK_LINE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

typedef struct sl_line_reader {
    char *buffer;    /* `limit` bytes of a line, its ending and a NUL fit */
    size_t capacity; /* of buffer */
    size_t start;    /* unread bytes: buffer[start … end) */
    size_t end;
    size_t limit;  /* bytes of the longest line allowed */
    uint64_t line; /* number of the line returned last, from 1 */
    int fd;
    bool owned; /* fd is ours to close */
    bool ended; /* the file has no more bytes */
} sl_line_reader;

/* Opens `path` ("-": the standard input) for lines of at most `limit` bytes. SL_ERR_IO: cannot be
 * opened or is a directory. */
sl_err sl_line_reader_open(sl_line_reader *reader, const char *path, size_t limit) SL_CHECKED;

/* Frees the buffer and closes what open() opened. Safe on a zeroed struct. */
void sl_line_reader_close(sl_line_reader *reader);

/* The next line: `*text` (NUL added; it may hold NULs of its own) is valid until the next call.
 * SL_ERR_CLOSED: there are no more. SL_ERR_TOO_LARGE: this line exceeds the limit; it was counted
 * and skipped, go on. SL_ERR_IO: reading failed. */
sl_err sl_line_reader_next(sl_line_reader *reader, char **text, size_t *length) SL_CHECKED;

/* True when the bytes are well formed UTF-8 (no overlong forms, surrogates or values above
 * U+10FFFF); otherwise `*bad` is the offset of the first byte that is not. */
bool sl_utf8_valid(const char *text, size_t length, size_t *bad);

#endif
