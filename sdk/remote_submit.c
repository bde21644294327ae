/* Design notes
 * A task's number is its place in a table (modulo its size, which the gateway says); those whose
 * place is still taken are passed over. Numbers are given, once there is room for the message, and
 * messages sent under one lock, so that they ascend on the wire. A future of a connection has a
 * task of its own, for its name, behind it. */
#include <stdlib.h>
#include <string.h>

#include "sdk/module.h"
#include "sdk/remote.h"
#include "sdk/seal.h"
#include "sdk/task_amounts.h"

enum { BATCH_MOST = 256, BATCH_BYTES = 32768 };

/* ---- making ---- */

static sl_err check(const char *function, const sl_task_options *options) {
    if (!function || !*function || strlen(function) > 255)
        return sl_fail(SL_ERR_INVALID, "a task's name has 1 to 255 bytes");
    return sl_task_options_check(function, options);
}

static gateway_task wish_of(const char *function, const sl_task_options *options,
                            const uint8_t *arguments, size_t bytes) {
    return (gateway_task){.cpus = sl_task_cpus(options),
                          .gpus = options->gpus,
                          .memory_bytes = options->memory_bytes,
                          .ucu_milli = sl_task_ucu_milli(options),
                          .timeout_ns = sl_task_timeout_ns(options),
                          .priority = options->priority,
                          .retries = options->retries,
                          .region = sl_text_of(options->region),
                          .function = sl_text_of(function),
                          .arguments = {arguments, (uint32_t)bytes}};
}

sl_future *sl_remote_make_future(sl_remote *remote, const char *function, bool raw) {
    sl_future *future = sl_future_create(sizeof(sl_task) + strlen(function) + 1);
    if (!future)
        return NULL;
    sl_task *task = (sl_task *)(void *)(future + 1);
    *task = (sl_task){.name = strcpy((char *)(task + 1), function)};
    future->task = task;
    future->options = &task->options;
    future->remote = remote;
    future->raw = raw;
    return future;
}

/* ---- sending ---- */

/* With the lock: gives numbers, once all have a place. */
static sl_err enter(sl_remote *remote, gateway_task *wishes, sl_future **futures, size_t count) {
    while (!remote->closed && remote->futures &&
           (remote->count + count > remote->tasks_most || !sl_remote_has_room(remote)))
        pthread_cond_wait(&remote->changed, &remote->lock);
    if (remote->closed || !remote->futures)
        return sl_remote_closed(remote);
    for (size_t i = 0; i < count; i++) {
        uint64_t number = ++remote->next_number;
        while (remote->futures[number % remote->tasks_most])
            number = ++remote->next_number;
        wishes[i].number = futures[i]->number = number;
        remote->futures[number % remote->tasks_most] = sl_retain(futures[i]);
        remote->count++;
    }
    return SL_OK;
}

static void take_back(sl_remote *remote, sl_future **futures, size_t count) {
    for (size_t i = 0; i < count && remote->futures; i++) {
        remote->futures[futures[i]->number % remote->tasks_most] = NULL;
        remote->count--;
        sl_future_drop(futures[i]);
    }
}

sl_err sl_remote_enter(sl_remote *remote, sl_future *future, uint64_t *number) {
    gateway_task wish = {};
    SL_TRY(enter(remote, &wish, &future, 1));
    *number = wish.number;
    return SL_OK;
}

void sl_remote_take_back(sl_remote *remote, sl_future *future) {
    take_back(remote, &future, 1);
}

sl_future *sl_remote_send_asking(sl_remote *remote, sl_future *future, sl_gateway_kind kind,
                                 const void *record, uint64_t *number, sl_blob *apart) {
    pthread_mutex_lock(&remote->lock);
    sl_err err = sl_remote_enter(remote, future, number);
    if (err == SL_OK) {
        err = sl_remote_send(remote, kind, record, apart);
        if (err != SL_OK)
            sl_remote_take_back(remote, future);
    }
    pthread_mutex_unlock(&remote->lock);
    if (err == SL_OK)
        return future;
    sl_future_drop(future);
    return NULL;
}

static sl_err send_tasks(sl_remote *remote, gateway_task *wishes, sl_future **futures, size_t count,
                         sl_blob *data) {
    gateway_submit submit = {.tasks = {wishes, (uint32_t)count}};
    pthread_mutex_lock(&remote->lock);
    sl_err err = enter(remote, wishes, futures, count);
    if (err == SL_OK) {
        err = sl_remote_send(remote, SL_GATEWAY_SUBMIT, &submit, data);
        if (err != SL_OK)
            take_back(remote, futures, count);
    }
    pthread_mutex_unlock(&remote->lock);
    return err;
}

/* ---- sealed ---- */

