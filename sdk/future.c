/* Futures as the program's threads see them: waiting, results, letting go. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/waiting.h"
#include "runtime/futex.h"
#include "runtime/log.h"
#include "runtime/pool.h"
#include "sdk/client.h"
#include "sdk/module_load.h"
#include "sdk/remote.h"
#include "sdk/seal.h"
#include "sdk/task_call.h"

/* ---- life ---- */

sl_future *sl_future_create(size_t tail_bytes) {
    sl_future *future = malloc(sizeof *future + tail_bytes);
    if (!future)
        return NULL;
    memset(future, 0, sizeof *future);
    atomic_init(&future->references, 1);
    return future;
}

static void destroy(sl_future *future) {
    for (uint32_t i = 0; i < future->need_count; i++)
        sl_future_drop(future->needs[i]);
    if (future->gather)
        sl_gather_forget(future->gather);
    if (future->payload && future->payload != future->room)
        free(future->payload);
    if (future->wire && future->wire != future->room)
        free(future->wire);
    sl_future_let_go(future);
    sl_future_seal_drop(future->seal);
    free(future->among);
    sl_module_release(future->module);
    if (future->value.object)
        sl_object_release(future->value.object);
    if (future->keeps_remote)
        sl_remote_command_forget(future);
    free(future->message);
    free(future->ended);
    free(future->dependents);
    sl_blob_release(future->apart);
    sl_blob_release(future->asked_apart);
    sl_blob_release(future->result_apart);
    if (future->pinned)
        sl_store_unpin((sl_store_object *)future->kept);
    if (future->kept)
        sl_object_release(future->kept);
    if (future->again)
        sl_future_drop(future->again);
    free(future);
}

void sl_future_drop(sl_future *future) {
    if (atomic_fetch_sub_explicit(&future->references, 1, memory_order_acq_rel) == 1)
        destroy(future);
}

sl_future *sl_retain(sl_future *future) {
    if (future)
        atomic_fetch_add_explicit(&future->references, 1, memory_order_relaxed);
    return future;
}

void sl_release(sl_future *future) {
    if (future)
        sl_future_drop(future);
}

sl_future_state sl_state_of(const sl_future *future) {
    sl_future_settle((sl_future *)(uintptr_t)future); /* it may turn out to have failed */
    return sl_future_how(future);
}

/* ---- waiting ---- */

static uint64_t deadline_of(double timeout_s) {
    uint64_t now_ns = sl_clock_now_ns();
    if (timeout_s < 0 || timeout_s > 1e9 || isnan(timeout_s))
        return SL_FUTEX_FOREVER;
    return now_ns + (uint64_t)(timeout_s * 1e9);
}

/* Nothing left: 0. */
static uint64_t left_until(uint64_t deadline_ns) {
    if (deadline_ns == SL_FUTEX_FOREVER)
        return SL_FUTEX_FOREVER;
    uint64_t now_ns = sl_clock_now_ns();
    return now_ns < deadline_ns ? deadline_ns - now_ns : 0;
}

int sl_future_verdict(sl_future *future) {
    sl_future_settle(future);
    if (!future->error)
        return SL_OK;
    return sl_fail((sl_err)future->error, "%s",
                   future->message ? future->message : sl_err_text((sl_err)future->error));
}

/* False: the time is over. */
static bool sleep_until_ended(sl_future *future, uint64_t deadline_ns) {
    for (;;) {
        uint32_t state = atomic_load(&future->state);
        if ((state & ~SL_FUTURE_AWAITED) != SL_FUTURE_PENDING)
            return true;
        uint64_t left_ns = left_until(deadline_ns);
        if (!left_ns)
            return false;
        if (!(state & SL_FUTURE_AWAITED) &&
            !atomic_compare_exchange_strong(&future->state, &state, state | SL_FUTURE_AWAITED))
            continue;
        sl_futex_wait(&future->state, SL_FUTURE_PENDING | SL_FUTURE_AWAITED, left_ns);
    }
}

