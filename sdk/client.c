/* The client actor. */
#include "sdk/client.h"

#include <stdlib.h>
#include <string.h>

#include "actors/registry/registry_msgs.h"
#include "runtime/futex.h"
#include "runtime/log.h"
#include "runtime/runtime_msgs.h"
#include "sdk/client_msgs.h"
#include "sdk/network_stop.h"
#include "sdk/seal.h"
#include "sdk/task_amounts.h"

#define KNOWN_WITHIN_NS (3 * SL_NS_PER_S) /* then tasks go to the nodes that are known */

enum { COOKIE_KNOWN, COOKIE_LOST }; /* of timers */
enum { STAYS, LOST, LEFT };         /* of client->left: it may come back when it was lost */

enum {
    SUBMIT_MOST = 1024,      /* tasks in one message … */
    SUBMIT_BYTES = 262144,   /* … and about so many bytes */
    UNACCEPTED_MOST = 16384, /* a power of two */
    INBOX_MOST = 262144,     /* tasks pushed and not taken: then who submits waits */
    TURN_MOST = 2048         /* items taken in one turn */
};

/* ---- the inbox: any thread ---- */

static void end_item(sl_client *client, sl_item *item) {
    if (item->kind == SL_ITEM_CANCEL) {
        sl_cancel_item *cancel = (sl_cancel_item *)(void *)item;
        sl_future_drop(cancel->future);
        free(cancel);
        return;
    }
    sl_client_end(client, (sl_future *)(void *)item, SL_FUTURE_FAILED, SL_ERR_CLOSED,
                  "the network was left before the task ended");
}

static void end_all(sl_client *client, sl_item *items) {
    for (sl_item *next; items; items = next) {
        next = items->next;
        end_item(client, items);
    }
}

void sl_client_push(sl_client *client, sl_item *first, sl_item *last, uint32_t tasks) {
    atomic_fetch_add(&client->waiting_tasks, tasks);
    last->next = atomic_load(&client->inbox);
    while (!atomic_compare_exchange_weak(&client->inbox, &last->next, first))
        continue;
    if (atomic_load(&client->closed)) /* nobody takes it any more */
        end_all(client, atomic_exchange(&client->inbox, NULL));
    else if (!atomic_exchange(&client->told, 1))
        sl_notify(client->node, &client->event);
}

void sl_client_await_room(sl_client *client) {
    if (atomic_load_explicit(&client->waiting_tasks, memory_order_relaxed) < INBOX_MOST ||
        sl_node_runs_here())
        return;
    atomic_fetch_add(&client->room_wanted, 1);
    for (;;) {
        uint32_t room = atomic_load(&client->room);
        if (atomic_load(&client->waiting_tasks) < INBOX_MOST || atomic_load(&client->closed))
            break;
        sl_futex_wait(&client->room, room, SL_FUTEX_FOREVER);
    }
    atomic_fetch_sub(&client->room_wanted, 1);
}

static void bump(_Atomic uint32_t *word) {
    atomic_fetch_add(word, 1);
    sl_futex_wake(word);
}

/* So many tasks have left the inbox. */
static void make_room(sl_client *client, uint32_t tasks) {
    uint32_t before = atomic_fetch_sub(&client->waiting_tasks, tasks);
    if (before - tasks < INBOX_MOST / 2 && atomic_load(&client->room_wanted))
        bump(&client->room);
}

/* ---- slots ---- */

static sl_err slots_grow(sl_client *client) {
    uint32_t count = client->slot_count ? 2 * client->slot_count : 1024;
    sl_future **slots = realloc(client->slots, count * sizeof *slots);
    if (slots)
        client->slots = slots;
    uint32_t *free_slots = realloc(client->free_slots, count * sizeof *free_slots);
    if (free_slots)
        client->free_slots = free_slots;
    if (!slots || !free_slots)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u tasks", count);
    for (uint32_t slot = count; slot-- > client->slot_count;) {
        client->slots[slot] = NULL;
        client->free_slots[client->free_count++] = slot;
    }
    client->slot_count = count;
    return SL_OK;
}

