/* Design notes
 * Open addressing, at most three quarters full; expired entries go when there is no room, all at
 * once, by building the table anew in a second one of the same size. That is looked for only when
 * the earliest expiry has passed, so a full table costs nothing to whoever knocks.
 * Keys are keyed hashes (SipHash) of sender and id: who chooses ids cannot choose places.
 */
#include "actors/secure/replay.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

typedef struct entry {
    uint8_t id[SL_ENVELOPE_ID_BYTES];
    uint64_t sender; /* keyed hash of its public key */
    uint64_t expires_s;
    uint32_t runs; /* 0: empty */
} entry;

struct sl_replay {
    pthread_mutex_t lock;
    uint8_t secret[crypto_shorthash_KEYBYTES];
    entry *entries, *other;
    uint32_t mask, most, count;
    uint64_t earliest_s;
};

enum { LEAST = 64, MOST = 1 << 26 };

sl_err sl_replay_create(uint32_t entries, sl_replay **replay) {
    uint32_t places = LEAST;
    if (entries > MOST / 2)
        return sl_fail(SL_ERR_TOO_LARGE, "a replay window of %u envelopes", entries);
    while (places / 4 * 3 < entries)
        places *= 2;
    if (sodium_init() < 0)
        return sl_fail(SL_ERR_UNAVAILABLE, "the system gives no random numbers for keys");
    sl_replay *made = calloc(1, sizeof *made);
    if (made) {
        made->entries = calloc(places, sizeof(entry));
        made->other = calloc(places, sizeof(entry));
    }
    if (!made || !made->entries || !made->other) {
        if (made)
            free(made->entries), free(made->other);
        free(made);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a replay window of %u envelopes", entries);
    }
    pthread_mutex_init(&made->lock, NULL);
    randombytes_buf(made->secret, sizeof made->secret);
    made->mask = places - 1;
    made->most = places / 4 * 3;
    *replay = made;
    return SL_OK;
}

void sl_replay_destroy(sl_replay *replay) {
    if (!replay)
        return;
    pthread_mutex_destroy(&replay->lock);
    free(replay->entries);
    free(replay->other);
    free(replay);
}

static uint64_t hash(const sl_replay *replay, const uint8_t *bytes, size_t size) {
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t value;
    crypto_shorthash(out, bytes, size, replay->secret);
    memcpy(&value, out, sizeof value);
    return value;
}

/* The entry of this envelope, or the empty place where it belongs. */
static entry *place_of(const sl_replay *replay, entry *entries, const uint8_t *id,
                       uint64_t sender) {
    uint64_t at = hash(replay, id, SL_ENVELOPE_ID_BYTES) ^ sender;
    for (;; at++) {
        entry *e = &entries[at & replay->mask];
        if (!e->runs || (e->sender == sender && memcmp(e->id, id, sizeof e->id) == 0))
            return e;
    }
}

static void drop_expired(sl_replay *replay, uint64_t now_s) {
    if (now_s < replay->earliest_s)
        return;
    memset(replay->other, 0, ((size_t)replay->mask + 1) * sizeof(entry));
    replay->count = 0;
    replay->earliest_s = UINT64_MAX;
    for (uint32_t i = 0; i <= replay->mask; i++) {
        const entry *e = &replay->entries[i];
        if (!e->runs || e->expires_s <= now_s)
            continue;
        *place_of(replay, replay->other, e->id, e->sender) = *e;
        replay->count++;
        if (e->expires_s < replay->earliest_s)
            replay->earliest_s = e->expires_s;
    }
    entry *old = replay->entries;
    replay->entries = replay->other;
    replay->other = old;
}

static uint32_t held_by(const sl_replay *replay, uint64_t sender) {
    uint32_t held = 0;
    for (uint32_t i = 0; i <= replay->mask; i++)
        held += replay->entries[i].runs && replay->entries[i].sender == sender;
    return held;
}

/* Half of the places are for anybody; beyond that a sender who has many may have no more. */
static sl_err make_room(sl_replay *replay, uint64_t sender, uint64_t now_s) {
    if (replay->count < replay->most / 2)
        return SL_OK;
    drop_expired(replay, now_s);
    if (replay->count >= replay->most)
        return sl_fail(SL_ERR_AGAIN, "the replay window is full of %u envelopes in force",
                       replay->count);
    if (replay->count >= replay->most / 2 && held_by(replay, sender) >= replay->most / 2)
        return sl_fail(SL_ERR_AGAIN, "one sender has half of the replay window: shorter lives of "
                                     "envelopes leave more room");
    return SL_OK;
}

static sl_err refuse_again(const sl_seal_head *envelope) {
    return sl_fail(SL_ERR_SEAL,
                   "a replay: this envelope was opened %u times here, as often as its "
                   "sender allowed",
                   envelope->runs);
}

sl_err sl_replay_check(sl_replay *replay, const sl_seal_head *envelope,
                       const uint8_t sender[SL_PUBLIC_KEY_BYTES]) {
    uint64_t who = hash(replay, sender, SL_PUBLIC_KEY_BYTES);
    pthread_mutex_lock(&replay->lock);
    uint32_t runs = place_of(replay, replay->entries, envelope->id, who)->runs;
    pthread_mutex_unlock(&replay->lock);
    return runs >= envelope->runs ? refuse_again(envelope) : SL_OK;
}

static sl_err take(sl_replay *replay, const sl_seal_head *envelope, uint64_t who, uint64_t now_s) {
    entry *e = place_of(replay, replay->entries, envelope->id, who);
    if (e->runs >= envelope->runs)
        return refuse_again(envelope);
    if (e->runs) {
        e->runs++;
        return SL_OK;
    }
    SL_TRY(make_room(replay, who, now_s));
    e = place_of(replay, replay->entries, envelope->id, who);
    memcpy(e->id, envelope->id, sizeof e->id);
    e->sender = who;
    e->expires_s = envelope->expires_s;
    e->runs = 1;
    if (!replay->count++ || e->expires_s < replay->earliest_s)
        replay->earliest_s = e->expires_s;
    return SL_OK;
}

sl_err sl_replay_take(sl_replay *replay, const sl_seal_head *envelope,
                      const uint8_t sender[SL_PUBLIC_KEY_BYTES], uint64_t now_s) {
    uint64_t who = hash(replay, sender, SL_PUBLIC_KEY_BYTES);
    pthread_mutex_lock(&replay->lock);
    sl_err err = take(replay, envelope, who, now_s);
    pthread_mutex_unlock(&replay->lock);
    return err;
}
