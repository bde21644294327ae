/* Design notes
 * An object of a connection is a number that the gateway knows. Its content is fetched when
 * somebody first opens it, a window of pieces at a time, and stays as long as the object. Releases
 * are told from any thread, the net's own too: those for which there is no room are told later. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/waiting.h"
#include "runtime/log.h"
#include "runtime/thread.h"
#include "sdk/remote.h"
#include "sdk/task_call.h"

enum { WINDOW_BYTES = 4 * SL_GATEWAY_READ_BYTES };

/* ---- handles ---- */

static void list(sl_remote_object *object) {
    sl_remote *remote = object->remote;
    if (object->listed)
        return;
    object->listed = true;
    object->before = NULL;
    object->next = remote->objects;
    if (object->next)
        object->next->before = object;
    remote->objects = object;
}

static void unlist(sl_remote_object *object) {
    if (!object->listed)
        return;
    object->listed = false;
    if (object->before)
        object->before->next = object->next;
    else
        object->remote->objects = object->next;
    if (object->next)
        object->next->before = object->before;
}

sl_remote_object *sl_remote_object_make(sl_remote *remote, uint64_t number) {
    sl_remote_object *object = calloc(1, sizeof *object);
    if (!object)
        return NULL;
    atomic_init(&object->references, 1);
    atomic_fetch_add(&remote->references, 1);
    object->remote = remote;
    object->number = number;
    return object;
}

void sl_remote_object_retain(sl_remote_object *object) {
    atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
}

void sl_remote_object_release(sl_remote_object *object) {
    if (atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1)
        return;
    sl_remote *remote = object->remote;
    pthread_mutex_lock(&remote->lock);
    unlist(object);
    gateway_release gone = {.number = object->number};
    if (!remote->closed && sl_remote_put_message(remote, SL_GATEWAY_RELEASE, &gone, NULL) != SL_OK)
        sl_warn("remote", "no memory to let go of an object: the gateway has it longer");
    pthread_mutex_unlock(&remote->lock);
    sl_remote_release(remote);
    free(object->data);
    free(object);
}

/* ---- the net's thread ---- */

/* With the lock. */
static sl_remote_object *find(const sl_remote *remote, uint64_t number) {
    sl_remote_object *object = remote->objects;
    while (object && object->number != number)
        object = object->next;
    return object;
}

static sl_err learn(sl_remote_object *object, const gateway_object *answer) {
    if (answer->error) {
        object->err = answer->error < SL_ERR_COUNT ? (sl_err)answer->error : SL_ERR_FAILED;
        snprintf(object->why, sizeof object->why, "%s", answer->detail.data);
        return SL_OK;
    }
    if (object->known && object->bytes != answer->bytes)
        return sl_fail(SL_ERR_DECODE, "an object of %llu bytes that had %llu",
                       (unsigned long long)answer->bytes, (unsigned long long)object->bytes);
    object->known = true;
    object->bytes = answer->bytes;
    object->type = (sl_store_type){
        .kind = answer->kind, .dtype = answer->dtype, .dimensions = answer->shape.count};
    for (uint32_t i = 0; i < answer->shape.count; i++)
        object->type.shape[i] = answer->shape.items[i].size;
    return SL_OK;
}

sl_err sl_remote_take_object(sl_remote *remote, const sl_gateway_parts *parts) {
    gateway_object *answer = sl_gateway_decode(parts, SL_GATEWAY_OBJECT);
    sl_err err = SL_OK;
    if (!answer)
        return SL_ERR_DECODE;
    pthread_mutex_lock(&remote->lock);
    sl_remote_object *object = find(remote, answer->number);
    if (object)
        err = learn(object, answer);
    pthread_cond_broadcast(&remote->changed);
    pthread_mutex_unlock(&remote->lock);
    free(answer);
    return err;
}

static sl_err keep_piece(sl_remote_object *object, uint64_t offset, const uint8_t *data,
                         size_t bytes) {
    if (!object->known || offset != object->got || bytes > object->bytes - object->got)
        return sl_fail(SL_ERR_DECODE, "a piece of an object that does not follow the last");
    if (!object->data)
        object->data = malloc(object->bytes);
    if (!object->data) {
        object->err = SL_ERR_NO_MEMORY;
        snprintf(object->why, sizeof object->why, "no memory for an object of %llu bytes",
                 (unsigned long long)object->bytes);
        return SL_OK;
    }
    memcpy(object->data + offset, data, bytes);
    object->got += bytes;
    return SL_OK;
}