static void slot_give(sl_client *client, sl_future *future) {
    client->slots[future->slot] = NULL;
    client->free_slots[client->free_count++] = future->slot;
}

/* ---- to the scheduler ---- */

static sl_addr scheduler_of(const sl_client *client) {
    return sl_addr_well_known(sl_node_id(client->node), SL_SLOT_SCHEDULER);
}

void sl_client_queue(sl_client *client, sl_future *future) {
    future->stage = SL_STAGE_QUEUED;
    future->item.next = NULL;
    if (client->queue_tail)
        client->queue_tail->next = &future->item;
    else
        client->queue_head = &future->item;
    client->queue_tail = &future->item;
    client->queue_count++;
}

static sl_future *queue_pop(sl_client *client) {
    sl_item *item = client->queue_head;
    client->queue_head = item->next;
    if (!client->queue_head)
        client->queue_tail = NULL;
    client->queue_count--;
    return (sl_future *)(void *)item;
}

static scheduler_task task_of(const sl_future *future) {
    const sl_task_options *options = future->options;
    return (scheduler_task){
        .tag = future->slot,
        .kind = SL_TASK_FUNCTION,
        .forget = true,
        .keep = future->travels ? SL_KEEP_OBJECTS : SL_KEEP_RESULTS,
        .near = future->near,
        .cpus = sl_task_cpus(options),
        .gpus = options->gpus,
        .memory_bytes = options->memory_bytes,
        .ucu_milli = sl_task_ucu_milli(options),
        .timeout_ns = sl_task_timeout_ns(options),
        .priority = options->priority,
        .retries = options->retries,
        .region = sl_text_of(options->region),
        .among = {future->among, future->among_bytes},
        .group = sl_text_of(future->seal ? sl_future_seal_name(future->seal) : future->task->name),
        .payload = {future->payload, future->payload_bytes}};
}

/* Describes the head of the queue as one submit; the futures stay in the queue. */
static uint32_t gather(sl_client *client) {
    uint32_t count = 0;
    size_t bytes = 0;
    for (sl_item *item = client->queue_head; item; item = item->next) {
        sl_future *future = (sl_future *)(void *)item;
        if (future->cancelled || count == SUBMIT_MOST || bytes >= SUBMIT_BYTES ||
            count + client->unaccepted_count == UNACCEPTED_MOST || (future->apart && count) ||
            (!client->free_count && slots_grow(client) != SL_OK))
            break;
        future->slot = client->free_slots[--client->free_count];
        client->slots[future->slot] = future;
        client->tasks[count++] = task_of(future);
        bytes += future->payload_bytes;
        if (future->apart)
            break;
    }
    return count;
}

static void mark_sent(sl_client *client, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        sl_future *future = queue_pop(client);
        future->stage = SL_STAGE_SENT;
        uint32_t at = (client->unaccepted_first + client->unaccepted_count++) % UNACCEPTED_MOST;
        client->unaccepted[at] = future;
        if (future->payload != future->room)
            free(future->payload);
        future->payload = NULL;
        sl_blob_release(future->apart);
        future->apart = NULL;
    }
}

static void take_back(sl_client *client, uint32_t count) {
    sl_item *item = client->queue_head;
    for (uint32_t i = 0; i < count; i++, item = item->next)
        slot_give(client, (sl_future *)(void *)item);
}

