#include "runtime/err.h"
#include "tests/lib/test.h"

#include <pthread.h>

TEST(every_code_has_name_and_text) {
    for (int i = 0; i < SL_ERR_COUNT; i++) {
        CHECK(sl_err_name((sl_err)i)[0] >= 'A' && sl_err_name((sl_err)i)[0] <= 'Z');
        CHECK(strlen(sl_err_text((sl_err)i)) > 3);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(sl_err_name((sl_err)i), sl_err_name((sl_err)j)) != 0);
    }
    CHECK_STR(sl_err_text(SL_OK), "success");
    CHECK_STR(sl_err_name(SL_ERR_TIMEOUT), "TIMEOUT");
}

TEST(a_code_out_of_range_is_harmless) {
    CHECK_STR(sl_err_text(SL_ERR_COUNT), "unknown error");
    CHECK_STR(sl_err_name((sl_err)-1), "UNKNOWN");
    CHECK(!sl_err_retryable((sl_err)9999));
}

TEST(retryable_is_what_the_table_says) {
    CHECK(sl_err_retryable(SL_ERR_AGAIN));
    CHECK(!sl_err_retryable(SL_ERR_INVALID));
    CHECK(!sl_err_retryable(SL_OK));
}

TEST(fail_records_the_cause_and_returns_the_code) {
    CHECK_INT(sl_fail(SL_ERR_NOT_FOUND, "no file %s at line %d", "a.txt", 7), SL_ERR_NOT_FOUND);
    CHECK_STR(sl_err_detail(), "no file a.txt at line 7");
}

TEST(a_long_cause_is_cut) {
    char text[4096];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    CHECK_INT(sl_fail(SL_ERR_IO, "%s", text), SL_ERR_IO);
    CHECK_INT(strlen(sl_err_detail()), 1023);
}

static sl_err fails_inside(void) {
    SL_TRY(SL_OK);
    SL_TRY(sl_fail(SL_ERR_DEAD, "inside"));
    return SL_OK;
}

TEST(try_passes_an_error_up) {
    CHECK_INT(fails_inside(), SL_ERR_DEAD);
}

static void *other_thread(void *argument) {
    (void)argument;
    return sl_fail(SL_ERR_IO, "theirs") == SL_ERR_IO ? (void *)sl_err_detail() : NULL;
}

TEST(the_cause_is_per_thread) {
    pthread_t thread;
    CHECK_INT(sl_fail(SL_ERR_IO, "mine"), SL_ERR_IO);
    REQUIRE(pthread_create(&thread, NULL, other_thread, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK_STR(sl_err_detail(), "mine");
}

TEST(a_cause_may_be_part_of_the_next) {
    CHECK_INT(sl_fail(SL_ERR_IO, "disk %d is full", 3), SL_ERR_IO);
    CHECK_INT(sl_fail(SL_ERR_FAILED, "cannot save: %s", sl_err_detail()), SL_ERR_FAILED);
    CHECK_STR(sl_err_detail(), "cannot save: disk 3 is full");
}