typedef struct sealing {
    const sl_value *object; /* with the module's file; NULL: of no module */
    uint8_t *wire;
    size_t bytes;
    sl_blob *apart;
} sealing;

/* A large envelope goes behind the message. */
static uint8_t *place_envelope(void *context, size_t size) {
    sealing *s = context;
    s->bytes = sl_seal_carrier_bytes(s->object, size);
    s->wire = malloc(s->bytes + 1);
    if (!s->wire)
        return NULL;
    uint8_t *at = sl_seal_carrier_write(s->object, size, s->wire);
    if (at)
        return at;
    return sl_blob_create(size, &s->apart) == SL_OK ? s->apart->data : NULL;
}

/* What is sealed of a call by name takes its place. */
static void take_seal(sl_future *future, const sl_seal_made *made, gateway_task *wish) {
    future->seal = made->end;
    future->among = made->among;
    future->among_bytes = made->among_bytes;
    wish->among = (sl_bytes){future->among, future->among_bytes};
    wish->function = sl_text_of(sl_future_seal_name(made->end));
}

typedef struct batch {
    gateway_task wishes[BATCH_MOST];
    uint8_t *wires[BATCH_MOST];
    size_t count, bytes;
    sl_blob *apart;
} batch;

static sl_err flush(sl_remote *remote, batch *b, sl_future **futures) {
    sl_err err = b->count ? send_tasks(remote, b->wishes, futures, b->count, b->apart) : SL_OK;
    for (size_t i = 0; i < b->count; i++)
        free(b->wires[i]);
    sl_blob_release(b->apart);
    b->count = b->bytes = 0;
    b->apart = NULL;
    return err;
}

/* One call, as it goes. */
typedef struct one {
    sealing parts;
    sl_seal_made made;
    sl_remote_brought brought;
} one;

static sl_err encode_one(sl_remote *remote, const char *task, const sl_args *args,
                         const sl_task_options *options, one *o) {
    if (!options->sealed)
        return sl_remote_encode(remote, args, &o->parts.wire, &o->parts.bytes, &o->parts.apart,
                                &o->brought);
    sl_seal_source source = sl_remote_source(remote);
    return sl_seal_call(options->sealed, &source, task, args, options->retries, place_envelope,
                        &o->parts, &o->made);
}

static void drop_one(one *o) {
    free(o->parts.wire);
    sl_blob_release(o->parts.apart);
    free(o->made.among);
    sl_future_seal_drop(o->made.end);
    sl_remote_let_go(&o->brought);
}

static sl_err add(sl_remote *remote, batch *b, const char *task, const sl_args *args,
                  const sl_task_options *options, sl_future **futures, size_t at) {
    one o = {0};
    uint64_t data_object = 0;
    sl_err err = encode_one(remote, task, args, options, &o);
    if (err == SL_OK)
        err = sl_remote_bring_apart(remote, &o.parts.apart, &o.brought, &data_object);
    if (err == SL_OK &&
        (b->count == BATCH_MOST || b->bytes > BATCH_BYTES || o.parts.apart || b->apart))
        err = flush(remote, b, futures + at - b->count);
    if (err == SL_OK) {
        futures[at] = sl_remote_make_future(remote, task, false);
        err = futures[at] ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for a future");
    }
    if (err != SL_OK) {
        drop_one(&o);
        return err;
    }
    gateway_task *wish = &b->wishes[b->count];
    *wish = wish_of(task, options, o.parts.wire, o.parts.bytes);
    wish->data_object = data_object;
    if (o.made.end)
        take_seal(futures[at], &o.made, wish);
    b->wires[b->count++] = o.parts.wire;
    b->apart = o.parts.apart;
    b->bytes += o.parts.bytes;
    if (o.brought.objects) { /* they are let go of once the task that keeps them has left */
        err = flush(remote, b, futures + at + 1 - b->count);
        sl_remote_let_go(&o.brought);
    }
    return err;
}

static const sl_task_options default_options;

int sl_remote_submit_batch(sl_remote *remote, const char *task, const sl_args *args, size_t count,
                           const sl_task_options *options, sl_future **futures) {
    batch *b = calloc(1, sizeof *b);
    size_t made = 0;
    sl_err err = b ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for a batch");
    options = options ? options : &default_options;
    if (err == SL_OK)
        err = check(task, options);
    for (; err == SL_OK && made < count; made++) {
        futures[made] = NULL;
        err = add(remote, b, task, &args[made], options, futures, made);
    }
    if (b && err == SL_OK)
        err = flush(remote, b, futures + made - b->count);
    char cause[900];
    snprintf(cause, sizeof cause, "%s", sl_err_detail());
    for (size_t i = 0; err != SL_OK && i < made; i++) {
        sl_cancel(futures[i]);
        sl_release(futures[i]);
    }
    for (size_t i = 0; b && i < b->count; i++)
        free(b->wires[i]);
    if (b)
        sl_blob_release(b->apart);
    free(b);
    return err == SL_OK ? SL_OK : sl_fail(err, "%s", cause);
}

