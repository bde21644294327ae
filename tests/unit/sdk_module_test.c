/* Modules as files, every byte of one, and from bytes to tasks in this process. */
#include "tests/lib/test.h"

#include <elf.h>

#include "sdk/module.h"
#include "tests/lib/module_files.h"

static sl_err read_bytes(const uint8_t *bytes, size_t size) {
    sl_module_file file;
    sl_err err = sl_module_file_read(bytes, size, &file);
    if (err == SL_OK)
        sl_module_file_fini(&file);
    return err;
}

static const sl_module_file_task *task_of(const sl_module_file *file, const char *name) {
    for (uint32_t i = 0; i < file->task_count; i++)
        if (strcmp(file->tasks[i].name, name) == 0)
            return &file->tasks[i];
    return NULL;
}

/* ---- the reader ---- */

TEST(what_a_module_has) {
    size_t size;
    uint8_t *bytes = module_bytes("one", &size);
    sl_module_file file;
    REQUIRE(sl_module_file_read(bytes, size, &file) == SL_OK);
    CHECK_INT(file.task_count, 10);
    CHECK_INT(sl_module_file_fits_here(&file), SL_OK);
    for (uint32_t i = 1; i < file.task_count; i++)
        CHECK(strcmp(file.tasks[i - 1].name, file.tasks[i].name) < 0);
    const sl_module_file_task *refuse = task_of(&file, "refuse");
    REQUIRE(refuse && task_of(&file, "square"));
    CHECK_INT(refuse->options.retries, 1);
    CHECK_INT(refuse->options.priority, 7);
    CHECK_INT(refuse->options.memory_bytes, 1 << 20);
    CHECK_STR(refuse->region, "");
    CHECK_INT(task_of(&file, "node")->options.cpus, 1);
    CHECK_INT(sl_module_no_task(&file, "cube"), SL_ERR_NOT_FOUND);
    CHECK_CONTAINS(sl_err_detail(), "no task \"cube\"; it has constructions, ");
    sl_module_file_fini(&file);
    free(bytes);
}

TEST(every_cut_is_refused) {
    size_t size;
    uint8_t *bytes = module_bytes("one", &size);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *part = malloc(cut ? cut : 1); /* exactly: a byte too far is seen */
        memcpy(part, bytes, cut);
        if (read_bytes(part, cut) != SL_ERR_DECODE)
            sl_test_fail(__FILE__, __LINE__, "the first %zu of %zu bytes pass", cut, size);
        free(part);
    }
    free(bytes);
}

/* A reader that is led astray is seen by the sanitizers; what it says must hold together. */
TEST(every_flipped_byte) {
    static const uint8_t flips[] = {0x01, 0x80, 0xff};
    size_t size, refused = 0;
    uint8_t *bytes = module_bytes("one", &size);
    for (size_t at = 0; at < size; at++)
        for (size_t flip = 0; flip < sizeof flips; flip++) {
            sl_module_file file;
            bytes[at] ^= flips[flip];
            if (sl_module_file_read(bytes, size, &file) == SL_OK) {
                CHECK(file.task_count && file.task_count <= 10);
                for (uint32_t i = 0; i < file.task_count; i++)
                    CHECK(strnlen(file.tasks[i].name, SL_TASK_NAME_BYTES) < SL_TASK_NAME_BYTES);
                sl_module_file_fini(&file);
            } else {
                refused++;
            }
            bytes[at] ^= flips[flip];
        }
    CHECK(refused > 500);
    CHECK_INT(read_bytes(bytes, size), SL_OK); /* as it was */
    free(bytes);
}

typedef struct change {
    const char *what;
    size_t at, bytes;
    uint64_t value;
    const char *says;
} change;

#define IN_HEAD(field) offsetof(Elf64_Ehdr, field), sizeof(((Elf64_Ehdr *)0)->field)

