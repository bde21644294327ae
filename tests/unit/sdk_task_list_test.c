/* Task lists: what a good file means, and what every kind of bad file is told. */
#include "sdk/task_list.h"

#include <fcntl.h>
#include <unistd.h>

#include "sdk/line_reader.h"
#include "tests/lib/test.h"

static sl_task_list *new_list(sl_task_format format, const sl_task_array *array) {
    sl_task_list *list = NULL;
    sl_err err = sl_task_list_create(
        &(sl_task_list_options){.source = "F", .format = format, .array = array}, &list);
    return err == SL_OK ? list : NULL;
}

/* Adds every line of `text`, finishes, and returns the list; `*err` is finish()'s answer. */
static sl_task_list *list_of_array(sl_task_format format, const sl_task_array *array,
                                   const char *text, sl_err *err) {
    sl_task_list *list = new_list(format, array);
    uint64_t number = 0;
    *err = SL_OK;
    while (*text != '\0' && *err == SL_OK) {
        size_t length = strcspn(text, "\n");
        *err = sl_task_list_add_line(list, ++number, text, length);
        text += length + (text[length] == '\n');
    }
    if (*err == SL_OK)
        *err = sl_task_list_finish(list);
    return list;
}

static sl_task_list *list_of(const char *text, sl_err *err) {
    return list_of_array(SL_TASKS_JSON, NULL, text, err);
}

static const char *first_error(const sl_task_list *list) {
    const sl_task_errors *errors = sl_task_list_errors(list);
    return errors->kept_count > 0 ? errors->kept[0].text : "(none)";
}

/* ---- bad lines, one rule each ---- */

typedef struct bad_line {
    const char *text;
    const char *message;
} bad_line;

#define NUMBER(low, high) "a whole number from " low " to " high
#define ENV_WANTED        "an object of strings, like {\"NAME\": \"value\"}"

