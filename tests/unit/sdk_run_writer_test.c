/* The thread that writes a run's rows and outputs. */
#include "sdk/run_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/log.h"
#include "tests/lib/files.h"

enum { ROWS = 5000, LINGER_NS = 1000000 };

typedef struct fixture {
    sl_output_dir dir;
    sl_line_log rows;
    sl_run_writer *writer;
    atomic_int told; /* that there is room */
} fixture;

static void count_tell(void *context) {
    atomic_fetch_add((atomic_int *)context, 1);
}

static bool open_in(fixture *f, const char *name, const char *rows) {
    sl_line_log *logs[] = {&f->rows};
    return sl_output_dir_open(sl_test_path(name), SL_OUTPUT_CREATE, 0, &f->dir) == SL_OK &&
           sl_line_log_create(&f->rows, rows ? AT_FDCWD : f->dir.fd, rows ? rows : "rows",
                              LINGER_NS, NULL) == SL_OK &&
           sl_line_log_publish(&f->rows) == SL_OK &&
           sl_run_writer_start(&f->dir, logs, 1, count_tell, &f->told, &f->writer) == SL_OK;
}

static void close_all(fixture *f) {
    sl_run_writer_stop(f->writer);
    CHECK(sl_line_log_close(&f->rows) == SL_OK);
    sl_output_dir_close(&f->dir);
}

static void give_row(fixture *f, uint32_t number) {
    char line[32];
    int length = snprintf(line, sizeof line, "row %06u\n", number);
    CHECK(sl_run_writer_row(f->writer, &f->rows, line, (size_t)length) == SL_OK);
}

static bool row_is(const char *text, uint32_t number) {
    char line[32];
    snprintf(line, sizeof line, "row %06u\n", number);
    return strncmp(text, line, strlen(line)) == 0;
}

TEST(everything_is_written_in_order) {
    fixture f = {.told = 0};
    REQUIRE(open_in(&f, "order", NULL));
    for (uint32_t i = 0; i < ROWS; i++)
        give_row(&f, i);
    CHECK(sl_run_writer_output(f.writer, "answer", "42", 2) == SL_OK);
    CHECK(sl_run_writer_output(f.writer, "nothing", NULL, 0) == SL_OK);
    close_all(&f);
    const char *text = sl_test_content(sl_test_path("order/rows"));
    for (uint32_t i = 0; i < ROWS; i++)
        CHECK(row_is(text + 11 * i, i));
    CHECK_STR(sl_test_content(sl_test_path("order/stdout/answer")), "42");
    struct stat info;
    CHECK(stat(sl_test_path("order/stdout/nothing"), &info) == 0 && info.st_size == 0);
}

/* Rows come to the file without anything else happening. */
TEST(rows_linger_no_longer_than_they_may) {
    fixture f = {.told = 0};
    REQUIRE(open_in(&f, "linger", NULL));
    give_row(&f, 7);
    const char *text = "";
    for (int i = 0; i < 1000 && !*text; i++) {
        usleep(10000);
        text = sl_test_content(sl_test_path("linger/rows"));
    }
    CHECK(row_is(text, 7));
    close_all(&f);
}

