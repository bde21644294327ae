/* Sending to actors: the API, and each message until it is handled.
 *
 * Design notes
 * At most WINDOW messages are on their way to one actor, and more of them wait here: so what a host
 * holds for its actors is bounded, and after a move little is sent twice. Who sends from the
 * program's threads waits while very much is not handled; a body never does, it is refused. */
#include <stdlib.h>
#include <string.h>

#include "runtime/futex.h"
#include "runtime/log.h"
#include "sdk/host.h"

enum { WINDOW = 256, LETTERS_MOST = 65536, METHOD_MOST = 127, ORDERS_A_TURN = 1024, WAIT_MS = 50 };
#define LETTER_BYTES_MOST (UINT64_C(256) << 20)

/* In messages to the user, as if they were tasks'. */
static const sl_task ask_task = {.name = "an actor's answer"};

/* ---- asks ---- */

uint64_t sl_host_ask(sl_host *host, sl_future *future, sl_actor_id id) {
    if (host->ask_free == UINT32_MAX) {
        uint32_t count = host->ask_count ? 2 * host->ask_count : 256;
        sl_ask *asks = realloc(host->asks, count * sizeof *asks);
        if (!asks)
            return 0;
        for (uint32_t i = count; i-- > host->ask_count;) {
            asks[i] = (sl_ask){.id.number = host->ask_free};
            host->ask_free = i;
        }
        host->asks = asks;
        host->ask_count = count;
    }
    uint32_t slot = host->ask_free;
    sl_ask *ask = &host->asks[slot];
    host->ask_free = (uint32_t)ask->id.number;
    ask->future = future;
    ask->id = id;
    ask->turn++;
    return (uint64_t)ask->turn << 32 | slot;
}

static void end_future(sl_host *host, sl_future *future, sl_err err, const char *message,
                       const uint8_t *output, size_t bytes, sl_blob *apart) {
    if (!sl_future_ended(future)) {
        if (err == SL_OK)
            sl_client_end_done(host->client, future, output, bytes, apart);
        else
            sl_client_end(host->client, future, SL_FUTURE_FAILED, err, message);
    }
    sl_future_drop(future);
}

void sl_host_end_ask(sl_host *host, uint64_t tag, sl_err err, const char *message,
                     const uint8_t *output, size_t bytes, sl_blob *apart) {
    uint32_t slot = (uint32_t)tag;
    sl_ask *ask = slot < host->ask_count ? &host->asks[slot] : NULL;
    if (!ask || !ask->future || ask->turn != tag >> 32)
        return; /* it was ended for another reason */
    sl_future *future = ask->future;
    ask->future = NULL;
    ask->id.number = host->ask_free;
    host->ask_free = slot;
    end_future(host, future, err, message, output, bytes, apart);
}

void sl_host_on_answer(sl_host *host, const actor_answer *answer) {
    sl_err err = answer->error < SL_ERR_COUNT ? (sl_err)answer->error : SL_ERR_FAILED;
    if (host->client)
        sl_host_end_ask(host, answer->tag, err, answer->message.data, answer->output.data,
                        answer->output.bytes, answer->apart);
}

static void end_asks_of(sl_host *host, sl_actor_id id, sl_err err, const char *message) {
    for (uint32_t slot = 0; slot < host->ask_count; slot++)
        if (host->asks[slot].future && sl_id_equal(host->asks[slot].id, id))
            sl_host_end_ask(host, (uint64_t)host->asks[slot].turn << 32 | slot, err, message, NULL,
                            0, NULL);
}

/* ---- orders ---- */

static void letter_done(sl_host *host, sl_letter *letter) {
    uint64_t bytes = letter->argument_bytes + (letter->apart ? letter->apart->bytes : 0);
    uint32_t left = atomic_fetch_sub(&host->letters, 1) - 1;
    uint64_t bytes_left = atomic_fetch_sub(&host->letter_bytes, bytes) - bytes;
    sl_letter_destroy(letter);
    if (left <= LETTERS_MOST / 2 && bytes_left <= LETTER_BYTES_MOST / 2 &&
        atomic_load(&host->room_wanted)) {
        atomic_fetch_add(&host->room, 1);
        sl_futex_wake(&host->room);
    }
}

