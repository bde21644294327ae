/* Actors over a connection.
 *
 * Design notes
 * A message that asks is a future under a number, as a task is; one that does not has a number too,
 * but no place, and is heard of again only when the gateway has refused it. It then takes no more
 * until it is told that the program knows, which a call that fails, or a future, has told it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/remote.h"

enum { NAME_MOST = 127 };

typedef struct wire {
    uint8_t *bytes;
    size_t size;
    sl_blob *apart;
} wire;

static sl_err encode(sl_remote *remote, const sl_args *args, wire *out) {
    *out = (wire){NULL, 0, NULL};
    SL_TRY(sl_remote_encode(remote, args, &out->bytes, &out->size, &out->apart, NULL));
    return SL_OK;
}

static void wire_free(wire *of) {
    free(of->bytes);
    sl_blob_release(of->apart);
}

static sl_err check_name(const char *name, const char *what) {
    return name && strlen(name) <= NAME_MOST
               ? SL_OK
               : sl_fail(SL_ERR_INVALID, "the name of %s has at most %d bytes", what, NAME_MOST);
}

/* ---- what is answered ---- */

static sl_future *make_future(sl_remote *remote, const char *name) {
    sl_future *future = sl_remote_make_future(remote, name, false);
    if (!future)
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a future");
    return future;
}

/* ---- spawning, finding ---- */

static gateway_spawn wish_of(const char *kind, const sl_spawn_options *options) {
    gateway_spawn wish = {.kind = sl_text_of(kind)};
    if (!options)
        return wish;
    double seconds = options->restarts_s > 0 ? fmin(options->restarts_s, 1e9) : 0;
    wish.restarts_ns = (uint64_t)(seconds * 1e9);
    wish.node = options->node;
    wish.restarts_most = options->restarts_most;
    wish.save_every = options->save_every;
    wish.on_node = options->on_node != 0;
    wish.restart_on_error = options->restart_on_error != 0;
    wish.restart_on_loss = options->restart_on_loss != 0;
    wish.name = sl_text_of(options->name);
    return wish;
}

int sl_remote_actor_spawn(sl_remote *remote, const char *kind, sl_args args,
                          const sl_spawn_options *options, sl_actor_ref *actor) {
    wire arguments;
    SL_TRY(check_name(kind, "a kind of actors"));
    if (options && options->name && (!options->name[0] || strlen(options->name) > NAME_MOST))
        return sl_fail(SL_ERR_INVALID, "an actor's name has 1 to %d bytes", NAME_MOST);
    gateway_spawn wish = wish_of(kind, options);
    SL_TRY(encode(remote, &args, &arguments));
    wish.arguments = (sl_bytes){arguments.bytes, (uint32_t)arguments.size};
    sl_future *future = make_future(remote, kind);
    if (future)
        future = sl_remote_send_asking(remote, future, SL_GATEWAY_SPAWN, &wish, &wish.number,
                                       arguments.apart);
    wire_free(&arguments);
    int err = sl_wait(future, SL_FOREVER);
    if (err == 0)
        err = sl_result_actor(future, actor);
    sl_future_drop(future);
    return err;
}

sl_future *sl_remote_actor_look_up(sl_remote *remote, const char *name) {
    if (check_name(name, "an actor") != SL_OK)
        return NULL;
    gateway_find wish = {.name = sl_text_of(name)};
    sl_future *future = make_future(remote, "an actor by its name");
    return future
               ? sl_remote_send_asking(remote, future, SL_GATEWAY_FIND, &wish, &wish.number, NULL)
               : NULL;
}

/* ---- letters ---- */

void sl_remote_note_refusal(sl_remote *remote, const gateway_result *result, bool told) {
    pthread_mutex_lock(&remote->lock);
    remote->refusals++;
    if (told)
        remote->refusals_told = remote->refusals;
    else if (remote->refusals_told + 1 == remote->refusals) /* of a row the first says why */
        snprintf(remote->refusal, sizeof remote->refusal, "%s", result->message.data);
    pthread_mutex_unlock(&remote->lock);
}