TEST(heads_that_are_refused) {
    static const change changes[] = {
        {"32 bits", EI_CLASS, 1, ELFCLASS32, "64 bits"},
        {"byte order", EI_DATA, 1, ELFDATA2MSB, "byte order"},
        {"system", EI_OSABI, 1, ELFOSABI_FREEBSD, "another system"},
        {"magic", 0, 1, 0, "no ELF file"},
        {"an object file", IN_HEAD(e_type), ET_REL, "no shared object"},
        {"a program", IN_HEAD(e_type), ET_EXEC, "no shared object"},
        {"no segments", IN_HEAD(e_phnum), 0, "table of segments"},
        {"many segments", IN_HEAD(e_phnum), 65535, "table of segments"},
        {"segments far away", IN_HEAD(e_phoff), UINT64_MAX - 7, "beyond its end"},
        {"sections far away", IN_HEAD(e_shoff), UINT64_MAX - 63, "is it cut?"},
    };
    size_t size;
    uint8_t *bytes = module_bytes("two", &size);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint8_t before[8];
        const change *c = &changes[i];
        memcpy(before, bytes + c->at, c->bytes);
        memcpy(bytes + c->at, &c->value, c->bytes);
        CHECK_INT(read_bytes(bytes, size), SL_ERR_DECODE);
        CHECK_CONTAINS(sl_err_detail(), c->says);
        memcpy(bytes + c->at, before, c->bytes);
    }
    free(bytes);
}

static Elf64_Phdr *segment(uint8_t *bytes, uint32_t type, int which) {
    Elf64_Ehdr *head = (Elf64_Ehdr *)(void *)bytes;
    Elf64_Phdr *segments = (Elf64_Phdr *)(void *)(bytes + head->e_phoff);
    for (int i = 0; i < head->e_phnum; i++)
        if (segments[i].p_type == type && !which--)
            return &segments[i];
    return NULL;
}

static void refuses(const char *says, void (*spoil)(uint8_t *bytes)) {
    size_t size;
    uint8_t *bytes = module_bytes("two", &size);
    spoil(bytes);
    CHECK_INT(read_bytes(bytes, size), SL_ERR_DECODE);
    CHECK_CONTAINS(sl_err_detail(), says);
    free(bytes);
}

static void run_stack(uint8_t *bytes) {
    segment(bytes, PT_GNU_STACK, 0)->p_flags |= PF_X;
}

static void no_stack(uint8_t *bytes) {
    segment(bytes, PT_GNU_STACK, 0)->p_type = PT_NULL;
}

static void write_and_run(uint8_t *bytes) {
    segment(bytes, PT_LOAD, 1)->p_flags |= PF_W | PF_X;
}

static void huge(uint8_t *bytes) {
    segment(bytes, PT_LOAD, 3)->p_memsz = UINT64_C(8) << 30;
}

static void overlapping(uint8_t *bytes) {
    segment(bytes, PT_LOAD, 1)->p_vaddr = 0;
    segment(bytes, PT_LOAD, 1)->p_offset = 0;
}

static void wrapping(uint8_t *bytes) {
    segment(bytes, PT_LOAD, 1)->p_filesz = UINT64_MAX - 0xfff;
}

static void askew(uint8_t *bytes) {
    segment(bytes, PT_LOAD, 1)->p_align = 3;
}

static void no_dynamic(uint8_t *bytes) {
    segment(bytes, PT_DYNAMIC, 0)->p_type = PT_NULL;
}

static void endless_dynamic(uint8_t *bytes) {
    segment(bytes, PT_DYNAMIC, 0)->p_filesz = sizeof(Elf64_Dyn);
}

static void long_note(uint8_t *bytes) {
    Elf64_Phdr *notes = segment(bytes, PT_NOTE, 0);
    ((Elf64_Nhdr *)(void *)(bytes + notes->p_offset))->n_descsz = UINT32_MAX;
}

static void no_notes(uint8_t *bytes) {
    for (Elf64_Phdr *notes; (notes = segment(bytes, PT_NOTE, 0));)
        notes->p_type = PT_NULL;
}

TEST(segments_that_are_refused) {
    refuses("stacks that can be run", run_stack);
    refuses("stacks that can be run", no_stack);
    refuses("both written and run", write_and_run);
    refuses("more than 4 GiB", huge);
    refuses("overlap", overlapping);
    refuses("is it cut?", wrapping);
    refuses("askew", askew);
    refuses("no dynamic section", no_dynamic);
    refuses("without its end", endless_dynamic);
    refuses("beyond the end of its segment", long_note);
    refuses("defines no task", no_notes);
}

/* The note of the first task that the file has. */
static sl_task_note *note_in(uint8_t *bytes, size_t size) {
    static const char owner[12] = "Starlane";
    uint8_t *at = memmem(bytes, size, owner, sizeof owner);
    if (!at)
        abort();
    return (sl_task_note *)(void *)(at - offsetof(sl_task_note, owner));
}

