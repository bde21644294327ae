/* Each step of the clock chain, on fake trees from which the steps before it are missing. */
#include "actors/registry/hardware.h"
#include "tests/lib/tree.h"

#define BASE "/sys/devices/system/cpu/cpu%d/cpufreq/base_frequency"
#define MOST "/sys/devices/system/cpu/cpu%d/cpufreq/cpuinfo_max_freq"

static void write_khz(const char *root, const char *pattern, int cpu, const char *khz) {
    char path[128];
    snprintf(path, sizeof path, strcmp(pattern, BASE) == 0 ? BASE : MOST, cpu);
    sl_tree_write(root, path, khz);
}

static const char cpuinfo_named[] = "processor\t: 0\nmodel name\t: Gold 6148 CPU @ 2.40GHz\n"
                                    "cpu MHz\t\t: 1000.000\n\n";
static const char cpuinfo_plain[] = "processor\t: 0\nmodel name\t: EPYC\ncpu MHz\t\t: 2000.5\n\n"
                                    "processor\t: 1\nmodel name\t: EPYC\ncpu MHz\t\t: 3000.5\n\n"
                                    "processor\t: 2\nmodel name\t: EPYC\ncpu MHz\t\t: 9000.0\n\n";

/* Cores 0 and 1 of four are allowed. */
static void expect(sl_hardware_source source, const char *word, double ghz) {
    sl_hardware hardware;
    source.synthetic = "pack:1 core:4 pu:1";
    source.affinity = "0-1";
    REQUIRE(sl_hardware_discover(&source, &hardware) == SL_OK);
    CHECK_STR(hardware.cpu.clock_source, word);
    CHECK_DOUBLE(hardware.cpu.clock_ghz, ghz, 1e-9);
    sl_hardware_fini(&hardware);
}

TEST(the_users_word_comes_first) {
    const char *root = sl_tree_new();
    write_khz(root, BASE, 0, "2100000\n");
    expect((sl_hardware_source){.root = root, .clock_ghz = 3.3}, "configuration", 3.3);
}

TEST(base_frequency_is_averaged_over_allowed_cores) {
    const char *root = sl_tree_new();
    write_khz(root, BASE, 0, "2000000\n");
    write_khz(root, BASE, 1, "3000000\n");
    write_khz(root, BASE, 2, "9000000\n");
    write_khz(root, MOST, 0, "4000000\n");
    sl_tree_write(root, "/proc/cpuinfo", cpuinfo_named);
    expect((sl_hardware_source){.root = root, .cpuid_mhz = 1500}, "cpufreq base_frequency", 2.5);
}

TEST(max_frequency_follows) {
    const char *root = sl_tree_new();
    write_khz(root, MOST, 0, "4000000\n");
    write_khz(root, MOST, 1, "4000000\n");
    expect((sl_hardware_source){.root = root, .cpuid_mhz = 1500}, "cpufreq cpuinfo_max_freq", 4.0);
}

TEST(cpuid_follows) {
    const char *root = sl_tree_new();
    sl_tree_write(root, "/proc/cpuinfo", cpuinfo_named);
    expect((sl_hardware_source){.root = root, .cpuid_mhz = 1500}, "CPUID leaf 16h", 1.5);
}

TEST(the_model_name_follows) {
    const char *root = sl_tree_new();
    sl_tree_write(root, "/proc/cpuinfo", cpuinfo_named);
    expect((sl_hardware_source){.root = root}, "model name", 2.4);
    sl_tree_write(root, "/proc/cpuinfo", "processor : 0\nmodel name : Old CPU @ 900MHz\n");
    expect((sl_hardware_source){.root = root}, "model name", 0.9);
}

TEST(the_running_clock_of_allowed_cpus_follows) {
    const char *root = sl_tree_new();
    sl_tree_write(root, "/proc/cpuinfo", cpuinfo_plain);
    expect((sl_hardware_source){.root = root}, "/proc/cpuinfo cpu MHz", 2.5005);
}