void sl_order_end(sl_host *host, sl_order *order, sl_err err, const char *message) {
    if (order->letter)
        letter_done(host, order->letter);
    if (order->future)
        end_future(host, order->future, err, message, NULL, 0, NULL);
    free(order);
}

static bool is_full(sl_host *host) {
    return atomic_load(&host->letters) >= LETTERS_MOST ||
           atomic_load(&host->letter_bytes) >= LETTER_BYTES_MOST;
}

static sl_err await_room(sl_host *host) {
    if (!is_full(host))
        return SL_OK;
    if (sl_node_runs_here() || sl_call_is_actor())
        return sl_fail(SL_ERR_AGAIN, "very many messages of this process are not handled yet");
    atomic_fetch_add(&host->room_wanted, 1);
    for (;;) {
        uint32_t room = atomic_load(&host->room);
        if (!is_full(host) || atomic_load(&host->client->host_closed))
            break;
        sl_futex_wait(&host->room, room, WAIT_MS * SL_NS_PER_MS);
    }
    atomic_fetch_sub(&host->room_wanted, 1);
    return SL_OK;
}

static void end_orders(sl_host *host, sl_order *orders) {
    for (sl_order *next; orders; orders = next) {
        next = orders->next;
        sl_order_end(host, orders, SL_ERR_CLOSED, "the network was left before the answer");
    }
}

static void push(sl_host *host, sl_order *order) {
    if (order->letter) {
        uint64_t bytes = order->letter->argument_bytes;
        bytes += order->letter->apart ? order->letter->apart->bytes : 0;
        atomic_fetch_add(&host->letters, 1);
        atomic_fetch_add(&host->letter_bytes, bytes);
    }
    order->next = atomic_load(&host->inbox);
    while (!atomic_compare_exchange_weak(&host->inbox, &order->next, order))
        continue;
    if (atomic_load(&host->client->host_closed))
        end_orders(host, atomic_exchange(&host->inbox, NULL));
    else if (!atomic_exchange(&host->told, 1))
        sl_notify(host->client->node, &host->event);
}

/* ---- the API: any thread ---- */

/* Futures among the values become what they ended with. `copy` is to be freed in any case. */
static sl_err resolve(const sl_args *args, sl_value **copy) {
    size_t futures = 0;
    *copy = NULL;
    for (size_t i = 0; i < args->count; i++)
        futures += args->values[i].type == SL_TYPE_FUTURE;
    if (!futures)
        return SL_OK;
    if (!(*copy = malloc(args->count * sizeof **copy)))
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %zu arguments", args->count);
    memcpy(*copy, args->values, args->count * sizeof **copy);
    for (size_t i = 0; i < args->count; i++) {
        if ((*copy)[i].type != SL_TYPE_FUTURE)
            continue;
        const sl_value *result = sl_result((*copy)[i].future);
        if (!result)
            return sl_fail(SL_ERR_INVALID, "argument %zu is a future without a result", i);
        (*copy)[i] = *result;
    }
    return SL_OK;
}

static sl_err make_letter(const char *method, const sl_args *args, sl_letter **out) {
    sl_value_size size;
    sl_blob *apart = NULL;
    SL_TRY(sl_values_measure(args->values, args->count, &size));
    if (size.bytes > UINT32_C(67108864))
        return sl_fail(SL_ERR_TOO_LARGE, "arguments of %zu bytes", size.bytes);
    if (size.apart_bytes)
        SL_TRY(sl_blob_create(size.apart_bytes, &apart));
    sl_letter *letter = sl_letter_create(method, size.bytes);
    if (!letter) {
        sl_blob_release(apart);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a message");
    }
    letter->apart = apart;
    sl_values_encode(args->values, args->count, letter->arguments, apart ? apart->data : NULL);
    *out = letter;
    return SL_OK;
}

