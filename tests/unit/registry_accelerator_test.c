/* GPUs and TPUs: fake PCI buses, a fake CUDA plug-in, the real one where it was built, visibility.
 */
#include "actors/registry/discovery.h"
#include "actors/registry/ucu.h"
#include "tests/lib/tree.h"

#define DISPLAY "0x030200\n"

/* The environment of the process being described: pairs, NULL-ended. */
static const char *const *variables;

static const char *environment(const char *name) {
    for (const char *const *pair = variables; pair && pair[0]; pair += 2)
        if (strcmp(pair[0], name) == 0)
            return pair[1];
    return NULL;
}

static sl_hardware discover(const char *root, const char *const *set) {
    sl_hardware hardware = {0};
    const sl_hardware_source source = {.root = root,
                                       .synthetic = "pack:1 core:2 pu:1",
                                       .clock_ghz = 1,
                                       .environment = environment};
    variables = set;
    if (sl_hardware_discover(&source, &hardware) != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "discovery: %s", sl_err_detail());
    return hardware;
}

/* Four H100s in the order of their addresses, with what never counts between them. */
static const char *four_gpus(void) {
    const char *root = sl_tree_new();
    sl_tree_pci(root, "0000:c1:00.0", "0x10de\n", "0x2330\n", DISPLAY);
    sl_tree_pci(root, "0000:17:00.0", "0x10de\n", "0x2330\n", DISPLAY);
    sl_tree_pci(root, "0000:3a:00.0", "0x10de\n", "0x2330\n", DISPLAY);
    sl_tree_pci(root, "0000:85:00.0", "0x10de\n", "0x2330\n", DISPLAY);
    sl_tree_pci(root, "0000:86:00.0", "0x10de\n", "0x22a3\n", "0x068000\n"); /* an NVSwitch */
    sl_tree_pci(root, "0000:00:02.0", "0x8086\n", "0x1234\n",
                "0x030000\n"); /* another vendor's display */
    sl_tree_write(root, "/sys/bus/pci/devices/not-an-address/vendor", "0x10de\n");
    return root;
}

static void load_driver(const char *root, const char *address, const char *name, const char *uuid) {
    char path[256], text[256];
    snprintf(path, sizeof path, "/proc/driver/nvidia/gpus/%s/information", address);
    snprintf(text, sizeof text, "Model: \t\t %s\nIRQ:   \t\t 10\nGPU UUID: \t %s\n", name, uuid);
    sl_tree_write(root, path, text);
}

static const char *four_gpus_with_driver(void) {
    const char *root = four_gpus();
    load_driver(root, "0000:17:00.0", "NVIDIA H100 80GB HBM3", "GPU-aaaa0000");
    load_driver(root, "0000:3a:00.0", "NVIDIA H100 80GB HBM3", "GPU-bbbb1111");
    load_driver(root, "0000:85:00.0", "NVIDIA H100 80GB HBM3", "GPU-bbbb2222");
    load_driver(root, "0000:c1:00.0", "NVIDIA H100 80GB HBM3", "GPU-dddd3333");
    return root;
}

TEST(gpus_without_a_driver_are_described_and_not_offered) {
    sl_hardware hardware = discover(four_gpus(), NULL);
    REQUIRE(hardware.accelerator_count == 4);
    const sl_accelerator *gpu = &hardware.accelerators[0];
    CHECK_STR(gpu->pci_bus_id, "0000:17:00.0");
    CHECK_STR(gpu->name, "NVIDIA H100 SXM5 80GB");
    CHECK_INT(gpu->sms, 132);
    CHECK_INT(gpu->cuda_cores, 16896);
    CHECK_DOUBLE(gpu->memory_gb, 80, 0);
    CHECK(!gpu->usable);
    CHECK_CONTAINS(gpu->warning, "driver");
    CHECK_STR(hardware.accelerators[3].pci_bus_id, "0000:c1:00.0");
    CHECK_INT(sl_hardware_count(&hardware, SL_HARDWARE_GPU), 0);
    sl_ucu ucu;
    CHECK(sl_ucu_of_hardware(&hardware, &ucu) == SL_OK);
    CHECK_DOUBLE(ucu.gpu_ucu, 0, 0);
    sl_hardware_fini(&hardware);
}

