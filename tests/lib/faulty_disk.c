#include "tests/lib/faulty_disk.h"

#include <sqlite3.h>
#include <string.h>

typedef struct file {
    sqlite3_file base;
    bool log; /* a write-ahead log */
    sqlite3_file *real;
} file;

static faulty_disk disk;
static sqlite3_vfs front;
static sqlite3_io_methods methods;

static sqlite3_file *real_of(sqlite3_file *f) {
    return ((file *)f)->real;
}

static bool fails(void) {
    unsigned now = ++disk.operations;
    bool fault =
        disk.fail_at && (now == disk.fail_at || (disk.fail_for_ever && now > disk.fail_at));
    disk.failed |= fault;
    return fault;
}

static int on_close(sqlite3_file *f) {
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int on_read(sqlite3_file *f, void *bytes, int size, sqlite3_int64 offset) {
    return real_of(f)->pMethods->xRead(real_of(f), bytes, size, offset);
}

/* A failing write leaves its first half behind. */
static int on_write(sqlite3_file *f, const void *bytes, int size, sqlite3_int64 offset) {
    if (fails()) {
        (void)real_of(f)->pMethods->xWrite(real_of(f), bytes, size / 2, offset);
        return SQLITE_IOERR_WRITE;
    }
    disk.unsynced += ((file *)f)->log;
    return real_of(f)->pMethods->xWrite(real_of(f), bytes, size, offset);
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 size) {
    return fails() ? SQLITE_IOERR_TRUNCATE : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int on_sync(sqlite3_file *f, int flags) {
    (void)flags;
    if (fails())
        return SQLITE_IOERR_FSYNC;
    disk.syncs++;
    if (((file *)f)->log)
        disk.unsynced = 0;
    return SQLITE_OK;
}

static int on_size(sqlite3_file *f, sqlite3_int64 *size) {
    return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int on_lock(sqlite3_file *f, int level) {
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int on_unlock(sqlite3_file *f, int level) {
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int on_check_lock(sqlite3_file *f, int *held) {
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), held);
}

static int on_control(sqlite3_file *f, int what, void *argument) {
    return real_of(f)->pMethods->xFileControl(real_of(f), what, argument);
}

static int on_sector(sqlite3_file *f) {
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int on_device(sqlite3_file *f) {
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int on_map(sqlite3_file *f, int page, int size, int extend, void volatile **at) {
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, at);
}

static int on_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void on_barrier(sqlite3_file *f) {
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int on_unmap(sqlite3_file *f, int remove) {
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *flags_out) {
    sqlite3_vfs *behind = vfs->pAppData;
    file *mine = (file *)f;
    mine->real = (sqlite3_file *)(mine + 1);
    mine->log = (flags & SQLITE_OPEN_WAL) != 0;
    int code = behind->xOpen(behind, name, mine->real, flags, flags_out);
    mine->base.pMethods = mine->real->pMethods ? &methods : NULL;
    return code;
}

faulty_disk *faulty_disk_install(void) {
    sqlite3_vfs *behind = sqlite3_vfs_find(NULL);
    if (behind == &front)
        return &disk;
    methods = (sqlite3_io_methods){
        .iVersion = 2, /* without memory maps of the file */
        .xClose = on_close,
        .xRead = on_read,
        .xWrite = on_write,
        .xTruncate = on_truncate,
        .xSync = on_sync,
        .xFileSize = on_size,
        .xLock = on_lock,
        .xUnlock = on_unlock,
        .xCheckReservedLock = on_check_lock,
        .xFileControl = on_control,
        .xSectorSize = on_sector,
        .xDeviceCharacteristics = on_device,
        .xShmMap = on_map,
        .xShmLock = on_shm_lock,
        .xShmBarrier = on_barrier,
        .xShmUnmap = on_unmap,
    };
    front = *behind;
    front.szOsFile += (int)sizeof(file);
    front.zName = "faulty";
    front.pAppData = behind;
    front.xOpen = on_open;
    sqlite3_vfs_register(&front, 1);
    return &disk;
}
