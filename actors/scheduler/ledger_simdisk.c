/* Design notes
 * A file has two contents: what is read, and what is on the platter. Writes go to the first at once
 * and are kept in order; a sync brings all of them to the second. When the power goes each that is
 * not synced gets there by chance, some of them only up to a sector's end; that is then the
 * content. So nothing that was synced is ever lost, and of the rest any part may be. */
#include "actors/scheduler/ledger_simdisk.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rng.h"

enum { SECTOR_BYTES = 512, FIRST_BYTES = 49152, SHM_BYTES = 32768, SHM_MOST = 64, NAME_MOST = 200 };

typedef struct content {
    uint8_t *data;
    size_t bytes;
    size_t capacity;
} content;

typedef struct handle handle;

/* A write, or with no bytes a truncation to `offset`. */
typedef struct change {
    struct change *next;
    size_t offset;
    size_t bytes;
    uint8_t data[];
} change;

typedef struct disk_file {
    struct disk_file *next;
    char name[NAME_MOST];
    content now;
    content platter;
    change *first;
    change *last;
    void *shm[SHM_MOST];
    uint32_t readers;     /* handles with a shared lock or more */
    const handle *writer; /* with a reserved lock or more; exclusive keeps readers out */
    bool exclusive;
} disk_file;

struct sl_ledger_simdisk {
    sl_ledger_disk base;
    sqlite3_vfs vfs;
    char name[32];
    disk_file *files;
    sl_rng rng;
    uint64_t operations;
    uint64_t fault_at;
    sl_simdisk_fault fault;
    bool broken;
    bool dead;
};

struct handle {
    sqlite3_file base;
    sl_ledger_simdisk *disk;
    disk_file *file;
    int level; /* of its lock, SQLITE_LOCK_… */
};

/* ---- contents ---- */

static bool content_write(content *c, size_t offset, const void *data, size_t bytes) {
    size_t end = offset + bytes;
    if (end > c->capacity) {
        size_t capacity = end < FIRST_BYTES / 2 ? FIRST_BYTES : end * 2 + 4096;
        uint8_t *grown = realloc(c->data, capacity);
        if (!grown)
            return false;
        c->data = grown;
        c->capacity = capacity;
    }
    if (offset > c->bytes)
        memset(c->data + c->bytes, 0, offset - c->bytes);
    memcpy(c->data + offset, data, bytes);
    if (end > c->bytes)
        c->bytes = end;
    return true;
}

static void content_cut(content *c, size_t bytes) {
    if (bytes < c->bytes)
        c->bytes = bytes;
}

static bool apply(content *c, const change *each, size_t bytes) {
    if (each->bytes)
        return content_write(c, each->offset, each->data, bytes);
    content_cut(c, each->offset);
    return true;
}

/* ---- files ---- */

static disk_file *file_find(sl_ledger_simdisk *disk, const char *name) {
    for (disk_file *file = disk->files; file; file = file->next) {
        if (strcmp(file->name, name) == 0)
            return file;
    }
    return NULL;
}

static disk_file *file_create(sl_ledger_simdisk *disk, const char *name) {
    disk_file *file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    snprintf(file->name, sizeof file->name, "%s", name);
    file->next = disk->files;
    disk->files = file;
    return file;
}

static void changes_clear(disk_file *file) {
    for (change *each = file->first, *next; each; each = next) {
        next = each->next;
        free(each);
    }
    file->first = file->last = NULL;
}

static void shm_clear(disk_file *file) {
    for (int i = 0; i < SHM_MOST; i++) {
        free(file->shm[i]);
        file->shm[i] = NULL;
    }
}

static void file_remove(sl_ledger_simdisk *disk, const char *name) {
    for (disk_file **at = &disk->files; *at; at = &(*at)->next) {
        disk_file *file = *at;
        if (strcmp(file->name, name) != 0)
            continue;
        *at = file->next;
        changes_clear(file);
        shm_clear(file);
        free(file->now.data);
        free(file->platter.data);
        free(file);
        return;
    }
}

static bool change_add(disk_file *file, size_t offset, const void *data, size_t bytes) {
    change *each = malloc(sizeof *each + bytes);
    if (!each)
        return false;
    *each = (change){.offset = offset, .bytes = bytes};
    if (bytes)
        memcpy(each->data, data, bytes);
    if (file->last)
        file->last->next = each;
    else
        file->first = each;
    file->last = each;
    return apply(&file->now, each, bytes);
}