TEST(a_loaded_driver_makes_them_usable) {
    sl_hardware hardware = discover(four_gpus_with_driver(), NULL);
    REQUIRE(hardware.accelerator_count == 4);
    CHECK_STR(hardware.accelerators[1].name, "NVIDIA H100 80GB HBM3");
    CHECK_STR(hardware.accelerators[1].uuid, "GPU-bbbb1111");
    CHECK_STR(hardware.accelerators[1].visible_id, "1");
    CHECK_STR(hardware.accelerators[1].warning, "");
    CHECK_INT(sl_hardware_count(&hardware, SL_HARDWARE_GPU), 4);
    sl_ucu ucu;
    CHECK(sl_ucu_of_hardware(&hardware, &ucu) == SL_OK);
    CHECK_DOUBLE(ucu.gpu_ucu, 4 * 13532.8, 1e-6);
    CHECK(hardware.accelerators[0].id != hardware.accelerators[1].id);
    sl_hardware_fini(&hardware);
}

/* So the driver's file reads until the GPU has been used. */
TEST(a_uuid_that_the_driver_does_not_know_yet_is_none) {
    const char *unknown = "GPU-\?\?\?\?\?\?\?\?-\?\?\?\?";
    const char *root = four_gpus();
    load_driver(root, "0000:17:00.0", "NVIDIA H100 80GB HBM3", unknown);
    load_driver(root, "0000:3a:00.0", "NVIDIA H100 80GB HBM3", unknown);
    sl_hardware hardware = discover(root, NULL);
    REQUIRE(hardware.accelerator_count == 4);
    CHECK(hardware.accelerators[0].usable && hardware.accelerators[1].usable);
    CHECK_STR(hardware.accelerators[0].uuid, "");
    CHECK(hardware.accelerators[0].id != hardware.accelerators[1].id);
    sl_hardware_fini(&hardware);
}

TEST(an_unknown_gpu_has_no_ucu_and_says_so) {
    const char *root = sl_tree_new();
    sl_tree_pci(root, "0000:01:00.0", "0x10de\n", "0xffee\n", "0x030000\n");
    load_driver(root, "0000:01:00.0", "NVIDIA New Thing", "GPU-1");
    sl_hardware hardware = discover(root, NULL);
    REQUIRE(hardware.accelerator_count == 1);
    CHECK_STR(hardware.accelerators[0].name, "NVIDIA New Thing");
    CHECK_INT(hardware.accelerators[0].cuda_cores, 0);
    CHECK_CONTAINS(hardware.accelerators[0].warning, "CUDA cores unknown");
    sl_ucu ucu;
    CHECK(sl_ucu_of_hardware(&hardware, &ucu) == SL_OK);
    CHECK_DOUBLE(ucu.gpu_ucu, 0, 0);
    sl_hardware_fini(&hardware);
    root = sl_tree_new();
    sl_tree_pci(root, "0000:01:00.0", "0x10de\n", "0xffee\n", "0x030000\n");
    hardware = discover(root, NULL);
    CHECK_STR(hardware.accelerators[0].name, "NVIDIA GPU 10de:ffee");
    sl_hardware_fini(&hardware);
}

/* Which of the four GPUs a value leaves, as the last letters of their addresses' bus. */
static void expect_visible(const char *root, const char *value, const char *buses) {
    char found[64] = "";
    sl_hardware hardware = discover(root, (const char *[]){"CUDA_VISIBLE_DEVICES", value, NULL});
    for (uint32_t i = 0; i < hardware.accelerator_count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%.2s", i ? " " : "",
                 hardware.accelerators[i].pci_bus_id + 5);
    CHECK_STR(found, buses);
    sl_hardware_fini(&hardware);
}

