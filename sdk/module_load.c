/* Design notes
 * The loader reads files, so the bytes become one that nobody else can reach: a sealed memory file,
 * or, where there are none, a file of mode 0600 in a new directory of mode 0700, which are gone
 * again once it is loaded. The loader takes a file whose path it has loaded before for the same one
 * without looking; so a memory file stays open, and its path its own, as long as it is loaded: for
 * ever, where a module does not let itself be unloaded.
 *
 * A module's constructors run inside dlopen(), on the thread that loads: what they define by
 * SL_TASK() goes to that thread's module, and must be what its notes say. A definition whose symbol
 * is another's (a program that exports a task of the same name) is found by its place in memory.
 *
 * Who waits for another's load keeps its cores, and so does who loads (sdk/task_module.c): what a
 * node runs at once is then what waits at once, and nobody needs a core that another one holds.
 *
 * The table keeps no failures: whoever asks next may have better bytes, or a library that was
 * missing may be there. */
#include "sdk/module_load.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/secure/digest.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

enum { LOADED_MOST = 128, PATH_BYTES = 256, MESSAGE_BYTES = 900 };

typedef enum stage { LOADING, READY, BROKEN } stage;

struct sl_loaded_module {
    sl_module_key key;
    sl_module_file file;
    void *handle;
    int fd;
    const sl_task **tasks; /* as file.tasks, file.task_count of them */

    /* in the table, under its lock */
    struct sl_loaded_module *next;
    stage stage;
    uint32_t users; /* calls, and those who wait for it */
    uint64_t used_last;
};

/* What this thread loads. */
typedef struct loading {
    sl_task *defined;
    bool failed;
    char message[MESSAGE_BYTES];
} loading;

static _Thread_local loading *here;

/* ---- keys ---- */

sl_err sl_module_key_of(const void *bytes, size_t size, sl_module_key *key) {
    key->bytes = size;
    return sl_digest(bytes, size, key->hash);
}

static void print_hex(const uint8_t *bytes, size_t count, char *text) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * count] = '\0';
}

void sl_module_key_print(const sl_module_key *key, char text[SL_MODULE_ID_BYTES]) {
    print_hex(key->hash, sizeof key->hash, text);
}

void sl_module_key_prefix(const sl_module_key *key, char text[SL_MODULE_PREFIX_BYTES]) {
    print_hex(key->hash, (SL_MODULE_PREFIX_BYTES - 1) / 2, text);
}

static bool same_key(const sl_module_key *a, const sl_module_key *b) {
    return a->bytes == b->bytes && memcmp(a->hash, b->hash, sizeof a->hash) == 0;
}

/* ---- what a module's constructors say ---- */

bool sl_module_is_loading(void) {
    return here != NULL;
}

bool sl_module_takes(sl_task *task, const char *actor) {
    if (!here)
        return false;
    if (actor) {
        sl_module_fail("it defines the actor %.80s: modules have tasks alone", actor);
        return true;
    }
    task->next = here->defined;
    here->defined = task;
    return true;
}

void sl_module_fail(const char *format, ...) {
    va_list arguments;
    if (!here || here->failed)
        return;
    va_start(arguments, format);
    vsnprintf(here->message, sizeof here->message, format, arguments);
    va_end(arguments);
    here->failed = true;
}

/* ---- a private file ---- */

static sl_err write_whole(int fd, const uint8_t *bytes, size_t size) {
    while (size) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return sl_fail(SL_ERR_IO, "the module cannot be written: %s", strerror(errno));
        bytes += written;
        size -= (size_t)written;
    }
    return SL_OK;
}

