/* A module as who submits sees it: what sl_module_load() answers.
 *
 * A task of a module travels as a call of the function PREFIX/NAME, of the family that
 * sdk/task_call.c registers. In front of the task's own arguments stand two more: the object with
 * the file, which is kept like any argument, and bytes that say what the file is held against and
 * which of its tasks is meant. A call of a list of tasks has text instead of arguments, and is
 * answered by text.
 *
 * Of a module that is sealed (sl_module_load_sealed()) the object is a parcel
 * (actors/secure/parcel.h). Its tasks travel as calls of SL_SEALED_MODULE, with the object and an
 * envelope; in that stand the parcel's key, the bytes of the other value, and the arguments. */
#ifndef SL_SDK_MODULE_H
#define SL_SDK_MODULE_H

#include <stdatomic.h>

#include "actors/secure/parcel.h"
#include "sdk/module_load.h"

enum { SL_MODULE_VALUES = 2 /* in front of a task's own */ };

/* The second of them: hash, u64 bytes, u32 form, u32 zero, name without its end. */
enum { SL_MODULE_ABOUT_HEAD = SL_MODULE_HASH_BYTES + 16 };

/* What follows them: values, or JSON that says such. */
typedef enum sl_module_form { SL_MODULE_OF_VALUES, SL_MODULE_OF_TEXT } sl_module_form;

typedef struct sl_module_call {
    sl_module_key key;
    sl_module_form form;
    char name[SL_TASK_NAME_BYTES];
} sl_module_call;

/* A call of a task of a sealed module, as a node has opened it. */
typedef struct sl_module_sealed {
    sl_module_call what;
    const uint8_t *data_key; /* SL_PARCEL_KEY_BYTES, of the parcel in … */
    const void *object;      /* … the object of this name */
} sl_module_sealed;

typedef struct sl_module_entry {
    sl_task task; /* first */
    sl_module *module;
    char name[SL_MODULE_PREFIX_BYTES + SL_TASK_NAME_BYTES]; /* PREFIX/NAME */
    size_t about_bytes;
    uint8_t about[SL_MODULE_ABOUT_HEAD + SL_TASK_NAME_BYTES];
} sl_module_entry;

struct sl_module {
    _Atomic uint32_t references;
    sl_object *object; /* the file */
    uint8_t
        *data_key; /* owned, of a sealed one, whose object is a parcel; NULL: it is not sealed */
    char id[SL_MODULE_ID_BYTES];
    sl_module_file file;
    sl_module_entry entries[]; /* as file.tasks */
};

/* A module of a file that was read, with one reference; on success `file` and `object` are its own.
 */
sl_err sl_module_make(const sl_module_key *key, const sl_module_file *file, sl_object *object,
                      sl_module **module) SL_CHECKED;
/* The same of what was put as `object`; NULL: it was not, which is `failure`. All three are the
 * module's own, or let go of; `data_key` NULL: it is not sealed. */
sl_err sl_module_finish(sl_err failure, const sl_module_key *key, sl_module_file *file,
                        sl_object *object, uint8_t *data_key, sl_module **module) SL_CHECKED;
sl_module *sl_module_retain(sl_module *module);

/* Reads the file at `path` into `bytes`, to be freed, as a module. */
sl_err sl_module_read(const char *path, uint8_t **bytes, sl_module_key *key,
                      sl_module_file *file) SL_CHECKED;

static inline bool sl_task_is_of_module(const sl_task *task) {
    return task->options.last_ == SL_TASK_OF_MODULE;
}

static inline sl_module_entry *sl_module_entry_of(const sl_task *task) {
    return (sl_module_entry *)(uintptr_t)task;
}

/* Writes the SL_MODULE_VALUES values of a task of a module. */
void sl_module_values(const sl_module_entry *entry, sl_value *values);

/* The same of a call in text; `about`, which the values then point to, has room for what the
 * entry's has. */
void sl_module_text_values(const sl_module_entry *entry, uint8_t *about, sl_value *values);

/* remote_module.c: a call of a module of a connection, in text, `json`; its result is text too. The
 * task's name is that of the future. `teller` as sl_remote_call_telling(). */
struct sl_remote_teller;
sl_future *sl_remote_call_module(sl_remote *remote, const sl_task *task, const char *json,
                                 const sl_task_options *options,
                                 const struct sl_remote_teller *teller);

/* remote_submit.c: a call of a task of a sealed module of a connection, with values, or, `json` not
 * NULL, in text, as above. */
sl_future *sl_remote_submit_sealed(sl_remote *remote, const sl_task *task, const sl_args *args,
                                   const char *json, const sl_task_options *options,
                                   const struct sl_remote_teller *teller);

/* Takes the second of them apart. SL_ERR_DECODE. */
sl_err sl_module_about(const sl_value *value, sl_module_call *call) SL_CHECKED;

/* Of a sealed one the first section of what was in the envelope; `object` is left. SL_ERR_DECODE.
 */
sl_err sl_module_sealed_read(sl_part section, sl_module_sealed *sealed) SL_CHECKED;

/* Sealed if its module is, and not if that is not: SL_ERR_INVALID says what to do. */
sl_err sl_module_check_seal(const sl_task *task, const sl_task_options *options) SL_CHECKED;

/* What is read at `path`, as a parcel, to be freed, under a new key. */
sl_err sl_module_read_sealed(const char *path, uint8_t **parcel, size_t *bytes, uint8_t **data_key,
                             sl_module_key *key, sl_module_file *file) SL_CHECKED;
/* `bytes`, which are wiped and freed, as a parcel. */
sl_err sl_module_wrap(uint8_t *bytes, size_t size, uint8_t **parcel, size_t *parcel_bytes,
                      uint8_t **data_key) SL_CHECKED;

#endif
