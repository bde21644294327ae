/* A relay of TCP connections that cuts them: at any byte, in either direction. */
#ifndef SL_TESTS_CUTTER_H
#define SL_TESTS_CUTTER_H

#include <stdint.h>

typedef struct cutter cutter;

/* Listens at a port of its own (*from), and relays each connection to `to` on this host. */
cutter *cutter_start(uint16_t to, uint16_t *from);
void cutter_stop(cutter *of);

/* Each connection is cut after a random number of bytes, up to `most` in all; 0: never. Half of
 * them with a reset. */
void cutter_set(cutter *of, uint64_t most);
/* Until it is allowed again, new connections are refused; those there are, are cut. */
void cutter_block(cutter *of, int blocked);
/* Cuts all there are now. */
void cutter_cut(cutter *of);
/* Connections that were cut so far. */
uint64_t cutter_cuts(cutter *of);

#endif
