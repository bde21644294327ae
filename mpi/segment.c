/* Design notes
 * A segment is anonymous memory with a file descriptor (memfd_create), which the others of the host
 * open through /proc/PID/fd: it needs no room in /dev/shm, which containers keep small, leaves
 * nothing behind when ranks are killed, and only pages that were used take memory. A rank in
 * another PID namespace is told by what it finds there: the segment names the life of the rank that
 * made it. Whether all could open all is agreed on, so that the two ends of a pair never differ in
 * how they reach each other. */
#include "mpi/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mpi/internal.h"
#include "runtime/log.h"

#define MAGIC 0x31746d6773646c73ull
#define INBOX_MOST_BYTES                                                                           \
    ((size_t)8 << 20) /* of a segment's rings, unless the fewest slots are more */

/* How the others of the host find a segment. */
typedef struct announcement {
    int64_t pid, fd;
    uint64_t address, bytes;
    uint32_t rank, incarnation;
} announcement;

static size_t whole(size_t bytes, size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

static size_t rings_at(uint32_t local_size) {
    return whole(sizeof(sl_mpi_segment) + local_size * sizeof(uint64_t), 2 * SL_MPI_LINE_BYTES);
}

sl_mpi_ring *sl_mpi_segment_ring(sl_mpi_segment *segment, uint32_t from) {
    uint8_t *rings = (uint8_t *)segment + rings_at(segment->local_size);
    return (sl_mpi_ring *)(void *)(rings + from * segment->ring_bytes);
}

static uint32_t slots_of(size_t frame_bytes, uint32_t local_size) {
    size_t slots = INBOX_MOST_BYTES / local_size / sl_mpi_ring_stride(frame_bytes);
    if (slots > SL_MPI_RING_MOST_SLOTS)
        return SL_MPI_RING_MOST_SLOTS;
    return slots < SL_MPI_RING_LEAST_SLOTS ? SL_MPI_RING_LEAST_SLOTS : (uint32_t)slots;
}

static size_t ring_bytes(uint32_t slots, size_t frame_bytes) {
    size_t bytes = sizeof(sl_mpi_ring) + (size_t)slots * sl_mpi_ring_stride(frame_bytes);
    return whole(bytes, 2 * SL_MPI_LINE_BYTES);
}

size_t sl_mpi_segment_bytes(uint32_t local_size, uint32_t slots, size_t frame_bytes) {
    return rings_at(local_size) + local_size * ring_bytes(slots, frame_bytes);
}

void sl_mpi_segment_init(sl_mpi_segment *segment, uint32_t local_size, uint32_t slots,
                         size_t frame_bytes, uint32_t incarnation) {
    sl_doorbell_init(&segment->bell);
    segment->magic = MAGIC;
    segment->incarnation = incarnation;
    segment->local_size = local_size;
    segment->ring_bytes = ring_bytes(slots, frame_bytes);
    segment->bytes = sl_mpi_segment_bytes(local_size, slots, frame_bytes);
}

/* This rank's segment, or NULL; `fd` is what others open. */
static sl_mpi_segment *segment_create(const sl_mpi *mpi, const sl_mpi_host *host, int *fd) {
    size_t bytes = sl_mpi_segment_bytes(host->count, host->slots, mpi->frame_bytes);
    *fd = memfd_create("starlane", MFD_CLOEXEC);
    void *memory = MAP_FAILED;
    if (*fd >= 0 && ftruncate(*fd, (off_t)bytes) == 0)
        memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (memory == MAP_FAILED)
        return NULL;
    sl_mpi_segment_init(memory, host->count, host->slots, mpi->frame_bytes,
                        mpi->facts[mpi->rank].incarnation);
    return memory;
}

/* Is it the segment that was announced, and laid out as ours is? */
static bool is_announced(const sl_mpi_segment *segment, const announcement *a,
                         const sl_mpi_segment *own) {
    return segment->magic == MAGIC && segment->incarnation == a->incarnation &&
           segment->local_size == own->local_size && segment->ring_bytes == own->ring_bytes &&
           segment->bytes == own->bytes;
}

static sl_mpi_segment *segment_map(const announcement *a, const sl_mpi_segment *own) {
    char path[64];
    if (a->bytes != own->bytes)
        return NULL;
    snprintf(path, sizeof path, "/proc/%lld/fd/%lld", (long long)a->pid, (long long)a->fd);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    off_t size = lseek(fd, 0, SEEK_END);
    void *memory = size == (off_t)own->bytes
                       ? mmap(NULL, own->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                       : MAP_FAILED;
    close(fd);
    if (memory == MAP_FAILED)
        return NULL;
    if (is_announced(memory, a, own))
        return memory;
    munmap(memory, own->bytes);
    return NULL;
}

/* May we read that process's memory (ptrace's rules and a container's filters allow it)? */
static bool can_read(const announcement *a, const sl_mpi_segment *own) {
    sl_mpi_segment copy;
    struct iovec here = {&copy, sizeof copy};
    struct iovec there = {(void *)(uintptr_t)a->address, sizeof copy};
    ssize_t bytes = process_vm_readv((pid_t)a->pid, &here, 1, &there, 1, 0);
    return bytes == (ssize_t)sizeof copy && is_announced(&copy, a, own);
}

static sl_mpi_neighbour neighbour_of(const announcement *a, sl_mpi_segment *own, bool itself) {
    sl_mpi_neighbour n = {.rank = a->rank, .pid = (pid_t)a->pid, .pidfd = -1};
    if (!itself) /* before its memory is looked for: see deaths.c */
        n.pidfd = (int)syscall(SYS_pidfd_open, n.pid, 0);
    n.segment = itself ? own : segment_map(a, own);
    return n;
}

/* Maps all; false when one cannot be. */
static bool neighbours_map(sl_mpi_host *host, const announcement *all, sl_mpi_segment *own,
                           bool *readable) {
    bool mapped = true;
    *readable = true;
    for (uint32_t i = 0; i < host->count; i++) {
        host->neighbours[i] = neighbour_of(&all[i], own, i == host->self);
        mapped &= host->neighbours[i].segment != NULL;
        *readable &= mapped && can_read(&all[i], own);
    }
    return mapped;
}

static void neighbours_unmap(sl_mpi_host *host) {
    for (uint32_t i = 0; host->neighbours && i < host->count; i++) {
        const sl_mpi_neighbour *n = &host->neighbours[i];
        if (n->segment)
            munmap(n->segment, n->segment->bytes);
        if (n->pidfd > 0) /* 0: never looked for */
            close(n->pidfd);
    }
    free(host->neighbours);
    host->neighbours = NULL;
}

bool sl_mpi_host_ended(const sl_mpi_host *host, uint32_t rank) {
    uint32_t local = host->neighbours ? host->local_of[rank] : SL_MPI_FAR;
    if (local == SL_MPI_FAR || host->neighbours[local].pidfd <= 0)
        return false;
    struct pollfd process = {.fd = host->neighbours[local].pidfd, .events = POLLIN};
    return poll(&process, 1, 0) > 0;
}

static void all_near(sl_mpi_host *host, uint32_t network) {
    for (uint32_t i = 0; i < host->count; i++)
        if (host->neighbours[i].rank < network)
            host->local_of[host->neighbours[i].rank] = i;
    host->far = network - host->count;
    host->bell = &host->neighbours[host->self].segment->bell;
}

static void say_why_not(const sl_mpi_host *host, const sl_mpi_segment *own) {
    for (uint32_t i = 0; own && i < host->count; i++)
        if (!host->neighbours[i].segment)
            sl_debug("mpi", "the memory of rank %u cannot be mapped", host->neighbours[i].rank);
    sl_warn("mpi", "no shared memory between the %u ranks of this host: messages go through MPI",
            host->count);
}

static sl_err share(sl_mpi_host *host, const sl_mpi *mpi, announcement *all) {
    int fd = -1, mine[2] = {0, 0}, agreed[2] = {0, 0};
    bool readable = false;
    sl_mpi_segment *own = segment_create(mpi, host, &fd);
    announcement a = {.pid = getpid(),
                      .fd = fd,
                      .address = (uint64_t)(uintptr_t)own,
                      .bytes = own ? own->bytes : 0,
                      .rank = mpi->rank,
                      .incarnation = own ? own->incarnation : 0};
    SL_MPI_TRY(MPI_Allgather(&a, sizeof a, MPI_BYTE, all, sizeof a, MPI_BYTE, mpi->host_comm));
    mine[0] = own && neighbours_map(host, all, own, &readable);
    mine[1] = readable;
    /* Also the barrier after which no descriptor is needed. */
    SL_MPI_TRY(MPI_Allreduce(mine, agreed, 2, MPI_INT, MPI_MIN, mpi->host_comm));
    if (fd >= 0)
        close(fd);
    if (agreed[0]) {
        host->readable = agreed[1];
        all_near(host, mpi->count);
        return SL_OK;
    }
    say_why_not(host, own);
    neighbours_unmap(host);
    return SL_OK;
}

sl_err sl_mpi_host_open(sl_mpi_host *host, const sl_mpi *mpi, bool shared) {
    const sl_mpi_facts *self = &mpi->facts[mpi->rank];
    *host = (sl_mpi_host){.count = self->local_size,
                          .self = self->local_rank,
                          .far = mpi->count,
                          .slots = slots_of(mpi->frame_bytes, self->local_size)};
    sl_doorbell_init(&host->alone);
    host->bell = &host->alone;
    host->local_of = malloc(mpi->count * sizeof *host->local_of);
    if (!host->local_of)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the places of %u ranks", mpi->count);
    for (uint32_t i = 0; i < mpi->count; i++)
        host->local_of[i] = SL_MPI_FAR;
    if (!shared)
        return SL_OK;
    host->neighbours = calloc(host->count, sizeof *host->neighbours);
    announcement *all = calloc(host->count, sizeof *all);
    sl_err err =
        host->neighbours && all
            ? share(host, mpi, all)
            : sl_fail(SL_ERR_NO_MEMORY, "no memory for %u ranks of this host", host->count);
    free(all);
    return err;
}

void sl_mpi_host_close(sl_mpi_host *host, bool clean) {
    if (clean)
        neighbours_unmap(host);
    free(host->local_of);
    host->local_of = NULL;
}
