/* Design notes
 * Actors live in chunks that never move, found by slot. A slot that becomes free gets the next
 * generation at once, so that an old address finds nobody. It is handed out again only when no run
 * queue links it. */
#include "runtime/node_internal.h"

#include <string.h>

sl_addr sl_self(const sl_actor *self) {
    return (sl_addr){self->node->id, self->slot, self->generation};
}

sl_node *sl_actor_node(const sl_actor *self) {
    return self->node;
}

uint64_t sl_now_ns(const sl_actor *self) {
    return sl_node_now_ns(self->node);
}

double sl_wall_s(const sl_actor *self) {
    return self->node->clock->wall_s(self->node->clock);
}

uint64_t sl_thread_ns(const sl_actor *self) {
    const sl_clock *clock = self->node->clock;
    return clock->thread_ns ? clock->thread_ns(clock) : 0;
}

/* ---- slots ---- */

static bool chunks_grow(sl_node *node) {
    uint32_t count = node->chunk_count;
    if (count & (count - 1))
        return true;
    sl_actor **chunks = realloc(node->chunks, (count ? 2 * count : 1) * sizeof *chunks);
    if (chunks)
        node->chunks = chunks;
    return chunks != NULL;
}

static sl_err chunk_add(sl_node *node) {
    if (!chunks_grow(node))
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for more actors");
    sl_actor *chunk = calloc(SL_ACTOR_CHUNK, sizeof *chunk);
    if (!chunk)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for more actors");
    uint32_t first = node->chunk_count * SL_ACTOR_CHUNK;
    for (uint32_t i = SL_ACTOR_CHUNK; i-- > 0;) {
        chunk[i].node = node;
        chunk[i].slot = first + i;
        if (first + i < SL_SLOT_FIRST_FREE)
            continue;
        chunk[i].next_ready = node->free_slots;
        node->free_slots = &chunk[i];
    }
    node->chunks[node->chunk_count++] = chunk;
    return SL_OK;
}

static sl_err slot_take(sl_node *node, uint32_t slot, sl_actor **actor) {
    if (!node->chunk_count || (slot >= SL_SLOT_FIRST_FREE && !node->free_slots))
        SL_TRY(chunk_add(node));
    if (slot < SL_SLOT_FIRST_FREE) {
        *actor = &node->chunks[0][slot];
        if ((*actor)->flags & SL_ACTOR_ALIVE)
            return sl_fail(SL_ERR_EXISTS, "slot %u of node %u is taken by %s", slot, node->id,
                           (*actor)->actor_class->name);
        return SL_OK;
    }
    *actor = node->free_slots;
    node->free_slots = (*actor)->next_ready;
    (*actor)->next_ready = NULL;
    return SL_OK;
}

static void slot_give(sl_actor *actor) {
    if (actor->slot < SL_SLOT_FIRST_FREE)
        return;
    actor->next_ready = actor->node->free_slots;
    actor->node->free_slots = actor;
}

void sl_actor_unqueued(sl_actor *actor) {
    if (!(actor->flags & (SL_ACTOR_ALIVE | SL_ACTOR_URGENT | SL_ACTOR_READY)))
        slot_give(actor);
}

/* ---- life ---- */

static sl_err supervision_create(sl_actor *actor, const void *arguments, size_t bytes) {
    if (!bytes && !actor->actor_class->max_restarts)
        return SL_OK;
    sl_supervision *supervision = calloc(1, sizeof *supervision + bytes);
    if (!supervision)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for an actor's arguments");
    if (bytes) {
        supervision->arguments = supervision + 1;
        supervision->argument_bytes = bytes;
        memcpy(supervision->arguments, arguments, bytes);
    }
    actor->supervision = supervision;
    return SL_OK;
}

static void state_release(sl_actor *actor) {
    sl_slab_give(&actor->node->slab, actor->state, actor->actor_class->state_bytes);
    actor->state = NULL;
}

/* From now on the address finds nobody. */
static void retire(sl_actor *actor) {
    actor->flags &= SL_ACTOR_URGENT | SL_ACTOR_READY;
    if (actor->slot >= SL_SLOT_FIRST_FREE)
        actor->generation++;
    sl_mailbox_drop_all(actor);
    free(actor->supervision);
    actor->supervision = NULL;
}

