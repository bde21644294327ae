/* The one chunk that a streaming sealer or opener holds: bytes gathered, then bytes that wait for
 * room. Private to this room. */
#ifndef SL_SECURE_FEED_H
#define SL_SECURE_FEED_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

/* Zeroed: empty. */
typedef struct sl_feed {
    uint8_t *bytes; /* owned; holds plain text: wiped before it is freed */
    size_t room;
    size_t held;  /* gathered */
    size_t ready; /* waiting to be given out … */
    size_t at;    /* … from here on */
} sl_feed;

sl_err sl_feed_reserve(sl_feed *feed, size_t room) SL_CHECKED;
void sl_feed_clear(sl_feed *feed); /* wipes, keeps the memory */
void sl_feed_fini(sl_feed *feed);

/* Gathers until `whole` bytes are held, behind the first `skip`; returns how many it took. */
size_t sl_feed_take(sl_feed *feed, size_t skip, size_t whole, const uint8_t *in, size_t in_bytes);

/* What was gathered has become `bytes` from `at` on, to be given out. */
void sl_feed_ready(sl_feed *feed, size_t at, size_t bytes);

/* Returns how many it gave. */
size_t sl_feed_give(sl_feed *feed, uint8_t *out, size_t room);

#endif
