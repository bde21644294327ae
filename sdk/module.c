/* Design notes
 * A file is read once, into memory of our own, and what was read is what is checked, hashed and
 * sent: whoever changes the file meanwhile gets a module that is whole or none. Whether it fits a
 * machine is for the nodes to say: who submits may be on another kind. */
#include "sdk/module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/secure/secret.h"
#include "sdk/network.h"

enum { FORM_AT = SL_MODULE_HASH_BYTES + 8 };

/* ---- reading a file ---- */

static sl_err read_whole(int fd, const char *path, uint8_t *bytes, size_t size) {
    size_t at = 0;
    while (at < size) {
        ssize_t got = read(fd, bytes + at, size - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return sl_fail(SL_ERR_IO, "%.200s: %s", path,
                           got ? strerror(errno) : "it became shorter while it was read");
        at += (size_t)got;
    }
    return SL_OK;
}

static sl_err read_open(int fd, const char *path, uint8_t **bytes, size_t *size) {
    struct stat facts;
    if (fstat(fd, &facts) != 0)
        return sl_fail(SL_ERR_IO, "%.200s: %s", path, strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return sl_fail(SL_ERR_INVALID, "%.200s: it is no file", path);
    if (facts.st_size > SL_MODULE_MOST_BYTES)
        return sl_fail(SL_ERR_TOO_LARGE, "%.200s: a module has at most 256 MiB", path);
    *size = (size_t)facts.st_size;
    *bytes = malloc(*size + 1);
    if (!*bytes)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a module of %zu bytes", *size);
    sl_err err = read_whole(fd, path, *bytes, *size);
    if (err != SL_OK)
        free(*bytes);
    return err;
}

static sl_err look_at(const char *path, const uint8_t *bytes, size_t size, sl_module_key *key,
                      sl_module_file *file) {
    char cause[900];
    sl_err err = sl_module_file_read(bytes, size, file);
    if (err != SL_OK) {
        snprintf(cause, sizeof cause, "%s", sl_err_detail());
        return sl_fail(err == SL_ERR_DECODE ? SL_ERR_INVALID : err, "%.200s: %s", path, cause);
    }
    err = sl_module_key_of(bytes, size, key);
    if (err != SL_OK)
        sl_module_file_fini(file);
    return err;
}

sl_err sl_module_read(const char *path, uint8_t **bytes, sl_module_key *key, sl_module_file *file) {
    size_t size = 0;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (!path)
        return sl_fail(SL_ERR_INVALID, "there is no path of a module");
    if (fd < 0)
        return sl_fail(errno == ENOENT ? SL_ERR_NOT_FOUND : SL_ERR_IO, "%.200s: %s", path,
                       strerror(errno));
    sl_err err = read_open(fd, path, bytes, &size);
    close(fd);
    SL_TRY(err);
    err = look_at(path, *bytes, size, key, file);
    if (err != SL_OK)
        free(*bytes);
    return err;
}

/* ---- the handle ---- */

static void fill(sl_module_entry *entry, sl_module *module, const sl_module_key *key,
                 const sl_module_file_task *from) {
    char prefix[SL_MODULE_PREFIX_BYTES];
    size_t name_bytes = strlen(from->name);
    sl_module_key_prefix(key, prefix);
    snprintf(entry->name, sizeof entry->name, "%s/%s", prefix, from->name);
    memcpy(entry->about, key->hash, sizeof key->hash);
    memcpy(entry->about + sizeof key->hash, &key->bytes, sizeof key->bytes);
    memcpy(entry->about + SL_MODULE_ABOUT_HEAD, from->name, name_bytes);
    entry->about_bytes = SL_MODULE_ABOUT_HEAD + name_bytes;
    entry->module = module;
    entry->task = (sl_task){.name = entry->name, .options = from->options};
    entry->task.options.region = from->region[0] ? from->region : NULL;
    entry->task.options.last_ = SL_TASK_OF_MODULE;
}

sl_err sl_module_make(const sl_module_key *key, const sl_module_file *file, sl_object *object,
                      sl_module **out) {
    sl_module *module = calloc(1, sizeof *module + file->task_count * sizeof *module->entries);
    if (!module)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a module");
    atomic_init(&module->references, 1);
    module->object = object;
    module->file = *file;
    sl_module_key_print(key, module->id);
    for (uint32_t i = 0; i < file->task_count; i++)
        fill(&module->entries[i], module, key, &file->tasks[i]);
    *out = module;
    return SL_OK;
}

sl_module *sl_module_retain(sl_module *module) {
    if (module)
        atomic_fetch_add_explicit(&module->references, 1, memory_order_relaxed);
    return module;
}

void sl_module_release(sl_module *module) {
    if (!module || atomic_fetch_sub_explicit(&module->references, 1, memory_order_acq_rel) != 1)
        return;
    sl_object_release(module->object);
    sl_secret_destroy(module->data_key);
    sl_module_file_fini(&module->file);
    free(module);
}

sl_err sl_module_finish(sl_err failure, const sl_module_key *key, sl_module_file *file,
                        sl_object *object, uint8_t *data_key, sl_module **module) {
    sl_err err = object ? sl_module_make(key, file, object, module) : failure;
    if (err == SL_OK) {
        (*module)->data_key = data_key;
        return SL_OK;
    }
    sl_object_release(object);
    sl_secret_destroy(data_key);
    sl_module_file_fini(file);
    return err;
}

/* Of sl_put(). */
static sl_err failure(void) {
    return sl_network_here() ? SL_ERR_NO_MEMORY : SL_ERR_CLOSED;
}

int sl_module_load(const char *path, sl_module **module) {
    uint8_t *bytes;
    sl_module_key key;
    sl_module_file file;
    SL_TRY(sl_module_read(path, &bytes, &key, &file));
    sl_object *object = sl_put(sl_bytes(bytes, key.bytes));
    free(bytes);
    return sl_module_finish(failure(), &key, &file, object, NULL, module);
}

/* ---- sealed ---- */

sl_err sl_module_wrap(uint8_t *bytes, size_t size, uint8_t **parcel, size_t *parcel_bytes,
                      uint8_t **data_key) {
    size_t sealed_bytes = (size_t)sl_parcel_bytes(size);
    uint8_t *sealed = malloc(sealed_bytes);
    sl_err err = sealed ? sl_parcel_key_create(data_key)
                        : sl_fail(SL_ERR_NO_MEMORY, "no memory to seal a module");
    if (err == SL_OK) {
        err = sl_parcel_seal(*data_key, bytes, size, sealed);
        if (err != SL_OK)
            sl_secret_destroy(*data_key);
    }
    sl_secret_wipe(bytes, size);
    free(bytes);
    if (err != SL_OK) {
        free(sealed);
        return err;
    }
    *parcel = sealed;
    *parcel_bytes = sealed_bytes;
    return SL_OK;
}

sl_err sl_module_read_sealed(const char *path, uint8_t **parcel, size_t *bytes, uint8_t **data_key,
                             sl_module_key *key, sl_module_file *file) {
    uint8_t *plain;
    SL_TRY(sl_module_read(path, &plain, key, file));
    sl_err err = sl_module_wrap(plain, (size_t)key->bytes, parcel, bytes, data_key);
    if (err != SL_OK)
        sl_module_file_fini(file);
    return err;
}

int sl_module_load_sealed(const char *path, sl_module **module) {
    uint8_t *parcel, *data_key;
    size_t bytes;
    sl_module_key key;
    sl_module_file file;
    SL_TRY(sl_module_read_sealed(path, &parcel, &bytes, &data_key, &key, &file));
    sl_object *object = sl_put(sl_bytes(parcel, bytes));
    free(parcel);
    return sl_module_finish(failure(), &key, &file, object, data_key, module);
}

sl_err sl_module_check_seal(const sl_task *task, const sl_task_options *options) {
    bool sealed = sl_module_entry_of(task)->module->data_key != NULL;
    if (sealed == (options->sealed != NULL))
        return SL_OK;
    return sealed ? sl_fail(SL_ERR_INVALID,
                            "task %.80s: its module is sealed, and so are its tasks: "
                            "options.sealed says how",
                            task->name)
                  : sl_fail(SL_ERR_INVALID,
                            "task %.80s: its module lies open in the network: to seal its tasks, "
                            "load it by sl_module_load_sealed()",
                            task->name);
}

const char *sl_module_id(const sl_module *module) {
    return module->id;
}

const sl_task *sl_module_task_at(const sl_module *module, size_t index) {
    return index < module->file.task_count ? &module->entries[index].task : NULL;
}

const sl_task *sl_module_task(const sl_module *module, const char *name) {
    if (!module || !name) {
        (void)sl_fail(SL_ERR_INVALID, "there is no module, or no name of a task");
        return NULL;
    }
    for (uint32_t i = 0; i < module->file.task_count; i++)
        if (strcmp(module->file.tasks[i].name, name) == 0)
            return &module->entries[i].task;
    (void)sl_module_no_task(&module->file, name);
    return NULL;
}

/* ---- as it travels ---- */

void sl_module_values(const sl_module_entry *entry, sl_value *values) {
    values[0] = sl_object_value(entry->module->object);
    values[1] = sl_value_bytes(entry->about, entry->about_bytes);
}

void sl_module_text_values(const sl_module_entry *entry, uint8_t *about, sl_value *values) {
    uint32_t form = SL_MODULE_OF_TEXT;
    sl_module_values(entry, values);
    memcpy(about, entry->about, entry->about_bytes);
    memcpy(about + FORM_AT, &form, sizeof form);
    values[1].data = about;
}

sl_err sl_module_about(const sl_value *value, sl_module_call *call) {
    uint32_t words[2];
    if (value->type != SL_TYPE_BYTES || value->kept_ || value->bytes <= SL_MODULE_ABOUT_HEAD ||
        value->bytes >= SL_MODULE_ABOUT_HEAD + SL_TASK_NAME_BYTES)
        return sl_fail(SL_ERR_DECODE, "a call of a module that does not say what it calls");
    const uint8_t *at = value->data;
    size_t name_bytes = value->bytes - SL_MODULE_ABOUT_HEAD;
    memcpy(call->key.hash, at, sizeof call->key.hash);
    memcpy(&call->key.bytes, at + sizeof call->key.hash, sizeof call->key.bytes);
    memcpy(words, at + FORM_AT, sizeof words);
    if (words[0] > SL_MODULE_OF_TEXT || words[1])
        return sl_fail(SL_ERR_DECODE, "a call of a module in a form that there is not");
    call->form = (sl_module_form)words[0];
    memcpy(call->name, at + SL_MODULE_ABOUT_HEAD, name_bytes);
    call->name[name_bytes] = '\0';
    return SL_OK;
}

sl_err sl_module_sealed_read(sl_part section, sl_module_sealed *sealed) {
    const uint8_t *at = section.data;
    if (section.bytes <= SL_PARCEL_KEY_BYTES)
        return sl_fail(SL_ERR_DECODE, "a sealed call of a module without its key");
    sealed->data_key = at;
    sl_value about = sl_value_bytes(at + SL_PARCEL_KEY_BYTES, section.bytes - SL_PARCEL_KEY_BYTES);
    return sl_module_about(&about, &sealed->what);
}
