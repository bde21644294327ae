/* The promises of runtime/collective.h, checked at one member while all others run the same. */
#ifndef SL_TESTS_COLLECTIVE_CONFORMANCE_H
#define SL_TESTS_COLLECTIVE_CONFORMANCE_H

#include "runtime/collective.h"

/* Leaves the collective open and quiet. */
void collective_conformance_run(sl_collective *collective);

#endif
