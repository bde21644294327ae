/* A task over the pieces of an array.
 *
 * Design notes
 * The map's future waits for its pieces' futures, and ends only when all have ended: until then
 * they read the caller's array where it lies. What they returned is put together when somebody asks
 * for it, on that thread: copying it would hold up the loop. Pieces that are sealed are opened
 * there too (sdk/seal_open.c), so that only then it is known whether they go together. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/client.h"
#include "sdk/module.h"
#include "sdk/task_call.h"

enum {
    PIECES_PER_CORE = 4,    /* so that nodes of unlike speed end together */
    PIECE_BYTES = 16384,    /* smaller ones are not worth a task … */
    SEALED_BYTES = 1 << 18, /* … or sealing */
    PIECES_MOST = 65536
};

/* ---- cutting ---- */

typedef struct cut {
    const sl_value *array;
    size_t rows, row_bytes;
    size_t chunk;
    size_t pieces;
} cut;

static size_t chosen_chunk(sl_client *client, size_t rows, size_t row_bytes, size_t piece_bytes) {
    uint32_t cores = atomic_load(&client->cores);
    size_t pieces = (size_t)(cores ? cores : 1) * PIECES_PER_CORE;
    size_t chunk = (rows + pieces - 1) / pieces;
    size_t least = row_bytes ? piece_bytes / row_bytes : rows;
    return chunk > least ? chunk : least ? least : 1;
}

static sl_err plan(sl_client *client, const sl_value *array, size_t chunk, bool sealed, cut *out) {
    sl_value_size size;
    if (array->type != SL_TYPE_ARRAY || !array->dimensions)
        return sl_fail(SL_ERR_INVALID, "a map is over an array with dimensions");
    SL_TRY(sl_values_measure(array, 1, &size));
    size_t rows = array->shape[0], row_bytes = rows ? array->bytes / rows : 0;
    *out = (cut){.array = array, .rows = rows, .row_bytes = row_bytes};
    size_t piece_bytes = sealed ? SEALED_BYTES : PIECE_BYTES;
    out->chunk = chunk ? chunk : chosen_chunk(client, rows, row_bytes, piece_bytes);
    out->pieces = rows ? (rows - 1) / out->chunk + 1 : 1; /* an empty array is one empty piece */
    if (out->pieces > PIECES_MOST)
        return sl_fail(SL_ERR_TOO_LARGE, "a map of %zu pieces; at most %d", out->pieces,
                       PIECES_MOST);
    return SL_OK;
}

/* Argument 0 is the piece, with a shape of its own in `shape`. */
static void piece_of(const cut *from, size_t index, size_t *shape, sl_value *piece) {
    size_t first = index * from->chunk, left = from->rows - first;
    *piece = *from->array;
    memcpy(shape, from->array->shape, from->array->dimensions * sizeof *shape);
    shape[0] = left < from->chunk ? left : from->chunk;
    piece->shape = shape;
    piece->bytes = shape[0] * from->row_bytes;
    piece->data = from->array->data ? (const uint8_t *)from->array->data + first * from->row_bytes
                                    : from->array->data;
}

static const sl_task_options *how(const sl_task *task, const sl_map_options *options) {
    return options->options ? options->options : &task->options;
}

static sl_err make_pieces(const sl_task *task, const cut *from, const sl_map_options *options,
                          sl_future **pieces, size_t *made) {
    size_t shape[SL_DIMENSIONS_MAX];
    const sl_task_options *own = how(task, options);
    sl_value *values = malloc((options->args.count + 1) * sizeof *values);
    sl_args args = {values, options->args.count + 1};
    sl_err err =
        values ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for %zu arguments", args.count);
    if (values && options->args.count)
        memcpy(values + 1, options->args.values, options->args.count * sizeof *values);
    for (*made = 0; err == SL_OK && *made < from->pieces; *made += err == SL_OK) {
        piece_of(from, *made, shape, &values[0]);
        err = sl_client_make(task, &args, own, true, &pieces[*made]);
        if (err == SL_OK)
            pieces[*made]->travels = true; /* the whole is put together here */
    }
    free(values);
    return err;
}

/* ---- the map's future ---- */

static sl_future *whole(const sl_task *task, size_t pieces) {
    size_t list = pieces * sizeof(sl_future *);
    sl_future *future = sl_future_create(list + sizeof(sl_gather));
    if (!future)
        return NULL;
    future->task = task;
    future->options = &task->options;
    future->needs = (sl_future **)(void *)(future + 1);
    future->gather = (sl_gather *)(void *)(future->needs + pieces);
    memset(future->gather, 0, sizeof *future->gather);
    if (sl_task_is_of_module(task))
        future->module = sl_module_retain(sl_module_entry_of(task)->module);
    return future;
}

