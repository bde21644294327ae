/* The sites file: which hosts stand where. Text, one rule a line, the first that matches counts:
 *
 *   # host pattern    region      [zone=NAME] [lat=DEGREES lon=DEGREES]
 *   n[1-2]            us-west     zone=a lat=45.6 lon=-121.2
 *   *.fra.example     eu-central
 *
 * Patterns are fnmatch(3)'s, compared without regard to case with the host's name; a pattern
 * without a dot is also compared with the part of the name before its first dot. Names of regions
 * and zones: letters, digits, `-`, `_`, `.`, a letter or digit first, at most 63 bytes. */
#ifndef SL_MPI_SITES_H
#define SL_MPI_SITES_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/err.h"

#define SL_SITES_NAME_BYTES    64 /* of a region or zone, its NUL included */
#define SL_SITES_PATTERN_BYTES 128
#define SL_SITES_STARS_MAX     4 /* `*` in one pattern: matching stays cheap */
#define SL_SITES_RULES_MAX     16384
#define SL_SITES_FILE_MAX      (1u << 20) /* bytes */

typedef struct sl_site {
    char pattern[SL_SITES_PATTERN_BYTES];
    char region[SL_SITES_NAME_BYTES];
    char zone[SL_SITES_NAME_BYTES]; /* "" not given */
    bool has_coordinates;
    double latitude, longitude; /* degrees, north and east positive; only with has_coordinates */
    int line;                   /* of the file, from 1 */
} sl_site;

typedef struct sl_sites sl_sites;

/* True when `name` may name a region or zone. */
bool sl_sites_name_valid(const char *name);

/* Reads a file. SL_ERR_SYNTAX or SL_ERR_TOO_LARGE with "file:line: why", SL_ERR_IO,
 * SL_ERR_NO_MEMORY. The caller owns *sites. */
sl_err sl_sites_load(const char *path, sl_sites **sites) SL_CHECKED;

/* The same from memory; `name` stands for the file in messages and answers. */
sl_err sl_sites_parse(const char *text, size_t length, const char *name,
                      sl_sites **sites) SL_CHECKED;

void sl_sites_destroy(sl_sites *sites);

/* The first rule for `host`, or NULL. Borrowed from `sites`, which may be NULL. Any thread. */
const sl_site *sl_sites_find(const sl_sites *sites, const char *host);

/* What the rules came from: the file's name. */
const char *sl_sites_name(const sl_sites *sites);

#endif
