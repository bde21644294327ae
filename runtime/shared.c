/* Design notes
 * The arena is a file without a name (memfd_create), sparse and sealed against shrinking, so that a
 * reader cannot be made to fault. Others open it once through /proc/PID/fd and map all of it: a
 * blob then costs them nothing but to be told its place, whatever its size.
 *
 * Pieces are powers of two (a buddy system): to take and to give back is a few steps, and the lists
 * lie outside the arena, where no other process sees them. What a piece is larger than its blob is
 * never touched, and takes no memory. Freed pieces keep theirs for the next blob, which need not
 * fault it in again, up to a bound; then it goes back to the system. */
#include "runtime/shared.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_SHIFT = 12, ORDERS = 40 - PIECE_SHIFT + 1, TAKEN = 0x40, FREE = 0x80 };

#define ARENA_MOST_BYTES ((uint64_t)1 << 40)
#define KEPT_MOST_BYTES  ((uint64_t)256 << 20)
#define NONE             UINT32_MAX

/* Of the first piece of a free block. */
typedef struct neighbours {
    uint32_t next, before;
} neighbours;

struct sl_shared {
    _Atomic uint32_t references;
    int fd;
    uint8_t *memory;
    uint64_t bytes; /* a power of two */
    uint64_t file;
    pthread_mutex_t lock;
    uint8_t *state;    /* by piece: 0, or of a block's first: its order and TAKEN or FREE */
    neighbours *links; /* by piece */
    uint32_t free[ORDERS];
    uint32_t top;        /* order of the whole */
    uint64_t kept_bytes; /* about as much memory do free blocks have */
};

struct sl_shared_map {
    _Atomic uint32_t references;
    const uint8_t *memory;
    uint64_t bytes, file;
    uint32_t pid, number;
};

/* ---- who shares ---- */

static uint64_t hash(uint64_t seed, const void *data, size_t bytes) {
    const uint8_t *at = data; /* FNV-1a */
    for (size_t i = 0; i < bytes; i++)
        seed = (seed ^ at[i]) * UINT64_C(0x100000001b3);
    return seed;
}

uint64_t sl_shared_host(void) {
    char boot[64] = "";
    struct stat pids;
    uid_t user = geteuid();
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    bool read = file && fgets(boot, sizeof boot, file);
    if (file)
        fclose(file);
    if (!read || stat("/proc/self/ns/pid", &pids) != 0)
        return 0;
    uint64_t ns = pids.st_ino, host = UINT64_C(0xcbf29ce484222325);
    host = hash(host, boot, strlen(boot));
    host = hash(host, &ns, sizeof ns);
    host = hash(host, &user, sizeof user);
    return host ? host : 1;
}

/* ---- blocks; under the lock ---- */

static void block_in(sl_shared *shared, uint32_t at, uint32_t order) {
    uint32_t next = shared->free[order];
    shared->state[at] = (uint8_t)(FREE | order);
    shared->links[at] = (neighbours){.next = next, .before = NONE};
    if (next != NONE)
        shared->links[next].before = at;
    shared->free[order] = at;
}

static void block_out(sl_shared *shared, uint32_t at, uint32_t order) {
    neighbours links = shared->links[at];
    shared->state[at] = 0;
    if (links.next != NONE)
        shared->links[links.next].before = links.before;
    if (links.before != NONE)
        shared->links[links.before].next = links.next;
    else
        shared->free[order] = links.next;
}

/* NONE: no block is large enough. */
static uint32_t block_take(sl_shared *shared, uint32_t order) {
    uint32_t have = order;
    while (have <= shared->top && shared->free[have] == NONE)
        have++;
    if (have > shared->top)
        return NONE;
    uint32_t at = shared->free[have];
    block_out(shared, at, have);
    while (have > order) {
        have--;
        block_in(shared, at + (UINT32_C(1) << have), have);
    }
    shared->state[at] = (uint8_t)(TAKEN | order);
    uint64_t bytes = UINT64_C(1) << (order + PIECE_SHIFT);
    shared->kept_bytes -= bytes < shared->kept_bytes ? bytes : shared->kept_bytes;
    return at;
}

