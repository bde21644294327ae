#include <stdint.h>

#include "actors/executor/functions.h"
#include "tests/lib/test.h"

static sl_err echo(const void *args, size_t args_bytes, sl_task_output *output, void *user) {
    (*(int *)user)++;
    return sl_task_output_write(output, args, args_bytes);
}

static sl_err refuse(const void *args, size_t args_bytes, sl_task_output *output, void *user) {
    (void)args, (void)output, (void)user;
    return sl_fail(SL_ERR_FAILED, "row %zu is not positive", args_bytes);
}

static sl_err silent(const void *args, size_t args_bytes, sl_task_output *output, void *user) {
    (void)args, (void)args_bytes, (void)output, (void)user;
    return SL_ERR_INVALID;
}

static sl_err nonsense(const void *args, size_t args_bytes, sl_task_output *output, void *user) {
    (void)args, (void)args_bytes, (void)output, (void)user;
    return (sl_err)4711;
}

static sl_functions *table_of(const char *const *names, size_t count) {
    sl_functions *functions = NULL;
    if (sl_functions_create(&functions) != SL_OK)
        return NULL;
    for (size_t i = 0; i < count; i++)
        CHECK_INT(sl_functions_register(functions, names[i], refuse, NULL), SL_OK);
    sl_functions_freeze(functions);
    return functions;
}

TEST(ids_and_hash_do_not_depend_on_order) {
    sl_functions *a = table_of((const char *[]){"sum", "map.one", "z:9", "b"}, 4);
    sl_functions *b = table_of((const char *[]){"z:9", "b", "sum", "map.one"}, 4);
    sl_functions *c = table_of((const char *[]){"z:9", "b", "sum", "map.two"}, 4);
    sl_functions *d = table_of((const char *[]){"z:9", "b", "sum", "map.", "one"}, 5);
    REQUIRE(a && b && c && d);
    CHECK(sl_functions_hash(a) == sl_functions_hash(b));
    CHECK(sl_functions_hash(a) != sl_functions_hash(c));
    CHECK(sl_functions_hash(a) != sl_functions_hash(d));
    for (uint32_t id = 0; id < 4; id++) {
        uint32_t found = 99;
        CHECK_STR(sl_functions_name(a, id), sl_functions_name(b, id));
        CHECK_INT(sl_functions_find(b, sl_functions_name(a, id), &found), SL_OK);
        CHECK_INT(found, id);
    }
    CHECK(!sl_functions_name(a, 4));
    sl_functions_destroy(a), sl_functions_destroy(b), sl_functions_destroy(c);
    sl_functions_destroy(d);
}

TEST(calls_reach_the_function_and_its_user) {
    int calls = 0;
    uint32_t id;
    size_t size = 0;
    sl_functions *functions;
    sl_task_output output;
    REQUIRE(sl_functions_create(&functions) == SL_OK);
    CHECK_INT(sl_functions_register(functions, "echo", echo, &calls), SL_OK);
    sl_functions_freeze(functions);
    REQUIRE(sl_functions_find(functions, "echo", &id) == SL_OK);
    sl_task_output_init(&output, 100);
    CHECK_INT(sl_functions_call(functions, id, "hello", 6, &output), SL_OK);
    CHECK_INT(calls, 1);
    char *bytes = sl_task_output_take(&output, &size);
    CHECK_INT(size, 6);
    CHECK_STR(bytes, "hello");
    CHECK(output.data == NULL && output.size_bytes == 0);
    free(bytes);
    sl_functions_destroy(functions);
}

TEST(errors_carry_a_text) {
    uint32_t id = 0;
    sl_functions *functions;
    REQUIRE(sl_functions_create(&functions) == SL_OK);
    CHECK_INT(sl_functions_register(functions, "refuse", refuse, NULL), SL_OK);
    CHECK_INT(sl_functions_register(functions, "silent", silent, NULL), SL_OK);
    CHECK_INT(sl_functions_register(functions, "nonsense", nonsense, NULL), SL_OK);
    CHECK_INT(sl_functions_find(functions, "refuse", &id), SL_ERR_INVALID); /* not frozen */
    sl_functions_freeze(functions);
    CHECK_INT(sl_functions_find(functions, "refuse", &id), SL_OK);
    CHECK_INT(sl_functions_call(functions, id, "", 3, NULL), SL_ERR_FAILED);
    CHECK_STR(sl_err_detail(), "row 3 is not positive");
    CHECK_INT(sl_functions_find(functions, "silent", &id), SL_OK);
    CHECK_INT(sl_functions_call(functions, id, "", 0, NULL), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "silent");
    CHECK_INT(sl_functions_find(functions, "nonsense", &id), SL_OK);
    CHECK_INT(sl_functions_call(functions, id, "", 0, NULL), SL_ERR_FAILED);
    CHECK_CONTAINS(sl_err_detail(), "4711");
    CHECK_INT(sl_functions_call(functions, 3, "", 0, NULL), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_functions_find(functions, "absent", &id), SL_ERR_NOT_FOUND);
    CHECK_CONTAINS(sl_err_detail(), "absent");
    sl_functions_destroy(functions);
}