TEST(cpukinds_of_a_captured_machine_count) {
    static const char xml[] =
        "<?xml version=\"1.0\"?>\n<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n<topology "
        "version=\"2.0\">\n"
        "<object type=\"Machine\" os_index=\"0\" cpuset=\"0xf\" complete_cpuset=\"0xf\""
        " allowed_cpuset=\"0xf\" nodeset=\"0x1\" complete_nodeset=\"0x1\" allowed_nodeset=\"0x1\""
        " gp_index=\"1\">\n"
        "<object type=\"NUMANode\" os_index=\"0\" cpuset=\"0xf\" complete_cpuset=\"0xf\" "
        "nodeset=\"0x1\""
        " complete_nodeset=\"0x1\" gp_index=\"2\" local_memory=\"1073741824\"/>\n"
        "<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\" complete_cpuset=\"0x1\" nodeset=\"0x1\""
        " complete_nodeset=\"0x1\" gp_index=\"3\"/>\n"
        "<object type=\"PU\" os_index=\"1\" cpuset=\"0x2\" complete_cpuset=\"0x2\" nodeset=\"0x1\""
        " complete_nodeset=\"0x1\" gp_index=\"4\"/>\n"
        "<object type=\"PU\" os_index=\"2\" cpuset=\"0x4\" complete_cpuset=\"0x4\" nodeset=\"0x1\""
        " complete_nodeset=\"0x1\" gp_index=\"5\"/>\n"
        "<object type=\"PU\" os_index=\"3\" cpuset=\"0x8\" complete_cpuset=\"0x8\" nodeset=\"0x1\""
        " complete_nodeset=\"0x1\" gp_index=\"6\"/>\n"
        "</object>\n"
        "<cpukind cpuset=\"0x1\"><info name=\"FrequencyMaxMHz\" value=\"4000\"/>"
        "<info name=\"FrequencyBaseMHz\" value=\"3000\"/></cpukind>\n"
        "<cpukind cpuset=\"0xe\"><info name=\"FrequencyMaxMHz\" value=\"2000\"/></cpukind>\n"
        "</topology>\n";
    sl_hardware hardware;
    const sl_hardware_source source = {.xml_path = sl_tree_write(sl_tree_new(), "/m.xml", xml),
                                       .affinity = "0-1"};
    REQUIRE(sl_hardware_discover(&source, &hardware) == SL_OK);
    CHECK_STR(hardware.cpu.clock_source, "hwloc cpukinds");
    CHECK_DOUBLE(hardware.cpu.clock_ghz, 2.5, 1e-9);
    sl_hardware_fini(&hardware);
}

TEST(a_timed_loop_is_the_last_resort) {
    sl_hardware hardware;
    const sl_hardware_source source = {.root = sl_tree_new(), .synthetic = "pack:1 core:1 pu:1"};
    REQUIRE(sl_hardware_discover(&source, &hardware) == SL_OK);
    CHECK_STR(hardware.cpu.clock_source, "timed loop");
    CHECK(hardware.cpu.clock_ghz >= 0.05 && hardware.cpu.clock_ghz <= 20);
    sl_hardware_fini(&hardware);
}

TEST(an_absurd_clock_is_not_believed) {
    const char *root = sl_tree_new();
    write_khz(root, BASE, 0, "0\n");
    write_khz(root, MOST, 0, "3000000000\n");
    sl_tree_write(root, "/proc/cpuinfo", cpuinfo_plain);
    expect((sl_hardware_source){.root = root}, "/proc/cpuinfo cpu MHz", 2.5005);
}

TEST(damaged_files_are_passed_over) {
    const char *root = sl_tree_new();
    write_khz(root, BASE, 0, "fast\n");
    write_khz(root, MOST, 0, "99999999999999999999999\n");
    sl_tree_write(root, "/proc/cpuinfo", "model name\ncpu MHz\nprocessor : -5\ncpu MHz : 7\n: :\n");
    expect((sl_hardware_source){.root = root, .cpuid_mhz = 1200}, "CPUID leaf 16h", 1.2);
}
