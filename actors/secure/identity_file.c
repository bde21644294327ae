/* Design notes
 * A file is written whole beside its place, synced, and then put there: by link(2), which fails
 * where another process was first, or by rename(2), which replaces. Everything is opened relative
 * to the directory and never through a symbolic link, and what was opened is what is checked. A
 * file with a second name may be one that somebody else planted: refused.
 */
#include "actors/secure/identity_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/secure/secret.h"

enum { ROOM_BYTES = 512 };

_Static_assert(ROOM_BYTES > (int)SL_IDENTITY_FILE_MOST_BYTES,
               "one byte more shows a file too long");
_Static_assert(ROOM_BYTES > (int)SL_CERTIFICATE_MOST_BYTES, "one byte more shows a file too long");

/* ---- what may be trusted ---- */

static sl_err check_private(const struct stat *found, const char *path, const char *mode) {
    if (found->st_uid != geteuid())
        return sl_fail(SL_ERR_REFUSED,
                       "%s belongs to user %u, not to this one: keys are read from "
                       "one's own files alone",
                       path, (unsigned)found->st_uid);
    if (found->st_mode & 077)
        return sl_fail(SL_ERR_REFUSED,
                       "%s has mode %03o, so that others may reach the keys in it: chmod %s '%s', "
                       "and think of the keys as known if others were here",
                       path, (unsigned)found->st_mode & 0777, mode, path);
    return SL_OK;
}

static sl_err open_directory(const char *path, int *fd) {
    struct stat found;
    int opened = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0 && errno == ENOENT)
        return sl_fail(SL_ERR_NOT_FOUND, "%s: there is no identity", path);
    if (opened < 0)
        return sl_fail(SL_ERR_IO, "%s: cannot be opened as a directory: %s", path, strerror(errno));
    sl_err err = fstat(opened, &found) == 0 ? check_private(&found, path, "700")
                                            : sl_fail(SL_ERR_IO, "%s: %s", path, strerror(errno));
    if (err != SL_OK) {
        close(opened);
        return err;
    }
    *fd = opened;
    return SL_OK;
}

static sl_err check_file(int fd, const char *path, bool secret) {
    struct stat found;
    if (fstat(fd, &found) != 0)
        return sl_fail(SL_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(found.st_mode))
        return sl_fail(SL_ERR_REFUSED, "%s is no regular file", path);
    if (!secret)
        return SL_OK;
    if (found.st_nlink != 1)
        return sl_fail(SL_ERR_REFUSED, "%s has a second name (hard link): copy it, and remove it",
                       path);
    return check_private(&found, path, "600");
}

/* ---- reading ---- */

