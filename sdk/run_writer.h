/* Writes what a run leaves behind as it goes (rows of its logs, outputs of functions) on a thread
 * of its own: a slow disk must not hold up the loop that drives the run. */
#ifndef SL_SDK_RUN_WRITER_H
#define SL_SDK_RUN_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "sdk/line_log.h"
#include "sdk/output_dir.h"

/* So much may wait to be written; who has more for it sees to it that no more is made. */
#define SL_RUN_WRITER_MOST_BYTES ((size_t)64 << 20)

typedef struct sl_run_writer sl_run_writer;

/* `dir` and the logs that rows are for are borrowed until stop(), and the logs the writer's alone:
 * `logs`, `count` (at most 2) of them, are flushed when they have lingered. `tell` may be NULL.
 * SL_ERR_NO_MEMORY; SL_ERR_UNAVAILABLE without a thread. */
sl_err sl_run_writer_start(const sl_output_dir *dir, sl_line_log *const *logs, size_t count,
                           void (*tell)(void *context), void *context,
                           sl_run_writer **writer) SL_CHECKED;

/* One line for `log`, and the standard output of task `name` (borrowed until stop()). Written in
 * the order given; both copy what they are given, and do not wait. One thread. What cannot be
 * written is logged by the writer: now and then for rows, which stay to be tried again.
 * SL_ERR_NO_MEMORY: it was not taken. */
sl_err sl_run_writer_row(sl_run_writer *writer, sl_line_log *log, const char *line,
                         size_t length) SL_CHECKED;
sl_err sl_run_writer_output(sl_run_writer *writer, const char *name, const void *data,
                            size_t bytes) SL_CHECKED;

/* More waits than should: once half of that is left, `tell` is called (sl_run_writer_start()), on
 * the writer's thread, for each time that this was true. */
bool sl_run_writer_is_full(sl_run_writer *writer);

/* Waits until no more waits than should: not on the loop. */
void sl_run_writer_await_room(sl_run_writer *writer);

/* Writes what waits, and frees the writer; NULL is allowed. The logs are the caller's again. */
void sl_run_writer_stop(sl_run_writer *writer);

#endif
