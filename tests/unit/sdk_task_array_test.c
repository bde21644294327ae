/* Arrays: --array, --each-line, placeholders, and what members become. */
#include "sdk/task_array.h"

#include "tests/lib/task_lists.h"
#include "tests/lib/test.h"

static void check_indices(const char *text, uint32_t count, const uint32_t *expected) {
    sl_task_array array = {0};
    CHECK_INT(sl_task_array_parse(&array, text, 1000), SL_OK);
    CHECK_INT(array.count, count);
    for (uint32_t i = 0; i < count && i < array.count; i++)
        CHECK_INT(array.indices[i], expected[i]);
    sl_task_array_fini(&array);
}

TEST(array_texts) {
    check_indices("0-3", 4, (const uint32_t[]){0, 1, 2, 3});
    check_indices("0-10:4", 3, (const uint32_t[]){0, 4, 8});
    check_indices("7-9,1,5", 5, (const uint32_t[]){1, 5, 7, 8, 9});
    check_indices("999999999", 1, (const uint32_t[]){999999999});
    static const bad_line bad[] = {
        {"", "\"\" is not an array; give indices and ranges like"},
        {"a", "\"a\" is not an array"},
        {"1,", "is not an array"},
        {"1-", "is not an array"},
        {"1-2:0", "is not an array"},
        {"1 2", "is not an array"},
        {"-1", "is not an array"},
        {"1000000000", "is not an array"},
        {"5-3", "the range 5-3 runs backwards; write 3-5"},
        {"1-3,2", "the index 2 is in the array twice"},
        {"0-1000", "the array has more than 1000 members"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sl_task_array array = {0};
        CHECK(sl_task_array_parse(&array, bad[i].text, 1000) != SL_OK);
        CHECK_CONTAINS(sl_err_detail(), bad[i].message);
        CHECK(array.indices == NULL);
        sl_task_array_fini(&array);
    }
}

static void check_fill(const char *text, bool quote, const char *expected) {
    sl_strbuf out;
    sl_strbuf_init(&out, 1000);
    sl_task_array_fill(&out, text, 7, "it's", quote);
    CHECK_STR(out.data, expected);
    sl_strbuf_fini(&out);
}

TEST(placeholders) {
    check_fill("a {} b {#}.{}", false, "a it's b 7.it's");
    check_fill("cat {}", true, "cat 'it'\\''s'");
    check_fill("{{}} {{#}} ${#} ${} {x} {", false, "{} {#} ${#} ${} {x} {");
    CHECK(!sl_task_array_has_placeholder("${#} {x} {"));
    CHECK(sl_task_array_has_placeholder("x{#}"));
}

TEST(array_members) {
    sl_task_array array = {0};
    sl_err err = sl_task_array_parse(&array, "2-6:2", 100);
    REQUIRE(err == SL_OK);
    sl_task_list *list = list_of_array(
        SL_TASKS_JSON, &array,
        "{\"name\":\"a\",\"command\":[\"echo\",\"same\",\"n{#}\"],\"env\":{\"X\":\"{}\"}}\n"
        "{\"name\":\"b\",\"shell\":\"echo {}\",\"after\":[\"a.{#}\"]}\n"
        "{\"name\":\"c\",\"shell\":\"true\",\"after\":[\"b\"]}",
        &err);
    REQUIRE(err == SL_OK);
    REQUIRE(sl_task_list_count(list) == 9);
    const sl_task_spec *a4 = sl_task_list_at(list, 1), *b6 = sl_task_list_at(list, 5);
    CHECK_STR(a4->name, "a.4");
    CHECK_STR(a4->argv[2], "n4");
    CHECK(a4->argv[1] == sl_task_list_at(list, 0)->argv[1]);
    CHECK_STR(a4->env[0], "X=4");
    CHECK_STR(a4->env[1], "STARLANE_TASK_INDEX=4");
    CHECK(a4->env[2] == NULL);
    CHECK_STR(b6->name, "b.6");
    CHECK_STR(b6->shell, "echo 6");
    CHECK_INT(b6->after_count, 1);
    CHECK_INT(b6->after[0].first, 2);
    CHECK_INT(b6->after[0].count, 1);
    const sl_task_spec *c2 = sl_task_list_at(list, 6);
    CHECK_INT(c2->after_count, 1);
    CHECK_INT(c2->after[0].first, 3);
    CHECK_INT(c2->after[0].count, 3);
    CHECK_INT(sl_task_list_dependency_count(list), 3 + 9);
    sl_task_range range = {0};
    CHECK_INT(sl_task_list_find(list, "b", &range), SL_OK);
    CHECK_INT(range.first, 3);
    CHECK_INT(range.count, 3);
    CHECK_INT(sl_task_list_find(list, "b.2", &range), SL_OK);
    CHECK_INT(range.count, 1);
    CHECK_INT(sl_task_list_find(list, "d", &range), SL_ERR_NOT_FOUND);
    sl_task_list_destroy(list);
    sl_task_array_fini(&array);
}

static const bad_line bad_arrays[] = {
    {"{\"name\":\"a\",\"shell\":\"1\",\"after\":[\"a\"]}", "\"a\" waits for itself"},
    {"{\"name\":\"a\",\"shell\":\"1\",\"after\":[\"a.1\"]}", "\"a.1\" waits for itself"},
    {"{\"name\":\"a\",\"shell\":\"1\",\"after\":[\"a.{#}\"]}", "\"a.0\" waits for itself"},
    {"{\"name\":\"a\",\"shell\":\"1\",\"after\":[\"b.9\"]}", "no task is called \"b.9\""},
    {"{\"name\":\"a\",\"shell\":\"1\"}\n{\"name\":\"a\",\"shell\":\"1\"}",
     "\"a\" is the name of line 1"},
    {"{\"name\":\"a.1\",\"shell\":\"1\"}\n{\"name\":\"a\",\"shell\":\"1\"}",
     "\"a.1\" is the name of line 1"},
    {"{\"name\":\"b\",\"shell\":\"1\"}\n{\"name\":\"a\",\"shell\":\"1\",\"after\":[\"b\",\"b.1\"]}",
     "\"b.1\" is waited for twice"},
    {"{\"name\":\"a\",\"shell\":\"1\",\"after\":[\"b\"]}\n{\"name\":\"b\",\"shell\":\"1\","
     "\"after\":[\"a\"]}",
     "each task waits for the next: a.0 -> b.0 -> a.0;"},
};

TEST(bad_arrays_of_tasks) {
    sl_task_array array = {0};
    CHECK_INT(sl_task_array_parse(&array, "0-2", 100), SL_OK);
    for (size_t i = 0; i < sizeof bad_arrays / sizeof *bad_arrays; i++) {
        sl_err err = SL_OK;
        sl_task_list *list = list_of_array(SL_TASKS_JSON, &array, bad_arrays[i].text, &err);
        CHECK(err == SL_ERR_INVALID || err == SL_ERR_CYCLE);
        CHECK_CONTAINS(first_error(list), bad_arrays[i].message);
        sl_task_list_destroy(list);
    }
    sl_task_array_fini(&array);
}

/* An array that waits for an array costs per member, not per pair: 1.2 thousand million pairs here.
 */
TEST(arrays_after_arrays_stay_small) {
    sl_task_array array = {0};
    CHECK_INT(sl_task_array_parse(&array, "0-19999", 100000), SL_OK);
    sl_err err = SL_OK;
    sl_task_list *list = list_of_array(SL_TASKS_JSON, &array,
                                       "{\"name\":\"a\",\"shell\":\"1\"}\n"
                                       "{\"name\":\"b\",\"shell\":\"1\",\"after\":[\"a\"]}\n"
                                       "{\"name\":\"c\",\"shell\":\"1\",\"after\":[\"a\",\"b\"]}",
                                       &err);
    CHECK_INT(err, SL_OK);
    CHECK_INT(sl_task_list_dependency_count(list), 3ll * 20000 * 20000);
    CHECK(sl_task_list_at(list, 40000)->after == sl_task_list_at(list, 59999)->after);
    CHECK(sl_task_list_memory_bytes(list) < 60000u * 512u);
    sl_task_list_destroy(list);
    sl_task_array_fini(&array);
}

/* ---- lines of a file ---- */

static const char *write_file(const char *name, const char *bytes, size_t size) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", sl_test_dir(), name);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        return NULL;
    return path;
}