TEST(cuda_visible_devices_is_obeyed) {
    const char *root = four_gpus_with_driver();
    expect_visible(root, "0,1,2,3", "17 3a 85 c1");
    expect_visible(root, "2", "85");
    expect_visible(root, "3,0", "c1 17");
    expect_visible(root, " 1 , 2 ", "3a 85");
    expect_visible(root, "", "");
    expect_visible(root, "-1", "");
    expect_visible(root, "NoDevFiles", "");
    expect_visible(root, "1,9,2", "3a"); /* up to the first that is not there */
    expect_visible(root, "1,1,2", "3a"); /* or is there twice */
    expect_visible(root, "1,-1,2", "3a");
    expect_visible(root, "99999999999999999999", "");
    expect_visible(root, "GPU-dddd3333,GPU-aaaa", "c1 17");
    expect_visible(root, "GPU-eeee", "");
    expect_visible(root, "0x1", "");
}

TEST(a_granted_gpu_keeps_the_name_it_was_given) {
    const char *root = four_gpus_with_driver();
    sl_hardware all = discover(root, NULL);
    sl_hardware some =
        discover(root, (const char *[]){"CUDA_VISIBLE_DEVICES", "3,GPU-bbbb1111", NULL});
    REQUIRE(some.accelerator_count == 2);
    CHECK_STR(some.accelerators[0].visible_id, "3");
    CHECK_STR(some.accelerators[1].visible_id, "GPU-bbbb1111");
    CHECK(some.accelerators[0].id == all.accelerators[3].id);
    CHECK(some.accelerators[1].id == all.accelerators[1].id);
    sl_hardware_fini(&all);
    sl_hardware_fini(&some);
}