/* False: not now. */
static bool submit_some(sl_client *client) {
    sl_future *first = (sl_future *)(void *)client->queue_head;
    if (first->cancelled) {
        sl_client_end(client, queue_pop(client), SL_FUTURE_CANCELLED, SL_ERR_CANCELLED, NULL);
        return true;
    }
    uint32_t count = gather(client);
    if (!count)
        return false; /* until some are accepted */
    scheduler_submit body = {.tasks = {client->tasks, count}, .apart = first->apart};
    sl_err err = scheduler_submit_send(client->self, scheduler_of(client), &body);
    if (err == SL_OK) {
        mark_sent(client, count);
        return true;
    }
    take_back(client, count);
    if (err == SL_ERR_AGAIN) {
        client->blocked = true;
        sl_await_room(client->self, scheduler_of(client));
        return false;
    }
    char cause[512];
    snprintf(cause, sizeof cause, "%s", sl_err_detail());
    sl_client_end(client, queue_pop(client), SL_FUTURE_FAILED, err, cause);
    return true;
}

static void submit_queue(sl_client *client) {
    while (client->queue_head && !client->blocked && submit_some(client))
        continue;
}

static void on_accepted(sl_client *client, const scheduler_accepted *accepted) {
    for (uint32_t i = 0; i < accepted->count && client->unaccepted_count; i++) {
        sl_future *future = client->unaccepted[client->unaccepted_first];
        client->unaccepted_first = (client->unaccepted_first + 1) % UNACCEPTED_MOST;
        client->unaccepted_count--;
        if (future->stage == SL_STAGE_ENDED) {
            sl_future_drop(future);
            continue;
        }
        future->accepted = true;
        if (accepted->error == SL_OK)
            continue;
        slot_give(client, future);
        sl_client_end(client, future, SL_FUTURE_FAILED, (sl_err)accepted->error,
                      accepted->detail.data);
    }
}

/* ---- from the inbox ---- */

/* Waits for the futures among its arguments, or goes on at once. */
static void take_task(sl_client *client, sl_future *future) {
    const sl_future *failed = NULL;
    if (future->gather) {
        sl_client_take_map(client, future);
        return;
    }
    future->stage = SL_STAGE_BLOCKED;
    for (uint32_t i = 0; i < future->need_count && !failed; i++) {
        sl_err err = sl_client_depend(future, future->needs[i]);
        if (err == SL_ERR_NO_MEMORY) {
            sl_client_end(client, future, SL_FUTURE_FAILED, err, "no memory for a dependency");
            return;
        }
        failed = err == SL_OK ? NULL : future->needs[i];
    }
    if (failed) {
        sl_client_end_for(client, future, failed);
        return;
    }
    if (!future->pending)
        sl_client_go_on(client, future);
}

void sl_client_cancel(sl_client *client, sl_future *future) {
    scheduler_cancel body = {.tag = future->slot};
    if (future->cancelled)
        return;
    future->cancelled = true;
    if (future->gather && future->stage == SL_STAGE_BLOCKED)
        sl_client_cancel_map(client, future);
    else if (future->stage == SL_STAGE_BLOCKED)
        sl_client_end(client, future, SL_FUTURE_CANCELLED, SL_ERR_CANCELLED, NULL);
    else if (future->stage == SL_STAGE_SENT)
        (void)scheduler_cancel_send(client->self, scheduler_of(client), &body);
}

static void take_cancel(sl_client *client, sl_cancel_item *cancel) {
    sl_client_cancel(client, cancel->future);
    sl_future_drop(cancel->future);
    free(cancel);
}

static void take_item(sl_client *client, sl_item *item, uint32_t *tasks) {
    if (item->kind == SL_ITEM_CANCEL) {
        take_cancel(client, (sl_cancel_item *)(void *)item);
        return;
    }
    ++*tasks;
    take_task(client, (sl_future *)(void *)item);
}

