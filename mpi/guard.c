/* Design notes
 * Which connection it is: PMIx tells the child the address of its server in the environment, and
 * /proc says which sockets are connected to it, and which of those the child has. All of it is
 * looked at from outside; the child does not know of the guard.
 *
 * After the child's end the duplicate tells whether it took leave: the server closes its side then,
 * and does not when a client vanishes.
 *
 * hydra kills the other ranks of a host when a process it started was ended by a signal, and does
 * not when one left with whatever exit code: under hydra nothing is held, and the guard turns the
 * one into the other. To the others hydra then sends SIGUSR1, to their guards too. */
#include "mpi/guard.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mpi/env.h"
#include "runtime/clock.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

#define LOOK_MIN_NS (2 * SL_NS_PER_MS)
#define LOOK_MAX_NS (500 * SL_NS_PER_MS)

enum { HELD_MOST = 16, LINE_BYTES = 512 };

typedef struct guard {
    char address[14]; /* of the PMIx server; "": none is known */
    pid_t child;
    int pidfd;
    bool refused; /* it cannot be duplicated */
    bool told;    /* to end, after the child has */
    bool gone;    /* the child is */
    int status;
    uint32_t held_count;
    uint64_t inodes[HELD_MOST];
    int held[HELD_MOST];
    sigset_t taken, before;
} guard;

/* ---- which connection ---- */

/* The decimal number at *at, up to `most` and before `end`; moves past that. */
static bool number_at(const char **at, char end, unsigned long most, unsigned *number) {
    char *behind;
    if (!isdigit((unsigned char)**at))
        return false;
    unsigned long value = strtoul(*at, &behind, 10);
    if (value > most || (end && *behind != end))
        return false;
    *number = (unsigned)value;
    *at = behind + 1;
    return true;
}

bool sl_mpi_guard_address(const char *uri, char address[14]) {
    unsigned part[4], port = 0;
    const char *at = strstr(uri, "tcp4://");
    if (!at)
        return false;
    at += 7;
    for (int i = 0; i < 4; i++)
        if (!number_at(&at, i < 3 ? '.' : ':', 255, &part[i]))
            return false;
    if (!number_at(&at, '\0', 65535, &port) || port == 0)
        return false;
    /* As the kernel prints the word that holds the bytes in this order. */
    union {
        unsigned char bytes[4];
        uint32_t word;
    } host;
    for (int i = 0; i < 4; i++)
        host.bytes[i] = (unsigned char)part[i];
    snprintf(address, 14, "%08X:%04X", host.word, port);
    return true;
}

/* The word number `index` of a line, or "" when it has none, or a longer one than fits. */
static const char *word_of(const char *line, unsigned index, char *word, size_t size) {
    for (line += strspn(line, " "); index; index--) {
        line += strcspn(line, " \n");
        line += strspn(line, " ");
    }
    size_t length = strcspn(line, " \n");
    snprintf(word, size, "%.*s", length < size ? (int)length : 0, line);
    return word;
}

uint64_t sl_mpi_guard_inode(const char *line, const char *address) {
    enum { ESTABLISHED = 1, REMOTE = 2, STATE = 3, INODE = 9 };
    char word[32];
    if (strcmp(word_of(line, REMOTE, word, sizeof word), address) != 0 ||
        strtoul(word_of(line, STATE, word, sizeof word), NULL, 16) != ESTABLISHED)
        return 0;
    return strtoull(word_of(line, INODE, word, sizeof word), NULL, 10);
}

static void find_address(guard *of) {
    static const char *const names[] = {"PMIX_SERVER_URI41", "PMIX_SERVER_URI4", "PMIX_SERVER_URI3",
                                        "PMIX_SERVER_URI21", "PMIX_SERVER_URI2", "PMIX_SERVER_URI"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *uri = sl_env_get(NULL, names[i]);
        if (uri && sl_mpi_guard_address(uri, of->address))
            return;
    }
    of->address[0] = '\0';
    if (sl_env_get(NULL, "PMI_FD")) /* hydra: see the design notes */
        return;
    fprintf(stderr, "starlane guard: no PMIx server is named here; the rank is not guarded\n");
}

/* The child's descriptor for socket `inode`, or -1. */
static int find_descriptor(const guard *of, uint64_t inode) {
    char folder[64], want[48], is[48];
    int found = -1;
    snprintf(folder, sizeof folder, "/proc/%d/fd", (int)of->child);
    snprintf(want, sizeof want, "socket:[%llu]", (unsigned long long)inode);
    DIR *all = opendir(folder);
    for (struct dirent *entry; found < 0 && all && (entry = readdir(all));) {
        ssize_t length = readlinkat(dirfd(all), entry->d_name, is, sizeof is - 1);
        if (length <= 0)
            continue;
        is[length] = '\0';
        if (strcmp(is, want) == 0)
            found = (int)strtol(entry->d_name, NULL, 10);
    }
    if (all)
        closedir(all);
    return found;
}

/* ---- holding it ---- */

