/* Design notes
 * The actor sends what threads ask, and answers what other stores ask. Requests and answers are
 * control messages; an object's bytes are data, which may have to wait for room, so they are owed
 * until they can be sent, in order.
 *
 * A get from a rank of this host is answered with a place: the asker maps the owner's memory once
 * and reads every object where it lies. The owner keeps a lease until the asker gives the place
 * back, or its process has ended: that the link to it is lost says nothing about whether it still
 * reads. Where the memory cannot be mapped it asks again, for the bytes.
 *
 * A hold is made before the message that says that it was made: who sends an id on waits for that,
 * so the owner hears of the new holder before the old one lets go.
 *
 * What a peer says is checked: an answer must be to a request that is waiting, a release takes at
 * most what its sender has, and no node but the sender and those that it names gets anything. */
#include <stdlib.h>
#include <string.h>

#include "actors/store/store_internal.h"
#include "actors/store/store_msgs.h"
#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/plant.h"
#include "runtime/runtime_msgs.h"

/* ---- what this node's threads ask ---- */

static void fail_asking(sl_asking *asking, sl_err err) {
    char cause[256];
    snprintf(cause, sizeof cause, "%s", sl_err_detail());
    sl_asking_end(asking, err, cause);
}

static bool same_object_waits(const sl_store_state *s, const sl_store_object *object) {
    for (const sl_asking *asking = s->waiting; asking; asking = asking->next)
        if (asking->kind == SL_ASKING_GET && asking->object == object)
            return true;
    return false;
}

static sl_err send_asking(sl_store_state *s, const sl_asking *asking) {
    const sl_store_id *id = &asking->object->id;
    if (asking->kind == SL_ASKING_HOLD) {
        store_hold body = {asking->cookie, id->incarnation, id->sequence, asking->holder};
        return store_hold_send(s->self, sl_store_at(id->node), &body);
    }
    pthread_mutex_lock(&s->store->lock);
    uint64_t room = sl_store_room(s->store);
    pthread_mutex_unlock(&s->store->lock);
    store_get body = {asking->cookie, id->incarnation, id->sequence,
                      asking->copied ? 0 : s->store->host,
                      asking->early ? SL_SHARED_LEAST_BYTES : room};
    return store_get_send(s->self, sl_store_at(id->node), &body);
}

static void wait_for(sl_store_state *s, sl_asking *asking) {
    asking->next = s->waiting;
    s->waiting = asking;
}

static void begin_asking(sl_store_state *s, sl_asking *asking) {
    bool on_way = asking->kind == SL_ASKING_GET && same_object_waits(s, asking->object);
    pthread_mutex_lock(&s->store->lock);
    bool here = asking->object->here;
    pthread_mutex_unlock(&s->store->lock);
    if (asking->kind == SL_ASKING_GET && here) {
        sl_asking_end(asking, SL_OK, NULL);
        return;
    }
    asking->cookie = ++s->cookie;
    sl_err err = on_way ? SL_OK : send_asking(s, asking);
    if (err == SL_ERR_DEAD)
        err = sl_fail(SL_ERR_DEAD, "node %u, which made the object, is lost",
                      asking->object->id.node);
    if (err == SL_OK)
        wait_for(s, asking);
    else
        fail_asking(asking, err);
}

/* ---- what this node gives back ---- */

static void let_go_of(sl_store *store, sl_store_id id) {
    sl_store_object *object;
    if (sl_store_open(store, id, true, &object) == SL_OK)
        sl_store_object_release(object);
}

static sl_err send_giving(sl_store_state *s, const sl_giving *giving, uint32_t to) {
    const sl_store_id *id = &giving->id;
    store_release release = {id->incarnation, id->sequence, giving->holds, giving->leases};
    store_given given = {id->node, id->incarnation, id->sequence};
    if (to == s->store->options.node) {
        let_go_of(s->store, *id);
        return SL_OK;
    }
    return giving->to == SL_NO_NODE ? store_release_send(s->self, sl_store_at(to), &release)
                                    : store_given_send(s->self, sl_store_at(to), &given);
}

static void give(sl_store_state *s, sl_giving *giving) {
    uint32_t to = giving->to == SL_NO_NODE ? giving->id.node : giving->to;
    sl_err err = send_giving(s, giving, to);
    if (err != SL_OK && !sl_node_peer_is_gone(s->store->node, to)) {
        giving->next = s->giving;
        s->giving = giving;
        return;
    }
    free(giving);
}

static void give_again(sl_store_state *s) {
    sl_giving *all = s->giving;
    s->giving = NULL;
    for (sl_giving *next; all; all = next) {
        next = all->next;
        give(s, all);
    }
}

