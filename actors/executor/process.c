#include "actors/executor/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/executor/environment.h"
#include "actors/executor/process_path.h"
#include "runtime/clock.h"

const char *sl_process_status_name(sl_process_status status) {
    static const char *const names[SL_PROCESS_STATUS_COUNT] = {
        "exited", "signalled", "timed_out", "cancelled", "could_not_start", "lost", "withdrawn"};
    return (unsigned)status < SL_PROCESS_STATUS_COUNT ? names[status] : "unknown";
}

sl_err sl_process_check(const sl_process_spec *spec) {
    if (!spec->argv || !spec->argv[0])
        return sl_fail(SL_ERR_INVALID, "a command needs at least its program");
    for (const char *const *variable = spec->env; variable && *variable; variable++)
        if (!sl_environment_is_valid(*variable))
            return sl_fail(SL_ERR_INVALID, "environment \"%.40s\" has no name", *variable);
    for (size_t i = 0; i < spec->cpu_count; i++)
        if (spec->cpus[i] >= SL_PROCESS_CPUS_MAX)
            return sl_fail(SL_ERR_INVALID, "cpu %u: numbers are below %u", spec->cpus[i],
                           SL_PROCESS_CPUS_MAX);
    return SL_OK;
}

static size_t affinity_bytes(void) {
    return CPU_ALLOC_SIZE(SL_PROCESS_CPUS_MAX);
}

sl_err sl_process_home_open(sl_process_home *home, char *const *environment) {
    sl_process_home opened = {.cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC),
                              .null_fd = open("/dev/null", O_RDWR | O_CLOEXEC)};
    if (opened.cwd_fd < 0 || opened.null_fd < 0) {
        const char *which = opened.cwd_fd < 0 ? "the working directory" : "/dev/null";
        int failed = errno;
        sl_process_home_close(&opened);
        return sl_fail(SL_ERR_IO, "cannot open %s: %s", which, strerror(failed));
    }
    opened.affinity = CPU_ALLOC(SL_PROCESS_CPUS_MAX);
    opened.environment = sl_environment_filter(environment);
    if (!opened.affinity || !opened.environment) {
        sl_process_home_close(&opened);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to start commands");
    }
    if (sched_getaffinity(0, affinity_bytes(), opened.affinity) != 0) {
        sl_process_home_close(&opened);
        return sl_fail(SL_ERR_IO, "cannot read the cpu affinity: %s", strerror(errno));
    }
    *home = opened;
    return SL_OK;
}

void sl_process_home_close(sl_process_home *home) {
    if (home->cwd_fd >= 0)
        close(home->cwd_fd);
    if (home->null_fd >= 0)
        close(home->null_fd);
    CPU_FREE(home->affinity);
    free(home->environment);
    *home = (sl_process_home){.cwd_fd = -1, .null_fd = -1};
}

/* Everything a start holds until it is over. */
typedef struct start {
    const sl_process_home *home;
    const sl_process_spec *spec;
    sl_process_result *result;
    int fds[3];
    bool opened[3]; /* here, to be closed here; the others are somebody else's, or one twice */
    char **environment;
    char *cuda; /* "CUDA_VISIBLE_DEVICES=…" or NULL */
    char path[SL_PROCESS_PATH_MAX_BYTES];
    bool moved; /* the working directory or the affinity */
} start;

static sl_err SL_PRINTF(3, 4) cannot(start *s, int exit_code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    s->result->exit_code = exit_code;
    vsnprintf(s->result->message, sizeof s->result->message, format, arguments);
    va_end(arguments);
    return sl_fail(SL_ERR_FAILED, "%s", s->result->message);
}

/* Non-blocking while it opens: a FIFO in place of a file must not stop the spawner. */
static int open_file(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (fd >= 0)
        fcntl(fd, F_SETFL, flags & O_ACCMODE);
    return fd;
}

/* A file, a device like /dev/null, or a pipe that the node holds (/proc/PID/fd/N); a FIFO may have
 * nobody who ever writes. */
static bool may_be_read(int fd) {
    struct stat info;
    struct statfs system;
    if (fstat(fd, &info) != 0 || S_ISREG(info.st_mode) || S_ISCHR(info.st_mode))
        return true;
    return S_ISFIFO(info.st_mode) && fstatfs(fd, &system) == 0 && system.f_type == PIPEFS_MAGIC;
}

