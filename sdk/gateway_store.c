/* What the gateway asks of the store: objects of clients are objects of its node.
 *
 * On a client's side an object's name is (no node, 0, the client's number): what no object of the
 * network is called. */
#include "sdk/gateway_store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/remote_name.h"
#include "sdk/task_call.h"
#include "sdk/value.h"

/* A handle of the store's, and where its content is, once that is known. */
typedef struct gateway_handle {
    _Atomic uint32_t references; /* the gateway's, and parts that are being sent */
    sl_store_object *object;
    sl_store_content content;
    uint8_t *room; /* to be written */
    bool pinned;
} gateway_handle;

static void release(void *of) {
    gateway_handle *handle = of;
    if (!handle || atomic_fetch_sub(&handle->references, 1) != 1)
        return;
    if (handle->pinned)
        sl_store_unpin(handle->object);
    sl_store_object_release(handle->object);
    free(handle);
}

static void release_part(void *handle, void *data) {
    (void)data;
    release(handle);
}

static gateway_handle *wrap(sl_store_object *object) {
    gateway_handle *handle = calloc(1, sizeof *handle);
    if (!handle) {
        sl_store_object_release(object);
        (void)sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
        return NULL;
    }
    atomic_init(&handle->references, 1);
    handle->object = object;
    return handle;
}

/* ---- put ---- */

static sl_err type_of(const gateway_put *put, sl_store_type *type) {
    size_t shape[SL_DIMENSIONS_MAX];
    sl_value_size size;
    sl_value value = {.type = (sl_type)put->kind,
                      .dtype = (sl_dtype)put->dtype,
                      .dimensions = put->shape.count,
                      .shape = shape,
                      .data = sl_value_unwritten,
                      .bytes = put->bytes};
    *type = (sl_store_type){.kind = put->kind, .dtype = put->dtype, .dimensions = put->shape.count};
    for (uint32_t i = 0; i < put->shape.count; i++)
        type->shape[i] = shape[i] = put->shape.items[i].size;
    if (value.type == SL_TYPE_NONE || value.type == SL_TYPE_FUTURE || value.type == SL_TYPE_OBJECT)
        return sl_fail(SL_ERR_INVALID, "an object of no type that it can have");
    if (value.type == SL_TYPE_STRING && !value.bytes)
        return sl_fail(SL_ERR_INVALID, "a string without its end");
    return sl_values_measure(&value, 1, &size);
}

static sl_err make(void *context, const gateway_put *put, void **out) {
    sl_store_type type;
    sl_store_object *object;
    SL_TRY(type_of(put, &type));
    SL_TRY(sl_store_make(context, &type, put->bytes, &object));
    gateway_handle *handle = wrap(object);
    if (!handle)
        return SL_ERR_NO_MEMORY;
    handle->room = sl_store_data(object);
    handle->content = (sl_store_content){.type = type, .data = handle->room, .bytes = put->bytes};
    *out = handle;
    return SL_OK;
}

static void write_to(void *of, uint64_t offset, const uint8_t *data, size_t bytes) {
    gateway_handle *handle = of;
    memcpy(handle->room + offset, data, bytes);
}

static sl_err seal(void *of) {
    gateway_handle *handle = of;
    const sl_store_content *content = &handle->content;
    if (content->type.kind == SL_TYPE_STRING && handle->room[content->bytes - 1] != '\0')
        return sl_fail(SL_ERR_INVALID, "a string without its end");
    handle->room = NULL;
    sl_store_pin(handle->object);
    handle->pinned = true;
    return sl_store_seal(handle->object);
}

/* ---- reading ---- */

static sl_err fetch(void *of) {
    gateway_handle *handle = of;
    sl_err err;
    do
        err = sl_store_get(handle->object, UINT64_MAX, &handle->content);
    while (err == SL_ERR_TIMEOUT);
    handle->pinned = err == SL_OK;
    return err;
}

static sl_err describe(void *of, gateway_object *about, gateway_dimension shape[8]) {
    const gateway_handle *handle = of;
    const sl_store_content *content = &handle->content;
    if (!content->data && content->bytes)
        return sl_fail(SL_ERR_INVALID, "the object's content is not here");
    about->bytes = content->bytes;
    about->kind = content->type.kind;
    about->dtype = content->type.dtype;
    about->shape.count = content->type.dimensions;
    about->shape.items = shape;
    for (uint32_t i = 0; i < content->type.dimensions; i++)
        shape[i].size = content->type.shape[i];
    return SL_OK;
}

static sl_err part(void *of, uint64_t offset, uint64_t bytes, sl_blob **blob) {
    gateway_handle *handle = of;
    uint8_t *data = (uint8_t *)(uintptr_t)handle->content.data + offset;
    SL_TRY(sl_blob_wrap(data, bytes, release_part, handle, blob));
    atomic_fetch_add(&handle->references, 1);
    return SL_OK;
}

