#include "runtime/strbuf.h"
#include "tests/lib/test.h"

#include <jansson.h>

TEST(grows_and_stays_a_string) {
    sl_strbuf buf;
    sl_strbuf_init(&buf, 1 << 20);
    CHECK_STR(buf.data, "");
    for (int i = 0; i < 10000; i++)
        sl_strbuf_printf(&buf, "%d,", i % 10);
    CHECK_INT(sl_strbuf_err(&buf), SL_OK);
    CHECK_INT(buf.length, 20000);
    CHECK_INT(strlen(buf.data), 20000);
    CHECK(memcmp(buf.data + 19990, "5,6,7,8,9,", 10) == 0);
    sl_strbuf_fini(&buf);
    CHECK_STR(buf.data, "");
}

TEST(the_bound_holds_and_the_failure_stays) {
    sl_strbuf buf;
    sl_strbuf_init(&buf, 5);
    sl_strbuf_append(&buf, "abc");
    sl_strbuf_append(&buf, "def");
    CHECK_INT(sl_strbuf_err(&buf), SL_ERR_TOO_LARGE);
    CHECK_CONTAINS(sl_err_detail(), "bound of 5 bytes");
    sl_strbuf_append_char(&buf, 'x'); /* would fit, but the text already has a hole */
    CHECK_STR(buf.data, "abc");
    CHECK(sl_strbuf_take(&buf) == NULL);
    sl_strbuf_clear(&buf);
    sl_strbuf_printf(&buf, "%05d", 42);
    CHECK_INT(sl_strbuf_err(&buf), SL_OK);
    CHECK_STR(buf.data, "00042");
    sl_strbuf_fini(&buf);
}

TEST(printing_keeps_to_the_bound) {
    sl_strbuf buf;
    sl_strbuf_init(&buf, 5);
    sl_strbuf_printf(&buf, "%s", "abc");
    sl_strbuf_printf(&buf, "%s", "de"); /* to the bound exactly */
    CHECK_INT(sl_strbuf_err(&buf), SL_OK);
    sl_strbuf_printf(&buf, "%s", "");
    CHECK_INT(sl_strbuf_err(&buf), SL_OK);
    sl_strbuf_printf(&buf, "%d", 6); /* storage has room for it, the bound has not */
    CHECK_INT(sl_strbuf_err(&buf), SL_ERR_TOO_LARGE);
    CHECK_STR(buf.data, "abcde");
    CHECK_INT(buf.length, 5);
    sl_strbuf_fini(&buf);
}

TEST(a_fixed_buffer_never_leaves_its_storage) {
    char storage[9];
    sl_strbuf buf;
    memset(storage, '#', sizeof storage);
    sl_strbuf_init_fixed(&buf, storage, 8);
    sl_strbuf_append(&buf, "1234567");
    CHECK_INT(sl_strbuf_err(&buf), SL_OK);
    CHECK_STR(storage, "1234567");
    sl_strbuf_append_char(&buf, '8');
    CHECK_INT(sl_strbuf_err(&buf), SL_ERR_TOO_LARGE);
    CHECK_STR(storage, "1234567");
    CHECK_INT(storage[8], '#');
    sl_strbuf_fini(&buf);
}

TEST(take_hands_over) {
    sl_strbuf buf;
    sl_strbuf_init(&buf, 100);
    char *nothing = sl_strbuf_take(&buf);
    CHECK_STR(nothing, "");
    free(nothing);
    sl_strbuf_append(&buf, "text");
    char *text = sl_strbuf_take(&buf);
    CHECK_STR(text, "text");
    free(text);
    CHECK_STR(buf.data, "");
    sl_strbuf_fini(&buf);
}

static void check_json(const char *text, const char *expected) {
    sl_strbuf buf;
    sl_strbuf_init(&buf, 1000);
    sl_strbuf_json(&buf, text);
    CHECK_STR(buf.data, expected);
    sl_strbuf_fini(&buf);
}

TEST(json_strings_are_escaped) {
    check_json("plain", "\"plain\"");
    check_json("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
    check_json("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
    check_json("\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"");
    check_json("Zürich \xf0\x9f\x9a\x80", "\"Zürich \xf0\x9f\x9a\x80\"");
    check_json(NULL, "null");
}

TEST(bytes_that_are_not_utf8_are_replaced) {
    check_json("a\xff"
               "b",
               "\"a\xef\xbf\xbd"
               "b\"");
    check_json("\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"");                 /* overlong '/' */
    check_json("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* a surrogate */
    check_json("\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    check_json("\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""); /* cut */
}

/* Every two-byte text, and a NUL inside, must read back in an independent strict parser. */
TEST(any_bytes_make_json_that_parses) {
    sl_strbuf buf;
    sl_strbuf_init(&buf, 1000);
    for (int i = 0; i < 65536; i++) {
        char text[2] = {(char)(i >> 8), (char)i};
        sl_strbuf_clear(&buf);
        sl_strbuf_json_bytes(&buf, text, 2);
        json_error_t error;
        json_t *value = json_loads(buf.data, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        REQUIRE(value != NULL);
        if (!((i >> 8 | i) & 0x80)) {
            CHECK_INT(json_string_length(value), 2);
            CHECK(memcmp(json_string_value(value), text, 2) == 0);
        }
        json_decref(value);
    }
    sl_strbuf_fini(&buf);
}

TEST(json_doubles_read_back) {
    static const double values[] = {0, 1, -1.5, 0.1, 1.0 / 3, 1e300, 5e-324, 123456789.123456789};
    sl_strbuf buf;
    sl_strbuf_init(&buf, 1000);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        sl_strbuf_clear(&buf);
        sl_strbuf_json_double(&buf, values[i]);
        CHECK(strtod(buf.data, NULL) == values[i]);
    }
    sl_strbuf_clear(&buf);
    sl_strbuf_json_double(&buf, 0.1);
    CHECK_STR(buf.data, "0.1");
    sl_strbuf_clear(&buf);
    sl_strbuf_json_double(&buf, (double)INFINITY);
    CHECK_STR(buf.data, "null");
    sl_strbuf_fini(&buf);
}