static sl_err enter_start(sl_actor *actor) {
    const void *arguments = actor->supervision ? actor->supervision->arguments : NULL;
    actor->flags |= SL_ACTOR_ENTERED;
    sl_err err = actor->actor_class->start(actor, actor->state, arguments);
    actor->flags &= ~(uint32_t)SL_ACTOR_ENTERED;
    return err;
}

sl_err sl_actor_start(sl_actor *actor) {
    const sl_actor_class *actor_class = actor->actor_class;
    void *state = sl_slab_take(&actor->node->slab, actor_class->state_bytes);
    if (!state)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the state of %s", actor_class->name);
    memset(state, 0, actor_class->state_bytes);
    actor->state = state;
    sl_err err = actor_class->start ? enter_start(actor) : SL_OK;
    if (err != SL_OK)
        state_release(actor);
    return err;
}

void sl_actor_leave(sl_actor *actor) {
    if (!actor->state)
        return;
    if (actor->actor_class->stop) {
        actor->flags |= SL_ACTOR_ENTERED;
        actor->actor_class->stop(actor, actor->state);
        actor->flags &= ~(uint32_t)SL_ACTOR_ENTERED;
    }
    state_release(actor);
}

static sl_err actor_begin(sl_actor *actor, const void *arguments, size_t argument_bytes) {
    SL_TRY(supervision_create(actor, arguments, argument_bytes));
    actor->flags |= SL_ACTOR_ALIVE;
    sl_err err = sl_actor_start(actor);
    if (err != SL_OK)
        retire(actor);
    return err;
}

sl_err sl_actor_create(sl_node *node, uint32_t slot, const sl_actor *parent,
                       const sl_actor_class *actor_class, const void *arguments,
                       size_t argument_bytes, sl_addr *address) {
    if (node->phase != SL_NODE_RUNNING)
        return sl_fail(SL_ERR_CLOSED, "the node ends: %s is not started", actor_class->name);
    sl_actor *actor;
    SL_TRY(slot_take(node, slot, &actor));
    actor->actor_class = actor_class;
    actor->parent_slot = parent ? parent->slot : UINT32_MAX;
    actor->parent_generation = parent ? parent->generation : 0;
    sl_err err = actor_begin(actor, arguments, argument_bytes);
    if (err != SL_OK) {
        sl_actor_unqueued(actor);
        return err;
    }
    node->actors_alive++;
    sl_metric_add(node->metrics, SL_METRIC_actors_spawned, 1);
    if (address)
        *address = sl_self(actor);
    if (actor->flags & SL_ACTOR_STOPPING)
        sl_actor_end(actor);
    return SL_OK;
}

void sl_actor_end(sl_actor *actor) {
    sl_node *node = actor->node;
    sl_actor_leave(actor);
    sl_addr at = sl_self(actor);
    bool awaited = actor->flags & SL_ACTOR_AWAITED;
    retire(actor);
    node->actors_alive--;
    sl_actor_unqueued(actor);
    if (awaited)
        sl_waiters_tell(node, at);
}

sl_err sl_spawn(sl_actor *self, const sl_actor_class *actor_class, const void *arguments,
                size_t argument_bytes, sl_addr *child) {
    return sl_actor_create(self->node, SL_SLOT_FIRST_FREE, self, actor_class, arguments,
                           argument_bytes, child);
}

void sl_stop(sl_actor *self, sl_addr address) {
    sl_actor *actor = address.node == self->node->id ? sl_actor_find(self->node, address) : NULL;
    if (!actor)
        return;
    if (actor == self->node->running || (actor->flags & SL_ACTOR_ENTERED))
        actor->flags |= SL_ACTOR_STOPPING;
    else
        sl_actor_end(actor);
}

void sl_actors_destroy(sl_node *node) {
    for (uint32_t c = node->chunk_count; c-- > 0;) {
        for (uint32_t i = SL_ACTOR_CHUNK; i-- > 0;) {
            if (node->chunks[c][i].flags & SL_ACTOR_ALIVE)
                sl_actor_end(&node->chunks[c][i]);
        }
    }
}

/* ---- timers ---- */

uint64_t sl_timer_start(sl_actor *self, uint64_t delay_ns, uint64_t cookie) {
    uint64_t now_ns = sl_now_ns(self);
    uint64_t deadline_ns = delay_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + delay_ns;
    return sl_timers_start(&self->node->timers, deadline_ns, sl_self(self), cookie);
}

void sl_timer_cancel(sl_actor *self, uint64_t timer) {
    sl_timers_cancel(&self->node->timers, timer);
}
