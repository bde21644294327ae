/* One command, started and reaped by this program itself. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/executor/environment.h"
#include "actors/executor/process.h"
#include "tests/lib/files.h"
#include "tests/lib/test.h"

#define ARGV(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define SHELL(...) ARGV("/bin/sh", "-c", __VA_ARGS__)

static void write_file(const char *path, const char *text, mode_t mode) {
    FILE *file = fopen(path, "w");
    if (file) {
        fputs(text, file);
        fclose(file);
    }
    CHECK(file && chmod(path, mode) == 0);
}

/* Runs `spec` to its end; its standard output is then in the file "out". */
static sl_process_result run(sl_process_spec spec) {
    sl_process_result result = {.status = SL_PROCESS_LOST};
    sl_process_home home;
    sl_process process;
    int stdin_fd = -1;
    if (!spec.stdout_path)
        spec.stdout_path = sl_test_path("out");
    CHECK_INT(sl_process_home_open(&home, environ), SL_OK);
    CHECK_INT(sl_process_check(&spec), SL_OK);
    if (spec.stdin_data)
        CHECK_INT(sl_process_memory_file(spec.stdin_data, spec.stdin_bytes, &stdin_fd), SL_OK);
    if (sl_process_start(&home, &spec, stdin_fd, &process, &result) == SL_OK)
        sl_process_reap(&process, &result);
    if (stdin_fd >= 0)
        close(stdin_fd);
    sl_process_home_close(&home);
    return result;
}

static const char *output(void) {
    return sl_test_content(sl_test_path("out"));
}

TEST(exit_codes_and_signals) {
    sl_process_result r = run((sl_process_spec){.argv = ARGV("true")});
    CHECK_INT(r.status, SL_PROCESS_EXITED);
    CHECK_INT(r.exit_code, 0);
    r = run((sl_process_spec){.argv = SHELL("exit 42")});
    CHECK_INT(r.status, SL_PROCESS_EXITED);
    CHECK_INT(r.exit_code, 42);
    CHECK_INT(r.signal, 0);
    r = run((sl_process_spec){.argv = SHELL("kill -9 $$")});
    CHECK_INT(r.status, SL_PROCESS_SIGNALLED);
    CHECK_INT(r.exit_code, -1);
    CHECK_INT(r.signal, SIGKILL);
}

TEST(could_not_start) {
    char *plain = sl_test_path("plain"), *script = sl_test_path("script"),
         *lost = sl_test_path("lost");
    write_file(plain, "echo hello\n", 0644);
    write_file(script, "echo hello\n", 0755);
    write_file(lost, "#!/no/such/interpreter\n", 0755);
    const struct {
        const char *program, *cwd, *in, *out;
        int exit_code;
        const char *message;
    } cases[] = {
        {"no-such-command-here", NULL, NULL, NULL, 127, "command not found in PATH"},
        {"/no/such/command", NULL, NULL, NULL, 127, "/no/such/command: command not found"},
        {"", NULL, NULL, NULL, 127, "not found"},
        {plain, NULL, NULL, NULL, 126, "Permission denied"},
        {script, NULL, NULL, NULL, 126, "#!/bin/sh"},
        {lost, NULL, NULL, NULL, 126, "interpreter"},
        {"/tmp", NULL, NULL, NULL, 126, "is a directory"},
        {"true", "/no/such/place", NULL, NULL, 126, "/no/such/place: No such file"},
        {"true", NULL, "/no/such/input", NULL, 126, "/no/such/input: No such file"},
        {"true", NULL, "/tmp", NULL, 126, "not a regular file"},
        {"true", NULL, NULL, "/no/such/output", 126, "/no/such/output: No such file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sl_process_result r = run((sl_process_spec){.argv = ARGV(cases[i].program),
                                                    .cwd = cases[i].cwd,
                                                    .stdin_path = cases[i].in,
                                                    .stdout_path = cases[i].out});
        CHECK_INT(r.status, SL_PROCESS_COULD_NOT_START);
        CHECK_INT(r.exit_code, cases[i].exit_code);
        CHECK_CONTAINS(r.message, cases[i].message);
        CHECK(r.start_s > 1e9 && r.end_s >= r.start_s);
    }
}

