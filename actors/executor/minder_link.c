#include "actors/executor/minder_link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SPAWNER_SOCKET = 3, SPAWNER_BELL = 4 }; /* as spawner/main.c has them */

void sl_minder_frame_destroy(sl_minder_frame *frame) {
    if (!frame)
        return;
    if (frame->stdin_fd >= 0)
        close(frame->stdin_fd);
    free(frame->spec);
    free(frame);
}

/* A session of its own: a terminal's signals are for the node, which decides about its commands. */
static int spawn(const char *path, int socket, int bell, pid_t *pid) {
    char version[] = SL_SPAWNER_WIRE_VERSION, parent[24];
    char *const argv[] = {(char *)(uintptr_t)path, version, parent, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    snprintf(parent, sizeof parent, "%d", (int)getpid());
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
        if (!failed)
            failed = posix_spawn_file_actions_adddup2(&actions, socket, SPAWNER_SOCKET);
        if (!failed)
            failed = posix_spawn_file_actions_adddup2(&actions, bell, SPAWNER_BELL);
        if (!failed)
            failed = posix_spawn(pid, path, &actions, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

/* A copy away from the numbers the spawner has them by: dup2 of a descriptor onto itself would
 * leave it close-on-exec. */
static int copy_high(int fd) {
    return fcntl(fd, F_DUPFD_CLOEXEC, SPAWNER_BELL + 1);
}

sl_err sl_minder_link_start(const char *spawner_path, int bell, int *socket, pid_t *pid) {
    int ends[2], failed = 0;
    SL_TRY(sl_spawner_pair(ends));
    int child_end = copy_high(ends[1]), child_bell = copy_high(bell);
    if (child_end < 0 || child_bell < 0)
        failed = errno;
    else
        failed = spawn(spawner_path, child_end, child_bell, pid);
    close(ends[1]);
    if (child_end >= 0)
        close(child_end);
    if (child_bell >= 0)
        close(child_bell);
    if (failed) {
        close(ends[0]);
        return sl_fail(SL_ERR_FAILED, "cannot start %s: %s", spawner_path, strerror(failed));
    }
    *socket = ends[0];
    return SL_OK;
}

void sl_minder_link_push(sl_minder_link *link, sl_minder_frame *frame) {
    frame->next = NULL;
    if (link->last)
        link->last->next = frame;
    else
        link->first = frame;
    link->last = frame;
}

sl_minder_frame *sl_minder_link_pop(sl_minder_link *link) {
    sl_minder_frame *frame = link->first;
    link->first = frame->next;
    if (!link->first)
        link->last = NULL;
    return frame;
}

sl_minder_frame *sl_minder_link_send(sl_minder_link *link, sl_err *err) {
    const sl_minder_frame *frame = link->first;
    *err = SL_OK;
    if (!frame || link->socket < 0)
        return NULL;
    *err = sl_spawner_send_request(link->socket, &frame->request, frame->spec, frame->stdin_fd);
    return *err == SL_OK ? sl_minder_link_pop(link) : NULL;
}

int sl_minder_link_close(sl_minder_link *link) {
    int status = 0;
    if (link->socket < 0)
        return 0;
    close(link->socket);
    link->socket = -1;
    while (waitpid(link->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

void sl_minder_link_drop(sl_minder_link *link) {
    while (link->first)
        sl_minder_frame_destroy(sl_minder_link_pop(link));
}