static void sync_file(disk_file *file) {
    for (const change *each = file->first; each; each = each->next)
        (void)apply(&file->platter, each, each->bytes);
    changes_clear(file);
}

/* ---- faults ---- */

/* Counts an operation; true when it fails. */
static bool fails(sl_ledger_simdisk *disk) {
    uint64_t number = disk->operations++;
    if (disk->dead)
        return true;
    if (disk->fault == SL_SIMDISK_WELL || number < disk->fault_at)
        return false;
    disk->broken = true;
    if (disk->fault == SL_SIMDISK_POWER)
        disk->dead = true;
    if (disk->fault == SL_SIMDISK_ERROR)
        disk->fault = SL_SIMDISK_WELL;
    return true;
}

static bool is_full(const sl_ledger_simdisk *disk) {
    return disk->fault == SL_SIMDISK_FULL && !disk->dead;
}

void sl_ledger_simdisk_break(sl_ledger_simdisk *disk, sl_simdisk_fault fault, uint64_t after) {
    disk->fault = fault;
    disk->fault_at = disk->operations + after;
    disk->broken = false;
}

bool sl_ledger_simdisk_dead(const sl_ledger_simdisk *disk) {
    return disk->dead;
}

void sl_ledger_simdisk_power_off(sl_ledger_simdisk *disk) {
    disk->dead = true;
}

static void file_restore(sl_ledger_simdisk *disk, disk_file *file) {
    for (const change *each = file->first; each; each = each->next) {
        uint64_t chance = sl_rng_below(&disk->rng, 8);
        if (chance < 3)
            (void)apply(&file->platter, each, each->bytes);
        else if (chance < 5 && each->bytes > SECTOR_BYTES)
            (void)apply(&file->platter, each,
                        SECTOR_BYTES * (1 + sl_rng_below(&disk->rng, each->bytes / SECTOR_BYTES)));
    }
    changes_clear(file);
    shm_clear(file);
    content_cut(&file->now, 0);
    if (file->platter.bytes)
        (void)content_write(&file->now, 0, file->platter.data, file->platter.bytes);
}

void sl_ledger_simdisk_restore(sl_ledger_simdisk *disk) {
    for (disk_file *file = disk->files; file; file = file->next)
        file_restore(disk, file);
    disk->dead = disk->broken = false;
    disk->fault = SL_SIMDISK_WELL;
}

uint64_t sl_ledger_simdisk_operations(const sl_ledger_simdisk *disk) {
    return disk->operations;
}

/* ---- what SQLite calls ---- */

/* The ledger's own reader may look on while it is written. */
static int on_unlock(sqlite3_file *f, int level) {
    handle *h = (handle *)(void *)f;
    if (level < SQLITE_LOCK_RESERVED && h->file->writer == h) {
        h->file->writer = NULL;
        h->file->exclusive = false;
    }
    if (level == SQLITE_LOCK_NONE && h->level > SQLITE_LOCK_NONE)
        h->file->readers--;
    if (level < h->level)
        h->level = level;
    return SQLITE_OK;
}

static int on_lock(sqlite3_file *f, int level) {
    handle *h = (handle *)(void *)f;
    disk_file *file = h->file;
    bool other = file->writer && file->writer != h;
    if (level <= h->level)
        return SQLITE_OK;
    if (other && (level >= SQLITE_LOCK_RESERVED || file->exclusive))
        return SQLITE_BUSY;
    uint32_t others = file->readers - (h->level > SQLITE_LOCK_NONE);
    if (level == SQLITE_LOCK_EXCLUSIVE && others)
        return SQLITE_BUSY;
    file->readers += h->level == SQLITE_LOCK_NONE;
    if (level >= SQLITE_LOCK_RESERVED)
        file->writer = h;
    file->exclusive = level == SQLITE_LOCK_EXCLUSIVE;
    h->level = level;
    return SQLITE_OK;
}

static int on_close(sqlite3_file *f) {
    return on_unlock(f, SQLITE_LOCK_NONE);
}