static const bad_line bad_lines[] = {
    /* not an object */
    {"{\"shell\": \"true\"", "F:1:17: not a JSON object: '}' expected near end of file"},
    {"ls -l", "F:1:1: not a JSON object: '[' or '{' expected near 'ls'"},
    {"[1]", "F:1:1: not a JSON object but an array; a line holds one object"},
    {"\"x\"", "not a JSON object: '[' or '{' expected"},
    {"{\"shell\":\"true\"} {}", "not a JSON object: end of file expected near '{'"},
    {"{\"shell\":\"true\",\"shell\":\"false\"}", "duplicate object key"},
    {"{\"shell\":\"a\\u0000b\"}", "\\u0000 is not allowed"},
    {"{\"shell\":\"\xff\"}", "unable to decode byte 0xff"},
    {"{\"shell\":\"true\",\"ucu\":1e999}", "real number overflow"},
    {"{\"shell\":\"true\",}", "F:1:17: not a JSON object: string or '}' expected near '}'"},
    /* unknown fields */
    {"{\"comand\":[\"ls\"]}", "F:1:2: comand: is not a field of a task; did you mean \"command\"?"},
    {"{\"shell\":\"ls\",\"memory\":3}",
     "F:1:15: memory: is not a field of a task; did you mean \"memory_gb\"?"},
    {"{\"shell\":\"ls\",\"timeout\":3}",
     "timeout: is not a field of a task; did you mean \"timeout_s\"?"},
    {"{\"shell\":\"ls\",\"colour\":3}",
     "colour: is not a field of a task; the fields are name, command,"},
    {"{\"shell\":\"ls\",\"array\":\"a\"}", "array: is not a field of a task"},
    {"{\"shell\":\"ls\",\"\":1}", "F:1:15: : is not a field of a task"},
    {"{\"\\u0001\\n\":1}", "??: is not a field of a task"},
    /* what to run */
    {"{}", "F:1:1: nothing to run; a task has exactly one of command, shell and function"},
    {"{\"name\":\"a\"}", "nothing to run"},
    {"{\"shell\":\"ls\", \"command\":[\"ls\"]}",
     "F:1:2: shell: given together with command; a task has"},
    {"{\"function\":\"f\", \"command\":[\"ls\"]}", "function: given together with command"},
    {"{\"command\":\"ls\"}",
     "command: \"ls\" is not allowed; give an array of strings, the program"},
    {"{\"command\":[]}", "command: [] is not allowed; give an array of strings"},
    {"{\"command\":[\"\"]}", "command: [\"\"] is not allowed; give an array of strings"},
    {"{\"command\":[\"ls\",1]}", "command: 1 is not allowed; give a string of 0 to 131071 bytes"},
    {"{\"shell\":\"\"}", "shell: \"\" is not allowed; give a string of 1 to 131071 bytes"},
    {"{\"shell\":null}", "shell: null is not allowed; give a string"},
    {"{\"function\":7}", "function: 7 is not allowed; give a string of 1 to 200 bytes"},
    {"{\"shell\":\"ls\",\"args\":1}", "F:1:15: args: given with shell; only a function takes args"},
    /* names */
    {"{\"shell\":\"ls\",\"name\":\"\"}", "F:1:15: name: it is empty; a name has 1 to 200 bytes"},
    {"{\"shell\":\"ls\",\"name\":3}", "name: 3 is not allowed; give a string"},
    {"{\"shell\":\"ls\",\"name\":\"a/b\"}", "name: it contains '/'; a name becomes a file name"},
    {"{\"shell\":\"ls\",\"name\":\".\"}",
     "name: it is \".\"; a name must be usable as a file name"},
    {"{\"shell\":\"ls\",\"name\":\"..\"}", "name: it is \"..\""},
    {"{\"shell\":\"ls\",\"name\":\"a\\nb\"}", "name: it contains the control character 0x0a"},
    {"{\"shell\":\"ls\",\"name\":\"a\\u007f\"}", "name: it contains the control character 0x7f"},
    /* numbers */
    {"{\"shell\":\"ls\",\"cpus\":0}", "cpus: 0 is not allowed; give " NUMBER("1", "65536")},
    {"{\"shell\":\"ls\",\"cpus\":65537}", "cpus: 65537 is not allowed; give " NUMBER("1", "65536")},
    {"{\"shell\":\"ls\",\"cpus\":1.5}", "cpus: 1.5 is not allowed; give " NUMBER("1", "65536")},
    {"{\"shell\":\"ls\",\"cpus\":\"2\"}", "cpus: \"2\" is not allowed"},
    {"{\"shell\":\"ls\",\"cpus\":true}", "cpus: true is not allowed"},
    {"{\"shell\":\"ls\",\"gpus\":-1}", "gpus: -1 is not allowed; give " NUMBER("0", "1024")},
    {"{\"shell\":\"ls\",\"gpus\":1025}", "gpus: 1025 is not allowed"},
    {"{\"shell\":\"ls\",\"memory_gb\":-0.5}",
     "memory_gb: -0.5 is not allowed; give a number from 0 to 1000000 (1 GB is 10^9 bytes)"},
    {"{\"shell\":\"ls\",\"memory_gb\":1000001}", "memory_gb: 1000001 is not allowed"},
    {"{\"shell\":\"ls\",\"ucu\":\"1\"}",
     "ucu: \"1\" is not allowed; give a number from 0 to 1000000000"},
    {"{\"shell\":\"ls\",\"priority\":1000001}",
     "priority: 1000001 is not allowed; give " NUMBER("-1000000", "1000000")},
    {"{\"shell\":\"ls\",\"priority\":-1000001}", "priority: -1000001 is not allowed"},
    {"{\"shell\":\"ls\",\"timeout_s\":0}",
     "timeout_s: 0 is not allowed; give a number from 0.001 to 1000000000 seconds"},
    {"{\"shell\":\"ls\",\"timeout_s\":1e10}", "timeout_s: 10000000000.0 is not allowed"},
    {"{\"shell\":\"ls\",\"retries\":1001}",
     "retries: 1001 is not allowed; give " NUMBER("0", "1000")},
    {"{\"shell\":\"ls\",\"retries\":99999999999999999999}", "too big integer"},
    /* the rest */
    {"{\"shell\":\"ls\",\"region\":\"\"}",
     "region: \"\" is not allowed; give a string of 1 to 64 bytes"},
    {"{\"shell\":\"ls\",\"region\":[]}", "region: [] is not allowed"},
    {"{\"shell\":\"ls\",\"cwd\":\"\"}",
     "cwd: \"\" is not allowed; give a string of 1 to 4095 bytes"},
    {"{\"shell\":\"ls\",\"after\":\"a\"}",
     "after: \"a\" is not allowed; give an array of task names"},
    {"{\"shell\":\"ls\",\"after\":[1]}",
     "after: 1 is not allowed; give a string of 1 to 200 bytes"},
    {"{\"shell\":\"ls\",\"stdin\":1}",
     "stdin: 1 is not allowed; give the text as a string, or {\"file\""},
    {"{\"shell\":\"ls\",\"stdin\":{\"file\":\"\"}}", "stdin: {\"file\":\"\"} is not allowed"},
    {"{\"shell\":\"ls\",\"stdin\":{\"path\":\"x\"}}", "stdin: {\"path\":\"x\"} is not allowed"},
    {"{\"shell\":\"ls\",\"stdin\":{\"file\":\"x\",\"b\":1}}",
     "stdin: {\"file\":\"x\",\"b\":1} is not allowed"},
    {"{\"shell\":\"ls\",\"env\":[\"A=1\"]}", "env: [\"A=1\"] is not allowed; give " ENV_WANTED},
    {"{\"shell\":\"ls\",\"env\":{\"A\":1}}", "env: 1 is not allowed; give " ENV_WANTED},
    {"{\"shell\":\"ls\",\"env\":{\"\":\"1\"}}",
     "env: \"\" is not a variable's name; give one that"},
    {"{\"shell\":\"ls\",\"env\":{\"A=B\":\"1\"}}", "env: \"A=B\" is not a variable's name"},
    {"{\"shell\":\"ls\",\"env\":{\"STARLANE_TASK_INDEX\":\"1\"}}", "is set by starlane"},
    /* columns count characters, and nested keys are not the field */
    {"{\"env\":{\"cpus\":\"\xc3\xa9\"},\"shell\":\"ls\",\"cpus\":0}",
     "F:1:34: cpus: 0 is not allowed"},
    {"{\"shell\":\"echo \\\"cpus\\\"\",\"cpus\":0}", "F:1:26: cpus: 0 is not allowed"},
};