static sl_err read_all(int fd, const char *path, uint8_t *to, size_t room, size_t *size) {
    size_t got = 0;
    while (got < room) {
        ssize_t some = read(fd, to + got, room - got);
        if (some < 0 && errno == EINTR)
            continue;
        if (some < 0)
            return sl_fail(SL_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
        if (some == 0)
            break;
        got += (size_t)some;
    }
    *size = got;
    return SL_OK;
}

static sl_err read_file(int dir_fd, const char *name, bool secret, uint8_t to[ROOM_BYTES],
                        size_t *size) {
    /* Without O_NONBLOCK a planted FIFO would hold us up. */
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return sl_fail(SL_ERR_NOT_FOUND, "there is no file '%s'", name);
    if (fd < 0 && errno == ELOOP)
        return sl_fail(SL_ERR_REFUSED, "'%s' is a symbolic link: put the file itself there", name);
    if (fd < 0)
        return sl_fail(SL_ERR_IO, "'%s' cannot be opened: %s", name, strerror(errno));
    sl_err err = check_file(fd, name, secret);
    if (err == SL_OK)
        err = read_all(fd, name, to, ROOM_BYTES, size);
    close(fd);
    return err;
}

/* Puts the directory before what went wrong inside it. */
static sl_err inside(const char *directory, sl_err err) {
    char why[1024];
    if (err == SL_OK || err == SL_ERR_NO_MEMORY)
        return err;
    snprintf(why, sizeof why, "%s", sl_err_detail());
    return sl_fail(err, "%s: %s", directory, why);
}

static sl_err load_certificate(int dir_fd, sl_identity *identity) {
    uint8_t bytes[ROOM_BYTES];
    size_t size;
    sl_certificate certificate;
    sl_err err = read_file(dir_fd, SL_CERTIFICATE_FILE, false, bytes, &size);
    if (err == SL_ERR_NOT_FOUND)
        return SL_OK;
    SL_TRY(err);
    SL_TRY(sl_certificate_decode(bytes, size, &certificate));
    return sl_identity_adopt(identity, &certificate);
}

static sl_err load(int dir_fd, sl_identity **identity) {
    void *secret;
    size_t size = 0;
    sl_identity *loaded = NULL;
    SL_TRY(sl_secret_create(ROOM_BYTES, &secret));
    sl_err err = read_file(dir_fd, SL_IDENTITY_FILE, true, secret, &size);
    if (err == SL_OK)
        err = sl_identity_decode(secret, size, &loaded);
    sl_secret_destroy(secret);
    if (err == SL_OK)
        err = load_certificate(dir_fd, loaded);
    if (err != SL_OK) {
        sl_identity_destroy(loaded);
        return err;
    }
    *identity = loaded;
    return SL_OK;
}

sl_err sl_identity_load(const char *directory, sl_identity **identity) {
    int dir_fd;
    SL_TRY(open_directory(directory, &dir_fd));
    sl_err err = inside(directory, load(dir_fd, identity));
    close(dir_fd);
    return err;
}

/* ---- writing ---- */

static sl_err write_all(int fd, const uint8_t *from, size_t size, const char *name) {
    while (size > 0) {
        ssize_t wrote = write(fd, from, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return sl_fail(SL_ERR_IO, "'%s' cannot be written: %s", name, strerror(errno));
        from += wrote;
        size -= (size_t)wrote;
    }
    if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
        return sl_fail(SL_ERR_IO, "'%s' cannot be synced: %s", name, strerror(errno));
    return SL_OK;
}

/* SL_ERR_EXISTS when it is not to be replaced and was there. */
static sl_err put_in_place(int dir_fd, const char *beside, const char *name, bool replace) {
    if (replace ? renameat(dir_fd, beside, dir_fd, name) == 0
                : linkat(dir_fd, beside, dir_fd, name, 0) == 0)
        return SL_OK;
    if (errno == EEXIST)
        return sl_fail(SL_ERR_EXISTS, "there is a file '%s' already", name);
    return sl_fail(SL_ERR_IO, "'%s' cannot be put in place: %s", name, strerror(errno));
}

static sl_err write_file(int dir_fd, const char *name, mode_t mode, const uint8_t *bytes,
                         size_t size, bool replace) {
    char beside[64];
    snprintf(beside, sizeof beside, ".%s.%08x", name, randombytes_random());
    int fd = openat(dir_fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return sl_fail(SL_ERR_IO, "'%s' cannot be created: %s", name, strerror(errno));
    sl_err err = write_all(fd, bytes, size, name);
    close(fd);
    if (err == SL_OK)
        err = put_in_place(dir_fd, beside, name, replace);
    unlinkat(dir_fd, beside, 0);
    fsync(dir_fd); /* the file is whole either way; some filesystems refuse this */
    return err;
}

static sl_err write_identity(int dir_fd, const sl_identity *identity, bool replace) {
    void *secret;
    SL_TRY(sl_secret_create(SL_IDENTITY_FILE_MOST_BYTES, &secret));
    size_t size = sl_identity_encode(identity, true, secret);
    sl_err err = write_file(dir_fd, SL_IDENTITY_FILE, 0600, secret, size, replace);
    sl_secret_destroy(secret);
    return err;
}

static sl_err create(int dir_fd, sl_identity **identity) {
    sl_identity *made;
    SL_TRY(sl_identity_create(&made));
    sl_err err = write_identity(dir_fd, made, false);
    if (err == SL_OK) {
        *identity = made;
        return SL_OK;
    }
    sl_identity_destroy(made);
    return err == SL_ERR_EXISTS ? load(dir_fd, identity) : err; /* another process was first */
}

sl_err sl_identity_open(const char *directory, sl_identity **identity) {
    int dir_fd;
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return sl_fail(SL_ERR_IO, "%s: cannot be created: %s", directory, strerror(errno));
    SL_TRY(open_directory(directory, &dir_fd));
    sl_err err = load(dir_fd, identity);
    if (err == SL_ERR_NOT_FOUND)
        err = create(dir_fd, identity);
    err = inside(directory, err);
    close(dir_fd);
    return err;
}

sl_err sl_identity_save(const char *directory, const sl_identity *identity) {
    int dir_fd;
    SL_TRY(open_directory(directory, &dir_fd));
    sl_err err = inside(directory, write_identity(dir_fd, identity, true));
    close(dir_fd);
    return err;
}

sl_err sl_identity_save_certificate(const char *directory, const sl_identity *identity) {
    int dir_fd;
    uint8_t bytes[SL_CERTIFICATE_MOST_BYTES];
    const sl_certificate *certificate = sl_identity_certificate(identity);
    if (!certificate)
        return sl_fail(SL_ERR_NOT_FOUND, "this identity has no certificate yet");
    SL_TRY(open_directory(directory, &dir_fd));
    size_t size = sl_certificate_encode(certificate, bytes);
    sl_err err =
        inside(directory, write_file(dir_fd, SL_CERTIFICATE_FILE, 0644, bytes, size, true));
    close(dir_fd);
    return err;
}
