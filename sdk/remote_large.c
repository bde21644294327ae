/* Arguments and results that are too large for a message: they travel as objects do, in pieces.
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
