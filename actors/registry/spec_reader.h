/* Reads fields of a JSON document with bounds, and says file:line:field when one is wrong. jansson
 * keeps no positions of values, so the line is found again in the text: only when there is an
 * error. */
#ifndef SL_REGISTRY_SPEC_READER_H
#define SL_REGISTRY_SPEC_READER_H

#include <jansson.h>

#include "runtime/err.h"

#define SL_SPEC_PATH_MAX 160

typedef struct sl_spec_reader {
    const char *file; /* its name, for messages */
    const char *text; /* well-formed JSON; borrowed */
    size_t length;
} sl_spec_reader;

/* Where in the document: "nodes[0].cpu". */
typedef struct sl_spec_path {
    char text[SL_SPEC_PATH_MAX];
} sl_spec_path;

/* `path` with a key, or an index, appended. */
sl_spec_path sl_spec_path_key(const sl_spec_path *path, const char *key);
sl_spec_path sl_spec_path_index(const sl_spec_path *path, size_t index);

/* The line (from 1) of what `path` names in well-formed JSON, or of its nearest container there. */
unsigned sl_spec_line(const char *text, size_t length, const char *path);

/* Returns `err` with the detail "file:line:field: why". */
sl_err sl_spec_fail(const sl_spec_reader *reader, const sl_spec_path *path, sl_err err,
                    const char *format, ...) SL_PRINTF(4, 5);

/* Each leaves *value as it was when the key is absent, and refuses a wrong type or a value out of
 * bounds. */
sl_err sl_spec_number(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *object,
                      const char *key, double least, double most, double *value) SL_CHECKED;
sl_err sl_spec_integer(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *object,
                       const char *key, int64_t least, int64_t most, int64_t *value) SL_CHECKED;
sl_err sl_spec_bool(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *object,
                    const char *key, bool *value) SL_CHECKED;
/* At least one byte, fewer than `size`, no control characters. */
sl_err sl_spec_text(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *object,
                    const char *key, char *text, size_t size) SL_CHECKED;

/* Refuses what is no object, and any key not in the NULL-ended list, which the message shows. */
sl_err sl_spec_object(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *value,
                      const char *const *keys) SL_CHECKED;

/* A string that serves as a name: bounds as in sl_spec_text(). */
sl_err sl_spec_string(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *value,
                      char *text, size_t size) SL_CHECKED;

#endif
