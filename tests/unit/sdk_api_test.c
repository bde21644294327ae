/* The public header's parts that need no network: versions, errors, options, functions. */
#include "tests/lib/test.h"

#include "starlane.h"

static sl_options *options_new(void) {
    sl_options *options = NULL;
    if (sl_options_create(&options) != 0)
        abort();
    return options;
}

TEST(version_is_that_of_the_header) {
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", SL_VERSION_MAJOR, SL_VERSION_MINOR, SL_VERSION_PATCH);
    CHECK_STR(sl_version(), text);
    CHECK(strstr(sl_build_info(), text) != NULL);
}

TEST(errors_have_names) {
    CHECK_STR(sl_error_name(0), "OK");
    CHECK(strcmp(sl_error_name(1), "OK") != 0);
}

TEST(options_are_set_by_name) {
    sl_options *options = options_new();
    CHECK_STR(sl_options_get(options, "nodes"), "1");
    CHECK_INT(sl_options_set(options, "nodes", "3"), 0);
    CHECK_STR(sl_options_get(options, "nodes"), "3");
    CHECK(sl_options_set(options, "nodes", "none") != 0);
    CHECK(strstr(sl_error_text(), "nodes") != NULL);
    CHECK_STR(sl_options_get(options, "nodes"), "3");
    CHECK(sl_options_set(options, "node", "3") != 0);
    CHECK(strstr(sl_error_text(), "nodes") != NULL);
    CHECK(sl_options_get(options, "nosuch") == NULL);
    CHECK_INT(sl_options_is_on(options, "shell"), 0);
    CHECK_INT(sl_options_set(options, "shell", "true"), 0);
    CHECK_INT(sl_options_is_on(options, "shell"), 1);
    CHECK_INT(sl_options_is_on(options, "nodes"), 0);
    sl_options_destroy(options);
}

TEST(options_are_taken_from_arguments) {
    sl_options *options = options_new();
    char *argv[] = {(char[]){"program"}, (char[]){"--nodes=5"}, (char[]){"file"}, NULL};
    int argc = 3;
    CHECK_INT(sl_options_load(options, "run network", &argc, argv), 0);
    CHECK_INT(argc, 2);
    CHECK_STR(argv[1], "file");
    CHECK_STR(sl_options_get(options, "nodes"), "5");
    sl_options_destroy(options);
}

TEST(options_print_themselves) {
    sl_options *options = options_new();
    char *table = sl_options_print(options, 0), *json = sl_options_print(options, 1);
    char *help = sl_options_help("topo"), *man = sl_options_man();
    CHECK(table && strstr(table, "mailbox-limit"));
    CHECK(json && strstr(json, "\"mailbox-limit\": {"));
    CHECK(help && strstr(help, "--json") && strstr(help, "--log-level") &&
          !strstr(help, "--shell"));
    CHECK(man && strstr(man, ".SH OPTIONS"));
    sl_free(table);
    sl_free(json);
    sl_free(help);
    sl_free(man);
    sl_options_destroy(options);
}

static int nothing(const void *arguments, size_t bytes, sl_reply *reply, void *context) {
    (void)arguments, (void)bytes, (void)reply, (void)context;
    return 0;
}

TEST(functions_are_registered_once) {
    CHECK_INT(sl_register_function("test.nothing", nothing, NULL), 0);
    CHECK(sl_register_function("test.nothing", nothing, NULL) != 0);
    CHECK(sl_register_function("test.null", NULL, NULL) != 0);
    CHECK(sl_register_function("no blanks", nothing, NULL) != 0);
    CHECK(sl_register_function("starlane.mine", nothing, NULL) != 0);
    CHECK(strstr(sl_error_text(), "starlane.*") != NULL);
}

TEST(launch_rank_comes_from_the_environment) {
    unsetenv("OMPI_COMM_WORLD_RANK");
    unsetenv("PMIX_RANK");
    unsetenv("PMI_RANK");
    unsetenv("PMI_ID");
    CHECK_INT(sl_launch_rank(), 0);
    setenv("PMIX_RANK", "3", 1);
    CHECK_INT(sl_launch_rank(), 3);
    unsetenv("PMIX_RANK");
}
