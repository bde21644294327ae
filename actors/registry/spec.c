#include "actors/registry/spec.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/registry/spec_fields.h"

void sl_spec_destroy(sl_spec *spec) {
    if (!spec)
        return;
    for (uint32_t i = 0; i < spec->node_count; i++) {
        for (uint32_t h = 0; h < spec->nodes[i].host_count; h++)
            free(spec->nodes[i].hosts[h]);
        free(spec->nodes[i].hosts);
        free(spec->nodes[i].accelerators);
    }
    free(spec->nodes);
    free(spec);
}

static sl_err read_nodes(const sl_spec_reader *reader, const json_t *document, sl_spec *spec) {
    static const char *const keys[] = {"nodes", NULL};
    const sl_spec_path top = {""}, path = {"nodes"};
    SL_TRY(sl_spec_object(reader, &top, document, keys));
    const json_t *nodes = json_object_get(document, "nodes");
    if (!json_is_array(nodes))
        return sl_spec_fail(reader, &path, SL_ERR_INVALID, "an array of nodes is wanted here");
    size_t count = json_array_size(nodes);
    if (count > SL_SPEC_NODES_MAX)
        return sl_spec_fail(reader, &path, SL_ERR_TOO_LARGE, "%zu nodes: at most %d are allowed",
                            count, SL_SPEC_NODES_MAX);
    spec->nodes = calloc(count + 1, sizeof *spec->nodes);
    if (!spec->nodes)
        return sl_fail(SL_ERR_NO_MEMORY, "out of memory for %zu nodes of %s", count, reader->file);
    for (size_t i = 0; i < count; i++) {
        sl_spec_path where = sl_spec_path_index(&path, i);
        spec->node_count++;
        SL_TRY(sl_spec_read_node(reader, &where, json_array_get(nodes, i), &spec->nodes[i]));
    }
    return SL_OK;
}

sl_err sl_spec_parse(const char *text, size_t length, const char *name, sl_spec **out) {
    if (length > SL_SPEC_FILE_MAX)
        return sl_fail(SL_ERR_TOO_LARGE, "%s: larger than %u bytes", name, SL_SPEC_FILE_MAX);
    json_error_t problem;
    json_t *document = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
    if (!document)
        return sl_fail(SL_ERR_SYNTAX, "%s:%d:%d: %s", name, problem.line, problem.column,
                       problem.text);
    const sl_spec_reader reader = {name, text, length};
    sl_spec *spec = calloc(1, sizeof *spec);
    sl_err err = spec ? read_nodes(&reader, document, spec)
                      : sl_fail(SL_ERR_NO_MEMORY, "out of memory for %s", name);
    json_decref(document);
    if (err == SL_OK)
        *out = spec;
    else
        sl_spec_destroy(spec);
    return err;
}

sl_err sl_spec_load(const char *path, sl_spec **spec) {
    FILE *file = fopen(path, "re");
    if (!file)
        return sl_fail(SL_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    char *text = malloc(SL_SPEC_FILE_MAX + 1);
    size_t length = text ? fread(text, 1, SL_SPEC_FILE_MAX + 1, file) : 0;
    int error = ferror(file) ? errno : 0; /* a directory opens, and fails here */
    fclose(file);
    sl_err err;
    if (!text)
        err = sl_fail(SL_ERR_NO_MEMORY, "out of memory for %s", path);
    else if (error)
        err = sl_fail(SL_ERR_IO, "%s: cannot be read: %s", path, strerror(error));
    else
        err = sl_spec_parse(text, length, path, spec);
    free(text);
    return err;
}

static bool matches(const sl_spec_node *node, const char *hostname) {
    for (uint32_t i = 0; i < node->host_count; i++)
        if (fnmatch(node->hosts[i], hostname, 0) == 0)
            return true;
    return false;
}

const sl_spec_node *sl_spec_find(const sl_spec *spec, const char *hostname) {
    char shorter[256];
    snprintf(shorter, sizeof shorter, "%.*s", (int)strcspn(hostname, "."), hostname);
    for (uint32_t i = 0; spec && i < spec->node_count; i++)
        if (matches(&spec->nodes[i], hostname) || matches(&spec->nodes[i], shorter))
            return &spec->nodes[i];
    return NULL;
}