sl_future *sl_remote_submit(sl_remote *remote, const char *task, sl_args args,
                            const sl_task_options *options) {
    sl_future *future = NULL;
    return sl_remote_submit_batch(remote, task, &args, 1, options, &future) == 0 ? future : NULL;
}

/* What was sealed, or was not, goes. */
static sl_err send_one(sl_remote *remote, sl_future *future, one *sealed, sl_err err,
                       const sl_task_options *options) {
    one o = *sealed;
    uint64_t data_object = 0;
    if (err == SL_OK)
        err = sl_remote_bring_apart(remote, &o.parts.apart, &o.brought, &data_object);
    if (err == SL_OK) {
        gateway_task wish = wish_of(future->task->name, options, o.parts.wire, o.parts.bytes);
        wish.data_object = data_object;
        take_seal(future, &o.made, &wish);
        o.made = (sl_seal_made){0};
        err = send_tasks(remote, &wish, &future, 1, o.parts.apart);
    }
    drop_one(&o);
    return err;
}

static sl_err send_sealed(sl_remote *remote, sl_future *future, sl_part arguments,
                          const sl_task_options *options) {
    one o = {0};
    sl_seal_source source = sl_remote_source(remote);
    sl_err err = sl_seal_bytes(options->sealed, &source, future->task->name, arguments,
                               options->retries, place_envelope, &o.parts, &o.made);
    return send_one(remote, future, &o, err, options);
}

sl_future *sl_remote_submit_command(sl_remote *remote, const char *name, const sl_command *command,
                                    const sl_task_options *options,
                                    const sl_remote_teller *teller) {
    one o = {0};
    sl_seal_source source = sl_remote_source(remote);
    sl_future *future = sl_remote_make_future(remote, name, true);
    if (!future) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a future");
        return NULL;
    }
    sl_remote_will_tell(future, teller);
    sl_err err = check(future->task->name, options);
    if (err == SL_OK)
        err = sl_seal_a_command(options->sealed, &source, command, options->retries, place_envelope,
                                &o.parts, &o.made);
    if (send_one(remote, future, &o, err, options) == SL_OK)
        return future;
    sl_future_drop(future);
    return NULL;
}

/* The object goes by the name that the gateway knows it by. */
static sl_err seal_module(sl_remote *remote, const sl_task *task, const sl_args *args,
                          const char *json, const sl_task_options *options, one *o) {
    const sl_module_entry *entry = sl_module_entry_of(task);
    const sl_object *object = entry->module->object;
    sl_seal_source source = sl_remote_source(remote);
    if (!sl_object_is_remote(object) || sl_remote_object_of(object)->remote != remote)
        return sl_fail(SL_ERR_INVALID, "task %.80s: its module is not of this connection",
                       task->name);
    const sl_store_id name = sl_remote_name_of(sl_remote_object_of(object)->number);
    const sl_value file = {.type = SL_TYPE_OBJECT, .data = &name};
    o->parts.object = &file;
    const sl_seal_module_asked asked = {.entry = entry, .args = args, .json = json};
    sl_err err = sl_seal_module_call(options->sealed, &source, &asked, options->retries,
                                     place_envelope, &o->parts, &o->made);
    o->parts.object = NULL;
    return err;
}

sl_future *sl_remote_submit_sealed(sl_remote *remote, const sl_task *task, const sl_args *args,
                                   const char *json, const sl_task_options *options,
                                   const sl_remote_teller *teller) {
    one o = {0};
    if (check(task->name, options) != SL_OK)
        return NULL;
    sl_future *future = sl_remote_make_future(remote, task->name, false);
    if (!future) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a future");
        return NULL;
    }
    sl_remote_will_tell(future, teller);
    sl_err err = seal_module(remote, task, args, json, options, &o);
    if (send_one(remote, future, &o, err, options) == SL_OK)
        return future;
    sl_future_drop(future);
    return NULL;
}

/* ---- detached ---- */

static sl_future *send_detached(sl_remote *remote, const char *function, gateway_task *wish,
                                sl_blob *apart) {
    sl_future *future = sl_remote_make_future(remote, function, true);
    wish->detached = true;
    if (!future) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a future");
        return NULL;
    }
    if (send_tasks(remote, wish, &future, 1, apart) == SL_OK)
        return future;
    sl_future_drop(future);
    return NULL;
}