static sl_err make_order(sl_order_kind kind, const char *method, const sl_args *args, bool asks,
                         sl_order **out) {
    sl_value *copy = NULL;
    if (!method || strlen(method) > METHOD_MOST)
        return sl_fail(SL_ERR_INVALID, "a method's name has at most %d bytes", METHOD_MOST);
    sl_order *order = calloc(1, sizeof *order);
    if (!order)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a message");
    order->kind = (uint8_t)kind;
    sl_err err = resolve(args, &copy);
    if (err == SL_OK && kind != SL_ORDER_FIND)
        err = make_letter(method, copy ? &(sl_args){copy, args->count} : args, &order->letter);
    free(copy);
    if (err == SL_OK && asks && !(order->future = sl_future_create(0)))
        err = sl_fail(SL_ERR_NO_MEMORY, "no memory for a future");
    if (err != SL_OK) {
        sl_letter_destroy(order->letter);
        free(order);
        return err;
    }
    if (order->future) { /* the client's, the host's, the caller's */
        order->future->task = &ask_task;
        order->future->stage = SL_STAGE_BLOCKED;
        atomic_store(&order->future->references, 3);
    }
    *out = order;
    return SL_OK;
}

static sl_actor_id id_of(const sl_actor_ref *actor) {
    return (sl_actor_id){.home = actor->home, .life = actor->life, .number = actor->number};
}

/* SL_OK: it is on its way; `future` (NULL: none is wanted) is the caller's. */
static sl_err send_letter(const sl_actor_ref *actor, sl_letter_what what, uint32_t to,
                          const char *method, const sl_args *args, sl_future **future) {
    sl_order *order;
    if (!actor || actor->home >= sl_size() || actor->place >= sl_size() || !actor->life)
        return sl_fail(sl_size() ? SL_ERR_INVALID : SL_ERR_CLOSED, "that names no actor");
    sl_client *client = sl_client_enter();
    if (!client)
        return SL_ERR_CLOSED;
    sl_host *host = atomic_load(&client->host);
    sl_err err = await_room(host);
    if (err == SL_OK)
        err = make_order(SL_ORDER_LETTER, method, args, future != NULL, &order);
    if (err == SL_OK) {
        order->letter->id = id_of(actor);
        order->letter->place = actor->place;
        order->letter->what = (uint8_t)what;
        order->letter->to = to;
        if (future)
            *future = order->future;
        push(host, order);
    }
    sl_client_leave(client);
    return err;
}

int sl_actor_send(const sl_actor_ref *actor, const char *method, sl_args args) {
    return send_letter(actor, SL_LETTER_CALL, 0, method, &args, NULL);
}

sl_future *sl_actor_ask(const sl_actor_ref *actor, const char *method, sl_args args) {
    sl_future *future = NULL;
    return send_letter(actor, SL_LETTER_CALL, 0, method, &args, &future) == SL_OK ? future : NULL;
}

sl_future *sl_actor_migrate(const sl_actor_ref *actor, uint32_t node) {
    sl_future *future = NULL;
    if (node >= sl_size()) {
        (void)sl_fail(SL_ERR_INVALID, "there is no node %u", node);
        return NULL;
    }
    return send_letter(actor, SL_LETTER_MOVE, node, "", &SL_NO_ARGS, &future) == SL_OK ? future
                                                                                       : NULL;
}

int sl_actor_stop(const sl_actor_ref *actor) {
    return send_letter(actor, SL_LETTER_STOP, 0, "", &SL_NO_ARGS, NULL);
}

/* The next node in turn that lives and is no spare. */
static uint32_t choose_node(sl_host *host) {
    const sl_network *network = host->of->network;
    for (uint32_t tries = 0; tries < host->count; tries++) {
        uint32_t node = (host->rank + atomic_fetch_add(&host->spawned, 1)) % host->count;
        bool lost = network->lost && __atomic_load_n(&network->lost[node], __ATOMIC_RELAXED);
        if (!sl_network_is_spare(network, node) && !lost)
            return node;
    }
    return host->rank;
}

