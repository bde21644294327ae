/* The spec file: what it may say, how errors point at it, and what it does to a description. */
#include <stdint.h>

#include "actors/registry/spec.h"
#include "actors/registry/spec_reader.h"
#include "actors/registry/ucu.h"
#include "tests/lib/tree.h"

static sl_err parse(const char *text, sl_spec **spec) {
    return sl_spec_parse(text, strlen(text), "spec.json", spec);
}

static const char full[] =
    "{\"nodes\": [\n"
    " {\"hosts\": [\"n[12]\", \"gpu*\"], \"region\": \"us-west\", \"zone\": \"a\",\n"
    "  \"latitude\": 45.5, \"longitude\": -121.25,\n"
    "  \"cpu\": {\"model\": \"My CPU\", \"clock_ghz\": 2.5}, \"memory_gb\": 4,\n"
    "  \"accelerators\": [\n"
    "   {\"type\": \"GPU\", \"name\": \"H100\", \"count\": 3, \"sms\": 132, "
    "\"compute_capability\": \"9.0\",\n"
    "    \"memory_gb\": 80, \"clock_mhz\": 1980},\n"
    "   {\"type\": \"TPU\", \"name\": \"v5e\", \"count\": 2, \"tflops\": 197}],\n"
    "  \"offer\": {\"cpus\": 1, \"gpus\": 2, \"memory_gb\": 0.5, \"ucu\": 100, \"oversubscribe\": "
    "true}},\n"
    " {\"hosts\": \"*\", \"region\": \"eu\"}\n"
    "]}\n";

TEST(every_field_is_read) {
    sl_spec *spec;
    REQUIRE(parse(full, &spec) == SL_OK);
    CHECK_INT(spec->node_count, 2);
    const sl_spec_node *node = &spec->nodes[0];
    CHECK_INT(node->host_count, 2);
    CHECK_STR(node->location.region, "us-west");
    CHECK_STR(node->location.zone, "a");
    CHECK(node->location.has_coordinates);
    CHECK_DOUBLE(node->location.latitude, 45.5, 0);
    CHECK_DOUBLE(node->location.longitude, -121.25, 0);
    CHECK_STR(node->cpu_model, "My CPU");
    CHECK_DOUBLE(node->clock_ghz, 2.5, 0);
    CHECK_INT(node->memory_bytes, UINT64_C(4000000000));
    CHECK_INT(node->accelerator_count, 5);
    CHECK(node->discover_accelerators);
    CHECK_INT(node->limits.cpus, 1);
    CHECK_INT(node->limits.gpus, 2);
    CHECK_INT(node->limits.memory_bytes, 500000000);
    CHECK_DOUBLE(node->limits.ucu, 100, 0);
    CHECK(node->limits.oversubscribe);
    CHECK_INT(spec->nodes[1].limits.cpus, -1);
    CHECK(!spec->nodes[1].location.has_coordinates);
    sl_spec_destroy(spec);
}

TEST(the_first_matching_entry_counts) {
    sl_spec *spec;
    REQUIRE(parse(full, &spec) == SL_OK);
    CHECK(sl_spec_find(spec, "n2") == &spec->nodes[0]);
    CHECK(sl_spec_find(spec, "n2.site.example") == &spec->nodes[0]);
    CHECK(sl_spec_find(spec, "gpu-017") == &spec->nodes[0]);
    CHECK(sl_spec_find(spec, "n3") == &spec->nodes[1]);
    sl_spec_destroy(spec);
    REQUIRE(parse("{\"nodes\": [{\"hosts\": \"n1\"}]}", &spec) == SL_OK);
    CHECK(sl_spec_find(spec, "n10") == NULL);
    CHECK(sl_spec_find(NULL, "n1") == NULL);
    sl_spec_destroy(spec);
}

#define NODE(fields) "{\"nodes\": [\n{\"hosts\": \"n1\",\n" fields "}]}"
#define GPU(fields)  NODE("\"accelerators\": [\n{\"type\": \"GPU\",\n" fields "}]")
#define TPU(fields)  NODE("\"accelerators\": [\n{\"type\": \"TPU\",\n" fields "}]")

