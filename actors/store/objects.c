/* The table of objects, for any thread. Nothing is freed, and no blob let go of, under the lock:
 * what goes is listed, and buried afterwards. */
#include <stdlib.h>
#include <string.h>

#include "actors/store/store_internal.h"
#include "runtime/log.h"
#include "runtime/thread.h"

enum { BUCKETS_FIRST = 64 };

/* ---- the store ---- */

sl_err sl_store_create(const sl_store_options *options, sl_store **out) {
    sl_store *store = calloc(1, sizeof *store);
    if (store) {
        store->buckets = calloc(BUCKETS_FIRST, sizeof(sl_store_object *));
        store->lost = calloc(options->nodes, sizeof *store->lost);
    }
    if (!store || !store->buckets || !store->lost) {
        if (store)
            free(store->buckets), free(store->lost);
        free(store);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a store");
    }
    store->options = *options;
    store->bucket_count = BUCKETS_FIRST;
    atomic_init(&store->references, 1);
    pthread_mutex_init(&store->lock, NULL);
    sl_cond_init(&store->changed);
    pthread_cond_init(&store->wanted, NULL);
    sl_err err = options->spill_directory
                     ? sl_spill_open(options->spill_directory, options->disk, &store->spill)
                     : SL_OK;
    if (err != SL_OK) {
        sl_store_release(store);
        return err;
    }
    if (options->shares && sl_shared_create(options->limit_bytes, &store->shared) == SL_OK)
        store->host = sl_shared_host();
    else if (options->shares)
        sl_warn("store", "%s: objects are copied between ranks of a host", sl_err_detail());
    *out = store;
    return SL_OK;
}

void sl_store_release(sl_store *store) {
    if (!store || atomic_fetch_sub(&store->references, 1) != 1)
        return;
    sl_store_object *gone = NULL; /* copies; of all else a handle would keep the store */
    for (uint32_t i = 0; i < store->bucket_count; i++)
        for (sl_store_object *object = store->buckets[i], *next; object; object = next) {
            next = object->next;
            object->next = gone;
            object->store = NULL;
            gone = object;
        }
    sl_store_bury(gone);
    for (sl_giving *giving = store->givings, *next; giving; giving = next) {
        next = giving->next;
        free(giving);
    }
    sl_shared_release(store->shared);
    sl_spill_close(store->spill);
    pthread_cond_destroy(&store->changed);
    pthread_cond_destroy(&store->wanted);
    pthread_mutex_destroy(&store->lock);
    free(store->buckets);
    free(store->lost);
    free(store);
}

/* ---- the table ---- */

static uint32_t bucket_of(const sl_store *store, sl_store_id id) {
    uint64_t key = (id.sequence + ((uint64_t)id.node << 40)) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(key >> 32) & (store->bucket_count - 1);
}

sl_store_object *sl_store_find(sl_store *store, sl_store_id id) {
    sl_store_object *object = store->buckets[bucket_of(store, id)];
    while (object && (object->id.sequence != id.sequence || object->id.node != id.node ||
                      object->id.incarnation != id.incarnation))
        object = object->next;
    return object;
}

/* No memory for more buckets: their lists grow instead. */
static void buckets_grow(sl_store *store) {
    uint32_t before = store->bucket_count;
    sl_store_object **old = store->buckets, **all = calloc(2 * (size_t)before, sizeof *all);
    if (!all)
        return;
    store->buckets = all;
    store->bucket_count = 2 * before;
    for (uint32_t i = 0; i < before; i++)
        for (sl_store_object *object = old[i], *next; object; object = next) {
            next = object->next;
            uint32_t at = bucket_of(store, object->id);
            object->next = all[at];
            all[at] = object;
        }
    free(old);
}

static void table_in(sl_store *store, sl_store_object *object) {
    if (store->object_count++ >= store->bucket_count && store->bucket_count < UINT32_MAX / 2)
        buckets_grow(store);
    sl_store_object **bucket = &store->buckets[bucket_of(store, object->id)];
    object->next = *bucket;
    *bucket = object;
}

