/* Small files that are either the old one or the new one, whole, whatever happens in between. */
#ifndef SL_SDK_ATOMIC_FILE_H
#define SL_SDK_ATOMIC_FILE_H

#include <stddef.h>

#include "runtime/err.h"

/* Writes all of `bytes` to `fd`, however many calls it takes. SL_ERR_IO names `what` and the cause.
 */
sl_err sl_write_all(int fd, const void *bytes, size_t size, const char *what) SL_CHECKED;

/* Waits until what was written to `fd` is on disk; a pipe or terminal has no disk, which is fine.
 * SL_ERR_IO names `what` and the cause. */
sl_err sl_file_sync(int fd, const char *what) SL_CHECKED;

/* Makes `name` in the directory `dir_fd` hold exactly `bytes`: written beside it, synced, renamed,
 * the directory synced. SL_ERR_IO (the old file is as it was). Blocks for the disk. */
sl_err sl_atomic_write(int dir_fd, const char *name, const void *bytes, size_t size) SL_CHECKED;

#endif