TEST(a_list_that_names_too_many_is_warned_of) {
    sl_hardware hardware =
        discover(four_gpus(), (const char *[]){"CUDA_VISIBLE_DEVICES", "0,7", NULL});
    REQUIRE(hardware.warning_count == 1);
    CHECK_CONTAINS(hardware.warnings[0], "CUDA_VISIBLE_DEVICES names 2 devices, 1");
    sl_hardware_fini(&hardware);
    char wide[200];
    memset(wide, '1', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    hardware = discover(four_gpus(), (const char *[]){"CUDA_VISIBLE_DEVICES", wide, NULL});
    CHECK_INT(hardware.accelerator_count, 4);
    CHECK_CONTAINS(hardware.warnings[0], "not a list");
    sl_hardware_fini(&hardware);
}

TEST(tpus_are_known_by_their_ids) {
    static const struct {
        const char *device, *name;
        double tflops;
    } chips[] = {
        {"0x0027\n", "TPU v2", 46},   {"0x005e\n", "TPU v4", 275},  {"0x0062\n", "TPU v5p", 459},
        {"0x0063\n", "TPU v5e", 197}, {"0x006f\n", "TPU v6e", 918}, {"0x0076\n", "TPU v7", 2307},
    };
    for (size_t i = 0; i < sizeof chips / sizeof *chips; i++) {
        const char *root = sl_tree_new();
        sl_tree_pci(root, "0000:00:04.0", "0x1ae0\n", chips[i].device, "0x088000\n");
        sl_tree_pci(root, "0000:00:05.0", "0x1ae0\n", "0x0042\n",
                    "0x020000\n"); /* the network card */
        sl_hardware hardware = discover(root, NULL);
        REQUIRE(hardware.accelerator_count == 1);
        CHECK_INT(hardware.accelerators[0].type, SL_HARDWARE_TPU);
        CHECK_STR(hardware.accelerators[0].name, chips[i].name);
        sl_ucu ucu;
        CHECK(sl_ucu_of_hardware(&hardware, &ucu) == SL_OK);
        CHECK_DOUBLE(ucu.tpu_ucu, chips[i].tflops * 1.2, 1e-9);
        sl_hardware_fini(&hardware);
    }
}

TEST(the_shared_id_is_v3_where_the_environment_says_so) {
    const char *root = sl_tree_new();
    sl_tree_pci(root, "0000:00:04.0", "0x1ae0\n", "0x0027\n", "0x088000\n");
    sl_hardware hardware = discover(root, NULL);
    CHECK_CONTAINS(hardware.accelerators[0].warning, "v2 and v3");
    sl_hardware_fini(&hardware);
    hardware = discover(root, (const char *[]){"TPU_ACCELERATOR_TYPE", "v3-8", NULL});
    CHECK_STR(hardware.accelerators[0].name, "TPU v3");
    CHECK_DOUBLE(hardware.accelerators[0].tflops, 123, 0);
    CHECK_STR(hardware.accelerators[0].warning, "");
    sl_hardware_fini(&hardware);
    hardware = discover(root, (const char *[]){"TPU_ACCELERATOR_TYPE", "v2-8", NULL});
    CHECK_STR(hardware.accelerators[0].name, "TPU v2");
    CHECK_STR(hardware.accelerators[0].warning, "");
    sl_hardware_fini(&hardware);
}

TEST(tpu_visible_chips_is_obeyed) {
    const char *root = sl_tree_new();
    for (int i = 4; i < 8; i++) {
        char address[16];
        snprintf(address, sizeof address, "0000:00:0%d.0", i);
        sl_tree_pci(root, address, "0x1ae0\n", "0x005e\n", "0x088000\n");
    }
    sl_hardware hardware = discover(root, (const char *[]){"TPU_VISIBLE_CHIPS", "1,3", NULL});
    REQUIRE(hardware.accelerator_count == 2);
    CHECK_STR(hardware.accelerators[1].pci_bus_id, "0000:00:07.0");
    CHECK_STR(hardware.accelerators[1].visible_id, "3");
    sl_hardware_fini(&hardware);
}

TEST(more_accelerators_than_the_bound_are_left_out) {
    const char *root = sl_tree_new();
    for (int i = 0; i < 70; i++) {
        char address[16];
        snprintf(address, sizeof address, "0000:%02x:00.0", i);
        sl_tree_pci(root, address, "0x10de\n", "0x2330\n", DISPLAY);
    }
    sl_hardware hardware = discover(root, NULL);
    CHECK_INT(hardware.accelerator_count, SL_HARDWARE_ACCELERATORS_MAX);
    CHECK(hardware.warning_count >= 1);
    sl_hardware_fini(&hardware);
}

TEST(damaged_devices_are_passed_over) {
    const char *root = sl_tree_new();
    sl_tree_pci(root, "0000:01:00.0", "0x10de\n", "H100\n", DISPLAY);
    sl_tree_pci(root, "0000:02:00.0", "0x10de\n", "0x2330\n", "\n");
    sl_tree_pci(root, "0000:03:00.0", "10de\n", "0x2330\n", DISPLAY);
    sl_tree_pci(root, "0000:04:00.0", "", "", "");
    sl_tree_write(root, "/sys/bus/pci/devices/0000:05:00.0/device", "0x2330\n");
    sl_hardware hardware = discover(root, NULL);
    CHECK_INT(hardware.accelerator_count, 0);
    sl_hardware_fini(&hardware);
}

/* A plug-in in this program: two GPUs, the second of which fails; or an error. */
static int fake_error;

static int fake_count(int *count) {
    if (fake_error == 0)
        *count = 3;
    return fake_error;
}

static int fake_probe(int index, sl_cuda_device *device) {
    if (index == 1)
        return 46;
    memset(device->name, 'n', sizeof device->name); /* no end: the reader must bring its own */
    snprintf(device->pci_bus_id, sizeof device->pci_bus_id, "0000:%02X:00.0", 0xa0 + index);
    device->uuid[0] = 0xab, device->uuid[15] = (uint8_t)index;
    device->sms = 132;
    device->compute_major = index == 0 ? 9 : 14;
    device->clock_mhz = 1980;
    device->memory_bytes = UINT64_C(85031714816);
    return 0;
}

static const char *fake_text(int error) {
    return error == 46 ? "devices unavailable" : "some error";
}

static const sl_cuda_plugin_table fake_plugin = {SL_CUDA_PLUGIN_VERSION, 13000, fake_count,
                                                 fake_probe, fake_text};

TEST(a_plugins_gpus_are_taken_over) {
    static sl_hardware hardware;
    const sl_hardware_source source = {.environment = environment};
    sl_discovery discovery = {.source = &source, .root = "", .hardware = &hardware};
    fake_error = 0;
    CHECK(sl_gpu_discover_cuda(&discovery, &fake_plugin));
    REQUIRE(hardware.accelerator_count == 2);
    const sl_accelerator *gpu = hardware.accelerators;
    CHECK_INT(strlen(gpu[0].name), SL_HARDWARE_NAME_MAX - 1);
    CHECK_STR(gpu[0].pci_bus_id, "0000:a0:00.0");
    CHECK_STR(gpu[0].uuid, "GPU-ab000000-0000-0000-0000-000000000000");
    CHECK_INT(gpu[0].cuda_cores, 16896);
    CHECK_DOUBLE(gpu[0].memory_gb, 80, 0);
    CHECK_STR(gpu[0].warning, "");
    CHECK_STR(gpu[1].uuid, "GPU-ab000000-0000-0000-0000-000000000002");
    CHECK_INT(gpu[1].cuda_cores, 132 * 128); /* newer than the table */
    CHECK_CONTAINS(gpu[1].warning, "128 CUDA cores per SM are assumed");
    REQUIRE(hardware.warning_count == 1);
    CHECK_CONTAINS(hardware.warnings[0], "GPU 1 cannot be used: devices unavailable (error 46)");
}

TEST(no_driver_and_no_device_are_no_errors) {
    static sl_hardware hardware;
    const sl_hardware_source source = {.environment = environment};
    sl_discovery discovery = {.source = &source, .root = "", .hardware = &hardware};
    fake_error = SL_CUDA_NO_DRIVER;
    CHECK(!sl_gpu_discover_cuda(&discovery, &fake_plugin));
    fake_error = SL_CUDA_NO_DEVICE;
    CHECK(!sl_gpu_discover_cuda(&discovery, &fake_plugin));
    CHECK_INT(hardware.warning_count, 0);
    fake_error = 3;
    CHECK(!sl_gpu_discover_cuda(&discovery, &fake_plugin));
    REQUIRE(hardware.warning_count == 1);
    CHECK_CONTAINS(hardware.warnings[0], "error 3");
    CHECK_INT(hardware.accelerator_count, 0);
}

static void expect_plugin_warning(const char *path, const char *part) {
    sl_hardware hardware = {0};
    const sl_hardware_source source = {.cuda_plugin = path};
    sl_discovery discovery = {.source = &source, .root = "", .hardware = &hardware};
    CHECK(sl_gpu_plugin_load(&discovery) == NULL);
    CHECK_INT(hardware.warning_count, part ? 1 : 0);
    CHECK_CONTAINS(hardware.warnings[0], part ? part : "");
}

TEST(a_plugin_that_is_none_is_warned_of) {
    expect_plugin_warning("", NULL);
    expect_plugin_warning("/nonexistent/plugin.so", "cannot be loaded");
    expect_plugin_warning(sl_tree_write(sl_tree_new(), "/plugin.so", "text\n"), "cannot be loaded");
    expect_plugin_warning("libm.so.6", "no symbol");
}

TEST(the_built_plugin_answers) {
    static sl_hardware hardware;
    const sl_hardware_source source = {.cuda_plugin = NULL};
    sl_discovery discovery = {
        .source = &source, .root = "", .this_machine = true, .hardware = &hardware};
    const sl_cuda_plugin_table *plugin = sl_gpu_plugin_load(&discovery);
    if (!plugin) {
        fprintf(stderr, "    skipped: the CUDA plug-in was not built\n");
        CHECK_INT(hardware.warning_count, 0);
        return;
    }
    int count = -1, error = plugin->device_count(&count);
    CHECK(plugin->error_text(SL_CUDA_NO_DRIVER)[0] != '\0');
    bool found = sl_gpu_discover_cuda(&discovery, plugin);
    CHECK_INT(found, error == 0 && count > 0);
    if (error == SL_CUDA_NO_DRIVER || error == SL_CUDA_NO_DEVICE)
        CHECK_INT(hardware.warning_count + hardware.accelerator_count, 0);
    for (uint32_t i = 0; i < hardware.accelerator_count; i++) {
        CHECK(hardware.accelerators[i].cuda_cores > 0);
        CHECK(hardware.accelerators[i].memory_gb >= 1);
        CHECK_INT(strlen(hardware.accelerators[i].uuid), 40);
    }
}
