/* Objects as the program's threads see them: a handle is one of the store's, of the node whose task
 * makes or opens it, or of this process's first. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/waiting.h"
#include "sdk/client.h"
#include "sdk/module_load.h"
#include "sdk/remote_name.h"
#include "sdk/task_call.h"

#define SOON_NS                                                                                    \
    200000 /* an answer that comes within this is waited for without giving cores back */

_Static_assert((int)SL_STORE_DIMENSIONS_MAX == (int)SL_DIMENSIONS_MAX,
               "an object's type is a value's");

static sl_store_object *handle(sl_object *object) {
    return (sl_store_object *)object;
}

/* ---- making ---- */

static sl_err check_type(const sl_value *value) {
    sl_value_size size;
    if (value->type == SL_TYPE_NONE || value->type == SL_TYPE_FUTURE ||
        value->type == SL_TYPE_OBJECT)
        return sl_fail(SL_ERR_INVALID,
                       "an object is made of bytes, a string, an array or an image");
    return sl_values_measure(value, 1, &size);
}

static sl_err make(sl_store *store, const sl_value *value, sl_store_object **object) {
    bool array = value->type == SL_TYPE_ARRAY || value->type == SL_TYPE_IMAGE;
    sl_store_type type = {.kind = (uint8_t)value->type,
                          .dtype = array ? (uint8_t)value->dtype : 0,
                          .dimensions = array ? value->dimensions : 0};
    SL_TRY(check_type(value));
    for (uint32_t i = 0; i < type.dimensions; i++)
        type.shape[i] = value->shape[i];
    return sl_store_make(store, &type, value->bytes + (value->type == SL_TYPE_STRING), object);
}

/* The store of this thread, which stays for the time of a call; NULL with an error. */
static sl_store *enter(sl_client **client) {
    uint32_t node;
    *client = NULL;
    if (sl_call_runs_here(&node))
        return sl_session_store(node);
    *client = sl_client_enter();
    return *client ? sl_session_store(sl_rank()) : NULL;
}

static void leave(sl_client *client) {
    if (client)
        sl_client_leave(client);
}

sl_object *sl_object_make(sl_store *store, const sl_value *value, void **data) {
    sl_store_object *object = NULL;
    if (make(store, value, &object) != SL_OK)
        return NULL;
    *data = sl_store_data(object);
    return (sl_object *)object;
}

void sl_object_write(void *data, const sl_value *value) {
    const void *from = value->data ? value->data : value->scalar.bytes;
    if (value->bytes && from != sl_value_unwritten)
        memcpy(data, from, value->bytes);
    if (value->type == SL_TYPE_STRING)
        ((char *)data)[value->bytes] = '\0';
}

static sl_object *put(const sl_value *value, bool copy, void **data) {
    sl_client *client;
    sl_store *store = enter(&client);
    if (!store)
        return NULL;
    sl_object *object = sl_object_make(store, value, data);
    leave(client);
    if (object && copy) {
        sl_object_write(*data, value);
        sl_object_seal(object);
    }
    return object;
}

sl_object *sl_put(sl_value value) {
    void *data;
    return put(&value, true, &data);
}

sl_object *sl_object_create(sl_value value, void **data) {
    if (value.type == SL_TYPE_STRING) {
        (void)sl_fail(SL_ERR_INVALID, "a string is made by sl_put()");
        return NULL;
    }
    value.data = sl_value_unwritten;
    return put(&value, false, data);
}

static sl_err no_object(void) {
    char cause[512];
    snprintf(cause, sizeof cause, "%s", sl_err_detail());
    return sl_fail(SL_ERR_INVALID, "there is no object%s%s", cause[0] ? ": " : "", cause);
}

int sl_object_seal(sl_object *object) {
    if (sl_object_is_remote(object))
        return sl_fail(SL_ERR_INVALID, "an object of a connection is sealed as it is put");
    return object ? sl_store_seal(handle(object)) : no_object();
}

