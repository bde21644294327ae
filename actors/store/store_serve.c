/* What other stores ask of this one's objects. */
#include <stdio.h>
#include <stdlib.h>

#include "actors/store/store_internal.h"
#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/plant.h"

enum { OWED_MOST = 4096 /* answers that wait for room */ };

static void answer(sl_store_state *s, uint32_t node, uint64_t cookie, sl_err err,
                   const char *detail) {
    store_answer body = {cookie, err, sl_text_of(detail)};
    (void)store_answer_send(s->self, sl_store_at(node), &body);
}

/* An own object that can be given to others; under the lock. */
static sl_store_object *find_own(sl_store *store, uint32_t incarnation, uint64_t sequence) {
    sl_store_object *object =
        sl_store_find(store, (sl_store_id){store->options.node, incarnation, sequence});
    return object && object->sealed ? object : NULL;
}

static uint32_t put_shape(const sl_store_type *type, store_dimension *shape) {
    for (uint32_t i = 0; i < type->dimensions; i++)
        shape[i].size = type->shape[i];
    return type->dimensions;
}

static sl_err send_owed(sl_store_state *s, const sl_owed *one) {
    store_dimension shape[SL_STORE_DIMENSIONS_MAX];
    store_object body = {.cookie = one->cookie,
                         .kind = one->type.kind,
                         .dtype = one->type.dtype,
                         .shape = {shape, put_shape(&one->type, shape)},
                         .data = one->blob};
    return store_object_send(s->self, sl_store_at(one->node), &body);
}

void sl_owed_free(sl_owed *one) {
    sl_blob_release(one->blob);
    free(one);
}

/* As far as there is room; those to lost nodes go nowhere. */
void sl_store_pay(sl_store_state *s) {
    for (sl_owed **at = &s->owed; *at;) {
        sl_owed *one = *at;
        sl_err err = send_owed(s, one);
        if (err == SL_ERR_AGAIN) {
            sl_await_room(s->self, sl_store_at(one->node));
            at = &one->next;
            continue;
        }
        if (err != SL_OK && err != SL_ERR_DEAD)
            answer(s, one->node, one->cookie, err, "its owner cannot send the object");
        *at = one->next;
        s->owed_count--;
        sl_owed_free(one);
    }
    s->owed_end = &s->owed;
    while (*s->owed_end)
        s->owed_end = &(*s->owed_end)->next;
}

/* Takes over the reference to `blob`. */
static void owe(sl_store_state *s, uint32_t node, uint64_t cookie, const sl_store_type *type,
                sl_blob *blob) {
    sl_owed now = {.node = node, .cookie = cookie, .type = *type, .blob = blob};
    sl_err err = s->owed ? SL_ERR_AGAIN : send_owed(s, &now);
    sl_owed *one = err == SL_ERR_AGAIN && s->owed_count < OWED_MOST ? malloc(sizeof *one) : NULL;
    if (one) {
        *one = now;
        *s->owed_end = one;
        s->owed_end = &one->next;
        s->owed_count++;
        sl_await_room(s->self, sl_store_at(node));
        return;
    }
    if (err != SL_OK && err != SL_ERR_DEAD)
        answer(s, node, cookie, err, "its owner has too many objects to send");
    sl_blob_release(blob);
}

/* Told where it lies: false, if it is not in memory that can be mapped. */
static bool tell_place(sl_store_state *s, uint32_t node, const store_get *get,
                       sl_store_object *object) {
    store_dimension shape[SL_STORE_DIMENSIONS_MAX];
    sl_shared_place place;
    if (!get->host || get->host != s->store->host ||
        !sl_shared_place_of(s->store->shared, object->blob, &place))
        return false;
    sl_holder *holder = sl_store_holder(object, node, true);
    if (!holder)
        return false;
    store_place body = {.cookie = get->cookie,
                        .kind = object->type.kind,
                        .dtype = object->type.dtype,
                        .shape = {shape, put_shape(&object->type, shape)},
                        .file = place.file,
                        .arena_bytes = place.arena_bytes,
                        .offset = place.offset,
                        .bytes = place.bytes,
                        .pid = place.pid,
                        .number = place.number};
    holder->leases += store_place_send(s->self, sl_store_at(node), &body) == SL_OK;
    sl_store_relist(object);
    return true;
}

