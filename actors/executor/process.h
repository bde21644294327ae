/* One command as a child process: what to run, and what became of it.
 *
 * The mechanics (start, stop, reap) are for the spawner, a small single-threaded program that runs
 * a node's commands; a node itself uses minder.h. Why a program of its own: Linux keeps, over
 * exec, the peak memory of the image the child was spawned from, so a child of a rank with 1 GiB
 * resident would report at least 1 GiB; and commands must end when the rank is killed. */
#ifndef SL_ACTORS_EXECUTOR_PROCESS_H
#define SL_ACTORS_EXECUTOR_PROCESS_H

#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/err.h"

#define SL_PROCESS_CPUS_MAX          8192u /* OS cpu numbers are below it */
#define SL_PROCESS_MESSAGE_MAX_BYTES 383u

/* Exit codes of a command that could not start, as shells give them. */
#define SL_PROCESS_EXIT_CANNOT_RUN 126
#define SL_PROCESS_EXIT_NOT_FOUND  127

/* What to run. Everything is borrowed for the call it is handed to. Paths that are not absolute
 * start at the directory the node was started in; those the command uses, at `cwd`. */
typedef struct sl_process_spec {
    const char *const *argv; /* NULL-terminated, argv[0] is looked up in the command's own PATH */

    /* NULL or NULL-terminated: "NAME=VALUE" sets, "NAME" removes, later ones win. Applied over the
     * node's environment less what would make a child MPI program believe it is a rank of this
     * one; see environment.h. */
    const char *const *env;

    const char *cwd; /* NULL: where the node was started */

    const char *stdin_path; /* a file; NULL: stdin_data */
    const void *stdin_data; /* with stdin_path NULL; NULL: /dev/null */
    size_t stdin_bytes;

    const char *stdout_path; /* created or truncated, written by the command itself; directories */
    const char *stderr_path; /* must be there. NULL: /dev/null. The same path twice: one file */
    bool outputs_anew; /* a file that is there is replaced: another one may still write to it */

    uint64_t timeout_ns;    /* 0: none */
    uint64_t kill_grace_ns; /* from SIGTERM to SIGKILL; 0: SIGKILL at once */

    const uint32_t *cpus; /* OS cpus to run on; cpu_count 0: all the node was started with */
    size_t cpu_count;

    /* NULL leaves the variable as inherited: for a node that manages no GPUs. "" hides every GPU:
     * for a task without a GPU on a node that has some. Wins over `env`: a task cannot take what
     * it was not granted. */
    const char *cuda_visible_devices;
} sl_process_spec;

typedef enum sl_process_status {
    SL_PROCESS_EXITED,          /* by itself: exit_code */
    SL_PROCESS_SIGNALLED,       /* by a signal that was not ours: signal */
    SL_PROCESS_TIMED_OUT,       /* stopped at its timeout, however it then ended */
    SL_PROCESS_CANCELLED,       /* stopped because the node asked, however it then ended */
    SL_PROCESS_COULD_NOT_START, /* exit_code 126 or 127; message says why */
    SL_PROCESS_LOST,            /* its spawner died: how it ended is not known */
    SL_PROCESS_WITHDRAWN,       /* it never started: taken back, or its spawner died before */
    SL_PROCESS_STATUS_COUNT
} sl_process_status;

typedef struct sl_process_result {
    sl_process_status status;
    int exit_code;          /* -1 when a signal ended it or it was lost */
    int signal;             /* 0 when it exited */
    double start_s, end_s;  /* seconds since 1970; wall_s apart, whatever becomes of the clock */
    double wall_s;          /* by the monotonic clock */
    double user_s, sys_s;   /* of it and the descendants it waited for */
    uint64_t max_rss_bytes; /* largest resident set of any one of them; never below the spawner's
                             * own, about 1.5 MB */
    char message[SL_PROCESS_MESSAGE_MAX_BYTES + 1]; /* "" or a sentence for the user */
} sl_process_result;

/* "exited", "signalled", "timed_out", "cancelled", "could_not_start", "lost", "withdrawn". Static
 * storage. */
const char *sl_process_status_name(sl_process_status status);

/* SL_ERR_INVALID when `spec` lacks a command, or names a cpu out of bounds or a bad variable. */
sl_err sl_process_check(const sl_process_spec *spec) SL_CHECKED;

/* ---- The mechanics. Single-threaded programs only: they change the working directory and the
 * ---- affinity of the caller for a moment. ---- */

/* Where commands start from: kept once, so that each start can come back to it. */
typedef struct sl_process_home {
    int cwd_fd;
    int null_fd;         /* /dev/null, for what a command leaves out */
    cpu_set_t *affinity; /* of CPU_ALLOC_SIZE(SL_PROCESS_CPUS_MAX) bytes */
    char **environment;  /* NULL-terminated; the strings are the process's own */
} sl_process_home;

/* SL_ERR_IO, SL_ERR_NO_MEMORY. `environment` is filtered (environment.h) and must outlive `home`.
 */
sl_err sl_process_home_open(sl_process_home *home, char *const *environment) SL_CHECKED;
void sl_process_home_close(sl_process_home *home);

/* A started command. Its pid leads a process group of the same number. */
typedef struct sl_process {
    pid_t pid;
    double start_s;
    uint64_t start_ns;
} sl_process;

/* Starts `spec` (checked before) with posix_spawn: own process group, no signal blocked or ignored,
 * no descriptor but 0, 1, 2. `stdin_fd` >= 0 is its standard input in place of `spec`'s; stays the
 * caller's. SL_ERR_FAILED: not started, and only then `result` is set, whole. */
sl_err sl_process_start(const sl_process_home *home, const sl_process_spec *spec, int stdin_fd,
                        sl_process *process, sl_process_result *result) SL_CHECKED;

/* Signals the whole group. Only before sl_process_reap(): until then no other process can have its
 * number. SIGTERM also wakes stopped members, so that they can act on it. */
void sl_process_signal(const sl_process *process, int signal);

/* Waits for the command's end, kills what is left of its group, reaps it, and fills `result` as
 * EXITED or SIGNALLED. Does not block when waitid() has reported its end. */
void sl_process_reap(const sl_process *process, sl_process_result *result);

/* A sealed-off file in memory with a copy of `bytes`, at offset 0, for a standard input: no pipe,
 * so nobody has to write while the command reads. Close it. SL_ERR_IO. */
sl_err sl_process_memory_file(const void *bytes, size_t size, int *fd) SL_CHECKED;

#endif