/* ---- reading ---- */

sl_err sl_view_fill(sl_view *view, const sl_store_content *content) {
    sl_value value = {.type = (sl_type)content->type.kind,
                      .dtype = (sl_dtype)content->type.dtype,
                      .dimensions = content->type.dimensions,
                      .shape = content->type.dimensions ? view->shape_ : NULL,
                      .data = content->data,
                      .bytes = content->bytes};
    for (uint32_t i = 0; i < value.dimensions; i++)
        view->shape_[i] = content->type.shape[i];
    if (value.type == SL_TYPE_STRING) {
        if (!value.bytes || ((const char *)value.data)[value.bytes - 1] != '\0')
            return sl_fail(SL_ERR_DECODE, "an object that is a string without its end");
        value.bytes--;
    }
    sl_err err = check_type(&value);
    if (err != SL_OK)
        return sl_fail(SL_ERR_DECODE, "an object whose content is not of its type");
    view->value = value;
    return SL_OK;
}

static uint64_t ns_of(double timeout_s) {
    if (timeout_s < 0 || timeout_s > 1e9 || isnan(timeout_s))
        return UINT64_MAX;
    return (uint64_t)(timeout_s * 1e9);
}

static sl_err get_until(sl_store_object *object, uint64_t timeout_ns, sl_store_content *content) {
    uint64_t begin_ns = sl_clock_now_ns(), spent_ns = 0;
    sl_err err;
    do {
        uint64_t left_ns = timeout_ns == UINT64_MAX ? timeout_ns : timeout_ns - spent_ns;
        err = sl_store_get(object, left_ns, content);
        if (err != SL_ERR_TIMEOUT)
            return err;
        spent_ns = sl_clock_now_ns() - begin_ns;
    } while (spent_ns < timeout_ns);
    return err;
}

/* A task that waits for more than a moment gives its cores to others meanwhile. */
static sl_err await(sl_store_object *object, uint64_t timeout_ns, sl_store_content *content) {
    uint64_t soon_ns = timeout_ns < SOON_NS ? timeout_ns : SOON_NS;
    sl_err err = sl_store_get(object, soon_ns, content);
    if ((err != SL_ERR_TIMEOUT && err != SL_ERR_NO_MEMORY) || timeout_ns == 0)
        return err; /* room may be what others have just now */
    SL_TRY(sl_executor_wait_begin());
    err = get_until(object, timeout_ns, content);
    char cause[512];
    snprintf(cause, sizeof cause, "%s", sl_err_detail());
    sl_executor_wait_end();
    return err == SL_OK ? SL_OK : sl_fail(err, "%s", cause);
}

/* A peer has said of what type and size it is: what comes is held against that. */
static bool is_as_said(const sl_value *value, const sl_store_content *content) {
    bool string = value->type == SL_TYPE_STRING;
    return content->type.kind == (uint8_t)value->type && content->bytes == value->bytes + string &&
           (!string || memchr(content->data, '\0', content->bytes) ==
                           (const char *)content->data + value->bytes);
}

sl_err sl_object_fetch(sl_object *object, sl_value *value) {
    sl_store_content content;
    if (sl_node_runs_here() && !sl_store_is_here(handle(object)))
        return sl_fail(SL_ERR_INVALID,
                       "it has to be waited for, which nothing does that is .brief");
    SL_TRY(await(handle(object), UINT64_MAX, &content));
    if (!is_as_said(value, &content)) {
        sl_store_unpin(handle(object));
        return sl_fail(SL_ERR_DECODE, "a result that is kept as something else than it is");
    }
    value->data = content.data;
    value->kept_ = NULL;
    return SL_OK;
}

static sl_err may_wait(sl_store_object *object) {
    if (sl_module_is_loading() && !sl_store_is_here(object))
        return sl_fail(SL_ERR_INVALID,
                       "a constructor of a module may not wait: others wait for it");
    if (sl_call_is_brief() && !sl_store_is_here(object))
        return sl_fail(SL_ERR_INVALID,
                       "a task that is .brief may not wait for an object of another node, or "
                       "one that was spilled to disk");
    return SL_OK;
}

