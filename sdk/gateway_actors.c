/* What the gateway asks of the host: actors of clients are spawned from its node, which is their
 * home, and to the hosts they are like the program's. */
#include "sdk/gateway_actors.h"

#include <stdlib.h>
#include <string.h>

#include "sdk/host.h"

/* Tells a word of the gateway's. */
typedef struct teller {
    sl_host_asker asker; /* first */
    sl_node *node;
    sl_gateway_word *word;
    bool is_end; /* the answer is a string, and to be the message too */
} teller;

static void keep_answer(sl_gateway_word *word, const uint8_t *output, size_t bytes,
                        sl_blob *apart) {
    word->output = malloc(bytes);
    if (!word->output) {
        word->err = SL_ERR_NO_MEMORY;
        return;
    }
    memcpy(word->output, output, bytes);
    word->output_bytes = bytes;
    word->data = sl_blob_retain(apart);
}

/* NULL when out of memory, or there is none. */
static char *string_in(const sl_gateway_word *word) {
    sl_value value;
    size_t count;
    if (sl_values_count(word->output, word->output_bytes, &count) != SL_OK || count != 1 ||
        sl_values_decode(word->output, word->output_bytes, NULL, false, &value) != SL_OK ||
        value.type != SL_TYPE_STRING)
        return NULL;
    return strdup(value.data);
}

static void tell(sl_host_asker *asker, sl_err err, const char *message, const uint8_t *output,
                 size_t bytes, sl_blob *apart) {
    teller *of = (teller *)(void *)asker;
    sl_gateway_word *word = of->word;
    word->err = err;
    if (err != SL_OK)
        word->message = strdup(message ? message : sl_err_text(err));
    else if (bytes)
        keep_answer(word, output, bytes, apart);
    if (word->output && of->is_end)
        word->message = string_in(word);
    sl_notify(of->node, &word->event);
    free(of);
}

/* NULL when out of memory. */
static sl_host_asker *teller_of(sl_client *client, sl_gateway_word *word, bool is_end) {
    teller *of = malloc(sizeof *of);
    if (!of)
        return NULL;
    *of = (teller){{tell}, client->node, word, is_end};
    return &of->asker;
}

/* An order with a letter; `word` (NULL: none) is told of it. NULL with an error. */
static sl_order *make_order(sl_client *client, sl_order_kind kind, sl_actor_id id,
                            const char *method, sl_bytes arguments, sl_gateway_word *word) {
    sl_order *order = calloc(1, sizeof *order);
    sl_letter *letter = sl_letter_create(method, arguments.bytes);
    sl_host_asker *asker = word ? teller_of(client, word, kind == SL_ORDER_WATCH) : NULL;
    if (!order || !letter || (word && !asker)) {
        free(order);
        free(asker);
        sl_letter_destroy(letter);
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a message to an actor");
        return NULL;
    }
    if (arguments.bytes)
        memcpy(letter->arguments, arguments.data, arguments.bytes);
    letter->id = id;
    letter->outside = true;
    order->kind = (uint8_t)kind;
    order->letter = letter;
    order->asker = asker;
    return order;
}

static sl_actor_id id_of(const sl_gateway_ref *ref) {
    return (sl_actor_id){ref->home, ref->life, ref->number};
}

/* ---- spawning ---- */

static sl_spawn_options options_of(const gateway_spawn *wish) {
    return (sl_spawn_options){.on_node = wish->on_node,
                              .node = wish->node,
                              .restart_on_error = wish->restart_on_error,
                              .restart_on_loss = wish->restart_on_loss,
                              .restarts_most = wish->restarts_most,
                              .restarts_s = (double)wish->restarts_ns / 1e9,
                              .save_every = wish->save_every};
}

