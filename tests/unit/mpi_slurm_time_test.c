#include "mpi/slurm_time.h"

#include <time.h>

#include "tests/lib/test.h"

/* An environment of name, value pairs, NULL at the end. */
static const char *from_pairs(void *context, const char *name) {
    for (const char *const *pair = context; *pair; pair += 2)
        if (strcmp(pair[0], name) == 0)
            return pair[1];
    return NULL;
}
#define ENV(...) (&(sl_env){from_pairs, (const char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL}})

static void use_zone(const char *zone) {
    setenv("TZ", zone, 1);
    tzset();
}

TEST(epoch) {
    bool known = false;
    int64_t moment = 0;
    REQUIRE(sl_slurm_time_parse("X", "1767323045", &known, &moment) == SL_OK);
    CHECK(known);
    CHECK_INT(moment, 1767323045);
}

TEST(local_time) {
    bool known = false;
    int64_t moment = 0;
    use_zone("UTC0");
    REQUIRE(sl_slurm_time_parse("X", "2026-01-02T03:04:05", &known, &moment) == SL_OK);
    CHECK(known);
    CHECK_INT(moment, 1767323045);
    use_zone("EST5EDT,M3.2.0,M11.1.0");
    REQUIRE(sl_slurm_time_parse("X", "2026-01-02T03:04:05", &known, &moment) == SL_OK);
    CHECK_INT(moment, 1767323045 + 5 * 3600);
    REQUIRE(sl_slurm_time_parse("X", "2026-07-02T03:04:05", &known, &moment) == SL_OK);
    CHECK_INT(moment, 1782961445 + 4 * 3600);
    use_zone("UTC0");
}

TEST(no_end) {
    static const char *const words[] = {"UNLIMITED", "INFINITE", "N/A", "NONE", "Unknown"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        bool known = true;
        int64_t moment = 1;
        REQUIRE(sl_slurm_time_parse("X", words[i], &known, &moment) == SL_OK);
        CHECK(!known);
        CHECK_INT(moment, 0);
    }
}

TEST(not_a_moment) {
    static const char *const bad[] = {"",
                                      "-5",
                                      "12x",
                                      "1e9",
                                      "2026-02-30T00:00:00",
                                      "2026-13-01T00:00:00",
                                      "2026-01-02",
                                      "9999999999999",
                                      "2026-01-02T24:00:00",
                                      "2026-01-02T03:60:00",
                                      "2026-01-02T03:04:05Z",
                                      "2026-1-2T03:04:05",
                                      "1969-12-31T23:59:59",
                                      "UNLIMITEDX"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bool known = false;
        int64_t moment = 77;
        if (sl_slurm_time_parse("STARLANE_END_TIME", bad[i], &known, &moment) != SL_ERR_SYNTAX)
            sl_test_fail(__FILE__, __LINE__, "\"%s\" was taken for %lld", bad[i],
                         (long long)moment);
        CHECK_INT(moment, 77);
        CHECK_CONTAINS(sl_err_detail(), "STARLANE_END_TIME is ");
    }
}

TEST(who_decides) {
    sl_slurm_time end = {0};
    REQUIRE(sl_slurm_time_of_job(0, 1000, ENV(NULL), &end) == SL_OK);
    CHECK(!end.known);
    CHECK_STR(end.source, "none");
    REQUIRE(sl_slurm_time_of_job(0, 1000, ENV("SLURM_JOB_END_TIME", "5000"), &end) == SL_OK);
    CHECK(end.known);
    CHECK_INT(end.end_unix_s, 5000);
    CHECK_STR(end.source, "SLURM_JOB_END_TIME");
    const sl_env *both = ENV("SLURM_JOB_END_TIME", "5000", "STARLANE_END_TIME", "UNLIMITED");
    REQUIRE(sl_slurm_time_of_job(0, 1000, both, &end) == SL_OK);
    CHECK(!end.known);
    CHECK_STR(end.source, "STARLANE_END_TIME");
    REQUIRE(sl_slurm_time_of_job(120, 1000, both, &end) == SL_OK);
    CHECK(end.known);
    CHECK_INT(end.end_unix_s, 1120);
    CHECK_STR(end.source, "--time-limit");
    end.end_unix_s = 7;
    CHECK(sl_slurm_time_of_job(-1, 1000, both, &end) == SL_ERR_INVALID);
    CHECK(sl_slurm_time_of_job(0, 1000, ENV("STARLANE_END_TIME", "soon"), &end) == SL_ERR_SYNTAX);
    CHECK_INT(end.end_unix_s, 7);
}