static sl_err open_input(start *s, int stdin_fd) {
    const char *path = s->spec->stdin_path;
    s->opened[0] = stdin_fd < 0 && path;
    if (s->opened[0])
        s->fds[0] = open_file(path, O_RDONLY);
    else
        s->fds[0] = stdin_fd >= 0 ? stdin_fd : s->home->null_fd;
    if (s->fds[0] < 0)
        return cannot(s, SL_PROCESS_EXIT_CANNOT_RUN, "cannot read standard input from %s: %s",
                      path ? path : "the node", strerror(errno));
    if (path && !may_be_read(s->fds[0]))
        return cannot(s, SL_PROCESS_EXIT_CANNOT_RUN,
                      "cannot read standard input from %s: not a regular file", path);
    return SL_OK;
}

/* What an earlier attempt, on a node that was given up, goes on writing is then seen by nobody. */
static void take_away(const char *path) {
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISREG(info.st_mode))
        (void)unlink(path); /* where that is not allowed it is emptied */
}

static sl_err open_output(start *s, int which, const char *path) {
    s->opened[which] = path != NULL;
    if (path && s->spec->outputs_anew)
        take_away(path);
    s->fds[which] = path ? open_file(path, O_WRONLY | O_CREAT | O_TRUNC) : s->home->null_fd;
    if (s->fds[which] < 0)
        return cannot(s, SL_PROCESS_EXIT_CANNOT_RUN, "cannot write standard %s to %s: %s",
                      which == 1 ? "output" : "error", path ? path : "/dev/null", strerror(errno));
    return SL_OK;
}

static sl_err open_outputs(start *s) {
    const char *out = s->spec->stdout_path, *err = s->spec->stderr_path;
    SL_TRY(open_output(s, 1, out));
    if (!out || !err || strcmp(out, err) != 0)
        return open_output(s, 2, err);
    s->fds[2] = s->fds[1]; /* one file, one offset: lines stay in order */
    return SL_OK;
}

static sl_err enter_cwd(start *s) {
    if (!s->spec->cwd)
        return SL_OK;
    s->moved = true;
    if (chdir(s->spec->cwd) != 0)
        return cannot(s, SL_PROCESS_EXIT_CANNOT_RUN, "cannot change to directory %s: %s",
                      s->spec->cwd, strerror(errno));
    return SL_OK;
}

/* A spawned child inherits the spawning thread's affinity; posix_spawn has no attribute for it. */
static sl_err set_affinity(start *s) {
    if (!s->spec->cpu_count)
        return SL_OK;
    cpu_set_t *cpus = CPU_ALLOC(SL_PROCESS_CPUS_MAX);
    if (!cpus)
        return cannot(s, SL_PROCESS_EXIT_CANNOT_RUN, "no memory for the list of cpus");
    CPU_ZERO_S(affinity_bytes(), cpus);
    for (size_t i = 0; i < s->spec->cpu_count; i++)
        CPU_SET_S(s->spec->cpus[i], affinity_bytes(), cpus);
    s->moved = true;
    int failed = sched_setaffinity(0, affinity_bytes(), cpus) ? errno : 0;
    CPU_FREE(cpus);
    if (failed)
        return cannot(s, SL_PROCESS_EXIT_CANNOT_RUN, "cannot run on cpu %u (of %zu granted): %s",
                      s->spec->cpus[0], s->spec->cpu_count, strerror(failed));
    return SL_OK;
}

static sl_err make_environment(start *s) {
    const char *gpus = s->spec->cuda_visible_devices;
    if (gpus && asprintf(&s->cuda, "CUDA_VISIBLE_DEVICES=%s", gpus) < 0) {
        s->cuda = NULL;
        return cannot(s, SL_PROCESS_EXIT_CANNOT_RUN, "no memory for the list of GPUs");
    }
    s->environment = sl_environment_merge(s->home->environment, s->spec->env, s->cuda);
    if (!s->environment)
        return cannot(s, SL_PROCESS_EXIT_CANNOT_RUN, "no memory for the environment");
    return SL_OK;
}

static sl_err find_program(start *s) {
    const char *name = s->spec->argv[0];
    const char *path = sl_environment_get(s->environment, "PATH");
    int failed = sl_process_find_program(name, path, s->path);
    if (failed == 0)
        return SL_OK;
    if (failed == ENOENT || failed == ENOTDIR)
        return cannot(s, SL_PROCESS_EXIT_NOT_FOUND, "%s: command not found%s", name,
                      strchr(name, '/') ? "" : " in PATH");
    return cannot(s, SL_PROCESS_EXIT_CANNOT_RUN, "%s: %s", name,
                  failed == EISDIR ? "is a directory" : strerror(failed));
}

static sl_err explain_spawn(start *s, int failed) {
    if (failed == ENOENT || failed == ENOTDIR)
        return cannot(s, SL_PROCESS_EXIT_CANNOT_RUN,
                      "%s: the interpreter its first line names, or its loader, is missing",
                      s->path);
    if (failed == ENOEXEC)
        return cannot(s, SL_PROCESS_EXIT_CANNOT_RUN,
                      "%s: not a program (a script needs a first line like #!/bin/sh)", s->path);
    if (failed == E2BIG)
        return cannot(s, SL_PROCESS_EXIT_CANNOT_RUN,
                      "%s: arguments and environment are longer than the system allows", s->path);
    return cannot(s, SL_PROCESS_EXIT_CANNOT_RUN, "%s: %s", s->path, strerror(failed));
}

