/* Inside the spec file: the fields of one entry of "nodes". */
#ifndef SL_REGISTRY_SPEC_FIELDS_H
#define SL_REGISTRY_SPEC_FIELDS_H

#include "actors/registry/spec.h"
#include "actors/registry/spec_reader.h"

/* Fills a zeroed *node. On an error what it owns by then is freed by sl_spec_destroy(). */
sl_err sl_spec_read_node(const sl_spec_reader *reader, const sl_spec_path *path,
                         const json_t *value, sl_spec_node *node) SL_CHECKED;

/* Reads one entry of "accelerators", and how many such devices it stands for. */
sl_err sl_spec_read_accelerator(const sl_spec_reader *reader, const sl_spec_path *path,
                                const json_t *value, sl_accelerator *device,
                                int64_t *count) SL_CHECKED;

#endif