static void on_event(sl_store_state *s) {
    sl_store *store = s->store;
    pthread_mutex_lock(&store->lock);
    sl_asking *newest = store->asked, *oldest = NULL;
    sl_giving *giving = store->givings;
    sl_reading *read = store->read;
    store->read = NULL;
    store->asked = NULL;
    store->givings = NULL;
    store->told = false;
    pthread_mutex_unlock(&store->lock);
    for (sl_asking *next; newest; newest = next) {
        next = newest->next;
        newest->next = oldest;
        oldest = newest;
    }
    for (sl_asking *next; oldest; oldest = next) {
        next = oldest->next;
        begin_asking(s, oldest);
    }
    for (sl_giving *next; giving; giving = next) {
        next = giving->next;
        give(s, giving);
    }
    for (sl_reading *next; read; read = next) {
        next = read->next;
        sl_store_on_read(s, read);
    }
}

/* ---- answers ---- */

/* The request of this cookie to `node`, or NULL. */
static sl_asking **find_asking(sl_store_state *s, uint64_t cookie, uint32_t node) {
    for (sl_asking **at = &s->waiting; *at; at = &(*at)->next)
        if ((*at)->cookie == cookie && (*at)->object->id.node == node)
            return at;
    return NULL;
}

static sl_asking *take_asking(sl_store_state *s, uint64_t cookie, uint32_t node) {
    sl_asking **at = find_asking(s, cookie, node), *asking = at ? *at : NULL;
    if (!asking) {
        sl_warn("store", "an answer of node %u to what was not asked", node);
        return NULL;
    }
    *at = asking->next;
    return asking;
}

/* All that wait for `object`. */
static void end_gets(sl_store_state *s, sl_store_object *object, sl_err err, const char *detail) {
    for (sl_asking **at = &s->waiting; *at;) {
        sl_asking *asking = *at;
        if (asking->kind != SL_ASKING_GET || asking->object != object) {
            at = &asking->next;
            continue;
        }
        *at = asking->next;
        sl_asking_end(asking, err, detail);
    }
}

static void end_asking(sl_store_state *s, sl_asking *asking, sl_err err, const char *detail) {
    sl_store_object *object = asking->object;
    bool get = asking->kind == SL_ASKING_GET;
    if (get) {
        wait_for(s, asking);
        end_gets(s, object, err, detail);
        return;
    }
    if (err == SL_OK && asking->holder == s->store->options.node) {
        pthread_mutex_lock(&s->store->lock);
        object->held++;
        pthread_mutex_unlock(&s->store->lock);
    }
    sl_asking_end(asking, err, detail);
}

/* Nothing came of an early one: who has begun to wait for the same meanwhile asks in earnest. */
static void end_early(sl_store_state *s, sl_asking *early) {
    sl_store_object *object = early->object;
    sl_asking *next = s->waiting;
    while (next && (next->kind != SL_ASKING_GET || next->object != object))
        next = next->next;
    sl_err err = next ? send_asking(s, next) : SL_OK;
    if (err != SL_OK)
        end_gets(s, object, err, "the owner of the object is lost");
    sl_asking_end(early, SL_ERR_AGAIN, NULL);
}

static void on_answer(sl_store_state *s, uint32_t node, const store_answer *answer) {
    sl_asking *asking = take_asking(s, answer->cookie, node);
    if (!asking)
        return;
    bool known = answer->error < SL_ERR_COUNT;
    if (asking->early) {
        end_early(s, asking);
        return;
    }
    if (asking->kind == SL_ASKING_GET && answer->error == SL_OK)
        end_asking(s, asking, SL_ERR_DECODE, "the owner of the object says that it came");
    else
        end_asking(s, asking, known ? (sl_err)answer->error : SL_ERR_FAILED, answer->detail.data);
}

static sl_store_type type_of(uint8_t kind, uint8_t dtype, const store_dimension *shape,
                             uint32_t count) {
    sl_store_type type = {.kind = kind, .dtype = dtype, .dimensions = count};
    for (uint32_t i = 0; i < count; i++)
        type.shape[i] = shape[i].size;
    return type;
}

