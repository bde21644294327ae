/* Memory: meminfo, cgroup limits of both versions, and where they disagree. */
#include "actors/registry/hardware.h"
#include "tests/lib/tree.h"

#define GIB (UINT64_C(1) << 30)

static const char *tree_with(const char *meminfo, const char *cgroup) {
    const char *root = sl_tree_new();
    if (meminfo)
        sl_tree_write(root, "/proc/meminfo", meminfo);
    if (cgroup)
        sl_tree_write(root, "/proc/self/cgroup", cgroup);
    return root;
}

static sl_hardware discover(const char *root) {
    sl_hardware hardware = {0};
    const sl_hardware_source source = {
        .root = root, .synthetic = "pack:1 [numa(memory=8GB)] core:2 pu:1", .clock_ghz = 1};
    sl_err err = sl_hardware_discover(&source, &hardware);
    if (err != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "discovery: %s", sl_err_detail());
    return hardware;
}

static void expect(const char *root, uint64_t bytes, const char *source) {
    sl_hardware hardware = discover(root);
    CHECK_INT(hardware.memory_bytes, bytes);
    CHECK_STR(hardware.memory_source, source);
    sl_hardware_fini(&hardware);
}

static const char meminfo_8[] = "MemTotal:        8388608 kB\nMemFree: 1 kB\n";

TEST(meminfo_is_the_total) {
    expect(tree_with(meminfo_8, NULL), 8 * GIB, "/proc/meminfo");
}

TEST(without_meminfo_hwloc_counts) {
    sl_hardware hardware = discover(tree_with(NULL, NULL));
    CHECK(hardware.memory_bytes >= 7 * GIB && hardware.memory_bytes <= 8 * GIB);
    CHECK_STR(hardware.memory_source, "hwloc");
    sl_hardware_fini(&hardware);
}

TEST(hwloc_disagreeing_is_said) {
    sl_hardware hardware = discover(tree_with("MemTotal: 25165824 kB\n", NULL));
    CHECK_INT(hardware.memory_bytes, 24 * GIB);
    REQUIRE(hardware.warning_count >= 1);
    CHECK_CONTAINS(hardware.warnings[0], "24.0");
    sl_hardware_fini(&hardware);
    hardware = discover(tree_with(meminfo_8, NULL));
    CHECK_INT(hardware.warning_count, 0);
    sl_hardware_fini(&hardware);
}

TEST(version_2_takes_the_least_limit_up_to_the_root) {
    const char *root = tree_with(meminfo_8, "0::/slurm/job_7/step_0\n");
    sl_tree_write(root, "/sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n");
    sl_tree_write(root, "/sys/fs/cgroup/slurm/job_7/memory.max", "3221225472\n");
    sl_tree_write(root, "/sys/fs/cgroup/slurm/memory.max", "6442450944\n");
    expect(root, 3 * GIB, "cgroup memory.max of /slurm/job_7");
}

TEST(version_1_is_found_among_controllers) {
    const char *root = tree_with(meminfo_8, "9:cpu,cpuacct:/other\n4:hugetlb,memory:/job\n0::/\n");
    sl_tree_write(root, "/sys/fs/cgroup/memory/other/memory.limit_in_bytes", "1073741824\n");
    sl_tree_write(root, "/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "2147483648\n");
    sl_tree_write(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    expect(root, 2 * GIB, "cgroup memory.limit_in_bytes of /job");
}

TEST(a_controller_whose_name_contains_memory_is_another) {
    const char *root = tree_with(meminfo_8, "4:memoryx:/job\n");
    sl_tree_write(root, "/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "2147483648\n");
    expect(root, 8 * GIB, "/proc/meminfo");
}

TEST(in_a_container_the_mounts_own_root_counts) {
    const char *root = tree_with(meminfo_8, "0::/docker/abc\n");
    sl_tree_write(root, "/sys/fs/cgroup/memory.max", "1073741824\n");
    expect(root, GIB, "cgroup memory.max of /");
}

TEST(a_hybrid_mount_is_read) {
    const char *root = tree_with(meminfo_8, "0::/job\n");
    sl_tree_write(root, "/sys/fs/cgroup/unified/job/memory.max", "1073741824\n");
    expect(root, GIB, "cgroup memory.max of /job");
}

TEST(no_limit_is_no_limit) {
    const char *root = tree_with(meminfo_8, "4:memory:/\n0::/\n");
    sl_tree_write(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    sl_tree_write(root, "/sys/fs/cgroup/memory.max", "max\n");
    expect(root, 8 * GIB, "/proc/meminfo");
}

TEST(a_limit_above_the_machine_changes_nothing) {
    const char *root = tree_with(meminfo_8, "0::/job\n");
    sl_tree_write(root, "/sys/fs/cgroup/job/memory.max", "17179869184\n");
    expect(root, 8 * GIB, "/proc/meminfo");
}

TEST(paths_that_climb_are_not_followed) {
    const char *root = tree_with(meminfo_8, "0::/../../../etc\n");
    sl_tree_write(root, "/sys/fs/cgroup/../../etc/memory.max", "1024\n");
    sl_tree_write(root, "/sys/fs/cgroup/memory.max", "1073741824\n");
    expect(root, GIB, "cgroup memory.max of /");
}

TEST(damaged_files_are_passed_over) {
    const char *root = tree_with("MemTotal: lots\n", "0\n::\n:::::\n0::\n4:memory\n");
    sl_tree_write(root, "/sys/fs/cgroup/memory.max", "-1\n");
    sl_hardware hardware = discover(root);
    CHECK_STR(hardware.memory_source, "hwloc");
    sl_hardware_fini(&hardware);
}