TEST(too_long_an_argument_list) {
    char *argument = malloc(3 << 20);
    memset(argument, 'x', 3 << 20);
    argument[(3 << 20) - 1] = 0;
    sl_process_result r = run((sl_process_spec){.argv = ARGV("true", argument)});
    CHECK_INT(r.status, SL_PROCESS_COULD_NOT_START);
    CHECK_INT(r.exit_code, 126);
    CHECK_CONTAINS(r.message, "longer than the system allows");
    free(argument);
}

TEST(a_fifo_is_no_input_and_blocks_nobody) {
    char *fifo = sl_test_path("fifo");
    CHECK_INT(mkfifo(fifo, 0600), 0);
    sl_process_result r = run((sl_process_spec){.argv = ARGV("cat"), .stdin_path = fifo});
    CHECK_INT(r.status, SL_PROCESS_COULD_NOT_START);
    r = run((sl_process_spec){.argv = ARGV("true"), .stdout_path = fifo});
    CHECK_INT(r.status, SL_PROCESS_COULD_NOT_START);
}

TEST(standard_input) {
    run((sl_process_spec){.argv = ARGV("cat"), .stdin_data = "from memory", .stdin_bytes = 11});
    CHECK_STR(output(), "from memory");
    char *file = sl_test_path("in");
    write_file(file, "from a file", 0600);
    run((sl_process_spec){.argv = ARGV("cat"), .stdin_path = file});
    CHECK_STR(output(), "from a file");
    run((sl_process_spec){.argv = ARGV("wc", "-c")});
    CHECK_STR(output(), "0\n");
}

TEST(a_large_standard_input) {
    size_t size = 1 << 20;
    char *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    char *copy = sl_test_path("copy");
    sl_process_result r = run((sl_process_spec){
        .argv = ARGV("cat"), .stdin_data = bytes, .stdin_bytes = size, .stdout_path = copy});
    CHECK_INT(r.exit_code, 0);
    char *back = malloc(size + 1);
    FILE *file = fopen(copy, "r");
    REQUIRE(file);
    CHECK_INT(fread(back, 1, size + 1, file), size);
    CHECK(memcmp(back, bytes, size) == 0);
    fclose(file);
    free(back);
    free(bytes);
}

TEST(output_files) {
    char *out = sl_test_path("o"), *err = sl_test_path("e");
    write_file(out, "something longer from an earlier attempt", 0600);
    run((sl_process_spec){
        .argv = SHELL("echo one; echo two >&2"), .stdout_path = out, .stderr_path = err});
    CHECK_STR(sl_test_content(out), "one\n");
    CHECK_STR(sl_test_content(err), "two\n");
    run((sl_process_spec){.argv = SHELL("echo one; echo two >&2; echo three"),
                          .stdout_path = out,
                          .stderr_path = out});
    CHECK_STR(sl_test_content(out), "one\ntwo\nthree\n");
}

/* What still writes to the file of an earlier attempt writes to none that anybody reads. */
TEST(output_files_anew) {
    char *out = sl_test_path("o"), *link = sl_test_path("l");
    write_file(out, "earlier", 0600);
    FILE *earlier = fopen(out, "r+");
    run((sl_process_spec){.argv = SHELL("echo one"), .stdout_path = out, .outputs_anew = true});
    CHECK(earlier && fputs("and goes on", earlier) >= 0 && fclose(earlier) == 0);
    CHECK_STR(sl_test_content(out), "one\n");
    run((sl_process_spec){.argv = SHELL("echo two; echo three >&2"),
                          .stdout_path = out,
                          .stderr_path = out,
                          .outputs_anew = true});
    CHECK_STR(sl_test_content(out), "two\nthree\n");
    CHECK_INT(symlink(out, link), 0); /* what is no file stays what it is */
    run((sl_process_spec){.argv = SHELL("echo four"), .stdout_path = link, .outputs_anew = true});
    CHECK_STR(sl_test_content(out), "four\n");
    run((sl_process_spec){
        .argv = SHELL("echo five"), .stdout_path = "/dev/null", .outputs_anew = true});
}

