/* How a network ends: one node tells all others, itself last. */
#ifndef SL_SDK_NETWORK_STOP_H
#define SL_SDK_NETWORK_STOP_H

#include "runtime/actor.h"

/* Stops every node with `code`, from an actor of any of them. */
void sl_network_stop_all(sl_actor *self, uint32_t code);

/* The driver of a network that is only served: it waits for sl_network_stop(). */
extern const sl_actor_class sl_network_stopper_class;

#endif
