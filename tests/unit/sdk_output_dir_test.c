/* The output directory: who may have it, and what goes into it. */
#include "sdk/output_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/atomic_file.h"
#include "tests/lib/test.h"

static const char *in_test_dir(const char *name) {
    static char path[4200];
    snprintf(path, sizeof path, "%s/%s", sl_test_dir(), name);
    return path;
}

static sl_err create(const char *name, sl_output_dir *dir) {
    return sl_output_dir_open(in_test_dir(name), SL_OUTPUT_CREATE, 0, dir);
}

static bool exists(const sl_output_dir *dir, const char *name) {
    return faccessat(dir->fd, name, F_OK, 0) == 0;
}

/* Leaves a run's directory called `name`. */
static bool make_run(const char *name) {
    sl_output_dir dir;
    if (create(name, &dir) != SL_OK)
        return false;
    bool made = sl_atomic_write(dir.fd, SL_OUTPUT_LEDGER, "x", 1) == SL_OK;
    sl_output_dir_close(&dir);
    return made;
}

TEST(a_new_directory_with_its_parents) {
    sl_output_dir dir;
    REQUIRE(create("new/deep//run/", &dir) == SL_OK);
    CHECK(dir.path[0] == '/');
    CHECK_CONTAINS(dir.path, "/new/deep/run");
    CHECK(exists(&dir, "stdout") && exists(&dir, "stderr") && exists(&dir, ".starlane-lock"));
    sl_output_dir_close(&dir);
    CHECK_INT(dir.fd, -1);
    sl_output_dir_close(&dir);
    CHECK(access(in_test_dir("new/deep/run/.starlane-lock"), F_OK) != 0);
}

TEST(an_empty_directory_will_do) {
    sl_output_dir dir;
    REQUIRE(mkdir(in_test_dir("empty"), 0755) == 0);
    CHECK_INT(create("empty", &dir), SL_OK);
    sl_output_dir_close(&dir);
}

TEST(a_foreign_directory_is_refused_and_left_alone) {
    sl_output_dir dir;
    REQUIRE(mkdir(in_test_dir("home"), 0755) == 0);
    REQUIRE(mkdir(in_test_dir("home/photos"), 0755) == 0);
    CHECK_INT(create("home", &dir), SL_ERR_EXISTS);
    CHECK_CONTAINS(sl_err_detail(),
                   "/home: is not empty (it holds \"photos\") and not a run of starlane; "
                   "give another --output");
    CHECK(access(in_test_dir("home/stdout"), F_OK) != 0);
    CHECK(access(in_test_dir("home/.starlane-lock"), F_OK) != 0);
}

TEST(a_finished_run_is_not_overwritten) {
    sl_output_dir dir;
    REQUIRE(make_run("finished"));
    CHECK_INT(create("finished", &dir), SL_ERR_EXISTS);
    CHECK_CONTAINS(sl_err_detail(), "holds a run already; finish it with --resume /");
}

