#include "tests/lib/world.h"

#include <stdlib.h>

#include "runtime/transport_thread.h"
#include "tests/lib/test.h"

static bool allocate(world *w, uint32_t count) {
    *w = (world){.count = count};
    w->nodes = calloc(count, sizeof *w->nodes);
    w->threads = calloc(count, sizeof *w->threads);
    w->results = calloc(count, sizeof *w->results);
    w->details = calloc(count, sizeof *w->details);
    w->codes = calloc(count, sizeof *w->codes);
    return w->nodes && w->threads && w->results && w->details && w->codes;
}

bool world_open(world *w, const world_options *options) {
    uint32_t count = options->transport ? 1 : options->count;
    sl_transport *transports[SL_THREAD_MAX_NODES] = {options->transport};
    bool ok = allocate(w, count) &&
              (options->transport ||
               sl_thread_network_create(count, options->frame_bytes, transports) == SL_OK);
    for (uint32_t i = 0; ok && i < count; i++) {
        sl_node_options node = options->node;
        node.transport = transports[i];
        node.seed = options->seed + transports[i]->self;
        node.incarnation = 1 + transports[i]->self;
        ok = sl_node_create(&node, &w->nodes[i]) == SL_OK;
    }
    CHECK(ok);
    return ok;
}

typedef struct errand {
    world *w;
    uint32_t node;
} errand;

static void run_node(world *w, uint32_t i) {
    w->results[i] = sl_node_run(w->nodes[i], &w->codes[i]);
    if (w->results[i] != SL_OK)
        snprintf(w->details[i], sizeof w->details[i], "%s", sl_err_detail());
}

static void *thread_main(void *context) {
    errand mine = *(errand *)context;
    free(context);
    run_node(mine.w, mine.node);
    return NULL;
}

void world_start(world *w, uint32_t node) {
    errand *context = malloc(sizeof *context);
    *context = (errand){w, node};
    CHECK_INT(pthread_create(&w->threads[node], NULL, thread_main, context), 0);
}

void world_join(world *w, uint32_t node) {
    pthread_join(w->threads[node], NULL);
}

void world_run(world *w) {
    if (w->count == 1) {
        run_node(w, 0);
        return;
    }
    for (uint32_t i = 0; i < w->count; i++)
        world_start(w, i);
    for (uint32_t i = 0; i < w->count; i++)
        world_join(w, i);
}

void world_close(world *w) {
    for (uint32_t i = 0; i < w->count; i++) {
        sl_node_load load = sl_node_loads(w->nodes[i]);
        CHECK_INT(load.actors, 0);
        CHECK_INT(load.messages, 0);
        CHECK_INT(load.queued_bytes, 0);
        CHECK(sl_node_quiet(w->nodes[i]));
    }
    world_free(w);
}

void world_free(world *w) {
    for (uint32_t i = 0; i < w->count; i++)
        sl_node_destroy(w->nodes[i]);
    free(w->nodes);
    free(w->threads);
    free(w->results);
    free(w->details);
    free(w->codes);
}
