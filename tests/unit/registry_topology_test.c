/* Cores, caches and cpusets: synthetic machines, restricted cpusets, this machine. */
#include "actors/registry/hardware.h"
#include "tests/lib/tree.h"

#include <sched.h>
#include <unistd.h>

#define BIG "pack:2 numa:1 core:64 pu:2"

static sl_err discover(const char *synthetic, const char *affinity, sl_hardware *hardware) {
    const sl_hardware_source source = {
        .synthetic = synthetic, .affinity = affinity, .clock_ghz = 2.0};
    return sl_hardware_discover(&source, hardware);
}

/* What must hold of every description. */
static void check_sound(const sl_hardware *hardware) {
    uint32_t pus = 0;
    CHECK(hardware->cpu.cores >= 1);
    CHECK(hardware->cpu.pus >= hardware->cpu.cores);
    CHECK(hardware->cpu.machine_cores >= hardware->cpu.cores);
    CHECK(hardware->cpu.machine_pus >= hardware->cpu.pus);
    for (uint32_t i = 0; i < hardware->cpu.cores; i++) {
        uint32_t count;
        const int32_t *list = sl_hardware_core_pus(hardware, i, &count);
        CHECK(count >= 1);
        CHECK_INT(list[0], hardware->cores[i].id);
        for (uint32_t k = 1; k < count; k++)
            CHECK(list[k] > list[k - 1]);
        if (i > 0)
            CHECK(hardware->cores[i].id > hardware->cores[i - 1].id);
        pus += count;
    }
    CHECK_INT(pus, hardware->cpu.pus);
}

TEST(a_synthetic_machine_is_described_whole) {
    sl_hardware hardware;
    REQUIRE(discover(BIG, NULL, &hardware) == SL_OK);
    check_sound(&hardware);
    CHECK_INT(hardware.cpu.packages, 2);
    CHECK_INT(hardware.cpu.numa_nodes, 2);
    CHECK_INT(hardware.cpu.cores, 128);
    CHECK_INT(hardware.cpu.pus, 256);
    CHECK_INT(hardware.cores[0].pu_count, 2);
    CHECK_INT(hardware.cores[127].package, 1);
    CHECK_INT(hardware.cores[127].numa, 1);
    CHECK_INT(hardware.accelerator_count, 0);
    sl_hardware_fini(&hardware);
    CHECK(hardware.cores == NULL);
}

TEST(only_allowed_cores_count) {
    sl_hardware hardware;
    /* PUs 0 and 1 are core 0; 3 is half of core 1; 128 is the first of package 1. */
    REQUIRE(discover(BIG, "0-1,3,128-129", &hardware) == SL_OK);
    check_sound(&hardware);
    CHECK_INT(hardware.cpu.cores, 3);
    CHECK_INT(hardware.cpu.pus, 5);
    CHECK_INT(hardware.cpu.packages, 2);
    CHECK_INT(hardware.cpu.machine_cores, 128);
    CHECK_INT(hardware.cpu.machine_pus, 256);
    CHECK_INT(hardware.cores[1].id, 3);
    CHECK_INT(hardware.cores[1].pu_count, 1);
    CHECK_INT(hardware.cores[2].id, 128);
    sl_hardware_fini(&hardware);
    REQUIRE(discover(BIG, "0-127", &hardware) == SL_OK);
    CHECK_INT(hardware.cpu.packages, 1);
    CHECK_INT(hardware.cpu.numa_nodes, 1);
    sl_hardware_fini(&hardware);
}

TEST(interleaved_numbering_keeps_siblings_together) {
    sl_hardware hardware;
    REQUIRE(discover("pack:1 core:4 pu:2(indexes=0,4,1,5,2,6,3,7)", NULL, &hardware) == SL_OK);
    check_sound(&hardware);
    CHECK_INT(hardware.cpu.cores, 4);
    uint32_t count;
    const int32_t *pus = sl_hardware_core_pus(&hardware, 1, &count);
    CHECK_INT(count, 2);
    CHECK_INT(pus[0], 1);
    CHECK_INT(pus[1], 5);
    sl_hardware_fini(&hardware);
}

TEST(caches_of_one_core_are_reported) {
    sl_hardware hardware;
    REQUIRE(discover("pack:2 l3:1(size=33554432) l2:8(size=1048576) l1d:1(size=32768) core:1 pu:1",
                     "3", &hardware) == SL_OK);
    CHECK_INT(hardware.cpu.l1_bytes, 32 << 10);
    CHECK_INT(hardware.cpu.l2_bytes, 1 << 20);
    CHECK_INT(hardware.cpu.l3_bytes, 32 << 20);
    sl_hardware_fini(&hardware);
}

TEST(a_machine_without_cores_counts_its_threads) {
    sl_hardware hardware;
    REQUIRE(discover("pack:1 pu:6", NULL, &hardware) == SL_OK);
    check_sound(&hardware);
    CHECK_INT(hardware.cpu.cores, 6);
    CHECK_CONTAINS(hardware.warnings[0], "no cores");
    sl_hardware_fini(&hardware);
}

TEST(cpus_beyond_the_bound_are_left_out) {
    static const char high[] = "pack:1 core:4 pu:1(indexes=0,4095,4096,4200)";
    sl_hardware hardware;
    REQUIRE(discover(high, NULL, &hardware) == SL_OK);
    check_sound(&hardware);
    CHECK_INT(hardware.cpu.pus, 2);
    CHECK_INT(hardware.pus[1], SL_HARDWARE_PUS_MAX - 1);
    CHECK_CONTAINS(hardware.warnings[0], "cpus 4096 to 4200");
    sl_hardware_fini(&hardware);
    CHECK_INT(discover(high, "4096-4200", &hardware), SL_ERR_TOO_LARGE);
}

