/* Configuration: the value of every option in force, and where it came from.
 *
 * Flags beat the environment (STARLANE_NAME), which beats the file (--config FILE,
 * STARLANE_CONFIG), which beats the defaults of the table; in which order they are loaded does not
 * matter. A value that does not fit is an error that names its source, what the option takes, and
 * what to write instead. Loaded by one thread; any thread may read it afterwards. */
#ifndef SL_RUNTIME_CONFIG_H
#define SL_RUNTIME_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"
#include "runtime/option.h"
#include "runtime/strbuf.h"

typedef struct sl_config sl_config;

/* From weak to strong. */
typedef enum sl_config_source {
    SL_CONFIG_DEFAULT,
    SL_CONFIG_FILE,
    SL_CONFIG_ENVIRONMENT,
    SL_CONFIG_PROGRAM, /* sl_config_set() */
    SL_CONFIG_FLAG
} sl_config_source;

enum { SL_CONFIG_FILE_LIMIT_BYTES = 1 << 20 };

/* Every option at its default. */
sl_err sl_config_create(sl_config **config) SL_CHECKED;

/* NULL is fine. */
void sl_config_destroy(sl_config *config);

/* All sources, for a program: flags out of `argv`, then `environment` (as environ(7)), then the
 * file named by either. See the functions below for each one's part. */
sl_err sl_config_load(sl_config *config, const char *groups, int *argc, char **argv,
                      char *const *environment) SL_CHECKED;

/* Takes the flags of the options in `groups` ("run network"; "common" is always in) out of argv[1…]
 * and leaves the rest, in order, in argv and *argc: --name=value, --name value, --switch,
 * --no-switch, -h for --help; all behind `--` is left as it is. argv ends in NULL as main()'s does.
 * On SL_ERR_INVALID the detail is for the user, and argv's order is lost. */
sl_err sl_config_parse_args(sl_config *config, const char *groups, int *argc,
                            char **argv) SL_CHECKED;

/* Takes the variables STARLANE_*. One that names no option becomes a warning. */
sl_err sl_config_load_environment(sl_config *config, char *const *environment) SL_CHECKED;

/* Takes the lines `name = value` of a file of at most SL_CONFIG_FILE_LIMIT_BYTES. A value may stand
 * in double quotes (then \" and \\ are " and \); # begins a comment at a line's begin or after a
 * blank. Unknown names and names set twice are errors. SL_ERR_IO, SL_ERR_SYNTAX, SL_ERR_TOO_LARGE
 * or SL_ERR_INVALID. */
sl_err sl_config_load_file(sl_config *config, const char *path) SL_CHECKED;

/* The same from memory; `name` stands for the file in messages. */
sl_err sl_config_load_text(sl_config *config, const char *name, const char *text,
                           size_t size) SL_CHECKED;

/* Sets one option from code, as a user would write it. */
sl_err sl_config_set(sl_config *config, sl_opt id, const char *text) SL_CHECKED;

/* The warnings of loading, a line each, or "". Owned by the configuration. */
const char *sl_config_warnings(const sl_config *config);

/* True when there is a value at all: an option whose default is "" has none until it is given one.
 */
bool sl_config_is_set(const sl_config *config, sl_opt id);

/* Which source won, and its name for people: "flag --nodes", "environment STARLANE_NODES",
 * "my.conf:7", "default". Owned by the configuration. */
sl_config_source sl_config_source_of(const sl_config *config, sl_opt id);
const char *sl_config_origin(const sl_config *config, sl_opt id);

/* The value. Asking for another kind than the option's is a defect (an assertion). Unset gives 0 or
 * "". */
bool sl_config_bool(const sl_config *config, sl_opt id);
int64_t sl_config_int(const sl_config *config, sl_opt id);
double sl_config_double(const sl_config *config, sl_opt id);
uint64_t sl_config_duration_ns(const sl_config *config, sl_opt id);
uint64_t sl_config_bytes(const sl_config *config, sl_opt id);
/* Index of the word in the option's list. */
int sl_config_enum(const sl_config *config, sl_opt id);
/* As written, of any kind: the text of a STRING or PATH, the word of an ENUM. Owned by the
 * configuration. */
const char *sl_config_text(const sl_config *config, sl_opt id);

/* What is in force, and where from: a table for people, or a JSON object {name: {value, unit,
 * source, origin}} (durations and sizes as numbers in the option's unit, unset as null). */
void sl_config_print(const sl_config *config, sl_strbuf *out);
void sl_config_json(const sl_config *config, sl_strbuf *out);

/* The flags of the options in `groups` for --help, wrapped at 80 columns. */
void sl_config_help(const char *groups, sl_strbuf *out);

/* docs/options.md, and the OPTIONS and ENVIRONMENT sections of starlane(1) (man(7) macros). */
void sl_config_markdown(sl_strbuf *out);
void sl_config_man(sl_strbuf *out);

#endif
