/* The registries of a benchmark's network: who offers what. */
#ifndef SL_BENCH_MEMBERS_H
#define SL_BENCH_MEMBERS_H

#include "runtime/node.h"

/* Starts the registry of `node`, which offers `cores`. */
void members_spawn(sl_node *node, uint32_t cores);

/* Sends bench_go to the driver of `node` once its registry knows of at least `cores` in the
 * network. Call it after members_spawn() and when the driver is there. */
void members_announce(sl_node *node, uint32_t cores);

#endif
