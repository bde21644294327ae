/* Actors on the heap, for a gateway without a network: they do nothing, and words of them are told
 * when the test says so. One thread, one gateway. */
#ifndef SL_TESTS_HEAP_ACTORS_H
#define SL_TESTS_HEAP_ACTORS_H

#include "actors/gateway/gateway.h"
#include "runtime/node.h"

/* Kinds whose names begin with this cannot be spawned. */
enum { HEAP_ACTORS_NONE = '!' };

extern const sl_gateway_actors heap_actors;

/* One of those that were spawned, alive or not; zero when there is none. */
sl_gateway_ref heap_actors_some(uint32_t which);

/* The oldest word that is owed is told, with such an end (NULL: an error); false: there is none. */
bool heap_actors_answer(sl_node *node, const char *output);
/* An actor ends; false: there is none. */
bool heap_actors_end(sl_node *node, uint32_t which);

/* Everything that is owed is told: each word once. */
void heap_actors_settle(sl_node *node);

#endif