static void block_give(sl_shared *shared, uint32_t at) {
    uint32_t order = shared->state[at] & (TAKEN - 1);
    uint64_t bytes = UINT64_C(1) << (order + PIECE_SHIFT);
    if (shared->kept_bytes + bytes <= KEPT_MOST_BYTES)
        shared->kept_bytes += bytes;
    else
        (void)fallocate(shared->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        (off_t)((uint64_t)at << PIECE_SHIFT), (off_t)bytes);
    shared->state[at] = 0;
    for (; order < shared->top; order++) {
        uint32_t buddy = at ^ (UINT32_C(1) << order);
        if (shared->state[buddy] != (FREE | order))
            break;
        block_out(shared, buddy, order);
        at &= ~(UINT32_C(1) << order);
    }
    block_in(shared, at, order);
}

/* ---- the arena ---- */

static void destroy(sl_shared *shared) {
    if (shared->memory)
        munmap(shared->memory, shared->bytes);
    if (shared->fd >= 0)
        close(shared->fd);
    pthread_mutex_destroy(&shared->lock);
    free(shared->state);
    free(shared->links);
    free(shared);
}

void sl_shared_release(sl_shared *shared) {
    if (shared && atomic_fetch_sub(&shared->references, 1) == 1)
        destroy(shared);
}