static int on_read(sqlite3_file *f, void *to, int bytes, sqlite3_int64 offset) {
    const handle *h = (handle *)(void *)f;
    const content *now = &h->file->now;
    size_t from = (size_t)offset, wanted = (size_t)bytes;
    size_t there = from < now->bytes ? now->bytes - from : 0;
    if (h->disk->dead)
        return SQLITE_IOERR_READ;
    if (there > wanted)
        there = wanted;
    if (there)
        memcpy(to, now->data + from, there);
    memset((uint8_t *)to + there, 0, wanted - there);
    return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

/* A write during which the power goes may be there in part; that is drawn when it is restored. */
static int on_write(sqlite3_file *f, const void *data, int bytes, sqlite3_int64 offset) {
    handle *h = (handle *)(void *)f;
    bool grows = (size_t)offset + (size_t)bytes > h->file->now.bytes;
    if (is_full(h->disk)) {
        h->disk->operations++;
        h->disk->broken |= grows;
        if (grows)
            return SQLITE_FULL;
    } else if (fails(h->disk)) {
        if (h->disk->broken && h->disk->fault == SL_SIMDISK_POWER)
            (void)change_add(h->file, (size_t)offset, data, (size_t)bytes);
        return SQLITE_IOERR_WRITE;
    }
    return change_add(h->file, (size_t)offset, data, (size_t)bytes) ? SQLITE_OK
                                                                    : SQLITE_IOERR_NOMEM;
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 bytes) {
    handle *h = (handle *)(void *)f;
    if (!is_full(h->disk) && fails(h->disk))
        return SQLITE_IOERR_TRUNCATE;
    return change_add(h->file, (size_t)bytes, NULL, 0) ? SQLITE_OK : SQLITE_IOERR_NOMEM;
}

static int on_sync(sqlite3_file *f, int flags) {
    handle *h = (handle *)(void *)f;
    (void)flags;
    if (!is_full(h->disk) && fails(h->disk))
        return SQLITE_IOERR_FSYNC;
    sync_file(h->file);
    return SQLITE_OK;
}

static int on_size(sqlite3_file *f, sqlite3_int64 *bytes) {
    *bytes = (sqlite3_int64)((handle *)(void *)f)->file->now.bytes;
    return SQLITE_OK;
}

static int on_check_lock(sqlite3_file *f, int *held) {
    *held = ((handle *)(void *)f)->file->writer != NULL;
    return SQLITE_OK;
}

static int on_control(sqlite3_file *f, int what, void *argument) {
    (void)f, (void)what, (void)argument;
    return SQLITE_NOTFOUND;
}

static int on_sector(sqlite3_file *f) {
    (void)f;
    return SECTOR_BYTES;
}

static int on_device(sqlite3_file *f) {
    (void)f;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int on_map(sqlite3_file *f, int page, int bytes, int extend, void volatile **at) {
    handle *h = (handle *)(void *)f;
    *at = NULL;
    if (page >= SHM_MOST || bytes > SHM_BYTES)
        return SQLITE_IOERR_SHMMAP;
    if (!h->file->shm[page] && extend)
        h->file->shm[page] = calloc(1, SHM_BYTES);
    *at = h->file->shm[page];
    return *at || !extend ? SQLITE_OK : SQLITE_IOERR_NOMEM;
}

static int on_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
    (void)f, (void)offset, (void)n, (void)flags;
    return SQLITE_OK;
}

static void on_barrier(sqlite3_file *f) {
    (void)f;
}

static int on_unmap(sqlite3_file *f, int remove_it) {
    if (remove_it)
        shm_clear(((handle *)(void *)f)->file);
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
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

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *flags_out) {
    sl_ledger_simdisk *disk = vfs->pAppData;
    handle *h = (handle *)(void *)f;
    f->pMethods = NULL;
    disk_file *file = name ? file_find(disk, name) : NULL;
    if (disk->dead || !name || (!file && !(flags & SQLITE_OPEN_CREATE)))
        return SQLITE_CANTOPEN;
    if (!file)
        file = file_create(disk, name);
    if (!file)
        return SQLITE_NOMEM;
    *h = (handle){{&methods}, disk, file, SQLITE_LOCK_NONE};
    if (flags_out)
        *flags_out = flags;
    return SQLITE_OK;
}

static int on_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    sl_ledger_simdisk *disk = vfs->pAppData;
    (void)sync;
    if (!is_full(disk) && fails(disk))
        return SQLITE_IOERR_DELETE;
    file_remove(disk, name);
    return SQLITE_OK;
}

