/* Sealed modules through the application interface, on a network inside this process whose nodes
 * copy each other's objects: every byte between them, and all that the stores hold in memory and on
 * disk, is searched for what was sealed, the module's own bytes among it. And what does not open:
 * modules that were changed, cut, or another's, and tasks that are not what they travel as. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/secure/parcel.h"
#include "actors/secure/secret.h"
#include "sdk/module.h"
#include "sdk/seal.h"
#include "tests/lib/module_files.h"
#include "tests/lib/sealed_network.h"

enum { TIMES = 60, LARGE = 1 << 20 };

static const char secret[] = "what nobody between the two ends may read, whoever they are";
static const char reason[] = "a reason that would give away what was computed, if told";
static const char code[] = "what stands in the module's file and is nobody's to read on its way";

SL_TASK(own) {
    return sl_return_string(call, "the program");
}

/* ---- who listens on disk ---- */

static bool is_in_file(int fd, size_t size, const char *what) {
    char *bytes = malloc(size + 1);
    bool found = bytes && pread(fd, bytes, size, 0) == (ssize_t)size &&
                 memmem(bytes, size, what, strlen(what)) != NULL;
    free(bytes);
    return found;
}

/* What this process has open of files without a name, in a directory of the test's: what stores
 * have spilled. */
static bool is_spilled(const char *what) {
    bool found = false;
    int files = 0;
    DIR *entries = opendir("/proc/self/fd");
    for (struct dirent *e; entries && (e = readdir(entries));) {
        char path[300], target[300] = "";
        struct stat facts;
        snprintf(path, sizeof path, "/proc/self/fd/%s", e->d_name);
        if (readlink(path, target, sizeof target - 1) <= 0 || !strstr(target, "(deleted)") ||
            !strstr(target, sl_test_dir()))
            continue;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode)) {
            files++;
            found |= is_in_file(fd, (size_t)facts.st_size, what);
        }
        if (fd >= 0)
            close(fd);
    }
    if (entries)
        closedir(entries);
    CHECK(files > 0);
    return found;
}

/* ---- the network ---- */

static void begin(const char *name, const char *value, const char *other, const char *what) {
    const char *const more[] = {"cpus", "1",   "store-share", "false", name,
                                value,  other, what,          NULL};
    join_with(sl_test_keys_make()->node, more);
}

static const sl_task_options *sealed_too(const sl_task *task) {
    static sl_task_options how;
    how = sealed(task);
    return &how;
}

/* The module with `code` and a number behind its file: each is another module, and is loaded anew.
 */
static const char *new_file(void) {
    static int number;
    static char path[400];
    size_t size;
    uint8_t *bytes = module_bytes("keen", &size);
    bytes = realloc(bytes, size + sizeof code + sizeof number);
    memcpy(bytes + size, code, sizeof code);
    memcpy(bytes + size + sizeof code, &number, sizeof number);
    snprintf(path, sizeof path, "%s/keen-%d.so", sl_test_dir(), number++);
    write_module(path, bytes, size + sizeof code + sizeof number);
    free(bytes);
    return path;
}

static sl_module *load(bool is_sealed) {
    sl_module *module = NULL;
    const char *path = new_file();
    sl_test_keys_need(
        is_sealed ? sl_module_load_sealed(path, &module) : sl_module_load(path, &module), path);
    return module;
}

/* In the store: what any rank of the host may read. */
static bool stores(const sl_module *module, const char *what) {
    sl_view view;
    sl_test_keys_need(sl_get(module->object, 10, &view), "the module's object");
    bool found = memmem(view.value.data, view.value.bytes, what, strlen(what)) != NULL;
    sl_view_release(&view);
    return found;
}

static const sl_task *task_of(const sl_module *module, const char *name) {
    const sl_task *task = sl_module_task(module, name);
    if (!task)
        sl_test_fail(__FILE__, __LINE__, "%s", sl_error_text());
    return task;
}

/* ---- what is kept, and from whom ---- */

static void use(const sl_module *module, bool is_sealed) {
    sl_future *futures[TIMES];
    uint64_t nodes = 0;
    const sl_task *word = task_of(module, "keen_word"), *node = task_of(module, "keen_node");
    for (int i = 0; i < TIMES; i++)
        futures[i] = sl_submit_with(i % 2 ? word : node, SL_ARGS(sl_string(secret)),
                                    is_sealed ? sealed_too(word) : NULL);
    for (int i = 0; i < TIMES; i++) {
        CHECK_INT(sl_wait(futures[i], 60), 0);
        if (i % 2)
            CHECK_STR(sl_result_string(futures[i]), secret);
        else
            nodes |= UINT64_C(1) << sl_result_i64(futures[i]);
        sl_release(futures[i]);
    }
    CHECK((nodes & (nodes - 1)) != 0); /* it went to others */
}