TEST(each_line_makes_members) {
    sl_task_array array = {0};
    const char *path = write_file("lines", "one\r\n\ntwo words\nlast", 20);
    REQUIRE(path && sl_task_array_read_lines(&array, path, 100) == SL_OK);
    CHECK_INT(array.count, 4);
    CHECK_INT(sl_task_array_parse(&array, "2-3", 100), SL_OK);
    CHECK_INT(sl_task_array_parse(&array, "2-4", 100), SL_ERR_INVALID);
    CHECK_STR(sl_err_detail(), "the array asks for line 4, but there are 4 lines (from 0)");
    sl_task_list *list = new_list(SL_TASKS_JSON, &array);
    CHECK_INT(sl_task_list_add_command(list, 2, (const char *const[]){"echo", "<{}>"}), SL_OK);
    CHECK_INT(sl_task_list_finish(list), SL_OK);
    REQUIRE(sl_task_list_count(list) == 2);
    const sl_task_spec *task = sl_task_list_at(list, 0);
    CHECK_STR(task->name, "t0.2");
    CHECK_STR(task->argv[1], "<two words>");
    CHECK_STR(task->env[0], "STARLANE_TASK_INDEX=2");
    CHECK_STR(task->env[1], "STARLANE_TASK_LINE=two words");
    sl_task_list_destroy(list);
    sl_task_array_fini(&array);
}

TEST(bad_line_files) {
    sl_task_array array = {0};
    CHECK_INT(sl_task_array_read_lines(&array, write_file("bad", "a\n\xff\n", 4), 100),
              SL_ERR_SYNTAX);
    CHECK_CONTAINS(sl_err_detail(), "bad:2: byte 1 is not valid UTF-8");
    CHECK_INT(sl_task_array_read_lines(&array, write_file("bad", "a\0b\n", 4), 100), SL_ERR_SYNTAX);
    CHECK_CONTAINS(sl_err_detail(), "bad:1: the line contains a NUL byte");
    CHECK_INT(sl_task_array_read_lines(&array, write_file("bad", "a\nb\nc\n", 6), 2),
              SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "bad: has more than 2 lines");
    CHECK_INT(sl_task_array_read_lines(&array, "/nonexistent/file", 2), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), "/nonexistent/file: cannot be opened: No such file");
    CHECK_INT(sl_task_array_parse(&array, "0-3", 100), SL_OK);
    CHECK_INT(sl_task_array_read_lines(&array, write_file("empty", "", 0), 100), SL_ERR_INVALID);
    CHECK_INT(array.count, 4);
    sl_task_array_fini(&array);
}
