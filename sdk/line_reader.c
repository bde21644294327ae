#include "sdk/line_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BYTES ((size_t)64 * 1024)

enum { MARK_BYTES = 3 }; /* of a byte order mark */

static sl_err reader_fd(sl_line_reader *reader, const char *path) {
    if (strcmp(path, "-") == 0) {
        reader->fd = STDIN_FILENO;
        return SL_OK;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sl_fail(SL_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        close(fd);
        return sl_fail(SL_ERR_IO, "%s: is a directory; give a file of tasks", path);
    }
    reader->fd = fd;
    reader->owned = true;
    return SL_OK;
}

sl_err sl_line_reader_open(sl_line_reader *reader, const char *path, size_t limit) {
    sl_line_reader opened = {.limit = limit, .capacity = FIRST_BYTES};
    opened.buffer = malloc(opened.capacity);
    if (!opened.buffer)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to read %s", path);
    sl_err err = reader_fd(&opened, path);
    if (err != SL_OK) {
        free(opened.buffer);
        return err;
    }
    *reader = opened;
    return SL_OK;
}

void sl_line_reader_close(sl_line_reader *reader) {
    if (reader->owned)
        close(reader->fd);
    free(reader->buffer);
    memset(reader, 0, sizeof *reader);
}

/* Room for more bytes behind `end`: moves the unread part to the front, then doubles. */
static sl_err make_room(sl_line_reader *reader) {
    if (reader->start > 0) {
        memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
        reader->end -= reader->start;
        reader->start = 0;
    }
    if (reader->end + 1 < reader->capacity)
        return SL_OK;
    char *larger = realloc(reader->buffer, reader->capacity * 2);
    if (!larger)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a line of %zu bytes", reader->capacity);
    reader->buffer = larger;
    reader->capacity *= 2;
    return SL_OK;
}

static sl_err fill(sl_line_reader *reader) {
    SL_TRY(make_room(reader));
    for (;;) {
        ssize_t got =
            read(reader->fd, reader->buffer + reader->end, reader->capacity - reader->end - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sl_fail(SL_ERR_IO, "reading failed after line %llu: %s",
                           (unsigned long long)reader->line, strerror(errno));
        reader->end += (size_t)got;
        reader->ended = got == 0;
        return SL_OK;
    }
}

/* Drops the rest of a line that is too long, in bounded memory. */
static sl_err skip_line(sl_line_reader *reader) {
    for (;;) {
        char *from = reader->buffer + reader->start;
        char *newline = memchr(from, '\n', reader->end - reader->start);
        if (newline) {
            reader->start = (size_t)(newline + 1 - reader->buffer);
            return SL_OK;
        }
        reader->start = reader->end;
        if (reader->ended)
            return SL_OK;
        SL_TRY(fill(reader));
    }
}

/* Finds the end of the next line, reading as needed: `*size` bytes without the LF. Of a line that
 * is too long, enough to tell, also when a byte order mark and a CR do not count. */
static sl_err find_line(sl_line_reader *reader, size_t *size, bool *newline_found) {
    size_t searched = 0;
    for (;;) {
        size_t have = reader->end - reader->start;
        char *from = reader->buffer + reader->start;
        char *newline = memchr(from + searched, '\n', have - searched);
        if (newline || reader->ended || have > reader->limit + 1 + MARK_BYTES) {
            *size = newline ? (size_t)(newline - from) : have;
            *newline_found = newline != NULL;
            return SL_OK;
        }
        searched = have;
        SL_TRY(fill(reader));
    }
}

sl_err sl_line_reader_next(sl_line_reader *reader, char **text, size_t *length) {
    size_t size = 0;
    bool newline_found = false;
    SL_TRY(find_line(reader, &size, &newline_found));
    if (reader->line == 0 && size >= MARK_BYTES &&
        memcmp(reader->buffer + reader->start, "\xef\xbb\xbf", MARK_BYTES) == 0) {
        reader->start += MARK_BYTES;
        size -= MARK_BYTES;
    }
    if (size == 0 && !newline_found)
        return SL_ERR_CLOSED;
    reader->line++;
    char *line = reader->buffer + reader->start;
    size_t content = size > 0 && line[size - 1] == '\r' ? size - 1 : size;
    if (content > reader->limit) {
        SL_TRY(skip_line(reader));
        return sl_fail(SL_ERR_TOO_LARGE, "the line is longer than %zu bytes", reader->limit);
    }
    reader->start += size + (newline_found ? 1 : 0);
    line[content] = '\0';
    *text = line;
    *length = content;
    return SL_OK;
}

/* Bytes of the well formed sequence at `text`, 0 when there is none (Unicode 15, table 3-7). */
static size_t utf8_sequence(const unsigned char *text, size_t left) {
    unsigned char lead = text[0];
    if (lead < 0x80)
        return 1;
    size_t size = lead >= 0xc2 && lead <= 0xdf ? 2 : (lead & 0xf0) == 0xe0 ? 3 : 4;
    if (lead < 0xc2 || lead > 0xf4 || size > left)
        return 0;
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

bool sl_utf8_valid(const char *text, size_t length, size_t *bad) {
    const unsigned char *bytes = (const unsigned char *)text;
    for (size_t i = 0; i < length;) {
        size_t size = utf8_sequence(bytes + i, length - i);
        if (size == 0) {
            *bad = i;
            return false;
        }
        i += size;
    }
    return true;
}
