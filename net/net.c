/* Design notes
 * One thread for all links: TLS of one core is some GB/s, and a gateway's clients send small
 * things. Marked links form a stack under the net's lock; the first mark writes to an eventfd, so
 * that a burst of sends costs one write. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/link_internal.h"
#include "runtime/log.h"
#include "runtime/thread.h"

#define SWEEP_NS (100 * SL_NS_PER_MS)
#define LEAVE_NS (2 * SL_NS_PER_S)

enum { EVENTS_MOST = 64, ACCEPTS_MOST = 64, BACKLOG = 256 };

static void set_default(uint64_t *value, uint64_t if_zero) {
    *value = *value ? *value : if_zero;
}

static void set_default32(uint32_t *value, uint32_t if_zero) {
    *value = *value ? *value : if_zero;
}

static void fill_limits(sl_net_limits *limits) {
    set_default32(&limits->stranger_bytes, 4096);
    set_default(&limits->message_bytes, 64ull << 20);
    set_default(&limits->stream_bytes, 64ull << 20);
    if (limits->stream_bytes < limits->message_bytes)
        limits->stream_bytes = limits->message_bytes;
    set_default(&limits->queued_bytes, 16ull << 20);
    set_default32(&limits->frames_per_s, 200000);
    set_default32(&limits->links, 1024);
    set_default32(&limits->links_per_address, 64);
    set_default(&limits->handshake_ns, 10 * SL_NS_PER_S);
    set_default(&limits->beat_ns, 5 * SL_NS_PER_S);
    set_default(&limits->dead_ns, 30 * SL_NS_PER_S);
    set_default(&limits->stall_ns, 30 * SL_NS_PER_S);
}

/* ---- marks ---- */

static void wake(sl_net *net) {
    uint64_t one = 1;
    if (write(net->wake_fd, &one, sizeof one) < 0) {
        /* full: it is awake */
    }
}

void sl_net_mark(sl_link *link) {
    sl_net *net = link->net;
    pthread_mutex_lock(&link->lock);
    bool marked = link->marked;
    link->marked = true;
    pthread_mutex_unlock(&link->lock);
    if (marked)
        return;
    sl_link_retain(link);
    pthread_mutex_lock(&net->lock);
    bool first = !net->marked;
    link->next_marked = net->marked;
    net->marked = link;
    pthread_mutex_unlock(&net->lock);
    if (first)
        wake(net);
}

static void enlist(sl_net *net, sl_link *link) {
    link->next = net->links;
    link->before = NULL;
    link->listed = true;
    if (net->links)
        net->links->before = link;
    net->links = link;
}

static void step_marked(sl_net *net, uint64_t now_ns) {
    pthread_mutex_lock(&net->lock);
    sl_link *marked = net->marked;
    net->marked = NULL;
    pthread_mutex_unlock(&net->lock);
    for (sl_link *next; marked; marked = next) {
        next = marked->next_marked;
        pthread_mutex_lock(&marked->lock);
        marked->marked = false;
        pthread_mutex_unlock(&marked->lock);
        if (!marked->listed)
            enlist(net, marked);
        if (marked->fd >= 0)
            sl_link_step(marked, false, false, now_ns);
        sl_link_release(marked);
    }
}

/* ---- the list of links ---- */

void sl_net_watch(sl_link *link, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = link};
    if (link->watched == (events | EPOLLERR))
        return;
    int how = link->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(link->net->epoll_fd, how, link->fd, &event) != 0)
        sl_link_fail(link, SL_ERR_NO_MEMORY, "%s: cannot be watched: %s", link->peer,
                     strerror(errno)); /* the next sweep drops it */
    else
        link->watched = events | EPOLLERR;
}

void sl_net_drop(sl_link *link) {
    sl_net *net = link->net;
    if (link->fd < 0)
        return;
    if (link->before)
        link->before->next = link->next;
    else
        net->links = link->next;
    if (link->next)
        link->next->before = link->before;
    close(link->fd);
    link->fd = -1;
    atomic_fetch_sub(&net->count, 1);
    sl_link_release(link);
}