TEST(working_directory) {
    char before[4096], after[4096];
    CHECK(getcwd(before, sizeof before) != NULL);
    run((sl_process_spec){.argv = ARGV("pwd"), .cwd = "/usr"});
    CHECK_STR(output(), "/usr\n");
    CHECK(getcwd(after, sizeof after) != NULL);
    CHECK_STR(after, before);
    sl_process_result r = run((sl_process_spec){.argv = ARGV("bin/true"), .cwd = "/usr"});
    CHECK_INT(r.exit_code, 0);
}

TEST(environment_is_set_and_cleaned) {
    setenv("OMPI_COMM_WORLD_RANK", "3", 1);
    setenv("PMIX_RANK", "3", 1);
    setenv("PMI_FD", "9", 1);
    setenv("SLURM_STEP_ID", "0", 1);
    setenv("SLURM_JOB_ID", "77", 1);
    setenv("KEPT", "yes", 1);
    setenv("GONE", "no", 1);
    run((sl_process_spec){
        .argv =
            SHELL("echo ${OMPI_COMM_WORLD_RANK-x} ${PMIX_RANK-x} ${PMI_FD-x} ${SLURM_STEP_ID-x} "
                  "$SLURM_JOB_ID $KEPT ${GONE-x} $NEW $TWICE \"$EMPTY|\""),
        .env = ARGV("NEW=a=b", "GONE", "TWICE=1", "TWICE=2", "EMPTY=")});
    CHECK_STR(output(), "x x x x 77 yes x a=b 2 |\n");
    run((sl_process_spec){.argv = SHELL("echo $OMPI_MCA_btl"), .env = ARGV("OMPI_MCA_btl=self")});
    CHECK_STR(output(), "self\n");
    CHECK_STR(getenv("PMIX_RANK"), "3"); /* this program's own is untouched */
}

TEST(path_is_the_commands_own) {
    char *tool = sl_test_path("sl-test-tool"), path[300];
    write_file(tool, "#!/bin/sh\necho found\n", 0755);
    snprintf(path, sizeof path, "PATH=/no/such:%s", sl_test_dir());
    run((sl_process_spec){.argv = ARGV("sl-test-tool"), .env = ARGV(path)});
    CHECK_STR(output(), "found\n");
    sl_process_result r = run((sl_process_spec){.argv = ARGV("sl-test-tool")});
    CHECK_INT(r.exit_code, 127);
}

TEST(gpus_granted_are_the_gpus_seen) {
    const char *const show[] = {"/bin/sh", "-c", "echo ${CUDA_VISIBLE_DEVICES-unset}", NULL};
    setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3", 1);
    run((sl_process_spec){.argv = show});
    CHECK_STR(output(), "0,1,2,3\n");
    run((sl_process_spec){.argv = show, .cuda_visible_devices = ""});
    CHECK_STR(output(), "\n");
    run((sl_process_spec){.argv = show,
                          .cuda_visible_devices = "GPU-1,GPU-2",
                          .env = ARGV("CUDA_VISIBLE_DEVICES=7")});
    CHECK_STR(output(), "GPU-1,GPU-2\n");
    unsetenv("CUDA_VISIBLE_DEVICES");
}