static const struct {
    const char *text;
    sl_err err;
    const char *place, *why;
} bad_specs[] = {
    {"", SL_ERR_SYNTAX, "spec.json:1:", ""},
    {"{\"nodes\": [}", SL_ERR_SYNTAX, "spec.json:1:", ""},
    {"{\"nodes\": []} x", SL_ERR_SYNTAX, "spec.json:1:", ""},
    {"{\"nodes\": [],\n\"nodes\": []}", SL_ERR_SYNTAX, "spec.json:2:", "duplicate"},
    {"[]", SL_ERR_INVALID, "spec.json:1:document:", "not an array"},
    {"{}", SL_ERR_INVALID, "spec.json:1:nodes:", "array of nodes"},
    {"{\n\"nodes\": {}}", SL_ERR_INVALID, "spec.json:2:nodes:", "array of nodes"},
    {"{\"nodes\": [],\n\"knots\": 1}", SL_ERR_INVALID, "spec.json:2:knots:", "known: nodes"},
    {"{\"nodes\": [\n\n7]}", SL_ERR_INVALID, "spec.json:3:nodes[0]:", "not a number"},
    {"{\"nodes\": [\n{}]}", SL_ERR_INVALID, "spec.json:2:nodes[0].hosts:", "pattern"},
    {"{\"nodes\": [{\"hosts\":\n[]}]}", SL_ERR_INVALID, "spec.json:2:nodes[0].hosts:", "1 to 256"},
    {"{\"nodes\": [{\"hosts\": [\"a\",\n\"\"]}]}", SL_ERR_INVALID,
     "spec.json:2:nodes[0].hosts[1]:", "0 bytes"},
    {"{\"nodes\": [{\"hosts\": \"a*b*c*d*e*f\"}]}", SL_ERR_INVALID,
     "spec.json:1:nodes[0].hosts:", "at most 4"},
    {"{\"nodes\": [{\"hosts\": \"a\\u0007\"}]}", SL_ERR_INVALID, "nodes[0].hosts:", "control"},
    {"{\"nodes\": [{\"hosts\": \"a\\u0000b\"}]}", SL_ERR_SYNTAX, "spec.json:1:", ""},
    {NODE("\"regoin\": \"x\""), SL_ERR_INVALID,
     "spec.json:3:nodes[0].regoin:", "known: hosts, region"},
    {NODE("\"region\": 5"), SL_ERR_INVALID, "spec.json:3:nodes[0].region:", "not a number"},
    {NODE("\"region\": \"0123456789012345678901234567890123456789012345678901234567890123\""),
     SL_ERR_INVALID, "nodes[0].region:", "64 bytes"},
    {NODE("\"zone\": null"), SL_ERR_INVALID, "spec.json:3:nodes[0].zone:", "not null"},
    {NODE("\"latitude\": 5"), SL_ERR_INVALID,
     "spec.json:3:nodes[0].latitude:", "longitude is missing"},
    {NODE("\"longitude\": 5"), SL_ERR_INVALID, "nodes[0].longitude:", "latitude is missing"},
    {NODE("\"latitude\": 91, \"longitude\": 0"), SL_ERR_INVALID, "nodes[0].latitude:", "-90 to 90"},
    {NODE("\"latitude\": 0,\n\"longitude\": -181"), SL_ERR_INVALID,
     "spec.json:4:nodes[0].longitude:", "-180 to 180"},
    {NODE("\"cpu\": []"), SL_ERR_INVALID, "nodes[0].cpu:", "not an array"},
    {NODE("\"cpu\": {\n\"cores\": 4}"), SL_ERR_INVALID,
     "spec.json:4:nodes[0].cpu.cores:", "known: model, clock_ghz"},
    {NODE("\"cpu\": {\"clock_ghz\": 0}"), SL_ERR_INVALID, "nodes[0].cpu.clock_ghz:", "0.05 to 20"},
    {NODE("\"cpu\": {\"clock_ghz\": \"2.5\"}"), SL_ERR_INVALID, "clock_ghz:", "a string"},
    {NODE("\"memory_gb\": -1"), SL_ERR_INVALID, "nodes[0].memory_gb:", "-1"},
    {NODE("\"memory_gb\": 1e300"), SL_ERR_INVALID, "nodes[0].memory_gb:", "1e+300"},
    {NODE("\"memory_gb\": 1e999"), SL_ERR_SYNTAX, "spec.json:3:", ""},
    {NODE("\"discover_accelerators\": 1"), SL_ERR_INVALID,
     "discover_accelerators:", "true or false"},
    {NODE("\"accelerators\": {}"), SL_ERR_INVALID, "nodes[0].accelerators:", "array"},
    {NODE("\"accelerators\": [3]"), SL_ERR_INVALID, "nodes[0].accelerators[0]:", "object"},
    {NODE("\"accelerators\": [{}]"), SL_ERR_INVALID, "accelerators[0]:", "type is missing"},
    {NODE("\"accelerators\": [{\"type\": \"TPU\"},\n{\"type\": \"FPGA\"}]"), SL_ERR_UNSUPPORTED,
     "spec.json:4:nodes[0].accelerators[1].type:", "Unsupported hardware type \"FPGA\""},
    {NODE("\"accelerators\": [{\"type\": \"CPU\"}]"), SL_ERR_INVALID,
     "accelerators[0].type:", "\"cpu\""},
    {GPU("\"tflops\": 5"), SL_ERR_INVALID,
     "spec.json:5:nodes[0].accelerators[0].tflops:", "known: type"},
    {GPU("\"sms\": 0"), SL_ERR_INVALID, "accelerators[0].sms:", "1 to 4096"},
    {GPU("\"sms\": 1.5"), SL_ERR_INVALID, "accelerators[0].sms:", "a fraction"},
    {GPU("\"sms\": 99999999999999999999"), SL_ERR_SYNTAX, "spec.json:5:", ""},
    {GPU("\"cuda_cores\": -5"), SL_ERR_INVALID, "cuda_cores:", "-5"},
    {GPU("\"compute_capability\": 9.0"), SL_ERR_INVALID, "compute_capability:", "a string"},
    {GPU("\"compute_capability\": \"9\""), SL_ERR_INVALID, "compute_capability:", "\"9.0\""},
    {GPU("\"compute_capability\": \"9.0x\""), SL_ERR_INVALID, "compute_capability:", "9.0x"},
    {GPU("\"compute_capability\": \"-9.0\""), SL_ERR_INVALID, "compute_capability:", "-9.0"},
    {GPU("\"compute_capability\": \"0.5\""), SL_ERR_INVALID, "compute_capability:", "0.5"},
    {GPU("\"compute_capability\": \"9999.0\""), SL_ERR_INVALID, "compute_capability:", "9999.0"},
    {GPU("\"count\": 33"), SL_ERR_INVALID, "accelerators[0].count:", "1 to 32"},
    {GPU("\"count\": 2, \"pci_bus_id\": \"0000:17:00.0\""), SL_ERR_INVALID,
     "accelerators[0]:", "exclude"},
    {GPU("\"count\": 32}, {\"type\": \"TPU\""), SL_ERR_TOO_LARGE, "accelerators[1]:", "at most 32"},
    {TPU("\"sms\": 5"), SL_ERR_INVALID, "accelerators[0].sms:", "tflops"},
    {TPU("\"tflops\": 0"), SL_ERR_INVALID, "accelerators[0].tflops:", "0 is not within"},
    {NODE("\"offer\": 5"), SL_ERR_INVALID, "nodes[0].offer:", "not a number"},
    {NODE("\"offer\": {\"cpus\": -1}"), SL_ERR_INVALID, "nodes[0].offer.cpus:", "-1"},
    {NODE("\"offer\": {\"cpus\": 1e3}"), SL_ERR_INVALID, "nodes[0].offer.cpus:", "a fraction"},
    {NODE("\"offer\": {\"gpus\": 33}"), SL_ERR_INVALID, "nodes[0].offer.gpus:", "0 to 32"},
    {NODE("\"offer\": {\"memory_gb\": 0}"), SL_ERR_INVALID,
     "nodes[0].offer.memory_gb:", "0 is not"},
    {NODE("\"offer\": {\"ucu\": -5}"), SL_ERR_INVALID, "nodes[0].offer.ucu:", "-5"},
    {NODE("\"offer\": {\"oversubscribe\": \"yes\"}"), SL_ERR_INVALID,
     "offer.oversubscribe:", "a string"},
    {NODE("\"offer\": {\"cores\": 5}"), SL_ERR_INVALID, "nodes[0].offer.cores:", "known: cpus"},
};

