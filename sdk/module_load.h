/* Modules in this process: from bytes to tasks that can be called.
 *
 * A process has each module once, however many nodes it has and whoever brought it: by the SHA-256
 * of its bytes. Those who want one that is not here yet wait for the first of them; a module that
 * nobody runs may make room for another. Any thread, but none of a loop: loading runs code. */
#ifndef SL_SDK_MODULE_LOAD_H
#define SL_SDK_MODULE_LOAD_H

#include "sdk/module_file.h"

enum {
    SL_MODULE_HASH_BYTES = 32 /* SHA-256 */,
    SL_MODULE_ID_BYTES = 65,
    SL_MODULE_PREFIX_BYTES = 17
};

/* Of sl_task.options.last_: what a task is. */
enum {
    SL_TASK_UNKNOWN,
    SL_TASK_REGISTERED,
    SL_TASK_OF_MODULE, /* what sl_module_task() answers: to be submitted */
    SL_TASK_OF_LOADED  /* defined by a module that is loaded: to be called */
};

/* What a module is: who has another file cannot pass it off as this one. */
typedef struct sl_module_key {
    uint8_t hash[SL_MODULE_HASH_BYTES]; /* SHA-256 */
    uint64_t bytes;
} sl_module_key;

sl_err sl_module_key_of(const void *bytes, size_t size, sl_module_key *key) SL_CHECKED;
/* The hash in hexadecimal digits, and the first 16 of them, by which people tell modules apart. */
void sl_module_key_print(const sl_module_key *key, char text[SL_MODULE_ID_BYTES]);
void sl_module_key_prefix(const sl_module_key *key, char text[SL_MODULE_PREFIX_BYTES]);

typedef struct sl_loaded_module sl_loaded_module;

/* Where the file is put to be loaded. A test takes the second; else it is for systems that refuse
 * the first. */
typedef enum sl_module_place {
    SL_MODULE_IN_MEMORY,
    SL_MODULE_IN_FILE,
    SL_MODULE_NOT_IN_FILE /* the first or none: it is nobody's to read on a disk */
} sl_module_place;

/* Holds bytes against `key`, reads them as a module of this machine, and loads them, into no table.
 * SL_ERR_INVALID: others than `key` says, or for another machine; SL_ERR_DECODE: no module;
 * SL_ERR_FAILED: the loader's words, or the module's own (sl_module_fail()). On success to be
 * unloaded once nothing of it runs. */
sl_err sl_module_load_bytes(const sl_module_key *key, const void *bytes, size_t size,
                            sl_module_place place, sl_loaded_module **module) SL_CHECKED;
void sl_module_unload(sl_loaded_module *module); /* NULL is fine */

const sl_module_key *sl_loaded_module_key(const sl_loaded_module *module);

/* Its task of that name; SL_ERR_NOT_FOUND says what there is. */
sl_err sl_loaded_module_task(const sl_loaded_module *module, const char *name,
                             const sl_task **task) SL_CHECKED;
/* True when `task` is one of its tasks. */
bool sl_loaded_module_has(const sl_loaded_module *module, const sl_task *task);
/* What its file says. */
const sl_module_file *sl_loaded_module_file(const sl_loaded_module *module);

/* Where the bytes of a module come from, when they are wanted: to be held until `release`. */
typedef struct sl_module_source {
    sl_err (*get)(void *context, const void **bytes, size_t *size);
    void (*release)(void *context); /* after a get that succeeded */
    void *context;
    bool is_sealed; /* its bytes may come to lie in no file */
} sl_module_source;

/* The module `key`, to be used until sl_module_done(): it is here, or gets here from `source`.
 * `*came` (may be NULL): it came now. Waits for others that load it. */
sl_err sl_module_use(const sl_module_key *key, const sl_module_source *source, bool *came,
                     sl_loaded_module **module) SL_CHECKED;
void sl_module_done(sl_loaded_module *module);

/* How many are loaded: for tests. */
uint32_t sl_modules_loaded(void);

/* True on a thread that is inside a module's constructors. */
bool sl_module_is_loading(void);

/* Where sl_task_define() of this thread goes while it loads a module: true when the task was taken.
 * `actor`: it is no task. */
bool sl_module_takes(sl_task *task, const char *actor);

#endif
