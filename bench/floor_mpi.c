#include "bench/floor_mpi.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_BYTES = 2 << 20 };
enum { WINDOW = 64, REPETITIONS_MAX = 101, TAG = 20001, ACK_TAG = 20002, RESULT_TAG = 20003 };

typedef struct plan {
    int self, other;
    size_t bytes;
    uint32_t count, window;
    char *buffer;
    MPI_Request *requests;
} plan;

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One repetition. */
typedef void (*step)(plan *p);

static void acknowledge(const plan *p) {
    char byte = 0;
    if (p->self == 1)
        MPI_Send(&byte, 1, MPI_BYTE, 0, ACK_TAG, MPI_COMM_WORLD);
    else
        MPI_Recv(&byte, 1, MPI_BYTE, 1, ACK_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

/* Median time of `run`, by rank 0's clock, told to rank 1. */
static double median_s(plan *p, step run, uint32_t repetitions) {
    double times[REPETITIONS_MAX], median;
    repetitions = repetitions < 1                 ? 1
                  : repetitions > REPETITIONS_MAX ? REPETITIONS_MAX
                                                  : repetitions;
    run(p);
    for (uint32_t i = 0; i < repetitions; i++) {
        acknowledge(p); /* both are here */
        double start = MPI_Wtime();
        run(p);
        times[i] = MPI_Wtime() - start;
    }
    /* cppcheck-suppress uninitvar -- repetitions is 1 or more */
    qsort(times, repetitions, sizeof *times, compare);
    median = times[repetitions / 2];
    if (p->self == 0)
        MPI_Send(&median, 1, MPI_DOUBLE, 1, RESULT_TAG, MPI_COMM_WORLD);
    else
        MPI_Recv(&median, 1, MPI_DOUBLE, 0, RESULT_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return median;
}

/* Large pages where the system has them, as our blobs get: the floor shall be MPI's best. */
static char *buffer_create(size_t bytes) {
    size_t page = bytes >= HUGE_BYTES ? HUGE_BYTES : 4096;
    size_t whole = (bytes + page) / page * page;
    char *buffer = aligned_alloc(page, whole);
    if (buffer && page == HUGE_BYTES)
        (void)madvise(buffer, whole, MADV_HUGEPAGE);
    return buffer;
}

/* False for ranks that only look on, or without memory. */
static int plan_init(plan *p, size_t bytes, uint32_t count, uint32_t window) {
    size_t all = bytes * window; /* MPI forbids receives under way to share memory */
    int ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &p->self);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (p->self > 1 || ranks < 2)
        return 0;
    p->other = 1 - p->self;
    p->bytes = bytes;
    p->count = count;
    p->window = window;
    p->buffer = buffer_create(all);
    p->requests = malloc(window * sizeof(MPI_Request));
    if (p->buffer)
        memset(p->buffer, 1, all);
    return p->buffer && p->requests;
}

static void plan_fini(plan *p) {
    free(p->buffer);
    free(p->requests);
}

static void send_one(const plan *p) {
    MPI_Send(p->buffer, (int)p->bytes, MPI_BYTE, p->other, TAG, MPI_COMM_WORLD);
}

static void receive_one(const plan *p) {
    MPI_Recv(p->buffer, (int)p->bytes, MPI_BYTE, p->other, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

static void run_ping_pong(plan *p) {
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->self == 0)
            send_one(p);
        receive_one(p);
        if (p->self == 1)
            send_one(p);
    }
}

static void run_stream(plan *p) {
    for (uint32_t i = 0; i < p->count; i++)
        p->self == 0 ? send_one(p) : receive_one(p);
    acknowledge(p);
}

static void run_windows(plan *p) {
    for (uint32_t done = 0; done < p->count; done += p->window) {
        for (uint32_t i = 0; i < p->window; i++)
            if (p->self == 0)
                MPI_Isend(p->buffer, (int)p->bytes, MPI_BYTE, 1, TAG, MPI_COMM_WORLD,
                          &p->requests[i]);
            else
                MPI_Irecv(p->buffer + i * p->bytes, (int)p->bytes, MPI_BYTE, 0, TAG, MPI_COMM_WORLD,
                          &p->requests[i]);
        MPI_Waitall((int)p->window, p->requests, MPI_STATUSES_IGNORE);
        acknowledge(p);
    }
}

static double measure_s(step run, size_t bytes, uint32_t count, uint32_t window,
                        uint32_t repetitions) {
    plan p = {0};
    double seconds = 0;
    if (plan_init(&p, bytes, count, window))
        seconds = median_s(&p, run, repetitions);
    plan_fini(&p);
    return seconds;
}

static double per_second(double things, double seconds) {
    return seconds > 0 ? things / seconds : 0;
}

double floor_mpi_latency_s(size_t bytes, uint32_t round_trips, uint32_t repetitions) {
    return measure_s(run_ping_pong, bytes, round_trips, 1, repetitions) / (2.0 * round_trips);
}

double floor_mpi_stream_per_s(size_t bytes, uint32_t messages, uint32_t repetitions) {
    return per_second(messages, measure_s(run_stream, bytes, messages, 1, repetitions));
}

double floor_mpi_window_per_s(size_t bytes, uint32_t messages, uint32_t repetitions) {
    uint32_t whole = (messages + WINDOW - 1) / WINDOW * WINDOW;
    return per_second(whole, measure_s(run_windows, bytes, whole, WINDOW, repetitions));
}

double floor_mpi_bandwidth_bytes_per_s(size_t bytes, uint32_t window, uint32_t windows,
                                       uint32_t repetitions) {
    double seconds = measure_s(run_windows, bytes, window * windows, window, repetitions);
    return per_second((double)bytes * window * windows, seconds);
}
