/* The door of a network's gateway: links of net/ on one side, the gateway actor on the other.
 *
 * Links have a thread of their own; what they bring is copied and told to the actor by events. Of
 * one visitor only so much waits for the actor: then its link is paused, and TCP holds it up. */
#ifndef SL_SDK_GATEWAY_DOOR_H
#define SL_SDK_GATEWAY_DOOR_H

#include "actors/store/store.h"
#include "runtime/config.h"
#include "runtime/node.h"

typedef struct sl_gateway_place sl_gateway_place;

/* Spawns the gateway on `node` and listens where the options say. Before the loop runs. `store`:
 * the node's, for objects of clients; `core_ucu`: what a core counts; `may_stop`: who has the scope
 * `admin` may end the network. */
sl_err sl_gateway_open(const sl_config *config, sl_node *node, sl_store *store, double core_ucu,
                       bool may_stop, sl_gateway_place **place) SL_CHECKED;

/* How clients get there: starlane://HOST:PORT#FINGERPRINT. */
const char *sl_gateway_place_url(const sl_gateway_place *place);

/* Closes all links, and the pools that the gateway posts to; before the node is destroyed, which
 * still knows events of it: then sl_gateway_free(). After the loop, which has ended the actor, or
 * without one: then the actor has had no visitor, and posts nothing as it ends with the node. NULL
 * is fine in both. */
void sl_gateway_close(sl_gateway_place *place);
void sl_gateway_free(sl_gateway_place *place);

#endif
