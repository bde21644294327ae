/* How a network ends: one node tells all others, itself last. */
#ifndef SL_SDK_NETWORK_STOP_H
#define SL_SDK_NETWORK_STOP_H

#include <stdbool.h>

#include "runtime/actor.h"
#include "starlane.h"

/* Stops every node with `code`, from an actor of any of them. */
void sl_network_stop_all(sl_actor *self, uint32_t code);

/* Whether sl_network_stop() can reach the stopper: between the start of the nodes and their end. */
void sl_network_set_serving(sl_network *network, bool serving);

/* The driver of a network that is only served: it waits for sl_network_stop(). */
extern const sl_actor_class sl_network_stopper_class;

#endif