static void refuses_note(const char *says, void (*spoil)(sl_task_note *note)) {
    size_t size;
    uint8_t *bytes = module_bytes("two", &size);
    spoil(note_in(bytes, size));
    CHECK_INT(read_bytes(bytes, size), SL_ERR_DECODE);
    CHECK_CONTAINS(sl_err_detail(), says);
    free(bytes);
}

static void other_abi(sl_task_note *note) {
    note->abi = 7;
}

static void other_task(sl_task_note *note) {
    note->task_bytes++;
}

static void endless_name(sl_task_note *note) {
    memset(note->name, 'a', sizeof note->name);
}

static void odd_name(sl_task_note *note) {
    note->name[0] = '/';
}

static void odd_region(sl_task_note *note) {
    note->options.region[0] = '\n';
}

static void odd_time(sl_task_note *note) {
    note->options.timeout_s = NAN;
}

static void odd_cpus(sl_task_note *note) {
    note->options.cpus = -2;
}

static void same_name(sl_task_note *note) {
    memcpy(note[1].name, note[0].name, sizeof note->name);
}

TEST(notes_that_are_refused) {
    refuses_note("built for version 7 of its modules, here it is 1", other_abi);
    refuses_note("note that cannot be", other_task);
    refuses_note("note that cannot be", endless_name);
    refuses_note("note that cannot be", odd_name);
    refuses_note("note that cannot be", odd_region);
    refuses_note("options that cannot be", odd_time);
    refuses_note("options that cannot be", odd_cpus);
    refuses_note("two tasks", same_name);
}

TEST(programs_and_other_files_are_none) {
    sl_module_key key;
    sl_module_file file;
    uint8_t *bytes;
    char path[600];
    CHECK_INT(sl_module_read("/proc/self/exe", &bytes, &key, &file), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "it is a program, no shared object");
    CHECK_INT(sl_module_read("/", &bytes, &key, &file), SL_ERR_INVALID);
    CHECK_INT(sl_module_read("/nowhere.so", &bytes, &key, &file), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_module_read(NULL, &bytes, &key, &file), SL_ERR_INVALID);
    snprintf(path, sizeof path, "%s/text.so", sl_test_dir());
    write_module(path, (const uint8_t *)"hello", 5);
    CHECK_INT(sl_module_read(path, &bytes, &key, &file), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), path);
}

TEST(another_machine) {
    size_t size;
    uint8_t *bytes = module_bytes("two", &size);
    sl_module_file file;
    Elf64_Ehdr *head = (Elf64_Ehdr *)(void *)bytes;
    head->e_machine = head->e_machine == EM_AARCH64 ? EM_X86_64 : EM_AARCH64;
    REQUIRE(sl_module_file_read(bytes, size, &file) == SL_OK); /* it may run elsewhere */
    CHECK_INT(sl_module_file_fits_here(&file), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "this node is");
    sl_module_file_fini(&file);
    free(bytes);
}

/* ---- loading ---- */

static sl_err load(const char *name, sl_module_place place, sl_loaded_module **module) {
    size_t size;
    sl_module_key key;
    uint8_t *bytes = module_bytes(name, &size);
    sl_err err = sl_module_key_of(bytes, size, &key);
    if (err == SL_OK)
        err = sl_module_load_bytes(&key, bytes, size, place, module);
    free(bytes);
    return err;
}

TEST(loaded_from_memory_and_from_a_file) {
    for (int place = SL_MODULE_IN_MEMORY; place <= SL_MODULE_IN_FILE; place++) {
        sl_loaded_module *one, *two;
        const sl_task *square, *other;
        REQUIRE(load("one", (sl_module_place)place, &one) == SL_OK);
        REQUIRE(load("two", (sl_module_place)place, &two) == SL_OK);
        REQUIRE(sl_loaded_module_task(one, "square", &square) == SL_OK);
        REQUIRE(sl_loaded_module_task(two, "square", &other) == SL_OK);
        CHECK(square->body && other->body && square->body != other->body);
        CHECK(sl_loaded_module_has(one, square) && !sl_loaded_module_has(one, other));
        CHECK_INT(sl_loaded_module_task(two, "cube", &square), SL_ERR_NOT_FOUND);
        CHECK_CONTAINS(sl_err_detail(), "it has square, who");
        sl_module_unload(two);
        sl_module_unload(one);
    }
    sl_module_unload(NULL);
}