/* ---- accepting ---- */

static bool too_many(sl_net *net, const sl_link *link) {
    uint32_t same = 0;
    if (atomic_load(&net->count) > net->limits.links)
        return true;
    for (const sl_link *other = net->links; other; other = other->next)
        same += strcmp(other->host, link->host) == 0;
    return same >= net->limits.links_per_address;
}

static void take_connection(sl_net *net, int fd, const struct sockaddr *address) {
    sl_link *link;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (sl_link_create(net, fd, net->server_tls, address, LINK_SHAKES, &link) != SL_OK) {
        close(fd);
        return;
    }
    SSL_set_accept_state(link->ssl);
    if (too_many(net, link)) {
        sl_debug("net", "too many connections peer %s", link->peer);
        atomic_fetch_sub(&net->count, 1);
        close(fd);
        sl_link_release(link);
        return;
    }
    enlist(net, link);
    sl_link_step(link, true, false, sl_clock_now_ns());
}

static void watch_listeners(sl_net *net, bool on) {
    for (uint32_t i = 0; i < net->listener_count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &net->listeners[i]};
        epoll_ctl(net->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, net->listeners[i], &event);
    }
}

static void accept_some(sl_net *net, int listener) {
    for (int i = 0; i < ACCEPTS_MOST; i++) {
        struct sockaddr_storage address;
        socklen_t bytes = sizeof address;
        int fd =
            accept4(listener, (struct sockaddr *)&address, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_connection(net, fd, (struct sockaddr *)&address);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            sl_warn("net", "no connection can be taken for now: %s", strerror(errno));
            net->refusing = true; /* until the next sweep */
            watch_listeners(net, false);
        }
        return;
    }
}

/* ---- the thread ---- */

static void sweep(sl_net *net, uint64_t now_ns) {
    if (now_ns - net->swept_ns < SWEEP_NS)
        return;
    net->swept_ns = now_ns;
    for (sl_link *link = net->links, *next; link; link = next) {
        next = link->next;
        sl_link_watch_time(link, now_ns);
    }
    if (net->refusing)
        watch_listeners(net, true);
    net->refusing = false;
}

static void take_event(sl_net *net, const struct epoll_event *event, uint64_t now_ns) {
    const char *at = event->data.ptr, *first = (const char *)net->listeners;
    uint64_t count;
    if (!at) {
        if (read(net->wake_fd, &count, sizeof count) < 0) {
            /* somebody else's wake */
        }
    } else if (at >= first && at < first + sizeof net->listeners) {
        accept_some(net, *(int *)event->data.ptr);
    } else {
        bool broken = event->events & (EPOLLERR | EPOLLHUP);
        sl_link_step(event->data.ptr, broken || (event->events & EPOLLIN),
                     broken || (event->events & EPOLLOUT), now_ns);
    }
}

static bool must_end(sl_net *net) {
    pthread_mutex_lock(&net->lock);
    bool ending = net->ending;
    pthread_mutex_unlock(&net->lock);
    return ending;
}

/* What waits may leave, then each is told, and nothing more is taken. */
static void refuse_links(sl_net *net) {
    for (sl_link *link = net->links, *next; link; link = next) {
        next = link->next;
        sl_link_retain(link);
        sl_link_step(link, false, false, sl_clock_now_ns());
        if (link->fd >= 0) {
            sl_link_refuse(link, SL_ERR_CLOSED, "the network is being left");
            sl_link_step(link, false, false, sl_clock_now_ns());
        }
        sl_link_release(link);
    }
}

/* Peers have for a moment to read what was said to them last, and to close: closed here with bytes
 * of theirs unread, TCP would throw it away. */