static sl_err may_wait(void) {
    if (sl_module_is_loading())
        return sl_fail(SL_ERR_INVALID,
                       "a constructor of a module may not wait: others wait for it");
    if (sl_call_is_brief()) /* wherever it happens to run */
        return sl_fail(SL_ERR_INVALID, "a task that is .brief may not wait");
    if (sl_node_runs_here())
        return sl_fail(SL_ERR_INVALID, "this function runs where messages are handled, and may not "
                                       "wait: use SL_TASK()");
    return SL_OK;
}

/* What waits on a thread of the pool gives it away meanwhile. */
static sl_err wait_begin(void) {
    struct sl_pool *pool = sl_call_pool();
    return pool ? sl_pool_wait_begin(pool) : sl_executor_wait_begin();
}

static void wait_end(void) {
    struct sl_pool *pool = sl_call_pool();
    if (pool)
        sl_pool_wait_end(pool);
    else
        sl_executor_wait_end();
}

static sl_err timed_out(void) {
    return sl_fail(SL_ERR_TIMEOUT, "the task has not ended yet");
}

static sl_err no_future(void) {
    char cause[512];
    snprintf(cause, sizeof cause, "%s", sl_err_detail());
    return sl_fail(SL_ERR_INVALID, "there is no future%s%s", cause[0] ? ": " : "", cause);
}

/* Until it has ended; SL_ERR_TIMEOUT. */
static sl_err await(sl_future *future, uint64_t deadline_ns) {
    if (sl_future_ended(future))
        return SL_OK;
    if (!left_until(deadline_ns))
        return timed_out();
    SL_TRY(may_wait());
    SL_TRY(wait_begin());
    bool ended = sleep_until_ended(future, deadline_ns);
    wait_end();
    return ended ? SL_OK : timed_out();
}

int sl_wait(sl_future *future, double timeout_s) {
    if (!future)
        return no_future();
    if (!sl_future_ended(future))
        SL_TRY(await(future, deadline_of(timeout_s)));
    return sl_future_verdict(future);
}

/* Those submitted last mostly end last: waiting for them first is waiting once. */
int sl_wait_all(sl_future *const *futures, size_t count, double timeout_s) {
    uint64_t deadline_ns = deadline_of(timeout_s);
    for (size_t i = count; i-- > 0;)
        if (futures[i] && !sl_future_ended(futures[i]))
            SL_TRY(await(futures[i], deadline_ns));
    for (size_t i = 0; i < count; i++)
        if (futures[i] && (futures[i]->error || sl_future_is_sealed(futures[i])))
            SL_TRY((sl_err)sl_future_verdict(futures[i]));
    return SL_OK;
}

static bool find_ended(sl_future *const *futures, size_t count, size_t *index) {
    for (size_t i = 0; i < count; i++)
        if (futures[i] && sl_future_ended(futures[i])) {
            *index = i;
            return true;
        }
    return false;
}

static bool all_null(sl_future *const *futures, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (futures[i])
            return false;
    return true;
}

/* The actor looks for waiters after it has changed states, and these look at states after they have
 * said that they wait: one of the two sees the other. */
static sl_err await_any(_Atomic uint32_t *any_epoch, sl_future *const *futures, size_t count,
                        uint64_t deadline_ns, size_t *index) {
    for (;;) {
        uint32_t epoch = atomic_load(any_epoch);
        if (find_ended(futures, count, index))
            return SL_OK;
        uint64_t left_ns = left_until(deadline_ns);
        if (!left_ns)
            return timed_out();
        sl_futex_wait(any_epoch, epoch, left_ns);
    }
}

static sl_err await_first(sl_future *const *futures, size_t count, uint64_t deadline_ns,
                          size_t *index) {
    for (*index = 0; *index < count; ++*index)
        if (futures[*index])
            return await(futures[*index], deadline_ns);
    return SL_OK;
}

/* Who ends them is who wakes us. */
static sl_err same_network(sl_future *const *futures, size_t count, bool *remote) {
    const sl_future *first = NULL;
    for (size_t i = 0; i < count; i++) {
        first = first ? first : futures[i];
        if (futures[i] && futures[i]->remote != first->remote)
            return sl_fail(SL_ERR_INVALID, "futures of one network or connection at a time");
    }
    *remote = first && first->remote;
    return SL_OK;
}