TEST(every_bad_line_is_told_why) {
    for (size_t i = 0; i < sizeof bad_lines / sizeof *bad_lines; i++) {
        sl_err err = SL_OK;
        sl_task_list *list = list_of(bad_lines[i].text, &err);
        CHECK_INT(err, SL_ERR_INVALID);
        CHECK_INT(sl_task_list_errors(list)->total, 1);
        CHECK_CONTAINS(first_error(list), bad_lines[i].message);
        sl_task_list_destroy(list);
    }
}

/* ---- bad lists ---- */

static const bad_line bad_lists[] = {
    {"{\"name\":\"a\",\"shell\":\"1\"}\n\n{\"shell\":\"2\",\"name\":\"a\"}",
     "F:3:14: name: \"a\" is the name of line 1 already; give each task its own"},
    {"{\"name\":\"t1\",\"shell\":\"1\"}\n{\"shell\":\"2\"}",
     "name: \"t1\" is the name of line 1 already"},
    {"{\"name\":\"a\",\"shell\":\"1\",\"after\":[\"b\"]}",
     "F:1:25: after: no task is called \"b\"; give names of tasks of this list"},
    {"{\"name\":\"a\",\"shell\":\"1\",\"after\":[\"a\"]}", "after: \"a\" waits for itself"},
    {"{\"name\":\"a\",\"shell\":\"1\"}\n{\"shell\":\"2\",\"after\":[\"a\",\"a\"]}",
     "F:2:14: after: \"a\" is waited for twice; name each task once"},
};