static void await_peers(sl_net *net) {
    struct epoll_event events[EVENTS_MOST];
    uint64_t now_ns = sl_clock_now_ns(), end_ns = now_ns + LEAVE_NS;
    watch_listeners(net, false);
    while (net->links && now_ns < end_ns) {
        int count = epoll_wait(net->epoll_fd, events, EVENTS_MOST,
                               (int)((end_ns - now_ns) / SL_NS_PER_MS) + 1);
        now_ns = sl_clock_now_ns();
        for (int i = 0; i < count; i++)
            take_event(net, &events[i], now_ns);
    }
}

static void end_links(sl_net *net) {
    step_marked(net, sl_clock_now_ns()); /* also those that have just begun to connect */
    refuse_links(net);
    await_peers(net);
    while (net->links)
        sl_net_drop(net->links);
    for (sl_link *next; net->marked; net->marked = next) {
        next = net->marked->next_marked;
        sl_link_release(net->marked);
    }
}

static void *net_thread(void *argument) {
    sl_net *net = argument;
    struct epoll_event events[EVENTS_MOST];
    while (!must_end(net)) {
        bool sweeps = net->links || net->refusing;
        int count = epoll_wait(net->epoll_fd, events, EVENTS_MOST,
                               sweeps ? (int)(SWEEP_NS / SL_NS_PER_MS) : -1);
        uint64_t now_ns = sl_clock_now_ns();
        for (int i = 0; i < count; i++)
            take_event(net, &events[i], now_ns);
        step_marked(net, now_ns);
        sweep(net, now_ns);
    }
    end_links(net);
    return NULL;
}

sl_err sl_net_create(const sl_net_options *options, sl_net **out) {
    sl_net *net = calloc(1, sizeof *net);
    if (!net)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for links");
    struct epoll_event event = {.events = EPOLLIN};
    net->ops = *options->ops;
    net->context = options->context;
    net->limits = options->limits;
    fill_limits(&net->limits);
    pthread_mutex_init(&net->lock, NULL);
    net->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    net->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    sl_err err = SL_OK;
    if (net->epoll_fd < 0 || net->wake_fd < 0 ||
        epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, net->wake_fd, &event) != 0)
        err = sl_fail(SL_ERR_UNAVAILABLE, "links cannot be watched: %s", strerror(errno));
    if (err == SL_OK)
        err = sl_thread_start(&net->thread, net_thread, net);
    if (err == SL_OK) {
        *out = net;
        return SL_OK;
    }
    if (net->epoll_fd >= 0)
        close(net->epoll_fd);
    if (net->wake_fd >= 0)
        close(net->wake_fd);
    free(net);
    return err;
}

void sl_net_destroy(sl_net *net) {
    if (!net)
        return;
    pthread_mutex_lock(&net->lock);
    net->ending = true;
    pthread_mutex_unlock(&net->lock);
    wake(net);
    pthread_join(net->thread, NULL);
    for (uint32_t i = 0; i < net->listener_count; i++)
        close(net->listeners[i]);
    close(net->epoll_fd);
    close(net->wake_fd);
    pthread_mutex_destroy(&net->lock);
    free(net);
}

/* ---- listening and connecting ---- */

static sl_err resolve(const sl_address *address, int flags, struct addrinfo **found) {
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    snprintf(port, sizeof port, "%u", address->port);
    int error = getaddrinfo(address->host[0] ? address->host : NULL, port, &hints, found);
    if (error)
        return sl_fail(SL_ERR_NOT_FOUND, "host '%s' is not known: %s", address->host,
                       gai_strerror(error));
    return SL_OK;
}

static uint16_t *port_of(struct sockaddr_storage *address) {
    return address->ss_family == AF_INET6 ? &((struct sockaddr_in6 *)address)->sin6_port
                                          : &((struct sockaddr_in *)address)->sin_port;
}

