#include "bench/machine.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"

double machine_now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

uint64_t machine_rss_bytes(void) {
    char line[256], *resident; /* the second number; the first is the size */
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || !fgets(line, sizeof line, file))
        bench_die("/proc/self/statm cannot be read");
    fclose(file);
    strtoul(line, &resident, 10);
    return strtoul(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double cpu_s(int who) {
    struct rusage use;
    getrusage(who, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           1e-6 * (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

double machine_process_cpu_s(void) {
    return cpu_s(RUSAGE_SELF);
}

double machine_thread_cpu_s(void) {
    return cpu_s(RUSAGE_THREAD);
}

uint32_t machine_cores(void) {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 1;
    return (uint32_t)CPU_COUNT(&allowed);
}

void machine_sleep_s(double seconds) {
    struct timespec pause = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
}

/* ---- programs ---- */

static pid_t start(const char *const *argv, const posix_spawn_file_actions_t *actions) {
    pid_t pid;
    if (posix_spawnp(&pid, argv[0], actions, NULL, (char *const *)argv, environ) != 0)
        return -1;
    return pid;
}

static int code_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int machine_run(const char *const *argv) {
    posix_spawn_file_actions_t actions;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    pid_t pid = start(argv, &actions);
    posix_spawn_file_actions_destroy(&actions);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return code_of(status);
}

int machine_run_shell(const char *line) {
    const char *const argv[] = {"/bin/sh", "-c", line, NULL};
    return machine_run(argv);
}

bool machine_has_program(const char *name) {
    char line[256];
    snprintf(line, sizeof line, "command -v '%s'", name);
    return machine_run_shell(line) == 0;
}

double machine_spawn_loop_s(const char *const *argv, uint32_t count, uint32_t at_once) {
    double begin_s = machine_now_s();
    uint32_t started = 0, running = 0;
    while (started < count || running) {
        if (started < count && running < at_once) {
            if (start(argv, NULL) < 0)
                bench_die("%s cannot be started", argv[0]);
            started++;
            running++;
        } else if (waitpid(-1, NULL, 0) > 0) {
            running--;
        }
    }
    return machine_now_s() - begin_s;
}
