/* What the ranks of a run and the `starlane launch` that started them tell each other, through a
 * file that STARLANE_LAUNCH_STATE names.
 *
 * Ranks append lines: "run DIRECTORY" when a run can be resumed from there, "end CODE lost|whole"
 * when its files are closed and its process is about to end with CODE (`lost`: some rank has died),
 * "closed CODE" when they are but the process has more to do, "alone" when the rank that owns the
 * run is lost, "gone" when its process has ended for certain, "exit CODE" when the first rank ends.
 * How the job ended is judged by these, never by the launcher's exit code: Open MPI's mpirun may
 * return 0 for a job that failed or was killed, or not return at all.
 *
 * The other way: a launcher makes nothing of SIGINT but the end of the job, so launch sends another
 * in its place (SIGUSR2; hydra hands on SIGTERM only), and leaves word in STATE.interrupt. */
#ifndef SL_SDK_LAUNCH_STATE_H
#define SL_SDK_LAUNCH_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"
#include "sdk/output_dir.h"

#define SL_LAUNCH_STATE     "STARLANE_LAUNCH_STATE"
#define SL_LAUNCH_RESTART   "STARLANE_LAUNCH_RESTART"
#define SL_LAUNCH_INTERRUPT ".interrupt" /* behind the state file's name */

/* ---- in a rank; nothing happens where launch did not start it. A line that cannot be written is
 * logged. Any thread, but for the first. ---- */

/* Takes the variables out of the environment: what tasks start are no ranks of this job. Before any
 * other thread is started. */
void sl_launch_take(void);

/* True in a rank that launch started. */
bool sl_launch_here(void);

void sl_launch_tell_run(const char *directory);
void sl_launch_tell_end(int code, bool lost);
void sl_launch_tell_closed(int code);
void sl_launch_tell_alone(bool gone);
void sl_launch_tell_exit(int code);

/* The owner of the run lives: at least once a second, so that a rank that was cut off and says it
 * is alone is not believed. Sets the file's time, a call of microseconds; more often than that it
 * does nothing. One thread. */
void sl_launch_tell_alive(uint64_t now_ns);

/* The directory of the run that is to go on in place of what was asked for, or NULL. */
const char *sl_launch_restart(void);

/* The signal that was meant by `number`. Async-signal-safe: no. */
int sl_launch_signal(int number);

/* ---- in launch ---- */

typedef struct sl_launch_news {
    uint32_t runs; /* that began */
    bool closed;   /* the last of them closed its files, and ended with `code` */
    bool ended;    /* … and its process ends with `code` */
    bool lost;     /* … and some rank had died */
    bool left;     /* the first rank ended by itself, with `code` */
    int code;
    uint32_t alone;  /* so many ranks say that the owner of the last run is lost; one of the start
                      * before may say so late, but then the owner lives, or no run has begun */
    bool gone;       /* one of them knows it for certain */
    int64_t told_ns; /* when the file was written last, by the clock of its file system */
    char directory[SL_OUTPUT_PATH_BYTES]; /* of the last run */
} sl_launch_news;

/* Takes in the file's text; an unfinished last line is left out, what is no such line passed over.
 */
void sl_launch_news_parse(const char *text, sl_launch_news *news);

/* Reads the file. False when it cannot be read: `news` is left as it is. */
bool sl_launch_news_read(const char *path, sl_launch_news *news);

#endif
