#include "tests/lib/scarce.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static _Thread_local struct {
    unsigned kinds, calls, n;
    bool for_ever, failed, paused;
} scarce;

static bool fails(unsigned kind, int error) {
    if (!(scarce.kinds & kind) || scarce.paused)
        return false;
    scarce.calls++;
    if (scarce.calls != scarce.n && !(scarce.for_ever && scarce.calls > scarce.n))
        return false;
    scarce.failed = true;
    errno = error;
    return true;
}

/* ---- memory ---- */

#define SCARCE(result, name, parameters, arguments, failure, kind, error)                          \
    result __real_##name parameters;                                                               \
    result __wrap_##name parameters;                                                               \
    result __wrap_##name parameters {                                                              \
        return fails(kind, error) ? failure : __real_##name arguments;                             \
    }

SCARCE(void *, malloc, (size_t bytes), (bytes), NULL, SCARCE_MEMORY, ENOMEM)
SCARCE(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL, SCARCE_MEMORY, ENOMEM)
SCARCE(void *, realloc, (void *old, size_t bytes), (old, bytes), NULL, SCARCE_MEMORY, ENOMEM)
SCARCE(void *, aligned_alloc, (size_t to, size_t bytes), (to, bytes), NULL, SCARCE_MEMORY, ENOMEM)
SCARCE(char *, strdup, (const char *text), (text), NULL, SCARCE_MEMORY, ENOMEM)
SCARCE(char *, strndup, (const char *text, size_t most), (text, most), NULL, SCARCE_MEMORY, ENOMEM)
SCARCE(void *, mmap, (void *at, size_t bytes, int may, int how, int fd, off_t from),
       (at, bytes, may, how, fd, from), MAP_FAILED, SCARCE_MEMORY, ENOMEM)

int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **text, const char *format, ...) {
    va_list arguments;
    if (fails(SCARCE_MEMORY, ENOMEM))
        return -1;
    va_start(arguments, format);
    int length = vasprintf(text, format, arguments);
    va_end(arguments);
    return length;
}

/* What a fortified build calls in its place. */
int __wrap___asprintf_chk(char **text, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int __wrap___asprintf_chk(char **text, int level, const char *format, ...) {
    va_list arguments;
    (void)level;
    if (fails(SCARCE_MEMORY, ENOMEM))
        return -1;
    va_start(arguments, format);
    int length = vasprintf(text, format, arguments);
    va_end(arguments);
    return length;
}

/* ---- SQLite's memory: its own allocator, asked through here ---- */

static sqlite3_mem_methods sqlite;

static void *sqlite_malloc(int bytes) {
    return fails(SCARCE_SQLITE, ENOMEM) ? NULL : sqlite.xMalloc(bytes);
}

static void *sqlite_realloc(void *old, int bytes) {
    return fails(SCARCE_SQLITE, ENOMEM) ? NULL : sqlite.xRealloc(old, bytes);
}

__attribute__((constructor)) static void begin_sqlite(void) {
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite) != SQLITE_OK)
        abort();
    sqlite3_mem_methods through = sqlite;
    through.xMalloc = sqlite_malloc;
    through.xRealloc = sqlite_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &through) != SQLITE_OK)
        abort();
}

/* ---- the system ---- */

SCARCE(int, rename, (const char *from, const char *to), (from, to), -1, SCARCE_SYSTEM, EIO)
SCARCE(int, fsync, (int fd), (fd), -1, SCARCE_SYSTEM, EIO)
SCARCE(int, ftruncate, (int fd, off_t bytes), (fd, bytes), -1, SCARCE_SYSTEM, EIO)
SCARCE(int, stat, (const char *path, struct stat *info), (path, info), -1, SCARCE_SYSTEM, EIO)
SCARCE(int, fstat, (int fd, struct stat *info), (fd, info), -1, SCARCE_SYSTEM, EIO)
SCARCE(int, gethostname, (char *name, size_t bytes), (name, bytes), -1, SCARCE_SYSTEM, EIO)
SCARCE(ssize_t, pread, (int fd, void *to, size_t bytes, off_t at), (fd, to, bytes, at), -1,
       SCARCE_SYSTEM, EIO)
SCARCE(ssize_t, pwrite, (int fd, const void *from, size_t bytes, off_t at), (fd, from, bytes, at),
       -1, SCARCE_SYSTEM, EIO)

int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list arguments;
    if (fails(SCARCE_SYSTEM, EIO))
        return -1;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return openat(AT_FDCWD, path, flags, mode);
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, void *argument);
int __wrap_fcntl(int fd, int command, void *argument) {
    return fails(SCARCE_SYSTEM, EIO) ? -1 : __real_fcntl(fd, command, argument);
}

static long filesystem;

int __real_statfs(const char *path, struct statfs *info);
int __wrap_statfs(const char *path, struct statfs *info);
int __wrap_statfs(const char *path, struct statfs *info) {
    if (fails(SCARCE_SYSTEM, EIO) || __real_statfs(path, info) != 0)
        return -1;
    if (filesystem)
        info->f_type = filesystem;
    return 0;
}

/* ---- for tests ---- */

void scarce_filesystem(long type) {
    filesystem = type;
}

void scarce_begin(unsigned kinds, unsigned n, bool for_ever) {
    scarce.calls = 0;
    scarce.n = n;
    scarce.for_ever = for_ever;
    scarce.failed = scarce.paused = false;
    scarce.kinds = kinds;
}

bool scarce_end(void) {
    scarce.kinds = 0;
    return scarce.failed;
}

void scarce_pause(void) {
    scarce.paused = true;
}

void scarce_resume(void) {
    scarce.paused = false;
}

unsigned scarce_calls(void) {
    return scarce.calls;
}