/* The group makes it possible to signal all of a task at once. */
static int set_attributes(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
}

static int spawn(start *s, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = set_attributes(&attributes);
        for (int i = 0; i < 3 && !failed; i++)
            failed = posix_spawn_file_actions_adddup2(&actions, s->fds[i], i);
        if (!failed)
            failed = posix_spawn(pid, s->path, &actions, &attributes,
                                 (char *const *)(uintptr_t)s->spec->argv, s->environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static sl_err prepare(start *s, int stdin_fd) {
    SL_TRY(open_input(s, stdin_fd));
    SL_TRY(open_outputs(s));
    SL_TRY(make_environment(s));
    SL_TRY(enter_cwd(s));
    SL_TRY(find_program(s));
    return set_affinity(s);
}

static void clean_up(start *s) {
    for (int i = 0; i < 3; i++)
        if (s->opened[i] && s->fds[i] >= 0)
            close(s->fds[i]);
    free(s->cuda);
    free(s->environment);
    if (!s->moved)
        return;
    /* Cannot fail for a reason the next start could do better about. */
    int ignored = fchdir(s->home->cwd_fd);
    ignored |= sched_setaffinity(0, affinity_bytes(), s->home->affinity);
    (void)ignored;
}

/* The wall clock may be set meanwhile: it says when, not how long. */
static void ended(const sl_process *process, sl_process_result *result) {
    result->wall_s = (double)(sl_clock_now_ns() - process->start_ns) * 1e-9;
    result->end_s = process->start_s + result->wall_s;
}

sl_err sl_process_start(const sl_process_home *home, const sl_process_spec *spec, int stdin_fd,
                        sl_process *process, sl_process_result *result) {
    sl_process_result failure = {.status = SL_PROCESS_COULD_NOT_START,
                                 .start_s = sl_clock_wall_s()};
    sl_process started = {.start_s = failure.start_s, .start_ns = sl_clock_now_ns()};
    start s = {.home = home, .spec = spec, .result = &failure, .fds = {-1, -1, -1}};
    sl_err err = prepare(&s, stdin_fd);
    if (err == SL_OK) {
        int failed = spawn(&s, &started.pid);
        if (failed)
            err = explain_spawn(&s, failed);
    }
    clean_up(&s);
    if (err == SL_OK) {
        *process = started;
        return SL_OK;
    }
    ended(&started, &failure);
    *result = failure;
    return SL_ERR_FAILED;
}

void sl_process_signal(const sl_process *process, int signal) {
    kill(-process->pid, signal);
    kill(process->pid, signal); /* it may have moved to another group of its session */
    if (signal == SIGTERM)
        kill(-process->pid, SIGCONT);
}

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

void sl_process_reap(const sl_process *process, sl_process_result *result) {
    struct rusage usage = {0};
    siginfo_t info;
    int status = 0;
    /* Its number, and so the group's, cannot be given to another before wait4(). */
    while (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        ;
    kill(-process->pid, SIGKILL);
    while (wait4(process->pid, &status, 0, &usage) < 0 && errno == EINTR)
        ;
    bool exited = WIFEXITED(status);
    *result = (sl_process_result){.status = exited ? SL_PROCESS_EXITED : SL_PROCESS_SIGNALLED,
                                  .exit_code = exited ? WEXITSTATUS(status) : -1,
                                  .signal = exited ? 0 : WTERMSIG(status),
                                  .start_s = process->start_s,
                                  .user_s = seconds(usage.ru_utime),
                                  .sys_s = seconds(usage.ru_stime),
                                  .max_rss_bytes = (uint64_t)usage.ru_maxrss * 1024};
    ended(process, result);
}

sl_err sl_process_memory_file(const void *bytes, size_t size, int *fd) {
    int file = memfd_create("starlane", MFD_CLOEXEC);
    for (size_t done = 0; file >= 0 && done < size;) {
        ssize_t wrote = pwrite(file, (const char *)bytes + done, size - done, (off_t)done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            int failed = errno;
            close(file);
            return sl_fail(SL_ERR_IO, "cannot hold %zu bytes in memory: %s", size,
                           strerror(failed));
        }
        done += (size_t)wrote;
    }
    if (file < 0)
        return sl_fail(SL_ERR_IO, "cannot make a file in memory: %s", strerror(errno));
    *fd = file;
    return SL_OK;
}