TEST(a_file_is_no_directory) {
    sl_output_dir dir;
    int fd = open(in_test_dir("file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    REQUIRE(fd >= 0);
    close(fd);
    CHECK_INT(create("file", &dir), SL_ERR_EXISTS);
    CHECK_CONTAINS(sl_err_detail(), "/file: is not a directory; give another --output");
    CHECK_INT(create("file/below", &dir), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), "cannot be created: Not a directory");
    CHECK_INT(sl_output_dir_open("", SL_OUTPUT_CREATE, 0, &dir), SL_ERR_INVALID);
}

TEST(two_runs_do_not_share) {
    sl_output_dir first, second;
    REQUIRE(create("shared", &first) == SL_OK);
    CHECK_INT(create("shared", &second), SL_ERR_REFUSED);
    char holder[64];
    snprintf(holder, sizeof holder, "process %ld", (long)getpid());
    CHECK_CONTAINS(sl_err_detail(), "/shared: another run uses this directory: host ");
    CHECK_CONTAINS(sl_err_detail(), holder);
    CHECK(exists(&first, ".starlane-lock"));
    REQUIRE(sl_atomic_write(first.fd, SL_OUTPUT_LEDGER, "x", 1) == SL_OK);
    CHECK_INT(sl_output_dir_open(first.path, SL_OUTPUT_RESUME, 0, &second), SL_ERR_REFUSED);
    CHECK_INT(sl_output_dir_open(first.path, SL_OUTPUT_READ, 0, &second), SL_OK);
    sl_output_dir_close(&second);
    CHECK(exists(&first, ".starlane-lock"));
    sl_output_dir_close(&first);
    CHECK_INT(sl_output_dir_open(in_test_dir("shared"), SL_OUTPUT_RESUME, 0, &second), SL_OK);
    sl_output_dir_close(&second);
}

TEST(what_a_killed_run_leaves_is_taken_over) {
    sl_output_dir dir;
    REQUIRE(make_run("killed"));
    int fd = open(in_test_dir("killed/.starlane-lock"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    REQUIRE(fd >= 0 && write(fd, "host gone process 1\n", 20) == 20);
    close(fd);
    CHECK_INT(sl_output_dir_open(in_test_dir("killed"), SL_OUTPUT_RESUME, 0, &dir), SL_OK);
    sl_output_dir_close(&dir);
}

TEST(only_a_run_can_be_resumed) {
    sl_output_dir dir;
    CHECK_INT(sl_output_dir_open(in_test_dir("absent"), SL_OUTPUT_RESUME, 0, &dir),
              SL_ERR_NOT_FOUND);
    CHECK_CONTAINS(sl_err_detail(), "/absent: there is no such directory");
    REQUIRE(mkdir(in_test_dir("other"), 0755) == 0);
    CHECK_INT(sl_output_dir_open(in_test_dir("other"), SL_OUTPUT_RESUME, 0, &dir),
              SL_ERR_NOT_FOUND);
    CHECK_CONTAINS(sl_err_detail(), "/other: holds no run (there is no ledger.db in it)");
    CHECK_INT(sl_output_dir_open(in_test_dir("other"), SL_OUTPUT_READ, 0, &dir), SL_ERR_NOT_FOUND);
}

TEST(a_name_is_made_up_when_none_is_given) {
    sl_output_dir first, second;
    char expected[64], before[4096];
    REQUIRE(getcwd(before, sizeof before) && chdir(sl_test_dir()) == 0);
    setenv("TZ", "UTC", 1);
    CHECK_INT(sl_output_dir_open(NULL, SL_OUTPUT_CREATE, 1795400000.9, &first), SL_OK);
    CHECK_INT(sl_output_dir_open(NULL, SL_OUTPUT_CREATE, 1795400000.9, &second), SL_OK);
    snprintf(expected, sizeof expected, "/starlane-run-20261123-021320-%ld", (long)getpid());
    CHECK_CONTAINS(first.path, expected);
    snprintf(expected, sizeof expected, "/starlane-run-20261123-021320-%ld-2", (long)getpid());
    CHECK_CONTAINS(second.path, expected);
    sl_output_dir_close(&first);
    sl_output_dir_close(&second);
    CHECK_INT(chdir(before), 0);
}

TEST(paths_of_tasks) {
    char path[64], tiny[20];
    CHECK_INT(sl_output_path("/run", SL_OUTPUT_STDERR, "a b.3", path, sizeof path), SL_OK);
    CHECK_STR(path, "/run/stderr/a b.3");
    static const char *const bad[] = {"", ".", "..", "../ledger.db", "a/b", "a\nb"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(sl_output_path("/run", SL_OUTPUT_STDOUT, bad[i], path, sizeof path),
                  SL_ERR_INVALID);
    CHECK_INT(sl_output_path("/run", SL_OUTPUT_STDOUT, "a-long-name", tiny, sizeof tiny),
              SL_ERR_TOO_LARGE);
}

TEST(outputs_are_written_and_read_but_not_through_links) {
    sl_output_dir dir;
    int fd = -1;
    char text[8] = "";
    REQUIRE(create("outputs", &dir) == SL_OK);
    REQUIRE(sl_output_create(&dir, SL_OUTPUT_STDOUT, "t0", &fd) == SL_OK);
    CHECK_INT(write(fd, "hello", 5), 5);
    close(fd);
    REQUIRE(sl_output_open(&dir, SL_OUTPUT_STDOUT, "t0", &fd) == SL_OK);
    CHECK_INT(read(fd, text, sizeof text), 5);
    close(fd);
    CHECK_INT(sl_output_open(&dir, SL_OUTPUT_STDERR, "t0", &fd), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_output_create(&dir, SL_OUTPUT_STDOUT, "../up", &fd), SL_ERR_INVALID);
    CHECK_INT(symlinkat("/etc/passwd", dir.stream_fds[0], "link"), 0);
    CHECK_INT(sl_output_create(&dir, SL_OUTPUT_STDOUT, "link", &fd), SL_ERR_IO);
    CHECK_INT(sl_output_open(&dir, SL_OUTPUT_STDOUT, "link", &fd), SL_ERR_IO);
    sl_output_dir_close(&dir);
}
