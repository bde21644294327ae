/* Whole networks through the public header: nodes as threads of this process. */
#include "tests/lib/test.h"

#include <pthread.h>
#include <unistd.h>

#include "starlane.h"

static sl_options *options_for(const char *nodes) {
    sl_options *options = NULL;
    if (sl_options_create(&options) != 0 || sl_options_set(options, "nodes", nodes) != 0)
        abort();
    return options;
}

static _Atomic int calls;

static int count_call(const void *arguments, size_t bytes, sl_reply *reply, void *context) {
    *(_Atomic int *)context += 1;
    return sl_reply_write(reply, arguments, bytes);
}

static int refuse(const void *arguments, size_t bytes, sl_reply *reply, void *context) {
    (void)arguments, (void)bytes, (void)context;
    return sl_reply_fail(reply, "as asked");
}

static const char *write_file(const char *name, const char *text) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", sl_test_dir(), name);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
    return path;
}

static char *file_text(const char *folder, const char *name) {
    static char text[4096];
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[length] = '\0';
    if (file)
        fclose(file);
    return text;
}

/* Registered by the first test; the table closes with the first network. */
TEST(a_registered_functions_and_commands_run) {
    char output[256];
    int code = -1;
    CHECK_INT(sl_register_function("test.count", count_call, &calls), 0);
    CHECK_INT(sl_register_function("test.refuse", refuse, NULL), 0);
    sl_options *options = options_for("4");
    snprintf(output, sizeof output, "%s/run", sl_test_dir());
    CHECK_INT(sl_options_set(options, "output", output), 0);
    sl_network *network = NULL;
    CHECK_INT(sl_network_open(options, NULL, &network), 0);
    CHECK_INT(sl_network_size(network), 4);
    sl_run_request request = {
        .tasks =
            write_file("tasks", "{\"name\":\"f\",\"function\":\"test.count\",\"args\":\"yes\"}\n"
                                "{\"name\":\"c\",\"shell\":\"echo shell\",\"after\":[\"f\"]}\n"
                                "{\"name\":\"r\",\"function\":\"test.refuse\"}\n")};
    CHECK_INT(sl_run(network, &request, &code), 0);
    CHECK_INT(code, SL_RUN_FAILED);
    CHECK_INT(calls, 1);
    CHECK_INT(sl_network_is_clean(network), 1);
    CHECK(sl_run(network, &request, &code) != 0); /* once */
    sl_network_close(network, code);
    sl_options_destroy(options);
    CHECK_STR(file_text(output, "stdout/f"), "yes");
    CHECK_STR(file_text(output, "stdout/c"), "shell\n");
    CHECK(sl_register_function("test.late", count_call, &calls) != 0);

    char *text = NULL;
    CHECK_INT(sl_explain(output, "r", 0, &text), 0);
    CHECK(text && strstr(text, "as asked"));
    sl_free(text);
    CHECK_INT(sl_explain(output, NULL, 1, &text), 0);
    CHECK(text && strstr(text, "\"done\": 2"));
    sl_free(text);
    CHECK(sl_explain(output, "nosuch", 0, &text) != 0);
}

TEST(bad_input_runs_nothing) {
    char output[256];
    int code = -1;
    sl_options *options = options_for("2");
    snprintf(output, sizeof output, "%s/bad", sl_test_dir());
    CHECK_INT(sl_options_set(options, "output", output), 0);
    sl_network *network = NULL;
    CHECK_INT(sl_network_open(options, NULL, &network), 0);
    sl_run_request request = {.tasks = write_file("bad-tasks", "{\"name\":\n")};
    CHECK(sl_run(network, &request, &code) != 0);
    CHECK_INT(code, SL_RUN_BAD_INPUT);
    CHECK(access(output, F_OK) != 0);
    sl_network_close(network, code);
    sl_options_destroy(options);
}

static void *stop_soon(void *argument) {
    usleep(100000);
    CHECK_INT(sl_network_stop(argument, 5), 0);
    CHECK_INT(sl_network_stop(argument, 6), 0); /* the first one counts */
    CHECK(sl_network_stop(argument, 256) != 0);
    return NULL;
}

TEST(a_network_is_served_until_it_is_stopped) {
    sl_options *options = options_for("3");
    sl_network *network = NULL;
    pthread_t stopper;
    int code = -1;
    CHECK_INT(sl_network_open(options, NULL, &network), 0);
    CHECK_INT(sl_network_rank(network), 0);
    pthread_create(&stopper, NULL, stop_soon, network);
    CHECK_INT(sl_network_serve(network, &code), 0);
    pthread_join(stopper, NULL);
    CHECK_INT(code, 5);
    sl_network_close(network, code);
    sl_options_destroy(options);
}

TEST(a_network_that_is_not_used_is_closed) {
    sl_options *options = options_for("5");
    sl_network *network = NULL;
    CHECK_INT(sl_network_open(options, NULL, &network), 0);
    sl_network_close(network, 0);
    sl_network_close(NULL, 0);
    CHECK_INT(sl_options_set(options, "topology-file", "/nosuch/file"), 0);
    CHECK(sl_network_open(options, NULL, &network) != 0);
    CHECK(strstr(sl_error_text(), "/nosuch/file") != NULL);
    sl_options_destroy(options);
}

TEST(topo_describes_every_node) {
    sl_options *options = options_for("2");
    char *text = NULL;
    for (int json = 0; json < 2; json++) {
        sl_network *network = NULL;
        CHECK_INT(sl_options_set(options, "regions", "us:1,eu:1"), 0);
        CHECK_INT(sl_network_open(options, NULL, &network), 0);
        CHECK_INT(sl_topo(network, json, &text), 0);
        CHECK(text && strstr(text, "us") && strstr(text, "eu"));
        sl_free(text);
        sl_network_close(network, 0);
    }
    sl_options_destroy(options);
}
