/* Preloaded into the ranks of an injured network: steps the wall clock of some, slows the disk of
 * some.
 *
 * Which, and by how much, is in a file that the test writes while they run ($CHAOS_INJURY): for
 * each rank the nanoseconds by which its wall clock is off, and those that a sync of a file takes
 * longer; behind them it is counted how often that made a difference. Only the clock that can be
 * set is stepped, and only where a program reads it; a wait until a moment of that clock is not,
 * and nothing of ours waits so. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define IN_PLACE_OF_LIBC __attribute__((visibility("default")))
#define NS_PER_S         1000000000LL

typedef struct injury {
    volatile int64_t clock_off_ns, sync_delay_ns;
    _Atomic int64_t hits;
} injury;

enum { MOST_RANKS = 64 };

static injury none;
static injury *own = &none;

__attribute__((constructor)) static void find(void) {
    const char *path = getenv("CHAOS_INJURY"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    if (!path || !rank || atoi(rank) < 0 || atoi(rank) >= MOST_RANKS)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *memory =
        mmap(NULL, MOST_RANKS * sizeof(injury), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED)
        own = (injury *)memory + atoi(rank);
    if (fd >= 0)
        close(fd);
}

/* The function of that name that this library hides, in `slot`. */
static void *hidden(void **slot, const char *name) {
    if (!*slot)
        *slot = dlsym(RTLD_NEXT, name);
    if (!*slot)
        abort();
    return *slot;
}

IN_PLACE_OF_LIBC int clock_gettime(clockid_t clock, struct timespec *now) {
    static void *real;
    int result =
        ((int (*)(clockid_t, struct timespec *))hidden(&real, "clock_gettime"))(clock, now);
    int64_t off_ns = own->clock_off_ns;
    if (result == 0 && off_ns && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        own->hits++;
        int64_t ns = now->tv_sec * NS_PER_S + now->tv_nsec + off_ns;
        *now = (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    }
    return result;
}

IN_PLACE_OF_LIBC int gettimeofday(struct timeval *now, void *zone) {
    struct timespec precise;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0)
        return -1;
    *now = (struct timeval){.tv_sec = precise.tv_sec, .tv_usec = precise.tv_nsec / 1000};
    return 0;
}

IN_PLACE_OF_LIBC time_t time(time_t *now) {
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0)
        return (time_t)-1;
    if (now)
        *now = precise.tv_sec;
    return precise.tv_sec;
}

static void be_slow(void) {
    int64_t ns = own->sync_delay_ns;
    struct timespec pause = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    if (ns > 0) {
        own->hits++;
        nanosleep(&pause, NULL);
    }
}

IN_PLACE_OF_LIBC int fsync(int fd) {
    static void *real;
    be_slow();
    return ((int (*)(int))hidden(&real, "fsync"))(fd);
}

IN_PLACE_OF_LIBC int fdatasync(int fd) {
    static void *real;
    be_slow();
    return ((int (*)(int))hidden(&real, "fdatasync"))(fd);
}