static sl_err await_any_remote(sl_future *const *futures, size_t count, uint64_t deadline_ns,
                               size_t *index) {
    size_t i = 0;
    while (!futures[i])
        i++;
    sl_remote *remote = futures[i]->remote;
    atomic_fetch_add(&remote->any_waiters, 1);
    sl_err err = sl_executor_wait_begin();
    if (err == SL_OK) {
        err = await_any(&remote->any_epoch, futures, count, deadline_ns, index);
        sl_executor_wait_end();
    }
    atomic_fetch_sub(&remote->any_waiters, 1);
    return err;
}

int sl_wait_any(sl_future *const *futures, size_t count, double timeout_s, size_t *index) {
    if (find_ended(futures, count, index))
        return SL_OK;
    if (all_null(futures, count))
        return sl_fail(SL_ERR_INVALID, "there is no future to wait for");
    uint64_t deadline_ns = deadline_of(timeout_s);
    if (!left_until(deadline_ns))
        return timed_out();
    SL_TRY(may_wait());
    bool remote = false;
    SL_TRY(same_network(futures, count, &remote));
    if (remote)
        return await_any_remote(futures, count, deadline_ns, index);
    sl_client *client = sl_client_enter();
    if (!client) /* closing ends them all */
        return await_first(futures, count, deadline_ns, index);
    atomic_fetch_add(&client->any_waiters, 1);
    sl_err err = wait_begin();
    if (err == SL_OK) {
        err = await_any(&client->any_epoch, futures, count, deadline_ns, index);
        wait_end();
    }
    atomic_fetch_sub(&client->any_waiters, 1);
    sl_client_leave(client);
    return err;
}

/* ---- results ---- */

static sl_err fetch_kept(sl_future *future) {
    if (!future->kept)
        return SL_OK;
    return future->remote ? sl_remote_kept_fetch(future) : sl_kept_fetch(future);
}

const sl_value *sl_result(sl_future *future) {
    if (!future) {
        (void)no_future();
        return NULL;
    }
    if (!sl_future_ended(future)) {
        (void)timed_out();
        return NULL;
    }
    if (sl_future_verdict(future) != SL_OK || sl_gather_result(future) != SL_OK ||
        fetch_kept(future) != SL_OK)
        return NULL;
    return &future->value;
}

static const char *whose(const sl_future *future, char *text, size_t size) {
    snprintf(text, size, "the result of task %.80s", future->task->name);
    return text;
}

static const void *scalar(sl_future *future, sl_dtype dtype) {
    char text[128];
    const sl_value *value = sl_result(future);
    if (sl_value_is_scalar(value, dtype))
        return value->data;
    return value ? sl_value_as_scalar(value, dtype, whose(future, text, sizeof text)) : NULL;
}

double sl_result_f64(sl_future *future) {
    double number = 0;
    const void *data = scalar(future, SL_F64);
    if (data)
        memcpy(&number, data, sizeof number);
    return number;
}

int64_t sl_result_i64(sl_future *future) {
    int64_t number = 0;
    const void *data = scalar(future, SL_I64);
    if (data)
        memcpy(&number, data, sizeof number);
    return number;
}

const char *sl_result_string(sl_future *future) {
    char text[128];
    const sl_value *value = sl_result(future);
    const char *string =
        value ? sl_value_as(value, SL_TYPE_STRING, whose(future, text, sizeof text)) : NULL;
    return string ? string : "";
}

const void *sl_result_bytes(sl_future *future, size_t *bytes) {
    char text[128];
    const sl_value *value = sl_result(future);
    const void *data =
        value ? sl_value_as(value, SL_TYPE_BYTES, whose(future, text, sizeof text)) : NULL;
    *bytes = data ? value->bytes : 0;
    return data;
}

sl_object *sl_result_object(sl_future *future) {
    char text[128];
    const sl_value *value = sl_result(future);
    if (value && value->type != SL_TYPE_OBJECT)
        (void)sl_value_as(value, SL_TYPE_OBJECT, whose(future, text, sizeof text));
    return value ? value->object : NULL;
}

const void *sl_result_array(sl_future *future, sl_dtype dtype, size_t *count) {
    char text[128];
    const sl_value *value = sl_result(future);
    const void *data =
        value ? sl_value_as_array(value, dtype, whose(future, text, sizeof text)) : NULL;
    *count = data ? sl_value_count(value) : 0;
    return data;
}