/* With the lock. */
static sl_err tell_refusal(sl_remote *remote) {
    if (remote->refusals_told == remote->refusals)
        return SL_OK;
    remote->refusals_told = remote->refusals;
    return sl_fail(SL_ERR_REFUSED, "an earlier message to an actor was refused: %s",
                   remote->refusal);
}

static sl_err post(sl_remote *remote, gateway_letter *letter, sl_blob *apart) {
    pthread_mutex_lock(&remote->lock);
    while (!sl_remote_has_room(remote) && !remote->closed) /* before there is a number */
        pthread_cond_wait(&remote->changed, &remote->lock);
    sl_err err = remote->closed ? sl_remote_closed(remote) : tell_refusal(remote);
    if (err == SL_OK) {
        letter->refusals = remote->refusals_told;
        letter->number = ++remote->next_number;
        err = sl_remote_send(remote, SL_GATEWAY_LETTER, letter, apart);
    }
    pthread_mutex_unlock(&remote->lock);
    return err;
}

static sl_future *ask(sl_remote *remote, gateway_letter *letter, const char *name, sl_blob *apart) {
    pthread_mutex_lock(&remote->lock);
    sl_err err = tell_refusal(remote);
    letter->refusals = remote->refusals_told;
    pthread_mutex_unlock(&remote->lock);
    sl_future *future = err == SL_OK ? make_future(remote, name) : NULL;
    if (!future)
        return NULL;
    future->to_actor = true;
    letter->asks = true;
    return sl_remote_send_asking(remote, future, SL_GATEWAY_LETTER, letter, &letter->number, apart);
}

static sl_err address(const sl_actor_ref *actor, sl_gateway_letter_what what,
                      gateway_letter *letter) {
    if (!actor || !actor->life)
        return sl_fail(SL_ERR_INVALID, "that names no actor");
    *letter = (gateway_letter){
        .life = actor->life, .actor = actor->number, .home = actor->home, .what = (uint8_t)what};
    return SL_OK;
}

static sl_err make_call(sl_remote *remote, const sl_actor_ref *actor, const char *method,
                        const sl_args *args, gateway_letter *letter, wire *arguments) {
    SL_TRY(address(actor, SL_GATEWAY_CALL, letter));
    SL_TRY(check_name(method, "a method"));
    SL_TRY(encode(remote, args, arguments));
    letter->method = sl_text_of(method);
    letter->arguments = (sl_bytes){arguments->bytes, (uint32_t)arguments->size};
    return SL_OK;
}

int sl_remote_actor_send(sl_remote *remote, const sl_actor_ref *actor, const char *method,
                         sl_args args) {
    gateway_letter letter;
    wire arguments;
    SL_TRY(make_call(remote, actor, method, &args, &letter, &arguments));
    sl_err err = post(remote, &letter, arguments.apart);
    wire_free(&arguments);
    return err;
}

sl_future *sl_remote_actor_ask(sl_remote *remote, const sl_actor_ref *actor, const char *method,
                               sl_args args) {
    gateway_letter letter;
    wire arguments;
    if (make_call(remote, actor, method, &args, &letter, &arguments) != SL_OK)
        return NULL;
    sl_future *future = ask(remote, &letter, "an actor's answer", arguments.apart);
    wire_free(&arguments);
    return future;
}

sl_future *sl_remote_actor_migrate(sl_remote *remote, const sl_actor_ref *actor, uint32_t node) {
    gateway_letter letter;
    if (address(actor, SL_GATEWAY_MOVE, &letter) != SL_OK)
        return NULL;
    letter.node = node;
    return ask(remote, &letter, "an actor's move", NULL);
}

sl_future *sl_remote_actor_monitor(sl_remote *remote, const sl_actor_ref *actor) {
    gateway_letter letter;
    if (address(actor, SL_GATEWAY_WATCH, &letter) != SL_OK)
        return NULL;
    return ask(remote, &letter, "an actor's end", NULL);
}

int sl_remote_actor_stop(sl_remote *remote, const sl_actor_ref *actor) {
    gateway_letter letter;
    SL_TRY(address(actor, SL_GATEWAY_STOP, &letter));
    return post(remote, &letter, NULL);
}
