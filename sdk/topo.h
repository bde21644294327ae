/* The network's description as a table for people. */
#ifndef SL_SDK_TOPO_H
#define SL_SDK_TOPO_H

#include <jansson.h>
#include <stdint.h>

#include "runtime/strbuf.h"

/* Appends a line per node, then each host's hardware with the sources of its figures and its UCU
 * terms. `nodes` are objects of `starlane topo --json`, NULL where a node did not answer. */
void sl_topo_table(json_t *const *nodes, uint32_t count, sl_strbuf *out);

#endif