TEST(registration_is_checked) {
    char longest[SL_FUNCTION_NAME_MAX_BYTES + 2];
    sl_functions *functions;
    REQUIRE(sl_functions_create(&functions) == SL_OK);
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    CHECK_INT(sl_functions_register(functions, longest, refuse, NULL), SL_ERR_INVALID);
    CHECK_INT(sl_functions_register(functions, longest + 1, refuse, NULL), SL_OK);
    CHECK_INT(sl_functions_register(functions, longest + 1, refuse, NULL), SL_ERR_EXISTS);
    CHECK_INT(sl_functions_register(functions, "", refuse, NULL), SL_ERR_INVALID);
    CHECK_INT(sl_functions_register(functions, NULL, refuse, NULL), SL_ERR_INVALID);
    CHECK_INT(sl_functions_register(functions, "a b", refuse, NULL), SL_ERR_INVALID);
    CHECK_INT(sl_functions_register(functions, "a\n", refuse, NULL), SL_ERR_INVALID);
    CHECK_INT(sl_functions_register(functions, "f", NULL, NULL), SL_ERR_INVALID);
    sl_functions_freeze(functions);
    CHECK_INT(sl_functions_register(functions, "late", refuse, NULL), SL_ERR_CLOSED);
    CHECK_INT(sl_functions_count(functions), 1);
    sl_functions_destroy(functions);
}

TEST(many_functions_stay_in_order) {
    char name[32];
    uint32_t id;
    sl_functions *functions;
    REQUIRE(sl_functions_create(&functions) == SL_OK);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "f%03d", i * 7 % 1000);
        CHECK_INT(sl_functions_register(functions, name, refuse, NULL), SL_OK);
    }
    sl_functions_freeze(functions);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "f%03d", i);
        CHECK(sl_functions_find(functions, name, &id) == SL_OK && id == (uint32_t)i);
    }
    sl_functions_destroy(functions);
}

TEST(output_grows_to_its_limit) {
    sl_task_output output;
    size_t size;
    sl_task_output_init(&output, 1000);
    for (int i = 0; i < 1000; i++) {
        char c = (char)i;
        CHECK_INT(sl_task_output_write(&output, &c, 1), SL_OK);
    }
    CHECK_INT(sl_task_output_write(&output, "x", 1), SL_ERR_TOO_LARGE);
    CHECK_INT(sl_task_output_write(&output, "x", SIZE_MAX), SL_ERR_TOO_LARGE);
    CHECK_INT(sl_task_output_write(&output, NULL, 0), SL_OK);
    CHECK_INT(output.size_bytes, 1000);
    for (int i = 0; i < 1000; i++)
        CHECK(output.data[i] == (unsigned char)i);
    sl_task_output_fini(&output);
    CHECK(!sl_task_output_take(&output, &size) && size == 0);
}

TEST(short_output_stays_in_the_room_it_was_given) {
    sl_task_output output;
    unsigned char room[8];
    size_t size;
    sl_task_output_init_in(&output, 1000, room, sizeof room);
    CHECK(!sl_task_output_take(&output, &size) && size == 0);

    sl_task_output_init_in(&output, 1000, room, sizeof room);
    CHECK_INT(sl_task_output_write(&output, "12345678", 8), SL_OK);
    CHECK(sl_task_output_take(&output, &size) == room && size == 8);
    CHECK(memcmp(room, "12345678", 8) == 0);

    sl_task_output_init_in(&output, 1000, room, sizeof room);
    CHECK_INT(sl_task_output_write(&output, "12345678", 8), SL_OK);
    CHECK_INT(sl_task_output_write(&output, "9", 1), SL_OK);
    unsigned char *bytes = sl_task_output_take(&output, &size);
    CHECK(bytes != room && size == 9 && memcmp(bytes, "123456789", 9) == 0);
    free(bytes);

    sl_task_output_init_in(&output, 1000, room, sizeof room);
    CHECK_INT(sl_task_output_write(&output, "123456789", 9), SL_OK);
    sl_task_output_fini(&output);
}

TEST(a_family_takes_names_with_a_slash) {
    int calls = 0;
    uint32_t id;
    sl_functions *functions;
    sl_task_output output;
    REQUIRE(sl_functions_create(&functions) == SL_OK);
    CHECK(!sl_functions_is_family(functions, "a/b")); /* there is none yet */
    CHECK_INT(sl_functions_register(functions, "plain", echo, &calls), SL_OK);
    CHECK_INT(sl_functions_register_family(functions, echo, &calls), SL_OK);
    CHECK_INT(sl_functions_register_family(functions, echo, &calls), SL_ERR_EXISTS);
    CHECK_INT(sl_functions_register(functions, "a/b", echo, &calls), SL_ERR_INVALID);
    sl_functions_freeze(functions);
    CHECK_INT(sl_functions_register_family(functions, echo, &calls), SL_ERR_CLOSED);
    CHECK(sl_functions_is_family(functions, "a/b") && !sl_functions_is_family(functions, "plain"));
    CHECK_INT(sl_functions_find(functions, "a/b", &id), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_functions_count(functions), 1);
    CHECK(sl_functions_may_be_inline(functions, 0) && !sl_functions_may_be_inline(functions, 1));
    CHECK(!sl_functions_name(functions, 1));
    sl_task_output_init(&output, 100);
    CHECK_INT(sl_functions_call(functions, 1, "x", 1, &output), SL_OK);
    CHECK_INT(sl_functions_call(functions, 200, "x", 1, &output), SL_OK);
    CHECK_INT(calls, 2);
    CHECK_INT(output.size_bytes, 2);
    sl_task_output_fini(&output);
    sl_functions_destroy(functions);
}
