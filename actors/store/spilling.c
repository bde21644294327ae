/* Objects of this node between memory and the disk.
 *
 * Design notes
 * Whoever needs room writes what was used longest ago to the disk, on its own thread and without
 * the lock; so does who reads a spilled object. For objects that other nodes ask for there is one
 * thread, as the loop never waits for a disk. While an object is written it can be read, and when
 * somebody does, it stays; what is on the disk once stays good, as objects never change, so that
 * spilling it again costs nothing.
 *
 * What is pinned (somebody has its content) or leased (another process may be reading it in place)
 * is not in the list, and is never spilled. */
#include <stdio.h>
#include <stdlib.h>

#include "actors/store/store_internal.h"
#include "runtime/node.h"
#include "runtime/thread.h"

enum { READING_MOST = 4096 /* gets that wait for the disk: more are refused */ };

/* ---- the list ---- */

static bool is_leased(const sl_store_object *object) {
    for (uint32_t i = 0; i < object->holder_count; i++)
        if (object->holders[i].leases)
            return true;
    return false;
}

static bool is_free(const sl_store_object *object) {
    return object->sealed && object->blob && object->bytes && !object->pins && !object->busy &&
           !is_leased(object);
}

static void list_in(sl_store *store, sl_store_object *object) {
    object->listed = true;
    object->newer = NULL;
    object->older = store->newest_own;
    *(object->older ? &object->older->newer : &store->oldest_own) = object;
    store->newest_own = object;
    store->listed_bytes += object->bytes;
}

void sl_store_unlist(sl_store_object *object) {
    sl_store *store = object->store;
    if (!object->listed)
        return;
    object->listed = false;
    *(object->newer ? &object->newer->older : &store->newest_own) = object->older;
    *(object->older ? &object->older->newer : &store->oldest_own) = object->newer;
    store->listed_bytes -= object->bytes;
}

void sl_store_relist(sl_store_object *object) {
    sl_store_feed(object->store);
    if (object->id.node != object->store->options.node) {
        sl_store_relist_copy(object);
        return;
    }
    if (!object->store->spill || is_free(object) == object->listed)
        return;
    if (object->listed)
        sl_store_unlist(object);
    else
        list_in(object->store, object);
}

/* ---- to the disk ---- */

/* With the lock; without it while it writes. SL_OK: look again. */
static sl_err spill_oldest(sl_store *store) {
    sl_store_object *object = store->oldest_own;
    if (!store->spill || sl_node_runs_here() || (!object && !store->writing))
        return SL_ERR_NO_MEMORY;
    if (!object) { /* some thread makes room just now */
        pthread_cond_wait(&store->changed, &store->lock);
        return SL_OK;
    }
    sl_spill_place place = object->place;
    bool stored = object->stored;
    sl_blob *blob = sl_blob_retain(object->blob), *dropped = NULL;
    object->busy = true;
    sl_store_unlist(object);
    sl_store_retain(object);
    store->writing++;
    pthread_mutex_unlock(&store->lock);
    sl_err err = stored ? SL_OK : sl_spill_write(store->spill, blob->data, blob->bytes, &place);
    pthread_mutex_lock(&store->lock);
    store->writing--;
    object->busy = false;
    object->stored = err == SL_OK;
    object->place = place;
    if (err == SL_OK && is_free(object)) {
        dropped = object->blob;
        object->blob = NULL;
        object->data = NULL;
        object->here = false;
        object->spilled = true;
        store->used_bytes -= object->bytes;
        store->spills++;
    }
    sl_store_relist(object);
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
    sl_blob_release(blob);
    sl_blob_release(dropped);
    sl_store_object_release(object);
    pthread_mutex_lock(&store->lock);
    return err;
}

static sl_err refuse_room(const sl_store *store, uint64_t bytes, sl_err err) {
    char cause[256];
    snprintf(cause, sizeof cause, "%s%s", err == SL_ERR_IO ? "; " : "",
             err == SL_ERR_IO ? sl_err_detail() : "");
    return sl_fail(SL_ERR_NO_MEMORY,
                   "no room for an object of %llu bytes: the store of node %u has %llu of its "
                   "%llu bytes (store-bytes) in use%s",
                   (unsigned long long)bytes, store->options.node,
                   (unsigned long long)store->used_bytes,
                   (unsigned long long)store->options.limit_bytes, cause);
}

/* ---- room ---- */

sl_err sl_store_reserve(sl_store *store, uint64_t bytes) {
    sl_store_object *gone = NULL;
    sl_err err = SL_OK;
    bool room;
    pthread_mutex_lock(&store->lock);
    while (!(room = sl_store_make_room(store, bytes, &gone)) && err == SL_OK)
        err = bytes > store->options.limit_bytes ? SL_ERR_NO_MEMORY : spill_oldest(store);
    if (room)
        store->used_bytes += bytes;
    err = room ? SL_OK : refuse_room(store, bytes, err);
    pthread_mutex_unlock(&store->lock);
    sl_store_bury(gone);
    return err;
}

