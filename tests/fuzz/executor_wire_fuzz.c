/* Packets of any bytes between a node and its spawner. The first byte says which of them receives,
 * and what comes along: descriptors, of a file with as many bytes as the packet says or of none. */
#include "actors/executor/process_wire.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ends[2] = {-1, -1};
static int file = -1;

static void require(bool holds) {
    if (!holds)
        abort();
}

static void open_all(void) {
    require(sl_spawner_pair(ends) == SL_OK);
    file = memfd_create("fuzz", MFD_CLOEXEC);
    require(file >= 0 && ftruncate(file, 64) == 0);
}

static void send_packet(const uint8_t *data, size_t size, unsigned fds) {
    union {
        char bytes[CMSG_SPACE(3 * sizeof(int))];
        struct cmsghdr align;
    } control = {.bytes = {0}};
    const int sent[3] = {file, file, file};
    struct iovec part = {(void *)(uintptr_t)data, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fds) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds * sizeof(int));
        memcpy(CMSG_DATA(header), sent, fds * sizeof(int));
    }
    require(sendmsg(ends[0], &message, MSG_DONTWAIT) == (ssize_t)size);
}

static void receive_request(void) {
    sl_spawner_request request;
    unsigned char *spec = NULL;
    int stdin_fd = -1;
    sl_err err = sl_spawner_receive_request(ends[1], &request, &spec, &stdin_fd);
    require(err == SL_OK || err == SL_ERR_DECODE || err == SL_ERR_CLOSED);
    require(err == SL_OK || (!spec && stdin_fd < 0));
    if (err == SL_OK && request.spec_bytes) {
        sl_process_spec decoded;
        void *arrays = NULL;
        require(spec != NULL);
        if (sl_process_spec_decode(spec, request.spec_bytes, &decoded, &arrays) == SL_OK)
            free(arrays);
    }
    if (stdin_fd >= 0)
        close(stdin_fd);
    free(spec);
}

static void receive_reply(void) {
    sl_spawner_reply reply;
    sl_err err = sl_spawner_receive_reply(ends[1], &reply);
    require(err == SL_OK || err == SL_ERR_DECODE || err == SL_ERR_CLOSED);
    if (err == SL_OK)
        require((unsigned)reply.result.status < SL_PROCESS_STATUS_COUNT &&
                memchr(reply.result.message, '\0', sizeof reply.result.message));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (ends[0] < 0)
        open_all();
    if (size < 2 || size > 8192)
        return 0;
    send_packet(data + 1, size - 1, data[0] & 2 ? data[0] >> 2 & 3 : 0);
    if (data[0] & 1)
        receive_reply();
    else
        receive_request();
    int left = dup(0); /* no descriptor may stay behind */
    require(left < 64);
    close(left);
    return 0;
}