/* A disk that takes nothing (a pipe that nobody reads) does not hold up who gives rows. */
TEST(a_slow_disk_holds_up_the_writer_alone) {
    fixture f = {.told = 0};
    char path[256];
    snprintf(path, sizeof path, "%s", sl_test_path("pipe"));
    REQUIRE(mkfifo(path, 0600) == 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    REQUIRE(reader >= 0 && open_in(&f, "slow", path));
    for (uint32_t i = 0; i < 100 * ROWS; i++)
        give_row(&f, i); /* 5 MB, of which the pipe takes 64 KiB */
    char line[11];
    uint32_t seen = 0;
    size_t have = 0;
    while (seen < 100 * ROWS) {
        ssize_t got = read(reader, line + have, sizeof line - have);
        if (got > 0 && (have += (size_t)got) == sizeof line) {
            REQUIRE(memcmp(line, "row ", 4) == 0 && strtoul(line + 4, NULL, 10) == seen);
            seen++;
            have = 0;
        } else if (got < 0) {
            REQUIRE(errno == EAGAIN);
            usleep(1000);
        }
    }
    close_all(&f);
    close(reader);
}

static void read_all(int reader, size_t bytes) {
    static char piece[1 << 16];
    for (size_t have = 0; have < bytes;) {
        ssize_t got = read(reader, piece, sizeof piece);
        if (got > 0)
            have += (size_t)got;
        else
            usleep(1000);
    }
}

/* Nor does it when more waits than should: who gives it is told, and told again when there is room.
 */
TEST(a_full_writer_says_so_and_waits_for_nobody) {
    enum { LARGE = 1 << 20, COUNT = 2 * (int)(SL_RUN_WRITER_MOST_BYTES / LARGE) };
    fixture f = {.told = 0};
    char path[256], *large = malloc(LARGE);
    snprintf(path, sizeof path, "%s", sl_test_path("full"));
    REQUIRE(large && mkfifo(path, 0600) == 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    REQUIRE(reader >= 0 && open_in(&f, "much", path));
    memset(large, 'x', LARGE);
    CHECK(!sl_run_writer_is_full(f.writer));
    for (int i = 0; i < COUNT; i++)
        CHECK(sl_run_writer_row(f.writer, &f.rows, large, LARGE) == SL_OK);
    CHECK(sl_run_writer_is_full(f.writer) && sl_run_writer_is_full(f.writer));
    CHECK_INT(atomic_load(&f.told), 0);
    read_all(reader, (size_t)LARGE * COUNT);
    sl_run_writer_await_room(f.writer);
    while (!atomic_load(&f.told))
        usleep(1000);
    CHECK(!sl_run_writer_is_full(f.writer));
    close_all(&f);
    CHECK_INT(atomic_load(&f.told), 1);
    close(reader);
    free(large);
}

/* An output that has no place is told of, and what comes after it is written. */
TEST(a_failure_stops_nothing) {
    fixture f = {.told = 0};
    FILE *log = tmpfile();
    sl_log_configure(&(sl_log_options){.stream = log, .level = SL_LOG_INFO});
    REQUIRE(open_in(&f, "failure", NULL));
    CHECK(unlinkat(f.dir.fd, "stdout", AT_REMOVEDIR) == 0);
    CHECK(sl_run_writer_output(f.writer, "answer", "42", 2) == SL_OK);
    give_row(&f, 1);
    close_all(&f);
    CHECK(row_is(sl_test_content(sl_test_path("failure/rows")), 1));
    sl_log_configure(&(sl_log_options){.stream = stderr, .level = SL_LOG_INFO});
    char text[1024] = "";
    rewind(log);
    CHECK(fread(text, 1, sizeof text - 1, log) > 0);
    CHECK_CONTAINS(text, "output of task answer is lost");
    fclose(log);
}

/* Who may wait for room is held up, and nothing is lost. */
TEST(what_waits_is_bounded) {
    enum { PIECE = 8 << 20, PIECES = 20 };
    fixture f = {.told = 0};
    REQUIRE(open_in(&f, "bound", NULL));
    char *data = malloc(PIECE), name[PIECES][16];
    memset(data, 'x', PIECE);
    for (int i = 0; i < PIECES; i++) {
        snprintf(name[i], sizeof name[i], "piece%d", i);
        sl_run_writer_await_room(f.writer);
        CHECK(sl_run_writer_output(f.writer, name[i], data, PIECE) == SL_OK);
    }
    free(data);
    close_all(&f);
    for (int i = 0; i < PIECES; i++) {
        char path[400];
        struct stat info;
        snprintf(path, sizeof path, "bound/stdout/%s", name[i]);
        CHECK(stat(sl_test_path(path), &info) == 0 && info.st_size == PIECE);
    }
}
