/* Objects of clients from outside: what the gateway asks of its node's store. */
#ifndef SL_SDK_GATEWAY_STORE_H
#define SL_SDK_GATEWAY_STORE_H

#include "actors/gateway/gateway.h"
#include "actors/store/store.h"

/* The functions for the gateway of the node whose store this is, which is borrowed. */
sl_gateway_objects sl_gateway_store(sl_store *store);

#endif