TEST(bad_lists) {
    for (size_t i = 0; i < sizeof bad_lists / sizeof *bad_lists; i++) {
        sl_err err = SL_OK;
        sl_task_list *list = list_of(bad_lists[i].text, &err);
        CHECK_INT(err, SL_ERR_INVALID);
        CHECK_INT(sl_task_list_errors(list)->total, 1);
        CHECK_CONTAINS(first_error(list), bad_lists[i].message);
        sl_task_list_destroy(list);
    }
}

TEST(a_bad_line_does_not_make_its_dependants_bad) {
    sl_err err = SL_OK;
    sl_task_list *list = list_of("{\"name\":\"a\",\"shell\":\"1\",\"cpus\":0}\n"
                                 "{\"name\":\"b\",\"shell\":\"1\",\"after\":[\"a\"]}",
                                 &err);
    CHECK_INT(sl_task_list_errors(list)->total, 1);
    sl_task_list_destroy(list);
    list = list_of("{\"name\":\"a\",\n{\"name\":\"b\",\"shell\":\"1\",\"after\":[\"a\"]}", &err);
    CHECK_INT(sl_task_list_errors(list)->total, 1);
    CHECK_INT(err, SL_ERR_INVALID);
    sl_task_list_destroy(list);
}

TEST(twenty_errors_in_line_order_then_a_count) {
    sl_task_list *list = new_list(SL_TASKS_JSON, NULL);
    const char *late = "{\"name\":\"x\",\"shell\":\"1\",\"after\":[\"nobody\"]}";
    CHECK_INT(sl_task_list_add_line(list, 1, late, strlen(late)), SL_OK);
    for (uint64_t line = 2; line < 52; line++)
        CHECK_INT(sl_task_list_add_line(list, line, "{}", 2), SL_OK);
    CHECK_INT(sl_task_list_finish(list), SL_ERR_INVALID);
    CHECK_STR(sl_err_detail(), "F: 50 bad lines; nothing was run");
    sl_task_list_destroy(list);

    list = new_list(SL_TASKS_JSON, NULL);
    for (uint64_t line = 2; line < 52; line++)
        CHECK_INT(sl_task_list_add_line(list, line, "{\"name\":\"n\",\"shell\":\"\"}", 23), SL_OK);
    CHECK_INT(sl_task_list_finish(list), SL_ERR_INVALID);
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    REQUIRE(stream);
    sl_task_errors_print(sl_task_list_errors(list), stream);
    fclose(stream);
    CHECK(strncmp(text, "F:2:13: shell: ", 15) == 0);
    CHECK_CONTAINS(text, "F:21:13: ");
    CHECK(strstr(text, "F:22:13: ") == NULL);
    CHECK_CONTAINS(text, "\n... and 30 more bad lines\n");
    free(text);
    sl_task_list_destroy(list);
}

/* Dependencies are resolved after all lines were read, yet errors come in the order of lines. */
TEST(errors_of_dependencies_are_sorted_in) {
    sl_err err = SL_OK;
    sl_task_list *list = list_of("{\"name\":\"x\",\"shell\":\"1\",\"after\":[\"nobody\"]}\n"
                                 "{\"name\":\"y\",\"shell\":\"\"}",
                                 &err);
    const sl_task_errors *errors = sl_task_list_errors(list);
    CHECK_INT(errors->kept_count, 2);
    CHECK_CONTAINS(errors->kept[0].text, "F:1:25: after: no task is called \"nobody\"");
    CHECK_CONTAINS(errors->kept[1].text, "F:2:13: shell");
    sl_task_list_destroy(list);
}

/* ---- cycles ---- */

