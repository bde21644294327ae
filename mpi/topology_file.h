/* The topology file: which hosts stand where. Text, one rule a line, the first that matches counts:
 *
 *   # host pattern    region      [zone=NAME] [lat=DEGREES lon=DEGREES]
 *   n[1-2]            us-west     zone=a lat=45.6 lon=-121.2
 *   *.fra.example     eu-central
 *
 * Patterns are fnmatch(3)'s, compared without regard to case with the host's name; a pattern
 * without a dot is also compared with the part of the name before its first dot. Names of regions
 * and zones: letters, digits, `-`, `_`, `.`, a letter or digit first, at most 63 bytes. */
#ifndef SL_MPI_TOPOLOGY_FILE_H
#define SL_MPI_TOPOLOGY_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/err.h"

#define SL_REGION_NAME_BYTES           64 /* of a region or zone, its NUL included */
#define SL_TOPOLOGY_FILE_PATTERN_BYTES 128
#define SL_TOPOLOGY_FILE_STARS_MAX     4 /* `*` in one pattern: matching stays cheap */
#define SL_TOPOLOGY_FILE_RULES_MAX     16384
#define SL_TOPOLOGY_FILE_MAX           (1u << 20) /* bytes */

typedef struct sl_topology_rule {
    char pattern[SL_TOPOLOGY_FILE_PATTERN_BYTES];
    char region[SL_REGION_NAME_BYTES];
    char zone[SL_REGION_NAME_BYTES]; /* "" not given */
    bool has_coordinates;
    double latitude, longitude; /* degrees, north and east positive; only with has_coordinates */
    int line;                   /* of the file, from 1 */
} sl_topology_rule;

typedef struct sl_topology_file sl_topology_file;

/* True when `name` may name a region or zone. */
bool sl_region_name_valid(const char *name);

/* Reads a file. SL_ERR_SYNTAX or SL_ERR_TOO_LARGE with "file:line: why", SL_ERR_IO,
 * SL_ERR_NO_MEMORY. The caller owns *file. */
sl_err sl_topology_file_load(const char *path, sl_topology_file **file) SL_CHECKED;

/* The same from memory; `name` stands for the file in messages and answers. */
sl_err sl_topology_file_parse(const char *text, size_t length, const char *name,
                              sl_topology_file **file) SL_CHECKED;

void sl_topology_file_destroy(sl_topology_file *file);

/* The first rule for `host`, or NULL. Borrowed from `file`, which may be NULL. Any thread. */
const sl_topology_rule *sl_topology_file_find(const sl_topology_file *file, const char *host);

/* What the rules came from: the file's name. */
const char *sl_topology_file_name(const sl_topology_file *file);

#endif
