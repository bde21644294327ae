/* Modules from outside: a network whose program does not have their tasks, and clients that bring
 * them; also such as may not, or name what is not theirs. */
#include "tests/lib/test.h"

#include <string.h>

#include "sdk/module.h"
#include "sdk/remote_name.h"
#include "sdk/value.h"
#include "tests/lib/module_files.h"
#include "tests/lib/outside.h"

SL_TASK(own) {
    return sl_return_string(call, "the program");
}

static sl_module *bring(sl_remote *remote, const char *name) {
    sl_module *module = NULL;
    if (sl_remote_module_load(remote, module_path(name), &module) != 0)
        sl_test_fail(__FILE__, __LINE__, "%s: %s", name, sl_error_text());
    return module;
}

static void says(sl_remote *remote, const sl_module *module, const char *what) {
    sl_future *future =
        sl_remote_submit_task(remote, sl_module_task(module, "who"), SL_NO_ARGS, NULL);
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    CHECK_STR(sl_result_string(future), what);
    sl_release(future);
}

static void fails(sl_future *future, const char *why) {
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), why);
    sl_release(future);
}

static void results(sl_remote *remote) {
    sl_module *one = bring(remote, "one");
    const sl_task *square = sl_module_task(one, "square");
    sl_future *nine = sl_remote_submit_task(remote, square, SL_ARGS(sl_f64(3)), NULL);
    sl_future *sum = sl_remote_submit_task(remote, sl_module_task(one, "sum_of_squares"),
                                           SL_ARGS(sl_i64(10)), NULL);
    sl_future *made = sl_remote_submit_task(remote, sl_module_task(one, "make_object"),
                                            SL_ARGS(sl_i64(100000)), NULL);
    sl_view view;
    CHECK_INT(sl_wait(nine, SL_FOREVER), 0);
    CHECK_DOUBLE(sl_result_f64(nine), 9, 0);
    CHECK_INT(sl_wait(sum, SL_FOREVER), 0);
    CHECK_DOUBLE(sl_result_f64(sum), 285, 0);
    CHECK_INT(sl_wait(made, SL_FOREVER), 0);
    CHECK_INT(sl_get(sl_result_object(made), SL_FOREVER, &view), 0);
    CHECK_INT(sl_value_count(&view.value), 100000);
    sl_view_release(&view);
    sl_future *summed =
        sl_remote_submit_task(remote, sl_module_task(one, "sum_object"),
                              SL_ARGS(sl_object_value(sl_result_object(made))), NULL);
    CHECK_INT(sl_wait(summed, SL_FOREVER), 0);
    CHECK_DOUBLE(sl_result_f64(summed), 100000, 0);
    fails(sl_remote_submit_task(remote, sl_module_task(one, "refuse"), SL_ARGS(sl_string("this")),
                                NULL),
          "I refuse this");
    CHECK(!sl_submit(square, SL_ARGS(sl_f64(3)))); /* of the connection, not of this process */
    CHECK_CONTAINS(sl_error_text(), "an object of a connection");
    CHECK(!sl_remote_submit_task(remote, &own, SL_NO_ARGS, NULL));
    CHECK_CONTAINS(sl_error_text(), "sl_remote_submit()");
    sl_module_release(one);
    sl_release(nine), sl_release(sum), sl_release(made), sl_release(summed);
    CHECK_INT(outside_field(remote, "held_bytes"), 0);
}

static void two_projects(sl_remote *a, sl_remote *b) {
    sl_module *one = bring(a, "one"), *two = bring(b, "two");
    says(a, one, "one");
    says(b, two, "two");
    CHECK(!sl_remote_submit_task(b, sl_module_task(one, "who"), SL_NO_ARGS, NULL));
    CHECK_CONTAINS(sl_error_text(), "not of this connection");
    sl_module_release(one), sl_module_release(two);
}

static void what_nodes_refuse(sl_remote *remote) {
    sl_module *refusing = bring(remote, "refusing"), *lacking = bring(remote, "lacking"), *none;
    fails(sl_remote_submit_task(remote, sl_module_task(refusing, "who"), SL_NO_ARGS, NULL),
          "the licence of 1999 has expired");
    fails(sl_remote_submit_task(remote, sl_module_task(lacking, "who"), SL_NO_ARGS, NULL),
          "nobody_has_this");
    sl_module_release(refusing), sl_module_release(lacking);
    CHECK_INT(sl_remote_module_load(remote, "/proc/self/exe", &none), SL_ERROR_INVALID);
    CHECK_INT(sl_remote_module_load(remote, "/nowhere.so", &none), SL_ERROR_NOT_FOUND);
}