TEST(a_cycle_is_refused_and_printed) {
    sl_err err = SL_OK;
    sl_task_list *list = list_of("{\"name\":\"start\",\"shell\":\"1\",\"after\":[\"c\"]}\n"
                                 "{\"name\":\"a\",\"shell\":\"1\",\"after\":[\"b\"]}\n"
                                 "{\"name\":\"b\",\"shell\":\"1\",\"after\":[\"free\",\"c\"]}\n"
                                 "{\"name\":\"c\",\"shell\":\"1\",\"after\":[\"a\"]}\n"
                                 "{\"name\":\"free\",\"shell\":\"1\"}",
                                 &err);
    CHECK_INT(err, SL_ERR_CYCLE);
    CHECK_STR(first_error(list), "F:2:25: after: a cycle, each task waits for the next: "
                                 "a -> b -> c -> a; remove one of these dependencies");
    sl_task_list_destroy(list);
}

static sl_task_list *chain(uint32_t length, bool closed, sl_err *err) {
    sl_task_list *list = new_list(SL_TASKS_JSON, NULL);
    char text[96];
    *err = SL_OK;
    for (uint32_t i = 0; i < length && *err == SL_OK; i++) {
        int size =
            snprintf(text, sizeof text, "{\"name\":\"n%u\",\"shell\":\":\",\"after\":[\"n%u\"]}", i,
                     (i + 1) % length);
        if (!closed && i + 1 == length)
            size = snprintf(text, sizeof text, "{\"name\":\"n%u\",\"shell\":\":\"}", i);
        *err = sl_task_list_add_line(list, i + 1, text, (size_t)size);
    }
    if (*err == SL_OK)
        *err = sl_task_list_finish(list);
    return list;
}

TEST(a_chain_may_be_as_long_as_the_list) {
    sl_err err = SL_OK;
    sl_task_list *list = chain(50000, false, &err);
    CHECK_INT(err, SL_OK);
    CHECK_INT(sl_task_list_dependency_count(list), 49999);
    sl_task_list_destroy(list);
    list = chain(50000, true, &err);
    CHECK_INT(err, SL_ERR_CYCLE);
    CHECK_CONTAINS(first_error(list), "n0 -> n1 -> ");
    CHECK_CONTAINS(first_error(list), "-> n11 -> (49988 more) -> n0; remove");
    sl_task_list_destroy(list);
}

/* ---- what good lines mean ---- */

TEST(every_field_reaches_the_spec) {
    sl_err err = SL_OK;
    sl_task_list *list = list_of(
        "{\"name\":\"a\",\"command\":[\"ls\",\"-l\",\"\"],\"cpus\":3,\"gpus\":1,\"memory_gb\":0.5,"
        "\"ucu\":2.445,\"region\":\"us-west\",\"priority\":-7,\"timeout_s\":1.5,\"retries\":2,"
        "\"stdin\":\"in\\n\",\"env\":{\"A\":\"1\",\"B\":\"\"},\"cwd\":\"/tmp\"}\r\n"
        "   \n"
        "{\"function\":\"f\",\"args\":{\"x\":[1,2.5,null]},\"after\":[\"a\"],\"stdin\":{\"file\":"
        "\"/x\"}}\n"
        "{\"shell\":\"echo hi\",\"name\":\"c\"}\n"
        "{\"function\":\"f\",\"args\":\"text\"}",
        &err);
    REQUIRE(err == SL_OK);
    REQUIRE(sl_task_list_count(list) == 4);
    const sl_task_spec *a = sl_task_list_at(list, 0), *b = sl_task_list_at(list, 1);
    CHECK_STR(a->name, "a");
    CHECK_INT(a->kind, SL_TASK_COMMAND);
    CHECK_INT(a->argc, 3);
    CHECK_STR(a->argv[1], "-l");
    CHECK_STR(a->argv[2], "");
    CHECK(a->argv[3] == NULL);
    CHECK_INT(a->cpus, 3);
    CHECK_INT(a->gpus, 1);
    CHECK_INT(a->memory_bytes, 500000000);
    CHECK_INT(a->ucu_milli, 2445);
    CHECK_STR(a->region, "us-west");
    CHECK_INT(a->priority, -7);
    CHECK_INT(a->timeout_ns, 1500000000);
    CHECK_INT(a->retries, 2);
    CHECK_INT(a->stdin_kind, SL_STDIN_TEXT);
    CHECK_STR(a->input, "in\n");
    CHECK_INT(a->env_count, 2);
    CHECK_STR(a->env[0], "A=1");
    CHECK_STR(a->env[1], "B=");
    CHECK_STR(a->cwd, "/tmp");
    CHECK_INT(a->line, 1);
    CHECK_STR(b->name, "t1");
    CHECK_STR(b->function, "f");
    CHECK_STR(b->args, "{\"x\":[1,2.5,null]}");
    CHECK_INT(b->cpus, 1);
    CHECK_INT(b->after_count, 1);
    CHECK_INT(b->after[0].first, 0);
    CHECK_INT(b->stdin_kind, SL_STDIN_FILE);
    CHECK_INT(b->line, 3);
    CHECK_STR(sl_task_list_at(list, 2)->shell, "echo hi");
    CHECK_STR(sl_task_list_at(list, 3)->args, "text");
    CHECK_INT(sl_task_list_at(list, 3)->args_kind, SL_ARGS_STRING);
    sl_task_list_destroy(list);
}