static int on_access(sqlite3_vfs *vfs, const char *name, int flags, int *there) {
    sl_ledger_simdisk *disk = vfs->pAppData;
    const disk_file *file = file_find(disk, name);
    (void)flags;
    *there = file && file->now.bytes > 0;
    return SQLITE_OK;
}

static int on_full_name(sqlite3_vfs *vfs, const char *name, int bytes, char *out) {
    (void)vfs;
    snprintf(out, (size_t)bytes, "%s", strncmp(name, "./", 2) == 0 ? name + 2 : name);
    return SQLITE_OK;
}

static int on_randomness(sqlite3_vfs *vfs, int bytes, char *out) {
    sl_ledger_simdisk *disk = vfs->pAppData;
    for (int i = 0; i < bytes; i++)
        out[i] = (char)sl_rng_below(&disk->rng, 256);
    return bytes;
}

static int on_sleep(sqlite3_vfs *vfs, int us) {
    (void)vfs;
    return us;
}

static int on_time(sqlite3_vfs *vfs, double *now) {
    (void)vfs;
    *now = 2440587.5;
    return SQLITE_OK;
}

/* ---- names ---- */

static sl_ledger_simdisk *disk_of(const sl_ledger_disk *base) {
    return (sl_ledger_simdisk *)(uintptr_t)base;
}

static sl_err sim_check(const sl_ledger_disk *base, const char *path) {
    const disk_file *file = file_find(disk_of(base), path);
    return file && file->now.bytes ? SL_OK
                                   : sl_fail(SL_ERR_NOT_FOUND, "there is no ledger %s", path);
}

static void sim_remove(const sl_ledger_disk *base, const char *path) {
    file_remove(disk_of(base), path);
}

static sl_err sim_rename(const sl_ledger_disk *base, const char *from, const char *to) {
    sl_ledger_simdisk *disk = disk_of(base);
    disk_file *file = file_find(disk, from);
    if (!file || fails(disk))
        return sl_fail(SL_ERR_LEDGER, "cannot rename %s to %s", from, to);
    file_remove(disk, to);
    snprintf(file->name, sizeof file->name, "%s", to);
    return SL_OK;
}

/* ---- life ---- */

/* SQLite counts its memory under a lock, twice a piece; a process that simulates asks for no count.
 * Too late where it was used before: then it counts. */
static void count_nothing(void) {
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

sl_err sl_ledger_simdisk_create(uint64_t seed, sl_ledger_simdisk **out) {
    static _Atomic uint32_t numbers; /* SQLite's names of disks are for the whole process */
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, count_nothing);
    sl_ledger_simdisk *disk = calloc(1, sizeof *disk);
    if (!disk)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a simulated disk");
    snprintf(disk->name, sizeof disk->name, "simulated-%u", atomic_fetch_add(&numbers, 1));
    sl_rng_seed(&disk->rng, seed);
    disk->base = (sl_ledger_disk){.vfs = disk->name,
                                  .alone = true,
                                  .check = sim_check,
                                  .remove = sim_remove,
                                  .rename = sim_rename};
    disk->vfs = (sqlite3_vfs){.iVersion = 1,
                              .szOsFile = sizeof(handle),
                              .mxPathname = NAME_MOST,
                              .zName = disk->name,
                              .pAppData = disk,
                              .xOpen = on_open,
                              .xDelete = on_delete,
                              .xAccess = on_access,
                              .xFullPathname = on_full_name,
                              .xRandomness = on_randomness,
                              .xSleep = on_sleep,
                              .xCurrentTime = on_time};
    if (sqlite3_vfs_register(&disk->vfs, 0) != SQLITE_OK) {
        free(disk);
        return sl_fail(SL_ERR_LEDGER, "SQLite takes no simulated disk");
    }
    *out = disk;
    return SL_OK;
}

void sl_ledger_simdisk_destroy(sl_ledger_simdisk *disk) {
    if (!disk)
        return;
    sqlite3_vfs_unregister(&disk->vfs);
    while (disk->files)
        file_remove(disk, disk->files->name);
    free(disk);
}

const sl_ledger_disk *sl_ledger_simdisk_base(const sl_ledger_simdisk *disk) {
    return &disk->base;
}
