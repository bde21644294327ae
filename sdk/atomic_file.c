#include "sdk/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

sl_err sl_write_all(int fd, const void *bytes, size_t size, const char *what) {
    const char *from = bytes;
    while (size > 0) {
        ssize_t wrote = write(fd, from, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return sl_fail(SL_ERR_IO, "%s: cannot be written: %s", what, strerror(errno));
        from += wrote;
        size -= (size_t)wrote;
    }
    return SL_OK;
}

sl_err sl_file_sync(int fd, const char *what) {
    if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
        return sl_fail(SL_ERR_IO, "%s: cannot be synced: %s", what, strerror(errno));
    return SL_OK;
}

static sl_err write_synced(int fd, const void *bytes, size_t size, const char *name) {
    SL_TRY(sl_write_all(fd, bytes, size, name));
    return sl_file_sync(fd, name);
}

sl_err sl_atomic_write(int dir_fd, const char *name, const void *bytes, size_t size) {
    char beside[PATH_MAX];
    const char *slash = strrchr(name, '/');
    int folder = slash ? (int)(slash + 1 - name) : 0;
    if (snprintf(beside, sizeof beside, "%.*s.%s.new", folder, name, name + folder) >=
        (int)sizeof beside)
        return sl_fail(SL_ERR_TOO_LARGE, "%.100s...: the file name is too long", name);
    int fd = openat(dir_fd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return sl_fail(SL_ERR_IO, "%s: cannot be created: %s", name, strerror(errno));
    sl_err err = write_synced(fd, bytes, size, name);
    close(fd);
    if (err == SL_OK && renameat(dir_fd, beside, dir_fd, name) != 0)
        err = sl_fail(SL_ERR_IO, "%s: cannot be put in place: %s", name, strerror(errno));
    if (err != SL_OK) {
        unlinkat(dir_fd, beside, 0);
        return err;
    }
    fsync(dir_fd); /* the file is whole either way; some filesystems refuse this */
    return SL_OK;
}