TEST(runs_on_the_cpus_granted) {
    cpu_set_t before, after;
    REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
    uint32_t cpu = 0;
    for (uint32_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &before))
            cpu = i; /* the last one allowed */
    char expected[64];
    snprintf(expected, sizeof expected, "Cpus_allowed_list:\t%u\n", cpu);
    run((sl_process_spec){.argv = ARGV("grep", "Cpus_allowed_list", "/proc/self/status"),
                          .cpus = &cpu,
                          .cpu_count = 1});
    CHECK_STR(output(), expected);
    REQUIRE(sched_getaffinity(0, sizeof after, &after) == 0);
    CHECK(CPU_EQUAL(&before, &after));
    cpu = SL_PROCESS_CPUS_MAX - 1;
    sl_process_result r =
        run((sl_process_spec){.argv = ARGV("true"), .cpus = &cpu, .cpu_count = 1});
    CHECK_INT(r.status, SL_PROCESS_COULD_NOT_START);
    CHECK_CONTAINS(r.message, "cpu 8191");
}

TEST(signals_are_as_at_login) {
    sigset_t pipe_and_usr1, before;
    sigemptyset(&pipe_and_usr1);
    sigaddset(&pipe_and_usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &pipe_and_usr1, &before);
    signal(SIGPIPE, SIG_IGN);
    run((sl_process_spec){.argv = ARGV("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")});
    const char *ignored = strstr(output(), "SigIgn:");
    CHECK_CONTAINS(output(), "SigBlk:\t0000000000000000\n");
    REQUIRE(ignored);
    /* 32 and 33 are glibc's own: posix_spawn leaves them ignored, threads take them back. */
    CHECK_INT(strtoull(ignored + 7, NULL, 16) & ~(3ull << 31), 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
}

TEST(no_descriptor_leaks) {
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 20; i++)
        run((sl_process_spec){.argv = ARGV(i % 2 ? "true" : "/no/such"), .cwd = "/"});
    int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK_INT(after, before + 1);
    close(before);
    close(after);
}

TEST(leftovers_of_the_group_are_killed) {
    sl_process_result r = run((sl_process_spec){.argv = SHELL("sleep 300 & echo $!")});
    CHECK_INT(r.exit_code, 0);
    pid_t pid = (pid_t)atoi(output());
    REQUIRE(pid > 1);
    int tries = 0;
    while (kill(pid, 0) == 0 && ++tries < 2000) { /* a zombie until its new parent looks */
        waitpid(pid, NULL, WNOHANG);
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        if (strstr(sl_test_content(path), ") Z "))
            break;
        usleep(1000);
    }
    CHECK(tries < 2000);
}

TEST(times_and_memory) {
    sl_process_result r = run((sl_process_spec){
        .argv = SHELL("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 0.05")});
    CHECK_INT(r.exit_code, 0);
    CHECK(r.user_s > 0.001 && r.user_s + r.sys_s < r.wall_s + 0.05);
    CHECK(r.wall_s >= 0.05 && r.wall_s < 60);
    CHECK(r.end_s - r.start_s > 0.04 && r.start_s > 1e9);
    r = run(
        (sl_process_spec){.argv = ARGV("dd", "if=/dev/zero", "of=/dev/null", "bs=50M", "count=1"),
                          .stderr_path = sl_test_path("err")});
    CHECK(r.max_rss_bytes >= 50000000 && r.max_rss_bytes < 400000000);
}

TEST(bad_specs) {
    uint32_t cpu = SL_PROCESS_CPUS_MAX;
    CHECK_INT(sl_process_check(&(sl_process_spec){0}), SL_ERR_INVALID);
    CHECK_INT(sl_process_check(&(sl_process_spec){.argv = (const char *const[]){NULL}}),
              SL_ERR_INVALID);
    CHECK_INT(sl_process_check(&(sl_process_spec){.argv = ARGV("a"), .env = ARGV("=x")}),
              SL_ERR_INVALID);
    CHECK_INT(sl_process_check(&(sl_process_spec){.argv = ARGV("a"), .cpus = &cpu, .cpu_count = 1}),
              SL_ERR_INVALID);
    CHECK_STR(sl_process_status_name(SL_PROCESS_TIMED_OUT), "timed_out");
    CHECK_STR(sl_process_status_name((sl_process_status)99), "unknown");
}
