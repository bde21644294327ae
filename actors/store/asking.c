/* What threads ask of objects: answered here where it can be, else put before the actor. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/store/store_internal.h"
#include "runtime/futex.h"
#include "runtime/node.h"
#include "runtime/plant.h"

enum {
    LOOKS = 100,      /* at an answer, before sleeping: a rank of this host needs no longer */
    ROOM_ROUNDS = 200 /* for what others have and will let go of */
};

void sl_store_tell(sl_store *store) {
    if (!store->node || store->told)
        return;
    store->told = true;
    sl_notify(store->node, &store->event);
}

void sl_asking_drop(sl_asking *asking) {
    if (atomic_fetch_sub(&asking->references, 1) != 1)
        return;
    sl_store_object_release(asking->object);
    free(asking);
}

void sl_asking_end(sl_asking *asking, sl_err err, const char *detail) {
    asking->err = err;
    snprintf(asking->detail, sizeof asking->detail, "%s", detail ? detail : "");
    atomic_store(&asking->done, 1);
    sl_futex_wake(&asking->done);
    sl_asking_drop(asking);
}

/* False: the time is over, or, as a sleep may end for no reason, nearly. */
static bool await(sl_asking *asking, uint64_t timeout_ns) {
    if (!timeout_ns)
        return atomic_load(&asking->done);
    for (int i = 0; i < LOOKS; i++) {
        if (atomic_load_explicit(&asking->done, memory_order_acquire))
            return true;
        sched_yield(); /* the loop may be bound to this core too */
    }
    do
        sl_futex_wait(&asking->done, 0, timeout_ns);
    while (timeout_ns == SL_FUTEX_FOREVER && !atomic_load(&asking->done));
    return atomic_load(&asking->done);
}

static sl_err push(sl_store *store, sl_asking *asking) {
    pthread_mutex_lock(&store->lock);
    bool open = store->node != NULL;
    if (open) {
        asking->next = store->asked;
        store->asked = asking;
        sl_store_tell(store);
    }
    pthread_mutex_unlock(&store->lock);
    return open ? SL_OK : sl_fail(SL_ERR_CLOSED, "the network was left: its objects are no more");
}

static sl_err ask(sl_store_object *object, sl_asking_kind kind, uint32_t holder,
                  uint64_t timeout_ns) {
    if (sl_node_runs_here())
        return sl_fail(SL_ERR_INVALID, "what runs where messages are handled may not wait for an "
                                       "object of another node");
    sl_asking *asking = calloc(1, sizeof *asking);
    if (!asking)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to ask for an object");
    atomic_init(&asking->references, 2);
    asking->kind = kind;
    asking->holder = holder;
    asking->object = object;
    sl_store_object_retain(object);
    sl_err err = push(object->store, asking);
    if (err != SL_OK)
        atomic_store(&asking->references, 1);
    else if (!await(asking, timeout_ns))
        err = sl_fail(SL_ERR_TIMEOUT, "the owner of the object has not answered yet");
    else if (asking->err != SL_OK)
        err = sl_fail(asking->err, "%s", asking->detail);
    sl_asking_drop(asking);
    return err;
}

void sl_store_expect(sl_store_object *object) {
    /* What is leased cannot be spilled: then it is asked for when it is wanted. */
    if (!object->store->host || object->store->spill || sl_store_is_here(object))
        return;
    sl_asking *asking = calloc(1, sizeof *asking);
    if (!asking)
        return;
    atomic_init(&asking->references, 1);
    asking->kind = SL_ASKING_GET;
    asking->early = true;
    asking->object = object;
    sl_store_object_retain(object);
    if (push(object->store, asking) != SL_OK)
        sl_asking_drop(asking);
}

/* True once it can be read: then it is pinned. */
static bool look(sl_store_object *object, sl_store_content *content, sl_err *err) {
    sl_store *store = object->store;
    pthread_mutex_lock(&store->lock);
    bool own = object->id.node == store->options.node, here = object->here;
    bool open = own && !object->sealed;
    if (here) {
        *content = (sl_store_content){object->type, object->data, object->bytes};
        object->pins++;
        sl_store_relist(object);
    }
    pthread_mutex_unlock(&store->lock);
    *err = open ? sl_fail(SL_ERR_INVALID, "the object is not sealed yet") : SL_OK;
    return here;
}

