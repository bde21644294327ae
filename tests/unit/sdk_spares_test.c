/* Which ranks stand by. */
#include "sdk/network.h"
#include "tests/lib/test.h"

enum { MOST = 16 };

/* `hosts` has a letter for each rank; a capital in `marked` is a spare. */
static void check(const char *hosts, uint32_t spares, const char *marked) {
    uint32_t host[MOST] = {0}, count = (uint32_t)strlen(hosts), expected = 0;
    bool is_spare[MOST];
    for (uint32_t rank = 0; rank < count; rank++)
        host[rank] = (uint32_t)(strchr(hosts, hosts[rank]) - hosts);
    for (uint32_t rank = 0; rank < count; rank++)
        expected += marked[rank] != hosts[rank];
    CHECK_INT(sl_spares_mark(host, count, spares, is_spare), expected);
    for (uint32_t rank = 0; rank < count; rank++)
        CHECK_INT(is_spare[rank], marked[rank] != hosts[rank]);
}

TEST(none) {
    check("aaaa", 0, "aaaa");
}

TEST(the_last_ranks_of_a_host) {
    check("aaaa", 1, "aaaA");
    check("aaaa", 2, "aaAA");
}

TEST(one_host_after_another) {
    check("aaaabbbb", 1, "aaaAbbbb");
    check("aaaabbbb", 2, "aaaAbbbB");
    check("aaaabbbb", 3, "aaAAbbbB");
    check("abababab", 2, "abababAB");
}

TEST(each_host_keeps_one) {
    check("a", 1, "a");
    check("aabbb", 9, "aAbBB");
    check("abcd", 2, "abcd");
    check("abbc", 2, "abBc");
}
