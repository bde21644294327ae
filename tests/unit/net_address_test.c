/* Addresses of gateways as people write them. */
#include "net/address.h"

#include "tests/lib/test.h"

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void check_address(const char *text, const char *host, int port) {
    sl_address address;
    REQUIRE(sl_address_parse(text, &address) == SL_OK);
    CHECK_STR(address.host, host);
    CHECK_INT(address.port, port);
    CHECK(!address.pinned);
}

TEST(hosts_and_ports) {
    check_address("localhost:17", "localhost", 17);
    check_address("login-1.example.org", "login-1.example.org", SL_NET_PORT);
    check_address("127.0.0.1:0", "127.0.0.1", 0);
    check_address("[::1]:65535", "::1", 65535);
    check_address("[fe80::1%eth0]", "fe80::1%eth0", SL_NET_PORT);
    check_address(":80", "", 80);
}

TEST(what_is_no_address_is_told_so) {
    static const char *const wrong[] = {"host:",
                                        "host:65536",
                                        "host:1x",
                                        "[::1",
                                        "[::1]80",
                                        "ho st:1",
                                        "a/b:1",
                                        "[%p]",
                                        "::1",
                                        "host:-1",
                                        "h:99999999999999999999"};
    sl_address address;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sl_err err = sl_address_parse(wrong[i], &address);
        if (err != SL_ERR_SYNTAX)
            sl_test_fail(__FILE__, __LINE__, "%s: %s", wrong[i], sl_err_name(err));
    }
    char longer[400];
    memset(longer, 'a', sizeof longer);
    longer[399] = '\0';
    CHECK_INT(sl_address_parse(longer, &address), SL_ERR_SYNTAX);
}

TEST(a_url_says_what_the_certificate_is) {
    sl_address address;
    char text[SL_FINGERPRINT_TEXT];
    REQUIRE(sl_url_parse("starlane://h.example:1234#sha256:" DIGITS, &address) == SL_OK);
    CHECK(address.pinned && address.fingerprint[1] == 0x11 && address.fingerprint[31] == 0xff);
    CHECK_STR(address.host, "h.example");
    CHECK_INT(address.port, 1234);
    sl_fingerprint_print(address.fingerprint, text);
    CHECK_STR(text, "sha256:" DIGITS);
    REQUIRE(sl_url_parse("starlane://[::1]/", &address) == SL_OK);
    CHECK(!address.pinned);
    CHECK_STR(address.host, "::1");
    CHECK_INT(sl_url_parse("https://h", &address), SL_ERR_SYNTAX);
    CHECK_CONTAINS(sl_err_detail(), "starlane://HOST:PORT#FINGERPRINT");
    CHECK_INT(sl_url_parse("starlane://:1", &address), SL_ERR_SYNTAX);
    CHECK_INT(sl_url_parse("starlane://h#", &address), SL_ERR_SYNTAX);
    CHECK_INT(sl_url_parse("starlane://h#sha256:" DIGITS "0", &address), SL_ERR_SYNTAX);
    CHECK_INT(sl_url_parse("starlane://h#md5:" DIGITS, &address), SL_ERR_SYNTAX);
    sl_endpoint_print("::1", 5, text);
    CHECK_STR(text, "[::1]:5");
}