static sl_err bring(sl_store_object *object, uint64_t timeout_ns, bool *asked) {
    if (object->id.node != object->store->options.node) {
        SL_TRY(ask(object, SL_ASKING_GET, 0, timeout_ns));
        *asked = true;
        return SL_OK;
    }
    if (sl_node_runs_here())
        return sl_fail(SL_ERR_INVALID, "what runs where messages are handled may not wait for an "
                                       "object that was spilled to disk");
    return sl_store_bring_back(object);
}

sl_err sl_store_get(sl_store_object *object, uint64_t timeout_ns, sl_store_content *content) {
    uint64_t most = timeout_ns / SL_STORE_ROUND_NS;
    uint32_t rounds = most < ROOM_ROUNDS ? (uint32_t)most : ROOM_ROUNDS;
    bool asked = false;
    sl_err err;
    while (!look(object, content, &err)) {
        SL_TRY(err);
        err = bring(object, timeout_ns, &asked);
        if (err != SL_OK &&
            (err != SL_ERR_NO_MEMORY || !sl_store_await_room(object->store, &rounds)))
            return err;
    }
    if (asked) /* now that it stays */
        sl_store_trim(object->store);
    return SL_OK;
}

void sl_store_pin(sl_store_object *object) {
    pthread_mutex_lock(&object->store->lock);
    object->pins++;
    sl_store_relist(object);
    pthread_mutex_unlock(&object->store->lock);
}

void sl_store_unpin(sl_store_object *object) {
    sl_store_object *gone = NULL;
    pthread_mutex_lock(&object->store->lock);
    object->pins -= object->pins != 0;
    sl_store_relist(object);
    if (object->store->spill) /* else its owner has no use for it */
        sl_store_leave_place(object, &gone);
    pthread_mutex_unlock(&object->store->lock);
    sl_store_bury(gone);
}

static bool make_hold(sl_store_object *object, uint32_t node) {
    if (node == object->id.node)
        return sl_store_comes(object, node);
    sl_holder *holder = sl_store_holder(object, node, true);
    if (holder && !SL_PLANT(object_unheld))
        holder->holds++;
    return holder;
}

static sl_err hold_own(sl_store_object *object, uint32_t node) {
    pthread_mutex_lock(&object->store->lock);
    bool lost = node >= object->store->options.nodes || object->store->lost[node];
    bool made = !lost && make_hold(object, node);
    pthread_mutex_unlock(&object->store->lock);
    if (lost)
        return sl_fail(SL_ERR_DEAD, "node %u, which was to hold the object, is lost", node);
    return made ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for a hold");
}

static void unhold_own(sl_store_object *object, uint32_t node) {
    pthread_mutex_lock(&object->store->lock);
    bool own = node == object->id.node;
    sl_holder *holder = own ? NULL : sl_store_holder(object, node, false);
    if (own)
        (void)sl_store_comes_not(object, node);
    else if (holder && holder->holds)
        holder->holds--;
    pthread_mutex_unlock(&object->store->lock);
}

/* Of a foreign one its owner hears from who holds it. Without memory to say so it is held until
 * that node is left. */
void sl_store_unhold(sl_store_object *object, uint32_t node) {
    sl_store *store = object->store;
    if (object->id.node == store->options.node) {
        unhold_own(object, node);
        return;
    }
    sl_giving *giving = malloc(sizeof *giving);
    if (!giving)
        return;
    pthread_mutex_lock(&store->lock);
    *giving = (sl_giving){.next = store->givings, .id = object->id, .holds = 1, .to = node};
    store->givings = giving;
    sl_store_tell(store);
    pthread_mutex_unlock(&store->lock);
}

sl_err sl_store_hold(sl_store_object *object, uint32_t node, uint64_t timeout_ns) {
    if (object->id.node == object->store->options.node)
        return hold_own(object, node);
    return ask(object, SL_ASKING_HOLD, node, timeout_ns);
}
