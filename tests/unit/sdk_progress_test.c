/* The progress line: what it says at every width, and how often. */
#include "sdk/progress.h"

#include <pty.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "tests/lib/test.h"

static const sl_progress_counts some = {
    .total = 10000, .finished = 1234, .failed = 3, .running = 8};

static void check_line(unsigned width, bool color, const char *expected) {
    sl_strbuf out;
    sl_strbuf_init(&out, 1000);
    sl_progress_line(&out, &some, &(sl_progress_pace){1250.4, 125}, width, color);
    CHECK_STR(out.data, expected);
    sl_strbuf_fini(&out);
}

TEST(the_line_fits_the_terminal) {
    check_line(120, false,
               "[==>                 ] 1234/10000 12%, 8 running, 3 failed, 1.3k/s, eta 2m05s");
    check_line(74, false, "1234/10000 12%, 8 running, 3 failed, 1.3k/s, eta 2m05s");
    check_line(50, false, "1234/10000 12%, 8 running, 3 failed, eta 2m05s");
    check_line(40, false, "1234/10000 12%, 8 running, 3 failed");
    check_line(30, false, "1234/10000 12%, 3 failed");
    check_line(20, false, "1234/10000 12%");
    check_line(8, false, "1234/10");
    check_line(1, false, "");
    check_line(0, false, "");
    check_line(30, true, "1234/10000 12%, \x1b[31m3 failed\x1b[0m");
}

TEST(the_line_is_never_wider_than_told) {
    sl_progress_counts huge = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX, UINT64_MAX};
    for (unsigned width = 1; width < 200; width++) {
        sl_strbuf out;
        sl_strbuf_init(&out, 1000);
        sl_progress_line(&out, &huge, &(sl_progress_pace){1e300, 1e300}, width, false);
        CHECK(out.length < width);
        sl_strbuf_fini(&out);
    }
}

static void check_plain(double rate, double eta, const char *expected) {
    sl_strbuf out;
    sl_strbuf_init(&out, 1000);
    sl_progress_plain(&out, &(sl_progress_counts){8, 8, 0, 0}, &(sl_progress_pace){rate, eta});
    CHECK_STR(out.data, expected);
    sl_strbuf_fini(&out);
}

TEST(rates_and_times) {
    check_plain(-1, -1, "8/8 100%, 0 running, 0 failed, ?/s, eta ?");
    check_plain(0, 0, "8/8 100%, 0 running, 0 failed, 0.0/s, eta 0s");
    check_plain(0.05, 47.4, "8/8 100%, 0 running, 0 failed, 3.0/min, eta 47s");
    check_plain(0.1, 59.6, "8/8 100%, 0 running, 0 failed, 0.1/s, eta 1m00s");
    check_plain(99.4, 3599.7, "8/8 100%, 0 running, 0 failed, 99.4/s, eta 1h00m");
    check_plain(250, 7385, "8/8 100%, 0 running, 0 failed, 250/s, eta 2h03m");
    check_plain(123456, 273600, "8/8 100%, 0 running, 0 failed, 123k/s, eta 3d04h");
    check_plain(1, 1e12, "8/8 100%, 0 running, 0 failed, 1.0/s, eta >999d");
}

/* ---- how often ---- */

#define TENTH (SL_NS_PER_S / 10)

static sl_progress new_progress(FILE *stream) {
    sl_progress progress;
    sl_progress_init(&progress, stream, 0);
    return progress;
}

TEST(plain_lines_come_now_and_then) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    REQUIRE(stream);
    sl_progress progress = new_progress(stream);
    CHECK(!progress.terminal);
    /* 100 tasks, one every 0.1 s: a tenth of them each second */
    for (uint64_t i = 1; i <= 100; i++)
        sl_progress_report(&progress, &(sl_progress_counts){100, i, 0, 1}, i * TENTH);
    unsigned lines = 0;
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    CHECK_INT(lines, 10);
    CHECK(strncmp(text, "10/100 10%, 1 running, 0 failed, 10.0/s, eta 9s\n", 48) == 0);
    CHECK(strchr(text, '\x1b') == NULL && strchr(text, '\r') == NULL);
    size = 0;
    rewind(stream);
    progress = new_progress(stream);
    for (uint64_t i = 1; i <= 250; i++) /* nothing finishes for 25 s */
        sl_progress_report(&progress, &(sl_progress_counts){100, 0, 0, 1}, i * TENTH);
    fflush(stream);
    CHECK_INT(size, 2 * strlen("0/100 0%, 1 running, 0 failed, 0.0/s, eta ?\n"));
    fclose(stream);
    free(text);
}

