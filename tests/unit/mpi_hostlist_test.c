#include "mpi/hostlist.h"

#include "tests/lib/test.h"

TEST(plain_names) {
    CHECK(sl_hostlist_has("n1", "n1"));
    CHECK(sl_hostlist_has("login,n1,gpu", "gpu"));
    CHECK(!sl_hostlist_has("n10", "n1"));
    CHECK(!sl_hostlist_has("n1", "n10"));
    CHECK(!sl_hostlist_has("", "n1"));
    CHECK(!sl_hostlist_has("n1,", ""));
}

TEST(ranges) {
    const char *list = "n[1-4,7],r[0-1]n[01-16],x[3]y";
    CHECK(sl_hostlist_has(list, "n1"));
    CHECK(sl_hostlist_has(list, "n4"));
    CHECK(!sl_hostlist_has(list, "n5"));
    CHECK(sl_hostlist_has(list, "n7"));
    CHECK(sl_hostlist_has(list, "r1n16"));
    CHECK(sl_hostlist_has(list, "r0n07"));
    CHECK(!sl_hostlist_has(list, "r2n01"));
    CHECK(!sl_hostlist_has(list, "r0n17"));
    CHECK(sl_hostlist_has(list, "x3y"));
    CHECK(!sl_hostlist_has(list, "x3"));
}

TEST(leading_zeros_count) {
    CHECK(!sl_hostlist_has("n[01-16]", "n7"));
    CHECK(!sl_hostlist_has("n[1-16]", "n07"));
    CHECK(sl_hostlist_has("n[08-120]", "n100"));
    CHECK(!sl_hostlist_has("n[08-120]", "n0100"));
    CHECK(sl_hostlist_has("n[0-3]", "n0"));
    CHECK(sl_hostlist_has("n[000-100]", "n000"));
}

TEST(digits_after_a_bracket) {
    CHECK(sl_hostlist_has("n[1-12]3", "n13"));
    CHECK(sl_hostlist_has("n[1-12]3", "n123"));
    CHECK(!sl_hostlist_has("n[1-12]3", "n133"));
}

TEST(malformed_lists_match_nothing) {
    CHECK(!sl_hostlist_has("n[1-4", "n1"));
    CHECK(!sl_hostlist_has("n[]", "n"));
    CHECK(!sl_hostlist_has("n[a-b]", "na"));
    CHECK(!sl_hostlist_has("n[-4]", "n4"));
    CHECK(!sl_hostlist_has("n[1-]", "n1"));
    CHECK(!sl_hostlist_has("n[1x2]", "n2"));
    CHECK(!sl_hostlist_has("n[9999999999]", "n9999999999"));
    CHECK(sl_hostlist_has("n[1x2],ok", "ok"));
}

TEST(hostile_lists_end_soon) {
    char list[4096] = "", host[400];
    for (int i = 0; i < 200; i++)
        strcat(list, "n[0-9,00-99,1-9]");
    memset(host, '1', sizeof host - 1);
    host[0] = 'n';
    host[sizeof host - 1] = '\0';
    CHECK(!sl_hostlist_has(list, host));
    host[200] = '\0';
    CHECK(!sl_hostlist_has(list, host));
    CHECK(sl_hostlist_has("n[0-999999999]", "n123456789"));
}
