/* The table of `starlane topo`, from objects that may lack anything. */
#include "tests/lib/test.h"

#include "sdk/topo.h"

static json_t *node(const char *text) {
    json_t *object = json_loads(text, 0, NULL);
    if (!object)
        abort();
    return object;
}

TEST(a_line_per_node_and_a_block_per_host) {
    static const char one[] =
        "{\"rank\":0,\"host\":\"n1\",\"region\":\"eu\",\"offer\":{\"cpus\":2,\"total_ucu\":3.5,"
        "\"memory_bytes\":1073741824},\"hardware\":{\"cpu\":{\"model\":\"M\",\"cores\":2,"
        "\"clock_ghz\":3.5,\"clock_source\":\"somewhere\"},\"memory_bytes\":2147483648,"
        "\"memory_source\":\"elsewhere\",\"accelerators\":[{\"type\":\"GPU\",\"name\":\"G\","
        "\"cuda_cores\":64,\"found\":\"pci\"}],\"ucu\":{\"terms\":[{\"type\":\"CPU\","
        "\"formula\":\"2 cores\",\"ucu\":3.5}],\"total_ucu\":3.5},\"warnings\":[\"odd\"]}}";
    json_t *nodes[3] = {node(one), NULL, node(one)};
    sl_strbuf text;
    sl_strbuf_init(&text, 1 << 16);
    json_object_set_new(nodes[2], "rank", json_integer(2));
    sl_topo_table(nodes, 3, &text);
    CHECK(strstr(text.data, "   0  n1    eu") != NULL);
    CHECK(strstr(text.data, "   2  n1    eu") != NULL);
    CHECK(strstr(text.data, "3 nodes, 7 UCU offered") != NULL);
    CHECK(strstr(text.data, "3.500 GHz (somewhere)") != NULL);
    CHECK(strstr(text.data, "2.0 GiB (elsewhere)") != NULL);
    CHECK(strstr(text.data, "GPU     G, 64 CUDA cores (pci)") != NULL);
    CHECK(strstr(text.data, "CPU: 2 cores = 3.5") != NULL);
    CHECK(strstr(text.data, "note    odd") != NULL);
    const char *block = strstr(text.data, "\nn1\n");
    CHECK(block && !strstr(block + 1, "\nn1\n"));
    sl_strbuf_fini(&text);
    json_decref(nodes[0]);
    json_decref(nodes[2]);
}

TEST(an_empty_object_is_shown_as_nothing) {
    json_t *nodes[1] = {node("{}")};
    sl_strbuf text;
    sl_strbuf_init(&text, 1 << 16);
    sl_topo_table(nodes, 1, &text);
    CHECK(strstr(text.data, "1 node, 0 UCU offered") != NULL);
    sl_strbuf_fini(&text);
    json_decref(nodes[0]);
}
