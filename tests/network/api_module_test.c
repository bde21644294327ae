/* Modules through the API, on networks inside this process: which has each module once, though each
 * node has a store and tasks of its own. */
#include "tests/lib/test.h"

#include <elf.h>

#include "sdk/module.h"
#include "starlane.h"
#include "tests/lib/module_files.h"

/* The program has a task of that name too. */
SL_TASK(who) {
    return sl_return_string(call, "the program");
}

static sl_options *options; /* while there is a network */

static void leave(void) {
    CHECK_INT(sl_shutdown(), 0);
    sl_options_destroy(options);
}

static void join(const char *nodes, const char *name, const char *value) {
    if (sl_options_create(&options) != 0 || sl_options_set(options, "nodes", nodes) != 0 ||
        sl_options_set(options, "cpus", "1") != 0 ||
        (name && sl_options_set(options, name, value) != 0))
        abort();
    sl_init_options init = {.options = options};
    if (sl_init(NULL, NULL, &init) != 0) {
        fprintf(stderr, "%s\n", sl_error_text());
        abort();
    }
}

static sl_module *load(const char *path) {
    sl_module *module = NULL;
    if (sl_module_load(path, &module) != 0)
        sl_test_fail(__FILE__, __LINE__, "%s: %s", path, sl_error_text());
    return module;
}

static void says(const sl_task *task, const char *what) {
    sl_future *future = sl_submit(task, SL_NO_ARGS);
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    CHECK_STR(sl_result_string(future), what);
    sl_release(future);
}

static void fails(const sl_task *task, const char *why) {
    sl_future *future = sl_submit(task, SL_NO_ARGS);
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), why);
    sl_release(future);
}