static sl_err listen_at(const struct addrinfo *at, uint16_t *port, int *out) {
    int one = 1, fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_storage address;
    socklen_t bytes = at->ai_addrlen;
    memcpy(&address, at->ai_addr, at->ai_addrlen);
    if (*port)
        *port_of(&address) = htons(*port);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (at->ai_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    }
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, bytes) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &bytes) != 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return sl_fail(error == EADDRINUSE ? SL_ERR_EXISTS : SL_ERR_TRANSPORT,
                       "cannot listen: %s%s", strerror(error),
                       error == EADDRINUSE ? ": another program has this port; choose one with "
                                             "--listen HOST:PORT (port 0: any)"
                                           : "");
    }
    *port = ntohs(*port_of(&address));
    *out = fd;
    return SL_OK;
}

sl_err sl_net_listen(sl_net *net, const sl_address *address, const sl_tls *tls, uint16_t *port) {
    struct addrinfo *found;
    uint16_t bound = address->port;
    uint32_t count = 0;
    int fds[LISTENERS_MOST];
    if (!sl_tls_is_server(tls))
        return sl_fail(SL_ERR_INTERNAL, "a client's TLS cannot listen");
    SL_TRY(resolve(address, AI_PASSIVE, &found));
    sl_err err = SL_OK;
    for (const struct addrinfo *at = found; at && count < LISTENERS_MOST; at = at->ai_next) {
        sl_err failed = listen_at(at, &bound, &fds[count]);
        count += failed == SL_OK;
        err = err == SL_OK ? failed : err; /* a machine without IPv6 has one less */
    }
    freeaddrinfo(found);
    if (!count)
        return err;
    pthread_mutex_lock(&net->lock);
    net->server_tls = tls;
    memcpy(net->listeners, fds, count * sizeof *fds);
    net->listener_count = count;
    watch_listeners(net, true);
    pthread_mutex_unlock(&net->lock);
    *port = bound;
    return SL_OK;
}

static sl_err open_socket(const struct addrinfo *found, int *out, const struct addrinfo **used) {
    int one = 1;
    sl_err err = sl_fail(SL_ERR_NOT_FOUND, "no address");
    for (const struct addrinfo *at = found; at; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd >= 0 && (connect(fd, at->ai_addr, at->ai_addrlen) == 0 || errno == EINPROGRESS)) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            *out = fd;
            *used = at;
            return SL_OK;
        }
        err = sl_fail(SL_ERR_TRANSPORT, "cannot connect: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
    }
    return err;
}

static sl_err prepare_client(sl_link *link, const sl_address *address, const sl_tls *tls) {
    SSL_set_connect_state(link->ssl);
    bool named = !strchr(address->host, ':');
    if (named && !SSL_set_tlsext_host_name(link->ssl, address->host))
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for TLS");
    if (!sl_tls_checks_host(tls))
        return SL_OK;
    struct in6_addr binary;
    bool numeric = inet_pton(AF_INET, address->host, &binary) == 1 ||
                   inet_pton(AF_INET6, address->host, &binary) == 1;
    int done = numeric ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(link->ssl), address->host)
                       : SSL_set1_host(link->ssl, address->host);
    return done ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for TLS");
}

sl_err sl_net_connect(sl_net *net, const sl_address *address, const sl_tls *tls, void *user,
                      sl_link **out) {
    struct addrinfo *found;
    const struct addrinfo *used = NULL;
    sl_link *link = NULL;
    int fd = -1;
    SL_TRY(resolve(address, 0, &found));
    sl_err err = open_socket(found, &fd, &used);
    if (err == SL_OK) {
        err = sl_link_create(net, fd, tls, used->ai_addr, LINK_CONNECTS, &link);
        if (err != SL_OK)
            close(fd);
    }
    freeaddrinfo(found);
    SL_TRY(err);
    err = prepare_client(link, address, tls);
    if (err != SL_OK) {
        atomic_fetch_sub(&net->count, 1);
        close(fd);
        sl_link_release(link);
        return err;
    }
    link->user = user;
    link->trusted = true; /* we chose it */
    *out = sl_link_retain(link);
    sl_net_mark(link); /* the thread enlists it */
    return SL_OK;
}
