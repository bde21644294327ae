/* What a run leaves: result lines, summary, joblog, and the files they are in. */
#include "sdk/run_report.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/atomic_file.h"
#include "tests/lib/test.h"

static sl_task_result good_result(void) {
    return (sl_task_result){.name = "a \"quoted\"",
                            .host = "n1",
                            .region = "us-west",
                            .status = SL_RESULT_DONE,
                            .rank = 2,
                            .attempts = 1,
                            .start_s = 1795400098.6264,
                            .end_s = 1795400100.1264,
                            .user_s = 0.25,
                            .sys_s = 0.125,
                            .max_rss_bytes = 123456789012,
                            .stdout_bytes = 9};
}

static int open_test_dir(void) {
    return open(sl_test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static const char *read_file(const char *name) {
    static char bytes[8192];
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", sl_test_dir(), name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, bytes, sizeof bytes - 1) : 0;
    if (fd >= 0)
        close(fd);
    bytes[got > 0 ? got : 0] = '\0';
    return fd >= 0 ? bytes : "(missing)";
}

/* ---- results ---- */

static void check_result(const sl_task_result *result, const char *expected) {
    sl_strbuf out;
    sl_strbuf_init(&out, 4096);
    sl_result_write(&out, result);
    CHECK_INT(sl_strbuf_err(&out), SL_OK);
    CHECK_STR(out.data, expected);
    json_t *object = json_loads(out.data, JSON_REJECT_DUPLICATES, NULL);
    CHECK_INT(json_object_size(object), 13);
    json_decref(object);
    sl_strbuf_fini(&out);
}

TEST(a_result_has_exactly_the_fields_of_record) {
    sl_task_result result = good_result();
    check_result(
        &result,
        "{\"name\":\"a \\\"quoted\\\"\",\"status\":\"done\",\"exit_code\":0,\"signal\":null,"
        "\"attempts\":1,\"rank\":2,\"host\":\"n1\",\"region\":\"us-west\","
        "\"start_s\":1795400098.626400,\"end_s\":1795400100.126400,"
        "\"user_s\":0.250000,\"sys_s\":0.125000,\"max_rss_bytes\":123456789012}\n");
}

TEST(what_is_not_known_is_null) {
    sl_task_result result = {.name = "x", .status = SL_RESULT_SKIPPED, .exit_code = -1, .rank = -1};
    check_result(&result,
                 "{\"name\":\"x\",\"status\":\"skipped\",\"exit_code\":null,\"signal\":null,"
                 "\"attempts\":0,\"rank\":null,\"host\":null,\"region\":null,"
                 "\"start_s\":null,\"end_s\":null,\"user_s\":0.000000,\"sys_s\":0.000000,"
                 "\"max_rss_bytes\":0}\n");
    CHECK_STR(sl_result_status_name(SL_RESULT_CANCELLED), "cancelled");
    CHECK_STR(sl_result_status_name((sl_result_status)77), "unknown");
}

/* ---- joblog ---- */

static void check_joblog(const sl_task_result *result, const char *command, const char *expected) {
    sl_strbuf out;
    sl_strbuf_init(&out, 4096);
    sl_joblog_write(&out, 7, result, command);
    CHECK_INT(sl_strbuf_err(&out), SL_OK);
    CHECK_STR(out.data, expected);
    sl_strbuf_fini(&out);
}

TEST(joblog_lines) {
    sl_task_result result = good_result();
    check_joblog(&result, "echo 'a\tb'",
                 "7\tn1\t1795400098.626\t     1.500\t0\t9\t0\t0\techo 'a\tb'\n");
    result.status = SL_RESULT_FAILED;
    result.exit_code = 3;
    result.host = NULL;
    check_joblog(&result, "x", "7\t:\t1795400098.626\t     1.500\t0\t9\t3\t0\tx\n");
    result.exit_code = -1;
    result.signal = 15;
    check_joblog(&result, "x", "7\t:\t1795400098.626\t     1.500\t0\t9\t0\t15\tx\n");
    result.signal = 0;
    result.exit_code = 0; /* timed out, said 0 on SIGTERM: failed all the same */
    check_joblog(&result, "x", "7\t:\t1795400098.626\t     1.500\t0\t9\t-1\t0\tx\n");
    result.start_s = 0;
    check_joblog(&result, "x", "");
}

TEST(joblog_newlines_become_nul) {
    sl_task_result result = good_result();
    sl_strbuf out;
    sl_strbuf_init(&out, 4096);
    result.host = "a\tb\nc";
    sl_joblog_write(&out, 1, &result, "one\n\ntwo");
    static const char expected[] = "1\ta b c\t1795400098.626\t     1.500\t0\t9\t0\t0\tone\0\0two\n";
    CHECK_INT(out.length, sizeof expected - 1);
    CHECK(out.data && memcmp(out.data, expected, sizeof expected) == 0);
    sl_strbuf_fini(&out);
}

TEST(joblog_file_starts_or_goes_on) {
    char path[4200];
    sl_line_log log;
    snprintf(path, sizeof path, "+%s/joblog", sl_test_dir());
    for (int run = 0; run < 2; run++) {
        REQUIRE(sl_joblog_open(&log, path, NULL) == SL_OK);
        CHECK_INT(sl_line_log_add(&log, "line\n", 5), SL_OK);
        CHECK_INT(sl_line_log_close(&log), SL_OK);
    }
    CHECK_STR(read_file("joblog"), SL_JOBLOG_HEADER "line\nline\n");
    REQUIRE(sl_joblog_open(&log, path + 1, NULL) == SL_OK);
    CHECK_INT(sl_line_log_close(&log), SL_OK);
    CHECK_STR(read_file("joblog"), SL_JOBLOG_HEADER);
    CHECK_INT(sl_joblog_open(&log, "/nonexistent/joblog", NULL), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), "/nonexistent/joblog: cannot be written: No such file");
}

/* ---- summary ---- */

TEST(summary_adds_up) {
    sl_rank_summary ranks[2] = {{.host = "n1", .region = "east", .cores = 2}, {.cores = 4}};
    sl_run_summary summary = {.ranks = ranks,
                              .rank_count = 2,
                              .tasks = 10,
                              .started_s = 1795400000.25,
                              .took_s = 10,
                              .version = "1.2.3",
                              .reason = "interrupted"};
    for (int i = 0; i < 5; i++)
        sl_summary_result(&summary, SL_RESULT_DONE, i < 2);
    sl_summary_result(&summary, SL_RESULT_FAILED, false);
    sl_summary_result(&summary, SL_RESULT_SKIPPED, false);
    sl_summary_attempt(&summary, 0, 1, 1795400001, 1795400006);
    sl_summary_attempt(&summary, 0, 2, 1795400001, 1795400006);
    sl_summary_attempt(&summary, 1, 1, 1795400006, 1795400001); /* a clock set back: no time */
    sl_summary_attempt(&summary, -1, 1, 0, 1);
    sl_summary_attempt(&summary, 2, 1, 0, 1);
    CHECK_DOUBLE(sl_summary_busy_fraction(&summary, 0), 0.75, 1e-12);
    CHECK_DOUBLE(sl_summary_busy_fraction(&summary, 1), 0, 0);
    sl_strbuf out;
    sl_strbuf_init(&out, 4096);
    sl_summary_write(&out, &summary);
    CHECK_STR(
        out.data,
        "{\n  \"version\": \"1.2.3\",\n  \"tasks\": 10,\n  \"done\": 5,\n  \"failed\": 1,\n"
        "  \"cancelled\": 0,\n  \"skipped\": 1,\n  \"unfinished\": 3,\n  \"earlier\": 2,\n"
        "  \"attempts\": 5,\n  \"reason\": \"interrupted\",\n"
        "  \"started\": \"2026-11-23T02:13:20Z\",\n  \"ended\": \"2026-11-23T02:13:30Z\",\n"
        "  \"makespan_s\": 10.000000,\n  \"tasks_per_s\": 0.500,\n  \"ranks\": [\n"
        "    {\"rank\": 0, \"host\": \"n1\", \"region\": \"east\", \"cores\": 2, \"tasks\": 2, "
        "\"busy_fraction\": 0.7500},\n"
        "    {\"rank\": 1, \"host\": null, \"region\": null, \"cores\": 4, \"tasks\": 1, "
        "\"busy_fraction\": 0.0000}\n  ]\n}\n");
    json_t *object = json_loads(out.data, JSON_REJECT_DUPLICATES, NULL);
    CHECK_INT(json_array_size(json_object_get(object, "ranks")), 2);
    json_decref(object);
    sl_strbuf_fini(&out);
}

TEST(summary_of_nothing_is_json_too) {
    sl_run_summary summary = {0};
    sl_strbuf out;
    sl_strbuf_init(&out, 4096);
    sl_summary_write(&out, &summary);
    json_t *object = json_loads(out.data, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json_is_object(object));
    CHECK_DOUBLE(json_number_value(json_object_get(object, "tasks_per_s")), 0, 0);
    json_decref(object);
    sl_strbuf_fini(&out);
}

TEST(summary_file_is_replaced_whole) {
    int dir = open_test_dir();
    REQUIRE(dir >= 0);
    sl_run_summary summary = {.version = "old"};
    CHECK_INT(sl_summary_save(dir, &summary), SL_OK);
    summary.version = "new";
    CHECK_INT(sl_summary_save(dir, &summary), SL_OK);
    CHECK_CONTAINS(read_file("summary.json"), "\"version\": \"new\"");
    CHECK_STR(read_file(".summary.json.new"), "(missing)");
    CHECK_INT(sl_summary_save(-1, &summary), SL_ERR_IO);
    close(dir);
}

TEST(a_failed_write_leaves_the_old_file) {
    int dir = open_test_dir();
    REQUIRE(dir >= 0 && sl_atomic_write(dir, "kept", "old", 3) == SL_OK);
    REQUIRE(mkdirat(dir, ".kept.new", 0700) == 0); /* in the way */
    CHECK_INT(sl_atomic_write(dir, "kept", "new", 3), SL_ERR_IO);
    CHECK_STR(read_file("kept"), "old");
    unlinkat(dir, ".kept.new", AT_REMOVEDIR);
    close(dir);
}

/* ---- line logs ---- */

static uint64_t fake_now_ns;

static uint64_t fake_now(const sl_clock *clock) {
    (void)clock;
    return fake_now_ns;
}

TEST(a_log_replaces_the_old_one_at_once) {
    int dir = open_test_dir();
    sl_line_log log;
    REQUIRE(dir >= 0 && sl_atomic_write(dir, "r.jsonl", "old\ntorn li", 11) == SL_OK);
    REQUIRE(sl_line_log_create(&log, dir, "r.jsonl", 0, NULL) == SL_OK);
    CHECK_INT(sl_line_log_add(&log, "one\n", 4), SL_OK);
    CHECK_STR(read_file("r.jsonl"), "old\ntorn li");
    CHECK_INT(sl_line_log_publish(&log), SL_OK);
    CHECK_STR(read_file("r.jsonl"), "one\n");
    CHECK_STR(read_file("r.jsonl.new"), "(missing)");
    CHECK_INT(sl_line_log_add(&log, "two\n", 4), SL_OK);
    CHECK_STR(read_file("r.jsonl"), "one\ntwo\n"); /* linger 0: written at once */
    CHECK_INT(sl_line_log_close(&log), SL_OK);
    CHECK_INT(sl_line_log_close(&log), SL_OK);
    close(dir);
}

TEST(lines_wait_no_longer_than_told) {
    int dir = open_test_dir();
    const sl_clock clock = {.now_ns = fake_now};
    sl_line_log log;
    fake_now_ns = 1000;
    REQUIRE(dir >= 0 && sl_line_log_create(&log, dir, "lazy", 500, &clock) == SL_OK);
    CHECK_INT(sl_line_log_publish(&log), SL_OK);
    CHECK_INT(sl_line_log_add(&log, "one\n", 4), SL_OK);
    fake_now_ns += 499;
    CHECK_INT(sl_line_log_tick(&log), SL_OK);
    CHECK_STR(read_file("lazy"), "");
    fake_now_ns += 1;
    CHECK_INT(sl_line_log_tick(&log), SL_OK);
    CHECK_STR(read_file("lazy"), "one\n");
    char line[1001];
    memset(line, 'x', sizeof line);
    for (int i = 0; i < 66; i++)
        CHECK_INT(sl_line_log_add(&log, line, 1000), SL_OK);
    CHECK(strlen(read_file("lazy")) > 4); /* a full buffer does not wait */
    CHECK_INT(sl_line_log_close(&log), SL_OK);
    close(dir);
}

TEST(a_log_that_was_not_published_leaves_the_old_file) {
    int dir = open_test_dir();
    sl_line_log log;
    REQUIRE(dir >= 0 && sl_atomic_write(dir, "safe", "old\n", 4) == SL_OK);
    REQUIRE(sl_line_log_create(&log, dir, "safe", 0, NULL) == SL_OK);
    CHECK_INT(sl_line_log_add(&log, "new\n", 4), SL_OK);
    CHECK_STR(read_file("safe"), "old\n"); /* as after a crash here */
    CHECK_INT(sl_line_log_close(&log), SL_OK);
    CHECK_STR(read_file("safe"), "new\n");
    close(dir);
}

TEST(a_full_disk_is_an_error_and_the_lines_are_kept) {
    sl_line_log log;
    REQUIRE(sl_line_log_create(&log, AT_FDCWD, "/dev/full", SL_NS_PER_S * 1000, NULL) == SL_OK);
    CHECK_INT(sl_line_log_add(&log, "line\n", 5), SL_OK);
    CHECK_INT(sl_line_log_flush(&log), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), "/dev/full: cannot be written: No space left");
    CHECK_INT(log.text.length, 5);
    CHECK_INT(sl_line_log_close(&log), SL_ERR_IO);
    CHECK_INT(log.fd, -1);
}