TEST(every_error_names_its_place) {
    for (size_t i = 0; i < sizeof bad_specs / sizeof *bad_specs; i++) {
        sl_spec *spec = NULL;
        sl_err err = parse(bad_specs[i].text, &spec);
        if (err != bad_specs[i].err || spec)
            sl_test_fail(__FILE__, __LINE__, "%s: %s: %s", bad_specs[i].text, sl_err_name(err),
                         sl_err_detail());
        CHECK_CONTAINS(sl_err_detail(), bad_specs[i].place);
        CHECK_CONTAINS(sl_err_detail(), bad_specs[i].why);
        sl_spec_destroy(spec);
    }
}

TEST(lines_are_found_past_strings_that_look_like_structure) {
    static const char text[] =
        "{\"a\": \"}{][\\\"\\\\\",\n \"b\" : [ {\"x\": [1,\n2, {}]} , \n[ ] ,\ntrue,\n"
        "{\"c\": {\"d\":\n-1.5e3, \"e\": null\n, \"f\":\n\"\"}}]}";
    size_t length = strlen(text);
    CHECK_INT(sl_spec_line(text, length, ""), 1);
    CHECK_INT(sl_spec_line(text, length, "a"), 1);
    CHECK_INT(sl_spec_line(text, length, "b"), 2);
    CHECK_INT(sl_spec_line(text, length, "b[0].x[1]"), 3);
    CHECK_INT(sl_spec_line(text, length, "b[1]"), 4);
    CHECK_INT(sl_spec_line(text, length, "b[2]"), 5);
    CHECK_INT(sl_spec_line(text, length, "b[3].c"), 6);
    CHECK_INT(sl_spec_line(text, length, "b[3].c.d"), 7);
    CHECK_INT(sl_spec_line(text, length, "b[3].c.e"), 7);
    CHECK_INT(sl_spec_line(text, length, "b[3].c.f"), 9);
    CHECK_INT(sl_spec_line(text, length, "b[3].c.missing"), 6);
    CHECK_INT(sl_spec_line(text, length, "b[9].c"), 2);
    CHECK_INT(sl_spec_line(text, length, "a.b"), 1);
    for (size_t cut = 0; cut < length; cut++) /* a text that ends anywhere is not read beyond */
        CHECK(sl_spec_line(text, cut, "b[3].c.f") <= 9);
}

