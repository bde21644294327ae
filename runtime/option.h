/* Options: the table (runtime/options.def) and how a text becomes a value of one.
 *
 * What is in force, and where it came from, is in config.h. Everything here is constant or pure;
 * any thread. */
#ifndef SL_RUNTIME_OPTION_H
#define SL_RUNTIME_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/strbuf.h"

typedef enum sl_opt {
#define SL_OPTION(id, name, kind, unit, initial, min, max, groups, help) SL_OPT_##id,
#define SL_VARIABLE(name, help)
#include "runtime/options.def"
#undef SL_OPTION
#undef SL_VARIABLE
    SL_OPT_COUNT
} sl_opt;

typedef enum sl_option_kind {
    SL_OPTION_BOOL,
    SL_OPTION_INT,
    SL_OPTION_DOUBLE,
    SL_OPTION_STRING,
    SL_OPTION_PATH,
    SL_OPTION_ENUM,
    SL_OPTION_DURATION,
    SL_OPTION_BYTES
} sl_option_kind;

/* A row of the table; its fields are explained there. */
typedef struct sl_option {
    const char *name;
    sl_option_kind kind;
    const char *unit;
    const char *initial;
    double min, max;
    const char *groups;
    const char *help;
} sl_option;

/* A STARLANE_ variable that is no option. */
typedef struct sl_option_variable {
    const char *name; /* without STARLANE_ */
    const char *help;
} sl_option_variable;

typedef union sl_option_value {
    bool flag;       /* BOOL */
    int64_t integer; /* INT; ENUM: index of the word */
    double real;     /* DOUBLE */
    uint64_t amount; /* DURATION: nanoseconds; BYTES: bytes */
} sl_option_value;

enum { SL_OPTION_NAME_BYTES = 64 }; /* holds any option's environment name, NUL included */

/* The row of `id` (< SL_OPT_COUNT). Static storage. */
const sl_option *sl_option_get(sl_opt id);

/* The row's id by its exact name; false when there is none. */
bool sl_option_find(const char *name, size_t length, sl_opt *id);

/* The name most like `name` by edit distance, or NULL when none is close enough to be meant. */
const char *sl_option_nearest(const char *name);

/* True when one of the words of `groups` is one of the row's. */
bool sl_option_in_groups(const sl_option *option, const char *groups);

/* "log-level" -> "STARLANE_LOG_LEVEL". */
void sl_option_environment(const sl_option *option, char name[static SL_OPTION_NAME_BYTES]);

/* Variables that are no options, in the order of the table; `count` is set. */
const sl_option_variable *sl_option_variables(size_t *count);

/* True when the `length` bytes at `name` ("STARLANE_…") are one of those. */
bool sl_option_is_variable(const char *name, size_t length);

/* Reads `text`; false when it is not what sl_option_describe() says. Unset ("") is a value of
 * STRING and PATH only. Sizes: K, KiB = 1024, KB = 1000, and so on to T; times: ns us ms s m h d.
 */
bool sl_option_parse(const sl_option *option, const char *text, sl_option_value *value);

/* What the option takes, with its bounds: "a whole number from 1 to 1024 (nodes)". */
void sl_option_describe(const sl_option *option, sl_strbuf *out);

/* A text it takes, for "write for example …". */
void sl_option_example(const sl_option *option, sl_strbuf *out);

#endif
