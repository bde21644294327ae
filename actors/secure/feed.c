#include "actors/secure/feed.h"

#include <stdlib.h>
#include <string.h>

#include "actors/secure/secret.h"

void sl_feed_clear(sl_feed *feed) {
    if (feed->bytes && (feed->held || feed->ready || feed->at))
        sl_secret_wipe(feed->bytes, feed->room);
    feed->held = feed->ready = feed->at = 0;
}

void sl_feed_fini(sl_feed *feed) {
    if (feed->bytes)
        sl_secret_wipe(feed->bytes, feed->room);
    free(feed->bytes);
    *feed = (sl_feed){0};
}

sl_err sl_feed_reserve(sl_feed *feed, size_t room) {
    if (feed->room >= room)
        return SL_OK;
    uint8_t *bytes = malloc(room);
    if (!bytes)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a chunk of %zu bytes", room);
    sl_feed_fini(feed);
    *feed = (sl_feed){.bytes = bytes, .room = room};
    return SL_OK;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t sl_feed_take(sl_feed *feed, size_t skip, size_t whole, const uint8_t *in, size_t in_bytes) {
    size_t some = feed->held < whole ? least(whole - feed->held, in_bytes) : 0;
    if (some)
        memcpy(feed->bytes + skip + feed->held, in, some);
    feed->held += some;
    return some;
}

void sl_feed_ready(sl_feed *feed, size_t at, size_t bytes) {
    feed->held = 0;
    feed->at = at;
    feed->ready = bytes;
}

size_t sl_feed_give(sl_feed *feed, uint8_t *out, size_t room) {
    size_t some = least(feed->ready, room);
    if (some)
        memcpy(out, feed->bytes + feed->at, some);
    feed->at += some;
    feed->ready -= some;
    return some;
}