/* The loader goes by the path of what it has, also of a file that is long closed. */
TEST(those_that_stay_are_no_others) {
    sl_loaded_module *lasting, *two;
    const sl_task *who, *square;
    for (int i = 0; i < 3; i++) {
        REQUIRE(load("lasting", SL_MODULE_IN_MEMORY, &lasting) == SL_OK);
        sl_module_unload(lasting);
        REQUIRE(load("two", SL_MODULE_IN_MEMORY, &two) == SL_OK);
        CHECK_INT(sl_loaded_module_task(two, "square", &square), SL_OK);
        REQUIRE(load("lasting", SL_MODULE_IN_MEMORY, &lasting) == SL_OK);
        CHECK_INT(sl_loaded_module_task(lasting, "who", &who), SL_OK);
        CHECK(sl_loaded_module_has(lasting, who) && !sl_loaded_module_has(two, who));
        sl_module_unload(two);
        sl_module_unload(lasting);
    }
}

TEST(what_cannot_be_loaded_says_why) {
    sl_loaded_module *module;
    CHECK_INT(load("refusing", SL_MODULE_IN_MEMORY, &module), SL_ERR_FAILED);
    CHECK_CONTAINS(sl_err_detail(), "the module says: the licence of 1999 has expired");
    CHECK_INT(load("lacking", SL_MODULE_IN_MEMORY, &module), SL_ERR_FAILED);
    CHECK_CONTAINS(sl_err_detail(), "nobody_has_this");
    CHECK_INT(load("acting", SL_MODULE_IN_MEMORY, &module), SL_ERR_FAILED);
    CHECK_CONTAINS(sl_err_detail(), "it defines the actor counter");
    sl_module_fail("outside of a constructor"); /* no effect */
    REQUIRE(load("two", SL_MODULE_IN_MEMORY, &module) == SL_OK);
    sl_module_unload(module);
}

TEST(other_bytes_than_were_said) {
    size_t size;
    sl_module_key key;
    sl_loaded_module *module;
    uint8_t *bytes = module_bytes("two", &size);
    REQUIRE(sl_module_key_of(bytes, size, &key) == SL_OK);
    CHECK_INT(sl_module_load_bytes(&key, bytes, size - 1, SL_MODULE_IN_MEMORY, &module),
              SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "bytes, not");
    bytes[size - 1] ^= 1;
    CHECK_INT(sl_module_load_bytes(&key, bytes, size, SL_MODULE_IN_MEMORY, &module),
              SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "SHA-256 is");
    free(bytes);
}

#pragma GCC visibility push(default)
SL_TASK(task_of_the_program) {
    return 0;
}
#pragma GCC visibility pop

TEST(a_name_that_the_program_exports) {
    sl_loaded_module *module;
    CHECK_INT(load("clashing", SL_MODULE_IN_MEMORY, &module), SL_ERR_FAILED);
    CHECK_CONTAINS(sl_err_detail(), "-Wl,-Bsymbolic");
}

/* ---- the table ---- */

typedef struct given {
    const uint8_t *bytes;
    size_t size;
    int gets, releases;
} given;

static sl_err give(void *context, const void **bytes, size_t *size) {
    given *of = context;
    of->gets++;
    *bytes = of->bytes;
    *size = of->size;
    return SL_OK;
}

static void given_back(void *context) {
    ((given *)context)->releases++;
}

static sl_err no_bytes(void *context, const void **bytes, size_t *size) {
    (void)context, (void)bytes, (void)size;
    return sl_fail(SL_ERR_DEAD, "its node is lost");
}

TEST(once_whoever_brings_it) {
    size_t size;
    sl_module_key key;
    uint8_t *bytes = module_bytes("one", &size), *wrong = malloc(size);
    given good = {.bytes = bytes, .size = size}, bad = {.bytes = wrong, .size = size};
    sl_module_source source = {give, given_back, &good, false},
                     other = {give, given_back, &bad, false},
                     none = {no_bytes, given_back, &good, false};
    sl_loaded_module *first, *again;
    bool came;
    memcpy(wrong, bytes, size);
    wrong[size / 2] ^= 4;
    REQUIRE(sl_module_key_of(bytes, size, &key) == SL_OK);
    CHECK_INT(sl_module_use(&key, &none, &came, &first), SL_ERR_DEAD);
    CHECK_INT(sl_module_use(&key, &other, &came, &first), SL_ERR_INVALID);
    CHECK_INT(bad.gets, bad.releases);
    CHECK_INT(sl_modules_loaded(), 0);
    REQUIRE(sl_module_use(&key, &source, &came, &first) == SL_OK); /* failures are not kept */
    CHECK(came);
    REQUIRE(sl_module_use(&key, &other, &came, &again) == SL_OK); /* nobody looks at those */
    CHECK(!came && again == first);
    CHECK_INT(good.gets, 1);
    CHECK_INT(good.releases, 1);
    CHECK_INT(sl_modules_loaded(), 1);
    sl_module_done(first);
    sl_module_done(again);
    CHECK_INT(sl_modules_loaded(), 1); /* it stays for the next */
    free(bytes), free(wrong);
}