static void idle_out(sl_store *store, sl_store_object *object);

static void table_out(sl_store *store, sl_store_object *object, sl_store_object **gone) {
    sl_store_object **at = &store->buckets[bucket_of(store, object->id)];
    while (*at != object)
        at = &(*at)->next;
    *at = object->next;
    store->object_count--;
    sl_store_unlist(object);
    if (object->idle)
        idle_out(store, object);
    sl_store_feed(store);
    if (object->blob)
        store->used_bytes -= object->bytes;
    object->next = *gone;
    *gone = object;
}

void sl_store_bury(sl_store_object *gone) {
    for (sl_store_object *next; gone; gone = next) {
        next = gone->next;
        sl_blob_release(gone->blob);
        if (gone->stored && gone->store)
            sl_spill_free(gone->store->spill, &gone->place);
        sl_shared_map_release(gone->map);
        free(gone->holders);
        free(gone->coming);
        free(gone->giving);
        free(gone);
    }
}

/* ---- copies whose content nobody has: the newest are kept, as far as there is room ---- */

static void idle_in(sl_store *store, sl_store_object *object) {
    object->idle = true;
    object->newer = NULL;
    object->older = store->newest;
    *(object->older ? &object->older->newer : &store->oldest) = object;
    store->newest = object;
    store->idle_bytes += object->bytes;
}

static void idle_out(sl_store *store, sl_store_object *object) {
    object->idle = false;
    *(object->newer ? &object->newer->older : &store->newest) = object->older;
    *(object->older ? &object->older->newer : &store->oldest) = object->newer;
    store->idle_bytes -= object->bytes;
}

void sl_store_relist_copy(sl_store_object *object) {
    bool idle = object->blob && !object->pins;
    if (idle && !object->idle)
        idle_in(object->store, object);
    else if (!idle && object->idle)
        idle_out(object->store, object);
}

/* Of one that still has handles the content is fetched again when it is wanted again. */
static void copy_out(sl_store *store, sl_store_object *object, sl_store_object **gone) {
    sl_store_object *shell = object->references ? calloc(1, sizeof *shell) : NULL;
    if (!object->references) {
        table_out(store, object, gone);
        return;
    }
    idle_out(store, object);
    store->used_bytes -= object->bytes;
    if (shell) { /* for the blob to be let go of without the lock */
        shell->blob = object->blob;
        shell->next = *gone;
        *gone = shell;
    } else {
        sl_blob_release(object->blob);
    }
    object->blob = NULL;
    object->data = NULL;
    object->here = false;
}

/* Without memory to say so it stays leased. */
void sl_store_leave_place(sl_store_object *object, sl_store_object **gone) {
    sl_store *store = object->store;
    if (!object->map || object->pins)
        return;
    sl_store_object *shell = calloc(1, sizeof *shell);
    sl_giving *giving = malloc(sizeof *giving);
    if (!shell || !giving) {
        free(shell), free(giving);
        return;
    }
    shell->map = object->map;
    shell->next = *gone;
    *gone = shell;
    object->map = NULL;
    object->data = NULL;
    object->here = false;
    *giving = (sl_giving){
        .next = store->givings, .id = object->id, .leases = object->leased, .to = SL_NO_NODE};
    object->leased = 0;
    store->givings = giving;
    sl_store_tell(store);
}

bool sl_store_make_room(sl_store *store, uint64_t bytes, sl_store_object **gone) {
    uint64_t limit = store->options.limit_bytes;
    while (store->used_bytes + bytes > limit && store->oldest)
        copy_out(store, store->oldest, gone);
    return store->used_bytes + bytes <= limit;
}

uint64_t sl_store_room(const sl_store *store) {
    uint64_t limit = store->options.limit_bytes;
    uint64_t stays = store->used_bytes - store->idle_bytes - store->listed_bytes;
    return stays < limit ? limit - stays : 0;
}

/* ---- objects of this node ---- */

static bool is_own(const sl_store *store, sl_store_id id) {
    return id.node == store->options.node;
}

