/* Minds a node's commands: hands each to a spawner, and calls back when it has ended.
 *
 * Spawners (process.h) are started one by one as commands run side by side, up to a bound, and then
 * share the commands: starting one blocks its spawner until the program is loaded, so several
 * start several at a time. The minder has one thread: it starts spawners and receives every result.
 * If the node dies in whatever way, its spawners kill all they run. If a spawner alone is killed,
 * what it ran is killed, all but processes that cleaned their environment, then its commands end as
 * SL_PROCESS_LOST, and the next command gets a new spawner. */
#ifndef SL_ACTORS_EXECUTOR_MINDER_H
#define SL_ACTORS_EXECUTOR_MINDER_H

#include <stddef.h>
#include <stdint.h>

#include "actors/executor/process.h"

#define SL_MINDER_RUNNING_MAX 16384u
#define SL_MINDER_SPAWNERS    16u /* unless told; some 200 KB of memory each */

typedef struct sl_minder sl_minder;

/* One command of one minder; never used twice, never 0. */
typedef uint64_t sl_minder_handle;

typedef struct sl_minder_options {
    uint32_t running_max;     /* commands at once, 1 … SL_MINDER_RUNNING_MAX */
    uint32_t spawners_max;    /* 0: SL_MINDER_SPAWNERS */
    const char *spawner_path; /* NULL: $STARLANE_SPAWNER, else where it is installed or built */
} sl_minder_options;

/* Called once for each command, on the minder's thread, which serves no other meanwhile: be short.
 * `result` is borrowed. The command's place is free by then: `done`, or whoever it tells, may run
 * the next. It may come before sl_minder_run() has returned. */
typedef void (*sl_minder_done)(void *context, const sl_process_result *result);

/* Starts the thread, no spawner yet. SL_ERR_UNAVAILABLE: the spawner program is not found;
 * SL_ERR_INVALID, SL_ERR_NO_MEMORY, SL_ERR_IO. */
sl_err sl_minder_create(const sl_minder_options *options, sl_minder **minder) SL_CHECKED;

/* Cancels what runs, waits for its end (at most the longest kill_grace_ns and a moment), calls each
 * `done`, frees. Not from `done`. NULL is fine. */
void sl_minder_destroy(sl_minder *minder);

/* Hands over `spec` (copied). Any thread; does not wait: neither for the start nor for room in a
 * queue. SL_OK: `done(context, …)` will be called, also when the command cannot be started.
 * SL_ERR_AGAIN: running_max run already; SL_ERR_CLOSED: being destroyed; SL_ERR_INVALID and
 * SL_ERR_TOO_LARGE: a bad `spec`; SL_ERR_NO_MEMORY, SL_ERR_IO (standard input could not be held).
 */
sl_err sl_minder_run(sl_minder *minder, const sl_process_spec *spec, sl_minder_done done,
                     void *context, sl_minder_handle *handle) SL_CHECKED;

/* The same for a command that starts when the command `before` has ended, on whose spawner it
 * waits: that starts it in the same instant, no thread is woken between the two. `before` may
 * itself come after another; if it leaves without having started, its place in the row closes. Its
 * `done` comes before this one's. SL_ERR_NOT_FOUND: `before` is done, or cancelled or asked back
 * before it started; SL_ERR_EXISTS: another command comes after it. */
sl_err sl_minder_run_after(sl_minder *minder, sl_minder_handle before, const sl_process_spec *spec,
                           sl_minder_done done, void *context, sl_minder_handle *handle) SL_CHECKED;

/* Asks for a command of sl_minder_run_after() back: it ends as SL_PROCESS_WITHDRAWN if it has not
 * started; else nothing happens. It also ends so when its spawner dies before it started. */
void sl_minder_recall(sl_minder *minder, sl_minder_handle handle);

/* Asks for the end of a command: SIGTERM to its process group, SIGKILL after its kill_grace_ns.
 * Any thread, any time; nothing happens when it has ended already. */
void sl_minder_cancel(sl_minder *minder, sl_minder_handle handle);

/* Commands handed over whose `done` has not been called. */
uint32_t sl_minder_running(sl_minder *minder);

/* Where the spawner program is, for `options.spawner_path` NULL; see there. Writes at most
 * `capacity` bytes. SL_ERR_UNAVAILABLE names the places looked at. */
sl_err sl_minder_find_spawner(char *path, size_t capacity) SL_CHECKED;

#endif
