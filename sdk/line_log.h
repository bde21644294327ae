/* A file that lines are appended to as things happen: results.jsonl, the joblog.
 *
 * A log starts beside its place. What is known already (a resumed run: from the ledger) is added
 * first; publish() then puts the file in place at once, so that a reader never sees a half-written
 * start, and no line twice. Later lines are gathered and appended whole, at most `linger_ns` late.
 * One thread at a time. */
#ifndef SL_SDK_LINE_LOG_H
#define SL_SDK_LINE_LOG_H

#include <stdint.h>

#include "runtime/clock.h"
#include "runtime/err.h"
#include "runtime/strbuf.h"

typedef struct sl_line_log {
    int fd;         /* -1: closed */
    int dir_fd;     /* borrowed, or AT_FDCWD */
    char *path;     /* relative to dir_fd */
    char *beside;   /* where it is until publish(); NULL: in place */
    sl_strbuf text; /* lines not written yet */
    const sl_clock *clock;
    uint64_t linger_ns;
    uint64_t flushed_ns;
} sl_line_log;

/* Starts a new log for `path` in `dir_fd` (borrowed until close; AT_FDCWD for a user's path). A
 * path that is there and no regular file (a pipe, /dev/stdout) is written to directly. `clock`
 * NULL: sl_clock_real. SL_ERR_IO, SL_ERR_NO_MEMORY. */
sl_err sl_line_log_create(sl_line_log *log, int dir_fd, const char *path, uint64_t linger_ns,
                          const sl_clock *clock) SL_CHECKED;

/* Appends to what is at `path` instead, creating it if need be; `*empty` says whether it was empty.
 */
sl_err sl_line_log_append_to(sl_line_log *log, int dir_fd, const char *path, uint64_t linger_ns,
                             const sl_clock *clock, bool *empty) SL_CHECKED;

/* Adds one line (LF included by the caller). SL_ERR_IO when the disk refuses: then it is kept, and
 * the next call tries again, up to 16 MiB; after that SL_ERR_TOO_LARGE. */
sl_err sl_line_log_add(sl_line_log *log, const char *line, size_t length) SL_CHECKED;

/* Writes what is waiting. */
sl_err sl_line_log_flush(sl_line_log *log) SL_CHECKED;

/* Writes what is waiting if it has waited linger_ns; for a timer. */
sl_err sl_line_log_tick(sl_line_log *log) SL_CHECKED;

/* Writes and syncs what was added so far, and puts the file in place of an older one. */
sl_err sl_line_log_publish(sl_line_log *log) SL_CHECKED;

/* Publishes if that was not done, writes, syncs and closes; frees all even on failure. Safe on a
 * closed log. */
sl_err sl_line_log_close(sl_line_log *log) SL_CHECKED;

#endif
