#include "runtime/strbuf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stands for "no storage yet"; never written: capacity is 0 as long as data points here. */
static char empty[1];

void sl_strbuf_init(sl_strbuf *buf, size_t limit_bytes) {
    *buf = (sl_strbuf){.data = empty, .limit_bytes = limit_bytes};
}

void sl_strbuf_init_fixed(sl_strbuf *buf, char *storage, size_t size_bytes) {
    *buf = (sl_strbuf){
        .data = storage, .capacity = size_bytes, .limit_bytes = size_bytes - 1, .fixed = true};
    storage[0] = '\0';
}

void sl_strbuf_fini(sl_strbuf *buf) {
    if (!buf->fixed && buf->capacity)
        free(buf->data);
    sl_strbuf_init(buf, buf->limit_bytes);
}

sl_err sl_strbuf_err(const sl_strbuf *buf) {
    return buf->err;
}

void sl_strbuf_clear(sl_strbuf *buf) {
    buf->length = 0;
    buf->err = SL_OK;
    if (buf->capacity)
        buf->data[0] = '\0';
}

char *sl_strbuf_take(sl_strbuf *buf) {
    if (buf->err != SL_OK || buf->fixed)
        return NULL;
    char *text = buf->capacity ? buf->data : calloc(1, 1);
    sl_strbuf_init(buf, buf->limit_bytes);
    return text;
}

static sl_err grow(sl_strbuf *buf, size_t needed) {
    size_t capacity = buf->capacity ? buf->capacity : 64;
    while (capacity < needed)
        capacity *= 2;
    char *data = realloc(buf->capacity ? buf->data : NULL, capacity);
    if (!data)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a text of %zu bytes", needed);
    buf->data = data;
    buf->capacity = capacity;
    return SL_OK;
}

/* Makes room for `size` more bytes and the NUL; false, with the failure kept, when there is none.
 */
static bool reserve(sl_strbuf *buf, size_t size) {
    if (buf->err != SL_OK)
        return false;
    if (size > buf->limit_bytes - buf->length)
        buf->err =
            sl_fail(SL_ERR_TOO_LARGE, "a text grew over its bound of %zu bytes", buf->limit_bytes);
    else if (buf->length + size >= buf->capacity)
        buf->err = grow(buf, buf->length + size + 1);
    return buf->err == SL_OK;
}

void sl_strbuf_append_bytes(sl_strbuf *buf, const void *bytes, size_t size) {
    if (size == 0 || !reserve(buf, size))
        return;
    memcpy(buf->data + buf->length, bytes, size);
    buf->length += size;
    buf->data[buf->length] = '\0';
}

void sl_strbuf_append(sl_strbuf *buf, const char *text) {
    sl_strbuf_append_bytes(buf, text, strlen(text));
}

void sl_strbuf_append_char(sl_strbuf *buf, char c) {
    sl_strbuf_append_bytes(buf, &c, 1);
}

/* Prints into the room there is; only a text that does not fit is printed twice. */
void sl_strbuf_vprintf(sl_strbuf *buf, const char *format, va_list arguments) {
    size_t room = buf->capacity ? buf->capacity - buf->length : 0;
    if (room > buf->limit_bytes - buf->length + 1)
        room = buf->limit_bytes - buf->length + 1; /* the bound may lie inside the storage */
    va_list again;
    va_copy(again, arguments);
    if (buf->err == SL_OK) {
        int size = vsnprintf(room ? buf->data + buf->length : NULL, room, format, arguments);
        if (size > 0 && (size_t)size < room)
            buf->length += (size_t)size;
        else if (size > 0 && reserve(buf, (size_t)size))
            buf->length +=
                (size_t)vsnprintf(buf->data + buf->length, (size_t)size + 1, format, again);
        else if (room)
            buf->data[buf->length] = '\0'; /* what was printed of it */
    }
    va_end(again);
}

void sl_strbuf_printf(sl_strbuf *buf, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sl_strbuf_vprintf(buf, format, arguments);
    va_end(arguments);
}

/* Bytes of the well-formed UTF-8 sequence at `s`, 0 when there is none (Unicode 15, table 3-7). */
static size_t utf8_size(const unsigned char *s, size_t left) {
    if (s[0] < 0x80)
        return 1;
    size_t size = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
                  : s[0] >= 0xe0 && s[0] <= 0xef ? 3
                  : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                 : 0;
    if (size == 0 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] > 0x9f;
    bool beyond = s[0] == 0xf4 && s[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : size;
}

/* A byte that JSON wants escaped. */
static void json_escape(sl_strbuf *buf, unsigned char c) {
    static const char shorts[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    for (const char *s = shorts; *s; s += 2)
        if (c == (unsigned char)*s) {
            sl_strbuf_append_bytes(buf, (char[]){'\\', s[1]}, 2);
            return;
        }
    sl_strbuf_printf(buf, "\\u%04x", c);
}

static bool json_plain(unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void sl_strbuf_json_bytes(sl_strbuf *buf, const char *text, size_t size) {
    const unsigned char *s = (const unsigned char *)text;
    sl_strbuf_append_char(buf, '"');
    for (size_t i = 0; i < size;) {
        size_t run = 0;
        while (i + run < size && json_plain(s[i + run]))
            run++;
        sl_strbuf_append_bytes(buf, s + i, run);
        i += run;
        if (i == size)
            break;
        size_t step = utf8_size(s + i, size - i);
        if (step > 1)
            sl_strbuf_append_bytes(buf, s + i, step);
        else if (step == 1)
            json_escape(buf, s[i]);
        else
            sl_strbuf_append(buf, "\xef\xbf\xbd");
        i += step ? step : 1;
    }
    sl_strbuf_append_char(buf, '"');
}

void sl_strbuf_json(sl_strbuf *buf, const char *text) {
    if (text)
        sl_strbuf_json_bytes(buf, text, strlen(text));
    else
        sl_strbuf_append(buf, "null");
}

void sl_strbuf_json_double(sl_strbuf *buf, double value) {
    char text[32];
    if (!isfinite(value)) {
        sl_strbuf_append(buf, "null");
        return;
    }
    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    sl_strbuf_append(buf, text);
}
