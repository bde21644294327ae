#include "actors/registry/profile.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { POOL_LEAST = 64 };

static struct {
    pthread_mutex_t lock;
    sl_profile **places;
    size_t capacity; /* a power of two */
    size_t count;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

const sl_profile *sl_profile_none(void) {
    static const sl_profile none = {.host = {"", 0}, .region = {"", 0}, .zone = {"", 0}};
    return &none;
}

static bool text_is(sl_text a, sl_text b) {
    return a.bytes == b.bytes &&
           (!a.bytes || a.data == b.data || memcmp(a.data, b.data, a.bytes) == 0);
}

static bool number_is(double a, double b) {
    return !(fabs(a - b) > 0);
}

bool sl_profile_says(const sl_profile *profile, const registry_member *entry) {
    const registry_offer *offer = entry->offer.items;
    if (profile->cores != offer->cores || profile->gpus != offer->gpus ||
        profile->memory_bytes != offer->memory_bytes || profile->ucu_milli != offer->ucu_milli ||
        profile->has_coordinates != entry->has_coordinates)
        return false;
    if (entry->has_coordinates && (!number_is(profile->latitude, entry->latitude) ||
                                   !number_is(profile->longitude, entry->longitude)))
        return false;
    return text_is(profile->host, entry->host) && text_is(profile->region, entry->region) &&
           text_is(profile->zone, entry->zone);
}

/* ---- the pool ---- */

static uint64_t mix(uint64_t hash, const void *data, size_t bytes) {
    const uint8_t *at = data;
    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    for (size_t i = 0; i < bytes; i++) {
        hash ^= at[i]; /* NOLINT(clang-analyzer-core*): it sees no text made */
        hash *= UINT64_C(0x100000001b3);
    }
    return hash;
}

/* Entries that differ in their coordinates alone may share it. */
static uint64_t hash_of(const registry_member *entry) {
    const registry_offer *offer = entry->offer.items;
    uint64_t amounts[] = {offer->cores, offer->gpus, offer->memory_bytes, offer->ucu_milli};
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), amounts, sizeof amounts);
    hash = mix(hash, entry->host.data, entry->host.bytes);
    hash = mix(hash, entry->region.data, entry->region.bytes);
    hash = mix(hash, entry->zone.data, entry->zone.bytes);
    return hash ^ hash >> 32;
}

/* 0.0 and -0.0 say the same. */
static uint32_t digest_of(const registry_member *entry, uint64_t hash) {
    double place[] = {entry->latitude + 0.0, entry->longitude + 0.0};
    uint8_t has = entry->has_coordinates;
    hash = mix(hash, &has, 1);
    if (has)
        hash = mix(hash, place, sizeof place);
    uint32_t digest = (uint32_t)(hash ^ hash >> 32);
    return digest ? digest : 1;
}

static uint32_t host_digest_of(sl_text host) {
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), host.data, host.bytes);
    return host.bytes ? (uint32_t)(hash ^ hash >> 32) | 1 : 0;
}

static sl_profile **place_of(uint64_t hash) {
    return &pool.places[hash & (pool.capacity - 1)];
}

static bool grow(void) {
    size_t before = pool.capacity, capacity = before ? 2 * before : POOL_LEAST;
    sl_profile **old = pool.places, **places = calloc(capacity, sizeof(void *));
    if (!places)
        return before != 0; /* a full table is slow, and still one */
    pool.places = places;
    pool.capacity = capacity;
    for (size_t i = 0; i < before; i++) {
        for (sl_profile *each = old[i], *next; each; each = next) {
            next = each->next;
            each->next = *place_of(each->hash);
            *place_of(each->hash) = each;
        }
    }
    free(old);
    return true;
}

static sl_text put_text(char **at, sl_text from) {
    sl_text to = {*at, from.bytes};
    if (from.bytes)
        memcpy(*at, from.data, from.bytes);
    (*at)[from.bytes] = '\0';
    *at += from.bytes + 1;
    return to;
}

static sl_profile *make(const registry_member *entry, uint64_t hash) {
    const registry_offer *offer = entry->offer.items;
    size_t texts = (size_t)entry->host.bytes + entry->region.bytes + entry->zone.bytes + 3;
    sl_profile *made = malloc(sizeof *made + texts);
    if (!made)
        return NULL;
    *made = (sl_profile){.latitude = entry->has_coordinates ? entry->latitude : 0,
                         .longitude = entry->has_coordinates ? entry->longitude : 0,
                         .has_coordinates = entry->has_coordinates,
                         .cores = offer->cores,
                         .gpus = offer->gpus,
                         .memory_bytes = offer->memory_bytes,
                         .ucu_milli = offer->ucu_milli,
                         .hash = hash,
                         .host_digest = host_digest_of(entry->host),
                         .digest = digest_of(entry, hash)};
    char *at = (char *)(made + 1);
    made->host = put_text(&at, entry->host);
    made->region = put_text(&at, entry->region);
    made->zone = put_text(&at, entry->zone);
    return made;
}

static sl_profile *find_or_make(const registry_member *entry, uint64_t hash) {
    if (pool.count >= pool.capacity && !grow())
        return NULL;
    sl_profile **place = place_of(hash);
    for (sl_profile *each = *place; each; each = each->next) {
        if (each->hash == hash && sl_profile_says(each, entry))
            return each;
    }
    sl_profile *made = make(entry, hash);
    if (!made)
        return NULL;
    made->next = *place;
    *place = made;
    pool.count++;
    return made;
}

const sl_profile *sl_profile_take(const registry_member *entry) {
    uint64_t hash = hash_of(entry);
    pthread_mutex_lock(&pool.lock);
    sl_profile *found = find_or_make(entry, hash);
    if (found)
        found->users++;
    pthread_mutex_unlock(&pool.lock);
    return found;
}

static void forget(sl_profile *profile) {
    sl_profile **at = place_of(profile->hash);
    while (*at != profile)
        at = &(*at)->next;
    *at = profile->next;
    free(profile);
    if (--pool.count)
        return;
    free(pool.places);
    pool.places = NULL;
    pool.capacity = 0;
}

void sl_profile_drop(const sl_profile *profile) {
    if (profile == sl_profile_none())
        return;
    sl_profile *dropped = (sl_profile *)(uintptr_t)profile; /* the pool made it, and may end it */
    pthread_mutex_lock(&pool.lock);
    if (!--dropped->users)
        forget(dropped);
    pthread_mutex_unlock(&pool.lock);
}
