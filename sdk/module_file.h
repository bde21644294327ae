/* A module as a file: an ELF shared object with a note for each of its tasks.
 *
 * The reader looks at what is looked at before such a file is loaded: its head, what is to be
 * mapped, the dynamic section and the notes, all against the size of the file. Any bytes are taken;
 * none are believed. That a file passes says that it is whole and what is in it; what its code does
 * when it is loaded is another matter (docs/security.md). */
#ifndef SL_SDK_MODULE_FILE_H
#define SL_SDK_MODULE_FILE_H

#include "runtime/err.h"
#include "starlane.h"

enum {
    SL_MODULE_MOST_BYTES = 256 << 20,
    SL_MODULE_MEMORY_MOST_GIB = 4, /* that it asks for when it is loaded */
    SL_MODULE_TASKS_MOST = 1024,
    SL_MODULE_SEGMENTS_MOST = 64
};

typedef struct sl_module_file_task {
    char name[SL_TASK_NAME_BYTES];
    char region[SL_TASK_REGION_BYTES]; /* "": any */
    sl_task_options options;           /* but for the region */
} sl_module_file_task;

typedef struct sl_module_file {
    uint16_t machine; /* EM_… */
    uint32_t task_count;
    sl_module_file_task *tasks; /* owned; in the order of their names, which differ */
} sl_module_file;

/* Reads a file of any machine whose words are as long as here and of the same order, into `file`,
 * which is to be ended by sl_module_file_fini() on success. SL_ERR_DECODE says what is wrong;
 * SL_ERR_NO_MEMORY. Pure; any thread. */
sl_err sl_module_file_read(const void *bytes, size_t size, sl_module_file *file) SL_CHECKED;
void sl_module_file_fini(sl_module_file *file);
sl_err sl_module_file_copy(const sl_module_file *from, sl_module_file *file) SL_CHECKED;

/* SL_ERR_NOT_FOUND: it has no task `name`; says which it has. */
sl_err sl_module_no_task(const sl_module_file *file, const char *name);

/* SL_ERR_INVALID: it was built for another kind of machine than this one. */
sl_err sl_module_file_fits_here(const sl_module_file *file) SL_CHECKED;

#endif
