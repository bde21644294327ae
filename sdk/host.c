/* The host actor: what arrives, and what could not leave at once. */
#include "sdk/host.h"

#include <stdlib.h>
#include <string.h>

#include "actors/registry/registry_msgs.h"
#include "runtime/log.h"
#include "runtime/runtime_msgs.h"

#define TICK_NS (50 * SL_NS_PER_MS)

/* ---- tables ---- */

static uint32_t bucket_of(const sl_id_table *table, sl_actor_id id) {
    uint64_t hash = (id.number + id.life + id.home) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(hash >> 32) & (table->capacity - 1);
}

void *sl_id_find(const sl_id_table *table, sl_actor_id id) {
    if (!table->capacity)
        return NULL;
    sl_id_node *node = table->buckets[bucket_of(table, id)];
    while (node && !sl_id_equal(node->id, id))
        node = node->next;
    return node;
}

static sl_err grow(sl_id_table *table) {
    sl_id_table larger = {.capacity = table->capacity ? 2 * table->capacity : 64};
    larger.buckets = calloc(larger.capacity, sizeof *larger.buckets);
    if (!larger.buckets)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u actors", larger.capacity);
    for (uint32_t i = 0; i < table->capacity; i++)
        for (sl_id_node *node = table->buckets[i], *next; node; node = next) {
            uint32_t at = bucket_of(&larger, node->id);
            next = node->next;
            node->next = larger.buckets[at];
            larger.buckets[at] = node;
        }
    larger.count = table->count;
    free(table->buckets);
    *table = larger;
    return SL_OK;
}

sl_err sl_id_add(sl_id_table *table, sl_id_node *node) {
    if (table->count == table->capacity)
        SL_TRY(grow(table));
    uint32_t at = bucket_of(table, node->id);
    node->next = table->buckets[at];
    table->buckets[at] = node;
    table->count++;
    return SL_OK;
}

void sl_id_remove(sl_id_table *table, sl_id_node *node) {
    sl_id_node **at = &table->buckets[bucket_of(table, node->id)];
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    table->count--;
}

/* ---- letters ---- */

void sl_letters_push(sl_letters *list, sl_letter *letter) {
    letter->next = NULL;
    if (list->tail)
        list->tail->next = letter;
    else
        list->head = letter;
    list->tail = letter;
    list->count++;
}

sl_letter *sl_letters_pop(sl_letters *list) {
    sl_letter *letter = list->head;
    if (!letter)
        return NULL;
    list->head = letter->next;
    if (!list->head)
        list->tail = NULL;
    list->count--;
    return letter;
}

sl_letter *sl_letter_create(const char *method, size_t argument_bytes) {
    size_t arguments = (argument_bytes + 7) & ~(size_t)7, text = strlen(method) + 1;
    sl_letter *letter = malloc(sizeof *letter + arguments + text);
    if (!letter)
        return NULL;
    memset(letter, 0, sizeof *letter);
    letter->arguments = (uint8_t *)(letter + 1);
    letter->argument_bytes = argument_bytes;
    letter->method = memcpy(letter->arguments + arguments, method, text);
    return letter;
}

void sl_letter_destroy(sl_letter *letter) {
    if (!letter)
        return;
    for (uint32_t i = 0; i < letter->object_count; i++)
        sl_object_release(letter->objects[i]);
    free(letter->objects);
    sl_blob_release(letter->apart);
    sl_blob_release(letter->output_apart);
    if (letter->settle) /* its answer never left */
        letter->settle(letter->settled, false);
    free(letter->output);
    free(letter->message);
    free(letter);
}

void sl_letters_free(sl_letters *list) {
    for (sl_letter *letter; (letter = sl_letters_pop(list));)
        sl_letter_destroy(letter);
}

/* ---- what waits for room ---- */

static void waiting_free(sl_waiting_body *waiting) {
    sl_record_release(&waiting->type->record, waiting->body);
    free(waiting->body);
    free(waiting);
}

static sl_err keep_waiting(sl_host *host, uint32_t node, const sl_message_type *type,
                           const void *body) {
    sl_waiting_body *waiting = malloc(sizeof *waiting), **at = &host->waiting[node];
    void *copy = malloc(sl_record_memory_bytes(&type->record, body));
    if (!waiting || !copy) {
        free(waiting), free(copy);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a message");
    }
    sl_record_copy(&type->record, body, copy);
    *waiting = (sl_waiting_body){.type = type, .body = copy};
    while (*at)
        at = &(*at)->next;
    *at = waiting;
    return SL_OK;
}