TEST(bad_sources_are_refused) {
    sl_hardware hardware;
    CHECK_INT(discover("pack:two", NULL, &hardware), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "pack:two");
    CHECK_INT(discover(BIG, "0-x", &hardware), SL_ERR_INVALID);
    CHECK_INT(discover(BIG, "9000", &hardware), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "no cpu");
    CHECK_INT(discover(BIG, "", &hardware), SL_ERR_INVALID);
    sl_hardware_source source = {.xml_path = "/nonexistent/machine.xml"};
    CHECK_INT(sl_hardware_discover(&source, &hardware), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "/nonexistent/machine.xml");
}

static const char machine_xml[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n"
    "<topology version=\"2.0\">\n"
    "<object type=\"Machine\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\" "
    "allowed_cpuset=\"0x3\""
    " nodeset=\"0x1\" complete_nodeset=\"0x1\" allowed_nodeset=\"0x1\" gp_index=\"1\">\n"
    "<info name=\"Architecture\" value=\"x86_64\"/>\n"
    "<object type=\"NUMANode\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\" "
    "nodeset=\"0x1\""
    " complete_nodeset=\"0x1\" gp_index=\"2\" local_memory=\"8589934592\"/>\n"
    "<object type=\"Package\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\" nodeset=\"0x1\""
    " complete_nodeset=\"0x1\" gp_index=\"3\"><info name=\"CPUModel\" value=\"Test CPU @ "
    "3.10GHz\"/>\n"
    "<object type=\"Core\" os_index=\"0\" cpuset=\"0x1\" complete_cpuset=\"0x1\" nodeset=\"0x1\""
    " complete_nodeset=\"0x1\" gp_index=\"4\"><object type=\"PU\" os_index=\"0\" cpuset=\"0x1\""
    " complete_cpuset=\"0x1\" nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"5\"/></object>\n"
    "<object type=\"Core\" os_index=\"1\" cpuset=\"0x2\" complete_cpuset=\"0x2\" nodeset=\"0x1\""
    " complete_nodeset=\"0x1\" gp_index=\"6\"><object type=\"PU\" os_index=\"1\" cpuset=\"0x2\""
    " complete_cpuset=\"0x2\" nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"7\"/></object>\n"
    "</object></object></topology>\n";

TEST(a_captured_machine_is_read_from_its_file) {
    const char *path = sl_tree_write(sl_tree_new(), "/machine.xml", machine_xml);
    sl_hardware hardware;
    sl_hardware_source source = {.xml_path = path, .hostname = "n7"};
    REQUIRE(sl_hardware_discover(&source, &hardware) == SL_OK);
    check_sound(&hardware);
    CHECK_STR(hardware.hostname, "n7");
    CHECK_STR(hardware.cpu.model, "Test CPU @ 3.10GHz");
    CHECK_STR(hardware.cpu.clock_source, "model name");
    CHECK_DOUBLE(hardware.cpu.clock_ghz, 3.1, 1e-12);
    CHECK_INT(hardware.cpu.cores, 2);
    CHECK(hardware.memory_bytes == UINT64_C(8589934592));
    CHECK_STR(hardware.memory_source, "hwloc");
    sl_hardware_fini(&hardware);
}

TEST(this_machine_is_described) {
    sl_hardware hardware;
    REQUIRE(sl_hardware_discover(NULL, &hardware) == SL_OK);
    check_sound(&hardware);
    CHECK(hardware.cpu.clock_ghz > 0.05 && hardware.cpu.clock_ghz < 20);
    CHECK(hardware.cpu.clock_source[0] != '\0');
    CHECK(hardware.memory_bytes > (64u << 20));
    CHECK(hardware.cpu.model[0] != '\0');
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    CHECK_STR(hardware.hostname, name);
    sl_hardware_fini(&hardware);
}

TEST(a_binding_of_this_thread_counts) {
    cpu_set_t before, one;
    sl_hardware hardware;
    REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    sl_err err = sl_hardware_discover(NULL, &hardware);
    sched_setaffinity(0, sizeof before, &before);
    REQUIRE(err == SL_OK);
    CHECK_INT(hardware.cpu.cores, 1);
    CHECK_INT(hardware.cpu.pus, 1);
    CHECK_INT(hardware.pus[0], cpu);
    sl_hardware_fini(&hardware);
}

TEST(text_from_outside_is_tamed) {
    char text[8];
    sl_hardware_text(text, sizeof text, "  a\tb\n");
    CHECK_STR(text, "a?b");
    sl_hardware_text(text, sizeof text, "\xff\xfe long enough");
    CHECK_STR(text, "?? long");
    sl_hardware_text(text, sizeof text, " \n");
    CHECK_STR(text, "");
}

TEST(warnings_are_bounded) {
    static sl_hardware hardware;
    char word[512];
    memset(word, 'w', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    for (int i = 0; i < 3 * SL_HARDWARE_WARNINGS_MAX; i++)
        sl_hardware_warn(&hardware, "%s", word);
    CHECK_INT(hardware.warning_count, 3 * SL_HARDWARE_WARNINGS_MAX);
    CHECK_INT(strlen(hardware.warnings[SL_HARDWARE_WARNINGS_MAX - 1]), SL_HARDWARE_WARNING_MAX - 1);
}