/* A file that others can map and nobody can shrink. */
static bool open_file(sl_shared *shared) {
    struct stat facts;
    shared->fd = memfd_create("starlane-store", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (shared->fd < 0 || ftruncate(shared->fd, (off_t)shared->bytes) != 0 ||
        fcntl(shared->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 ||
        fstat(shared->fd, &facts) != 0)
        return false;
    shared->file = facts.st_ino;
    void *memory = mmap(NULL, shared->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                        shared->fd, 0);
    if (memory == MAP_FAILED)
        return false;
    shared->memory = memory;
    (void)madvise(memory, shared->bytes, MADV_DONTDUMP);
    (void)madvise(memory, shared->bytes, MADV_HUGEPAGE);
    return true;
}

static uint32_t order_of(uint64_t bytes) {
    uint32_t shift = 64 - (uint32_t)__builtin_clzll(bytes - 1);
    return shift < PIECE_SHIFT ? 0 : shift - PIECE_SHIFT;
}

/* Twice what is asked for, as pieces are up to twice their blobs. */
sl_err sl_shared_create(uint64_t bytes, sl_shared **out) {
    if (bytes < SL_SHARED_LEAST_BYTES)
        bytes = SL_SHARED_LEAST_BYTES;
    if (bytes > ARENA_MOST_BYTES / 2)
        bytes = ARENA_MOST_BYTES / 2;
    sl_shared *shared = calloc(1, sizeof *shared);
    if (!shared)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for shared memory");
    shared->fd = -1;
    atomic_init(&shared->references, 1);
    pthread_mutex_init(&shared->lock, NULL);
    shared->top = order_of(bytes) + 1;
    shared->bytes = UINT64_C(1) << (shared->top + PIECE_SHIFT);
    uint64_t pieces = shared->bytes >> PIECE_SHIFT;
    shared->state = calloc(pieces, sizeof *shared->state);
    shared->links = calloc(pieces, sizeof *shared->links);
    if (!shared->state || !shared->links || !open_file(shared)) {
        destroy(shared);
        return sl_fail(SL_ERR_NO_MEMORY, "no shared memory of %llu bytes",
                       (unsigned long long)bytes);
    }
    for (uint32_t order = 0; order < ORDERS; order++)
        shared->free[order] = NONE;
    block_in(shared, 0, shared->top);
    *out = shared;
    return SL_OK;
}

static void give_back(void *context, void *data) {
    sl_shared *shared = context;
    pthread_mutex_lock(&shared->lock);
    block_give(shared, (uint32_t)(((uint8_t *)data - shared->memory) >> PIECE_SHIFT));
    pthread_mutex_unlock(&shared->lock);
    sl_shared_release(shared);
}

sl_err sl_shared_take(sl_shared *shared, uint64_t bytes, sl_blob **blob) {
    if (bytes < SL_SHARED_LEAST_BYTES)
        return sl_fail(SL_ERR_INVALID, "shared memory of %llu bytes", (unsigned long long)bytes);
    uint32_t at = NONE;
    if (bytes <= shared->bytes) {
        pthread_mutex_lock(&shared->lock);
        at = block_take(shared, order_of(bytes));
        pthread_mutex_unlock(&shared->lock);
    }
    if (at == NONE)
        return sl_fail(SL_ERR_NO_MEMORY, "no shared memory for %llu bytes",
                       (unsigned long long)bytes);
    atomic_fetch_add(&shared->references, 1);
    uint8_t *data = shared->memory + ((uint64_t)at << PIECE_SHIFT);
    sl_err err = sl_blob_wrap(data, bytes, give_back, shared, blob);
    if (err != SL_OK)
        give_back(shared, data);
    return err;
}

bool sl_shared_place_of(sl_shared *shared, const sl_blob *blob, sl_shared_place *place) {
    if (!shared || blob->context != shared)
        return false;
    *place = (sl_shared_place){.file = shared->file,
                               .arena_bytes = shared->bytes,
                               .offset = (uint64_t)(blob->data - shared->memory),
                               .bytes = blob->bytes,
                               .pid = (uint32_t)getpid(),
                               .number = (uint32_t)shared->fd};
    return true;
}

/* ---- others' ---- */

static bool is_meant(int fd, const sl_shared_place *place) {
    struct stat facts;
    return fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_ino == place->file &&
           (uint64_t)facts.st_size == place->arena_bytes &&
           (fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK); /* -1, of what is no such file: the next */
}

sl_err sl_shared_map_open(const sl_shared_place *place, sl_shared_map **out) {
    char path[64];
    if (place->pid > INT32_MAX || place->number > INT32_MAX || !place->pid || !place->arena_bytes ||
        place->arena_bytes > ARENA_MOST_BYTES)
        return sl_fail(SL_ERR_DECODE, "no place of shared memory");
    snprintf(path, sizeof path, "/proc/%u/fd/%u", place->pid, place->number);
    struct stat facts; /* before it is opened: opening what is no file may have effects */
    int fd = stat(path, &facts) == 0 && S_ISREG(facts.st_mode)
                 ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
                 : -1;
    bool meant = fd >= 0 && fcntl(fd, F_GET_SEALS) >= 0 && is_meant(fd, place);
    void *memory =
        meant ? mmap(NULL, place->arena_bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0)
              : MAP_FAILED;
    if (fd >= 0)
        close(fd);
    if (memory == MAP_FAILED)
        return sl_fail(SL_ERR_UNAVAILABLE, "the memory of process %u cannot be mapped", place->pid);
    sl_shared_map *map = malloc(sizeof *map);
    if (!map) {
        munmap(memory, place->arena_bytes);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a mapping");
    }
    *map = (sl_shared_map){.memory = memory,
                           .bytes = place->arena_bytes,
                           .file = place->file,
                           .pid = place->pid,
                           .number = place->number};
    atomic_init(&map->references, 1);
    *out = map;
    return SL_OK;
}

sl_shared_map *sl_shared_map_retain(sl_shared_map *map) {
    atomic_fetch_add(&map->references, 1);
    return map;
}

void sl_shared_map_release(sl_shared_map *map) {
    if (!map || atomic_fetch_sub(&map->references, 1) != 1)
        return;
    munmap((void *)(uintptr_t)map->memory, map->bytes);
    free(map);
}

const void *sl_shared_map_at(const sl_shared_map *map, const sl_shared_place *place) {
    if (map->pid != place->pid || map->number != place->number || map->file != place->file ||
        map->bytes != place->arena_bytes || place->bytes > map->bytes ||
        place->offset > map->bytes - place->bytes)
        return NULL;
    return map->memory + place->offset;
}