/* What was pushed last lies on top of the stack. */
static void turn_over(sl_client *client) {
    sl_item *newest = atomic_exchange(&client->inbox, NULL), *oldest = NULL;
    while (newest) {
        sl_item *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    client->arrived = oldest;
}

/* Some of what has arrived: a turn of the loop is short, and the scheduler's pace counts. */
static void take_some(sl_client *client) {
    client_go again = {};
    uint32_t tasks = 0;
    for (uint32_t i = 0; i < TURN_MOST && client->queue_count < UNACCEPTED_MOST; i++) {
        if (!client->arrived)
            turn_over(client);
        sl_item *item = client->arrived;
        if (!item)
            break;
        client->arrived = item->next;
        take_item(client, item, &tasks);
    }
    if (tasks)
        make_room(client, tasks);
    if (client->arrived && !client->going)
        client->going = client_go_send(client->self, sl_self(client->self), &again) == SL_OK;
}

/* ---- the network ---- */

static void now_ready(sl_client *client) {
    if (atomic_load(&client->ready))
        return;
    atomic_store(&client->ready, 1);
    sl_futex_wake(&client->ready);
}

static void on_view(sl_client *client, const registry_view *view) {
    for (uint32_t i = 0; i < view->members.count; i++) {
        const registry_member *member = &view->members.items[i];
        uint32_t node = member->node;
        if (node >= client->ranks || member->offer.count != 1)
            continue;
        client->known_count += !client->known[node];
        uint32_t before = client->known[node] ? client->known[node] - 1 : 0;
        bool offers = member->state != SL_MEMBER_DEAD && member->state != SL_MEMBER_JOINING;
        uint32_t cores = offers ? member->offer.items[0].cores : 0;
        client->known[node] = 1 + cores;
        atomic_fetch_add(&client->cores, cores - before);
    }
    if (client->known_count == client->ranks)
        now_ready(client);
}

static void end_alone(const sl_client *client) {
    sl_error("client", "the rank that drives is lost; this one ends");
    sl_node_stop(client->node, SL_RUN_FAILED);
}

static void on_timer(sl_client *client, uint64_t cookie) {
    if (cookie == COOKIE_LOST) {
        if (!sl_node_peer_alive(client->node, 0))
            end_alone(client);
        return;
    }
    if (!atomic_load(&client->ready))
        sl_warn("client", "%u of %u nodes are known; starting with these", client->known_count,
                client->ranks);
    now_ready(client);
}

/* ---- leaving ---- */

/* All ranks drive: none is stopped before every one that lives wants nothing more. */
static void on_left(sl_client *client, uint32_t node, uint8_t how) {
    if (node >= client->ranks || client->left[node] == LEFT)
        return;
    client->left_count += !client->left[node];
    client->left[node] = how;
    if (client->left_count == client->ranks)
        sl_node_stop(client->node, 0);
}

static void leave(sl_client *client) {
    scheduler_cancel all = {.all = true};
    client_left body = {};
    uint32_t self = sl_node_id(client->node);
    if (client->leaving_told)
        return;
    client->leaving_told = true;
    if (!client->all_drive) {
        (void)scheduler_cancel_send(client->self, scheduler_of(client), &all);
        sl_network_stop_all(client->self, 0);
        return;
    }
    /* Tasks of other ranks run here, and what those submit here goes on. */
    for (uint32_t node = 0; node < client->ranks; node++)
        if (node != self)
            (void)client_left_send(client->self, sl_addr_well_known(node, SL_SLOT_DRIVER), &body);
    on_left(client, self, LEFT);
}

/* Where one rank drives: if it is heard, it will be back soon (this rank was frozen, or cut off).
 */
static void on_lost(sl_client *client, const node_peer_lost *lost) {
    uint64_t dead_ns = sl_link_timings_longest_ns(&client->network->timings);
    sl_network_lose(client->network, lost->node);
    if (client->all_drive)
        on_left(client, lost->node, LOST);
    else if (lost->node == 0 &&
             (!lost->calls || !sl_timer_start(client->self, dead_ns, COOKIE_LOST)))
        end_alone(client);
}

/* It knows nothing of what it was told before. */
static void on_back(sl_client *client, uint32_t node) {
    client_left body = {};
    sl_network_regain(client->network, node);
    if (!client->all_drive || node >= client->ranks || client->left[node] != LOST)
        return;
    client->left[node] = STAYS;
    client->left_count--;
    if (client->leaving_told)
        (void)client_left_send(client->self, sl_addr_well_known(node, SL_SLOT_DRIVER), &body);
}

/* ---- the actor ---- */

static sl_err client_start(sl_actor *self, void *state, const void *arguments) {
    sl_client *client = *(sl_client *const *)arguments;
    *(sl_client **)state = client;
    client->self = self;
    client->node = sl_actor_node(self);
    client->event.to = sl_self(self);
    client->unaccepted = calloc(UNACCEPTED_MOST, sizeof(sl_future *));
    client->tasks = calloc(SUBMIT_MOST, sizeof *client->tasks);
    client->known = calloc(client->ranks, sizeof *client->known);
    client->left = calloc(client->ranks, 1);
    if (!client->unaccepted || !client->tasks || !client->known || !client->left)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a client");
    sl_node_watch_peers(client->node, sl_self(self));
    (void)sl_timer_start(self, KNOWN_WITHIN_NS, COOKIE_KNOWN);
    registry_watch watch = {};
    return registry_watch_send(self, sl_addr_well_known(sl_node_id(client->node), SL_SLOT_REGISTRY),
                               &watch);
}

static void on_event(sl_client *client) {
    atomic_exchange(&client->told, 0);
    if (atomic_load(&client->leaving))
        leave(client);
}

/* Those who wait for any of several look again when something has ended. */
static void tell_waiters(sl_client *client) {
    bool some = atomic_exchange_explicit(&client->ended_some, 0, memory_order_relaxed);
    if (some && atomic_load(&client->any_waiters))
        bump(&client->any_epoch);
}

void sl_client_pump(sl_client *client) {
    if (!client->self || atomic_load(&client->closed))
        return;
    submit_queue(client);
    tell_waiters(client);
}

static sl_err client_receive(sl_actor *self, void *state, const sl_message *message) {
    sl_client *client = *(sl_client **)state;
    (void)self;
    switch (message->type->id) {
    case node_event_id:
        on_event(client);
        break;
    case client_go_id:
        client->going = false;
        break;
    case scheduler_done_id:
        sl_client_on_done(client, message->body);
        break;
    case scheduler_accepted_id:
        on_accepted(client, message->body);
        break;
    case registry_view_id:
        on_view(client, message->body);
        break;
    case node_timer_id:
        on_timer(client, ((const node_timer *)message->body)->cookie);
        break;
    case node_room_id:
        client->blocked = false;
        break;
    case client_left_id:
        on_left(client, message->from.node, LEFT);
        break;
    case node_peer_lost_id:
        on_lost(client, message->body);
        break;
    case node_peer_back_id:
        on_back(client, ((const node_peer_back *)message->body)->node);
        break;
    default:
        sl_warn("client", "unwelcome message %s from node %u", message->type->record.name,
                message->from.node);
        return SL_OK;
    }
    take_some(client);
    submit_queue(client);
    tell_waiters(client);
    return SL_OK;
}

/* Whoever waits is told that nothing more comes. */
static void client_stop(sl_actor *self, void *state) {
    sl_client *client = *(sl_client **)state;
    (void)self;
    atomic_store(&client->closed, 1);
    end_all(client, client->arrived);
    end_all(client, client->queue_head);
    client->arrived = client->queue_head = client->queue_tail = NULL;
    for (uint32_t slot = 0; slot < client->slot_count; slot++)
        if (client->slots[slot]) {
            client->slots[slot]->accepted = true;
            end_item(client, &client->slots[slot]->item);
        }
    end_all(client, atomic_exchange(&client->inbox, NULL));
    bump(&client->any_epoch);
    bump(&client->room);
    now_ready(client);
    free(client->slots);
    free(client->free_slots);
    free(client->unaccepted);
    free(client->tasks);
    free(client->known);
    free(client->left);
}

const sl_actor_class sl_client_class = {.name = "client",
                                        .state_bytes = sizeof(sl_client *),
                                        .start = client_start,
                                        .receive = client_receive,
                                        .stop = client_stop};