/* The watch is behind the spawn, in one inbox: it finds the actor there. */
static sl_err spawn_by(sl_client *client, const gateway_spawn *wish, sl_blob *data,
                       sl_gateway_ref *ref, sl_gateway_word *end) {
    sl_host *host = atomic_load(&client->host);
    const sl_actor_kind *kind = sl_actor_kind_of(wish->kind.data);
    sl_spawn_options options = options_of(wish);
    ref->home = host->rank;
    if (!kind)
        return sl_fail(SL_ERR_NOT_FOUND, "the network's program knows no actor %.127s",
                       wish->kind.data);
    SL_TRY(sl_host_check_spawn(host, kind, &options));
    sl_order *order = make_order(client, SL_ORDER_SPAWN, id_of(ref), "", wish->arguments, NULL);
    sl_order *watch =
        order ? make_order(client, SL_ORDER_WATCH, id_of(ref), "", (sl_bytes){}, end) : NULL;
    if (!watch) {
        sl_letter_destroy(order ? order->letter : NULL);
        free(order);
        return SL_ERR_NO_MEMORY;
    }
    order->letter->apart = sl_blob_retain(data);
    ref->place = sl_host_fill_spawn(host, order, id_of(ref), kind, &options);
    sl_host_push(host, order);
    sl_host_push(host, watch);
    return SL_OK;
}

static sl_err spawn(void *context, const gateway_spawn *wish, sl_blob *data, sl_gateway_ref *ref,
                    sl_gateway_word *end) {
    (void)context;
    sl_client *client = sl_client_enter();
    if (!client)
        return SL_ERR_CLOSED;
    sl_err err = spawn_by(client, wish, data, ref, end);
    sl_client_leave(client);
    return err;
}

/* ---- letters ---- */

static uint8_t what_of(const gateway_letter *body) {
    return body->what == SL_GATEWAY_MOVE   ? SL_LETTER_MOVE
           : body->what == SL_GATEWAY_STOP ? SL_LETTER_STOP
           : body->what == SL_GATEWAY_CALL ? SL_LETTER_CALL
                                           : SL_LETTER_NOTHING;
}

static sl_err send(void *context, const sl_gateway_ref *ref, const gateway_letter *body,
                   sl_blob *data, sl_gateway_word *word) {
    (void)context;
    sl_client *client = sl_client_enter();
    if (!client)
        return SL_ERR_CLOSED;
    sl_order *order =
        make_order(client, SL_ORDER_LETTER, id_of(ref), body->method.data, body->arguments, word);
    if (order) {
        order->asks = body->asks;
        order->letter->place = ref->place;
        order->letter->what = what_of(body);
        order->letter->to = body->node;
        order->letter->apart = sl_blob_retain(data);
        sl_host_push(atomic_load(&client->host), order);
    }
    sl_client_leave(client);
    return order ? SL_OK : SL_ERR_NO_MEMORY;
}

/* Without memory it lives on until the network ends; nobody can reach it. */
static void dismiss(void *context, const sl_gateway_ref *ref) {
    (void)context;
    sl_client *client = sl_client_enter();
    if (!client) /* the network is being left */
        return;
    sl_order *order = make_order(client, SL_ORDER_DISMISS, id_of(ref), "", (sl_bytes){}, NULL);
    if (order)
        sl_host_push(atomic_load(&client->host), order);
    sl_client_leave(client);
}

/* ---- what is said ---- */

static size_t name(const sl_gateway_ref *ref, uint8_t out[64]) {
    sl_actor_ref actor = {ref->home, ref->place, ref->life, ref->number};
    sl_value value = sl_actor_value(&actor);
    sl_value_size size;
    if (sl_values_measure(&value, 1, &size) != SL_OK || size.bytes > 64)
        return 0;
    sl_values_encode(&value, 1, out, NULL);
    return size.bytes;
}

static size_t text(const char *string, uint8_t out[64]) {
    return sl_host_encode_text(string, out, 64);
}

sl_gateway_actors sl_gateway_actors_here(void) {
    return (sl_gateway_actors){
        .spawn = spawn, .send = send, .dismiss = dismiss, .name = name, .text = text};
}
