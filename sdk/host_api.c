/* The API of actors: on the thread that calls, which encodes, so that the loop does not have to.
 *
 * Who sends from the program's threads waits while very much is not handled; a body never does, it
 * is refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/futex.h"
#include "sdk/host.h"

enum { METHOD_MOST = 127, WAIT_MS = 50, RESTARTS_MOST = 3, RESTARTS_S = 60 };

/* In messages to the user, as if they were tasks'. */
static const sl_task ask_task = {.name = "an actor's answer"};

static bool is_full(sl_host *host) {
    return atomic_load(&host->letters) >= SL_LETTERS_MOST ||
           atomic_load(&host->letter_bytes) >= SL_LETTER_BYTES_MOST;
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

void sl_host_push(sl_host *host, sl_order *order) {
    if (order->letter && !order->letter->outside) {
        uint64_t bytes = order->letter->argument_bytes;
        bytes += order->letter->apart ? order->letter->apart->bytes : 0;
        atomic_fetch_add(&host->letters, 1);
        atomic_fetch_add(&host->letter_bytes, bytes);
    }
    order->next = atomic_load(&host->inbox);
    while (!atomic_compare_exchange_weak(&host->inbox, &order->next, order))
        continue;
    if (atomic_load(&host->client->host_closed))
        sl_host_end_orders(host, atomic_exchange(&host->inbox, NULL));
    else if (!atomic_exchange(&host->told, 1))
        sl_notify(host->client->node, &host->event);
}

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
        if (sl_future_is_sealed((*copy)[i].future))
            return sl_fail(SL_ERR_INVALID,
                           "argument %zu: a future whose result is sealed, and messages to actors "
                           "are not",
                           i);
        const sl_value *result = sl_result((*copy)[i].future);
        if (!result)
            return sl_fail(SL_ERR_INVALID, "argument %zu is a future without a result", i);
        (*copy)[i] = *result;
    }
    return SL_OK;
}

/* Those among the arguments, until the message is handled: who handles it borrows them. */
static sl_err keep_objects(sl_letter *letter, const sl_args *args) {
    uint32_t count = 0;
    for (size_t i = 0; i < args->count; i++)
        count += args->values[i].type == SL_TYPE_OBJECT;
    if (!count)
        return SL_OK;
    letter->objects = malloc(count * sizeof(sl_object *));
    if (!letter->objects)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u objects among the arguments", count);
    for (size_t i = 0; i < args->count; i++) {
        if (args->values[i].type != SL_TYPE_OBJECT)
            continue;
        sl_object *object = sl_object_retain(args->values[i].object);
        if (!object)
            return sl_fail(SL_ERR_INVALID, "argument %zu: an object that cannot be kept", i);
        letter->objects[letter->object_count++] = object;
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
    sl_err err = keep_objects(letter, args);
    if (err != SL_OK) {
        sl_letter_destroy(letter);
        return err;
    }
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

static sl_err check_ref(const sl_actor_ref *actor) {
    if (!actor || actor->home >= sl_size() || actor->place >= sl_size() || !actor->life)
        return sl_fail(sl_size() ? SL_ERR_INVALID : SL_ERR_CLOSED, "that names no actor");
    return SL_OK;
}

/* SL_OK: it is on its way; `future` (NULL: none is wanted) is the caller's. */
static sl_err send_letter(const sl_actor_ref *actor, sl_letter_what what, uint32_t to,
                          const char *method, const sl_args *args, sl_future **future) {
    sl_order *order;
    SL_TRY(check_ref(actor));
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
        sl_host_push(host, order);
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

sl_future *sl_actor_monitor(const sl_actor_ref *actor) {
    sl_order *order;
    sl_future *future = NULL;
    if (check_ref(actor) != SL_OK)
        return NULL;
    sl_client *client = sl_client_enter();
    if (!client)
        return NULL;
    if (make_order(SL_ORDER_WATCH, "", &SL_NO_ARGS, true, &order) == SL_OK) {
        order->letter->id = id_of(actor);
        future = order->future;
        sl_host_push(atomic_load(&client->host), order);
    }
    sl_client_leave(client);
    return future;
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
        if (sl_host_serves(host, node) && !lost)
            return node;
    }
    return host->rank;
}

sl_err sl_host_check_spawn(const sl_host *host, const sl_actor_kind *kind,
                           const sl_spawn_options *options) {
    if (!kind || !kind->options.last_)
        return sl_fail(SL_ERR_INVALID, "that kind of actor was not defined by SL_ACTOR()");
    if (!kind->options.save != !kind->options.load)
        return sl_fail(SL_ERR_INVALID, "actor %.80s has only one of save and load", kind->name);
    if (options && options->name && (!options->name[0] || strlen(options->name) > METHOD_MOST))
        return sl_fail(SL_ERR_INVALID, "an actor's name has 1 to %d bytes", METHOD_MOST);
    if (options && options->on_node && !sl_host_serves(host, options->node))
        return sl_fail(SL_ERR_INVALID, "no actors live on node %u", options->node);
    if (options && options->save_every && !options->restart_on_error && !options->restart_on_loss)
        return sl_fail(SL_ERR_INVALID, "the state of an actor is saved to be started again with: "
                                       "say when (restart_on_error, restart_on_loss)");
    return SL_OK;
}

uint32_t sl_host_fill_spawn(sl_host *host, sl_order *order, sl_actor_id id,
                            const sl_actor_kind *kind, const sl_spawn_options *options) {
    order->kind = SL_ORDER_SPAWN;
    order->actor_kind = kind;
    order->letter->id = id;
    order->letter->place = options && options->on_node ? options->node : choose_node(host);
    if (options) {
        double seconds = options->restarts_s > 0 ? fmin(options->restarts_s, 1e9) : RESTARTS_S;
        order->restart_on_error = options->restart_on_error != 0;
        order->restart_on_loss = options->restart_on_loss != 0;
        order->restarts_most = options->restarts_most ? options->restarts_most : RESTARTS_MOST;
        order->restarts_ns = (uint64_t)(seconds * 1e9);
        order->save_every = options->save_every;
    }
    if (options && options->name)
        snprintf(order->name, sizeof order->name, "%s", options->name);
    return order->letter->place;
}

static sl_err spawn(sl_host *host, const sl_actor_kind *kind, const sl_args *args,
                    const sl_spawn_options *options, sl_actor_ref *actor) {
    sl_order *order;
    SL_TRY(sl_host_check_spawn(host, kind, options));
    SL_TRY(await_room(host));
    SL_TRY(make_order(SL_ORDER_SPAWN, "", args, false, &order));
    sl_actor_id id = {host->rank, host->life, 1 + atomic_fetch_add(&host->numbers, 1)};
    uint32_t place = sl_host_fill_spawn(host, order, id, kind, options);
    *actor = (sl_actor_ref){id.home, place, id.life, id.number};
    sl_host_push(host, order);
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
        sl_host_push(atomic_load(&client->host), order);
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
