/* The transport between threads keeps what runtime/transport.h promises. */
#include "runtime/transport_thread.h"

#include <pthread.h>

#include "tests/lib/test.h"
#include "tests/lib/transport_conformance.h"

enum { MOST = 8 };

static void *run_node(void *argument) {
    sl_transport *t = argument;
    transport_conformance_run(t, &(transport_conformance_options){.seed = 3, .frames = 2000});
    t->ops->close(t);
    return NULL;
}

static void *run_abandoning_node(void *argument) {
    transport_conformance_abandon(argument);
    return NULL;
}

static void *run_readmitting_node(void *argument) {
    transport_conformance_readmit(argument);
    return NULL;
}

static void *run_misfit_node(void *argument) {
    sl_transport *t = argument;
    transport_conformance_misfit(t);
    t->ops->close(t);
    return NULL;
}

static void run(uint32_t count, size_t frame_bytes, void *(*node)(void *), bool close) {
    sl_transport *nodes[MOST];
    pthread_t threads[MOST];
    uint64_t alive = sl_blob_alive_bytes();
    REQUIRE(sl_thread_network_create(count, frame_bytes, nodes) == SL_OK);
    for (uint32_t i = 0; i < count; i++)
        REQUIRE(pthread_create(&threads[i], NULL, node, nodes[i]) == 0);
    for (uint32_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < count && close; i++)
        nodes[i]->ops->close(nodes[i]);
    CHECK_INT(sl_blob_alive_bytes(), alive);
}

TEST(one_node) {
    run(1, 0, run_node, false);
}

TEST(two_nodes) {
    run(2, 0, run_node, false);
}

TEST(seven_nodes_with_small_frames) {
    run(7, 512, run_node, false);
}

TEST(abandons) {
    run(4, 0, run_abandoning_node, true);
}

TEST(readmits) {
    run(2, 0, run_readmitting_node, true);
    run(5, 0, run_readmitting_node, true);
}

TEST(tells_of_bulk_data_of_another_length) {
    run(3, 0, run_misfit_node, false);
}