TEST(shell_lines) {
    sl_err err = SL_OK;
    sl_task_list *list = list_of_array(SL_TASKS_SHELL, NULL,
                                       "# comment\n\nls | wc\n  # a command after blanks\n", &err);
    REQUIRE(err == SL_OK);
    REQUIRE(sl_task_list_count(list) == 2);
    CHECK_STR(sl_task_list_at(list, 0)->shell, "ls | wc");
    CHECK_STR(sl_task_list_at(list, 0)->name, "t0");
    CHECK_INT(sl_task_list_at(list, 0)->line, 3);
    sl_task_list_destroy(list);
    list = new_list(SL_TASKS_SHELL, NULL);
    CHECK_INT(sl_task_list_add_line(list, 1, "ls\0x", 4), SL_OK);
    CHECK_INT(sl_task_list_add_line(list, 2, "ls \xc0\xaf", 5), SL_OK);
    CHECK_INT(sl_task_list_finish(list), SL_ERR_INVALID);
    CHECK_STR(sl_task_list_errors(list)->kept[0].text,
              "F:1:3: shell: a NUL byte; a command is text");
    CHECK_CONTAINS(sl_task_list_errors(list)->kept[1].text,
                   "F:2:4: shell: the byte 0xc0 is not valid");
    sl_task_list_destroy(list);
}

TEST(defaults_apply_and_are_overridden) {
    sl_task_list *list = NULL;
    sl_task_spec defaults;
    sl_task_spec_init(&defaults);
    defaults.cpus = 2;
    defaults.region = "eu";
    REQUIRE(sl_task_list_create(&(sl_task_list_options){.defaults = &defaults, .max_tasks = 2},
                                &list) == SL_OK);
    const char *own = "{\"shell\":\"a\",\"cpus\":1}";
    CHECK_INT(sl_task_list_add_line(list, 1, own, strlen(own)), SL_OK);
    CHECK_INT(sl_task_list_add_command(list, 2, (const char *const[]){"echo", "a b"}), SL_OK);
    CHECK_INT(sl_task_list_at(list, 0)->cpus, 1);
    CHECK_STR(sl_task_list_at(list, 0)->region, "eu");
    CHECK_INT(sl_task_list_at(list, 1)->cpus, 2);
    CHECK_STR(sl_task_list_at(list, 1)->argv[1], "a b");
    CHECK_INT(sl_task_list_add_line(list, 2, own, strlen(own)), SL_ERR_TOO_LARGE);
    sl_task_list_destroy(list);
}

TEST(a_command_is_checked_too) {
    sl_task_list *list = new_list(SL_TASKS_JSON, NULL);
    CHECK_INT(sl_task_list_add_command(list, 0, NULL), SL_OK);
    CHECK_INT(sl_task_list_add_command(list, 1, (const char *const[]){"\xff"}), SL_OK);
    CHECK_INT(sl_task_list_errors(list)->total, 2);
    CHECK_STR(first_error(list),
              "F: command: no command; give the program and its arguments after --");
    sl_task_list_destroy(list);
}

