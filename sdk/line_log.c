#include "sdk/line_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/atomic_file.h"

#define FLUSH_BYTES ((size_t)64 * 1024)
#define KEPT_BYTES  ((size_t)16 << 20)

static void log_free(sl_line_log *log) {
    if (log->fd >= 0)
        close(log->fd);
    if (log->beside)
        unlinkat(log->dir_fd, log->beside, 0);
    free(log->path);
    free(log->beside);
    sl_strbuf_fini(&log->text);
    *log = (sl_line_log){.fd = -1};
}

static sl_err log_init(sl_line_log *log, int dir_fd, const char *path, uint64_t linger_ns,
                       const sl_clock *clock) {
    *log = (sl_line_log){.fd = -1, .dir_fd = dir_fd, .linger_ns = linger_ns};
    log->clock = clock ? clock : &sl_clock_real;
    log->flushed_ns = log->clock->now_ns(log->clock);
    sl_strbuf_init(&log->text, KEPT_BYTES);
    log->path = strdup(path);
    return log->path ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory to write %s", path);
}

static sl_err log_open(sl_line_log *log, const char *path, int flags) {
    log->fd = openat(log->dir_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
    if (log->fd < 0)
        return sl_fail(SL_ERR_IO, "%s: cannot be written: %s", log->path, strerror(errno));
    return SL_OK;
}

static sl_err open_beside(sl_line_log *log) {
    struct stat info;
    if (fstatat(log->dir_fd, log->path, &info, 0) == 0 && !S_ISREG(info.st_mode))
        return log_open(log, log->path, O_APPEND);
    if (asprintf(&log->beside, "%s.new", log->path) < 0) {
        log->beside = NULL;
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to write %s", log->path);
    }
    return log_open(log, log->beside, O_TRUNC | O_APPEND);
}

sl_err sl_line_log_create(sl_line_log *log, int dir_fd, const char *path, uint64_t linger_ns,
                          const sl_clock *clock) {
    sl_err err = log_init(log, dir_fd, path, linger_ns, clock);
    if (err == SL_OK)
        err = open_beside(log);
    if (err != SL_OK)
        log_free(log);
    return err;
}

sl_err sl_line_log_append_to(sl_line_log *log, int dir_fd, const char *path, uint64_t linger_ns,
                             const sl_clock *clock, bool *empty) {
    struct stat info;
    sl_err err = log_init(log, dir_fd, path, linger_ns, clock);
    if (err == SL_OK)
        err = log_open(log, log->path, O_APPEND);
    if (err == SL_OK && fstat(log->fd, &info) != 0)
        err = sl_fail(SL_ERR_IO, "%s: %s", path, strerror(errno));
    if (err != SL_OK) {
        log_free(log);
        return err;
    }
    *empty = info.st_size == 0;
    return SL_OK;
}

sl_err sl_line_log_flush(sl_line_log *log) {
    const char *from = log->text.data;
    size_t left = log->text.length;
    while (left > 0) {
        ssize_t wrote = write(log->fd, from, left);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            break;
        from += wrote;
        left -= (size_t)wrote;
    }
    int cause = errno;
    if (left > 0 && from != log->text.data) /* keep what is not written yet, and only that */
        memmove(log->text.data, from, left + 1);
    if (left > 0) {
        log->text.length = left;
        return sl_fail(SL_ERR_IO, "%s: cannot be written: %s", log->path, strerror(cause));
    }
    sl_strbuf_clear(&log->text);
    log->flushed_ns = log->clock->now_ns(log->clock);
    return SL_OK;
}

sl_err sl_line_log_tick(sl_line_log *log) {
    if (log->fd < 0 || log->text.length == 0 ||
        log->clock->now_ns(log->clock) - log->flushed_ns < log->linger_ns)
        return SL_OK;
    return sl_line_log_flush(log);
}

sl_err sl_line_log_add(sl_line_log *log, const char *line, size_t length) {
    if (length > KEPT_BYTES - log->text.length)
        return sl_fail(SL_ERR_TOO_LARGE, "%s: %zu bytes wait for the disk already", log->path,
                       log->text.length);
    sl_strbuf_append_bytes(&log->text, line, length);
    SL_TRY(sl_strbuf_err(&log->text));
    if (log->text.length >= FLUSH_BYTES)
        return sl_line_log_flush(log);
    return sl_line_log_tick(log);
}

sl_err sl_line_log_publish(sl_line_log *log) {
    SL_TRY(sl_line_log_flush(log));
    if (!log->beside)
        return SL_OK;
    SL_TRY(sl_file_sync(log->fd, log->path));
    if (renameat(log->dir_fd, log->beside, log->dir_fd, log->path) != 0)
        return sl_fail(SL_ERR_IO, "%s: cannot be put in place: %s", log->path, strerror(errno));
    free(log->beside);
    log->beside = NULL;
    return SL_OK;
}

sl_err sl_line_log_close(sl_line_log *log) {
    if (log->fd < 0)
        return SL_OK;
    sl_err err = sl_line_log_publish(log);
    if (err == SL_OK)
        err = sl_file_sync(log->fd, log->path);
    log_free(log);
    return err;
}
