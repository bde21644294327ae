/* Results that have stayed where they were made, and move when somebody reads them.
 *
 * Design notes
 * The future has a handle of the object that the result is kept in, whose maker held it for this
 * node before it said that it was done. A thread that reads the result fetches it; a task that is
 * given the future gets the object's name, and fetches it where it runs.
 *
 * A result that is lost with its node is made anew by another future of the same call, which the
 * first one has as `again`: whoever has seen that it was done need not see it undone. What is
 * needed for that (arguments, and the futures among them, which may have to be made anew in turn)
 * is kept only of tasks with retries. */
#include <pthread.h>
#include <string.h>

#include "sdk/client.h"

/* Of what may change in a future that is done. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static sl_store_object *handle(const sl_future *future) {
    return (sl_store_object *)future->kept;
}

sl_future *sl_kept_newest(sl_future *future) {
    pthread_mutex_lock(&lock);
    while (future->again)
        future = future->again;
    pthread_mutex_unlock(&lock);
    return future;
}

bool sl_kept_is_lost(sl_future *future) {
    return future->kept && !sl_store_is_held(handle(future));
}

sl_future *sl_kept_again(sl_client *client, sl_future *future) {
    pthread_mutex_lock(&lock);
    if (!future->again && future->again_left) {
        future->again = sl_client_make_again(future);
        if (future->again)
            sl_client_push_futures(client, &future->again, 1);
    } else if (!future->again) {
        (void)sl_fail(SL_ERR_DEAD,
                      "the result of task %.100s was lost with node %u: of a task with retries it "
                      "would be made anew",
                      future->task->name, sl_object_node(future->kept));
    }
    sl_future *again = future->again;
    pthread_mutex_unlock(&lock);
    return again;
}

/* ---- for somebody's arguments ---- */

/* Under the lock: the content stays with the future, once. */
static void keep_pin(sl_future *future) {
    if (future->pinned)
        sl_store_unpin(handle(future));
    future->pinned = true;
}

static bool get_here(sl_future *future, sl_value *value) {
    sl_store_content content;
    if (!sl_store_is_here(handle(future)) || sl_store_get(handle(future), 0, &content) != SL_OK)
        return false;
    pthread_mutex_lock(&lock);
    keep_pin(future);
    pthread_mutex_unlock(&lock);
    if (content.bytes < value->bytes)
        return false;
    value->data = content.data;
    value->kept_ = NULL;
    return true;
}

sl_value sl_kept_value(sl_future *future, sl_store_id *id) {
    pthread_mutex_lock(&lock);
    sl_value value = future->value;
    pthread_mutex_unlock(&lock);
    if (!future->kept || (sl_kept_is_lost(future) && get_here(future, &value)))
        return value;
    *id = sl_store_id_of(handle(future));
    value.kept_ = id;
    return value;
}

/* ---- for a thread that reads it ---- */

/* The content that `newest` has pinned stays with it, and `newest` with `future`. */
static void install(sl_future *future, sl_future *newest, const sl_value *value) {
    pthread_mutex_lock(&lock);
    if (newest->kept)
        keep_pin(newest);
    if (!atomic_load(&future->fetched)) {
        future->value = *value;
        atomic_store(&future->fetched, 1);
    }
    pthread_mutex_unlock(&lock);
}

static sl_err await_again(const sl_future *future, sl_future *again) {
    char cause[512];
    if (sl_wait(again, SL_FOREVER) == SL_OK)
        return SL_OK;
    snprintf(cause, sizeof cause, "%s", sl_error_text());
    return sl_fail(SL_ERR_DEAD,
                   "the result of task %.100s was lost with its node, and making it anew failed: "
                   "%.350s",
                   future->task->name, cause);
}

static sl_err make_again(sl_future *future) {
    sl_client *client = sl_client_enter();
    if (!client)
        return SL_ERR_CLOSED;
    sl_err err = sl_kept_again(client, future) ? SL_OK : SL_ERR_DEAD;
    sl_client_leave(client);
    return err;
}

static sl_err fetch_of(sl_future *newest, sl_value *value) {
    pthread_mutex_lock(&lock);
    *value = newest->value;
    pthread_mutex_unlock(&lock);
    return newest->kept ? sl_object_fetch(newest->kept, value) : SL_OK;
}

sl_err sl_kept_fetch(sl_future *future) {
    while (!atomic_load(&future->fetched)) {
        sl_value value;
        sl_future *newest = sl_kept_newest(future);
        if (newest != future)
            SL_TRY(await_again(future, newest));
        sl_err err = fetch_of(newest, &value);
        if (err == SL_OK)
            install(future, newest, &value);
        else if (err == SL_ERR_DEAD || err == SL_ERR_NOT_FOUND)
            SL_TRY(make_again(newest));
        else
            return err;
    }
    return SL_OK;
}