static void on_object(sl_store_state *s, uint32_t node, const store_object *body) {
    sl_asking *asking = take_asking(s, body->cookie, node);
    sl_store_object *gone = NULL;
    if (!asking)
        return;
    if (asking->kind != SL_ASKING_GET || !body->data) {
        end_asking(s, asking, SL_ERR_DECODE, "an object without its bytes");
        return;
    }
    sl_store *store = s->store;
    sl_store_object *object = asking->object;
    pthread_mutex_lock(&store->lock);
    uint64_t bytes = body->data->bytes;
    bool room = sl_store_make_room(store, bytes, &gone) ||
                (store->spill && bytes <= sl_store_room(store)); /* who waits spills others then */
    if (room && !object->here) {
        object->type = type_of(body->kind, body->dtype, body->shape.items, body->shape.count);
        object->blob = sl_blob_retain(body->data);
        object->bytes = body->data->bytes;
        object->data = body->data->data;
        object->here = true;
        sl_store_relist(object);
        store->used_bytes += object->bytes;
        store->copies++;
    }
    pthread_mutex_unlock(&store->lock);
    sl_store_bury(gone);
    end_asking(s, asking, room ? SL_OK : SL_ERR_NO_MEMORY,
               room ? NULL : "the object is larger than what this node's store has room for");
}

/* ---- places ---- */

/* The mapping `place` lies in, made if need be; NULL: it cannot be. Where very many are mapped
 * already the oldest is let go of: what is read in it stays mapped as long as that. */
static sl_shared_map *map_of(sl_store_state *s, const sl_shared_place *place) {
    enum { MOST = sizeof s->maps / sizeof *s->maps };
    uint32_t at = 0;
    sl_shared_map *map;
    for (; at < MOST && s->maps[at]; at++)
        if (sl_shared_map_at(s->maps[at], place))
            return s->maps[at];
    if (sl_shared_map_open(place, &map) != SL_OK) {
        sl_info("store", "%s: its objects are copied", sl_err_detail());
        return NULL;
    }
    if (!sl_shared_map_at(map, place)) {
        sl_shared_map_release(map);
        return NULL;
    }
    if (at == MOST) {
        sl_shared_map_release(s->maps[0]);
        memmove(s->maps, s->maps + 1, (MOST - 1) * sizeof *s->maps);
        at--;
    }
    return s->maps[at] = map;
}

static void on_place(sl_store_state *s, uint32_t node, const store_place *body) {
    sl_asking *asking = take_asking(s, body->cookie, node);
    sl_shared_place place = {body->file,  body->arena_bytes, body->offset,
                             body->bytes, body->pid,         body->number};
    if (!asking)
        return;
    if (asking->kind != SL_ASKING_GET || asking->copied) {
        end_asking(s, asking, SL_ERR_DECODE, "an object of another kind than was asked for");
        return;
    }
    sl_store_object *object = asking->object;
    sl_shared_map *map = map_of(s, &place);
    pthread_mutex_lock(&s->store->lock);
    object->leased++;
    if (map && !object->here) {
        object->type = type_of(body->kind, body->dtype, body->shape.items, body->shape.count);
        object->map = sl_shared_map_retain(map);
        object->data = sl_shared_map_at(map, &place);
        object->bytes = body->bytes;
        object->here = true;
    }
    pthread_mutex_unlock(&s->store->lock);
    if (map) {
        end_asking(s, asking, SL_OK, NULL);
        return;
    }
    if (asking->early) {
        end_early(s, asking);
        return;
    }
    asking->copied = true;
    sl_err err = send_asking(s, asking);
    wait_for(s, asking);
    if (err != SL_OK)
        end_gets(s, object, err, "the owner of the object is lost");
}

/* ---- nodes that are lost ---- */

/* What `node` had of the object; what it reads it may go on reading until it is `gone`. */
static void forget_holder(sl_store_object *object, uint32_t node, bool gone_for_good,
                          sl_store_object **gone) {
    sl_holder *holder = sl_store_holder(object, node, false);
    if (!holder || SL_PLANT(holds_of_dead))
        return;
    holder->holds = 0;
    if (gone_for_good)
        holder->leases = 0;
    sl_store_look_over(object, gone);
}

static void on_lost(sl_store_state *s, const node_peer_lost *lost) {
    sl_store *store = s->store;
    sl_store_object *gone = NULL;
    bool coming = false;
    pthread_mutex_lock(&store->lock);
    if (lost->node < store->options.nodes)
        store->lost[lost->node] = true;
    for (uint32_t i = 0; i < store->bucket_count; i++)
        for (sl_store_object *object = store->buckets[i], *next; object; object = next) {
            next = object->next;
            if (object->coming_count)
                coming |= sl_store_coming_lost(object, lost->node);
            if (object->id.node == lost->node)
                object->held = 0;
            else if (object->holder_count)
                forget_holder(object, lost->node, lost->gone, &gone);
        }
    pthread_mutex_unlock(&store->lock);
    sl_store_bury(gone);
    if (coming)
        sl_store_await_coming(s, lost->node);
    for (sl_asking **at = &s->waiting, *asking; (asking = *at);) {
        if (asking->object->id.node != lost->node) {
            at = &asking->next;
            continue;
        }
        *at = asking->next;
        sl_asking_end(asking, SL_ERR_DEAD, "the node that made the object is lost");
    }
    give_again(s);
    sl_store_pay(s);
}