TEST(files_are_read_and_bounded) {
    const char *root = sl_tree_new();
    sl_spec *spec = NULL;
    CHECK_INT(sl_spec_load("/nonexistent/spec.json", &spec), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), "/nonexistent/spec.json");
    CHECK_INT(sl_spec_load(root, &spec), SL_ERR_IO);
    REQUIRE(sl_spec_load(sl_tree_write(root, "/good.json", full), &spec) == SL_OK);
    CHECK_INT(spec->node_count, 2);
    sl_spec_destroy(spec);
    char *large = malloc(SL_SPEC_FILE_MAX + 2);
    memset(large, ' ', SL_SPEC_FILE_MAX + 1);
    large[SL_SPEC_FILE_MAX + 1] = '\0';
    CHECK_INT(sl_spec_load(sl_tree_write(root, "/large.json", large), &spec), SL_ERR_TOO_LARGE);
    free(large);
    CHECK_INT(sl_spec_load(sl_tree_write(root, "/bad.json", "{\"nodes\":\n5}"), &spec),
              SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "/bad.json:2:nodes:");
}

TEST(deep_nesting_is_refused) {
    char deep[20001];
    sl_spec *spec = NULL;
    memset(deep, '[', 20000);
    deep[20000] = '\0';
    CHECK_INT(parse(deep, &spec), SL_ERR_SYNTAX);
}

static sl_hardware discover(const char *root, const char *text, double clock_ghz,
                            const char *visible) {
    static const char *value;
    sl_hardware hardware = {0};
    sl_spec *spec = NULL;
    value = visible;
    if (parse(text, &spec) != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "%s", sl_err_detail());
    const sl_hardware_source source = {.root = root,
                                       .synthetic = "pack:1 core:2 pu:1",
                                       .clock_ghz = clock_ghz,
                                       .spec = sl_spec_find(spec, "n1")};
    if (value)
        setenv("CUDA_VISIBLE_DEVICES", value, 1);
    else
        unsetenv("CUDA_VISIBLE_DEVICES");
    if (sl_hardware_discover(&source, &hardware) != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "%s", sl_err_detail());
    sl_spec_destroy(spec);
    return hardware;
}