static bool is_held(const guard *of, uint64_t inode) {
    for (uint32_t i = 0; i < of->held_count; i++)
        if (of->inodes[i] == inode)
            return true;
    return false;
}

static void hold(guard *of, uint64_t inode) {
    int theirs =
        of->held_count < HELD_MOST && !is_held(of, inode) ? find_descriptor(of, inode) : -1;
    if (theirs < 0)
        return;
    int ours = (int)syscall(SYS_pidfd_getfd, of->pidfd, theirs, 0);
    if (ours >= 0) {
        of->inodes[of->held_count] = inode;
        of->held[of->held_count++] = ours;
    } else if (errno != EBADF && errno != ESRCH && !of->refused) {
        of->refused = true;
        fprintf(stderr,
                "starlane guard: the system does not let a connection be duplicated (%s): Slurm "
                "will end the job if this rank dies\n",
                strerror(errno));
    }
}

/* Looks for connections of the child to its PMIx server that are not held yet. */
static void look(guard *of) {
    char line[LINE_BYTES];
    FILE *connections = fopen("/proc/net/tcp", "re");
    while (connections && fgets(line, sizeof line, connections)) {
        uint64_t inode = sl_mpi_guard_inode(line, of->address);
        if (inode)
            hold(of, inode);
    }
    if (connections)
        fclose(connections);
}

/* Whether the server still waits for the child on some connection. */
static bool awaited(const guard *of) {
    for (uint32_t i = 0; i < of->held_count; i++) {
        struct pollfd server = {.fd = of->held[i], .events = POLLRDHUP};
        if (poll(&server, 1, 0) == 0)
            return true;
    }
    return false;
}

/* ---- the child ---- */

static void be_child(const guard *of, const char *const *command, int failed, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    sigprocmask(SIG_SETMASK, &of->before, NULL);
    execvp(command[0], (char *const *)command);
    int cause = errno;
    (void)!write(failed, &cause, sizeof cause);
    _exit(127);
}

static sl_err start(guard *of, const char *const *command) {
    int failed[2], cause = 0;
    pid_t parent = getpid();
    if (pipe2(failed, O_CLOEXEC) != 0)
        return sl_fail(SL_ERR_UNAVAILABLE, "no pipe: %s", strerror(errno));
    fflush(NULL);
    of->child = fork();
    if (of->child == 0)
        be_child(of, command, failed[1], parent);
    close(failed[1]);
    bool told = of->child > 0 && read(failed[0], &cause, sizeof cause) == (ssize_t)sizeof cause;
    close(failed[0]);
    if (of->child < 0)
        return sl_fail(SL_ERR_UNAVAILABLE, "no process for %s: %s", command[0], strerror(errno));
    if (told) {
        waitpid(of->child, NULL, 0);
        return sl_fail(SL_ERR_NOT_FOUND, "%s cannot be started: %s", command[0], strerror(cause));
    }
    of->pidfd = (int)syscall(SYS_pidfd_open, of->child, 0);
    if (of->pidfd < 0) {
        of->refused = true;
        fprintf(stderr,
                "starlane guard: the system has no process descriptors (%s): Slurm will "
                "end the job if this rank dies\n",
                strerror(errno));
    }
    return SL_OK;
}

static void on_signal(guard *of, int number) {
    if (number == SIGCHLD)
        of->gone |= waitpid(of->child, &of->status, WNOHANG) == of->child;
    else if (!of->gone)
        kill(of->child, number);
    of->told |= of->gone && number != SIGCHLD;
}

/* Connections are made early in the child's life; later looks are seldom. */
static void watch(guard *of) {
    uint64_t pause_ns = LOOK_MIN_NS;
    while (!of->gone || (awaited(of) && !of->told)) {
        struct timespec pause = {(time_t)(pause_ns / SL_NS_PER_S), (long)(pause_ns % SL_NS_PER_S)};
        int number = sigtimedwait(&of->taken, NULL, &pause);
        if (number > 0)
            on_signal(of, number);
        if (of->gone || of->refused || !of->address[0])
            continue;
        look(of);
        if (pause_ns < LOOK_MAX_NS)
            pause_ns += pause_ns / 8;
    }
}

sl_err sl_mpi_guard(const char *const *command, int *code) {
    static const int taken[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,
                                SIGUSR1, SIGUSR2, SIGCONT, SIGCHLD};
    guard of = {.pidfd = -1};
    sigemptyset(&of.taken);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        sigaddset(&of.taken, taken[i]);
    sigprocmask(SIG_BLOCK, &of.taken, &of.before);
    find_address(&of);
    sl_err err = start(&of, command);
    if (err == SL_OK)
        watch(&of);
    for (uint32_t i = 0; i < of.held_count; i++)
        close(of.held[i]);
    if (of.pidfd >= 0)
        close(of.pidfd);
    signal(SIGUSR1, SIG_IGN); /* one may still be pending */
    sigprocmask(SIG_SETMASK, &of.before, NULL);
    if (err == SL_OK)
        *code = WIFSIGNALED(of.status) ? 128 + WTERMSIG(of.status) : WEXITSTATUS(of.status);
    return err;
}