void sl_store_on_get(sl_store_state *s, uint32_t node, const store_get *get) {
    sl_store *store = s->store;
    sl_store_type type = {0};
    sl_blob *blob = NULL;
    char text[160];
    pthread_mutex_lock(&store->lock);
    sl_store_object *object = find_own(store, get->incarnation, get->sequence);
    bool spilled = object && object->spilled;
    bool read = spilled && sl_store_read_for(store, node, get, object);
    bool told = object && !spilled && tell_place(s, node, get, object);
    bool large = object && object->bytes > get->most_bytes;
    if (object && !spilled && !told && !large) {
        type = object->type;
        blob = sl_blob_retain(object->blob);
    }
    if (large)
        snprintf(text, sizeof text,
                 "the object has %llu bytes; the store of node %u has room for "
                 "%llu (store-bytes)",
                 (unsigned long long)object->bytes, node, (unsigned long long)get->most_bytes);
    else if (spilled)
        snprintf(text, sizeof text, "its owner cannot bring the object back from its disk now");
    pthread_mutex_unlock(&store->lock);
    if (read)
        return;
    if (blob)
        owe(s, node, get->cookie, &type, blob);
    else if (!object)
        answer(s, node, get->cookie, SL_ERR_NOT_FOUND, "the object is no more: nobody held it");
    else if (!told)
        answer(s, node, get->cookie, SL_ERR_NO_MEMORY, text);
}

void sl_store_on_read(sl_store_state *s, sl_reading *reading) {
    if (reading->err == SL_OK)
        sl_store_on_get(s, reading->node, &reading->get);
    else
        answer(s, reading->node, reading->get.cookie, reading->err, reading->why);
    sl_reading_free(reading);
}

/* `from`: who asks for it, to send the holder the object's name. */
static bool make_hold(sl_store_object *object, uint32_t node, uint32_t from) {
    if (node == object->id.node)
        return sl_store_comes(object, from);
    sl_holder *holder = sl_store_holder(object, node, true);
    if (holder)
        holder->holds++;
    return holder;
}

void sl_store_on_hold(sl_store_state *s, uint32_t node, const store_hold *hold) {
    sl_store *store = s->store;
    sl_err err = SL_ERR_NOT_FOUND;
    const char *why = "the object is no more: nobody held it";
    bool alive =
        hold->holder == store->options.node ||
        (hold->holder < store->options.nodes && sl_node_peer_alive(store->node, hold->holder));
    pthread_mutex_lock(&store->lock);
    sl_store_object *object = find_own(store, hold->incarnation, hold->sequence);
    if (object && alive && make_hold(object, hold->holder, node)) {
        err = SL_OK;
        why = NULL;
    } else if (object) {
        err = alive ? SL_ERR_NO_MEMORY : SL_ERR_DEAD;
        why = alive ? "its owner has no memory for a hold" : "the node that was to hold it is lost";
    }
    pthread_mutex_unlock(&store->lock);
    answer(s, node, hold->cookie, err, why);
}

void sl_store_on_release(sl_store_state *s, uint32_t node, const store_release *body) {
    sl_store *store = s->store;
    sl_store_object *gone = NULL;
    bool sound = false;
    pthread_mutex_lock(&store->lock);
    sl_store_object *object = find_own(store, body->incarnation, body->sequence);
    sl_holder *holder = object ? sl_store_holder(object, node, false) : NULL;
    if (holder) {
        sound = body->holds <= holder->holds && body->leases <= holder->leases;
        holder->holds -= body->holds < holder->holds ? body->holds : holder->holds;
        holder->leases -= body->leases < holder->leases ? body->leases : holder->leases;
        if (!SL_PLANT(object_kept))
            sl_store_look_over(object, &gone);
    }
    pthread_mutex_unlock(&store->lock);
    sl_store_bury(gone);
    if (!sound) /* also of one that was lost meanwhile, and held nothing any more */
        sl_debug("store", "node %u lets go of more than it has", node);
}