/* ---- names ---- */

/* Data that were brought as an object are what the call says they are. */
static bool is_as_said(const sl_value *value, const sl_store_content *content) {
    return content->type.kind == (uint8_t)value->type &&
           content->bytes == value->bytes + (value->type == SL_TYPE_STRING);
}

static sl_err name_argument(uint8_t *at, const sl_value *value, size_t index,
                            sl_gateway_naming naming, void *context) {
    sl_store_id id;
    memcpy(&id, at, sizeof id);
    uint64_t number = sl_remote_number_of(id);
    gateway_handle *handle = number ? naming(context, number, value->kept_ != NULL) : NULL;
    if (!handle)
        return sl_fail(SL_ERR_REFUSED, "argument %zu: there is no such object here", index);
    if (value->kept_ && !is_as_said(value, &handle->content))
        return sl_fail(SL_ERR_REFUSED, "argument %zu: data that are something else", index);
    id = sl_store_id_of(handle->object);
    memcpy(at, &id, sizeof id);
    return SL_OK;
}

static sl_err name_all(uint8_t *arguments, const uint8_t *wire, const sl_value *values,
                       size_t count, sl_gateway_naming naming, void *context) {
    for (size_t i = 0; i < count; i++) {
        if (values[i].type == SL_TYPE_FUTURE)
            return sl_fail(SL_ERR_REFUSED, "argument %zu: futures do not come from outside", i);
        const uint8_t *name = values[i].type == SL_TYPE_OBJECT ? values[i].data : values[i].kept_;
        if (name)
            SL_TRY(name_argument(arguments + (name - wire), &values[i], i, naming, context));
    }
    return SL_OK;
}

/* What does not decode here does not for the task either. */
static sl_err name_in(uint8_t *arguments, const uint8_t *wire, size_t bytes, const sl_blob *data,
                      sl_gateway_naming naming, void *context) {
    size_t count;
    if (sl_values_count(wire, bytes, &count) != SL_OK)
        return SL_OK;
    sl_value *values = calloc(count + 1, sizeof *values);
    if (!values)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
    sl_err err = SL_OK;
    if (sl_values_decode(wire, bytes, data, true, values) == SL_OK)
        err = name_all(arguments, wire, values, count, naming, context);
    free(values);
    return err;
}

static sl_err arguments_of(void *context, uint8_t *arguments, size_t bytes, const sl_blob *data,
                           sl_gateway_naming naming, void *naming_context) {
    (void)context;
    uint8_t *aligned = malloc(bytes + 1);
    if (!aligned)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
    if (bytes)
        memcpy(aligned, arguments, bytes);
    sl_err err = name_in(arguments, aligned, bytes, data, naming, naming_context);
    free(aligned);
    return err;
}

static const char *waiting(const char *function, char room[256]) {
    const sl_task *task = sl_task_defined(function);
    return task ? sl_task_waiting_name(task, room, 256) : function;
}

/* ---- results ---- */

/* Did SL_TASK() define it, here or in a module? */
static bool is_task(const char *function) {
    return sl_task_defined(function) || strchr(function, '/');
}

/* Only the output of a task's body, or an actor's, says which object it made, or was kept: what a
 * function answers may be what its client told it to. */
static void *result(void *context, const char *function, sl_bytes output) {
    _Alignas(8) uint8_t wire[SL_GATEWAY_NAMING_BYTES];
    sl_value value;
    sl_store_id id;
    sl_store_object *object = NULL;
    size_t count;
    if (!output.bytes || output.bytes > sizeof wire)
        return NULL;
    memcpy(wire, output.data, output.bytes);
    if (sl_values_count(wire, output.bytes, &count) != SL_OK || count != 1 ||
        sl_values_decode(wire, output.bytes, NULL, false, &value) != SL_OK ||
        (value.type != SL_TYPE_OBJECT && !value.kept_) || (function && !is_task(function)))
        return NULL;
    memcpy(&id, value.kept_ ? value.kept_ : value.data, sizeof id);
    if (sl_store_open(context, id, true, &object) != SL_OK)
        return NULL;
    return wrap(object);
}

/* The name ends it. */
static void name(uint8_t *output, size_t bytes, uint64_t number) {
    sl_store_id id = sl_remote_name_of(number);
    memcpy(output + bytes - sizeof id, &id, sizeof id);
}

sl_gateway_objects sl_gateway_store(sl_store *store) {
    return (sl_gateway_objects){.context = store,
                                .make = make,
                                .write = write_to,
                                .seal = seal,
                                .release = release,
                                .fetch = fetch,
                                .describe = describe,
                                .part = part,
                                .arguments = arguments_of,
                                .waiting = waiting,
                                .result = result,
                                .name = name};
}
