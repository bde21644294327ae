/* Design notes: the lock is a file locked with flock and removed by its holder. Whoever locks it
 * checks that the name still leads to the file locked: else the holder before has just removed it,
 * and another may have made a new one. */
#include "sdk/output_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/log.h"
#include "sdk/atomic_file.h"
#include "sdk/task_spec.h"

#define LOCK_NAME     ".starlane-lock"
#define DEFAULT_TRIES 100 /* names tried when runs start in the same second */
/* Room that "/stderr/" and a name need behind the directory's path. */
#define INSIDE_BYTES  (SL_TASK_NAME_MAX + 16)

static const char *const stream_names[] = {"stdout", "stderr"};

static sl_err io_error(const char *path, const char *what) {
    return sl_fail(SL_ERR_IO, "%s: %s: %s", path, what, strerror(errno));
}

/* ---- making directories ---- */

/* Makes every directory on the way to `path`, and `path`. */
static sl_err make_path(const char *path) {
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part - INSIDE_BYTES)
        return sl_fail(SL_ERR_INVALID, "\"%.60s\": an output directory's path has 1 to %zu bytes",
                       path, sizeof part - INSIDE_BYTES - 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return io_error(part, "cannot be created");
    }
    return SL_OK;
}

static sl_err make_default(double wall_s, char *path, size_t size) {
    char stamp[32];
    struct tm parts;
    time_t seconds = (time_t)wall_s;
    if (!localtime_r(&seconds, &parts) ||
        strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &parts) == 0)
        return sl_fail(SL_ERR_INVALID, "the clock shows no date; give --output");
    for (int i = 1; i <= DEFAULT_TRIES; i++) {
        char again[8] = "";
        if (i > 1)
            snprintf(again, sizeof again, "-%d", i);
        snprintf(path, size, "starlane-run-%s-%ld%s", stamp, (long)getpid(), again);
        if (mkdir(path, 0777) == 0)
            return SL_OK;
        if (errno != EEXIST)
            return io_error(path, "cannot be created; give --output");
    }
    return sl_fail(SL_ERR_EXISTS, "%s and its like exist; give --output", path);
}

/* ---- lock ---- */

