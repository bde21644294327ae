#include "runtime/config.h"
#include "tests/lib/test.h"

#include <ctype.h>
#include <jansson.h>
#include <sys/stat.h>

static sl_config *fresh(void) {
    sl_config *config = NULL;
    if (sl_config_create(&config) != SL_OK) {
        fprintf(stderr, "sl_config_create: %s\n", sl_err_detail());
        exit(2);
    }
    return config;
}

static sl_err load(sl_config *config, const char *text) {
    return sl_config_load_text(config, "my.conf", text, strlen(text));
}

/* --- the table --- */

TEST(rows_are_complete_and_distinct) {
    for (int i = 0; i < SL_OPT_COUNT; i++) {
        const sl_option *option = sl_option_get((sl_opt)i);
        char variable[SL_OPTION_NAME_BYTES];
        sl_opt found;
        CHECK(strspn(option->name, "abcdefghijklmnopqrstuvwxyz0123456789-.") ==
              strlen(option->name));
        CHECK(strlen(option->name) + strlen("STARLANE_") < SL_OPTION_NAME_BYTES);
        CHECK(strlen(option->help) > 10 && option->groups[0]);
        CHECK(strncmp(option->name, "no-", 3) != 0); /* --no-x must not be ambiguous */
        REQUIRE(sl_option_find(option->name, strlen(option->name), &found));
        CHECK_INT(found, i); /* fails when two rows share a name */
        sl_option_environment(option, variable);
        CHECK(!sl_option_is_variable(variable, strlen(variable)));
    }
}

TEST(bounds_make_sense) {
    for (int i = 0; i < SL_OPT_COUNT; i++) {
        const sl_option *option = sl_option_get((sl_opt)i);
        bool bounded = option->kind == SL_OPTION_INT || option->kind == SL_OPTION_DOUBLE ||
                       option->kind == SL_OPTION_DURATION || option->kind == SL_OPTION_BYTES;
        if (bounded ? option->min >= option->max : option->min != 0 || option->max != 0)
            sl_test_fail(__FILE__, __LINE__, "bounds of %s", option->name);
        if (option->kind == SL_OPTION_INT)
            CHECK(fabs(option->min) <= 0x1p53 && fabs(option->max) <= 0x1p53);
        if ((option->kind == SL_OPTION_BOOL || option->kind == SL_OPTION_ENUM) &&
            !option->initial[0])
            sl_test_fail(__FILE__, __LINE__, "%s has no default", option->name);
    }
}

TEST(examples_and_bounds_of_every_row_parse) {
    for (int i = 0; i < SL_OPT_COUNT; i++) {
        const sl_option *option = sl_option_get((sl_opt)i);
        sl_option_value value;
        sl_strbuf text;
        sl_strbuf_init(&text, 1000);
        sl_option_example(option, &text);
        if (!sl_option_parse(option, text.data, &value))
            sl_test_fail(__FILE__, __LINE__, "example %s of %s", text.data, option->name);
        /* "a time from 10ms to 1m": both ends must be what it says, and be taken */
        sl_strbuf_clear(&text);
        sl_option_describe(option, &text);
        char low[64], high[64];
        if (option->min != option->max) {
            REQUIRE(sscanf(strstr(text.data, " from "), " from %63s to %63s", low, high) == 2);
            if (!sl_option_parse(option, low, &value) || !sl_option_parse(option, high, &value))
                sl_test_fail(__FILE__, __LINE__, "%s takes not %s or %s", option->name, low, high);
        }
        sl_strbuf_fini(&text);
    }
}

/* --- values --- */

static const sl_option a_time = {"t", SL_OPTION_DURATION, "s", "", 0, 1e6, "g", "h"};
static const sl_option a_size = {"z", SL_OPTION_BYTES, "B", "", 0, 1e13, "g", "h"};
static const sl_option a_whole = {"i", SL_OPTION_INT, "", "", -10, 0x1p53, "g", "h"};
static const sl_option a_real = {"d", SL_OPTION_DOUBLE, "", "", -10, 1e300, "g", "h"};

static uint64_t amount(const sl_option *option, const char *text) {
    sl_option_value value = {.amount = UINT64_MAX};
    return sl_option_parse(option, text, &value) ? value.amount : UINT64_MAX;
}

