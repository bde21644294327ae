#include "tests/lib/cutter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS = 64, CHUNK = 16384 };

typedef struct pair {
    int fds[2]; /* -1: free */
    uint64_t left;
} pair;

struct cutter {
    int fd;
    uint16_t to;
    pthread_t thread;
    pair pairs[PAIRS];
    uint64_t state; /* of the random numbers */
    _Atomic uint64_t most, cuts;
    _Atomic int ending, blocked, cut_all;
};

static uint64_t random_of(cutter *of) {
    of->state ^= of->state << 13;
    of->state ^= of->state >> 7;
    return of->state ^= of->state << 17;
}

static struct sockaddr_in local(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void cut(cutter *of, pair *p) {
    struct linger reset = {.l_onoff = 1};
    for (int i = 0; i < 2; i++) {
        if (random_of(of) % 2)
            setsockopt(p->fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(p->fds[i]);
        p->fds[i] = -1;
    }
}

static void take(cutter *of) {
    int fd = accept4(of->fd, NULL, NULL, SOCK_CLOEXEC);
    struct sockaddr_in to = local(of->to);
    pair *p = of->pairs;
    while (p < of->pairs + PAIRS && p->fds[0] >= 0)
        p++;
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || other < 0 || p == of->pairs + PAIRS || atomic_load(&of->blocked) ||
        connect(other, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        close(other);
        return;
    }
    uint64_t most = atomic_load(&of->most);
    *p = (pair){.fds = {fd, other}, .left = most ? random_of(of) % most : UINT64_MAX};
}

/* False: this connection is over. */
static int relay(cutter *of, pair *p, int from) {
    char data[CHUNK];
    size_t room = p->left < sizeof data ? (size_t)p->left : sizeof data;
    if (!room)
        return 0;
    ssize_t got = recv(p->fds[from], data, room, 0);
    if (got <= 0)
        return 0;
    for (ssize_t at = 0, some; at < got; at += some)
        if ((some = send(p->fds[!from], data + at, (size_t)(got - at), MSG_NOSIGNAL)) <= 0)
            return 0;
    if (p->left != UINT64_MAX)
        p->left -= (uint64_t)got;
    if (p->left)
        return 1;
    atomic_fetch_add(&of->cuts, 1);
    return 0;
}

static void step(cutter *of) {
    struct pollfd polls[1 + 2 * PAIRS] = {{.fd = of->fd, .events = POLLIN}};
    for (int i = 0; i < PAIRS; i++)
        for (int j = 0; j < 2; j++)
            polls[1 + 2 * i + j] = (struct pollfd){.fd = of->pairs[i].fds[j], .events = POLLIN};
    poll(polls, 1 + 2 * PAIRS, 20);
    int all = atomic_exchange(&of->cut_all, 0) || atomic_load(&of->blocked);
    for (int i = 0; i < PAIRS; i++) {
        pair *p = &of->pairs[i];
        int over = p->fds[0] >= 0 && all;
        atomic_fetch_add(&of->cuts, (uint64_t)over);
        for (int j = 0; j < 2 && p->fds[0] >= 0 && !over; j++)
            if (polls[1 + 2 * i + j].revents)
                over = !relay(of, p, j);
        if (over)
            cut(of, p);
    }
    if (polls[0].revents)
        take(of);
}

static void *run(void *argument) {
    cutter *of = argument;
    while (!atomic_load(&of->ending))
        step(of);
    for (int i = 0; i < PAIRS; i++)
        if (of->pairs[i].fds[0] >= 0)
            cut(of, &of->pairs[i]);
    close(of->fd);
    return NULL;
}

cutter *cutter_start(uint16_t to, uint16_t *from) {
    cutter *of = calloc(1, sizeof *of);
    struct sockaddr_in address = local(0);
    socklen_t size = sizeof address;
    for (int i = 0; i < PAIRS; i++)
        of->pairs[i].fds[0] = of->pairs[i].fds[1] = -1;
    of->to = to;
    of->state = 88172645463325252u;
    of->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(of->fd, (struct sockaddr *)&address, size) != 0 || listen(of->fd, 64) != 0 ||
        getsockname(of->fd, (struct sockaddr *)&address, &size) != 0 ||
        pthread_create(&of->thread, NULL, run, of) != 0)
        abort();
    *from = ntohs(address.sin_port);
    return of;
}

void cutter_stop(cutter *of) {
    atomic_store(&of->ending, 1);
    pthread_join(of->thread, NULL);
    free(of);
}

void cutter_set(cutter *of, uint64_t most) {
    atomic_store(&of->most, most);
}

void cutter_block(cutter *of, int blocked) {
    atomic_store(&of->blocked, blocked);
}

void cutter_cut(cutter *of) {
    atomic_store(&of->cut_all, 1);
}

uint64_t cutter_cuts(cutter *of) {
    return atomic_load(&of->cuts);
}
