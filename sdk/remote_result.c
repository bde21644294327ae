/* How futures of a connection end, and what is in them: on the net's thread, but for those that end
 * with the connection. */
#include <stdlib.h>
#include <string.h>

#include "runtime/futex.h"
#include "sdk/remote.h"

void sl_remote_end(sl_remote *remote, sl_future *future, sl_future_state state) {
    void (*told)(sl_future *, void *) = future->told;
    uint32_t before = atomic_exchange(&future->state, (uint32_t)state);
    if (before & SL_FUTURE_AWAITED)
        sl_futex_wake(&future->state);
    atomic_fetch_add(&remote->any_epoch, 1);
    if (atomic_load(&remote->any_waiters))
        sl_futex_wake(&remote->any_epoch);
    if (told)
        told(future, future->told_context);
    sl_future_drop(future);
}

void sl_remote_fail(sl_remote *remote, sl_future *future, sl_err err, const char *message) {
    future->error = (int32_t)err;
    if (message && *message)
        future->message = strdup(message);
    sl_remote_end(remote, future, err == SL_ERR_CANCELLED ? SL_FUTURE_CANCELLED : SL_FUTURE_FAILED);
}

sl_future *sl_remote_take_out(sl_remote *remote, uint64_t number) {
    sl_future *future = NULL;
    pthread_mutex_lock(&remote->lock);
    sl_future **at = remote->futures ? &remote->futures[number % remote->tasks_most] : NULL;
    if (at && *at && (*at)->number == number) {
        future = *at;
        *at = NULL;
        remote->count--;
        pthread_cond_broadcast(&remote->changed);
    }
    pthread_mutex_unlock(&remote->lock);
    return future;
}

/* One that was returned, or that a large result is kept in until somebody reads it. */
static sl_err take_object(sl_future *future) {
    sl_store_id id;
    sl_value *value = &future->value;
    memcpy(&id, value->kept_ ? value->kept_ : value->data, sizeof id);
    uint64_t number = sl_remote_number_of(id);
    if (!number)
        return sl_fail(SL_ERR_DECODE, "an object without a number");
    sl_remote_object *object = sl_remote_object_make(future->remote, number);
    if (!object)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for an object");
    *(value->kept_ ? &future->kept : &value->object) = sl_remote_object_as(object);
    return SL_OK;
}

static sl_err keep_result(sl_future *future, sl_bytes output, const sl_gateway_parts *parts) {
    size_t count = 0;
    if (!output.bytes && !future->raw && !future->seal)
        return SL_OK;
    future->wire = malloc(output.bytes + 1);
    if (!future->wire)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a result of %u bytes", output.bytes);
    if (output.bytes)
        memcpy(future->wire, output.data, output.bytes);
    if (parts->data_bytes)
        SL_TRY(sl_blob_copy(parts->data, parts->data_bytes, &future->result_apart));
    if (future->raw || future->seal) { /* sealed: who asks for it opens it */
        future->value =
            (sl_value){.type = SL_TYPE_BYTES, .data = future->wire, .bytes = output.bytes};
        return SL_OK;
    }
    SL_TRY(sl_values_count(future->wire, output.bytes, &count));
    if (count != 1)
        return sl_fail(SL_ERR_DECODE, "a result of %zu values", count);
    SL_TRY(
        sl_values_decode(future->wire, output.bytes, future->result_apart, false, &future->value));
    bool named = future->value.type == SL_TYPE_OBJECT || future->value.kept_;
    return named ? take_object(future) : SL_OK;
}

/* For who is told of its end, and asks how it went. */
static void keep_numbers(sl_future *future, const gateway_result *result) {
    future->ended = calloc(1, sizeof *future->ended);
    if (!future->ended)
        return;
    *future->ended = (gateway_ended){.start_s = result->start_s,
                                     .end_s = result->end_s,
                                     .attempts = result->attempts,
                                     .node = result->node,
                                     .state = SL_GATEWAY_OVER,
                                     .status = result->status};
}

static sl_err error_of(const gateway_result *result) {
    return result->error && result->error < SL_ERR_COUNT ? (sl_err)result->error : SL_ERR_FAILED;
}

static void take_result(sl_remote *remote, const gateway_result *result,
                        const sl_gateway_parts *parts) {
    sl_future *future = sl_remote_take_out(remote, result->number);
    char cause[512];
    if ((!future || future->to_actor) && result->error == SL_ERR_REFUSED)
        sl_remote_note_refusal(remote, result, future != NULL);
    if (!future)
        return;
    future->raw |= result->raw;
    if (future->told)
        keep_numbers(future, result);
    if (result->status == SL_TASK_CANCELLED) {
        sl_remote_fail(remote, future, SL_ERR_CANCELLED, result->message.data);
    } else if (result->status != SL_TASK_DONE) {
        if (future->seal) /* why it failed */
            (void)keep_result(future, result->output, parts);
        sl_remote_fail(remote, future, error_of(result), result->message.data);
    } else if (keep_result(future, result->output, parts) == SL_OK) {
        sl_remote_end(remote, future, SL_FUTURE_DONE);
    } else {
        snprintf(cause, sizeof cause, "its result cannot be read: %.400s", sl_err_detail());
        future->value = (sl_value){.type = SL_TYPE_NONE};
        sl_remote_fail(remote, future, SL_ERR_FAILED, cause);
    }
}

sl_err sl_remote_take_results(sl_remote *remote, const sl_gateway_parts *parts) {
    gateway_results *results = sl_gateway_decode(parts, SL_GATEWAY_RESULTS);
    if (!results)
        return SL_ERR_DECODE;
    for (uint32_t i = 0; i < results->results.count; i++)
        take_result(remote, &results->results.items[i], parts);
    free(results);
    return SL_OK;
}

void sl_remote_end_all(sl_remote *remote) {
    char why[800];
    pthread_mutex_lock(&remote->lock);
    sl_future **futures = remote->futures;
    uint32_t count = remote->tasks_most;
    remote->futures = NULL;
    remote->tasks_most = remote->count = 0;
    snprintf(why, sizeof why, "%s", remote->why);
    pthread_cond_broadcast(&remote->changed);
    pthread_mutex_unlock(&remote->lock);
    for (uint32_t i = 0; i < count; i++)
        if (futures[i])
            sl_remote_fail(remote, futures[i], SL_ERR_CLOSED, why);
    free(futures);
}
