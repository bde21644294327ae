/* One task as the user described it: what to run, what it needs, when it may start.
 *
 * A spec is plain data. Its strings and arrays belong to the sl_task_list it came from and live as
 * long as that list does; nothing in it is NULL-checked by readers beyond what is said here. */
#ifndef SL_SDK_TASK_SPEC_H
#define SL_SDK_TASK_SPEC_H

#include <stdint.h>

#include "runtime/err.h"
#include "runtime/strbuf.h"

/* Bounds. A task file is hostile input: nothing in a spec exceeds these. */
#define SL_TASK_NAME_MAX   200  /* bytes: it becomes a file name */
#define SL_TASK_REGION_MAX 64   /* bytes */
#define SL_TASK_PATH_MAX   4095 /* bytes */
#define SL_TASK_STRING_MAX                                                                         \
    131071                         /* bytes of one argument or NAME=VALUE (Linux: MAX_ARG_STRLEN)  \
                                    */
#define SL_TASK_CPUS_MAX     65536 /* cores of one task */
#define SL_TASK_GPUS_MAX     1024  /* devices of one task */
#define SL_TASK_MEMORY_MAX   1e6   /* GB (10^9 bytes) */
#define SL_TASK_UCU_MAX      1e9   /* UCU */
#define SL_TASK_PRIORITY_MAX 1000000    /* either sign */
#define SL_TASK_TIMEOUT_MAX  1e9        /* seconds */
#define SL_TASK_TIMEOUT_MIN  0.001      /* seconds; also the resolution */
#define SL_TASK_RETRIES_MAX  1000       /* runs after the first */
#define SL_TASK_LINE_MAX     (1u << 20) /* bytes of one line of a task file */
#define SL_TASK_COUNT_MAX    100000000u /* tasks of one run */
#define SL_TASK_NO_GROUP     UINT32_MAX /* sl_task_spec.group of a task outside any array */

typedef enum sl_task_form { SL_FORM_COMMAND, SL_FORM_SHELL, SL_FORM_FUNCTION } sl_task_form;
typedef enum sl_task_stdin { SL_STDIN_NONE, SL_STDIN_TEXT, SL_STDIN_FILE } sl_task_stdin;
typedef enum sl_task_args { SL_ARGS_NONE, SL_ARGS_STRING, SL_ARGS_JSON } sl_task_args;

/* Tasks `first` … `first + count - 1` of the list. A dependency on an array is one range, so that
 * an array waiting for an array costs bytes per array, not per pair of members. */
typedef struct sl_task_range {
    uint32_t first;
    uint32_t count;
} sl_task_range;

typedef struct sl_task_spec {
    const char *name;            /* unique in its list, safe as a file name */
    union {                      /* by `kind` */
        const char *const *argv; /* SL_FORM_COMMAND: `argc` strings and a NULL */
        const char *shell;       /* SL_FORM_SHELL: text for /bin/sh -c */
        const char *function;    /* SL_FORM_FUNCTION: the registered name */
    };
    const char *module;         /* of a function: the path of the module it is a task of; NULL */
    const char *args;           /* by `args_kind`: the string's bytes, or compact JSON text */
    const char *input;          /* by `stdin_kind`: the text itself, or a path */
    const char *const *env;     /* `env_count` NAME=VALUE and a NULL; NULL when there is none */
    const char *cwd;            /* NULL: where the run was started */
    const char *region;         /* NULL: anywhere */
    const sl_task_range *after; /* `after_count` ranges; set by sl_task_list_finish() */
    uint64_t memory_bytes;
    uint64_t ucu_milli;  /* thousandths of a compute unit */
    uint64_t timeout_ns; /* of one attempt; 0: none */
    uint32_t argc;
    uint32_t env_count;
    uint32_t after_count;
    uint32_t cpus; /* default 1 */
    uint32_t gpus;
    uint32_t retries;
    int32_t priority;   /* higher first */
    uint32_t line;      /* of the task file, from 1; 0: not from a file */
    uint32_t group;     /* the array it is a member of, or SL_TASK_NO_GROUP */
    uint8_t kind;       /* sl_task_form */
    uint8_t stdin_kind; /* sl_task_stdin */
    uint8_t args_kind;  /* sl_task_args */
} sl_task_spec;

/* A spec that asks for one core and nothing else (name and command empty). */
void sl_task_spec_init(sl_task_spec *spec);

/* The command as a person would type it in a shell: the shell text, the arguments quoted where they
 * need it, or `function(args)`. Failures stay in `out`. */
void sl_task_spec_command_text(const sl_task_spec *spec, sl_strbuf *out);

/* Appends `text` so that /bin/sh reads exactly that one word: bare when every byte is harmless,
 * else in single quotes. */
void sl_shell_quote(sl_strbuf *out, const char *text);

/* SL_OK when `name` (of `length` bytes) can name a task and a file: 1 to SL_TASK_NAME_MAX bytes, no
 * '/', no control characters, not "." or "..". SL_ERR_INVALID says which rule is broken. */
sl_err sl_task_name_check(const char *name, size_t length) SL_CHECKED;

#endif
