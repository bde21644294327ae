/* Addresses from which wrong keys come: after a few, the next hello has to wait, longer each time.
 * A table of fixed size, in which the one that was quiet the longest gives way. */
#ifndef SL_GATEWAY_GUESSES_H
#define SL_GATEWAY_GUESSES_H

#include <stdbool.h>
#include <stdint.h>

enum { SL_GUESSERS = 256, SL_GUESSES_FREE = 3, SL_GUESSER_BYTES = 64 };

typedef struct sl_guesser {
    char address[SL_GUESSER_BYTES];
    uint32_t wrong;
    uint64_t last_ns, until_ns;
} sl_guesser;

typedef struct sl_guesses {
    sl_guesser guessers[SL_GUESSERS];
} sl_guesses;

/* How long a hello from there is still refused; 0: not. */
uint64_t sl_guesses_wait_ns(const sl_guesses *guesses, const char *address, uint64_t now_ns);

/* A wrong key came from there; or a right one. */
void sl_guesses_wrong(sl_guesses *guesses, const char *address, uint64_t now_ns);
void sl_guesses_right(sl_guesses *guesses, const char *address);

#endif
