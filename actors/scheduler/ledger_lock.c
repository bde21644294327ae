/* Design notes: open-file-description locks, because they also exclude a second ledger in the same
 * process and work over NFS. The file is removed by its holder before the lock is given up; who
 * then gets the lock on the removed file sees that the path no longer leads to it, and tries again.
 */
#include "actors/scheduler/ledger_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES           16
#define HOLDER_SIZE     128
#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

typedef struct holder {
    long pid;
    char host[HOLDER_SIZE];
    bool shared; /* other machines may read */
} holder;

static char *lock_path(const char *ledger_path) {
    char *path = NULL;
    return asprintf(&path, "%s-lock", ledger_path) < 0 ? NULL : path;
}

static void host_name(char host[HOLDER_SIZE]) {
    if (gethostname(host, HOLDER_SIZE - 1) != 0)
        strcpy(host, "unknown");
    host[HOLDER_SIZE - 1] = '\0';
}

/* What the lock file says; it may be empty for a moment, or anything at all. */
static bool read_holder(int fd, holder *found) {
    char text[HOLDER_SIZE] = "", *rest = NULL, *place = NULL;
    if (pread(fd, text, sizeof text - 1, 0) <= 0)
        return false;
    found->pid = strtol(text, &rest, 10);
    const char *host = strtok_r(rest, " \n", &place);
    const char *use = host ? strtok_r(NULL, " \n", &place) : NULL;
    /* Such a name is printed on a terminal: nothing but what names are made of. */
    if (rest == text || !host || host[strspn(host, HOST_CHARACTERS)])
        return false;
    snprintf(found->host, sizeof found->host, "%s", host);
    found->shared = use && strcmp(use, "shared") == 0;
    return true;
}

static sl_err held_by_other(const char *ledger_path, int fd) {
    holder found;
    if (!read_holder(fd, &found))
        return sl_fail(SL_ERR_REFUSED, "%s is being written by another process", ledger_path);
    return sl_fail(SL_ERR_REFUSED, "%s is being written by process %ld on %s", ledger_path,
                   found.pid, found.host);
}

static bool same_file(int fd, const char *path) {
    struct stat opened, there;
    return fstat(fd, &opened) == 0 && stat(path, &there) == 0 && opened.st_ino == there.st_ino &&
           opened.st_dev == there.st_dev;
}

static void write_holder(int fd, bool local) {
    char host[HOLDER_SIZE], text[HOLDER_SIZE + 32];
    host_name(host);
    int size = snprintf(text, sizeof text, "%ld %s %s\n", (long)getpid(), host,
                        local ? "local" : "shared");
    /* Only for a message to whom it keeps out: failing to write it is no failure to lock. */
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size)
        errno = 0;
}

/* One try: *fd is set when locked, and stays -1 when the file went away meanwhile. */
static sl_err lock_once(const char *ledger_path, const char *path, int *fd) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (opened < 0)
        return sl_fail(SL_ERR_LEDGER, "cannot create %s: %s", path, strerror(errno));
    if (fcntl(opened, F_OFD_SETLK, &whole) != 0) {
        int cause = errno;
        sl_err err = cause == EAGAIN
                         ? held_by_other(ledger_path, opened)
                         : sl_fail(SL_ERR_LEDGER, "cannot lock %s: %s", path, strerror(cause));
        close(opened);
        return err;
    }
    if (!same_file(opened, path)) {
        close(opened);
        return SL_OK;
    }
    *fd = opened;
    return SL_OK;
}

sl_err sl_ledger_lock_take(const char *ledger_path, sl_ledger_lock *lock) {
    char *path = lock_path(ledger_path);
    int fd = -1;
    sl_err err = path ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory to open %s", ledger_path);
    for (int i = 0; err == SL_OK && fd < 0 && i < TRIES; i++)
        err = lock_once(ledger_path, path, &fd);
    if (err == SL_OK && fd < 0)
        err = sl_fail(SL_ERR_REFUSED, "%s is being opened and closed by other processes",
                      ledger_path);
    if (err != SL_OK) {
        free(path);
        return err;
    }
    write_holder(fd, true);
    *lock = (sl_ledger_lock){.fd = fd, .path = path};
    return SL_OK;
}

void sl_ledger_lock_release(sl_ledger_lock *lock) {
    if (lock->fd < 0)
        return;
    unlink(lock->path);
    close(lock->fd);
    free(lock->path);
    *lock = SL_LEDGER_LOCK_NONE;
}

void sl_ledger_lock_describe(const sl_ledger_lock *lock, bool local) {
    write_holder(lock->fd, local);
}

sl_err sl_ledger_lock_check_local(const char *ledger_path) {
    char *path = lock_path(ledger_path);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    free(path);
    if (fd < 0)
        return SL_OK;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char here[HOLDER_SIZE];
    holder found = {0};
    host_name(here);
    bool elsewhere = fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK &&
                     read_holder(fd, &found) && !found.shared && strcmp(found.host, here) != 0;
    close(fd);
    if (!elsewhere)
        return SL_OK;
    return sl_fail(SL_ERR_REFUSED,
                   "%s is being written by process %ld on %s: read it there, or later", ledger_path,
                   found.pid, found.host);
}
