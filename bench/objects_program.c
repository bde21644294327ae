/* What `starlane-bench objects` measures, as a program on the public API: started by mpirun on two
 * ranks, it writes a line for each round to a file: the figure, and its floor.
 *
 *     starlane-bench-objects hand|get|put|spill|back FILE BYTES ROUNDS
 *
 * hand: seconds from sl_get() of an object of the other rank to a pointer to it; get: the same
 * where the bytes are copied, in bytes a second; put: bytes a second of sl_put(); spill: of one for
 * which another has to go to a file, beside FILE; back: of getting that one. */
#include <fcntl.h>
#include <mpi.h>
#include <starlane.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

__attribute__((noreturn)) static void die(const char *what) {
    fprintf(stderr, "starlane-bench-objects: %s: %s\n", what, sl_error_text());
    _exit(1);
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Another each time, in the memory of the one before. */
SL_TASK(make) {
    void *data;
    size_t bytes = (size_t)sl_arg_i64(call, 0);
    sl_object *object = sl_object_create(sl_bytes(NULL, bytes), &data);
    if (!object)
        return sl_call_fail(call, "%s", sl_error_text());
    if (sl_arg_i64(call, 1)) /* its pages need not be there to be handed over */
        memset(data, 7, bytes);
    ((char *)data)[0] = ((char *)data)[bytes - 1] = 7;
    sl_object_seal(object);
    int error = sl_return_object(call, object);
    sl_object_release(object);
    return error;
}

/* A rank that waits inside MPI would take a core from the tasks that it serves. */
static void meet(void) {
    MPI_Request request;
    int done = 0;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    while (MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done)
        usleep(200);
}

/* Of a receive that both ranks are ready for. */
static double receive_s(char *buffer, int bytes) {
    char ready = 0;
    if (sl_rank() == 1) {
        MPI_Recv(&ready, 1, MPI_CHAR, 0, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        MPI_Send(buffer, bytes, MPI_CHAR, 0, 2, MPI_COMM_WORLD);
        return 0;
    }
    double begin_s = now_s();
    MPI_Send(&ready, 1, MPI_CHAR, 1, 1, MPI_COMM_WORLD);
    MPI_Recv(buffer, bytes, MPI_CHAR, 1, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return now_s() - begin_s;
}

/* The name alone has come before. */
static double get_s(sl_future *future, size_t bytes) {
    sl_view view;
    double begin_s = now_s();
    if (sl_get(sl_result_object(future), SL_FOREVER, &view) != 0)
        die("a get");
    double seconds = now_s() - begin_s;
    const char *data = view.value.data;
    if (view.value.bytes != bytes || data[0] != 7 || data[bytes - 1] != 7)
        die("a wrong object");
    sl_view_release(&view);
    sl_release(future);
    return seconds;
}

/* One alone, or, as what is handed over takes no memory, many in a row: else it is the time that
 * loops which have gone to sleep take to wake. */
static void get_some(FILE *out, size_t bytes, int hand, double floor_s) {
    enum { ROW = 32 };
    sl_future *futures[ROW];
    int count = hand ? ROW : 1;
    for (int i = 0; i < count; i++)
        futures[i] = sl_submit(&make, SL_ARGS(sl_i64((int64_t)bytes), sl_i64(!hand)));
    if (sl_wait_all(futures, (size_t)count, SL_FOREVER) != 0)
        die("a task");
    for (int i = 0; i < count; i++) {
        double ours_s = get_s(futures[i], bytes);
        if (hand)
            fprintf(out, "%.9g %.9g\n", ours_s, floor_s);
        else
            fprintf(out, "%.9g %.9g\n", (double)bytes / ours_s, (double)bytes / floor_s);
    }
}

static void compare_gets(FILE *out, size_t bytes, int rounds, int hand) {
    char *buffer = malloc(bytes);
    if (!buffer)
        die("no memory");
    memset(buffer, 1, bytes);
    for (int round = -3; round < rounds; round++) { /* a few to warm up, which are written over */
        meet();
        double floor_s = receive_s(buffer, (int)bytes);
        if (out && round == 0)
            rewind(out);
        if (out)
            get_some(out, bytes, hand, floor_s);
    }
    meet();
    free(buffer);
}

static void compare_puts(FILE *out, size_t bytes, int rounds) {
    char *from = malloc(bytes), *to = malloc(bytes);
    if (!from || !to)
        die("no memory");
    memset(from, 1, bytes);
    memset(to, 1, bytes);
    for (int round = -3; out && round < rounds; round++) {
        double begin_s = now_s();
        sl_object *object = sl_put(sl_bytes(from, bytes));
        double ours_s = now_s() - begin_s;
        if (!object)
            die("a put");
        begin_s = now_s();
        memcpy(to, from, bytes);
        double floor_s = now_s() - begin_s;
        if (to[bytes / 2] != 1)
            die("a copy");
        if (round >= 0)
            fprintf(out, "%.9g %.9g\n", (double)bytes / ours_s, (double)bytes / floor_s);
        sl_object_release(object);
    }
    meet();
    free(from), free(to);
}

/* ---- to a file, and back ---- */

static char directory[4096];

/* Of a file of these bytes, the first time and again. */
static double file_s(int fd, char *data, size_t bytes, int back) {
    double begin_s = now_s();
    for (size_t at = 0; at < bytes;) {
        ssize_t done = back ? pread(fd, data + at, bytes - at, (off_t)at)
                            : pwrite(fd, data + at, bytes - at, (off_t)at);
        if (done <= 0)
            die("a file");
        at += (size_t)done;
    }
    return now_s() - begin_s;
}

static sl_object *put_one(const char *from, size_t bytes) {
    sl_object *object = sl_put(sl_bytes(from, bytes));
    if (!object)
        die("a put");
    return object;
}

static void spill_round(FILE *out, char *from, char *to, size_t bytes, int back) {
    sl_view view;
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        die(directory);
    sl_object *first = put_one(from, bytes);
    double begin_s = now_s();
    sl_object *second = put_one(from, bytes);
    double spill_s = now_s() - begin_s;
    sl_object_release(second);
    begin_s = now_s();
    if (sl_get(first, SL_FOREVER, &view) != 0)
        die("a get");
    double back_s = now_s() - begin_s;
    sl_view_release(&view);
    sl_object_release(first);
    begin_s = now_s();
    memcpy(to, from, bytes);
    double copy_s = now_s() - begin_s;
    double write_s = file_s(fd, to, bytes, 0), read_s = file_s(fd, to, bytes, 1);
    close(fd);
    fprintf(out, "%.9g %.9g\n", (double)bytes / (back ? back_s : spill_s),
            (double)bytes / (back ? read_s : copy_s + write_s));
}

static void compare_spills(FILE *out, size_t bytes, int rounds, int back) {
    char *from = malloc(bytes), *to = malloc(bytes);
    if (!from || !to)
        die("no memory");
    memset(from, 1, bytes);
    memset(to, 1, bytes);
    for (int round = -3; out && round < rounds; round++) {
        if (round == 0)
            rewind(out);
        spill_round(out, from, to, bytes, back);
    }
    meet();
    free(from), free(to);
}

int main(int argc, char **argv) {
    int level;
    if (argc != 5)
        return 2;
    size_t bytes = strtoull(argv[3], NULL, 10);
    int rounds = (int)strtol(argv[4], NULL, 10), hand = strcmp(argv[1], "hand") == 0;
    char room[32]; /* for one and the one before, so that memory is used again; or a row */
    sl_options *options;
    int spills = strcmp(argv[1], "spill") == 0, back = strcmp(argv[1], "back") == 0;
    snprintf(directory, sizeof directory, "%s", argv[2]);
    if (strrchr(directory, '/'))
        *strrchr(directory, '/') = '\0';
    else
        strcpy(directory, ".");
    if (spills || back) /* for one */
        snprintf(room, sizeof room, "%zu", bytes + bytes / 2);
    else
        snprintf(room, sizeof room, "%zu",
                 hand ? 80 * bytes + 65536 : 2 * bytes + bytes / 2 + 65536);
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    if (sl_options_create(&options) != 0 ||
        sl_options_set(options, "cpus", sl_launch_rank() == 0 ? "0" : "1") != 0 ||
        sl_options_set(options, "store-bytes", room) != 0 ||
        sl_options_set(options, "store-share", hand ? "true" : "false") != 0 ||
        ((spills || back) && sl_options_set(options, "store-spill", directory) != 0) ||
        sl_init(NULL, NULL, &(sl_init_options){.options = options, .all_drive = 1}) != 0)
        die("sl_init");
    FILE *out = sl_rank() == 0 ? fopen(argv[2], "w") : NULL;
    if (sl_rank() == 0 && !out)
        die(argv[2]);
    if (strcmp(argv[1], "put") == 0)
        compare_puts(out, bytes, rounds);
    else if (spills || back)
        compare_spills(out, bytes, rounds, back);
    else
        compare_gets(out, bytes, rounds, hand);
    int error = sl_shutdown();
    sl_options_destroy(options);
    MPI_Finalize();
    return (out && fclose(out) != 0) || error;
}