TEST(a_run_of_a_moment_says_nothing) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    REQUIRE(stream);
    sl_progress progress = new_progress(stream);
    for (uint64_t i = 1; i <= 100; i++)
        sl_progress_report(&progress, &(sl_progress_counts){100, i, 0, 1}, i * SL_NS_PER_MS);
    fclose(stream);
    CHECK_INT(size, 0);
    free(text);
    progress = new_progress(NULL);
    sl_progress_report(&progress, &some, SL_NS_PER_S * 100);
    sl_progress_clear(&progress);
}

TEST(the_rate_is_of_the_last_half_minute) {
    sl_progress progress = new_progress(NULL);
    sl_progress_pace pace = sl_progress_pace_of(&progress, &some, SL_NS_PER_S);
    CHECK_DOUBLE(pace.rate_per_s, -1, 0);
    uint64_t done = 0, now = 0;
    for (int i = 0; i < 1000; i++) /* 100 s at 10 a second */
        sl_progress_report(&progress, &(sl_progress_counts){5000, ++done, 0, 1}, now += TENTH);
    pace = sl_progress_pace_of(&progress, &(sl_progress_counts){5000, done, 0, 1}, now);
    CHECK_DOUBLE(pace.rate_per_s, 10, 0.5);
    CHECK_DOUBLE(pace.eta_s, 400, 20);
    for (int i = 0; i < 500; i++) /* 50 s at 20 a second: the slow start is forgotten */
        sl_progress_report(&progress, &(sl_progress_counts){5000, done += 2, 0, 1}, now += TENTH);
    pace = sl_progress_pace_of(&progress, &(sl_progress_counts){5000, done, 0, 1}, now);
    CHECK_DOUBLE(pace.rate_per_s, 20, 0.5);
}

/* ---- on a terminal ---- */

static void set_environment(const char *term, const char *no_color) {
    setenv("TERM", term, 1);
    if (no_color)
        setenv("NO_COLOR", no_color, 1);
    else
        unsetenv("NO_COLOR");
}

TEST(a_terminal_gets_one_line) {
    int master = -1, slave = -1;
    struct winsize size = {.ws_row = 24, .ws_col = 60};
    REQUIRE(openpty(&master, &slave, NULL, NULL, &size) == 0);
    FILE *stream = fdopen(slave, "w");
    REQUIRE(stream);
    set_environment("dumb", NULL);
    CHECK(!new_progress(stream).terminal);
    set_environment("xterm", "1");
    CHECK(!new_progress(stream).color);
    set_environment("xterm", NULL);
    sl_progress progress = new_progress(stream);
    CHECK(progress.terminal && progress.color);
    for (uint64_t i = 0; i < 1000; i++) /* a second's reports, one a millisecond: five lines */
        sl_progress_report(&progress, &(sl_progress_counts){1000, i, 1, 1}, i * SL_NS_PER_MS);
    sl_progress_clear(&progress);
    sl_progress_clear(&progress);
    fclose(stream);
    char text[4096];
    size_t got = 0;
    for (ssize_t more; (more = read(master, text + got, sizeof text - 1 - got)) > 0;)
        got += (size_t)more; /* ends with EIO once all is read and the other end is closed */
    REQUIRE(got > 4);
    text[got] = '\0';
    unsigned lines = 0;
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\r';
    CHECK_INT(lines, 5 + 1);
    CHECK(strncmp(text, "\r0/1000 0%, 1 running, \x1b[31m1 failed\x1b[0m, ?/s, eta ?\x1b[K", 54) ==
          0);
    CHECK_STR(text + got - 4, "\r\x1b[K");
    CHECK(strchr(text, '\n') == NULL);
    close(master);
}