TEST(a_description_follows_the_spec) {
    const char *root = sl_tree_new();
    sl_tree_write(root, "/proc/meminfo", "MemTotal: 8388608 kB\n");
    sl_hardware hardware = discover(root, full, 0, NULL);
    CHECK_STR(hardware.cpu.model, "My CPU");
    CHECK_DOUBLE(hardware.cpu.clock_ghz, 2.5, 0);
    CHECK_STR(hardware.cpu.clock_source, "spec file");
    CHECK_INT(hardware.memory_bytes, UINT64_C(4000000000));
    CHECK_STR(hardware.memory_source, "spec file");
    REQUIRE(hardware.accelerator_count == 5);
    CHECK_INT(hardware.accelerators[2].cuda_cores, 16896);
    CHECK_STR(hardware.accelerators[2].visible_id, "2");
    CHECK(hardware.accelerators[0].id != hardware.accelerators[1].id);
    sl_ucu ucu;
    CHECK(sl_ucu_of_hardware(&hardware, &ucu) == SL_OK);
    CHECK_DOUBLE(ucu.total_ucu, 2.5 + 3 * 13532.8 + 2 * 236.4, 1e-6);
    sl_hardware_fini(&hardware);
    hardware = discover(root, full, 3.5, NULL);
    CHECK_DOUBLE(hardware.cpu.clock_ghz, 3.5, 0); /* a flag is stronger than the file */
    sl_hardware_fini(&hardware);
}

TEST(stated_gpus_obey_cuda_visible_devices) {
    sl_hardware hardware = discover(NULL, full, 1, "2");
    CHECK_INT(sl_hardware_count(&hardware, SL_HARDWARE_GPU), 1);
    CHECK_INT(sl_hardware_count(&hardware, SL_HARDWARE_TPU), 2);
    CHECK_STR(hardware.accelerators[0].visible_id, "2");
    sl_hardware_fini(&hardware);
    unsetenv("CUDA_VISIBLE_DEVICES");
}

static const char *bus_with_two_gpus(void) {
    const char *root = sl_tree_new();
    sl_tree_pci(root, "0000:17:00.0", "0x10de\n", "0xffee\n", "0x030200\n");
    sl_tree_pci(root, "0000:3a:00.0", "0x10de\n", "0x2330\n", "0x030200\n");
    return root;
}

TEST(a_discovered_gpu_is_corrected_by_address) {
    sl_hardware hardware =
        discover(bus_with_two_gpus(),
                 GPU("\"pci_bus_id\": \"0000:17:00.0\", \"name\": \"Mine\", \"cuda_cores\": 5000,"
                     "\"memory_gb\": 20}, {\"type\": \"GPU\", \"pci_bus_id\": \"0000:3A:00.0\","
                     "\"sms\": 100"),
                 1, NULL);
    REQUIRE(hardware.accelerator_count == 2);
    CHECK_STR(hardware.accelerators[0].name, "Mine");
    CHECK(hardware.accelerators[0].usable);
    CHECK_STR(hardware.accelerators[0].warning, "");
    CHECK_CONTAINS(hardware.accelerators[0].found, "corrected by the spec file");
    CHECK_INT(hardware.accelerators[1].cuda_cores, 12800);
    CHECK_DOUBLE(hardware.accelerators[1].memory_gb, 80, 0);
    sl_ucu ucu;
    CHECK(sl_ucu_of_hardware(&hardware, &ucu) == SL_OK);
    CHECK_DOUBLE(ucu.gpu_ucu, 5000 * 0.8 + 20 * 0.2 + 12800 * 0.8 + 80 * 0.2, 1e-6);
    sl_hardware_fini(&hardware);
}

TEST(discovery_can_be_switched_off) {
    sl_hardware hardware =
        discover(bus_with_two_gpus(), NODE("\"discover_accelerators\": false"), 1, NULL);
    CHECK_INT(hardware.accelerator_count, 0);
    sl_hardware_fini(&hardware);
    hardware = discover(bus_with_two_gpus(), NODE("\"discover_accelerators\": true"), 1, NULL);
    CHECK_INT(hardware.accelerator_count, 2);
    sl_hardware_fini(&hardware);
}

TEST(what_the_spec_leaves_open_is_warned_of) {
    sl_hardware hardware = discover(NULL, GPU("\"memory_gb\": 80}, {\"type\": \"TPU\""), 1, NULL);
    REQUIRE(hardware.accelerator_count == 2);
    CHECK_CONTAINS(hardware.accelerators[0].warning, "CUDA cores unknown");
    CHECK_CONTAINS(hardware.accelerators[1].warning, "tflops unknown");
    sl_hardware_fini(&hardware);
}
