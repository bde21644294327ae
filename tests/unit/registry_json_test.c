/* The registry's facts as JSON: complete, and nothing unknown shown as 0. */
#include "actors/registry/hardware_json.h"
#include "actors/registry/spec.h"
#include "tests/lib/tree.h"

static const json_t *at(const json_t *value, const char *key) {
    return json_object_get(value, key);
}

static double number_at(const json_t *value, const char *key) {
    return json_number_value(at(value, key));
}

static const char spec_text[] = "{\"nodes\": [{\"hosts\": \"*\", \"accelerators\": ["
                                "{\"type\": \"GPU\", \"name\": \"H100\", \"sms\": 132, "
                                "\"compute_capability\": \"9.0\", \"memory_gb\": 80},"
                                "{\"type\": \"TPU\", \"tflops\": 275}]}]}";

static sl_hardware discover(void) {
    sl_hardware hardware = {0};
    sl_spec *spec = NULL;
    unsetenv("CUDA_VISIBLE_DEVICES");
    unsetenv("TPU_VISIBLE_CHIPS");
    CHECK(sl_spec_parse(spec_text, strlen(spec_text), "spec", &spec) == SL_OK);
    const sl_hardware_source source = {.synthetic = "pack:1 l2:2(size=1048576) core:1 pu:2",
                                       .hostname = "n1",
                                       .clock_ghz = 2.5,
                                       .spec = sl_spec_find(spec, "n1")};
    if (sl_hardware_discover(&source, &hardware) != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "%s", sl_err_detail());
    sl_spec_destroy(spec);
    return hardware;
}

TEST(a_machine_is_told_in_full) {
    sl_hardware hardware = discover();
    sl_ucu ucu;
    REQUIRE(sl_ucu_of_hardware(&hardware, &ucu) == SL_OK);
    json_t *json = sl_hardware_to_json(&hardware, &ucu);
    REQUIRE(json != NULL);
    CHECK_STR(json_string_value(at(json, "hostname")), "n1");
    CHECK_INT(number_at(at(json, "cpu"), "cores"), 2);
    CHECK_INT(number_at(at(json, "cpu"), "pus"), 4);
    CHECK_INT(number_at(at(json, "cpu"), "l2_bytes"), 1 << 20);
    CHECK(at(at(json, "cpu"), "l3_bytes") == NULL); /* there is none */
    CHECK_STR(json_string_value(at(at(json, "cpu"), "clock_source")), "configuration");
    const json_t *core = json_array_get(at(at(json, "cpu"), "core_list"), 1);
    CHECK_INT(number_at(core, "id"), 2);
    CHECK_INT(json_array_size(at(core, "pus")), 2);
    const json_t *gpu = json_array_get(at(json, "accelerators"), 0);
    CHECK_STR(json_string_value(at(gpu, "type")), "GPU");
    CHECK_STR(json_string_value(at(gpu, "compute_capability")), "9.0");
    CHECK_INT(number_at(gpu, "cuda_cores"), 16896);
    CHECK(at(gpu, "pci_bus_id") == NULL);
    CHECK(at(gpu, "tflops") == NULL);
    const json_t *terms = at(at(json, "ucu"), "terms");
    REQUIRE(json_array_size(terms) == 3);
    CHECK_STR(json_string_value(at(json_array_get(terms, 1), "formula")),
              "16896 CUDA cores * 0.8 + 80 GB * 0.2");
    CHECK_DOUBLE(number_at(at(json, "ucu"), "total_ucu"), 2.5 + 13532.8 + 330, 1e-9);
    double sum = 0;
    for (size_t i = 0; i < json_array_size(terms); i++)
        sum += number_at(json_array_get(terms, i), "ucu");
    CHECK_DOUBLE(sum, number_at(at(json, "ucu"), "total_ucu"), 1e-9);
    json_decref(json);
    sl_hardware_fini(&hardware);
}

TEST(an_offer_is_told) {
    sl_hardware hardware = discover();
    sl_offer offer;
    REQUIRE(sl_offer_make(&hardware, NULL, 2, 1, NULL, &offer) == SL_OK);
    json_t *json = sl_offer_to_json(&offer, &hardware);
    REQUIRE(json != NULL);
    CHECK_INT(number_at(json, "cpus"), 1);
    CHECK_INT(json_integer_value(json_array_get(at(json, "core_ids"), 0)), 2);
    CHECK(json_is_false(at(json, "oversubscribed")));
    CHECK_DOUBLE(number_at(json, "total_ucu"), offer.total_ucu, 0);
    CHECK_INT(number_at(json, "gpus") + number_at(json, "tpus"), 1);
    json_decref(json);
    sl_offer_fini(&offer);
    sl_hardware_fini(&hardware);
}

TEST(a_location_tells_what_is_given) {
    sl_location location = {.region = "eu", .zone = ""};
    json_t *json = sl_location_to_json(&location);
    REQUIRE(json != NULL);
    CHECK_INT(json_object_size(json), 1);
    CHECK_STR(json_string_value(at(json, "region")), "eu");
    json_decref(json);
    location.has_coordinates = true;
    location.longitude = -121.25;
    json = sl_location_to_json(&location);
    REQUIRE(json != NULL);
    CHECK_DOUBLE(number_at(json, "longitude"), -121.25, 0);
    CHECK_INT(json_object_size(json), 3);
    json_decref(json);
}