sl_err sl_store_memory(sl_store *store, uint64_t bytes, sl_blob **blob) {
    if (store->shared && bytes >= SL_SHARED_LEAST_BYTES &&
        sl_shared_take(store->shared, bytes, blob) == SL_OK)
        return SL_OK;
    return sl_blob_create(bytes, blob);
}

static sl_store_object *object_create(sl_store *store, sl_store_id id) {
    sl_store_object *object = calloc(1, sizeof *object);
    if (!object)
        return NULL;
    object->store = store;
    object->id = id;
    return object;
}

/* The last lets go of the store. */
void sl_store_retain(sl_store_object *object) {
    if (!object->references++)
        atomic_fetch_add(&object->store->references, 1);
}

sl_err sl_store_make(sl_store *store, const sl_store_type *type, uint64_t bytes,
                     sl_store_object **out) {
    sl_blob *blob = NULL;
    if (bytes > SL_BLOB_MAX_BYTES)
        return sl_fail(SL_ERR_TOO_LARGE, "an object of %llu bytes", (unsigned long long)bytes);
    SL_TRY(sl_store_reserve(store, bytes));
    sl_err err = sl_store_memory(store, bytes, &blob);
    sl_store_object *object = NULL;
    if (err == SL_OK) {
        object = object_create(store, (sl_store_id){0});
        if (!object)
            err = sl_fail(SL_ERR_NO_MEMORY, "no memory for an object");
    }
    if (err != SL_OK) {
        sl_store_unreserve(store, bytes);
        sl_blob_release(blob);
        return err;
    }
    object->type = *type;
    object->bytes = bytes;
    object->blob = blob;
    object->data = blob->data;
    pthread_mutex_lock(&store->lock);
    object->id = (sl_store_id){store->options.node, store->options.incarnation, ++store->sequence};
    sl_store_retain(object);
    table_in(store, object);
    pthread_mutex_unlock(&store->lock);
    *out = object;
    return SL_OK;
}

void *sl_store_data(sl_store_object *object) {
    pthread_mutex_lock(&object->store->lock);
    bool open = is_own(object->store, object->id) && !object->sealed;
    void *data = open ? object->blob->data : NULL;
    pthread_mutex_unlock(&object->store->lock);
    return data;
}

sl_err sl_store_seal(sl_store_object *object) {
    pthread_mutex_lock(&object->store->lock);
    bool first = is_own(object->store, object->id) && !object->sealed;
    if (first)
        object->sealed = object->here = true;
    sl_store_relist(object);
    pthread_mutex_unlock(&object->store->lock);
    return first ? SL_OK : sl_fail(SL_ERR_INVALID, "the object is sealed already");
}

sl_holder *sl_store_holder(sl_store_object *object, uint32_t node, bool make) {
    for (uint32_t i = 0; i < object->holder_count; i++)
        if (object->holders[i].node == node)
            return &object->holders[i];
    if (!make)
        return NULL;
    sl_holder *all = realloc(object->holders, (object->holder_count + 1) * sizeof *all);
    if (!all)
        return NULL;
    object->holders = all;
    all[object->holder_count] = (sl_holder){.node = node};
    return &all[object->holder_count++];
}

static void holders_sweep(sl_store_object *object) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < object->holder_count; i++)
        if (object->holders[i].holds || object->holders[i].leases)
            object->holders[kept++] = object->holders[i];
    object->holder_count = kept;
}

void sl_store_look_over(sl_store_object *object, sl_store_object **gone) {
    holders_sweep(object);
    if (!object->references && !object->holder_count)
        table_out(object->store, object, gone);
    else
        sl_store_relist(object);
}

/* ---- handles ---- */

static sl_err open_own(sl_store *store, sl_store_id id, bool held, sl_store_object **out) {
    sl_store_object *object = sl_store_find(store, id);
    if (!object)
        return sl_fail(SL_ERR_NOT_FOUND, "object %u.%llu is no more", id.node,
                       (unsigned long long)id.sequence);
    sl_store_retain(object);
    if (held)
        sl_store_has_come(object);
    holders_sweep(object);
    *out = object;
    return SL_OK;
}