static sl_err start(sl_client *client, const sl_task *task, const cut *from,
                    const sl_map_options *options, sl_future **out) {
    size_t made = 0;
    sl_future *future = whole(task, from->pieces);
    if (!future)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a map of %zu pieces", from->pieces);
    future->gather->sealed = how(task, options)->sealed != NULL;
    sl_err err = make_pieces(task, from, options, future->needs, &made);
    future->need_count = (uint32_t)made; /* their references are the map's */
    if (err != SL_OK) {
        sl_future_drop(future);
        return err;
    }
    sl_client_await_room(client);
    sl_client_push_futures(client, future->needs, made);
    sl_client_push_futures(client, &future, 1);
    *out = future;
    return SL_OK;
}

sl_future *sl_map(const sl_task *task, sl_value array, const sl_map_options *options) {
    static const sl_map_options defaults;
    sl_future *future = NULL;
    cut from;
    options = options ? options : &defaults;
    bool there = task != NULL;
    task = sl_task_to_submit(task);
    if (there && !task)
        return NULL;
    if (sl_client_check(task, task ? how(task, options) : NULL) != SL_OK || !task)
        return NULL;
    sl_client *client = sl_client_enter();
    if (!client)
        return NULL;
    if (plan(client, &array, options->chunk, how(task, options)->sealed, &from) == SL_OK)
        (void)start(client, task, &from, options, &future);
    sl_client_leave(client);
    return future;
}

/* ---- gathering ---- */

/* All must be arrays of one dtype that differ in their first dimension alone. */
sl_err sl_gather_check(sl_future *const *pieces, uint32_t count) {
    char first_text[128], text[128];
    const sl_value *first = &pieces[0]->value;
    for (uint32_t i = 0; i < count; i++) {
        const sl_value *value = &pieces[i]->value;
        size_t rest = value->dimensions ? (value->dimensions - 1) * sizeof(size_t) : 0;
        if (value->type == SL_TYPE_ARRAY && value->dimensions && value->dtype == first->dtype &&
            value->dimensions == first->dimensions &&
            memcmp(value->shape + 1, first->shape + 1, rest) == 0)
            continue;
        return sl_fail(SL_ERR_FAILED,
                       "the pieces of a map return arrays that go together; piece %u is %s, piece "
                       "0 %s",
                       i, sl_value_describe(value, text, sizeof text),
                       sl_value_describe(first, first_text, sizeof first_text));
    }
    return SL_OK;
}

static sl_err put_together(sl_future *map) {
    sl_gather *gather = map->gather;
    size_t bytes = 0, at = 0;
    map->value = gather->pieces[0]->value;
    memcpy(gather->shape, map->value.shape, map->value.dimensions * sizeof *gather->shape);
    gather->shape[0] = 0;
    for (uint32_t i = 0; i < gather->count; i++) {
        bytes += gather->pieces[i]->value.bytes;
        gather->shape[0] += gather->pieces[i]->value.shape[0];
    }
    SL_TRY(sl_blob_create(bytes ? bytes : 1, &map->result_apart));
    for (uint32_t i = 0; i < gather->count; i++) {
        const sl_value *value = &gather->pieces[i]->value;
        if (value->bytes)
            memcpy(map->result_apart->data + at, value->data, value->bytes);
        at += value->bytes;
    }
    map->value.shape = gather->shape;
    map->value.data = map->result_apart->data;
    map->value.bytes = bytes;
    return SL_OK;
}

void sl_gather_forget(sl_gather *gather) {
    for (uint32_t i = 0; i < gather->count; i++)
        sl_future_drop(gather->pieces[i]);
    gather->count = 0;
    if (gather->failed)
        sl_future_drop(gather->failed);
    gather->failed = NULL;
}

sl_err sl_gather_result(sl_future *map) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    sl_err err = SL_OK;
    if (!map->gather || atomic_load(&map->gather->ready) || sl_future_how(map) != SL_FUTURE_DONE)
        return SL_OK;
    pthread_mutex_lock(&lock);
    if (!atomic_load(&map->gather->ready)) {
        err = put_together(map);
        if (err == SL_OK) {
            atomic_store(&map->gather->ready, 1);
            sl_gather_forget(map->gather);
        }
    }
    pthread_mutex_unlock(&lock);
    return err;
}
