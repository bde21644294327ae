/* Reading lines: any cut of the bytes, any length, strict UTF-8. */
#include <unistd.h>

#include "sdk/line_reader.h"
#include "sdk/task_list.h"
#include "tests/lib/test.h"

static const char *write_file(const char *name, const char *bytes, size_t size) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", sl_test_dir(), name);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        return NULL;
    return path;
}

TEST(files_are_read_whole) {
    sl_task_list *list = NULL;
    REQUIRE(sl_task_list_create(&(sl_task_list_options){.format = SL_TASKS_JSON}, &list) == SL_OK);
    CHECK_INT(sl_task_list_read(list, "/nonexistent"), SL_ERR_IO);
    sl_task_list_destroy(list);
    REQUIRE(sl_task_list_create(&(sl_task_list_options){.format = SL_TASKS_JSON}, &list) == SL_OK);
    CHECK_INT(sl_task_list_read(list, sl_test_dir()), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), "is a directory; give a file of tasks");
    sl_task_list_destroy(list);

    size_t size = 3 * (size_t)SL_TASK_LINE_MAX;
    char *bytes = malloc(size);
    REQUIRE(bytes);
    memset(bytes, ' ', size);
    memcpy(bytes, "\xef\xbb\xbf{\"shell\":\"1\"}\n", 17);
    bytes[size / 2] = '\n'; /* line 2 is too long, line 3 too (up to the end but its last task) */
    memcpy(bytes + size - 16, "\n{\"shell\":\"3\"}\r\n", 16);
    const char *path = write_file("long", bytes, size);
    free(bytes);
    REQUIRE(path &&
            sl_task_list_create(&(sl_task_list_options){.format = SL_TASKS_JSON}, &list) == SL_OK);
    CHECK_INT(sl_task_list_read(list, path), SL_OK);
    CHECK_INT(sl_task_list_finish(list), SL_ERR_INVALID);
    CHECK_INT(sl_task_list_count(list), 2);
    CHECK_INT(sl_task_list_errors(list)->total, 2);
    CHECK_CONTAINS(sl_task_list_errors(list)->kept[0].text,
                   "/long:2:1: the line is longer than 1048576 bytes");
    CHECK_INT(sl_task_list_at(list, 1)->line, 4);
    sl_task_list_destroy(list);
}

/* A pipe hands out bytes as it likes: the same lines must come of any cut. */
TEST(lines_do_not_depend_on_reads) {
    static const char bytes[] = "\xef\xbb\xbf"
                                "first\r\n\nsecond line\nno newline";
    for (size_t cut = 1; cut < sizeof bytes - 1; cut++) {
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        REQUIRE(write(ends[1], bytes, sizeof bytes - 1) == (ssize_t)sizeof bytes - 1);
        close(ends[1]);
        sl_line_reader reader = {.fd = ends[0],
                                 .owned = true,
                                 .limit = cut < 11 ? 11 : cut,
                                 .capacity = cut + 2,
                                 .buffer = malloc(cut + 2)};
        static const char *const expected[] = {"first", "", "second line", "no newline"};
        char *text = NULL;
        size_t length = 0;
        for (int i = 0; i < 4; i++) {
            CHECK_INT(sl_line_reader_next(&reader, &text, &length), SL_OK);
            CHECK_STR(text, expected[i]);
        }
        CHECK_INT(sl_line_reader_next(&reader, &text, &length), SL_ERR_CLOSED);
        CHECK_INT(reader.line, 4);
        sl_line_reader_close(&reader);
    }
}

TEST(utf8_is_strict) {
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\xaf",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xe2\x82",
                                      "\xff"};
    size_t at = 0;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(sl_utf8_valid(good[i], strlen(good[i]), &at));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!sl_utf8_valid(bad[i], strlen(bad[i]), &at));
}