/* ---- arrays ---- */

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

/* ---- files ---- */

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
    CHECK_CONTAINS(first_error(list), "/long:2:1: the line is longer than 1048576 bytes");
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

/* ---- stored form ---- */

/* Writes every spec of `list`, reads them into a new list, and writes that: both texts must agree.
 */
static void check_round_trip(const sl_task_list *list) {
    sl_task_list *again = new_list(SL_TASKS_JSON, NULL);
    sl_strbuf first, second;
    sl_strbuf_init(&first, 1 << 20);
    sl_strbuf_init(&second, 1 << 20);
    for (uint32_t i = 0; i < sl_task_list_count(list); i++) {
        sl_strbuf_clear(&first);
        sl_task_list_write_json(list, i, &first);
        CHECK_INT(sl_strbuf_err(&first), SL_OK);
        CHECK_INT(sl_task_list_add_stored(again, first.data, first.length), SL_OK);
    }
    CHECK_INT(sl_task_list_finish(again), SL_OK);
    REQUIRE(sl_task_list_count(again) == sl_task_list_count(list));
    for (uint32_t i = 0; i < sl_task_list_count(list); i++) {
        const sl_task_spec *a = sl_task_list_at(list, i), *b = sl_task_list_at(again, i);
        sl_strbuf_clear(&first);
        sl_strbuf_clear(&second);
        sl_task_list_write_json(list, i, &first);
        sl_task_list_write_json(again, i, &second);
        CHECK_STR(second.data, first.data);
        CHECK_INT(b->memory_bytes, a->memory_bytes);
        CHECK_INT(b->ucu_milli, a->ucu_milli);
        CHECK_INT(b->timeout_ns, a->timeout_ns);
        CHECK_INT(b->priority, a->priority);
        CHECK_INT(b->group, a->group);
        CHECK_INT(b->after_count, a->after_count);
        for (uint32_t j = 0; j < a->after_count && j < b->after_count; j++) {
            CHECK_INT(b->after[j].first, a->after[j].first);
            CHECK_INT(b->after[j].count, a->after[j].count);
        }
    }
    sl_strbuf_fini(&first);
    sl_strbuf_fini(&second);
    sl_task_list_destroy(again);
}

TEST(stored_text_in_normal_form) {
    sl_err err = SL_OK;
    static const char text[] =
        "{\"name\":\"a "
        "\xe2\x82\xac\",\"command\":[\"e\\\"\\\\\\n\\u0001\",\"\"],\"cpus\":2,\"gpus\":1,"
        "\"memory_gb\":0.1,\"ucu\":2.445,\"region\":\"r\",\"priority\":-1,\"after\":[\"t1\"],"
        "\"timeout_s\":0.3,\"retries\":1,\"stdin\":{\"file\":\"f\"},\"env\":{\"A\":\"b=c\"},"
        "\"cwd\":\"/\"}";
    char both[sizeof text + 64];
    snprintf(both, sizeof both, "%s\n{\"shell\":\"true\"}", text);
    sl_task_list *list = list_of(both, &err);
    REQUIRE(err == SL_OK);
    sl_strbuf out;
    sl_strbuf_init(&out, 4096);
    sl_task_list_write_json(list, 0, &out);
    CHECK_STR(out.data, text);
    sl_strbuf_clear(&out);
    sl_task_list_write_json(list, 1, &out);
    CHECK_STR(out.data, "{\"name\":\"t1\",\"shell\":\"true\"}");
    sl_strbuf_fini(&out);
    check_round_trip(list);
    sl_task_list_destroy(list);
}