/* One of many like "two": a number stands behind its bytes. */
static sl_loaded_module *use_variant(uint8_t *bytes, size_t size, uint32_t number, bool *came) {
    sl_module_key key;
    sl_loaded_module *module = NULL;
    given variant = {.bytes = bytes, .size = size + sizeof number};
    sl_module_source source = {give, given_back, &variant, false};
    memcpy(bytes + size, &number, sizeof number);
    if (sl_module_key_of(bytes, size + sizeof number, &key) != SL_OK ||
        sl_module_use(&key, &source, came, &module) != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "variant %u: %s", number, sl_err_detail());
    return module;
}

TEST(those_not_used_make_room) {
    enum { MOST = 128, MORE = 20 };
    size_t size;
    bool came = false;
    uint8_t *bytes = module_bytes("two", &size);
    bytes = realloc(bytes, size + sizeof(uint32_t));
    sl_loaded_module *used = use_variant(bytes, size, 0, &came); /* all the time */
    const sl_task *who;
    for (uint32_t i = 1; i < MOST + MORE; i++) {
        sl_module_done(use_variant(bytes, size, i, &came));
        CHECK(came);
    }
    CHECK(sl_modules_loaded() <= MOST);
    CHECK_INT(sl_loaded_module_task(used, "who", &who), SL_OK);
    CHECK_STR(who->name, "who"); /* it is there */
    sl_loaded_module *again = use_variant(bytes, size, 0, &came);
    CHECK(!came && again == used);
    sl_module_done(again);
    sl_module_done(use_variant(bytes, size, MOST + MORE - 1, &came));
    CHECK(!came); /* of the newest */
    sl_module_done(use_variant(bytes, size, 1, &came));
    CHECK(came); /* the oldest had gone */
    sl_module_done(used);
    free(bytes);
}

/* ---- as it travels ---- */

TEST(what_is_called_is_said_in_front) {
    sl_module_key key;
    sl_module_call call;
    sl_module_file file;
    uint8_t *bytes;
    sl_module *module;
    uint8_t about[SL_MODULE_ABOUT_HEAD + SL_TASK_NAME_BYTES];
    sl_value values[SL_MODULE_VALUES];
    REQUIRE(sl_module_read(module_path("one"), &bytes, &key, &file) == SL_OK);
    free(bytes);
    REQUIRE(sl_module_make(&key, &file, NULL, &module) == SL_OK);
    CHECK_INT(strlen(sl_module_id(module)), 64);
    const sl_task *square = sl_module_task(module, "square");
    REQUIRE(square);
    CHECK(strncmp(square->name, sl_module_id(module), 16) == 0);
    CHECK_STR(square->name + 16, "/square");
    CHECK(!sl_module_task(module, "cube") && !sl_module_task(NULL, "square"));
    CHECK(sl_module_task_at(module, 9) && !sl_module_task_at(module, 10));
    sl_module_values(sl_module_entry_of(square), values);
    REQUIRE(sl_module_about(&values[1], &call) == SL_OK);
    CHECK_STR(call.name, "square");
    CHECK(memcmp(&key, &call.key, sizeof key) == 0);
    CHECK_INT(call.form, SL_MODULE_OF_VALUES);
    sl_module_text_values(sl_module_entry_of(square), about, values);
    REQUIRE(sl_module_about(&values[1], &call) == SL_OK);
    CHECK_STR(call.name, "square");
    CHECK_INT(call.form, SL_MODULE_OF_TEXT);
    for (size_t cut = 0; cut <= SL_MODULE_ABOUT_HEAD; cut++) {
        sl_value cut_value = sl_value_bytes(values[1].data, cut);
        CHECK_INT(sl_module_about(&cut_value, &call), SL_ERR_DECODE);
    }
    memset(about, 'a', sizeof about);
    sl_value too_long = sl_value_bytes(about, sizeof about), text = sl_string("square");
    CHECK_INT(sl_module_about(&too_long, &call), SL_ERR_DECODE);
    CHECK_INT(sl_module_about(&text, &call), SL_ERR_DECODE);
    sl_module_release(module);
    sl_module_release(NULL);
}
