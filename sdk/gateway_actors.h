/* Actors of clients from outside: what the gateway asks of its node's host. */
#ifndef SL_SDK_GATEWAY_ACTORS_H
#define SL_SDK_GATEWAY_ACTORS_H

#include "actors/gateway/gateway.h"

/* The functions for the gateway of this process's first node, where the program's client is. */
sl_gateway_actors sl_gateway_actors_here(void);

#endif