static sl_err check_detached(const char *function, const sl_task_options *options) {
    SL_TRY(check(function, options));
    return options->sealed ? sl_fail(SL_ERR_INVALID,
                                     "a sealed call cannot be detached: only who has submitted it "
                                     "can open its result")
                           : SL_OK;
}

sl_future *sl_remote_submit_detached(sl_remote *remote, const char *task, sl_args args,
                                     const sl_task_options *options) {
    one o = {0};
    sl_future *future = NULL;
    uint64_t data_object = 0;
    options = options ? options : &default_options;
    sl_err err = check_detached(task, options);
    if (err == SL_OK)
        err = sl_remote_encode(remote, &args, &o.parts.wire, &o.parts.bytes, &o.parts.apart,
                               &o.brought);
    if (err == SL_OK)
        err = sl_remote_bring_apart(remote, &o.parts.apart, &o.brought, &data_object);
    if (err == SL_OK) {
        gateway_task wish = wish_of(task, options, o.parts.wire, o.parts.bytes);
        wish.data_object = data_object;
        future = send_detached(remote, task, &wish, o.parts.apart);
    }
    drop_one(&o);
    return future;
}

sl_future *sl_remote_call_detached(sl_remote *remote, const char *function, const void *arguments,
                                   size_t bytes, const sl_task_options *options) {
    options = options ? options : &default_options;
    if (check_detached(function, options) != SL_OK)
        return NULL;
    if (bytes > SL_GATEWAY_MESSAGE_BYTES) {
        (void)sl_fail(SL_ERR_TOO_LARGE, "arguments of %zu bytes; at most 64 MiB", bytes);
        return NULL;
    }
    gateway_task wish = wish_of(function, options, arguments, bytes);
    wish.raw = true;
    return send_detached(remote, function, &wish, NULL);
}

sl_future *sl_remote_collect(sl_remote *remote, uint64_t id) {
    gateway_collect body = {.id = id};
    sl_future *future = sl_remote_make_future(remote, "a detached call", false);
    if (!future) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a future");
        return NULL;
    }
    return sl_remote_send_asking(remote, future, SL_GATEWAY_COLLECT, &body, &body.number, NULL);
}

/* ---- calls by name ---- */

static sl_err send_call(sl_remote *remote, sl_future *future, const void *arguments, size_t bytes,
                        const sl_task_options *options) {
    if (options->sealed)
        return send_sealed(remote, future, (sl_part){arguments, bytes}, options);
    gateway_task wish = wish_of(future->task->name, options, arguments, bytes);
    return send_tasks(remote, &wish, &future, 1, NULL);
}

void sl_remote_will_tell(sl_future *future, const sl_remote_teller *teller) {
    if (!teller)
        return;
    future->told = teller->told;
    future->told_context = teller->context;
    future->slot = teller->slot;
}

sl_future *sl_remote_call_telling(sl_remote *remote, const char *function, const void *arguments,
                                  size_t bytes, const sl_task_options *options,
                                  const sl_remote_teller *teller) {
    options = options ? options : &default_options;
    if (check(function, options) != SL_OK)
        return NULL;
    if (bytes > SL_GATEWAY_MESSAGE_BYTES) {
        (void)sl_fail(SL_ERR_TOO_LARGE, "arguments of %zu bytes; at most 64 MiB", bytes);
        return NULL;
    }
    sl_future *future = sl_remote_make_future(remote, function, true);
    if (!future) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a future");
        return NULL;
    }
    sl_remote_will_tell(future, teller);
    if (send_call(remote, future, arguments, bytes, options) == SL_OK)
        return future;
    sl_future_drop(future);
    return NULL;
}

sl_future *sl_remote_call(sl_remote *remote, const char *function, const void *arguments,
                          size_t bytes, const sl_task_options *options) {
    return sl_remote_call_telling(remote, function, arguments, bytes, options, NULL);
}

void sl_remote_cancel_all(sl_remote *remote) {
    gateway_cancel cancel = {.all = true};
    pthread_mutex_lock(&remote->lock);
    sl_err err = remote->closed ? SL_OK : sl_remote_send(remote, SL_GATEWAY_CANCEL, &cancel, NULL);
    (void)err;
    pthread_mutex_unlock(&remote->lock);
}

void sl_remote_cancel(sl_future *future) {
    sl_remote *remote = future->remote;
    gateway_cancel cancel = {.number = future->number};
    pthread_mutex_lock(&remote->lock);
    sl_err err = SL_OK;
    if (future->number && !remote->closed)
        err = sl_remote_send(remote, SL_GATEWAY_CANCEL, &cancel, NULL);
    (void)err; /* a connection that ends, ends it too */
    pthread_mutex_unlock(&remote->lock);
}
