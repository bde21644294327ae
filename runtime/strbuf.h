/* A growing string with a bound.
 *
 * Appends return nothing: the first failure (out of memory, bound reached) is kept, later appends
 * do nothing, and the writer asks once, at the end, with sl_strbuf_err(). An append that fails
 * leaves the text as it was. One thread at a time. */
#ifndef SL_RUNTIME_STRBUF_H
#define SL_RUNTIME_STRBUF_H

#include <stdarg.h>
#include <stddef.h>

#include "runtime/err.h"

typedef struct sl_strbuf {
    char *data;         /* always a C string, "" when empty */
    size_t length;      /* bytes before the NUL */
    size_t capacity;    /* bytes of storage, the NUL's included; 0: none yet */
    size_t limit_bytes; /* `length` never exceeds it */
    sl_err err;         /* the first failure */
    bool fixed;         /* the storage is the caller's */
} sl_strbuf;

/* Storage from the heap as it grows, up to `limit_bytes` of text. */
void sl_strbuf_init(sl_strbuf *buf, size_t limit_bytes);

/* Storage of the caller (`size_bytes` >= 1, the NUL included): never allocates. */
void sl_strbuf_init_fixed(sl_strbuf *buf, char *storage, size_t size_bytes);

/* Frees the storage. Safe after sl_strbuf_take() and on a zeroed struct. */
void sl_strbuf_fini(sl_strbuf *buf);

/* SL_OK, SL_ERR_TOO_LARGE or SL_ERR_NO_MEMORY; the cause is in sl_err_detail(). */
sl_err sl_strbuf_err(const sl_strbuf *buf) SL_CHECKED;

/* Empties the text and forgets a failure; keeps the storage. */
void sl_strbuf_clear(sl_strbuf *buf);

/* Hands the text over (the caller frees it) and leaves `buf` empty. NULL after a failure or out of
 * memory. Not for a fixed one. */
char *sl_strbuf_take(sl_strbuf *buf) SL_CHECKED;

void sl_strbuf_append(sl_strbuf *buf, const char *text);
void sl_strbuf_append_bytes(sl_strbuf *buf, const void *bytes, size_t size);
void sl_strbuf_append_char(sl_strbuf *buf, char c);
void sl_strbuf_printf(sl_strbuf *buf, const char *format, ...) SL_PRINTF(2, 3);
void sl_strbuf_vprintf(sl_strbuf *buf, const char *format, va_list arguments) SL_PRINTF(2, 0);

/* `text` as a JSON string, quotes included (RFC 8259). Bytes that are not UTF-8 become U+FFFD. NULL
 * gives null. */
void sl_strbuf_json(sl_strbuf *buf, const char *text);
void sl_strbuf_json_bytes(sl_strbuf *buf, const char *text, size_t size);

/* `value` as a JSON number that reads back as the same double; null when it is not finite. */
void sl_strbuf_json_double(sl_strbuf *buf, double value);

#endif
