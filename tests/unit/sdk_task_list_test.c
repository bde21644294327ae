/* Task lists: what a good file means, and what every kind of bad file is told. */
#include "sdk/task_list.h"

#include "tests/lib/task_lists.h"
#include "tests/lib/test.h"

/* ---- bad lines, one rule each ---- */

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
    {"{\"shell\":\"ls\",\"cpus\":\"01234567890123456789012345678901234567890123456789\"}",
     "cpus: \"0123456789012345678901234567890123456789012345... is not allowed; give "},
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
    sl_task_list *list = chain(20000, false, &err);
    CHECK_INT(err, SL_OK);
    CHECK_INT(sl_task_list_dependency_count(list), 19999);
    sl_task_list_destroy(list);
    list = chain(20000, true, &err);
    CHECK_INT(err, SL_ERR_CYCLE);
    CHECK_CONTAINS(first_error(list), "n0 -> n1 -> ");
    CHECK_CONTAINS(first_error(list), "-> n11 -> (19988 more) -> n0; remove");
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
    CHECK_INT(a->kind, SL_FORM_COMMAND);
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