static sl_err open_foreign(sl_store *store, sl_store_id id, bool held, sl_store_object **out) {
    sl_store_object *object = sl_store_find(store, id);
    if (!object) {
        object = object_create(store, id);
        if (object)
            object->giving = malloc(sizeof *object->giving);
        if (!object || !object->giving) {
            free(object);
            return sl_fail(SL_ERR_NO_MEMORY, "no memory for a handle");
        }
        table_in(store, object);
    }
    sl_store_retain(object);
    object->held += held;
    *out = object;
    return SL_OK;
}

sl_err sl_store_open(sl_store *store, sl_store_id id, bool held, sl_store_object **object) {
    if (id.node >= store->options.nodes)
        return sl_fail(SL_ERR_NOT_FOUND, "there is no node %u that could have made an object",
                       id.node);
    pthread_mutex_lock(&store->lock);
    sl_err err = is_own(store, id) ? open_own(store, id, held, object)
                                   : open_foreign(store, id, held, object);
    pthread_mutex_unlock(&store->lock);
    return err;
}

sl_store_id sl_store_id_of(const sl_store_object *object) {
    return object->id;
}

void sl_store_object_retain(sl_store_object *object) {
    pthread_mutex_lock(&object->store->lock);
    sl_store_retain(object);
    pthread_mutex_unlock(&object->store->lock);
}

/* Its owner is told; a copy stays for a while, what is mapped does not. */
static void let_go(sl_store *store, sl_store_object *object, sl_store_object **gone) {
    if (object->held || object->leased) {
        sl_giving *giving = object->giving;
        *giving = (sl_giving){.next = store->givings,
                              .id = object->id,
                              .to = SL_NO_NODE,
                              .holds = object->held,
                              .leases = object->leased};
        store->givings = giving;
        object->held = object->leased = 0;
        object->giving = object->blob ? malloc(sizeof *giving) : NULL;
        sl_store_tell(store);
    }
    object->pins = 0;
    if (object->blob && object->giving)
        sl_store_relist(object);
    else
        table_out(store, object, gone);
}

/* Apart, so that a NULL, which every task has some of, costs nothing. */
__attribute__((noinline)) static void release(sl_store_object *object) {
    sl_store *store = object->store;
    sl_store_object *gone = NULL;
    pthread_mutex_lock(&store->lock);
    bool last = !--object->references;
    if (last && is_own(store, object->id))
        sl_store_look_over(object, &gone);
    else if (last)
        let_go(store, object, &gone);
    pthread_mutex_unlock(&store->lock);
    sl_store_bury(gone);
    if (last)
        sl_store_release(store);
}

void sl_store_object_release(sl_store_object *object) {
    if (object)
        release(object);
}

bool sl_store_is_here(sl_store_object *object) {
    pthread_mutex_lock(&object->store->lock);
    bool here = object->here || (is_own(object->store, object->id) && !object->spilled);
    pthread_mutex_unlock(&object->store->lock);
    return here;
}

bool sl_store_is_held(sl_store_object *object) {
    pthread_mutex_lock(&object->store->lock);
    bool held = object->held || is_own(object->store, object->id);
    pthread_mutex_unlock(&object->store->lock);
    return held;
}

sl_store_load sl_store_loads(sl_store *store) {
    sl_store_load load = {0};
    pthread_mutex_lock(&store->lock);
    load.objects = store->object_count;
    load.bytes = store->used_bytes;
    load.copies = store->copies;
    load.spills = store->spills;
    load.loads = store->loads;
    for (uint32_t i = 0; i < store->bucket_count; i++)
        for (sl_store_object *object = store->buckets[i]; object; object = object->next) {
            load.owned += is_own(store, object->id);
            load.mapped += object->map != NULL;
            load.pinned += object->pins != 0;
            load.spilled += object->spilled;
            for (uint32_t j = 0; j < object->holder_count; j++) {
                load.holds += object->holders[j].holds;
                load.leases += object->holders[j].leases;
            }
        }
    pthread_mutex_unlock(&store->lock);
    return load;
}
