/* Commands handed to spawners: time limits, cancelling, what must not survive. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/executor/minder.h"
#include "runtime/rng.h"
#include "tests/lib/files.h"
#include "tests/lib/test.h"

#define ARGV(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define SHELL(...) ARGV("/bin/sh", "-c", __VA_ARGS__)
#define SECOND     UINT64_C(1000000000)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* Where one command's end is written. */
typedef struct slot {
    sl_process_result result;
    int ends;
} slot;

static void note(void *context, const sl_process_result *result) {
    slot *s = context;
    pthread_mutex_lock(&lock);
    s->result = *result;
    s->ends++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void await(slot *s) {
    pthread_mutex_lock(&lock);
    while (!s->ends)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static sl_minder *minder_of(uint32_t running_max) {
    sl_minder *m = NULL;
    CHECK_INT(sl_minder_create(&(sl_minder_options){.running_max = running_max}, &m), SL_OK);
    return m;
}

/* All its commands share one spawner. */
static sl_minder *minder_of_one_spawner(uint32_t running_max) {
    sl_minder *m = NULL;
    const sl_minder_options options = {.running_max = running_max, .spawners_max = 1};
    CHECK_INT(sl_minder_create(&options, &m), SL_OK);
    return m;
}

static sl_process_result run(sl_minder *m, sl_process_spec spec) {
    slot s = {.result = {.status = SL_PROCESS_LOST}};
    sl_minder_handle handle;
    sl_err err = sl_minder_run(m, &spec, note, &s, &handle);
    CHECK_INT(err, SL_OK);
    if (err == SL_OK)
        await(&s);
    CHECK_INT(s.ends, 1);
    return s.result;
}

/* Waits for a command to write a line with a process's number. */
static pid_t pid_in(const char *path) {
    for (int i = 0; i < 5000; i++) {
        if (strchr(sl_test_content(path), '\n'))
            return (pid_t)atoi(sl_test_content(path));
        usleep(1000);
    }
    return -1;
}

static bool is_alive(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const char *stat = sl_test_content(path);
    return stat[0] && !strstr(stat, ") Z ") && !strstr(stat, ") X ");
}

static bool ends_soon(pid_t pid) {
    for (int i = 0; i < 5000 && is_alive(pid); i++)
        usleep(1000);
    return pid > 1 && !is_alive(pid);
}

TEST(results_come_back) {
    sl_minder *m = minder_of(2);
    REQUIRE(m);
    char *out = sl_test_path("out"), *err = sl_test_path("err");
    sl_process_result r = run(m, (sl_process_spec){.argv = SHELL("cat; echo bad >&2; exit 7"),
                                                   .stdin_data = "given",
                                                   .stdin_bytes = 5,
                                                   .stdout_path = out,
                                                   .stderr_path = err});
    CHECK_INT(r.status, SL_PROCESS_EXITED);
    CHECK_INT(r.exit_code, 7);
    CHECK_STR(sl_test_content(out), "given");
    CHECK_STR(sl_test_content(err), "bad\n");
    CHECK(r.wall_s > 0 && r.end_s >= r.start_s && r.max_rss_bytes > 0);
    r = run(m, (sl_process_spec){.argv = ARGV("/no/such/thing")});
    CHECK_INT(r.status, SL_PROCESS_COULD_NOT_START);
    CHECK_INT(r.exit_code, 127);
    CHECK_CONTAINS(r.message, "/no/such/thing");
    r = run(m, (sl_process_spec){.argv = SHELL("kill -SEGV $$")});
    CHECK_INT(r.status, SL_PROCESS_SIGNALLED);
    CHECK_INT(r.signal, SIGSEGV);
    CHECK_CONTAINS(r.message, "signal 11");
    sl_minder_destroy(m);
}

TEST(large_specs_and_inputs) {
    sl_minder *m = minder_of(1);
    REQUIRE(m);
    size_t size = 1 << 20;
    char *bytes = malloc(size), *argument = malloc(100001), *out = sl_test_path("out");
    memset(bytes, 'i', size);
    memset(argument, 'a', 100000);
    argument[100000] = 0;
    sl_process_result r =
        run(m, (sl_process_spec){.argv = SHELL("wc -c; echo ${#1}", "sh", argument),
                                 .stdin_data = bytes,
                                 .stdin_bytes = size,
                                 .stdout_path = out});
    CHECK_INT(r.exit_code, 0);
    CHECK_STR(sl_test_content(out), "1048576\n100000\n");
    char *huge = malloc((9 << 20) + 1);
    memset(huge, 'h', 9 << 20);
    huge[9 << 20] = 0;
    sl_minder_handle handle;
    CHECK_INT(sl_minder_run(m, &(sl_process_spec){.argv = ARGV("echo", huge)}, note, NULL, &handle),
              SL_ERR_TOO_LARGE);
    free(huge), free(bytes), free(argument);
    sl_minder_destroy(m);
}

TEST(memory_is_the_commands_own) {
    size_t size = 256u << 20;
    char *resident = malloc(size);
    sl_minder *m = minder_of(1);
    REQUIRE(resident && m);
    memset(resident, 1, size);
    sl_process_result r = run(m, (sl_process_spec){.argv = ARGV("true")});
    CHECK(r.max_rss_bytes > 100000 && r.max_rss_bytes < 50000000);
    r = run(m, (sl_process_spec){
                   .argv = ARGV("dd", "if=/dev/zero", "of=/dev/null", "bs=50M", "count=1")});
    CHECK(r.max_rss_bytes >= 50000000 && r.max_rss_bytes < 200000000);
    CHECK(resident[size / 2] == 1);
    free(resident);
    sl_minder_destroy(m);
}

TEST(commands_hold_nothing_of_the_node) {
    sl_minder *m = minder_of(1);
    REQUIRE(m);
    char *out = sl_test_path("out");
    int inherited = dup(0); /* not close-on-exec, as a library of the node may have them */
    sl_process_result r =
        run(m, (sl_process_spec){.argv = SHELL("i=3; while [ $i -lt 256 ]; do"
                                               " [ -e /proc/$$/fd/$i ] && echo $i;"
                                               " i=$((i + 1)); done; exit 0"),
                                 .stdin_data = "x",
                                 .stdin_bytes = 1,
                                 .stdout_path = out});
    CHECK_INT(r.exit_code, 0);
    CHECK_STR(sl_test_content(out), "");
    CHECK(inherited > 2 && inherited < 256);
    close(inherited);
    sl_minder_destroy(m);
}

TEST(timeout_ends_even_who_ignores_sigterm) {
    sl_minder *m = minder_of(3);
    REQUIRE(m);
    sl_process_result r =
        run(m, (sl_process_spec){.argv = SHELL("trap '' TERM; while :; do sleep 0.05; done"),
                                 .timeout_ns = SECOND / 10,
                                 .kill_grace_ns = SECOND / 10});
    CHECK_INT(r.status, SL_PROCESS_TIMED_OUT);
    CHECK_INT(r.signal, SIGKILL);
    CHECK(r.wall_s >= 0.2);
    CHECK_CONTAINS(r.message, "timeout of 0.1 s");
    r = run(m, (sl_process_spec){.argv = SHELL("trap 'exit 5' TERM; while :; do sleep 0.05; done"),
                                 .timeout_ns = SECOND / 10,
                                 .kill_grace_ns = 60 * SECOND});
    CHECK_INT(r.status, SL_PROCESS_TIMED_OUT);
    CHECK_INT(r.exit_code, 5);
    r = run(m, (sl_process_spec){.argv = ARGV("sleep", "300"), .timeout_ns = SECOND / 20});
    CHECK_INT(r.status, SL_PROCESS_TIMED_OUT);
    CHECK_INT(r.signal, SIGKILL); /* no grace */
    r = run(m, (sl_process_spec){.argv = ARGV("true"), .timeout_ns = UINT64_MAX});
    CHECK_INT(r.status, SL_PROCESS_EXITED);
    sl_minder_destroy(m);
}

TEST(a_stopped_command_can_be_timed_out) {
    sl_minder *m = minder_of(1);
    REQUIRE(m);
    sl_process_result r = run(m, (sl_process_spec){.argv = SHELL("kill -STOP $$; sleep 300"),
                                                   .timeout_ns = SECOND / 10,
                                                   .kill_grace_ns = 60 * SECOND});
    CHECK_INT(r.status, SL_PROCESS_TIMED_OUT);
    CHECK_INT(r.signal, SIGTERM);
    sl_minder_destroy(m);
}

TEST(nothing_of_a_command_survives_it) {
    sl_minder *m = minder_of_one_spawner(2);
    REQUIRE(m);
    char *group = sl_test_path("group"), *escaped = sl_test_path("escaped");
    run(m, (sl_process_spec){.argv = SHELL("sleep 300 & echo $!"), .stdout_path = group});
    CHECK(ends_soon(pid_in(group)));
    run(m, (sl_process_spec){.argv = SHELL("sh -c 'sleep 300 & sleep 300 & wait' & echo $!; wait"),
                             .stdout_path = group,
                             .timeout_ns = SECOND / 10,
                             .kill_grace_ns = 60 * SECOND});
    CHECK(ends_soon(pid_in(group)));
    /* A daemon: another session, its parent gone, while another command runs. */
    slot other = {.ends = 0};
    sl_minder_handle handle;
    REQUIRE(sl_minder_run(m, &(sl_process_spec){.argv = ARGV("sleep", "300")}, note, &other,
                          &handle) == SL_OK);
    run(m, (sl_process_spec){.argv = SHELL("setsid sh -c 'echo $$; exec sleep 300' & sleep 0.2"),
                             .stdout_path = escaped});
    CHECK(ends_soon(pid_in(escaped)));
    CHECK_INT(other.ends, 0);
    sl_minder_cancel(m, handle);
    await(&other);
    CHECK_INT(other.result.status, SL_PROCESS_CANCELLED);
    CHECK_INT(other.result.signal, SIGKILL);
    /* A daemon that cleaned its environment too: gone when no command runs. */
    unlink(escaped);
    run(m, (sl_process_spec){
               .argv = SHELL("env -i /usr/bin/setsid /bin/sh -c 'echo $$; exec /bin/sleep 300' &"
                             "sleep 0.2"),
               .stdout_path = escaped});
    CHECK(ends_soon(pid_in(escaped)));
    sl_minder_destroy(m);
}

TEST(daemons_of_running_commands_live) {
    sl_minder *m = minder_of_one_spawner(2);
    REQUIRE(m);
    char *escaped = sl_test_path("escaped");
    unlink(escaped);
    slot s = {.ends = 0};
    sl_minder_handle handle;
    REQUIRE(sl_minder_run(m,
                          &(sl_process_spec){.argv = SHELL("(setsid sh -c 'echo $$; sleep 300' &)"
                                                           "; sleep 300"),
                                             .stdout_path = escaped,
                                             .kill_grace_ns = SECOND},
                          note, &s, &handle) == SL_OK);
    pid_t pid = pid_in(escaped);
    for (int i = 0; i < 5; i++)
        run(m, (sl_process_spec){.argv = ARGV("true")});
    CHECK(is_alive(pid));
    sl_minder_cancel(m, handle);
    await(&s);
    CHECK(ends_soon(pid));
    sl_minder_destroy(m);
}

TEST(cancel_races_with_the_end) {
    enum { ROUNDS = 400, WIDTH = 8 };
    static slot slots[ROUNDS];
    sl_minder_handle handles[ROUNDS];
    sl_minder *m = minder_of(WIDTH);
    int cancelled = 0, exited = 0;
    sl_rng rng;
    sl_rng_seed(&rng, 11);
    REQUIRE(m);
    memset(slots, 0, sizeof slots);
    for (int i = 0; i < ROUNDS; i++) {
        if (i >= WIDTH) {
            usleep((useconds_t)sl_rng_below(&rng, 1500));
            sl_minder_cancel(m, handles[i - WIDTH]);
            await(&slots[i - WIDTH]);
            sl_minder_cancel(m, handles[i - WIDTH]); /* ended: nothing happens */
        }
        REQUIRE(sl_minder_run(m, &(sl_process_spec){.argv = ARGV("/bin/true")}, note, &slots[i],
                              &handles[i]) == SL_OK);
    }
    sl_minder_destroy(m); /* ends the rest */
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_INT(slots[i].ends, 1);
        cancelled += slots[i].result.status == SL_PROCESS_CANCELLED;
        exited += slots[i].result.status == SL_PROCESS_EXITED;
    }
    CHECK_INT(cancelled + exited, ROUNDS);
    CHECK(exited > 0);
}

static struct {
    sl_minder *minder;
    int left, failures;
} chain;

/* Runs the next command from the end of the one before. */
static void next_link(void *context, const sl_process_result *result) {
    sl_minder_handle handle;
    const sl_process_spec spec = {.argv = ARGV("/bin/true")};
    if (result->status != SL_PROCESS_EXITED)
        chain.failures++;
    if (--chain.left == 0 ||
        sl_minder_run(chain.minder, &spec, next_link, context, &handle) != SL_OK)
        note(context, result);
}

TEST(done_may_run_the_next) {
    slot s = {.ends = 0};
    sl_minder_handle handle;
    chain.minder = minder_of(2);
    chain.left = 50;
    REQUIRE(chain.minder);
    REQUIRE(sl_minder_run(chain.minder, &(sl_process_spec){.argv = ARGV("/bin/true")}, next_link,
                          &s, &handle) == SL_OK);
    await(&s);
    CHECK_INT(chain.left, 0);
    CHECK_INT(chain.failures, 0);
    sl_minder_destroy(chain.minder);
}

TEST(more_commands_than_spawners) {
    enum { COUNT = 3 * SL_MINDER_SPAWNERS };
    static slot slots[COUNT];
    sl_minder_handle handle;
    sl_minder *m = minder_of(COUNT);
    REQUIRE(m);
    memset(slots, 0, sizeof slots);
    const sl_process_spec spec = {.argv = SHELL("sleep 300"), .kill_grace_ns = SECOND};
    for (int i = 0; i < COUNT; i++)
        REQUIRE(sl_minder_run(m, &spec, note, &slots[i], &handle) == SL_OK);
    CHECK_INT(sl_minder_run(m, &spec, note, NULL, &handle), SL_ERR_AGAIN);
    CHECK_INT(sl_minder_running(m), COUNT);
    sl_minder_destroy(m);
    for (int i = 0; i < COUNT; i++)
        CHECK(slots[i].ends == 1 && slots[i].result.status == SL_PROCESS_CANCELLED);
}

TEST(a_killed_spawner_loses_its_commands_only) {
    slot s = {.ends = 0};
    sl_minder_handle handle;
    sl_minder *m = minder_of(1);
    char *out = sl_test_path("parent");
    REQUIRE(m);
    const sl_process_spec spec = {.argv = SHELL("echo $PPID; exec sleep 1"), .stdout_path = out};
    unlink(out);
    REQUIRE(sl_minder_run(m, &spec, note, &s, &handle) == SL_OK);
    pid_t spawner = pid_in(out);
    REQUIRE(spawner > 1 && spawner != getpid());
    kill(spawner, SIGKILL);
    await(&s);
    CHECK_INT(s.result.status, SL_PROCESS_LOST);
    CHECK_CONTAINS(s.result.message, "signal 9");
    CHECK_INT(sl_minder_running(m), 0);
    CHECK_INT(run(m, (sl_process_spec){.argv = ARGV("true")}).status, SL_PROCESS_EXITED);
    sl_minder_destroy(m);
}

TEST(nothing_of_a_killed_spawner_goes_on) {
    slot s = {.ends = 0};
    sl_minder_handle handle;
    sl_minder *m = minder_of(1);
    char *parent = sl_test_path("orphans"), script[400];
    REQUIRE(m);
    snprintf(script, sizeof script, "setsid sleep 300 & echo $! > %s; echo $PPID; exec sleep 300",
             parent);
    char *out = sl_test_path("parent");
    const sl_process_spec spec = {.argv = SHELL(script), .stdout_path = out};
    unlink(out), unlink(parent);
    REQUIRE(sl_minder_run(m, &spec, note, &s, &handle) == SL_OK);
    pid_t spawner = pid_in(out), daemon = pid_in(parent);
    REQUIRE(spawner > 1 && daemon > 1);
    kill(spawner, SIGKILL);
    await(&s);
    CHECK_INT(s.result.status, SL_PROCESS_LOST);
    CHECK(!is_alive(daemon)); /* by the time the loss is told */
    sl_minder_destroy(m);
}

/* ---- in a row ---- */

static const char *lines_of(const char *name) {
    return sl_test_content(sl_test_path(name));
}

enum { LINE = 2048 };

/* Appends `word` to the file "row". */
static sl_process_spec say(const char *word, char line[LINE], const char *rest) {
    static const char *argv[4] = {"/bin/sh", "-c"};
    snprintf(line, LINE, "echo %s >> %s; %s", word, sl_test_path("row"), rest);
    argv[2] = line;
    return (sl_process_spec){.argv = argv};
}

TEST(a_row_runs_in_order_and_closes_up) {
    slot slots[5] = {0};
    sl_minder_handle handles[5], other;
    char line[LINE];
    sl_minder *m = minder_of(8);
    REQUIRE(m);
    unlink(sl_test_path("row"));
    sl_process_spec spec = say("a", line, "while ! test -e go; do sleep 0.01; done");
    spec.cwd = sl_test_dir();
    unlink(sl_test_path("go"));
    REQUIRE(sl_minder_run(m, &spec, note, &slots[0], &handles[0]) == SL_OK);
    for (int i = 1; i < 5; i++) {
        spec = say((const char *[]){"", "b", "c", "d", "e"}[i], line, "true");
        CHECK_INT(sl_minder_run_after(m, handles[i - 1], &spec, note, &slots[i], &handles[i]),
                  SL_OK);
    }
    CHECK_INT(sl_minder_run_after(m, handles[0], &spec, note, NULL, &other), SL_ERR_EXISTS);
    sl_minder_cancel(m, handles[2]);
    await(&slots[2]);
    sl_minder_recall(m, handles[1]);
    await(&slots[1]);
    CHECK_INT(slots[2].result.status, SL_PROCESS_CANCELLED);
    CHECK_INT(slots[1].result.status, SL_PROCESS_WITHDRAWN);
    CHECK_INT(sl_minder_run_after(m, handles[1], &spec, note, NULL, &other), SL_ERR_NOT_FOUND);
    CHECK(!slots[3].ends && !slots[4].ends); /* the first still runs */
    fclose(fopen(sl_test_path("go"), "w"));
    await(&slots[4]);
    for (int i = 0; i < 5; i++)
        CHECK_INT(slots[i].ends, 1);
    CHECK_INT(slots[3].result.status, SL_PROCESS_EXITED);
    CHECK_STR(lines_of("row"), "a\nd\ne\n");
    CHECK(slots[3].result.start_s >= slots[0].result.end_s);
    sl_minder_destroy(m);
}

TEST(what_waits_at_a_killed_spawner_never_started) {
    slot slots[3] = {0};
    sl_minder_handle handles[3];
    char line[LINE];
    sl_minder *m = minder_of_one_spawner(8);
    char *out = sl_test_path("parent");
    REQUIRE(m);
    unlink(out), unlink(sl_test_path("row"));
    const sl_process_spec first = {.argv = SHELL("echo $PPID; exec sleep 300"), .stdout_path = out};
    REQUIRE(sl_minder_run(m, &first, note, &slots[0], &handles[0]) == SL_OK);
    for (int i = 1; i < 3; i++) {
        sl_process_spec spec = say("never", line, "true");
        REQUIRE(sl_minder_run_after(m, handles[i - 1], &spec, note, &slots[i], &handles[i]) ==
                SL_OK);
    }
    pid_t spawner = pid_in(out);
    REQUIRE(spawner > 1);
    kill(spawner, SIGKILL);
    for (int i = 0; i < 3; i++)
        await(&slots[i]);
    CHECK_INT(slots[0].result.status, SL_PROCESS_LOST);
    CHECK_INT(slots[1].result.status, SL_PROCESS_WITHDRAWN);
    CHECK_INT(slots[2].result.status, SL_PROCESS_WITHDRAWN);
    CHECK_STR(lines_of("row"), "");
    sl_minder_destroy(m);
}

/* However rows are disturbed, no two of one row overlap, each ends once, and what is said to have
 * exited ran, once. */
TEST(rows_stay_exact_under_disturbance) {
    enum { COUNT = 300 };
    static slot slots[COUNT];
    static sl_minder_handle handles[COUNT];
    char line[LINE], rest[1024];
    sl_rng rng;
    sl_rng_seed(&rng, 5);
    sl_minder *m = minder_of_one_spawner(COUNT);
    REQUIRE(m);
    memset(slots, 0, sizeof slots);
    unlink(sl_test_path("row")), rmdir(sl_test_path("held"));
    for (int i = 0; i < COUNT; i++) {
        char word[16];
        snprintf(word, sizeof word, "%d", i);
        snprintf(rest, sizeof rest, "mkdir %s || echo overlap >> %s; rmdir %s",
                 sl_test_path("held"), sl_test_path("row"), sl_test_path("held"));
        sl_process_spec spec = say(word, line, rest);
        sl_err err = i ? sl_minder_run_after(m, handles[i - 1], &spec, note, &slots[i], &handles[i])
                       : SL_ERR_NOT_FOUND;
        if (err == SL_ERR_NOT_FOUND) { /* the one before has left the row, which may go on */
            for (int j = 0; j < i; j++)
                await(&slots[j]);
            err = sl_minder_run(m, &spec, note, &slots[i], &handles[i]);
        }
        REQUIRE(err == SL_OK);
        uint64_t chance = sl_rng_below(&rng, 6), victim = sl_rng_below(&rng, (uint64_t)i + 1);
        if (chance == 0)
            sl_minder_recall(m, handles[victim]);
        usleep((useconds_t)sl_rng_below(&rng, 1000));
    }
    for (int i = 0; i < COUNT; i++)
        await(&slots[i]);
    const char *row = lines_of("row");
    CHECK(!strstr(row, "overlap"));
    for (int i = 0; i < COUNT; i++) {
        char word[16];
        snprintf(word, sizeof word, "\n%d\n", i);
        bool exited = slots[i].result.status == SL_PROCESS_EXITED;
        CHECK_INT(slots[i].ends, 1);
        CHECK(exited || slots[i].result.status == SL_PROCESS_WITHDRAWN);
        const char *at = strstr(row, i ? word : word + 1);
        CHECK((at != NULL) == exited);
        CHECK(!at || !strstr(at + 1, word));
    }
    sl_minder_destroy(m);
}

TEST(no_spawner_no_minder) {
    sl_minder *m = NULL;
    sl_minder_options options = {.running_max = 1, .spawner_path = "/no/such/spawner"};
    CHECK_INT(sl_minder_create(&options, &m), SL_ERR_UNAVAILABLE);
    CHECK_INT(sl_minder_create(&(sl_minder_options){.running_max = 0}, &m), SL_ERR_INVALID);
    options.spawner_path = "/etc"; /* passes access(), cannot be executed */
    REQUIRE(sl_minder_create(&options, &m) == SL_OK);
    sl_process_result r = run(m, (sl_process_spec){.argv = ARGV("true")});
    CHECK_INT(r.status, SL_PROCESS_COULD_NOT_START);
    CHECK_CONTAINS(r.message, "/etc");
    sl_minder_destroy(m);
    options.spawner_path = "/bin/true"; /* starts, but is none */
    REQUIRE(sl_minder_create(&options, &m) == SL_OK);
    CHECK_INT(run(m, (sl_process_spec){.argv = ARGV("true")}).status, SL_PROCESS_LOST);
    sl_minder_destroy(m);
}

/* This test program is also the node that is killed below: see the environment it is given. */
__attribute__((constructor)) static void be_a_node(void) {
    const char *path = getenv("EXECUTOR_MINDER_TEST_NODE");
    sl_minder *m;
    sl_minder_handle handle;
    slot s = {.ends = 0};
    if (!path)
        return;
    unsetenv("EXECUTOR_MINDER_TEST_NODE");
    const sl_process_spec spec = {
        .argv = SHELL("trap '' TERM HUP INT; setsid sleep 300 & echo $!; sleep 300; sleep 300"),
        .stdout_path = path};
    if (sl_minder_create(&(sl_minder_options){.running_max = 1}, &m) == SL_OK &&
        sl_minder_run(m, &spec, note, &s, &handle) == SL_OK)
        await(&s);
    _exit(1);
}

TEST(commands_die_with_a_killed_node) {
    char self[4096], variable[300], *out = sl_test_path("node"), *argv[] = {self, NULL};
    char *const env[] = {variable, NULL};
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    pid_t node;
    REQUIRE(length > 0);
    self[length] = 0;
    snprintf(variable, sizeof variable, "EXECUTOR_MINDER_TEST_NODE=%s", out);
    REQUIRE(posix_spawn(&node, self, NULL, NULL, argv, env) == 0);
    pid_t daemon_pid = pid_in(out);
    CHECK(is_alive(daemon_pid));
    kill(node, SIGKILL);
    waitpid(node, NULL, 0);
    CHECK(ends_soon(daemon_pid));
}