static sl_err check_spawn(const sl_host *host, const sl_actor_kind *kind,
                          const sl_spawn_options *options) {
    if (!kind || !kind->options.last_)
        return sl_fail(SL_ERR_INVALID, "that kind of actor was not defined by SL_ACTOR()");
    if (!kind->options.save != !kind->options.load)
        return sl_fail(SL_ERR_INVALID, "actor %.80s has only one of save and load", kind->name);
    if (options && options->name && (!options->name[0] || strlen(options->name) > METHOD_MOST))
        return sl_fail(SL_ERR_INVALID, "an actor's name has 1 to %d bytes", METHOD_MOST);
    if (options && options->on_node &&
        (options->node >= host->count || sl_network_is_spare(host->of->network, options->node)))
        return sl_fail(SL_ERR_INVALID, "no actors live on node %u", options->node);
    return SL_OK;
}

static sl_err spawn(sl_host *host, const sl_actor_kind *kind, const sl_args *args,
                    const sl_spawn_options *options, sl_actor_ref *actor) {
    sl_order *order;
    SL_TRY(check_spawn(host, kind, options));
    SL_TRY(await_room(host));
    SL_TRY(make_order(SL_ORDER_SPAWN, "", args, false, &order));
    *actor =
        (sl_actor_ref){.home = host->rank,
                       .place = options && options->on_node ? options->node : choose_node(host),
                       .life = host->life,
                       .number = 1 + atomic_fetch_add(&host->numbers, 1)};
    order->actor_kind = kind;
    order->letter->id = id_of(actor);
    order->letter->place = actor->place;
    if (options && options->name)
        snprintf(order->name, sizeof order->name, "%s", options->name);
    push(host, order);
    return SL_OK;
}

int sl_actor_spawn(const sl_actor_kind *kind, sl_args args, const sl_spawn_options *options,
                   sl_actor_ref *actor) {
    sl_client *client = sl_client_enter();
    if (!client)
        return SL_ERR_CLOSED;
    sl_err err = spawn(atomic_load(&client->host), kind, &args, options, actor);
    sl_client_leave(client);
    return err;
}

sl_future *sl_actor_look_up(const char *name) {
    sl_order *order;
    sl_future *future = NULL;
    sl_client *client = sl_client_enter();
    if (!client)
        return NULL;
    if (make_order(SL_ORDER_FIND, name, &SL_NO_ARGS, true, &order) == SL_OK) {
        snprintf(order->name, sizeof order->name, "%s", name);
        future = order->future;
        push(atomic_load(&client->host), order);
    }
    sl_client_leave(client);
    return future;
}

int sl_result_actor(sl_future *future, sl_actor_ref *actor) {
    size_t bytes;
    const void *data = sl_result_bytes(future, &bytes);
    if (!data)
        return SL_ERR_INVALID;
    if (bytes != sizeof *actor)
        return sl_fail(SL_ERR_INVALID, "the result is no actor");
    memcpy(actor, data, sizeof *actor);
    return SL_OK;
}

/* ---- targets ---- */

static void unstall(sl_host *host, sl_target *target) {
    for (sl_target **at = &host->stalled; *at; at = &(*at)->next_stalled)
        if (*at == target) {
            *at = target->next_stalled;
            break;
        }
    target->stalled = false;
}

static void end_target(sl_host *host, sl_target *target, sl_err err, const char *message) {
    sl_actor_id id = target->node.id;
    for (sl_letter *letter; (letter = sl_letters_pop(&target->letters));)
        letter_done(host, letter);
    if (target->stalled)
        unstall(host, target);
    sl_id_remove(&host->targets, &target->node);
    free(target);
    end_asks_of(host, id, err, message);
}

static void ask_home(sl_host *host, const sl_target *target) {
    sl_actor_id id = target->node.id;
    actor_where body = {.life = id.life, .number = id.number};
    (void)actor_where_send(host->self, sl_host_at(id.home), &body);
    sl_host_tick(host);
}

