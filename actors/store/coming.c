/* Names of this node's objects that are on their way back to it.
 *
 * Design notes
 * Who returns an object of ours to us, as a task does that was given it, has us make a hold for
 * this node itself first, and then sends the name; the handle that the name is opened as takes the
 * hold over. Where the sender is lost before its name has left, nobody would: the object would stay
 * for as long as this process. So each such hold is counted with who asked for it. Once a node is
 * lost nothing more comes of it, and what had come is opened by and by; what is then left of its
 * holds is given up.
 *
 * A name does not say who sent it. So of a lost node's holds only as many are given up as cannot be
 * those of others: rather an object stays than that one goes which somebody has. */
#include <stdlib.h>

#include "actors/store/store_internal.h"

/* What a lost node had said is opened within that. */
static const uint64_t usual_ns = 10 * SL_NS_PER_S;

static sl_coming *coming_of(sl_store_object *object, uint32_t from, bool make) {
    for (uint32_t i = 0; i < object->coming_count; i++)
        if (object->coming[i].from == from)
            return &object->coming[i];
    if (!make)
        return NULL;
    sl_coming *all = realloc(object->coming, (object->coming_count + 1) * sizeof *all);
    if (!all)
        return NULL;
    object->coming = all;
    all[object->coming_count] = (sl_coming){.from = from};
    return &all[object->coming_count++];
}

bool sl_store_comes(sl_store_object *object, uint32_t from) {
    sl_coming *coming = coming_of(object, from, true);
    sl_holder *own = coming ? sl_store_holder(object, object->id.node, true) : NULL;
    if (own) {
        own->holds++;
        coming->holds++;
    }
    return own;
}

void sl_store_has_come(sl_store_object *object) {
    sl_holder *own = sl_store_holder(object, object->id.node, false);
    if (own && own->holds && --own->holds == 0)
        object->coming_count = 0;
}

bool sl_store_comes_not(sl_store_object *object, uint32_t from) {
    sl_coming *coming = coming_of(object, from, false);
    uint32_t *holds = !coming ? NULL : coming->lost ? &coming->lost : &coming->holds;
    if (!holds || !*holds)
        return false;
    --*holds;
    sl_store_has_come(object);
    return true;
}

/* ---- nodes that are lost ---- */

bool sl_store_coming_lost(sl_store_object *object, uint32_t from) {
    sl_coming *coming = coming_of(object, from, false);
    if (!coming)
        return false;
    coming->lost += coming->holds;
    coming->holds = 0;
    return coming->lost;
}

/* Those of the lost node that are none of the others'. */
static uint32_t left_over(const sl_store_object *object, const sl_coming *coming, uint32_t holds) {
    uint64_t others = coming->holds;
    for (uint32_t i = 0; i < object->coming_count; i++)
        if (&object->coming[i] != coming)
            others += object->coming[i].holds + (uint64_t)object->coming[i].lost;
    uint64_t least = holds > others ? holds - others : 0;
    return least < coming->lost ? (uint32_t)least : coming->lost;
}

static void give_up(sl_store_object *object, uint32_t from, sl_store_object **gone) {
    sl_coming *coming = coming_of(object, from, false);
    const sl_holder *own = sl_store_holder(object, object->id.node, false);
    if (!coming || !coming->lost || !own)
        return;
    uint32_t left = left_over(object, coming, own->holds);
    coming->lost = 0;
    for (uint32_t i = 0; i < left; i++)
        sl_store_has_come(object);
    sl_store_look_over(object, gone);
}

void sl_store_coming_over(sl_store_state *s, uint32_t from) {
    sl_store *store = s->store;
    sl_store_object *gone = NULL;
    pthread_mutex_lock(&store->lock);
    for (uint32_t i = 0; i < store->bucket_count; i++)
        for (sl_store_object *object = store->buckets[i], *next; object; object = next) {
            next = object->next;
            if (object->coming_count)
                give_up(object, from, &gone);
        }
    pthread_mutex_unlock(&store->lock);
    sl_store_bury(gone);
}

void sl_store_await_coming(sl_store_state *s, uint32_t from) {
    uint64_t wait_ns = s->store->options.coming_ns ? s->store->options.coming_ns : usual_ns;
    (void)sl_timer_start(s->self, wait_ns, from); /* without memory they stay */
}