int sl_get(sl_object *object, double timeout_s, sl_view *view) {
    sl_store_content content;
    *view = (sl_view){.object_ = NULL};
    if (!object)
        return no_object();
    if (sl_object_is_remote(object))
        return sl_remote_object_get(sl_remote_object_of(object), timeout_s, view);
    SL_TRY(may_wait(handle(object)));
    SL_TRY(await(handle(object), ns_of(timeout_s), &content));
    sl_err err = sl_view_fill(view, &content);
    if (err != SL_OK) {
        sl_store_unpin(handle(object));
        return err;
    }
    sl_store_object_retain(handle(object));
    view->object_ = object;
    return SL_OK;
}

void sl_view_release(sl_view *view) {
    sl_object *object = view->object_;
    *view = (sl_view){.object_ = NULL};
    if (object && !sl_object_is_remote(object))
        sl_store_unpin(handle(object));
    sl_object_release(object);
}

/* ---- handles ---- */

/* One that was borrowed gets a hold of its own. */
sl_object *sl_object_retain(sl_object *object) {
    if (!object)
        return NULL;
    if (sl_object_is_remote(object)) {
        sl_remote_object_retain(sl_remote_object_of(object));
        return object;
    }
    if (!sl_store_is_held(handle(object))) {
        uint32_t node;
        if (sl_call_is_brief()) {
            (void)sl_fail(SL_ERR_INVALID, "a task that is .brief may not keep an object of another "
                                          "node: its owner has to be asked");
            return NULL;
        }
        if (!sl_call_runs_here(&node))
            node = sl_rank();
        if (sl_store_hold(handle(object), node, UINT64_MAX) != SL_OK)
            return NULL;
    }
    sl_store_object_retain(handle(object));
    return object;
}

void sl_object_release(sl_object *object) {
    if (sl_object_is_remote(object))
        sl_remote_object_release(sl_remote_object_of(object));
    else
        sl_store_object_release(handle(object));
}

uint32_t sl_object_node(const sl_object *object) {
    return object && !sl_object_is_remote(object)
               ? sl_store_id_of((const sl_store_object *)object).node
               : UINT32_MAX;
}

/* ---- among the arguments of a future ---- */

/* One made elsewhere draws the task there, if nothing larger does. */
static void keep_one(sl_future *future, sl_object *object) {
    uint32_t node = sl_object_node(object);
    sl_store_object_retain(handle(object));
    future->objects[future->object_count++] = object;
    if (!future->near && node != sl_rank())
        future->near = node + 1;
}

sl_err sl_future_keep(sl_future *future, const sl_value *values, size_t count) {
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += values[i].type == SL_TYPE_OBJECT && values[i].object;
    if (!found)
        return SL_OK;
    sl_object **all =
        realloc(future->objects, (future->object_count + (size_t)found) * sizeof(sl_object *));
    if (!all)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u objects among the arguments", found);
    future->objects = all;
    for (size_t i = 0; i < count; i++)
        if (values[i].type == SL_TYPE_OBJECT && values[i].object)
            keep_one(future, values[i].object);
    return SL_OK;
}

sl_err sl_future_keep_those(sl_future *future, const sl_future *of) {
    if (!of->object_count)
        return SL_OK;
    future->objects = malloc(of->object_count * sizeof(sl_object *));
    if (!future->objects)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u objects among the arguments",
                       of->object_count);
    for (uint32_t i = 0; i < of->object_count; i++)
        keep_one(future, of->objects[i]);
    return SL_OK;
}

void sl_future_let_go(sl_future *future) {
    for (uint32_t i = 0; i < future->object_count; i++)
        sl_object_release(future->objects[i]);
    free(future->objects);
    future->objects = NULL;
    future->object_count = 0;
}
