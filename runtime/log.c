/* Design notes: a line is built whole on the caller's stack and leaves by one fwrite and flush, so
 * that lines of several threads, and of several ranks that share a terminal, do not mix. Nothing
 * here allocates. */
#include "runtime/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "runtime/clock.h"
#include "runtime/strbuf.h"

enum {
    MESSAGE_BYTES = 2048,                /* a longer message is cut, and ends in "..." */
    LINE_BYTES = MESSAGE_BYTES * 6 + 512 /* JSON makes at most six bytes of one */
};

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};
enum { LEVELS = sizeof level_names / sizeof level_names[0] };

static FILE *log_stream;
static sl_log_format log_format;
static atomic_int log_level = -1; /* -1: silent */
static _Thread_local int log_node = -1;
static pthread_mutex_t emit_lock = PTHREAD_MUTEX_INITIALIZER; /* a line and its flush are one */

void sl_log_configure(const sl_log_options *options) {
    log_stream = options->stream;
    log_format = options->format;
    atomic_store(&log_level, options->stream ? (int)options->level : -1);
}

sl_err sl_log_level_parse(const char *text, sl_log_level *level) {
    for (int i = 0; i < LEVELS; i++)
        if (strcmp(text, level_names[i]) == 0) {
            *level = (sl_log_level)i;
            return SL_OK;
        }
    return sl_fail(SL_ERR_INVALID,
                   "log level \"%.40s\" is not one of error, warn, info, debug, trace", text);
}

void sl_log_set_node(int node) {
    log_node = node;
}

bool sl_log_enabled(sl_log_level level) {
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

/* Control characters become \xNN: a message that quotes hostile input cannot forge a line or steer
 * a terminal. */
static void append_visible(sl_strbuf *line, const char *text) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            sl_strbuf_printf(line, "\\x%02x", c);
        else
            sl_strbuf_append_char(line, *text);
    }
}

static void append_human(sl_strbuf *line, double now_s, const char *level, const char *component,
                         const char *message) {
    time_t seconds = (time_t)now_s;
    int millis = (int)((now_s - (double)seconds) * 1e3);
    struct tm tm;
    char node[16] = "-";
    localtime_r(&seconds, &tm);
    if (log_node >= 0)
        snprintf(node, sizeof node, "%d", log_node);
    sl_strbuf_printf(line, "%02d:%02d:%02d.%03d %-5s [%s] %.64s: ", tm.tm_hour, tm.tm_min,
                     tm.tm_sec, millis, level, node, component);
    append_visible(line, message);
}

static void append_json(sl_strbuf *line, double now_s, const char *level, const char *component,
                        const char *message) {
    time_t seconds = (time_t)now_s;
    int micros = (int)((now_s - (double)seconds) * 1e6);
    struct tm tm;
    char date[32];
    gmtime_r(&seconds, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    sl_strbuf_printf(line, "{\"ts\":\"%s.%06dZ\",\"level\":\"%s\",\"node\":%d,\"component\":", date,
                     micros, level, log_node);
    sl_strbuf_json_bytes(line, component, strnlen(component, 64));
    sl_strbuf_append(line, ",\"message\":");
    sl_strbuf_json(line, message);
    sl_strbuf_append_char(line, '}');
}

static void emit(const sl_strbuf *line) {
    pthread_mutex_lock(&emit_lock);
    fwrite(line->data, 1, line->length, log_stream);
    fflush(log_stream);
    pthread_mutex_unlock(&emit_lock);
}

void sl_log_write(sl_log_level level, const char *component, const char *format, ...) {
    if (!sl_log_enabled(level))
        return;
    int saved_errno = errno;
    char message[MESSAGE_BYTES], storage[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (size >= (int)sizeof message)
        memcpy(message + sizeof message - 4, "...", 4);

    sl_strbuf line;
    sl_strbuf_init_fixed(&line, storage, sizeof storage);
    const char *name = level_names[(unsigned)level < LEVELS ? level : SL_LOG_TRACE];
    (log_format == SL_LOG_JSON ? append_json : append_human)(&line, sl_clock_wall_s(), name,
                                                             component, message);
    sl_strbuf_append_char(&line, '\n');
    emit(&line);
    errno = saved_errno;
}
