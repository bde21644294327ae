#include "actors/executor/process_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Larger specs go as a file in memory: a packet must fit the socket's buffer, and pages are copied
 * once instead of twice. */
#define INLINE_MAX_BYTES (16u << 10)

/* What travels in front of a spec. */
typedef struct packet {
    sl_spawner_request request;
    uint32_t has_file, has_stdin; /* descriptors that come along, in this order */
} packet;

sl_err sl_spawner_pair(int ends[2]) {
    int made[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, made) != 0)
        return sl_fail(SL_ERR_IO, "cannot make a socket pair: %s", strerror(errno));
    memcpy(ends, made, sizeof made);
    return SL_OK;
}

static sl_err fail_socket(const char *what) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS ||
        errno == ETOOMANYREFS)
        return SL_ERR_AGAIN; /* expected: no text */
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
        return sl_fail(SL_ERR_CLOSED, "the other end is gone");
    return sl_fail(SL_ERR_IO, "cannot %s: %s", what, strerror(errno));
}

typedef union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(2 * sizeof(int))];
} control;

static sl_err send_packet(int socket, struct iovec *parts, size_t count, const int *fds,
                          size_t fd_count) {
    control buffer = {0};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    if (fd_count) {
        message.msg_control = buffer.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
    }
    if (sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return fail_socket("send to a spawner");
    return SL_OK;
}

sl_err sl_spawner_send_request(int socket, const sl_spawner_request *request,
                               const unsigned char *spec, int stdin_fd) {
    int fds[2], file = -1;
    size_t fd_count = 0;
    packet p = {.request = *request, .has_stdin = stdin_fd >= 0};
    if (request->spec_bytes > INLINE_MAX_BYTES) {
        SL_TRY(sl_process_memory_file(spec, request->spec_bytes, &file));
        fds[fd_count++] = file;
        p.has_file = 1;
    }
    if (stdin_fd >= 0)
        fds[fd_count++] = stdin_fd;
    struct iovec parts[2] = {{&p, sizeof p},
                             {(void *)(uintptr_t)spec, file < 0 ? request->spec_bytes : 0}};
    sl_err err = send_packet(socket, parts, 2, fds, fd_count);
    if (file >= 0)
        close(file);
    return err;
}

static size_t received_fds(struct msghdr *message, int fds[2]) {
    size_t count = 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(header), count * sizeof(int));
    }
    return count;
}

/* The spec of a request: the packet's tail, or a file's content. */
static sl_err take_spec(const packet *p, const unsigned char *tail, size_t tail_bytes, int file,
                        unsigned char **spec) {
    struct stat info;
    size_t size = p->request.spec_bytes;
    unsigned char *bytes = NULL;
    if (file < 0 ? size != tail_bytes
                 : tail_bytes || size > SL_SPAWNER_SPEC_MAX_BYTES || fstat(file, &info) != 0 ||
                       (size_t)info.st_size != size)
        return sl_fail(SL_ERR_DECODE, "a request does not hold the %zu bytes it says", size);
    if (size && !(bytes = malloc(size)))
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a command of %zu bytes", size);
    if (size && file < 0)
        memcpy(bytes, tail, size);
    if (file >= 0 && pread(file, bytes, size, 0) != (ssize_t)size) {
        free(bytes);
        return sl_fail(SL_ERR_IO, "cannot read a command: %s", strerror(errno));
    }
    *spec = bytes;
    return SL_OK;
}

sl_err sl_spawner_receive_request(int socket, sl_spawner_request *request, unsigned char **spec,
                                  int *stdin_fd) {
    static _Thread_local unsigned char tail[INLINE_MAX_BYTES];
    packet p;
    control buffer;
    int fds[2] = {-1, -1};
    struct iovec parts[2] = {{&p, sizeof p}, {tail, sizeof tail}};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = buffer.bytes,
                             .msg_controllen = sizeof buffer.bytes};
    ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0)
        return fail_socket("receive from the node");
    if (got == 0)
        return sl_fail(SL_ERR_CLOSED, "the node is gone");
    size_t fd_count = received_fds(&message, fds);
    bool whole = got >= (ssize_t)sizeof p && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
                 fd_count == (size_t) !!p.has_file + !!p.has_stdin;
    sl_err err = whole ? take_spec(&p, tail, (size_t)got - sizeof p, p.has_file ? fds[0] : -1, spec)
                       : sl_fail(SL_ERR_DECODE, "a request of %zd bytes is cut", got);
    bool keep_stdin = err == SL_OK && p.has_stdin;
    for (size_t i = 0; i < fd_count; i++)
        if (!(keep_stdin && i == fd_count - 1))
            close(fds[i]);
    if (err != SL_OK)
        return err;
    *request = p.request;
    *stdin_fd = keep_stdin ? fds[fd_count - 1] : -1;
    return SL_OK;
}

sl_err sl_spawner_send_reply(int socket, const sl_spawner_reply *reply) {
    struct iovec part = {(void *)(uintptr_t)reply, sizeof *reply};
    return send_packet(socket, &part, 1, NULL, 0);
}

sl_err sl_spawner_receive_reply(int socket, sl_spawner_reply *reply) {
    sl_spawner_reply got;
    ssize_t size = recv(socket, &got, sizeof got, MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0)
        return fail_socket("receive from a spawner");
    if (size == 0)
        return sl_fail(SL_ERR_CLOSED, "the spawner is gone");
    if (size != (ssize_t)sizeof got || (unsigned)got.result.status >= SL_PROCESS_STATUS_COUNT)
        return sl_fail(SL_ERR_DECODE, "a reply of %zd bytes does not decode", size);
    got.result.message[SL_PROCESS_MESSAGE_MAX_BYTES] = 0;
    *reply = got;
    return SL_OK;
}