TEST(stored_arrays_come_back) {
    sl_task_array array = {0};
    sl_err err = sl_task_array_parse(&array, "1,3", 100);
    sl_task_list *list = list_of_array(
        SL_TASKS_JSON, &array,
        "{\"name\":\"a\",\"function\":\"f\",\"args\":\"{#}\"}\n"
        "{\"name\":\"b\",\"function\":\"f\",\"args\":[1,-0.5,\"x\",{}],\"after\":[\"a\"]}",
        &err);
    REQUIRE(err == SL_OK);
    sl_strbuf out;
    sl_strbuf_init(&out, 4096);
    sl_task_list_write_json(list, 3, &out);
    CHECK_STR(out.data,
              "{\"name\":\"b.3\",\"array\":\"b\",\"function\":\"f\",\"args\":[1,-0.5,\"x\",{}],"
              "\"after\":[\"a\"],\"env\":{\"STARLANE_TASK_INDEX\":\"3\"}}");
    sl_strbuf_fini(&out);
    check_round_trip(list);
    sl_task_list_destroy(list);
    sl_task_array_fini(&array);
}

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

/* Numbers at every scale survive being written and read. */
TEST(random_specs_round_trip) {
    uint64_t state = 42;
    sl_task_list *list = new_list(SL_TASKS_JSON, NULL);
    char text[512];
    for (uint32_t i = 0; i < 3000; i++) {
        double scale = pow(10, (double)(next_random(&state) % 12) - 5);
        double memory = (double)next_random(&state) / 4294967296.0 * scale;
        double timeout = 0.001 + (double)next_random(&state) / 4294967296.0 * scale;
        char after[24] = "";
        if (i > 0)
            snprintf(after, sizeof after, "\"n%u\"", (uint32_t)(next_random(&state) % i));
        int size = snprintf(text, sizeof text,
                            "{\"name\":\"n%u\",\"shell\":\"x%c\",\"memory_gb\":%.17g,\"ucu\":%.17g,"
                            "\"timeout_s\":%.17g,\"priority\":%d,\"after\":[%s]}",
                            i, (int)(' ' + next_random(&state) % 2), memory, memory * 7, timeout,
                            (int)(next_random(&state) % 2000001) - 1000000, after);
        CHECK_INT(sl_task_list_add_line(list, i + 1, text, (size_t)size), SL_OK);
    }
    sl_err err = sl_task_list_finish(list);
    CHECK_STR(err == SL_OK ? "" : first_error(list), "");
    if (err == SL_OK)
        check_round_trip(list);
    sl_task_list_destroy(list);
}

TEST(stored_defects_are_errors_at_once) {
    static const char *const bad[] = {"", "{}", "{\"shell\":\"x\"}",
                                      "{\"name\":\"a\",\"shell\":\"x\",\"z\":1}",
                                      "{\"name\":\"used\",\"shell\":\"x\"}"};
    sl_task_list *list = new_list(SL_TASKS_JSON, NULL);
    const char *used = "{\"name\":\"used\",\"shell\":\"x\"}";
    CHECK_INT(sl_task_list_add_stored(list, used, strlen(used)), SL_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(sl_task_list_add_stored(list, bad[i], strlen(bad[i])) != SL_OK);
    CHECK_INT(sl_task_list_count(list), 1);
    sl_task_list_destroy(list);
}

TEST(command_text_is_what_a_person_types) {
    sl_err err = SL_OK;
    sl_task_list *list = list_of("{\"command\":[\"echo\",\"a b\",\"it's\",\"\",\"x=1\"]}\n"
                                 "{\"shell\":\"ls | wc\"}\n{\"function\":\"f\",\"args\":[1]}",
                                 &err);
    REQUIRE(err == SL_OK);
    static const char *const expected[] = {"echo 'a b' 'it'\\''s' '' 'x=1'", "ls | wc", "f([1])"};
    for (uint32_t i = 0; i < 3; i++) {
        sl_strbuf out;
        sl_strbuf_init(&out, 4096);
        sl_task_spec_command_text(sl_task_list_at(list, i), &out);
        CHECK_STR(out.data, expected[i]);
        sl_strbuf_fini(&out);
    }
    sl_task_list_destroy(list);
}
