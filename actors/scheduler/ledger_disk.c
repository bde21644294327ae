/* The machine's disk. */
#include "actors/scheduler/ledger_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* By name only: opening and closing the file here would drop the POSIX locks that a connection of
 * this process holds on it, and with them the log it writes. */
static sl_err real_check(const sl_ledger_disk *disk, const char *path) {
    (void)disk;
    struct stat info;
    if (stat(path, &info) != 0)
        return errno == ENOENT
                   ? sl_fail(SL_ERR_NOT_FOUND, "there is no ledger %s", path)
                   : sl_fail(SL_ERR_LEDGER, "cannot open ledger %s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return sl_fail(SL_ERR_LEDGER, "%s is not a ledger: it is not a regular file", path);
    if (info.st_size == 0)
        return sl_fail(SL_ERR_NOT_FOUND, "%s is empty", path);
    return SL_OK;
}

/* The rename is durable once the directory is synced. */
static sl_err sync_directory(const char *path) {
    const char *slash = strrchr(path, '/');
    char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool good = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
    int cause = errno;
    if (fd >= 0)
        close(fd);
    free(directory);
    return good ? SL_OK
                : sl_fail(SL_ERR_LEDGER, "cannot sync the directory of %s: %s", path,
                          strerror(cause));
}

static void real_remove(const sl_ledger_disk *disk, const char *path) {
    (void)disk;
    unlink(path);
}

static sl_err real_rename(const sl_ledger_disk *disk, const char *from, const char *to) {
    (void)disk;
    if (rename(from, to) == 0)
        return sync_directory(to);
    sl_err err = sl_fail(SL_ERR_LEDGER, "cannot rename %s to %s: %s", from, to, strerror(errno));
    unlink(from);
    return err;
}

const sl_ledger_disk sl_ledger_disk_real = {
    .check = real_check, .remove = real_remove, .rename = real_rename};