void sl_store_unreserve(sl_store *store, uint64_t bytes) {
    pthread_mutex_lock(&store->lock);
    store->used_bytes -= bytes;
    pthread_mutex_unlock(&store->lock);
}

void sl_store_trim(sl_store *store) {
    sl_store_object *gone = NULL;
    pthread_mutex_lock(&store->lock);
    while (!sl_store_make_room(store, 0, &gone) && spill_oldest(store) == SL_OK)
        continue;
    pthread_mutex_unlock(&store->lock);
    sl_store_bury(gone);
}

bool sl_store_await_room(sl_store *store, uint32_t *rounds) {
    const struct timespec deadline = sl_cond_deadline(SL_STORE_ROUND_NS);
    if (!store->spill || !*rounds)
        return false;
    pthread_mutex_lock(&store->lock);
    store->hungry++;
    *rounds -= pthread_cond_timedwait(&store->changed, &store->lock, &deadline) != 0;
    store->hungry--;
    pthread_mutex_unlock(&store->lock);
    return true;
}

/* ---- and back ---- */

static sl_err read_back(sl_store_object *object, sl_blob **blob) {
    sl_store *store = object->store;
    SL_TRY(sl_store_reserve(store, object->bytes));
    sl_err err = sl_store_memory(store, object->bytes, blob);
    if (err == SL_OK)
        err = sl_spill_read(store->spill, &object->place, (*blob)->data);
    if (err == SL_OK)
        return SL_OK;
    sl_blob_release(*blob);
    sl_store_unreserve(store, object->bytes);
    return err;
}

sl_err sl_store_bring_back(sl_store_object *object) {
    sl_store *store = object->store;
    sl_blob *blob = NULL;
    pthread_mutex_lock(&store->lock);
    while (object->busy)
        pthread_cond_wait(&store->changed, &store->lock);
    bool mine = object->spilled;
    object->busy = mine;
    pthread_mutex_unlock(&store->lock);
    if (!mine)
        return SL_OK;
    sl_err err = read_back(object, &blob);
    pthread_mutex_lock(&store->lock);
    object->busy = false;
    if (err == SL_OK) {
        object->blob = blob;
        object->data = blob->data;
        object->here = true;
        object->spilled = false;
        store->loads++;
    }
    sl_store_relist(object);
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
    return err;
}

/* ---- for other nodes ---- */

static void *reader_thread(void *context) {
    sl_store *store = context;
    pthread_mutex_lock(&store->lock);
    for (;;) {
        while (!store->to_read && !store->closing)
            pthread_cond_wait(&store->wanted, &store->lock);
        sl_reading *reading = store->to_read;
        if (store->closing)
            break;
        store->to_read = reading->next;
        pthread_mutex_unlock(&store->lock);
        reading->err = sl_store_get(reading->object, 0, &reading->content);
        snprintf(reading->why, sizeof reading->why, "%s",
                 reading->err == SL_OK ? "" : sl_err_detail());
        pthread_mutex_lock(&store->lock);
        reading->next = store->read;
        store->read = reading;
        sl_store_tell(store);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

bool sl_store_read_for(sl_store *store, uint32_t node, const store_get *get,
                       sl_store_object *object) {
    bool may = store->reads && store->reading < READING_MOST;
    sl_reading *reading = may ? calloc(1, sizeof *reading) : NULL, **at = &store->to_read;
    if (!reading)
        return false;
    store->reading++;
    reading->object = object;
    reading->node = node;
    reading->get = *get;
    sl_store_retain(object);
    while (*at)
        at = &(*at)->next;
    *at = reading;
    pthread_cond_signal(&store->wanted);
    return true;
}

void sl_reading_free(sl_reading *reading) {
    sl_store *store = reading->object->store;
    pthread_mutex_lock(&store->lock);
    store->reading--;
    pthread_mutex_unlock(&store->lock);
    if (reading->err == SL_OK && reading->content.bytes)
        sl_store_unpin(reading->object);
    sl_store_object_release(reading->object);
    free(reading);
}

sl_err sl_store_start_reader(sl_store *store) {
    if (!store->spill)
        return SL_OK;
    store->closing = false;
    SL_TRY(sl_thread_start(&store->reader, reader_thread, store));
    store->reads = true;
    return SL_OK;
}

void sl_store_stop_reader(sl_store *store) {
    if (!store->reads)
        return;
    pthread_mutex_lock(&store->lock);
    store->closing = true;
    pthread_cond_signal(&store->wanted);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->reader, NULL);
    store->reads = false;
    for (sl_reading *lists[] = {store->to_read, store->read}, **at = lists; at < lists + 2; at++)
        for (sl_reading *reading = *at, *next; reading; reading = next) {
            next = reading->next;
            sl_reading_free(reading);
        }
    store->to_read = store->read = NULL;
}