/* A call as no client of ours makes it: of `function`, about `about`, with the object `number`. */
static sl_future *forge(sl_remote *remote, const char *function, sl_value about, uint64_t number) {
    sl_store_id id = sl_remote_name_of(number);
    sl_value values[SL_MODULE_VALUES] = {{.type = SL_TYPE_OBJECT, .data = &id}, about};
    sl_value_size size;
    uint8_t wire[512];
    CHECK_INT(sl_values_measure(values, SL_MODULE_VALUES, &size), SL_OK);
    sl_values_encode(values, SL_MODULE_VALUES, wire, NULL);
    return sl_remote_call(remote, function, wire, size.bytes, NULL);
}

static void what_is_not_theirs(sl_remote *remote, sl_remote *other, sl_remote *without) {
    sl_module *two = bring(other, "two"), *own_one = bring(remote, "one");
    const sl_module_entry *entry = sl_module_entry_of(sl_module_task(two, "who"));
    sl_value about = sl_bytes(entry->about, entry->about_bytes);
    says(other, two, "two");
    fails(forge(remote, entry->name, about, 4711), "there is no such object here");
    fails(forge(remote, "0123456789abcdef/who", about, 1), "there is no such object here");
    fails(forge(without, entry->name, about, 1), "it lacks the scope module");
    fails(forge(without, "/", about, 1), "it lacks the scope module");
    sl_module *brought = bring(without, "one"); /* an object like any other */
    fails(sl_remote_submit_task(without, sl_module_task(brought, "who"), SL_NO_ARGS, NULL),
          "it lacks the scope module");
    says(remote, own_one, "one");
    sl_module_release(two), sl_module_release(own_one), sl_module_release(brought);
}

static void holds(const char *directory, const char *name, const char *what) {
    char path[1200], text[200] = "";
    snprintf(path, sizeof path, "%s/stdout/%s", directory, name);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    if (file) {
        size_t bytes = fread(text, 1, sizeof text - 1, file);
        text[bytes] = '\0';
        fclose(file);
    }
    CHECK_STR(text, what);
}

static void lists(sl_remote *remote, const char *name, int expected) {
    char tasks[600], output[600], text[4 * PATH_MAX];
    int code = -1;
    sl_options *options;
    snprintf(tasks, sizeof tasks, "%s/%s.jsonl", sl_test_dir(), name);
    snprintf(output, sizeof output, "%s/%s", sl_test_dir(), name);
    int bytes = snprintf(text, sizeof text,
                         "{\"name\":\"nine\",\"module\":\"%s\",\"function\":\"square\","
                         "\"args\":[3.0]}\n",
                         module_path("one"));
    bytes += snprintf(text + bytes, sizeof text - (size_t)bytes,
                      "{\"name\":\"vector\",\"module\":\"%s\",\"function\":\"make_object\","
                      "\"args\":2,\"after\":[\"nine\"]}\n",
                      module_path("one"));
    write_module(tasks, (const uint8_t *)text, (size_t)bytes);
    REQUIRE(sl_options_create(&options) == 0 && sl_options_set(options, "output", output) == 0);
    sl_run_request request = {.tasks = tasks};
    CHECK_INT(sl_remote_run(remote, options, &request, &code), 0);
    CHECK_INT(code, expected);
    if (expected == SL_RUN_DONE) {
        holds(output, "nine", "9\n");
        holds(output, "vector", "[1, 1]\n");
    }
    sl_options_destroy(options);
}

TEST(modules_from_outside) {
    REQUIRE(outside_begin() == 0);
    sl_remote *a = outside_join("physics", "submit,read,module");
    sl_remote *b = outside_join("chemistry", "submit,read,module");
    sl_remote *c = outside_join("physics", "submit,read,admin");
    REQUIRE(a && b && c);
    results(a);
    two_projects(a, b);
    what_nodes_refuse(b);
    what_is_not_theirs(a, b, c);
    lists(a, "allowed", SL_RUN_DONE);
    lists(c, "refused", SL_RUN_FAILED);
    sl_disconnect(a), sl_disconnect(b), sl_disconnect(c);
    CHECK_INT(sl_shutdown(), 0);
}
