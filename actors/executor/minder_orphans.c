#include "actors/executor/minder_orphans.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "actors/executor/spawner/strays.h"

enum { PASSES_MOST = 50, ENVIRONMENT_BYTES = 256 << 10, DEATH_MS = 200 };

/* One that is about to exec shows no environment for a moment: the next pass sees it. */
static bool has_mark(const char *pid, const char *mark, char *bytes) {
    char path[300];
    snprintf(path, sizeof path, "/proc/%s/environ", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    size_t size = 0, length = strlen(mark);
    for (ssize_t got; file >= 0 && size < ENVIRONMENT_BYTES - 1; size += (size_t)got)
        if ((got = read(file, bytes + size, ENVIRONMENT_BYTES - 1 - size)) <= 0)
            break;
    if (file >= 0)
        close(file);
    bytes[size] = 0;
    for (const char *at = bytes; at < bytes + size; at += strlen(at) + 1)
        if (strncmp(at, mark, length) == 0)
            return true;
    return false;
}

/* Waits until it is dead, not only told to be: what it had open is closed. */
static bool kill_one(pid_t pid) {
    int file = -1;
#ifdef SYS_pidfd_open
    file = (int)syscall(SYS_pidfd_open, pid, 0);
#endif
    bool killed = kill(pid, SIGKILL) == 0;
    struct pollfd end = {.fd = file, .events = POLLIN};
    if (file >= 0) {
        poll(&end, 1, killed ? DEATH_MS : 0);
        close(file);
    }
    return killed;
}

static unsigned kill_marked(const char *mark, char *bytes) {
    unsigned killed = 0;
    DIR *directory = opendir("/proc");
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        pid_t pid =
            isdigit((unsigned char)entry->d_name[0]) ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;
        if (pid > 1 && has_mark(entry->d_name, mark, bytes))
            killed += kill_one(pid);
    }
    if (directory)
        closedir(directory);
    return killed;
}

unsigned sl_minder_kill_orphans(pid_t spawner) {
    char mark[64], *bytes = malloc(ENVIRONMENT_BYTES);
    unsigned killed = 0;
    bool again = bytes != NULL;
    snprintf(mark, sizeof mark, SL_STRAYS_VARIABLE "=%d-", (int)spawner);
    for (int pass = 0, quiet = 0; again && pass < PASSES_MOST; pass++) {
        unsigned now = kill_marked(mark, bytes);
        killed += now;
        quiet = now ? 0 : quiet + 1;
        again = quiet < 2;
        if (again)
            poll(NULL, 0, 1);
    }
    free(bytes);
    return killed;
}