TEST(nobody_between_sees_a_sealed_module) {
    begin(NULL, NULL, NULL, NULL);
    sl_module *module = load(true);
    use(module, true);
    CHECK(sl_recording_size(&between) > 0);
    CHECK(!heard(code) && !stores(module, code));
    CHECK(!heard(secret));
    CHECK(!sl_recording_has(&between, "keen_", 5) && !stores(module, "keen_"));
    CHECK(!sl_recording_has(&between, sl_module_id(module), 16));
    CHECK(sl_recording_has(&between, SL_SEALED_MODULE, sizeof SL_SEALED_MODULE - 1));
    CHECK_INT(strlen(sl_module_id(module)), 64);
    sl_module_release(module);
    leave();
}

TEST(everybody_between_sees_one_that_is_not) {
    begin(NULL, NULL, NULL, NULL);
    sl_module *module = load(false);
    use(module, false);
    CHECK(stores(module, code));
    CHECK(heard(secret));
    CHECK(sl_recording_has(&between, "keen_word", 9));
    CHECK(sl_recording_has(&between, sl_module_id(module), 16));
    /* Nodes of one process have a module once: whoever loads it may be the one that has its file.
     */
    for (int i = 0; i < 20 && !heard(code); i++) {
        sl_module *another = load(false);
        use(another, false);
        sl_module_release(another);
    }
    CHECK(heard(code));
    sl_module_release(module);
    leave();
}

static void go_to_disk(bool is_sealed) {
    enum { BYTES = 3 << 20, COUNT = 4 };
    sl_object *others[COUNT];
    char *text = malloc(BYTES);
    memset(text, 1, BYTES);
    begin("store-bytes", "8MiB", "store-spill", sl_test_dir());
    sl_module *module = load(is_sealed);
    for (int i = 0; i < COUNT; i++) /* which it makes room for */
        CHECK((others[i] = sl_put(sl_bytes(text, BYTES))) != NULL);
    CHECK(is_spilled(is_sealed ? "SLPRCL" : code));
    if (is_sealed)
        CHECK(!is_spilled(code));
    use(module, is_sealed);
    if (is_sealed)
        CHECK(!heard(code) && !is_spilled(code));
    for (int i = 0; i < COUNT; i++)
        sl_object_release(others[i]);
    sl_module_release(module);
    leave();
    free(text);
}

TEST(a_module_that_goes_to_the_disk) {
    go_to_disk(true);
    go_to_disk(false);
}

TEST(many_tasks_load_it_once) {
    const uint32_t before = sl_modules_loaded();
    begin(NULL, NULL, NULL, NULL);
    char path[400];
    sl_module *module, *again;
    snprintf(path, sizeof path, "%s", new_file());
    sl_test_keys_need(sl_module_load_sealed(path, &module), path);
    use(module, true);
    use(module, true);
    CHECK_INT(sl_modules_loaded(), before + 1);
    sl_test_keys_need(sl_module_load_sealed(path, &again), path); /* sealed and brought anew */
    CHECK_STR(sl_module_id(again), sl_module_id(module));
    sl_module_release(module);
    use(again, true);
    CHECK_INT(sl_modules_loaded(), before + 1);
    sl_module_release(again);
    leave();
}

TEST(large_data_go_with_it) {
    size_t bytes = 0;
    begin(NULL, NULL, NULL, NULL);
    sl_module *module = load(true);
    const sl_task *echo = task_of(module, "keen_echo");
    char *text = malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        text[i] = secret[i % sizeof secret];
    for (int i = 0; i < 8; i++) {
        sl_future *future = sl_submit_with(echo, SL_ARGS(sl_bytes(text, LARGE)), sealed_too(echo));
        CHECK_INT(sl_wait(future, 60), 0);
        const void *got = sl_result_bytes(future, &bytes);
        CHECK_INT(bytes, LARGE);
        CHECK(bytes == LARGE && memcmp(got, text, LARGE) == 0);
        sl_release(future);
    }
    CHECK(sl_recording_blobs(&between) > 0);
    CHECK(!heard(secret));
    free(text);
    sl_module_release(module);
    leave();
}