sl_err sl_remote_take_piece(sl_remote *remote, const sl_gateway_parts *parts) {
    gateway_piece *piece = sl_gateway_decode(parts, SL_GATEWAY_PIECE);
    sl_err err = SL_OK;
    if (!piece)
        return SL_ERR_DECODE;
    pthread_mutex_lock(&remote->lock);
    sl_remote_object *object = find(remote, piece->number);
    if (object && object->err == SL_OK)
        err = keep_piece(object, piece->offset, parts->data, parts->data_bytes);
    pthread_cond_broadcast(&remote->changed);
    pthread_mutex_unlock(&remote->lock);
    free(piece);
    return err;
}

/* ---- putting ---- */

static sl_err may_wait(void) {
    if (sl_call_is_brief() || sl_node_runs_here())
        return sl_fail(SL_ERR_INVALID, "what runs where messages are handled may not wait for a "
                                       "connection");
    return SL_OK;
}

/* All of the value as it lies in an object: of a string with its end. */
static sl_err content_of(const sl_value *value, const uint8_t **data, uint64_t *bytes) {
    sl_value_size size;
    if (value->type == SL_TYPE_NONE || value->type == SL_TYPE_FUTURE ||
        value->type == SL_TYPE_OBJECT)
        return sl_fail(SL_ERR_INVALID,
                       "an object is made of bytes, a string, an array or an image");
    SL_TRY(sl_values_measure(value, 1, &size));
    *data = value->data ? value->data : value->scalar.bytes;
    *bytes = value->bytes + (value->type == SL_TYPE_STRING);
    return SL_OK;
}

/* With the lock. */
static sl_err verdict(const sl_remote_object *object) {
    if (object->err != SL_OK)
        return sl_fail(object->err, "%s", object->why);
    return object->remote->closed ? sl_remote_closed(object->remote) : SL_OK;
}

static sl_err begin_put(sl_remote_object *object, const sl_value *value, uint64_t bytes) {
    gateway_dimension shape[SL_DIMENSIONS_MAX];
    bool array = value->type == SL_TYPE_ARRAY || value->type == SL_TYPE_IMAGE;
    gateway_put put = {.number = object->number,
                       .bytes = bytes,
                       .kind = (uint8_t)value->type,
                       .dtype = array ? (uint8_t)value->dtype : 0,
                       .shape = {shape, array ? value->dimensions : 0}};
    for (uint32_t i = 0; i < put.shape.count; i++)
        shape[i].size = value->shape[i];
    return sl_remote_send(object->remote, SL_GATEWAY_PUT, &put, NULL);
}

/* Pieces are copied as they leave, so that no more of them is held than waits for the wire. */
static sl_err send_content(sl_remote_object *object, const uint8_t *data, uint64_t bytes) {
    sl_err err = SL_OK;
    for (uint64_t at = 0, some; err == SL_OK && at < bytes; at += some) {
        sl_blob *blob;
        some = bytes - at < SL_GATEWAY_PIECE_BYTES ? bytes - at : SL_GATEWAY_PIECE_BYTES;
        err = verdict(object);
        if (err == SL_OK)
            err = sl_blob_copy(data + at, some, &blob);
        if (err != SL_OK)
            break;
        gateway_piece piece = {.number = object->number, .offset = at};
        err = sl_remote_send(object->remote, SL_GATEWAY_PIECE, &piece, blob);
        sl_blob_release(blob);
    }
    return err;
}

static sl_err put(sl_remote_object *object, const sl_value *value, const uint8_t *data,
                  uint64_t bytes) {
    sl_remote *remote = object->remote;
    pthread_mutex_lock(&remote->lock);
    object->number = ++remote->next_object;
    list(object);
    sl_err err = remote->closed ? sl_remote_closed(remote) : begin_put(object, value, bytes);
    if (err == SL_OK)
        err = send_content(object, data, bytes);
    while (err == SL_OK && !object->known) {
        err = verdict(object);
        if (err == SL_OK)
            pthread_cond_wait(&remote->changed, &remote->lock);
    }
    unlist(object);
    pthread_mutex_unlock(&remote->lock);
    return err;
}

