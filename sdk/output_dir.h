/* The directory a run writes: ledger.db, results.jsonl, summary.json, stdout/NAME, stderr/NAME.
 *
 * One run at a time holds it, by a lock that dies with the process. Names of tasks reach it only
 * after sl_task_name_check(), and files are opened relative to its descriptors, never through a
 * link. */
#ifndef SL_SDK_OUTPUT_DIR_H
#define SL_SDK_OUTPUT_DIR_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

#define SL_OUTPUT_LEDGER     "ledger.db"
#define SL_OUTPUT_RESULTS    "results.jsonl"
#define SL_OUTPUT_SUMMARY    "summary.json"
#define SL_OUTPUT_TASKS      "tasks.jsonl" /* what was asked for, in normal form */
/* Bytes of the longest path sl_output_path() can give, NUL included (PATH_MAX). */
#define SL_OUTPUT_PATH_BYTES 4096

typedef enum sl_output_stream { SL_OUTPUT_STDOUT, SL_OUTPUT_STDERR } sl_output_stream;

typedef enum sl_output_mode {
    SL_OUTPUT_CREATE, /* a new run: the directory is made, or must be empty */
    SL_OUTPUT_RESUME, /* a run's directory, to go on with it */
    SL_OUTPUT_READ    /* a run's directory, to look at; not locked */
} sl_output_mode;

typedef struct sl_output_dir {
    char *path;        /* absolute */
    int fd;            /* of the directory; -1: closed */
    int lock_fd;       /* -1: not locked */
    int stream_fds[2]; /* of stdout/ and stderr/; -1 when there is none (READ) */
} sl_output_dir;

/* Opens `path`; for CREATE, NULL stands for starlane-run-YYYYmmdd-HHMMSS-PID (local time `wall_s`)
 * in the current directory, and missing parents are made. SL_ERR_EXISTS: CREATE of a directory that
 * holds something (a run: the detail says `--resume`). SL_ERR_NOT_FOUND: RESUME or READ of what is
 * no run. SL_ERR_REFUSED: another run holds it; the detail names its host and process. SL_ERR_IO.
 */
sl_err sl_output_dir_open(const char *path, sl_output_mode mode, double wall_s,
                          sl_output_dir *dir) SL_CHECKED;

/* Gives up the lock and closes; leaves the files. Safe on a closed one (fd -1). */
void sl_output_dir_close(sl_output_dir *dir);

/* The absolute path of a task's stdout or stderr into `out` (`size` bytes). `dir_path` is
 * sl_output_dir.path, known to every rank. SL_ERR_INVALID: not a task's name. SL_ERR_TOO_LARGE. */
sl_err sl_output_path(const char *dir_path, sl_output_stream stream, const char *name, char *out,
                      size_t size) SL_CHECKED;

/* Creates (or empties) a task's stdout or stderr and opens it for writing, close-on-exec. */
sl_err sl_output_create(const sl_output_dir *dir, sl_output_stream stream, const char *name,
                        int *fd) SL_CHECKED;

/* Opens it for reading, for `starlane explain` and the joblog. SL_ERR_NOT_FOUND when it never ran.
 */
sl_err sl_output_open(const sl_output_dir *dir, sl_output_stream stream, const char *name,
                      int *fd) SL_CHECKED;

#endif
