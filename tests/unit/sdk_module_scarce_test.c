/* Modules where memory, or the system, fails at every single call on their way: they are there, or
 * refused with a cause; nothing stays open, and nothing is half loaded. */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "sdk/module.h"
#include "sdk/task_text.h"
#include "tests/lib/module_files.h"
#include "tests/lib/scarce.h"

enum { CALLS_MOST = 500 };

static int next_fd(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

static void fail_everywhere(sl_err (*attempt)(void)) {
    unsigned n = 1, refused = 0;
    int before = next_fd();
    for (; n < CALLS_MOST; n++) {
        scarce_begin(SCARCE_MEMORY | SCARCE_SYSTEM, n, false);
        sl_err err = attempt();
        bool failed = scarce_end();
        CHECK(err == SL_OK || sl_err_detail()[0]);
        CHECK_INT(next_fd(), before);
        refused += err != SL_OK;
        if (!failed)
            break;
    }
    CHECK(n > 1 && n < CALLS_MOST && refused);
}

static sl_err read_and_make(void) {
    uint8_t *bytes;
    sl_module_key key;
    sl_module_file file, copy;
    sl_module *module;
    SL_TRY(sl_module_read(module_path("one"), &bytes, &key, &file));
    free(bytes);
    sl_err err = sl_module_file_copy(&file, &copy);
    if (err == SL_OK)
        sl_module_file_fini(&copy);
    if (err == SL_OK)
        err = sl_module_make(&key, &file, NULL, &module);
    if (err == SL_OK)
        sl_module_release(module);
    else
        sl_module_file_fini(&file);
    return err;
}

static uint8_t *bytes_of_two;
static size_t size_of_two;
static sl_module_place place;

static sl_err load_and_unload(void) {
    sl_module_key key;
    sl_loaded_module *module;
    const sl_task *task;
    SL_TRY(sl_module_key_of(bytes_of_two, size_of_two, &key));
    SL_TRY(sl_module_load_bytes(&key, bytes_of_two, size_of_two, place, &module));
    sl_err err = sl_loaded_module_task(module, "who", &task);
    sl_module_unload(module);
    return err;
}

static sl_err give(void *context, const void **bytes, size_t *size) {
    (void)context;
    *bytes = bytes_of_two;
    *size = size_of_two;
    return SL_OK;
}

static void given_back(void *context) {
    (void)context;
}

/* Once it is there it stays, with its file open. */
static sl_err use(void) {
    static const sl_module_source source = {give, given_back, NULL, false};
    sl_module_key key;
    sl_loaded_module *module;
    uint32_t before = sl_modules_loaded();
    SL_TRY(sl_module_key_of(bytes_of_two, size_of_two, &key));
    sl_err err = sl_module_use(&key, &source, NULL, &module);
    CHECK_INT(sl_modules_loaded(), err == SL_OK ? 1 : before);
    if (err == SL_OK)
        sl_module_done(module);
    return err;
}

static sl_err read_arguments(void) {
    sl_value text = sl_string("[1, [2, 3.5], \"four\"]");
    sl_text_args *args;
    SL_TRY(sl_text_args_read(&text, 1, &args));
    sl_text_args_free(args);
    return SL_OK;
}

TEST(reading) {
    fail_everywhere(read_and_make);
}

TEST(loading) {
    bytes_of_two = module_bytes("two", &size_of_two);
    place = SL_MODULE_IN_MEMORY;
    fail_everywhere(load_and_unload);
    place = SL_MODULE_IN_FILE;
    fail_everywhere(load_and_unload);
    free(bytes_of_two);
}

/* Where the system seals no memory file a module is loaded from the disk, but not this one. */
TEST(one_that_may_lie_in_no_file) {
    sl_module_key key;
    sl_loaded_module *module;
    bytes_of_two = module_bytes("two", &size_of_two);
    place = SL_MODULE_NOT_IN_FILE;
    REQUIRE(sl_module_key_of(bytes_of_two, size_of_two, &key) == SL_OK);
    for (unsigned n = 1; n < 20; n++) { /* one of them is what seals the memory file */
        scarce_begin(SCARCE_SYSTEM, n, false);
        sl_err err = sl_module_load_bytes(&key, bytes_of_two, size_of_two, place, &module);
        bool failed = scarce_end();
        if (err == SL_OK)
            sl_module_unload(module);
        else
            CHECK_CONTAINS(sl_err_detail(), "a memory file cannot be sealed");
        CHECK(err != SL_OK || !failed);
        if (!failed)
            break;
    }
    fail_everywhere(load_and_unload);
    free(bytes_of_two);
}

TEST(arguments_in_text) {
    fail_everywhere(read_arguments);
}

TEST(the_table) {
    unsigned n = 1;
    bytes_of_two = module_bytes("two", &size_of_two);
    for (bool failed = true; failed && n < CALLS_MOST; n++) {
        scarce_begin(SCARCE_MEMORY | SCARCE_SYSTEM, n, false);
        sl_err err = use();
        failed = scarce_end();
        CHECK(err == SL_OK || failed);
    }
    CHECK_INT(sl_modules_loaded(), 1);
    free(bytes_of_two);
}
