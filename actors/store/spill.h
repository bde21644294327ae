/* A file in which objects lie that memory has no room for. It has no name, so that nothing is left
 * of it when its process ends, however it does; it can be read by its owner alone. Any thread;
 * blocks for the disk. */
#ifndef SL_STORE_SPILL_H
#define SL_STORE_SPILL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/err.h"

typedef struct sl_spill sl_spill;

/* The disk, for tests: as pwrite(2) and pread(2). */
typedef struct sl_spill_disk {
    ssize_t (*write)(void *context, int fd, const void *from, size_t bytes, off_t at);
    ssize_t (*read)(void *context, int fd, void *to, size_t bytes, off_t at);
    void *context;
} sl_spill_disk;

/* Where something lies, and how it is known again. */
typedef struct sl_spill_place {
    uint64_t offset, bytes, sum;
} sl_spill_place;

/* In `directory`, which must be there. `disk` NULL: the system's. SL_ERR_IO: no file can be made
 * there. */
sl_err sl_spill_open(const char *directory, const sl_spill_disk *disk, sl_spill **spill) SL_CHECKED;
void sl_spill_close(sl_spill *spill); /* NULL is fine */

/* SL_ERR_IO: it cannot be written (the disk is full, say), and nothing is kept;
 * SL_ERR_NO_MEMORY. */
sl_err sl_spill_write(sl_spill *spill, const void *data, uint64_t bytes,
                      sl_spill_place *place) SL_CHECKED;

/* SL_ERR_IO: it cannot be read, or is not what was written. */
sl_err sl_spill_read(sl_spill *spill, const sl_spill_place *place, void *data) SL_CHECKED;

/* It is not read any more: the disk has its room back. */
void sl_spill_free(sl_spill *spill, const sl_spill_place *place);

#endif