sl_err sl_host_post(sl_host *host, uint32_t node, const sl_message_type *type, const void *body) {
    sl_err err =
        host->blocked[node] ? SL_ERR_AGAIN : sl_send(host->self, sl_host_at(node), type, body);
    if (err != SL_ERR_AGAIN)
        return err;
    if (!host->blocked[node]) {
        host->blocked[node] = true;
        sl_await_room(host->self, sl_host_at(node));
    }
    return keep_waiting(host, node, type, body);
}

static void on_room(sl_host *host, uint32_t node) {
    host->blocked[node] = false;
    for (sl_waiting_body *first; (first = host->waiting[node]);) {
        sl_err err = sl_send(host->self, sl_host_at(node), first->type, first->body);
        if (err == SL_ERR_AGAIN) {
            host->blocked[node] = true;
            sl_await_room(host->self, sl_host_at(node));
            return;
        }
        if (err != SL_OK && err != SL_ERR_DEAD)
            sl_error("host", "%s: %s", first->type->record.name, sl_err_detail());
        host->waiting[node] = first->next;
        waiting_free(first);
    }
    sl_host_pump_stalled(host);
}

static void drop_waiting(sl_host *host, uint32_t node) {
    for (sl_waiting_body *first; (first = host->waiting[node]);) {
        host->waiting[node] = first->next;
        waiting_free(first);
    }
    host->blocked[node] = false;
}

/* ---- time ---- */

void sl_host_tick(sl_host *host) {
    if (!host->ticking)
        host->ticking = sl_timer_start(host->self, TICK_NS, 0) != 0;
}

void sl_host_again(sl_host *host) {
    actor_go body = {};
    if (!host->going)
        host->going = actor_go_send(host->self, sl_self(host->self), &body) == SL_OK;
}

static void on_tick(sl_host *host) {
    host->ticking = false;
    sl_host_targets_tick(host);
    sl_host_residents_tick(host);
}

/* ---- peers ---- */

static void on_peer(sl_host *host, uint32_t node, bool back) {
    if (node >= host->count)
        return;
    if (!back) {
        drop_waiting(host, node);
        sl_host_residents_peer(host, node);
        sl_host_asks_peer(host, node);
    } else {
        sl_host_asks_back(host, node);
    }
    sl_host_records_peer(host, node, back);
    sl_host_targets_peer(host, node, back);
}

/* ---- the actor ---- */

static sl_err host_start(sl_actor *self, void *state, const void *arguments) {
    const sl_host_setup *setup = arguments;
    uint32_t count = setup->of->network->count;
    sl_host *host = calloc(1, sizeof *host + count * sizeof host->serves[0]);
    if (!host)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a host of actors");
    *(sl_host **)state = host;
    host->self = self;
    host->of = setup->of;
    host->client = setup->client;
    host->rank = setup->of->rank;
    host->count = count;
    uint64_t incarnation = (uint64_t)setup->of->incarnation
                           << 32; /* its generator's seed may be given */
    host->life = (sl_rng_u64(sl_node_rng(sl_actor_node(self))) ^ incarnation) | 1;
    host->event.to = sl_self(self);
    host->ready_end = &host->ready;
    host->ask_free = UINT32_MAX;
    host->next_sequence = 1;
    host->blocked = calloc(host->count, sizeof *host->blocked);
    host->waiting = calloc(host->count, sizeof(sl_waiting_body *));
    if (!host->blocked || !host->waiting)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a host of actors");
    for (uint32_t node = 0; node < host->count; node++)
        atomic_init(&host->serves[node], !sl_network_is_spare(host->of->network, node));
    sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    registry_watch watch = {};
    SL_TRY(registry_watch_send(self, sl_addr_well_known(host->rank, SL_SLOT_REGISTRY), &watch));
    if (host->client)
        atomic_store(&host->client->host, host);
    return SL_OK;
}

static void on_event(sl_host *host, const node_event *message) {
    sl_event *event = (sl_event *)(uintptr_t)message->event;
    if (event == &host->event)
        atomic_exchange(&host->told, 0);
    else
        sl_host_ran((sl_resident *)(void *)((char *)event - offsetof(sl_resident, job.event)));
}

