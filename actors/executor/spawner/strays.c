#include "actors/executor/spawner/strays.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char variable[64] = SL_STRAYS_VARIABLE "=";
static int children_fd = -1; /* kept open: it is read after every command */
static int pid_here;

sl_err sl_strays_open(void) {
    char path[64];
    pid_here = (int)getpid();
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        return sl_fail(SL_ERR_UNAVAILABLE, "cannot adopt orphans: %s", strerror(errno));
    snprintf(path, sizeof path, "/proc/self/task/%d/children", pid_here);
    children_fd = open(path, O_RDONLY | O_CLOEXEC);
    sl_strays_mark(0);
    if (putenv(variable) != 0)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the environment");
    return SL_OK;
}

/* putenv() keeps the array itself: what is written here is what the next child gets. */
void sl_strays_mark(uint64_t mark) {
    snprintf(variable, sizeof variable, SL_STRAYS_VARIABLE "=%d-%" PRIu64, pid_here, mark);
}

/* At most `size` - 1 bytes of a /proc file, and a NUL; -1 when it cannot be read. */
static ssize_t read_file(const char *path, char *bytes, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t done = 0;
    ssize_t got = 1;
    while (fd >= 0 && done < size - 1 && (got = read(fd, bytes + done, size - 1 - done)) > 0)
        done += (size_t)got;
    if (fd < 0)
        return -1;
    close(fd);
    bytes[done] = 0;
    return got < 0 && done == 0 ? -1 : (ssize_t)done;
}

/* The mark in the environment of `pid`; false when it has none that can be read. */
static bool mark_of(pid_t pid, uint64_t *mark) {
    static char bytes[256 << 10];
    char path[64], prefix[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int length = snprintf(prefix, sizeof prefix, SL_STRAYS_VARIABLE "=%d-", pid_here);
    ssize_t size = read_file(path, bytes, sizeof bytes);
    for (char *at = bytes; size > 0 && at < bytes + size; at += strlen(at) + 1)
        if (strncmp(at, prefix, (size_t)length) == 0) {
            *mark = strtoull(at + length, NULL, 10);
            return true;
        }
    return false;
}

typedef struct search {
    const void *context;
    sl_strays_is_leader is_leader;
    sl_strays_is_running is_running;
    bool idle; /* no command runs */
} search;

static void look_at(const search *s, pid_t pid) {
    uint64_t mark = 0;
    if (pid <= 1 || s->is_leader(s->context, pid))
        return;
    if (!s->idle && (!mark_of(pid, &mark) || s->is_running(s->context, mark)))
        return;
    kill(pid, SIGKILL);
}

/* The fast list, of kernels with CONFIG_PROC_CHILDREN. */
static bool look_at_children(const search *s) {
    static char list[64 << 10];
    ssize_t size = children_fd < 0 ? -1 : pread(children_fd, list, sizeof list - 1, 0);
    if (size < 0)
        return false;
    list[size] = 0;
    if (size == (ssize_t)sizeof list - 1) /* cut: the last number may be half of one */
        *(strrchr(list, ' ') ? strrchr(list, ' ') : list) = 0;
    for (char *at = list, *end; *at; at = end) {
        long pid = strtol(at, &end, 10);
        if (end == at)
            break;
        look_at(s, (pid_t)pid);
    }
    return true;
}

static pid_t parent_of(pid_t pid) {
    char path[64], bytes[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    char *name_end = read_file(path, bytes, sizeof bytes) > 0 ? strrchr(bytes, ')') : NULL;
    if (!name_end || strlen(name_end) < sizeof ") S 1" - 1)
        return -1;
    char *parent = name_end + sizeof ") S " - 1, *end;
    long number = strtol(parent, &end, 10);
    return end > parent ? (pid_t)number : -1;
}

/* Without it: every process of the machine, so only when no command runs. */
static void look_at_all(const search *s) {
    DIR *directory = opendir("/proc");
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (isdigit((unsigned char)entry->d_name[0])) {
            pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
            if (parent_of(pid) == pid_here)
                look_at(s, pid);
        }
    if (directory)
        closedir(directory);
}

void sl_strays_kill(const void *context, sl_strays_is_leader is_leader,
                    sl_strays_is_running is_running, bool idle) {
    const search s = {context, is_leader, is_running, idle};
    if (!look_at_children(&s) && idle)
        look_at_all(&s);
}
