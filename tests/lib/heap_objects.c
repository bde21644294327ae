#include "tests/lib/heap_objects.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_MOST = 1 << 12 };

static uint32_t alive;

uint32_t heap_objects_alive(void) {
    return alive;
}

static void require(bool holds) {
    if (!holds)
        abort();
}

typedef struct object {
    uint32_t references;
    gateway_object about;
    gateway_dimension shape[8];
    uint8_t data[];
} object;

static object *make_object(uint64_t bytes, uint8_t kind) {
    object *o = calloc(1, sizeof *o + bytes);
    require(o != NULL);
    o->references = 1;
    o->about = (gateway_object){.bytes = bytes, .kind = kind};
    alive++;
    return o;
}

static sl_err object_make(void *context, const gateway_put *put, void **out) {
    (void)context;
    if (!put->kind || put->bytes > BYTES_MOST)
        return sl_fail(SL_ERR_INVALID, "no such object");
    object *o = make_object(put->bytes, put->kind);
    o->about.shape.count = put->shape.count;
    for (uint32_t i = 0; i < put->shape.count; i++)
        o->shape[i] = put->shape.items[i];
    *out = o;
    return SL_OK;
}

static void object_write(void *of, uint64_t offset, const uint8_t *data, size_t bytes) {
    object *o = of;
    require(offset <= o->about.bytes && bytes <= o->about.bytes - offset);
    memcpy(o->data + offset, data, bytes);
}

static sl_err object_seal(void *of) {
    const object *o = of;
    return o->about.bytes && o->data[0] == 0xff ? sl_fail(SL_ERR_INVALID, "not this") : SL_OK;
}

static void object_release(void *of) {
    object *o = of;
    if (!o || --o->references)
        return;
    alive--;
    free(o);
}

static sl_err object_fetch(void *of) {
    const object *o = of;
    return o->about.bytes % 3 ? SL_OK : sl_fail(SL_ERR_DEAD, "it was lost");
}

static sl_err object_describe(void *of, gateway_object *about, gateway_dimension shape[8]) {
    const object *o = of;
    uint64_t asked_for = about->number;
    *about = o->about;
    about->number = asked_for;
    about->shape.items = memcpy(shape, o->shape, sizeof o->shape);
    return SL_OK;
}

static void part_released(void *of, void *data) {
    (void)data;
    object_release(of);
}

static sl_err object_part(void *of, uint64_t offset, uint64_t bytes, sl_blob **blob) {
    object *o = of;
    require(bytes && offset <= o->about.bytes && bytes <= o->about.bytes - offset);
    o->references++;
    require(sl_blob_wrap(o->data + offset, bytes, part_released, o, blob) == SL_OK);
    return SL_OK;
}

static sl_err object_arguments(void *context, uint8_t *arguments, size_t bytes, const sl_blob *data,
                               sl_gateway_naming naming, void *naming_context) {
    (void)context, (void)data;
    for (size_t i = 0; i + 1 < bytes && arguments[i] == HEAP_OBJECTS_NAME; i += 2) {
        const object *o = naming(naming_context, arguments[i + 1], bytes % 4 == 0);
        if (!o)
            return sl_fail(SL_ERR_REFUSED, "no such object");
        require(o->references);
        arguments[i] = 0;
    }
    return SL_OK;
}

static const char *object_waiting(const char *function, char room[256]) {
    return memcpy(room, function, strlen(function) + 1);
}

static void *object_result(void *context, const char *function, sl_bytes output) {
    (void)context;
    return output.bytes && output.data[0] == 'O'
               ? make_object(function ? strlen(function) * 10 : 20, 1)
               : NULL;
}

static void object_name(uint8_t *output, size_t bytes, uint64_t number) {
    require(bytes >= 6 && output[0] == 'O' && number >= SL_GATEWAY_OBJECT_OWN);
    memcpy(output, &number, bytes < sizeof number ? bytes : sizeof number);
}

const sl_gateway_objects heap_objects = {.make = object_make,
                                         .write = object_write,
                                         .seal = object_seal,
                                         .release = object_release,
                                         .fetch = object_fetch,
                                         .describe = object_describe,
                                         .part = object_part,
                                         .arguments = object_arguments,
                                         .waiting = object_waiting,
                                         .result = object_result,
                                         .name = object_name};
