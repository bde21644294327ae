/* starlane-spawner: runs a node's commands as its child processes, and ends with the node.
 *
 * Started by minder.c with the socket as descriptor 3 and an eventfd to ring after each reply as 4;
 * not for use by hand. It is small on purpose: its own memory is the least that a command's peak
 * memory can show. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "actors/executor/process_wire.h"
#include "actors/executor/spawner/spawner.h"
#include "actors/executor/spawner/strays.h"

enum { SOCKET = 3, BELL = 4 };

/* Nothing of the node's (its network, its files) is to be held open by a command. */
static void close_inherited(void) {
#ifdef SYS_close_range
    if (syscall(SYS_close_range, BELL + 1, ~0u, 0) == 0)
        return;
#endif
    long limit = sysconf(_SC_OPEN_MAX);
    for (int fd = BELL + 1; fd < (limit < 0 || limit > 65536 ? 65536 : (int)limit); fd++)
        close(fd);
}

/* 0, 1 and 2 must be taken, or a file opened for a command could land there. */
static bool have_standard_files(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_WRONLY : O_RDONLY) != fd)
            return false;
    return true;
}

/* What a terminal, mpirun or Slurm sends to all is for the node: it decides what becomes of its
 * commands. The spawner ends when the node does, which the kernel reports with a signal of our own:
 * under linuxproc Slurm sends a job's signals to every process of it, so none that a user may name
 * will do. */
static sl_err take_signals(pid_t node, int *signals) {
    static const int ignored[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGPIPE, SIGUSR1,
                                  SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU, SIGALRM, SIGXCPU};
    sigset_t taken;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&taken);
    sigaddset(&taken, SIGCHLD);
    sigaddset(&taken, SIGRTMAX);
    if (sigprocmask(SIG_SETMASK, &taken, NULL) != 0)
        return sl_fail(SL_ERR_IO, "cannot block signals: %s", strerror(errno));
    int fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return sl_fail(SL_ERR_IO, "cannot wait for signals: %s", strerror(errno));
    if (prctl(PR_SET_PDEATHSIG, SIGRTMAX) != 0 || getppid() != node) {
        close(fd);
        return sl_fail(SL_ERR_CLOSED, "the node is gone");
    }
    *signals = fd;
    return SL_OK;
}

static sl_err serve(int signals) {
    sl_process_home home;
    sl_spawner *spawner;
    SL_TRY(sl_strays_open());
    SL_TRY(sl_process_home_open(&home, environ));
    sl_err err = sl_spawner_create(SOCKET, BELL, signals, &home, &spawner);
    if (err == SL_OK) {
        err = sl_spawner_serve(spawner);
        sl_spawner_destroy(spawner);
    }
    sl_process_home_close(&home);
    return err;
}

int main(int argc, char **argv) {
    int signals = -1;
    if (argc != 3 || strcmp(argv[1], SL_SPAWNER_WIRE_VERSION) != 0) {
        fprintf(stderr,
                "%s: started by Starlane itself (wire version " SL_SPAWNER_WIRE_VERSION ")\n",
                argv[0]);
        return 2;
    }
    if (!have_standard_files() || fcntl(SOCKET, F_SETFD, FD_CLOEXEC) != 0 ||
        fcntl(BELL, F_SETFD, FD_CLOEXEC) != 0)
        return 2;
    close_inherited();
    sl_err err = take_signals((pid_t)strtol(argv[2], NULL, 10), &signals);
    if (err == SL_OK)
        err = serve(signals);
    if (err != SL_OK && err != SL_ERR_CLOSED)
        fprintf(stderr, "starlane-spawner: %s\n", sl_err_detail());
    return err == SL_OK ? 0 : 1;
}