static sl_err lock_refused(const char *path, int lock_fd) {
    char holder[160] = "";
    ssize_t got = pread(lock_fd, holder, sizeof holder - 1, 0);
    holder[got > 0 ? got : 0] = '\0';
    for (char *c = holder; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            *c = ' ';
    return sl_fail(SL_ERR_REFUSED, "%s: another run uses this directory%s%s; give another --output",
                   path, *holder ? ": " : "", holder);
}

static bool lock_in_place(const sl_output_dir *dir, int lock_fd) {
    struct stat held, named;
    return fstat(lock_fd, &held) == 0 &&
           fstatat(dir->fd, LOCK_NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* Some cluster filesystems are mounted without locks. The ledger has its own say; go on with a
 * word. */
static bool lock_unsupported(const char *path) {
    if (errno != ENOSYS && errno != ENOTSUP && errno != ENOLCK)
        return false;
    sl_warn("run", "%s is on a filesystem without locks: keep other runs out of it", path);
    return true;
}

static sl_err lock_once(sl_output_dir *dir, bool *taken) {
    char host[65] = "", text[128];
    int fd = openat(dir->fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return io_error(dir->path, "cannot be locked");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && !lock_unsupported(dir->path)) {
        sl_err err = errno == EWOULDBLOCK ? lock_refused(dir->path, fd)
                                          : io_error(dir->path, "cannot be locked");
        close(fd);
        return err;
    }
    *taken = lock_in_place(dir, fd);
    if (!*taken) {
        close(fd);
        return SL_OK;
    }
    dir->lock_fd = fd;
    gethostname(host, sizeof host - 1);
    int length = snprintf(text, sizeof text, "host %s process %ld\n", host, (long)getpid());
    if (ftruncate(fd, 0) != 0)
        return io_error(dir->path, "cannot be locked");
    return sl_write_all(fd, text, (size_t)length, dir->path);
}

static sl_err lock_take(sl_output_dir *dir) {
    bool taken = false;
    for (int i = 0; i < 100 && !taken; i++)
        SL_TRY(lock_once(dir, &taken));
    return taken ? SL_OK : sl_fail(SL_ERR_REFUSED, "%s: other runs keep taking it", dir->path);
}

/* ---- what is in it ---- */

static bool holds_run(const sl_output_dir *dir) {
    struct stat info;
    return fstatat(dir->fd, SL_OUTPUT_LEDGER, &info, 0) == 0 && S_ISREG(info.st_mode);
}

static sl_err check_empty(const sl_output_dir *dir) {
    if (holds_run(dir))
        return sl_fail(
            SL_ERR_EXISTS,
            "%s: holds a run already; finish it with --resume %s, or give another --output",
            dir->path, dir->path);
    int copy = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy >= 0 ? fdopendir(copy) : NULL;
    if (!entries) {
        sl_err err = io_error(dir->path, "cannot be read");
        if (copy >= 0)
            close(copy);
        return err;
    }
    char foreign[NAME_MAX + 1] = "";
    for (struct dirent *entry; !*foreign && (entry = readdir(entries)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, LOCK_NAME) != 0)
            snprintf(foreign, sizeof foreign, "%s", entry->d_name);
    closedir(entries);
    if (!*foreign)
        return SL_OK;
    return sl_fail(
        SL_ERR_EXISTS,
        "%s: is not empty (it holds \"%s\") and not a run of starlane; give another --output",
        dir->path, foreign);
}

static sl_err open_streams(sl_output_dir *dir, bool make) {
    for (int i = 0; i < 2; i++) {
        if (make && mkdirat(dir->fd, stream_names[i], 0777) != 0 && errno != EEXIST)
            return io_error(dir->path, "its stdout/ and stderr/ cannot be created");
        dir->stream_fds[i] =
            openat(dir->fd, stream_names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (make && dir->stream_fds[i] < 0)
            return io_error(dir->path, "its stdout/ and stderr/ cannot be opened");
    }
    return SL_OK;
}

/* ---- opening ---- */

static sl_err open_at(const char *path, sl_output_dir *dir) {
    dir->path = realpath(path, NULL);
    if (!dir->path)
        return errno == ENOENT ? sl_fail(SL_ERR_NOT_FOUND, "%s: there is no such directory", path)
                               : io_error(path, "cannot be opened");
    if (strlen(dir->path) >= PATH_MAX - INSIDE_BYTES)
        return sl_fail(SL_ERR_INVALID, "%.60s...: the path is too long for an output directory",
                       dir->path);
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd >= 0)
        return SL_OK;
    return errno == ENOTDIR
               ? sl_fail(SL_ERR_EXISTS, "%s: is not a directory; give another --output", path)
               : io_error(path, "cannot be opened");
}

static sl_err open_new(sl_output_dir *dir) {
    SL_TRY(lock_take(dir));
    SL_TRY(check_empty(dir));
    return open_streams(dir, true);
}

static sl_err open_run(sl_output_dir *dir, sl_output_mode mode) {
    if (!holds_run(dir))
        return sl_fail(SL_ERR_NOT_FOUND,
                       "%s: holds no run (there is no " SL_OUTPUT_LEDGER " in it)", dir->path);
    if (mode == SL_OUTPUT_RESUME)
        SL_TRY(lock_take(dir));
    return open_streams(dir, mode == SL_OUTPUT_RESUME);
}

sl_err sl_output_dir_open(const char *path, sl_output_mode mode, double wall_s,
                          sl_output_dir *dir) {
    sl_output_dir opened = {.fd = -1, .lock_fd = -1, .stream_fds = {-1, -1}};
    char chosen[PATH_MAX];
    if (mode == SL_OUTPUT_CREATE && !path) {
        SL_TRY(make_default(wall_s, chosen, sizeof chosen));
        path = chosen;
    } else if (mode == SL_OUTPUT_CREATE) {
        SL_TRY(make_path(path));
    }
    sl_err err = open_at(path, &opened);
    if (err == SL_OK)
        err = mode == SL_OUTPUT_CREATE ? open_new(&opened) : open_run(&opened, mode);
    if (err != SL_OK) {
        sl_output_dir_close(&opened);
        return err;
    }
    *dir = opened;
    return SL_OK;
}

void sl_output_dir_close(sl_output_dir *dir) {
    if (dir->lock_fd >= 0) {
        unlinkat(dir->fd, LOCK_NAME, 0);
        close(dir->lock_fd);
    }
    for (int i = 0; i < 2; i++)
        if (dir->stream_fds[i] >= 0)
            close(dir->stream_fds[i]);
    if (dir->fd >= 0)
        close(dir->fd);
    free(dir->path);
    *dir = (sl_output_dir){.fd = -1, .lock_fd = -1, .stream_fds = {-1, -1}};
}

/* ---- a task's files ---- */

sl_err sl_output_path(const char *dir_path, sl_output_stream stream, const char *name, char *out,
                      size_t size) {
    SL_TRY(sl_task_name_check(name, strlen(name)));
    int length = snprintf(out, size, "%s/%s/%s", dir_path, stream_names[stream], name);
    if (length < 0 || (size_t)length >= size)
        return sl_fail(SL_ERR_TOO_LARGE, "the path of %s's output is longer than %zu bytes", name,
                       size);
    return SL_OK;
}

static sl_err stream_open(const sl_output_dir *dir, sl_output_stream stream, const char *name,
                          int flags, int *fd) {
    SL_TRY(sl_task_name_check(name, strlen(name)));
    if (dir->stream_fds[stream] < 0)
        return sl_fail(SL_ERR_NOT_FOUND, "%s: has no %s/", dir->path, stream_names[stream]);
    int opened = openat(dir->stream_fds[stream], name, flags | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (opened < 0)
        return sl_fail(errno == ENOENT ? SL_ERR_NOT_FOUND : SL_ERR_IO, "%s/%s/%s: %s", dir->path,
                       stream_names[stream], name, strerror(errno));
    *fd = opened;
    return SL_OK;
}

sl_err sl_output_create(const sl_output_dir *dir, sl_output_stream stream, const char *name,
                        int *fd) {
    return stream_open(dir, stream, name, O_WRONLY | O_CREAT | O_TRUNC, fd);
}

sl_err sl_output_open(const sl_output_dir *dir, sl_output_stream stream, const char *name,
                      int *fd) {
    return stream_open(dir, stream, name, O_RDONLY, fd);
}