/* A kernel that does not know the flag refuses it. */
static int memory_file(void) {
    int fd = memfd_create("starlane-module", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("starlane-module", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

static void path_of(int fd, char path[PATH_BYTES]) {
    snprintf(path, PATH_BYTES, "/proc/self/fd/%d", fd);
}

static void *open_path(const char *path) {
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static sl_err open_in_memory(sl_loaded_module *module, const void *bytes, size_t size) {
    char path[PATH_BYTES];
    module->fd = memory_file();
    if (module->fd < 0)
        return sl_fail(SL_ERR_UNAVAILABLE, "no memory file: %s", strerror(errno));
    SL_TRY(write_whole(module->fd, bytes, size));
    if (fcntl(module->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) !=
        0)
        return sl_fail(SL_ERR_UNAVAILABLE, "a memory file cannot be sealed: %s", strerror(errno));
    path_of(module->fd, path);
    module->handle = open_path(path);
    return SL_OK;
}

static sl_err open_in_directory(sl_loaded_module *module, const char *directory, const void *bytes,
                                size_t size) {
    char path[PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/module.so", directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return sl_fail(SL_ERR_IO, "%s: %s", path, strerror(errno));
    sl_err err = write_whole(fd, bytes, size);
    if (close(fd) != 0 && err == SL_OK)
        err = sl_fail(SL_ERR_IO, "%s: %s", path, strerror(errno));
    if (err == SL_OK)
        module->handle = open_path(path);
    unlink(path);
    return err;
}

static sl_err open_in_file(sl_loaded_module *module, const void *bytes, size_t size) {
    char directory[PATH_BYTES];
    const char *root = getenv("TMPDIR");
    int length = snprintf(directory, sizeof directory, "%s/starlane-module-XXXXXX",
                          root && root[0] == '/' ? root : "/tmp");
    if (length >= (int)sizeof directory || !mkdtemp(directory))
        return sl_fail(SL_ERR_IO, "there is no place for the module: %s", strerror(errno));
    sl_err err = open_in_directory(module, directory, bytes, size);
    rmdir(directory);
    return err;
}

/* ---- loading ---- */

static sl_err open_module(sl_loaded_module *module, const void *bytes, size_t size,
                          sl_module_place place) {
    sl_err err = SL_ERR_UNAVAILABLE;
    if (place != SL_MODULE_IN_FILE)
        err = open_in_memory(module, bytes, size);
    if (err == SL_ERR_UNAVAILABLE && place != SL_MODULE_NOT_IN_FILE) {
        if (module->fd >= 0)
            close(module->fd);
        module->fd = -1;
        err = open_in_file(module, bytes, size);
    }
    SL_TRY(err);
    return module->handle
               ? SL_OK
               : sl_fail(SL_ERR_FAILED, "the module cannot be loaded: %.700s", dlerror());
}

/* Does `address` lie in what was loaded? */
static bool is_in(const sl_loaded_module *module, const void *address) {
    Dl_info info;
    struct link_map *map = NULL, *found = NULL;
    return dlinfo(module->handle, RTLD_DI_LINKMAP, &map) == 0 &&
           dladdr1(address, &info, (void **)&found, RTLD_DL_LINKMAP) != 0 && found == map;
}

static sl_err take_defined(sl_loaded_module *module, const loading *what) {
    uint32_t found = 0;
    for (sl_task *task = what->defined; task; task = task->next) {
        uint32_t at = 0;
        if (!is_in(module, task))
            return sl_fail(SL_ERR_FAILED,
                           "the module's task %.100s is taken for one of the program's of that "
                           "name: link the module with -Wl,-Bsymbolic, or rename it",
                           task->name);
        while (at < module->file.task_count && strcmp(module->file.tasks[at].name, task->name) != 0)
            at++;
        if (at == module->file.task_count || module->tasks[at])
            return sl_fail(SL_ERR_FAILED,
                           "the module defines task %.100s, of which its file says "
                           "nothing",
                           task->name);
        module->tasks[at] = task;
        task->options.last_ = SL_TASK_OF_LOADED;
        found++;
    }
    if (found == module->file.task_count)
        return SL_OK;
    return sl_fail(SL_ERR_FAILED,
                   "the module defines %u tasks here and %u in its file: does it bring another "
                   "libstarlane along?",
                   found, module->file.task_count);
}

static sl_err load(sl_loaded_module *module, const void *bytes, size_t size,
                   sl_module_place place) {
    loading what = {.failed = false}, *outer = here;
    module->tasks = calloc(module->file.task_count, sizeof *module->tasks);
    if (!module->tasks)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a module");
    here = &what;
    sl_err err = open_module(module, bytes, size, place);
    here = outer;
    SL_TRY(err);
    if (what.failed)
        return sl_fail(SL_ERR_FAILED, "the module says: %s", what.message);
    return take_defined(module, &what);
}

static sl_err check_key(const sl_module_key *key, const void *bytes, size_t size) {
    sl_module_key own;
    char wanted[SL_MODULE_PREFIX_BYTES], got[SL_MODULE_PREFIX_BYTES];
    if (size != key->bytes)
        return sl_fail(SL_ERR_INVALID, "the module has %zu bytes, not %llu", size,
                       (unsigned long long)key->bytes);
    SL_TRY(sl_module_key_of(bytes, size, &own));
    sl_module_key_prefix(key, wanted);
    sl_module_key_prefix(&own, got);
    return same_key(key, &own)
               ? SL_OK
               : sl_fail(SL_ERR_INVALID, "the module's SHA-256 is %s…, not %s…", got, wanted);
}

static sl_err check_and_load(sl_loaded_module *module, const void *bytes, size_t size,
                             sl_module_place place) {
    SL_TRY(check_key(&module->key, bytes, size));
    SL_TRY(sl_module_file_read(bytes, size, &module->file));
    SL_TRY(sl_module_file_fits_here(&module->file));
    return load(module, bytes, size, place);
}

static bool is_still_loaded(int fd) {
    char path[PATH_BYTES];
    path_of(fd, path);
    void *still = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    if (still)
        dlclose(still);
    return still != NULL;
}

/* What was loaded of it, or less. */
static void close_parts(sl_loaded_module *module) {
    if (module->handle)
        dlclose(module->handle);
    if (module->fd >= 0 && !is_still_loaded(module->fd))
        close(module->fd);
    free(module->tasks);
    sl_module_file_fini(&module->file);
}

/* Closing may set another error. */
static sl_err fill(sl_loaded_module *module, const void *bytes, size_t size,
                   sl_module_place place) {
    char cause[1024];
    sl_err err = check_and_load(module, bytes, size, place);
    if (err == SL_OK)
        return SL_OK;
    snprintf(cause, sizeof cause, "%s", sl_err_detail());
    close_parts(module);
    return sl_fail(err, "%s", cause);
}

static sl_loaded_module *create(const sl_module_key *key) {
    sl_loaded_module *module = calloc(1, sizeof *module);
    if (!module)
        return NULL;
    module->key = *key;
    module->fd = -1;
    return module;
}

sl_err sl_module_load_bytes(const sl_module_key *key, const void *bytes, size_t size,
                            sl_module_place place, sl_loaded_module **out) {
    sl_loaded_module *module = create(key);
    if (!module)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a module");
    sl_err err = fill(module, bytes, size, place);
    if (err == SL_OK)
        *out = module;
    else
        free(module);
    return err;
}

void sl_module_unload(sl_loaded_module *module) {
    if (!module)
        return;
    close_parts(module);
    free(module);
}

/* ---- what is in it ---- */

const sl_module_key *sl_loaded_module_key(const sl_loaded_module *module) {
    return &module->key;
}

const sl_module_file *sl_loaded_module_file(const sl_loaded_module *module) {
    return &module->file;
}

sl_err sl_loaded_module_task(const sl_loaded_module *module, const char *name,
                             const sl_task **task) {
    uint32_t low = 0, high = module->file.task_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(module->file.tasks[middle].name, name);
        if (order == 0) {
            *task = module->tasks[middle];
            return SL_OK;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return sl_module_no_task(&module->file, name);
}

bool sl_loaded_module_has(const sl_loaded_module *module, const sl_task *task) {
    for (uint32_t i = 0; i < module->file.task_count; i++)
        if (module->tasks[i] == task)
            return true;
    return false;
}

/* ---- the table ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* something is no longer being loaded */
    sl_loaded_module *modules;
    uint32_t count;
    uint64_t clock; /* grows with each use */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static sl_loaded_module *find(const sl_module_key *key) {
    for (sl_loaded_module *module = table.modules; module; module = module->next)
        if (module->stage != BROKEN && same_key(&module->key, key))
            return module;
    return NULL;
}

static void unlink_module(sl_loaded_module *module) {
    sl_loaded_module **at = &table.modules;
    while (*at != module)
        at = &(*at)->next;
    *at = module->next;
    table.count--;
}

/* Takes out the one that nobody has used for the longest, or NULL: unloading is not done under the
 * lock, because it runs the module's code. */
static sl_loaded_module *make_room(void) {
    sl_loaded_module *oldest = NULL;
    if (table.count < LOADED_MOST)
        return NULL;
    for (sl_loaded_module *module = table.modules; module; module = module->next)
        if (!module->users && module->stage == READY &&
            (!oldest || module->used_last < oldest->used_last))
            oldest = module;
    if (oldest)
        unlink_module(oldest);
    return oldest;
}

static void leave(sl_loaded_module *module) {
    bool last = !--module->users && module->stage == BROKEN;
    if (!last)
        return;
    unlink_module(module);
    free(module);
}

static sl_err get_and_fill(sl_loaded_module *module, const sl_module_source *source) {
    const void *bytes;
    size_t size;
    SL_TRY(source->get(source->context, &bytes, &size));
    char cause[1024];
    sl_err err =
        fill(module, bytes, size, source->is_sealed ? SL_MODULE_NOT_IN_FILE : SL_MODULE_IN_MEMORY);
    snprintf(cause, sizeof cause, "%s", err == SL_OK ? "" : sl_err_detail());
    source->release(source->context);
    return err == SL_OK ? SL_OK : sl_fail(err, "%s", cause);
}

/* With the lock, which it lets go meanwhile. */
static sl_err bring(const sl_module_key *key, const sl_module_source *source,
                    sl_loaded_module **out) {
    sl_loaded_module *module = create(key), *gone = make_room();
    if (module) {
        module->users = 1;
        module->next = table.modules;
        table.modules = module;
        table.count++;
    }
    pthread_mutex_unlock(&table.lock);
    sl_module_unload(gone);
    sl_err err =
        module ? get_and_fill(module, source) : sl_fail(SL_ERR_NO_MEMORY, "no memory for a module");
    pthread_mutex_lock(&table.lock);
    if (!module)
        return err;
    module->stage = err == SL_OK ? READY : BROKEN;
    module->used_last = ++table.clock;
    pthread_cond_broadcast(&table.changed);
    if (err == SL_OK)
        *out = module;
    else
        leave(module);
    return err;
}

sl_err sl_module_use(const sl_module_key *key, const sl_module_source *source, bool *came,
                     sl_loaded_module **out) {
    sl_err err = SL_OK;
    sl_loaded_module *module = NULL;
    bool brought = false;
    pthread_mutex_lock(&table.lock);
    while (err == SL_OK && !module) {
        sl_loaded_module *found = find(key);
        if (!found) {
            err = bring(key, source, &module);
            brought = true;
            break;
        }
        found->users++;
        while (found->stage == LOADING)
            pthread_cond_wait(&table.changed, &table.lock);
        if (found->stage == READY) {
            found->used_last = ++table.clock;
            module = found;
        } else {
            leave(found); /* what failed for others may not for this one, who has other bytes */
        }
    }
    pthread_mutex_unlock(&table.lock);
    if (came)
        *came = brought;
    if (err == SL_OK)
        *out = module;
    return err;
}

void sl_module_done(sl_loaded_module *module) {
    pthread_mutex_lock(&table.lock);
    leave(module);
    pthread_mutex_unlock(&table.lock);
}

uint32_t sl_modules_loaded(void) {
    pthread_mutex_lock(&table.lock);
    uint32_t count = table.count;
    pthread_mutex_unlock(&table.lock);
    return count;
}