TEST(tasks_of_a_module) {
    join("3", NULL, NULL);
    sl_module *one = load(module_path("one"));
    const sl_task *square = sl_module_task(one, "square");
    REQUIRE(square);
    sl_future *nine = sl_submit(square, SL_ARGS(sl_f64(3)));
    sl_future *eighty_one = sl_submit(square, SL_ARGS(sl_wait_for(nine)));
    CHECK_INT(sl_wait(eighty_one, SL_FOREVER), 0);
    CHECK_DOUBLE(sl_result_f64(nine), 9, 0);
    CHECK_DOUBLE(sl_result_f64(eighty_one), 81, 0);
    sl_future *refused = sl_submit(sl_module_task(one, "refuse"), SL_ARGS(sl_string("this")));
    CHECK_INT(sl_wait(refused, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "I refuse this");
    sl_future *after = sl_submit(square, SL_ARGS(sl_wait_for(refused)));
    CHECK_INT(sl_wait(after, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "/refuse, which failed: I refuse this");
    sl_future *wrong =
        sl_submit(square, SL_ARGS(sl_string("x"))); /* arguments count from its own */
    CHECK_INT(sl_wait(wrong, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "argument 0 of task square is a string");
    CHECK(!sl_module_task(one, "cube"));
    CHECK_CONTAINS(sl_error_text(), "no task \"cube\"");
    sl_module_release(one); /* futures still know their task */
    CHECK_CONTAINS((sl_result_i64(nine), sl_error_text()), "/square");
    sl_release(nine), sl_release(eighty_one), sl_release(refused), sl_release(after);
    sl_release(wrong);
    leave();
}

TEST(many_at_once_load_it_once) {
    enum { COUNT = 400 };
    sl_args args[COUNT];
    sl_future *futures[COUNT];
    bool ran[4] = {false};
    join("4", NULL, NULL);
    sl_module *one = load(module_path("one"));
    for (int i = 0; i < COUNT; i++)
        args[i] = SL_NO_ARGS;
    CHECK_INT(sl_submit_batch(sl_module_task(one, "constructions"), args, COUNT, NULL, futures), 0);
    CHECK_INT(sl_wait_all(futures, COUNT, SL_FOREVER), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(sl_result_i64(futures[i]), 1);
        sl_release(futures[i]);
    }
    CHECK_INT(sl_submit_batch(sl_module_task(one, "node"), args, COUNT, NULL, futures), 0);
    CHECK_INT(sl_wait_all(futures, COUNT, SL_FOREVER), 0);
    for (int i = 0; i < COUNT; i++) {
        ran[sl_result_i64(futures[i])] = true;
        sl_release(futures[i]);
    }
    CHECK(ran[0] + ran[1] + ran[2] + ran[3] > 1);
    sl_module_release(one);
    leave();
}

/* More of them than threads that may wait. */
TEST(very_many_wait_for_one_that_is_slow) {
    enum { COUNT = 5000 };
    static sl_args args[COUNT];
    static sl_future *futures[COUNT];
    char path[600];
    size_t size;
    uint8_t *bytes = module_bytes("slow", &size);
    sl_task_options none = {.cpus = SL_NO_CPUS};
    join("2", NULL, NULL);
    for (int i = 0; i < 2; i++) { /* as many at once as there are cores; and as there are threads */
        snprintf(path, sizeof path, "%s/slow-%d.so", sl_test_dir(), i);
        bytes = realloc(bytes, size + 1);
        bytes[size] = 0; /* behind the end: another module */
        write_module(path, bytes, size + (size_t)i);
        sl_module *slow = load(path);
        CHECK_INT(sl_submit_batch(sl_module_task(slow, "constructions"), args, COUNT,
                                  i ? &none : NULL, futures),
                  0);
        CHECK_INT(sl_wait_all(futures, COUNT, SL_FOREVER), 0);
        for (int j = 0; j < COUNT; j++) {
            CHECK_INT(sl_result_i64(futures[j]), 1);
            sl_release(futures[j]);
        }
        sl_module_release(slow);
    }
    leave();
    free(bytes);
}

TEST(a_map_by_a_module) {
    enum { COUNT = 200000 };
    size_t count;
    float *in = malloc(COUNT * sizeof *in);
    for (int i = 0; i < COUNT; i++)
        in[i] = (float)i;
    join("2", NULL, NULL);
    sl_module *one = load(module_path("one"));
    sl_future *future =
        sl_map(sl_module_task(one, "double_all"), sl_vector(SL_F32, in, COUNT), NULL);
    sl_module_release(one);
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    const float *out = sl_result_array(future, SL_F32, &count);
    CHECK_INT(count, COUNT);
    for (size_t i = 0; i < count; i++)
        if (out[i] != 2 * in[i])
            REQUIRE(!"a wrong element");
    sl_release(future);
    leave();
    free(in);
}

TEST(two_with_tasks_of_the_same_names) {
    sl_module *one, *two, *again;
    join("2", NULL, NULL);
    one = load(module_path("one"));
    two = load(module_path("two"));
    again = load(module_path("one"));
    CHECK(strcmp(sl_module_id(one), sl_module_id(two)) != 0);
    CHECK_STR(sl_module_id(again), sl_module_id(one));
    for (int i = 0; i < 5; i++) {
        says(sl_module_task(one, "who"), "one");
        says(sl_module_task(two, "who"), "two");
        says(sl_module_task(again, "who"), "one");
        says(&who, "the program");
    }
    sl_module_release(one);
    says(sl_module_task(again, "who"), "one");
    sl_module_release(again);
    sl_module_release(two);
    leave();
}

TEST(a_file_that_is_replaced) {
    char path[600];
    size_t size, other_size;
    uint8_t *bytes = module_bytes("one", &size), *other = module_bytes("two", &other_size);
    snprintf(path, sizeof path, "%s/libmine.so", sl_test_dir());
    join("2", NULL, NULL);
    write_module(path, bytes, size);
    sl_module *before = load(path);
    says(sl_module_task(before, "who"), "one");
    write_module(path, other, other_size);
    sl_module *after = load(path);
    says(sl_module_task(after, "who"), "two");
    says(sl_module_task(before, "who"), "one"); /* goes on with what it was */
    sl_module_release(before);
    sl_module_release(after);
    leave();
    free(bytes), free(other);
}

TEST(tasks_that_submit_tasks_of_their_module) {
    join("3", NULL, NULL);
    sl_module *one = load(module_path("one"));
    sl_future *sums[8];
    for (int i = 0; i < 8; i++)
        sums[i] = sl_submit(sl_module_task(one, "sum_of_squares"), SL_ARGS(sl_i64(10)));
    for (int i = 0; i < 8; i++) {
        CHECK_INT(sl_wait(sums[i], SL_FOREVER), 0);
        CHECK_DOUBLE(sl_result_f64(sums[i]), 285, 0);
        sl_release(sums[i]);
    }
    sl_future *left = sl_submit(sl_module_task(one, "leave_behind"), SL_NO_ARGS);
    sl_module_release(one);
    CHECK_INT(sl_wait(left, SL_FOREVER), 0);
    sl_release(left);
    leave();
}

TEST(objects_from_and_to_a_module) {
    join("3", NULL, NULL);
    sl_module *one = load(module_path("one"));
    sl_future *made = sl_submit(sl_module_task(one, "make_object"), SL_ARGS(sl_i64(50000)));
    sl_future *summed = sl_submit(sl_module_task(one, "sum_object"), SL_ARGS(sl_wait_for(made)));
    CHECK_INT(sl_wait(summed, SL_FOREVER), 0);
    CHECK_DOUBLE(sl_result_f64(summed), 50000, 0);
    sl_release(made), sl_release(summed);
    sl_module_release(one);
    leave();
}

/* ---- what does not go ---- */

/* A module that says of itself what is not so. */
static sl_module *forged(const uint8_t *bytes, size_t size, const sl_module_key *key) {
    size_t good_size;
    uint8_t *good = module_bytes("two", &good_size);
    sl_module_file file;
    sl_module *module = NULL;
    sl_object *object = sl_put(sl_bytes(bytes, size));
    if (!object || sl_module_file_read(good, good_size, &file) != SL_OK ||
        sl_module_make(key, &file, object, &module) != SL_OK)
        abort();
    free(good);
    return module;
}

static void fails_as(const uint8_t *bytes, size_t size, const char *why) {
    sl_module_key key;
    if (sl_module_key_of(bytes, size, &key) != SL_OK)
        abort();
    sl_module *module = forged(bytes, size, &key);
    fails(sl_module_task(module, "who"), why);
    sl_module_release(module);
}

TEST(what_a_node_refuses) {
    size_t size;
    sl_module_key key;
    char path[600];
    uint8_t *bytes = module_bytes("two", &size);
    bytes = realloc(bytes, size + 1); /* one that no test has loaded before */
    bytes[size++] = 'x';
    snprintf(path, sizeof path, "%s/longer.so", sl_test_dir());
    write_module(path, bytes, size);
    join("2", NULL, NULL);
    CHECK_INT(sl_module_key_of(bytes, size, &key), SL_OK);
    bytes[size - 1] ^= 1;
    sl_module *wrong = forged(bytes, size, &key);
    fails(sl_module_task(wrong, "who"), "SHA-256 is");
    sl_module *cut = forged(bytes, size - 10, &key);
    fails(sl_module_task(cut, "who"), "bytes, not");
    fails_as(bytes, size / 2, "is it cut?");
    Elf64_Ehdr *head = (Elf64_Ehdr *)(void *)bytes;
    head->e_machine = head->e_machine == EM_AARCH64 ? EM_X86_64 : EM_AARCH64;
    fails_as(bytes, size, "the module was built for");
    sl_module *good = load(path); /* of the hash that the wrong one was said to have */
    says(sl_module_task(good, "who"), "two");
    says(&who, "the program"); /* nothing was harmed */
    sl_module_release(wrong), sl_module_release(cut), sl_module_release(good);
    leave();
    free(bytes);
}

static void fails_to_load(const char *name, const char *why) {
    sl_module *module = load(module_path(name));
    fails(sl_module_task(module, "who"), why);
    fails(sl_module_task(module, "who"), why); /* again: it is tried again */
    sl_module_release(module);
}

TEST(what_a_node_cannot_load) {
    join("2", NULL, NULL);
    fails_to_load("refusing", "the module says: the licence of 1999 has expired");
    fails_to_load("lacking", "nobody_has_this");
    fails_to_load("acting", "modules have tasks alone");
    says(&who, "the program");
    leave();
}

TEST(a_task_that_the_file_does_not_have) {
    size_t size;
    sl_module_key key;
    uint8_t *bytes = module_bytes("clashing", &size);
    join("2", NULL, NULL);
    CHECK_INT(sl_module_key_of(bytes, size, &key), SL_OK);
    sl_module *module = forged(bytes, size, &key);
    fails(sl_module_task(module, "who"), "no task \"who\"; it has task_of_the_program");
    sl_module_release(module);
    leave();
    free(bytes);
}

TEST(values_that_say_no_module) {
    sl_task shell = {.name = "0000000000000000/who", .options = {.last_ = SL_TASK_REGISTERED}};
    uint8_t about[SL_MODULE_ABOUT_HEAD + 3] = {0};
    join("2", NULL, NULL);
    sl_object *object = sl_put(sl_bytes("x", 1));
    fails(&shell, "without its file");
    sl_future *none = sl_submit(&shell, SL_ARGS(sl_object_value(object), sl_i64(1)));
    CHECK_INT(sl_wait(none, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "does not say what it calls");
    memcpy(about + SL_MODULE_ABOUT_HEAD, "who", 3);
    sl_value says = sl_bytes(about, sizeof about);
    sl_future *empty = sl_submit(&shell, SL_ARGS(sl_object_value(object), says));
    CHECK_INT(sl_wait(empty, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "the module has 1 bytes, not 0");
    shell.name = "0000000000000000/whom";
    sl_future *other = sl_submit(&shell, SL_ARGS(sl_object_value(object), says));
    CHECK_INT(sl_wait(other, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "named 0000000000000000/whom");
    sl_release(none), sl_release(empty), sl_release(other);
    sl_object_release(object);
    leave();
}

TEST(a_network_that_takes_none) {
    join("2", "modules", "off");
    sl_module *one = load(module_path("one"));
    fails(sl_module_task(one, "who"), "this network takes no modules");
    says(&who, "the program");
    sl_module_release(one);
    leave();
    sl_module *none;
    CHECK_INT(sl_module_load(module_path("one"), &none), SL_ERROR_CLOSED);
}