static void on_back(sl_store_state *s, uint32_t node) {
    pthread_mutex_lock(&s->store->lock);
    if (node < s->store->options.nodes)
        s->store->lost[node] = false;
    pthread_mutex_unlock(&s->store->lock);
    give_again(s);
}

/* A hold on an own object is one of who says that its name will not come: or it has been given up
 * already. */
static void on_given(sl_store_state *s, uint32_t from, const store_given *given) {
    sl_store *store = s->store;
    sl_store_id id = {given->node, given->incarnation, given->sequence};
    sl_store_object *gone = NULL;
    if (id.node != store->options.node) {
        let_go_of(store, id);
        return;
    }
    pthread_mutex_lock(&store->lock);
    sl_store_object *object = sl_store_find(store, id);
    if (object && sl_store_comes_not(object, from))
        sl_store_look_over(object, &gone);
    pthread_mutex_unlock(&store->lock);
    sl_store_bury(gone);
}

/* ---- the actor ---- */

static sl_err store_start(sl_actor *self, void *memory, const void *arguments) {
    sl_store_state *s = memory;
    s->store = *(sl_store *const *)arguments;
    s->self = self;
    s->owed_end = &s->owed;
    sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    pthread_mutex_lock(&s->store->lock);
    s->store->event = (sl_event){.to = sl_self(self)};
    s->store->node = sl_actor_node(self);
    s->store->told = false;
    if (s->store->asked || s->store->givings)
        sl_store_tell(s->store);
    pthread_mutex_unlock(&s->store->lock);
    return sl_store_start_reader(s->store);
}

static sl_err store_receive(sl_actor *self, void *memory, const sl_message *message) {
    sl_store_state *s = memory;
    uint32_t node = message->from.node;
    (void)self;
    switch (message->type->id) {
    case node_event_id:
        on_event(s);
        break;
    case store_get_id:
        sl_store_on_get(s, node, message->body);
        break;
    case store_object_id:
        on_object(s, node, message->body);
        break;
    case store_place_id:
        on_place(s, node, message->body);
        break;
    case store_hold_id:
        sl_store_on_hold(s, node, message->body);
        break;
    case store_answer_id:
        on_answer(s, node, message->body);
        break;
    case store_release_id:
        sl_store_on_release(s, node, message->body);
        break;
    case node_timer_id:
        sl_store_coming_over(s, (uint32_t)((const node_timer *)message->body)->cookie);
        break;
    case node_room_id:
        sl_store_pay(s);
        break;
    case node_peer_lost_id:
        on_lost(s, message->body);
        break;
    case store_given_id:
        on_given(s, node, message->body);
        break;
    case node_peer_back_id:
        on_back(s, ((const node_peer_back *)message->body)->node);
        break;
    default:
        sl_warn("store", "unwelcome message %s from node %u", message->type->record.name, node);
    }
    return SL_OK;
}

static void store_stop(sl_actor *self, void *memory) {
    sl_store_state *s = memory;
    (void)self;
    sl_store_stop_reader(s->store);
    pthread_mutex_lock(&s->store->lock);
    s->store->node = NULL;
    sl_asking *asked = s->store->asked;
    s->store->asked = NULL;
    pthread_mutex_unlock(&s->store->lock);
    for (sl_asking *lists[] = {asked, s->waiting}, **at = lists; at < lists + 2; at++)
        for (sl_asking *asking = *at, *next; asking; asking = next) {
            next = asking->next;
            sl_asking_end(asking, SL_ERR_CLOSED, "the network was left");
        }
    for (sl_giving *giving = s->giving, *next; giving; giving = next) {
        next = giving->next;
        free(giving);
    }
    for (sl_owed *one = s->owed, *next; one; one = next) {
        next = one->next;
        sl_owed_free(one);
    }
    for (uint32_t i = 0; i < sizeof s->maps / sizeof *s->maps; i++)
        sl_shared_map_release(s->maps[i]);
}

const sl_actor_class sl_store_class = {.name = "store",
                                       .state_bytes = sizeof(sl_store_state),
                                       .start = store_start,
                                       .receive = store_receive,
                                       .stop = store_stop};