/* A spare that has taken a place is as good as any node. */
static void on_view(sl_host *host, const registry_view *view) {
    for (uint32_t i = 0; i < view->members.count; i++) {
        const registry_member *member = &view->members.items[i];
        if (member->node < host->count && sl_network_is_spare(host->of->network, member->node))
            atomic_store(&host->serves[member->node],
                         member->state == SL_MEMBER_ALIVE || member->state == SL_MEMBER_SUSPECTED);
    }
}

static void on_moved(sl_host *host, uint32_t from, const actor_moved *moved) {
    if (moved->place >= host->count)
        return;
    sl_host_target_moved(host, moved);
    sl_host_resident_moved(host, from, moved);
}

static void on_lost(sl_host *host, uint32_t from, const actor_lost *lost) {
    sl_host_target_lost(host, from, lost);
    sl_host_resident_lost(host, from, lost);
}

/* Another host's word. */
static bool dispatch(sl_host *host, uint32_t from, const sl_message *message) {
    const void *body = message->body;
    switch (message->type->id) {
    case actor_tell_id:
        sl_host_on_tell(host, from, body);
        return true;
    case actor_answer_id:
        sl_host_on_answer(host, body);
        return true;
    case actor_handled_id:
        sl_host_on_handled(host, body);
        return true;
    case actor_moved_id:
        on_moved(host, from, body);
        return true;
    case actor_where_id:
        sl_host_on_where(host, from, body);
        return true;
    case actor_lost_id:
        on_lost(host, from, body);
        return true;
    case actor_come_id:
        sl_host_on_come(host, from, body);
        return true;
    case actor_here_id:
        sl_host_on_here(host, from, body);
        return true;
    case actor_failed_id:
        sl_host_on_failed(host, from, body);
        return true;
    case actor_ended_id:
        sl_host_on_ended(host, body);
        return true;
    case actor_saved_id:
        sl_host_on_saved(host, from, body);
        return true;
    case actor_kept_id:
        sl_host_on_kept(host, from, body);
        return true;
    case actor_watch_id:
        sl_host_on_watch(host, from, body);
        return true;
    case actor_quit_id:
        sl_host_on_quit(host, from, body);
        return true;
    case actor_dismiss_id:
        sl_host_on_dismiss(host, from, body);
        return true;
    case actor_name_id:
        sl_host_on_name(host, from, body);
        return true;
    case actor_find_id:
        sl_host_on_find(host, from, body);
        return true;
    case actor_named_id:
        sl_host_on_named(host, body);
        return true;
    default:
        return false;
    }
}

static sl_err host_receive(sl_actor *self, void *state, const sl_message *message) {
    sl_host *host = *(sl_host **)state;
    (void)self;
    switch (message->type->id) {
    case node_event_id:
        on_event(host, message->body);
        break;
    case actor_go_id:
        host->going = false;
        break;
    case node_room_id:
        on_room(host, ((const node_room *)message->body)->at.node);
        break;
    case registry_view_id:
        on_view(host, message->body);
        break;
    case node_timer_id:
        on_tick(host);
        break;
    case node_peer_lost_id:
        on_peer(host, ((const node_peer_lost *)message->body)->node, false);
        break;
    case node_peer_back_id:
        on_peer(host, ((const node_peer_back *)message->body)->node, true);
        break;
    default:
        if (message->from.node >= host->count || !dispatch(host, message->from.node, message))
            sl_warn("host", "unwelcome message %s from node %u", message->type->record.name,
                    message->from.node);
    }
    sl_host_take_orders(host);
    sl_host_run_ready(host);
    if (host->client)
        sl_client_pump(host->client);
    return SL_OK;
}

static void host_stop(sl_actor *self, void *state) {
    sl_host *host = *(sl_host **)state;
    (void)self;
    if (!host)
        return;
    if (host->client)
        atomic_store(&host->client->host_closed, 1);
    if (host->waiting) {
        sl_host_send_stop(host);
        sl_host_live_stop(host);
        sl_host_home_stop(host);
        for (uint32_t node = 0; node < host->count; node++)
            drop_waiting(host, node);
    }
    free(host->blocked);
    free(host->waiting);
    free(host->gone);
    if (!host->client) /* threads may be on their way to its inbox: session.c frees that one */
        free(host);
}

const sl_actor_class sl_host_class = {.name = "host",
                                      .state_bytes = sizeof(sl_host *),
                                      .start = host_start,
                                      .receive = host_receive,
                                      .stop = host_stop};
