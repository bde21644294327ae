#include "actors/gateway/guesses.h"

#include <stdio.h>
#include <string.h>

#include "runtime/clock.h"

#define FIRST_NS   (250 * SL_NS_PER_MS)
#define LONGEST_NS (60 * SL_NS_PER_S)
#define FORGET_NS  (600 * SL_NS_PER_S)

static sl_guesser *find(const sl_guesses *guesses, const char *address) {
    for (int i = 0; i < SL_GUESSERS; i++)
        if (guesses->guessers[i].wrong && strcmp(guesses->guessers[i].address, address) == 0)
            return (sl_guesser *)&guesses->guessers[i];
    return NULL;
}

uint64_t sl_guesses_wait_ns(const sl_guesses *guesses, const char *address, uint64_t now_ns) {
    const sl_guesser *found = find(guesses, address);
    return found && found->until_ns > now_ns ? found->until_ns - now_ns : 0;
}

static sl_guesser *place_for(sl_guesses *guesses) {
    sl_guesser *oldest = guesses->guessers;
    for (int i = 0; i < SL_GUESSERS; i++) {
        sl_guesser *at = &guesses->guessers[i];
        if (!at->wrong)
            return at;
        if (at->last_ns < oldest->last_ns)
            oldest = at;
    }
    return oldest;
}

void sl_guesses_wrong(sl_guesses *guesses, const char *address, uint64_t now_ns) {
    sl_guesser *at = find(guesses, address);
    if (!at || now_ns - at->last_ns > FORGET_NS) {
        at = at ? at : place_for(guesses);
        *at = (sl_guesser){};
        snprintf(at->address, sizeof at->address, "%s", address);
    }
    at->wrong++;
    at->last_ns = now_ns;
    if (at->wrong < SL_GUESSES_FREE)
        return;
    uint64_t wait_ns = FIRST_NS;
    for (uint32_t i = SL_GUESSES_FREE; i < at->wrong && wait_ns < LONGEST_NS; i++)
        wait_ns *= 2;
    at->until_ns = now_ns + (wait_ns < LONGEST_NS ? wait_ns : LONGEST_NS);
}

void sl_guesses_right(sl_guesses *guesses, const char *address) {
    sl_guesser *found = find(guesses, address);
    if (found)
        *found = (sl_guesser){};
}