static sl_err send_one(sl_host *host, const sl_target *target, const sl_letter *letter) {
    sl_actor_id id = target->node.id;
    actor_tell body = {.home = id.home,
                       .life = id.life,
                       .number = id.number,
                       .from_life = host->life,
                       .epoch = target->epoch,
                       .sequence = letter->sequence,
                       .tag = letter->tag,
                       .to = letter->to,
                       .what = letter->what,
                       .method = sl_text_of(letter->method),
                       .arguments = {letter->arguments, (uint32_t)letter->argument_bytes},
                       .apart = letter->apart};
    return actor_tell_send(host->self, sl_host_at(target->place), &body);
}

static void stall(sl_host *host, sl_target *target) {
    if (target->stalled)
        return;
    target->stalled = true;
    target->next_stalled = host->stalled;
    host->stalled = target;
}

static void pump(sl_host *host, sl_target *target) {
    while (target->unsent && target->in_flight < WINDOW && !target->lost) {
        sl_err err =
            host->blocked[target->place] ? SL_ERR_AGAIN : send_one(host, target, target->unsent);
        if (err == SL_ERR_AGAIN) {
            if (!host->blocked[target->place])
                sl_await_room(host->self, sl_host_at(target->place));
            host->blocked[target->place] = true;
            stall(host, target);
            return;
        }
        if (err != SL_OK) { /* DEAD, or no memory: asked again by and by */
            target->lost = true;
            ask_home(host, target);
            return;
        }
        target->in_flight++;
        target->unsent = target->unsent->next;
    }
}

void sl_host_pump_stalled(sl_host *host) {
    sl_target *all = host->stalled;
    host->stalled = NULL;
    for (sl_target *next; all; all = next) {
        next = all->next_stalled;
        all->stalled = false;
        pump(host, all);
    }
}

static void send_again(sl_host *host, sl_target *target) {
    target->unsent = target->letters.head;
    target->in_flight = 0;
    target->lost = false;
    pump(host, target);
}

static sl_target *target_of(sl_host *host, const sl_letter *letter) {
    sl_target *target = sl_id_find(&host->targets, letter->id);
    if (target)
        return target;
    target = calloc(1, sizeof *target);
    if (!target)
        return NULL;
    target->node.id = letter->id;
    target->place = letter->place;
    target->next_sequence = 1;
    if (sl_id_add(&host->targets, &target->node) == SL_OK)
        return target;
    free(target);
    return NULL;
}

static void take_letter(sl_host *host, sl_order *order) {
    sl_letter *letter = order->letter;
    sl_target *target = target_of(host, letter);
    if (target && order->future)
        letter->tag = sl_host_ask(host, order->future, letter->id);
    if (!target || (order->future && !letter->tag)) {
        sl_order_end(host, order, SL_ERR_NO_MEMORY, "no memory for a message");
        return;
    }
    letter->sequence = target->next_sequence++;
    sl_letters_push(&target->letters, letter);
    if (!target->unsent)
        target->unsent = letter;
    free(order);
    pump(host, target);
}

static void take_order(sl_host *host, sl_order *order) {
    if (order->kind == SL_ORDER_LETTER)
        take_letter(host, order);
    else if (order->kind == SL_ORDER_SPAWN)
        sl_host_spawn(host, order);
    else
        sl_host_look_up(host, order);
}

static void turn_over(sl_host *host) {
    sl_order *newest = atomic_exchange(&host->inbox, NULL), *oldest = NULL;
    for (sl_order *next; newest; newest = next) {
        next = newest->next;
        newest->next = oldest;
        oldest = newest;
    }
    host->arrived = oldest;
}

void sl_host_take_orders(sl_host *host) {
    for (uint32_t i = 0; i < ORDERS_A_TURN; i++) {
        if (!host->arrived)
            turn_over(host);
        sl_order *order = host->arrived;
        if (!order)
            return;
        host->arrived = order->next;
        take_order(host, order);
    }
    sl_host_again(host);
}

/* ---- what other hosts say ---- */