TEST(times) {
    CHECK_INT(amount(&a_time, "10ms"), 10000000);
    CHECK_INT(amount(&a_time, "5s"), 5000000000);
    CHECK_INT(amount(&a_time, "2m"), 120000000000);
    CHECK_INT(amount(&a_time, "1.5h"), 5400000000000);
    CHECK_INT(amount(&a_time, "1d"), 86400000000000);
    CHECK_INT(amount(&a_time, "250us"), 250000);
    CHECK_INT(amount(&a_time, "7ns"), 7);
    CHECK_INT(amount(&a_time, "3"), 3000000000); /* bare: the option's unit */
    CHECK_INT(amount(&a_time, "0"), 0);
    static const char *const bad[] = {"",    "s",   "5 s",  " 5s", "5S",   "-1s", "1e99s",
                                      "nan", "inf", "0x5s", "5ss", "12d1", ".5",  "1e7"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (amount(&a_time, bad[i]) != UINT64_MAX)
            sl_test_fail(__FILE__, __LINE__, "\"%s\" was taken as a time", bad[i]);
}

TEST(sizes) {
    CHECK_INT(amount(&a_size, "64KiB"), 65536);
    CHECK_INT(amount(&a_size, "1G"), 1073741824);
    CHECK_INT(amount(&a_size, "1GB"), 1000000000);
    CHECK_INT(amount(&a_size, "1.5M"), 1572864);
    CHECK_INT(amount(&a_size, "2TiB"), 2199023255552);
    CHECK_INT(amount(&a_size, "17"), 17);
    CHECK_INT(amount(&a_size, "17B"), 17);
    static const char *const bad[] = {"", "K", "1kib", "1 K", "-1", "11T", "1KK", "1X", "infinity"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (amount(&a_size, bad[i]) != UINT64_MAX)
            sl_test_fail(__FILE__, __LINE__, "\"%s\" was taken as a size", bad[i]);
}

TEST(numbers) {
    sl_option_value value;
    REQUIRE(sl_option_parse(&a_whole, "-7", &value));
    CHECK_INT(value.integer, -7);
    REQUIRE(sl_option_parse(&a_whole, "9007199254740992", &value));
    CHECK_INT(value.integer, 9007199254740992);
    static const char *const bad[] = {
        "", "-", "1.5", "1e3", "0x10", " 1", "1 ", "99999999999999999999", "-11", "+-1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (sl_option_parse(&a_whole, bad[i], &value))
            sl_test_fail(__FILE__, __LINE__, "\"%s\" was taken as a whole number", bad[i]);
    REQUIRE(sl_option_parse(&a_real, "2.5e3", &value));
    CHECK_DOUBLE(value.real, 2500, 0);
    CHECK(!sl_option_parse(&a_real, "nan", &value));
    CHECK(!sl_option_parse(&a_real, "1e999", &value));
    CHECK(!sl_option_parse(&a_real, "2.5x", &value));
}

/* --- sources --- */

TEST(defaults_are_in_force) {
    sl_config *config = fresh();
    CHECK_INT(sl_config_int(config, SL_OPT_NODES), 1);
    CHECK_INT(sl_config_duration_ns(config, SL_OPT_HEARTBEAT_MS), 100000000);
    CHECK_INT(sl_config_bytes(config, SL_OPT_WINDOW_BYTES), 1048576);
    CHECK_INT(sl_config_enum(config, SL_OPT_LOG_FORMAT), 0);
    CHECK_STR(sl_config_text(config, SL_OPT_POLICY), "earliest-completion");
    CHECK(sl_config_bool(config, SL_OPT_BIND));
    CHECK_STR(sl_config_origin(config, SL_OPT_NODES), "default");
    CHECK(!sl_config_is_set(config, SL_OPT_CPUS));
    CHECK_INT(sl_config_int(config, SL_OPT_CPUS), 0);
    CHECK_STR(sl_config_text(config, SL_OPT_TRACE), "");
    sl_config_destroy(config);
    sl_config_destroy(NULL);
}

/* All 24 orders of loading must give the same answer. */
TEST(precedence_does_not_depend_on_the_order_of_loading) {
    for (int order = 0; order < 24; order++) {
        sl_config *config = fresh();
        int left[4] = {0, 1, 2, 3}, code = order;
        for (int n = 4; n > 0; n--) {
            int pick = code % n, step = left[pick];
            code /= n;
            left[pick] = left[n - 1];
            const char *args[] = {"starlane", "--nodes=4", NULL};
            const char *environment[] = {"STARLANE_NODES=3", "STARLANE_GPUS=3", NULL};
            int argc = 2;
            if (step == 0)
                CHECK_INT(load(config, "nodes = 2\ngpus = 2\ncpus = 2\nretries = 2\n"), SL_OK);
            else if (step == 1)
                CHECK_INT(sl_config_load_environment(config, (char **)environment), SL_OK);
            else if (step == 2)
                CHECK_INT(sl_config_parse_args(config, "network", &argc, (char **)args), SL_OK);
            else
                CHECK_INT(sl_config_set(config, SL_OPT_CPUS, "5"), SL_OK);
        }
        CHECK_INT(sl_config_int(config, SL_OPT_NODES), 4);
        CHECK_STR(sl_config_origin(config, SL_OPT_NODES), "flag --nodes");
        CHECK_INT(sl_config_int(config, SL_OPT_GPUS), 3);
        CHECK_STR(sl_config_origin(config, SL_OPT_GPUS), "environment STARLANE_GPUS");
        CHECK_INT(sl_config_int(config, SL_OPT_CPUS), 5);
        CHECK_INT(sl_config_source_of(config, SL_OPT_CPUS), SL_CONFIG_PROGRAM);
        CHECK_INT(sl_config_int(config, SL_OPT_RETRIES), 2);
        CHECK_STR(sl_config_origin(config, SL_OPT_RETRIES), "my.conf:4");
        sl_config_destroy(config);
    }
}

static void write_file(const char *path, const char *text, size_t size) {
    FILE *file = fopen(path, "w");
    if (!file || fwrite(text, 1, size, file) != size || fclose(file) != 0)
        exit(2);
}

TEST(one_call_loads_all_sources) {
    char path[200], variable[256];
    snprintf(path, sizeof path, "%s/starlane.conf", sl_test_dir());
    snprintf(variable, sizeof variable, "STARLANE_CONFIG=%s", path);
    write_file(path, "gpus = 2\n", 9);
    const char *args[] = {"starlane", "run", "--retries", "7", "tasks.jsonl", NULL};
    const char *environment[] = {"HOME=/root", variable, NULL};
    int argc = 5;
    sl_config *config = fresh();
    REQUIRE(sl_config_load(config, "run network", &argc, (char **)args, (char **)environment) ==
            SL_OK);
    CHECK_INT(sl_config_int(config, SL_OPT_RETRIES), 7);
    CHECK_INT(sl_config_int(config, SL_OPT_GPUS), 2);
    CHECK_INT(argc, 3);
    CHECK_STR(args[2], "tasks.jsonl");
    CHECK_STR(sl_config_warnings(config), "");
    sl_config_destroy(config);
}

/* --- flags --- */

static sl_err parse(sl_config *config, int *argc, const char **args) {
    for (*argc = 0; args[*argc];)
        ++*argc;
    return sl_config_parse_args(config, "run network", argc, (char **)args);
}

TEST(flags_in_every_form) {
    const char *args[] = {"starlane",  "a",      "--nodes=4", "--priority",  "-5", "-", "--shell",
                          "--no-bind", "--name", "x=y",       "--rerun=off", "b",  NULL};
    int argc;
    sl_config *config = fresh();
    REQUIRE(parse(config, &argc, args) == SL_OK);
    CHECK_INT(sl_config_int(config, SL_OPT_NODES), 4);
    CHECK_INT(sl_config_int(config, SL_OPT_PRIORITY), -5);
    CHECK(sl_config_bool(config, SL_OPT_SHELL));
    CHECK(!sl_config_bool(config, SL_OPT_BIND));
    CHECK_STR(sl_config_text(config, SL_OPT_NAME), "x=y");
    CHECK(!sl_config_bool(config, SL_OPT_RERUN));
    CHECK_INT(argc, 4);
    CHECK_STR(args[0], "starlane");
    CHECK_STR(args[1], "a");
    CHECK_STR(args[2], "-");
    CHECK_STR(args[3], "b");
    CHECK(args[4] == NULL);
    sl_config_destroy(config);
}

TEST(two_dashes_end_the_flags) {
    const char *args[] = {"starlane", "--nodes", "2", "--", "--nodes", "3", "--", NULL};
    int argc;
    sl_config *config = fresh();
    REQUIRE(parse(config, &argc, args) == SL_OK);
    CHECK_INT(sl_config_int(config, SL_OPT_NODES), 2);
    CHECK_INT(argc, 4);
    CHECK_STR(args[1], "--nodes");
    CHECK_STR(args[3], "--");
    sl_config_destroy(config);
}

TEST(no_arguments_at_all) {
    const char *args[] = {NULL};
    int argc = 0;
    sl_config *config = fresh();
    CHECK_INT(sl_config_parse_args(config, "run", &argc, (char **)args), SL_OK);
    CHECK_INT(argc, 0);
    sl_config_destroy(config);
}

TEST(help_has_a_short_form) {
    const char *args[] = {"starlane", "-h", NULL};
    int argc;
    sl_config *config = fresh();
    CHECK_INT(parse(config, &argc, args), SL_OK);
    CHECK(sl_config_bool(config, SL_OPT_HELP));
    sl_config_destroy(config);
}

static void check_bad_flag(const char *first, const char *second, const char *cause) {
    const char *args[] = {"starlane", first, second, NULL};
    int argc;
    sl_config *config = fresh();
    CHECK_INT(parse(config, &argc, args), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), cause);
    sl_config_destroy(config);
}

TEST(bad_flags_say_what_to_do) {
    check_bad_flag("--outptu=x", NULL, "unknown flag --outptu; did you mean --output?");
    check_bad_flag("--zzzzzzzzzz", NULL, "--help lists");
    check_bad_flag("-n", "4", "flags begin with two dashes");
    check_bad_flag("--nodes", NULL, "needs a value");
    check_bad_flag("--no-nodes", NULL, "is for switches");
    check_bad_flag("--no-bind=true", NULL, "takes no value");
    check_bad_flag("--failed", NULL, "belongs to: rerun");
    check_bad_flag("--=", NULL, "unknown flag --");
    check_bad_flag("--nodes=", NULL,
                   "flag --nodes: \"\" is not a whole number from 1 to 1024 nodes; write for "
                   "example --nodes=1");
    check_bad_flag("--heartbeat-ms=9", NULL, "\"9\" is not a time from 10ms to 1m;");
    check_bad_flag("--policy", "best", "is not one of random, least-loaded, earliest-completion");
    check_bad_flag("--bind=maybe", NULL, "is not true or false");
}

TEST(an_endless_flag_is_cut_in_the_message) {
    static char flag[20000];
    memset(flag, '-', sizeof flag - 1);
    check_bad_flag(flag, NULL, "unknown flag");
    memset(flag, 'n', sizeof flag - 1);
    memcpy(flag, "--nodes=", 8);
    check_bad_flag(flag, NULL, "is not a whole number");
}

/* --- environment --- */

TEST(environment_errors_and_warnings) {
    const char *bad[] = {"STARLANE_NODES=none", NULL};
    sl_config *config = fresh();
    CHECK_INT(sl_config_load_environment(config, (char **)bad), SL_ERR_INVALID);
    CHECK_STR(sl_err_detail(),
              "environment STARLANE_NODES: \"none\" is not a whole number from 1 to 1024 "
              "nodes; write for example STARLANE_NODES=1, or unset it");
    const char *odd[] = {"STARLANE_LOG_LEVLE=info",
                         "STARLANE_TASK_NAME=x",
                         "STARLANE_",
                         "STARLANE_QQQQQQQQ=1",
                         "STARLANE",
                         "=",
                         "",
                         "STARLANE_LOG-LEVEL=debug",
                         NULL};
    CHECK_INT(sl_config_load_environment(config, (char **)odd), SL_OK);
    CHECK_STR(sl_config_warnings(config),
              "environment STARLANE_LOG_LEVLE names no option; did you mean STARLANE_LOG_LEVEL?\n"
              "environment STARLANE_QQQQQQQQ names no option\n"
              "environment STARLANE_LOG-LEVEL names no option; did you mean STARLANE_LOG_LEVEL?\n");
    CHECK_STR(sl_config_origin(config, SL_OPT_LOG_LEVEL), "default");
    sl_config_destroy(config);
}

TEST(an_empty_variable_unsets_a_path) {
    const char *environment[] = {"STARLANE_TRACE=", NULL};
    sl_config *config = fresh();
    CHECK_INT(load(config, "trace = /tmp/t.json"), SL_OK);
    CHECK_INT(sl_config_load_environment(config, (char **)environment), SL_OK);
    CHECK(!sl_config_is_set(config, SL_OPT_TRACE));
    sl_config_destroy(config);
}

/* --- file --- */

TEST(a_file_with_everything) {
    sl_config *config = fresh();
    REQUIRE(load(config, "# comment\n\n  nodes=3   # three\r\n"
                         "output = /data/my runs#1  \n"
                         "name = \"a # \\\"b\\\" \\\\ \" # quoted\n"
                         "\tregion\t=\tus-west\n"
                         "joblog =\n"
                         "shell = yes") == SL_OK);
    CHECK_INT(sl_config_int(config, SL_OPT_NODES), 3);
    CHECK_STR(sl_config_text(config, SL_OPT_OUTPUT), "/data/my runs#1");
    CHECK_STR(sl_config_text(config, SL_OPT_NAME), "a # \"b\" \\ ");
    CHECK_STR(sl_config_text(config, SL_OPT_REGION), "us-west");
    CHECK_STR(sl_config_text(config, SL_OPT_JOBLOG), "");
    CHECK(sl_config_bool(config, SL_OPT_SHELL));
    CHECK_STR(sl_config_origin(config, SL_OPT_SHELL), "my.conf:8");
    sl_config_destroy(config);
}

static void check_bad_file(const char *text, size_t size, sl_err err, const char *cause) {
    sl_config *config = fresh();
    CHECK_INT(sl_config_load_text(config, "my.conf", text, size), err);
    CHECK_CONTAINS(sl_err_detail(), cause);
    sl_config_destroy(config);
}

TEST(bad_files_name_the_line) {
#define BAD(text, err, cause) check_bad_file(text, sizeof text - 1, err, cause)
    BAD("nodes = 3\nnode = 4\n", SL_ERR_INVALID,
        "my.conf:2: \"node\" is no option; did you mean nodes?");
    BAD("nodes = 0", SL_ERR_INVALID,
        "my.conf:1: nodes: \"0\" is not a whole number from 1 to 1024 nodes; write for example "
        "nodes = 1");
    BAD("\n\nnodes 3", SL_ERR_SYNTAX, "my.conf:3: this is no option");
    BAD("= 3", SL_ERR_SYNTAX, "my.conf:1:");
    BAD("[section]", SL_ERR_SYNTAX, "name = value");
    BAD("name = \"abc", SL_ERR_SYNTAX, "closing quote is missing");
    BAD("name = \"abc\\", SL_ERR_SYNTAX, "closing quote is missing");
    BAD("name = \"abc\" def", SL_ERR_SYNTAX, "behind the closing quote");
    BAD("nodes = 1\nnodes = 2", SL_ERR_INVALID, "set in line 1 already");
    BAD("config = other.conf", SL_ERR_INVALID, "cannot name another");
    BAD("na\0me = x", SL_ERR_SYNTAX, "NUL byte");
    BAD("nodes # = 3", SL_ERR_SYNTAX, "this is no option");
#undef BAD
}

TEST(a_file_is_bounded) {
    char path[200];
    size_t size = SL_CONFIG_FILE_LIMIT_BYTES + 1;
    char *text = malloc(size);
    memset(text, '\n', size);
    snprintf(path, sizeof path, "%s/large.conf", sl_test_dir());
    write_file(path, text, size);
    sl_config *config = fresh();
    CHECK_INT(sl_config_load_file(config, path), SL_ERR_TOO_LARGE);
    write_file(path, text, size - 1);
    CHECK_INT(sl_config_load_file(config, path), SL_OK);
    CHECK_INT(sl_config_load_file(config, "/dev/zero"), SL_ERR_TOO_LARGE);
    CHECK_INT(sl_config_load_file(config, sl_test_dir()), SL_ERR_IO);
    CHECK_INT(sl_config_load_file(config, "/nowhere/at.conf"), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), "/nowhere/at.conf: No such file");
    sl_config_destroy(config);
    free(text);
}

/* --- what is printed --- */

TEST(table_and_json_show_value_and_origin) {
    sl_strbuf out;
    sl_strbuf_init(&out, 1 << 20);
    sl_config *config = fresh();
    REQUIRE(load(config, "spin-us = 1ms\nname = \"q\\\"\"\ngpus = 0\n") == SL_OK);
    sl_config_print(config, &out);
    CHECK_CONTAINS(out.data, "spin-us              1ms");
    CHECK_CONTAINS(out.data, " my.conf:1\n");
    sl_strbuf_clear(&out);
    sl_config_json(config, &out);
    json_error_t error;
    json_t *root = json_loads(out.data, JSON_REJECT_DUPLICATES, &error);
    REQUIRE(root != NULL);
    CHECK_INT(json_object_size(root), SL_OPT_COUNT);
    json_t *spin = json_object_get(root, "spin-us");
    CHECK_DOUBLE(json_number_value(json_object_get(spin, "value")), 1000, 0);
    CHECK_STR(json_string_value(json_object_get(spin, "unit")), "us");
    CHECK_STR(json_string_value(json_object_get(spin, "source")), "file");
    CHECK_STR(json_string_value(json_object_get(spin, "origin")), "my.conf:1");
    CHECK_STR(json_string_value(json_object_get(json_object_get(root, "name"), "value")), "q\"");
    CHECK_INT(json_integer_value(json_object_get(json_object_get(root, "gpus"), "value")), 0);
    CHECK(json_is_null(json_object_get(json_object_get(root, "cpus"), "value")));
    CHECK(json_is_true(json_object_get(json_object_get(root, "bind"), "value")));
    CHECK_DOUBLE(json_number_value(json_object_get(json_object_get(root, "window-bytes"), "value")),
                 1048576, 0);
    json_decref(root);
    sl_config_destroy(config);
    sl_strbuf_fini(&out);
}

TEST(help_lists_its_groups_in_eighty_columns) {
    sl_strbuf out;
    sl_strbuf_init(&out, 1 << 20);
    sl_config_help("run", &out);
    CHECK_CONTAINS(out.data, "  --output PATH ");
    CHECK_CONTAINS(out.data, "default 30s)");
    CHECK(strstr(out.data, "--nodes") == NULL);
    sl_config_help("network common", &out);
    CHECK_CONTAINS(out.data, "--[no-]bind");
    CHECK_CONTAINS(out.data, "--help");
    int lines = 0;
    for (char *rest = out.data, *line; (line = strsep(&rest, "\n")); lines++)
        if (strlen(line) > 80 || (*line && isspace((unsigned char)line[strlen(line) - 1])))
            sl_test_fail(__FILE__, __LINE__, "line \"%s\"", line);
    CHECK(lines > 20);
    sl_strbuf_fini(&out);
}

TEST(documents_name_every_option_and_variable) {
    sl_strbuf markdown, man;
    sl_strbuf_init(&markdown, 1 << 20), sl_strbuf_init(&man, 1 << 20);
    sl_config_markdown(&markdown);
    sl_config_man(&man);
    for (int i = 0; i < SL_OPT_COUNT; i++) {
        char variable[SL_OPTION_NAME_BYTES];
        sl_option_environment(sl_option_get((sl_opt)i), variable);
        CHECK_CONTAINS(markdown.data, variable);
        CHECK_CONTAINS(markdown.data, sl_option_get((sl_opt)i)->help);
        CHECK_CONTAINS(man.data, variable);
    }
    CHECK_CONTAINS(markdown.data, "`STARLANE_TASK_*`");
    CHECK_CONTAINS(man.data, ".B \\-\\-log\\-level WORD\n");
    CHECK_INT(sl_strbuf_err(&markdown), SL_OK);
    CHECK_INT(sl_strbuf_err(&man), SL_OK);
    sl_strbuf_fini(&markdown), sl_strbuf_fini(&man);
}