sl_err sl_remote_bring(sl_remote *remote, const sl_value *value, sl_object **out) {
    const uint8_t *data;
    uint64_t bytes;
    SL_TRY(may_wait());
    SL_TRY(content_of(value, &data, &bytes));
    sl_remote_object *object = sl_remote_object_make(remote, 0);
    if (!object)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for an object");
    sl_err err = put(object, value, data, bytes);
    if (err == SL_OK) {
        *out = sl_remote_object_as(object);
        return SL_OK;
    }
    char why[900];
    snprintf(why, sizeof why, "%s", sl_err_detail());
    sl_remote_object_release(object);
    return sl_fail(err, "%s", why);
}

sl_object *sl_remote_put(sl_remote *remote, sl_value value) {
    sl_object *object = NULL;
    return sl_remote_bring(remote, &value, &object) == SL_OK ? object : NULL;
}

/* ---- reading ---- */

static bool is_here(const sl_remote_object *object) {
    return object->known && object->got == object->bytes;
}

/* With the lock: asks for more, as far as the window goes. */
static sl_err ask_more(sl_remote_object *object) {
    bool first = !object->known && !object->asked;
    while (first || (object->known && object->asked < object->bytes &&
                     object->asked - object->got + SL_GATEWAY_READ_BYTES <= WINDOW_BYTES)) {
        gateway_read read = {
            .number = object->number, .offset = object->asked, .bytes = SL_GATEWAY_READ_BYTES};
        object->asked += SL_GATEWAY_READ_BYTES;
        first = false;
        SL_TRY(sl_remote_send(object->remote, SL_GATEWAY_READ, &read, NULL));
    }
    return SL_OK;
}

static sl_err load(sl_remote_object *object, const struct timespec *end) {
    sl_remote *remote = object->remote;
    sl_err err = SL_OK;
    pthread_mutex_lock(&remote->lock);
    list(object);
    while (err == SL_OK && !is_here(object)) {
        err = verdict(object);
        if (err == SL_OK)
            err = ask_more(object);
        if (err != SL_OK || is_here(object))
            break;
        if (!end)
            pthread_cond_wait(&remote->changed, &remote->lock);
        else if (pthread_cond_timedwait(&remote->changed, &remote->lock, end) != 0 &&
                 !is_here(object))
            err = sl_fail(SL_ERR_TIMEOUT, "the object has not come yet");
    }
    if (is_here(object))
        unlist(object); /* else a later call goes on */
    pthread_mutex_unlock(&remote->lock);
    return err;
}

static sl_err load_until(sl_remote_object *object, double timeout_s) {
    if (timeout_s < 0 || timeout_s > 1e9 || isnan(timeout_s))
        return load(object, NULL);
    struct timespec end = sl_cond_deadline((uint64_t)(timeout_s * 1e9));
    return load(object, &end);
}

static sl_err await(sl_remote_object *object, double timeout_s) {
    SL_TRY(may_wait());
    SL_TRY(sl_executor_wait_begin());
    sl_err err = load_until(object, timeout_s);
    char why[900];
    snprintf(why, sizeof why, "%s", sl_err_detail());
    sl_executor_wait_end();
    return err == SL_OK ? SL_OK : sl_fail(err, "%s", why);
}

int sl_remote_object_get(sl_remote_object *object, double timeout_s, sl_view *view) {
    pthread_mutex_lock(&object->remote->lock);
    bool here = is_here(object);
    pthread_mutex_unlock(&object->remote->lock);
    if (!here)
        SL_TRY(await(object, timeout_s));
    sl_store_content content = {.type = object->type,
                                .data = object->data ? object->data : (const uint8_t *)"",
                                .bytes = object->bytes};
    SL_TRY(sl_view_fill(view, &content));
    sl_remote_object_retain(object);
    view->object_ = sl_remote_object_as(object);
    return SL_OK;
}
