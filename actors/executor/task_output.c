#include <stdlib.h>
#include <string.h>

#include "actors/executor/functions.h"

void sl_task_output_init(sl_task_output *output, size_t limit_bytes) {
    *output = (sl_task_output){.limit_bytes = limit_bytes};
}

void sl_task_output_init_in(sl_task_output *output, size_t limit_bytes, void *room,
                            size_t room_bytes) {
    *output = (sl_task_output){
        .room = room, .data = room, .capacity_bytes = room_bytes, .limit_bytes = limit_bytes};
}

void sl_task_output_fini(sl_task_output *output) {
    if (output->data != output->room)
        free(output->data);
    sl_blob_release(output->apart);
    if (output->settle)
        output->settle(output->settled, false);
    *output = (sl_task_output){.limit_bytes = output->limit_bytes};
}

static sl_err make_room(sl_task_output *output, size_t needed_bytes) {
    size_t capacity = output->capacity_bytes ? output->capacity_bytes : 64;
    while (capacity < needed_bytes)
        capacity = capacity > SIZE_MAX / 2 ? needed_bytes : capacity * 2;
    if (capacity == output->capacity_bytes)
        return SL_OK;
    bool in_room = output->data == output->room;
    unsigned char *data = realloc(in_room ? NULL : output->data, capacity);
    if (!data)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %zu bytes of output", capacity);
    if (in_room && output->size_bytes)
        memcpy(data, output->room, output->size_bytes);
    output->data = data;
    output->capacity_bytes = capacity;
    return SL_OK;
}

sl_err sl_task_output_write(sl_task_output *output, const void *bytes, size_t size) {
    if (size > output->limit_bytes - output->size_bytes)
        return sl_fail(SL_ERR_TOO_LARGE, "the output passes its limit of %zu bytes",
                       output->limit_bytes);
    if (size == 0)
        return SL_OK;
    SL_TRY(make_room(output, output->size_bytes + size));
    memcpy(output->data + output->size_bytes, bytes, size);
    output->size_bytes += size;
    return SL_OK;
}

void *sl_task_output_take(sl_task_output *output, size_t *size_bytes) {
    void *data = output->size_bytes ? output->data : NULL;
    *size_bytes = output->size_bytes;
    *output = (sl_task_output){.facts = output->facts,
                               .limit_bytes = output->limit_bytes,
                               .apart = output->apart,
                               .of_failure = output->of_failure,
                               .settle = output->settle,
                               .settled = output->settled};
    return data;
}