TEST(a_map_by_a_sealed_module) {
    enum { COUNT = 20000 };
    size_t count = 0;
    double *in = malloc(COUNT * sizeof *in);
    for (int i = 0; i < COUNT; i++)
        in[i] = i;
    begin(NULL, NULL, NULL, NULL);
    sl_module *module = load(true);
    const sl_task *halve = task_of(module, "keen_halve");
    const sl_map_options map = {.chunk = 1000, .options = sealed_too(halve)};
    sl_future *future = sl_map(halve, sl_vector(SL_F64, in, COUNT), &map);
    sl_module_release(module);
    CHECK_INT(sl_wait(future, 60), 0);
    const double *out = sl_result_array(future, SL_F64, &count);
    CHECK_INT(count, COUNT);
    for (size_t i = 0; i < count; i++)
        if (out[i] != in[i] / 2)
            REQUIRE(!"a wrong element");
    CHECK(!heard(code) && !sl_recording_has(&between, "keen_", 5));
    sl_release(future);
    leave();
    free(in);
}

TEST(why_it_failed_comes_sealed) {
    begin(NULL, NULL, NULL, NULL);
    sl_module *module = load(true);
    const sl_task *refusal = task_of(module, "keen_refusal"),
                  *object = task_of(module, "keen_object");
    for (int i = 0; i < 10; i++) {
        sl_future *future =
            sl_submit_with(refusal, SL_ARGS(sl_string(reason)), sealed_too(refusal));
        CHECK_INT(sl_wait(future, 60), SL_ERROR_FAILED);
        CHECK_STR(sl_error_text(), reason);
        sl_release(future);
    }
    sl_future *gives = sl_submit_with(object, SL_NO_ARGS, sealed_too(object));
    CHECK_INT(sl_wait(gives, 60), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "an object is not sealed");
    sl_release(gives);
    CHECK(!heard(reason));
    sl_module_release(module);
    leave();
}

TEST(it_may_not_tell_its_own_tasks) {
    const sl_test_keys *k = sl_test_keys_make();
    begin(NULL, NULL, NULL, NULL);
    sl_module *module = load(true);
    const sl_task *careless = task_of(module, "keen_careless"),
                  *careful = task_of(module, "keen_careful");
    sl_future *told = sl_submit_with(careless, SL_ARGS(sl_string(secret)), sealed_too(careless));
    CHECK_INT(sl_wait(told, 60), 0);
    CHECK_CONTAINS(sl_result_string(told), "its module is sealed, and so are its tasks");
    sl_future *kept = sl_submit_with(
        careful, SL_ARGS(sl_string(k->client), sl_string(k->fingerprint), sl_string(secret)),
        sealed_too(careful));
    CHECK_INT(sl_wait(kept, 60), 0);
    CHECK_STR(sl_result_string(kept), secret);
    sl_release(told), sl_release(kept);
    CHECK(!heard(secret));
    sl_module_release(module);
    leave();
}

/* ---- what is not submitted ---- */

static void check_refused(const sl_task *task, sl_args args, const sl_task_options *how,
                          const char *why) {
    sl_future *future = sl_submit_with(task, args, how);
    CHECK(!future);
    CHECK_CONTAINS(sl_error_text(), why);
    sl_release(future);
}

TEST(sealed_is_all_of_it_or_nothing) {
    begin(NULL, NULL, NULL, NULL);
    sl_module *closed = load(true), *open_one = load(false), *none = NULL;
    const sl_task *word = task_of(closed, "keen_word"), *told = task_of(open_one, "keen_word");
    sl_object *object = sl_put(sl_string(secret));
    check_refused(word, SL_ARGS(sl_string("x")), NULL,
                  "its module is sealed, and so are its tasks");
    check_refused(told, SL_ARGS(sl_string("x")), sealed_too(told),
                  "load it by sl_module_load_sealed()");
    check_refused(word, SL_ARGS(sl_object_value(object)), sealed_too(word),
                  "an object is not sealed");
    CHECK_INT(sl_module_load_sealed("/proc/self/exe", &none), SL_ERROR_INVALID);
    CHECK_INT(sl_module_load_sealed("/nowhere.so", &none), SL_ERROR_NOT_FOUND);
    sl_object_release(object);
    sl_module_release(closed), sl_module_release(open_one);
    leave();
    CHECK_INT(sl_module_load_sealed(module_path("keen"), &none), SL_ERROR_CLOSED);
}

