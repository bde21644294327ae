/* Values as text for people, and arguments from JSON. */
#include "tests/lib/test.h"

#include <math.h>

#include "sdk/task_text.h"
#include "sdk/value.h"

static void reads(sl_value value, const char *expected) {
    char *text;
    size_t bytes;
    REQUIRE(sl_value_text(&value, &text, &bytes) == 0);
    CHECK_INT(bytes, strlen(expected));
    CHECK_STR(text, expected);
    sl_free(text);
}

TEST(numbers_strings_and_bytes) {
    reads(sl_i64(-7), "-7\n");
    reads(sl_f64(0.1), "0.1\n");
    reads(sl_f64(1.0 / 3), "0.3333333333333333\n");
    reads(sl_f64(1e300), "1e+300\n");
    reads(sl_f64(NAN), "nan\n");
    reads(sl_f64(-INFINITY), "-inf\n");
    reads(sl_f32(0.1f), "0.1\n");
    reads(sl_f32(16777217.0f), "16777216\n");
    reads(sl_string("text"), "text\n");
    reads(sl_string(""), "\n");
    reads(sl_bytes("raw", 3), "raw");
    reads(sl_bytes(NULL, 0), "");
    reads((sl_value){.type = SL_TYPE_NONE}, "");
}

TEST(arrays_of_every_type) {
    reads(sl_vector(SL_I8, ((int8_t[]){-1, 2}), 2), "[-1, 2]\n");
    reads(sl_vector(SL_U8, ((uint8_t[]){255, 2}), 2), "[255, 2]\n");
    reads(sl_vector(SL_I16, ((int16_t[]){-300}), 1), "[-300]\n");
    reads(sl_vector(SL_U16, ((uint16_t[]){65535}), 1), "[65535]\n");
    reads(sl_vector(SL_I32, ((int32_t[]){INT32_MIN}), 1), "[-2147483648]\n");
    reads(sl_vector(SL_U32, ((uint32_t[]){UINT32_MAX}), 1), "[4294967295]\n");
    reads(sl_vector(SL_I64, ((int64_t[]){INT64_MIN}), 1), "[-9223372036854775808]\n");
    reads(sl_vector(SL_U64, ((uint64_t[]){UINT64_MAX}), 1), "[18446744073709551615]\n");
    reads(sl_vector(SL_F16, ((uint16_t[]){0x3c00, 0xc000, 1, 0x7c00}), 4),
          "[1, -2, 5.9604645e-08, inf]\n");
    reads(sl_vector(SL_BF16, ((uint16_t[]){0x3f80, 0xc000}), 2), "[1, -2]\n");
    reads(sl_vector(SL_F32, ((float[]){1.5f}), 1), "[1.5]\n");
    reads(sl_vector(SL_F64, ((double[]){1.5, -2}), 2), "[1.5, -2]\n");
}

TEST(shapes_are_brackets) {
    static const int32_t numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    reads(sl_array(SL_I32, numbers, 2, (size_t[]){2, 3}), "[[0, 1, 2], [3, 4, 5]]\n");
    reads(sl_array(SL_I32, numbers, 3, (size_t[]){2, 3, 2}),
          "[[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]]\n");
    reads(sl_array(SL_I32, numbers, 2, (size_t[]){2, 1}), "[[0], [1]]\n");
    reads(sl_array(SL_I32, numbers, 2, (size_t[]){0, 5}), "[]\n");
    reads(sl_vector(SL_I32, numbers, 0), "[]\n");
    reads(sl_image("\1\2\3", 1, 1, 3), "[[[1, 2, 3]]]\n");
}

TEST(what_has_no_text) {
    char *text;
    size_t bytes;
    sl_value future = {.type = SL_TYPE_FUTURE};
    CHECK_INT(sl_value_text(&future, &text, &bytes), SL_ERR_INVALID);
    CHECK_INT(sl_value_text(NULL, &text, &bytes), SL_ERR_INVALID);
}

/* ---- arguments ---- */

static sl_text_args *args_of(const char *json) {
    sl_value value = sl_string(json);
    sl_text_args *args = NULL;
    CHECK_INT(sl_text_args_read(&value, 1, &args), SL_OK);
    return args;
}

TEST(arguments_are_what_they_look_like) {
    size_t count;
    sl_text_args *args = args_of("[1, 2.0, \"three\", [4, 5], [6, 7.5], null, true, []]");
    REQUIRE(args != NULL);
    const sl_value *values = sl_text_args_values(args, &count);
    REQUIRE(count == 8);
    CHECK(sl_value_is_scalar(&values[0], SL_I64) && *(const int64_t *)values[0].data == 1);
    CHECK(sl_value_is_scalar(&values[1], SL_F64) && *(const double *)values[1].data == 2);
    CHECK(values[2].type == SL_TYPE_STRING && strcmp(values[2].data, "three") == 0);
    CHECK(sl_value_is_array(&values[3], SL_I64) && values[3].shape[0] == 2);
    CHECK_INT(((const int64_t *)values[3].data)[1], 5);
    CHECK(sl_value_is_array(&values[4], SL_F64) && ((const double *)values[4].data)[0] == 6);
    CHECK_INT(values[5].type, SL_TYPE_NONE);
    CHECK_INT(*(const int64_t *)values[6].data, 1);
    CHECK(sl_value_is_array(&values[7], SL_I64) && values[7].shape[0] == 0);
    sl_text_args_free(args);
}

TEST(one_argument_needs_no_brackets) {
    static const char *const one[] = {"7", "\"text\"", "1.5", "null"};
    size_t count;
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) {
        sl_text_args *args = args_of(one[i]);
        REQUIRE(args != NULL);
        sl_text_args_values(args, &count);
        CHECK_INT(count, 1);
        sl_text_args_free(args);
    }
    sl_text_args *none = args_of("[]");
    REQUIRE(none != NULL);
    sl_text_args_values(none, &count);
    CHECK_INT(count, 0);
    sl_text_args_free(none);
}

static void refuses(const char *json, const char *why) {
    sl_value value = sl_string(json);
    sl_text_args *args;
    CHECK_INT(sl_text_args_read(&value, 1, &args), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), why);
}

TEST(arguments_that_are_none) {
    char many[3 * (SL_ARGS_MAX + 1) + 4] = "[1";
    sl_value number = sl_i64(1);
    sl_text_args *args;
    refuses("", "are not JSON");
    refuses("[1, 2", "are not JSON");
    refuses("[1, {\"a\": 2}]", "argument 1: an object");
    refuses("{\"a\": 2}", "argument 0: an object");
    refuses("[[1, \"a\"]]", "argument 0: an array of other than numbers");
    refuses("[[[1], [2]]]", "argument 0: an array of other than numbers");
    CHECK_INT(sl_text_args_read(&number, 1, &args), SL_ERR_DECODE);
    CHECK_INT(sl_text_args_read(&number, 0, &args), SL_ERR_DECODE);
    for (size_t i = 0; i < SL_ARGS_MAX; i++)
        strcpy(many + 2 + 2 * i, ",1");
    strcat(many, "]");
    sl_value value = sl_string(many);
    CHECK_INT(sl_text_args_read(&value, 1, &args), SL_ERR_TOO_LARGE);
}
