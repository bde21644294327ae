/* The memory a process of this job may use: the kernel's total, or less where a cgroup says so. */
#include "actors/registry/discovery.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* At or above it a limit means "none": version 1 writes the largest whole page number. */
#define NO_LIMIT_BYTES (UINT64_C(1) << 60)

/* "MemTotal:       24684084 kB" */
static bool parse_total(const char *line, uint64_t *kib) {
    if (strncmp(line, "MemTotal:", 9) != 0)
        return false;
    char *end;
    const char *digits = line + 9 + strspn(line + 9, " \t");
    *kib = strtoull(digits, &end, 10);
    return end != digits && strncmp(end, " kB", 3) == 0;
}

static bool meminfo_total(const sl_discovery *discovery, uint64_t *bytes) {
    char line[256];
    uint64_t kib = 0;
    bool found = false;
    FILE *file = sl_system_open(discovery, "/proc/meminfo");
    while (file && !found && fgets(line, sizeof line, file))
        found = parse_total(line, &kib);
    if (file)
        fclose(file);
    if (!found || kib == 0 || kib > NO_LIMIT_BYTES / 1024)
        return false;
    *bytes = kib * 1024;
    return true;
}

/* Takes the limit in one cgroup folder when it is lower than what is known. "max" is no number. */
static void apply_limit(sl_discovery *discovery, const char *mount, const char *path,
                        const char *file) {
    sl_hardware *hardware = discovery->hardware;
    uint64_t limit;
    if (!sl_system_number(discovery, &limit, "%s%s/%s", mount, path, file))
        return;
    if (limit == 0 || limit >= NO_LIMIT_BYTES)
        return;
    if (hardware->memory_bytes != 0 && limit >= hardware->memory_bytes)
        return;
    hardware->memory_bytes = limit;
    char source[PATH_MAX];
    snprintf(source, sizeof source, "cgroup %s of %s", file, *path ? path : "/");
    sl_hardware_text(hardware->memory_source, sizeof hardware->memory_source, source);
}

/* A limit binds every group below it, so all folders up to the mount count. In a container the path
 * may not exist below the mount: then only those of its ancestors that do are read. */
static void walk_up(sl_discovery *discovery, const char *mount, const char *group,
                    const char *file) {
    char path[PATH_MAX];
    if (strlen(group) >= sizeof path || strstr(group, ".."))
        group = "/"; /* outside of this cgroup namespace */
    strcpy(path, group);
    for (;;) {
        size_t length = strlen(path);
        while (length > 0 && path[length - 1] == '/')
            path[--length] = '\0';
        apply_limit(discovery, mount, path, file);
        char *slash = strrchr(path, '/');
        if (!slash)
            return;
        *slash = '\0';
    }
}

/* "4:memory:/path" has the controller among the commas of field two. */
static bool lists_memory(const char *controllers, size_t length) {
    for (const char *word = controllers; word < controllers + length;) {
        size_t size = strcspn(word, ",:");
        if (size == 6 && strncmp(word, "memory", 6) == 0)
            return true;
        word += size + 1;
    }
    return false;
}

/* One line of /proc/self/cgroup: "0::/path" is version 2, "N:controllers:/path" version 1. */
static void apply_cgroup(sl_discovery *discovery, char *line) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path)
        return;
    size_t length = (size_t)(path - controllers - 1);
    if (length == 0) {
        walk_up(discovery, "/sys/fs/cgroup", path + 1, "memory.max");
        walk_up(discovery, "/sys/fs/cgroup/unified", path + 1, "memory.max"); /* beside version 1 */
    } else if (lists_memory(controllers + 1, length)) {
        walk_up(discovery, "/sys/fs/cgroup/memory", path + 1, "memory.limit_in_bytes");
    }
}

static void apply_cgroups(sl_discovery *discovery) {
    FILE *file = sl_system_open(discovery, "/proc/self/cgroup");
    char *line = NULL;
    size_t capacity = 0;
    while (file && getline(&line, &capacity, file) > 0)
        apply_cgroup(discovery, line);
    free(line);
    if (file)
        fclose(file);
}

/* hwloc reads each NUMA node's sysfs, which hot-plugged memory of virtual machines does not reach.
 */
static void compare_with_hwloc(sl_discovery *discovery, uint64_t total) {
    double ratio = (double)discovery->hwloc_memory_bytes / (double)total;
    if (discovery->hwloc_memory_bytes != 0 && (ratio < 0.9 || ratio > 1.1))
        sl_hardware_warn(discovery->hardware,
                         "hwloc counts %.1f GB of memory, /proc/meminfo %.1f: the latter is used",
                         (double)discovery->hwloc_memory_bytes / (double)(1u << 30),
                         (double)total / (double)(1u << 30));
}

void sl_memory_discover(sl_discovery *discovery) {
    sl_hardware *hardware = discovery->hardware;
    const char *source = "unknown";
    uint64_t total = 0;
    if (meminfo_total(discovery, &total)) {
        compare_with_hwloc(discovery, total);
        source = "/proc/meminfo";
    } else if (discovery->hwloc_memory_bytes != 0) {
        total = discovery->hwloc_memory_bytes;
        source = "hwloc";
    }
    hardware->memory_bytes = total;
    sl_hardware_text(hardware->memory_source, sizeof hardware->memory_source, source);
    apply_cgroups(discovery);
    if (hardware->memory_bytes == 0)
        sl_hardware_warn(hardware,
                         "the amount of memory is unknown: set memory_gb in the spec file");
}