void sl_host_on_handled(sl_host *host, const actor_handled *handled) {
    sl_target *target =
        sl_id_find(&host->targets, (sl_actor_id){handled->home, handled->life, handled->number});
    if (!target)
        return;
    while (target->letters.head && target->letters.head != target->unsent &&
           target->letters.head->sequence < handled->next) {
        letter_done(host, sl_letters_pop(&target->letters));
        target->in_flight--;
    }
    pump(host, target);
}

void sl_host_target_moved(sl_host *host, const actor_moved *moved) {
    sl_target *target =
        sl_id_find(&host->targets, (sl_actor_id){moved->home, moved->life, moved->number});
    if (!target || moved->epoch <= target->epoch)
        return;
    target->epoch = moved->epoch;
    target->place = moved->place;
    if (target->stalled)
        unstall(host, target);
    send_again(host, target);
}

void sl_host_target_lost(sl_host *host, uint32_t from, const actor_lost *lost) {
    sl_target *target =
        sl_id_find(&host->targets, (sl_actor_id){lost->home, lost->life, lost->number});
    if (!target)
        return;
    bool home_lives =
        lost->home == host->rank || sl_node_peer_alive(host->client->node, lost->home);
    if (lost->final || from == lost->home || !home_lives) {
        end_target(host, target, lost->error < SL_ERR_COUNT ? (sl_err)lost->error : SL_ERR_DEAD,
                   lost->message.data);
        return;
    }
    target->lost = true;
    ask_home(host, target);
}

/* Goes through all targets; `visit` may end the one it is given. */
static void each_target(sl_host *host, void (*visit)(sl_host *, sl_target *, uint32_t),
                        uint32_t node) {
    for (uint32_t i = 0; i < host->targets.capacity; i++)
        for (sl_id_node *at = host->targets.buckets[i], *next; at; at = next) {
            next = at->next;
            visit(host, (sl_target *)(void *)at, node);
        }
}

static bool is_dead(const sl_host *host, uint32_t node) {
    return node != host->rank && !sl_node_peer_alive(host->client->node, node);
}

static void look_again(sl_host *host, sl_target *target, uint32_t node) {
    (void)node;
    if (!target->lost)
        return;
    if (is_dead(host, target->node.id.home))
        end_target(host, target, SL_ERR_DEAD, "the actor's home was lost");
    else if (is_dead(host, target->place))
        ask_home(host, target);
    else
        send_again(host, target);
}

void sl_host_targets_tick(sl_host *host) {
    if (host->client)
        each_target(host, look_again, 0);
}

static void peer_lost(sl_host *host, sl_target *target, uint32_t node) {
    if (target->node.id.home == node) {
        end_target(host, target, SL_ERR_DEAD, "the actor's home was lost");
        return;
    }
    if (target->place != node)
        return;
    end_asks_of(host, target->node.id, SL_ERR_DEAD, "the actor's node was lost");
    target->lost = true;
    ask_home(host, target);
}

static void peer_back(sl_host *host, sl_target *target, uint32_t node) {
    if (target->place == node)
        send_again(host, target);
}

void sl_host_targets_peer(sl_host *host, uint32_t node, bool back) {
    if (host->client)
        each_target(host, back ? peer_back : peer_lost, node);
}

/* ---- the end ---- */

static void close_target(sl_host *host, sl_target *target, uint32_t node) {
    (void)node;
    end_target(host, target, SL_ERR_CLOSED, "the network was left before the answer");
}

void sl_host_send_stop(sl_host *host) {
    each_target(host, close_target, 0);
    for (uint32_t slot = 0; slot < host->ask_count; slot++)
        if (host->asks[slot].future)
            sl_host_end_ask(host, (uint64_t)host->asks[slot].turn << 32 | slot, SL_ERR_CLOSED,
                            "the network was left before the answer", NULL, 0, NULL);
    end_orders(host, host->arrived);
    host->arrived = NULL;
    end_orders(host, atomic_exchange(&host->inbox, NULL));
    free(host->targets.buckets);
    free(host->asks);
}
