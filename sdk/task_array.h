/* `--array 0-99,200-300:10` and `--each-line FILE`: the members one task is multiplied into.
 *
 * A member has an index and, with --each-line, a line. Member NAME.INDEX gets the environment
 * STARLANE_TASK_INDEX (and STARLANE_TASK_LINE), and in its texts `{#}` stands for the index and
 * `{}` for the line (the index when there are no lines). `{{}}` and `{{#}}` stand for themselves
 * without the outer braces, and what follows a `$` is the shell's (`${#}` stays). */
#ifndef SL_SDK_TASK_ARRAY_H
#define SL_SDK_TASK_ARRAY_H

#include <stdint.h>

#include "runtime/err.h"
#include "runtime/strbuf.h"
#include "sdk/arena.h"

#define SL_ARRAY_INDEX_MAX 999999999u
#define SL_ARRAY_LINE_MAX                                                                          \
    65536 /* bytes: a line becomes an argument and an environment variable                         \
           */

typedef struct sl_task_array {
    uint32_t *indices; /* ascending, `count` of them */
    uint32_t count;
    char **lines; /* by index, `line_count` of them */
    uint32_t line_count;
    bool has_lines; /* --each-line was given; its file may have been empty */
    sl_arena text;  /* holds the lines */
} sl_task_array;

/* Zeroed storage is an array of no members. */
void sl_task_array_fini(sl_task_array *array);

/* Reads FIRST-LAST[:STEP] and single indices, separated by commas, into `array` (zeroed or used
 * before; its indices are replaced). SL_ERR_SYNTAX: not that form. SL_ERR_INVALID: an index twice,
 * a range that runs backwards, more than `max` members, or an index without a line. */
sl_err sl_task_array_parse(sl_task_array *array, const char *text, uint32_t max) SL_CHECKED;

/* Reads the lines of `path` ("-": standard input), empty ones too, as the members' lines. Without
 * indices so far every line is a member; otherwise the indices choose lines. SL_ERR_IO,
 * SL_ERR_SYNTAX (a line too long, with a NUL, or not UTF-8) or SL_ERR_INVALID (an index beyond the
 * last line, more than `max` lines). */
sl_err sl_task_array_read_lines(sl_task_array *array, const char *path, uint32_t max) SL_CHECKED;

/* True when `text` holds a placeholder, so that members cannot share it. */
bool sl_task_array_has_placeholder(const char *text);

/* Appends `text` with the placeholders of member `index` filled in; `line` is NULL without
 * --each-line. With `quote` the line is quoted as one word for the shell. */
void sl_task_array_fill(sl_strbuf *out, const char *text, uint32_t index, const char *line,
                        bool quote);

#endif
