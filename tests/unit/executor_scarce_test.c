/* Commands where memory, or the system, fails at every single call on their way: they run, or are
 * refused with a cause; no descriptor and no process stays behind. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/executor/minder.h"
#include "actors/executor/process_wire.h"
#include "tests/lib/scarce.h"
#include "tests/lib/test.h"

enum { CALLS_MOST = 500, LARGE = 40000 /* more than travels in a packet */ };

static const char *const argv[] = {"/bin/sh", "-c", "exit 3", NULL};
static const char *const env[] = {"STARLANE_TEST=1", "HOME", NULL};
static const uint32_t cpus[] = {0};

static sl_process_spec spec(void) {
    return (sl_process_spec){.argv = argv,
                             .env = env,
                             .cwd = "/",
                             .stdin_path = "/dev/null",
                             .cpus = cpus,
                             .cpu_count = 1};
}

/* The lowest descriptor that is free: the same after as before when nothing was left open. */
static int next_fd(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

typedef void attempt(void);

/* Each call of `kinds` fails once. */
static void fail_everywhere(unsigned kinds, attempt *try) {
    unsigned n = 1;
    int before = next_fd();
    for (; n < CALLS_MOST; n++) {
        scarce_begin(kinds, n, false);
        try();
        bool failed = scarce_end();
        CHECK_INT(next_fd(), before);
        CHECK(waitpid(-1, NULL, WNOHANG) <= 0); /* every child was reaped */
        if (!failed)
            break;
    }
    CHECK(n > 1 && n < CALLS_MOST);
}

static void start_and_reap(void) {
    sl_process_home home;
    sl_process process;
    sl_process_result result = {.status = SL_PROCESS_LOST};
    sl_process_spec what = spec();
    sl_err err = sl_process_home_open(&home, environ);
    CHECK(err == SL_OK || ((err == SL_ERR_IO || err == SL_ERR_NO_MEMORY) && sl_err_detail()[0]));
    if (err != SL_OK)
        return;
    if (sl_process_start(&home, &what, -1, &process, &result) == SL_OK) {
        sl_process_reap(&process, &result);
        CHECK_INT(result.status, SL_PROCESS_EXITED);
        CHECK_INT(result.exit_code, 3);
    } else {
        CHECK_INT(result.status, SL_PROCESS_COULD_NOT_START);
        CHECK(result.message[0]);
    }
    sl_process_home_close(&home);
}

TEST(a_command_is_started_or_says_why_not) {
    fail_everywhere(SCARCE_MEMORY, start_and_reap);
    fail_everywhere(SCARCE_SYSTEM, start_and_reap);
}

static void send_and_receive(void) {
    static unsigned char bytes[LARGE];
    int ends[2], stdin_fd = -1;
    unsigned char *got = NULL;
    sl_spawner_request request = {.handle = 1, .order = SL_SPAWNER_RUN, .spec_bytes = LARGE};
    scarce_pause();
    CHECK_INT(sl_spawner_pair(ends), SL_OK);
    scarce_resume();
    sl_err err = sl_spawner_send_request(ends[0], &request, bytes, ends[0]);
    if (err == SL_OK)
        err = sl_spawner_receive_request(ends[1], &request, &got, &stdin_fd);
    CHECK(err == SL_OK || err == SL_ERR_IO || err == SL_ERR_NO_MEMORY || err == SL_ERR_DECODE);
    CHECK((err == SL_OK) == (got != NULL) && (err == SL_OK) == (stdin_fd >= 0));
    free(got);
    if (stdin_fd >= 0)
        close(stdin_fd);
    close(ends[0]), close(ends[1]);
}

TEST(a_large_request_arrives_whole_or_not) {
    fail_everywhere(SCARCE_MEMORY, send_and_receive);
    fail_everywhere(SCARCE_SYSTEM, send_and_receive);
}

static void encode_and_decode(void) {
    sl_process_spec what = spec(), back;
    unsigned char *bytes = NULL;
    void *arrays = NULL;
    size_t size;
    sl_err err = sl_process_spec_encode(&what, &bytes, &size);
    if (err == SL_OK)
        err = sl_process_spec_decode(bytes, size, &back, &arrays);
    CHECK(err == SL_OK || err == SL_ERR_NO_MEMORY);
    if (err == SL_OK)
        CHECK_STR(back.argv[2], "exit 3");
    free(arrays);
    free(bytes);
}

TEST(a_spec_survives_its_way_or_is_refused) {
    fail_everywhere(SCARCE_MEMORY, encode_and_decode);
}

/* ---- a minder: its own thread has memory, who gives it commands has not ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned ends;

static void note(void *context, const sl_process_result *result) {
    (void)context;
    pthread_mutex_lock(&lock);
    ends++;
    CHECK(result->status == SL_PROCESS_EXITED || result->status == SL_PROCESS_CANCELLED ||
          result->status == SL_PROCESS_WITHDRAWN || result->status == SL_PROCESS_COULD_NOT_START);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void await(unsigned count) {
    pthread_mutex_lock(&lock);
    while (ends < count)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void mind(void) {
    sl_minder *minder = NULL;
    sl_minder_handle first = 0, second = 0;
    sl_process_spec what = spec();
    unsigned expected = 0;
    ends = 0;
    sl_err err = sl_minder_create(&(sl_minder_options){.running_max = 4}, &minder);
    CHECK(err == SL_OK || err == SL_ERR_NO_MEMORY || err == SL_ERR_IO);
    if (err != SL_OK)
        return;
    what.stdin_path = NULL;
    what.stdin_data = "hello", what.stdin_bytes = 5;
    err = sl_minder_run(minder, &what, note, NULL, &first);
    CHECK(err == SL_OK || err == SL_ERR_NO_MEMORY || err == SL_ERR_IO);
    expected += err == SL_OK;
    if (err == SL_OK && sl_minder_run_after(minder, first, &what, note, NULL, &second) == SL_OK) {
        expected++;
        sl_minder_recall(minder, second);
        sl_minder_cancel(minder, second);
    }
    scarce_pause();
    await(expected);
    CHECK_INT(ends, expected);
    sl_minder_destroy(minder);
    scarce_resume();
}

TEST(what_a_minder_takes_ends_and_the_rest_is_refused) {
    fail_everywhere(SCARCE_MEMORY, mind);
    fail_everywhere(SCARCE_SYSTEM, mind);
}

TEST(a_minder_refuses_what_makes_no_sense) {
    sl_minder *minder = NULL;
    sl_minder_handle handle;
    sl_process_spec what = spec();
    REQUIRE(sl_minder_create(&(sl_minder_options){.running_max = 4}, &minder) == SL_OK);
    CHECK_INT(sl_minder_run(minder, &what, NULL, NULL, &handle), SL_ERR_INVALID);
    CHECK_INT(sl_minder_run_after(minder, 0, &what, note, NULL, &handle), SL_ERR_INVALID);
    CHECK_INT(sl_minder_run_after(minder, 77, &what, note, NULL, &handle), SL_ERR_NOT_FOUND);
    sl_minder_destroy(minder);
    sl_minder_destroy(NULL);
}

/* ---- where the spawner is ---- */

TEST(a_spawner_that_is_named_is_there_or_told_of) {
    char path[4096], small[8];
    CHECK_INT(sl_minder_find_spawner(path, sizeof path), SL_OK);
    CHECK(setenv("STARLANE_SPAWNER", path, 1) == 0);
    CHECK_INT(sl_minder_find_spawner(path, sizeof path), SL_OK);
    CHECK_INT(sl_minder_find_spawner(small, sizeof small), SL_ERR_UNAVAILABLE);
    CHECK(setenv("STARLANE_SPAWNER", "/no/such/program", 1) == 0);
    CHECK_INT(sl_minder_find_spawner(path, sizeof path), SL_ERR_UNAVAILABLE);
    CHECK_CONTAINS(sl_err_detail(), "STARLANE_SPAWNER names /no/such/program");
    CHECK(setenv("STARLANE_SPAWNER", "", 1) == 0); /* as if it were not set */
    CHECK_INT(sl_minder_find_spawner(path, sizeof path), SL_OK);
    CHECK_INT(sl_minder_find_spawner(small, sizeof small), SL_ERR_UNAVAILABLE);
    CHECK_CONTAINS(sl_err_detail(), "starlane-spawner is neither at");
    unsetenv("STARLANE_SPAWNER");
}

/* Run by hand it says what it is. */
TEST(the_spawner_alone_does_nothing) {
    char path[4096], said[256], bytes[200] = "";
    sl_process_home home;
    sl_process process;
    sl_process_result result;
    CHECK_INT(sl_minder_find_spawner(path, sizeof path), SL_OK);
    snprintf(said, sizeof said, "%s/said", sl_test_dir());
    sl_process_spec alone = {.argv = (const char *const[]){path, NULL}, .stderr_path = said};
    REQUIRE(sl_process_home_open(&home, environ) == SL_OK);
    REQUIRE(sl_process_start(&home, &alone, -1, &process, &result) == SL_OK);
    sl_process_reap(&process, &result);
    sl_process_home_close(&home);
    CHECK_INT(result.exit_code, 2);
    FILE *file = fopen(said, "r");
    REQUIRE(file);
    CHECK(fread(bytes, 1, sizeof bytes - 1, file) > 0);
    fclose(file);
    CHECK_CONTAINS(bytes, "started by Starlane itself");
}
