/* Values over a connection: arguments as they travel, and what is too large for a message, which
 * travels as objects do, in pieces.
 *
 * Design notes
 * Of arguments that together are too large those of a mebibyte and more are put as objects, and the
 * call names them as data that are kept elsewhere: the task's node fetches them, and the task sees
 * plain arguments. The gateway's task holds the objects, so that the client lets go of them as soon
 * as the call has left. What is too large all the same, as a sealed task, goes as one object, whose
 * content the gateway takes for the data behind the call. A large result comes as the name of the
 * object that it is kept in, and is fetched when somebody reads it. */
#include <stdlib.h>
#include <string.h>

#include "sdk/remote.h"
#include "sdk/value.h"

enum {
    BROUGHT_BYTES = 1 << 20,
    DATA_MOST = SL_GATEWAY_MESSAGE_BYTES - (1 << 20) /* of a message: the rest is for its head */
};

/* ---- arguments ---- */

static size_t data_of(const sl_value *value) {
    bool named = value->type == SL_TYPE_FUTURE || value->type == SL_TYPE_OBJECT;
    return named ? 0 : value->bytes;
}

bool sl_remote_too_large(const sl_args *args) {
    size_t left = DATA_MOST;
    for (size_t i = 0; i < args->count; i++) {
        if (data_of(&args->values[i]) > left)
            return true;
        left -= data_of(&args->values[i]);
    }
    return false;
}

static sl_err bring(sl_remote *remote, sl_value *value, sl_store_id *name, sl_remote_brought *all) {
    sl_object *object = NULL;
    SL_TRY(sl_remote_bring(remote, value, &object));
    all->objects[all->count++] = object;
    *name = sl_remote_name_of(sl_remote_object_of(object)->number);
    value->kept_ = name;
    value->data = NULL;
    return SL_OK;
}

sl_err sl_remote_bring_large(sl_remote *remote, sl_value *values, size_t count, sl_store_id *names,
                             sl_remote_brought *all) {
    all->objects = calloc(count, sizeof(sl_object *));
    if (!all->objects)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for arguments");
    for (size_t i = 0; i < count; i++)
        if (data_of(&values[i]) >= BROUGHT_BYTES)
            SL_TRY(bring(remote, &values[i], &names[i], all));
    return SL_OK;
}

sl_err sl_remote_bring_apart(sl_remote *remote, sl_blob **apart, sl_remote_brought *all,
                             uint64_t *number) {
    *number = 0;
    if (!*apart || (*apart)->bytes <= DATA_MOST)
        return SL_OK;
    sl_value value = sl_value_bytes((*apart)->data, (*apart)->bytes);
    sl_object **objects = realloc(all->objects, (all->count + 1) * sizeof(sl_object *));
    if (!objects)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for arguments");
    all->objects = objects;
    SL_TRY(sl_remote_bring(remote, &value, &objects[all->count]));
    *number = sl_remote_object_of(objects[all->count++])->number;
    sl_blob_release(*apart);
    *apart = NULL;
    return SL_OK;
}

void sl_remote_let_go(sl_remote_brought *all) {
    for (size_t i = 0; i < all->count; i++)
        sl_object_release(all->objects[i]);
    free(all->objects);
    *all = (sl_remote_brought){0};
}

/* ---- as they travel ---- */

/* Objects go by the names that the gateway knows them by. */
static sl_err name_objects(const sl_remote *remote, sl_value *values, size_t count,
                           sl_store_id *names) {
    for (size_t i = 0; i < count; i++) {
        if (values[i].type == SL_TYPE_FUTURE)
            return sl_fail(SL_ERR_INVALID,
                           "argument %zu: a future; over a connection give what is in it instead",
                           i);
        if (values[i].type != SL_TYPE_OBJECT)
            continue;
        const sl_object *object = values[i].object;
        if (!sl_object_is_remote(object) || sl_remote_object_of(object)->remote != remote)
            return sl_fail(SL_ERR_INVALID, "argument %zu: an object that is not of this connection",
                           i);
        names[i] = sl_remote_name_of(sl_remote_object_of(object)->number);
        values[i].data = &names[i];
        values[i].object = NULL;
    }
    return SL_OK;
}

static sl_err encode_values(const sl_value *values, size_t count, uint8_t **out, size_t *bytes,
                            sl_blob **apart) {
    sl_value_size size;
    sl_blob *blob = NULL;
    SL_TRY(sl_values_measure(values, count, &size));
    if (size.apart_bytes)
        SL_TRY(sl_blob_create(size.apart_bytes, &blob));
    uint8_t *wire = malloc(size.bytes);
    if (!wire) {
        sl_blob_release(blob);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for arguments");
    }
    sl_values_encode(values, count, wire, blob ? blob->data : NULL);
    *out = wire;
    *bytes = size.bytes;
    *apart = blob;
    return SL_OK;
}

static bool all_plain(const sl_args *args) {
    for (size_t i = 0; i < args->count; i++)
        if (args->values[i].type == SL_TYPE_FUTURE || args->values[i].type == SL_TYPE_OBJECT)
            return false;
    return true;
}

/* Encodes the values of one call: what is apart into a blob; what is too large goes ahead, if it
 * may.
 */
sl_err sl_remote_encode(sl_remote *remote, const sl_args *args, uint8_t **out, size_t *bytes,
                        sl_blob **apart, sl_remote_brought *all) {
    bool large = all && sl_remote_too_large(args);
    if (all_plain(args) && !large)
        return encode_values(args->values, args->count, out, bytes, apart);
    sl_value *values = malloc(args->count * sizeof *values);
    sl_store_id *names = malloc(args->count * sizeof *names);
    sl_err err = values && names ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for arguments");
    if (err == SL_OK) {
        memcpy(values, args->values, args->count * sizeof *values);
        err = name_objects(remote, values, args->count, names);
    }
    if (err == SL_OK && large)
        err = sl_remote_bring_large(remote, values, args->count, names, all);
    if (err == SL_OK)
        err = encode_values(values, args->count, out, bytes, apart);
    free(values);
    free(names);
    return err;
}

/* ---- results ---- */

/* What was said of it with the word of the end is held against what came. */
static sl_err check(const sl_value *said, const sl_value *came) {
    bool same = came->type == said->type && came->bytes == said->bytes &&
                (said->type != SL_TYPE_STRING || memchr(came->data, '\0', came->bytes + 1) ==
                                                     (const char *)came->data + came->bytes);
    return same ? SL_OK
                : sl_fail(SL_ERR_DECODE, "a result that is something else than was said of it");
}

/* The content stays with its object, and that with the future. */
sl_err sl_remote_kept_fetch(sl_future *future) {
    sl_view view;
    if (atomic_load(&future->fetched))
        return SL_OK;
    SL_TRY(sl_remote_object_get(sl_remote_object_of(future->kept), SL_FOREVER, &view));
    sl_err err = check(&future->value, &view.value);
    pthread_mutex_lock(&future->remote->lock);
    if (err == SL_OK && !atomic_load(&future->fetched)) {
        future->value.data = view.value.data;
        future->value.kept_ = NULL;
        atomic_store(&future->fetched, 1);
    }
    pthread_mutex_unlock(&future->remote->lock);
    sl_view_release(&view);
    return err;
}
