/* Design notes
 * Pieces begin where no other has been, or where one of the same power of two was freed. The file
 * is sparse: what a piece is larger than its content takes no room, and what is freed is punched
 * out of it, where the file system can. Who they belong to, and their sums, are in memory alone:
 * the file is of no use to anybody else.
 *
 * The sum tells what was torn or mixed up on its way; it is no protection from somebody who can
 * write to the file. */
#include "actors/store/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHIFT_LEAST = 12, SHIFTS = 44, PIECE_BYTES = 8 << 20, PATH_MOST = 4096 };

/* Offsets of freed pieces of one size. */
typedef struct free_list {
    uint64_t *offsets;
    uint32_t count, capacity;
} free_list;

struct sl_spill {
    int fd;
    sl_spill_disk disk;
    pthread_mutex_t lock; /* of what follows */
    uint64_t end;
    free_list free[SHIFTS];
};

/* ---- the disk ---- */

static ssize_t system_write(void *context, int fd, const void *from, size_t bytes, off_t at) {
    (void)context;
    return pwrite(fd, from, bytes, at);
}

static ssize_t system_read(void *context, int fd, void *to, size_t bytes, off_t at) {
    (void)context;
    return pread(fd, to, bytes, at);
}

static size_t piece_of(uint64_t left) {
    return left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
}

static sl_err write_all(const sl_spill *spill, const uint8_t *data, uint64_t bytes, uint64_t at) {
    for (uint64_t done = 0; done < bytes;) {
        ssize_t wrote = spill->disk.write(spill->disk.context, spill->fd, data + done,
                                          piece_of(bytes - done), (off_t)(at + done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return sl_fail(SL_ERR_IO, "%llu bytes cannot be spilled: %s", (unsigned long long)bytes,
                           wrote < 0 ? strerror(errno) : "the disk takes none of them");
        done += (uint64_t)wrote;
    }
    return SL_OK;
}

static sl_err read_all(const sl_spill *spill, uint8_t *data, uint64_t bytes, uint64_t at) {
    for (uint64_t done = 0; done < bytes;) {
        ssize_t got = spill->disk.read(spill->disk.context, spill->fd, data + done,
                                       piece_of(bytes - done), (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return sl_fail(SL_ERR_IO, "%llu bytes that were spilled cannot be read: %s",
                           (unsigned long long)bytes, got < 0 ? strerror(errno) : "they are cut");
        done += (uint64_t)got;
    }
    return SL_OK;
}

/* ---- sums: four lanes, so that it keeps up with memory ---- */

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

static uint64_t sum_of(const uint8_t *data, uint64_t bytes) {
    uint64_t lanes[4] = {1, 2, 3, 4}, words[4] = {0}, at = 0;
    for (; bytes - at >= sizeof words; at += sizeof words) {
        memcpy(words, data + at, sizeof words);
        for (int i = 0; i < 4; i++)
            lanes[i] = mix(lanes[i], words[i]);
    }
    memset(words, 0, sizeof words);
    if (bytes > at)
        memcpy(words, data + at, bytes - at);
    uint64_t hash = bytes;
    for (int i = 0; i < 4; i++)
        hash = mix(mix(hash, lanes[i]), words[i]);
    return hash;
}

/* ---- pieces ---- */

static uint32_t shift_of(uint64_t bytes) {
    uint32_t shift = SHIFT_LEAST;
    while (shift < SHIFTS - 1 && UINT64_C(1) << shift < bytes)
        shift++;
    return shift;
}

static uint64_t piece_take(sl_spill *spill, uint32_t shift) {
    free_list *list = &spill->free[shift];
    pthread_mutex_lock(&spill->lock);
    uint64_t offset = spill->end;
    if (list->count)
        offset = list->offsets[--list->count];
    else
        spill->end += UINT64_C(1) << shift;
    pthread_mutex_unlock(&spill->lock);
    return offset;
}

/* Without memory to note it the piece is not used again: the file is sparse, and has room. */
static void piece_give(sl_spill *spill, uint32_t shift, uint64_t offset) {
    free_list *list = &spill->free[shift];
    pthread_mutex_lock(&spill->lock);
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? 2 * list->capacity : 16;
        uint64_t *offsets = realloc(list->offsets, capacity * sizeof *offsets);
        if (offsets) {
            list->offsets = offsets;
            list->capacity = capacity;
        }
    }
    if (list->count < list->capacity)
        list->offsets[list->count++] = offset;
    pthread_mutex_unlock(&spill->lock);
}

/* ---- the file ---- */

static int open_nameless(const char *directory) {
    char path[PATH_MOST];
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    if (snprintf(path, sizeof path, "%s/starlane-spill-XXXXXX", directory) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC); /* of mode 0600 */
    if (fd >= 0)
        unlink(path);
    return fd;
}

sl_err sl_spill_open(const char *directory, const sl_spill_disk *disk, sl_spill **out) {
    sl_spill *spill = calloc(1, sizeof *spill);
    if (!spill)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to spill objects");
    spill->disk = disk ? *disk : (sl_spill_disk){.write = system_write, .read = system_read};
    spill->fd = open_nameless(directory);
    if (spill->fd < 0) {
        free(spill);
        return sl_fail(SL_ERR_IO, "objects cannot be spilled to %s (store-spill): %s", directory,
                       strerror(errno));
    }
    pthread_mutex_init(&spill->lock, NULL);
    *out = spill;
    return SL_OK;
}

void sl_spill_close(sl_spill *spill) {
    if (!spill)
        return;
    close(spill->fd);
    pthread_mutex_destroy(&spill->lock);
    for (uint32_t i = 0; i < SHIFTS; i++)
        free(spill->free[i].offsets);
    free(spill);
}

sl_err sl_spill_write(sl_spill *spill, const void *data, uint64_t bytes, sl_spill_place *place) {
    *place = (sl_spill_place){.bytes = bytes, .sum = sum_of(data, bytes)};
    place->offset = piece_take(spill, shift_of(bytes));
    sl_err err = write_all(spill, data, bytes, place->offset);
    if (err != SL_OK)
        sl_spill_free(spill, place); /* and what of it was written */
    return err;
}

sl_err sl_spill_read(sl_spill *spill, const sl_spill_place *place, void *data) {
    SL_TRY(read_all(spill, data, place->bytes, place->offset));
    if (sum_of(data, place->bytes) != place->sum)
        return sl_fail(SL_ERR_IO, "%llu bytes that were spilled are not what was written",
                       (unsigned long long)place->bytes);
    return SL_OK;
}

void sl_spill_free(sl_spill *spill, const sl_spill_place *place) {
    uint32_t shift = shift_of(place->bytes);
    (void)fallocate(spill->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)place->offset,
                    (off_t)(UINT64_C(1) << shift));
    piece_give(spill, shift, place->offset);
}