TEST(a_network_that_takes_none) {
    begin("modules", "off", NULL, NULL);
    sl_module *module = load(true);
    const sl_task *word = task_of(module, "keen_word");
    sl_future *future = sl_submit_with(word, SL_ARGS(sl_string("x")), sealed_too(word));
    CHECK_INT(sl_wait(future, 60), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "this network takes no modules");
    sl_release(future);
    sl_module_release(module);
    leave();
}

/* ---- what does not open ---- */

static void fails(const sl_module *module, const char *why) {
    const sl_task *word = task_of(module, "keen_word");
    sl_future *future = sl_submit_with(word, SL_ARGS(sl_string("x")), sealed_too(word));
    CHECK_INT(sl_wait(future, 60), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), why);
    sl_release(future);
}

/* A module whose object is `parcel` in place of its own. */
static void fails_with(sl_module *module, const uint8_t *parcel, size_t bytes, const char *why) {
    sl_object *own_object = module->object;
    module->object = sl_put(sl_bytes(parcel, bytes));
    fails(module, why);
    sl_object_release(module->object);
    module->object = own_object;
}

/* As whoever holds the file, or carries it, may try. */
TEST(a_module_that_was_changed_on_its_way) {
    sl_view view;
    begin(NULL, NULL, NULL, NULL);
    sl_module *module = load(true), *other = load(true);
    REQUIRE(sl_get(module->object, 10, &view) == 0);
    size_t bytes = view.value.bytes;
    uint8_t *parcel = malloc(bytes + 1);
    memcpy(parcel, view.value.data, bytes);
    sl_view_release(&view);
    const size_t places[] = {8 /* size */, 20 /* id */, 40, bytes / 2, bytes - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        parcel[places[i]] ^= 1;
        fails_with(module, parcel, bytes, i ? "does not open" : "was cut, or something added");
        parcel[places[i]] ^= 1;
    }
    parcel[bytes] = 0;
    fails_with(module, parcel, bytes + 1, "was cut, or something added");
    fails_with(module, parcel, bytes - 1, "was cut, or something added");
    fails_with(module, parcel, 20, "no sealed parcel");
    fails_with(module, (const uint8_t *)code, sizeof code, "no sealed parcel");
    REQUIRE(sl_get(other->object, 10, &view) == 0); /* another's, which has the same size */
    CHECK_INT(view.value.bytes, bytes);
    fails_with(module, view.value.data, view.value.bytes, "does not open");
    sl_view_release(&view);
    free(parcel);
    use(module, true);
    sl_module_release(module), sl_module_release(other);
    leave();
}

/* Who has the key of a module, and seals other code by it, has not the signature of its sender. */
TEST(a_module_that_is_not_what_its_task_says) {
    uint8_t *other_key;
    begin(NULL, NULL, NULL, NULL);
    sl_module *module = load(true), *other = load(true);
    sl_test_keys_need((int)sl_parcel_key_copy(other->data_key, &other_key), "key");
    uint8_t *own_key = module->data_key;
    module->data_key = other_key;
    fails(module, "does not open"); /* another's key for this one's file */
    sl_object *own_object = module->object;
    module->object = other->object;
    fails(module, "the module's SHA-256 is"); /* another's file, whole, with its key */
    module->object = own_object;
    module->data_key = own_key;
    sl_module_entry *entry = sl_module_entry_of(task_of(module, "keen_word"));
    entry->about[3] ^= 1;
    fails(module, "the module's SHA-256 is");
    entry->about[3] ^= 1;
    entry->about[SL_MODULE_HASH_BYTES] ^= 1;
    fails(module, "bytes, not");
    entry->about[SL_MODULE_HASH_BYTES] ^= 1;
    entry->about[SL_MODULE_ABOUT_HEAD] = 'x';
    fails(module, "no task \"xeen_word\"");
    entry->about[SL_MODULE_ABOUT_HEAD] = 'k';
    entry->about[SL_MODULE_HASH_BYTES + 8] = 7;
    fails(module, "in a form that there is not");
    entry->about[SL_MODULE_HASH_BYTES + 8] = 0;
    use(module, true);
    sl_secret_destroy(other_key);
    sl_module_release(module), sl_module_release(other);
    leave();
}
