/* Objects for a gateway without a store: on the heap, small, and strict about their bounds, where
 * they abort. One thread. */
#ifndef SL_TESTS_HEAP_OBJECTS_H
#define SL_TESTS_HEAP_OBJECTS_H

#include "actors/gateway/gateway.h"

/* Arguments that begin with this byte name, by the next one, an object. */
enum { HEAP_OBJECTS_NAME = 0xa0 };

/* None of kind 0 or above 4 KiB is made, and none that begins with 0xff sealed. An output that
 * begins with 'O' is an object of ten bytes a letter of the function; every third size is lost. */
extern const sl_gateway_objects heap_objects;

/* How many somebody has. */
uint32_t heap_objects_alive(void);

#endif
