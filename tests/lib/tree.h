/* Fake /sys and /proc trees: files written below a folder of the test's own. */
#ifndef SL_TESTS_TREE_H
#define SL_TESTS_TREE_H

#include <limits.h>
#include <sys/stat.h>

#include "tests/lib/test.h"

/* A new folder of this program's; the text is kept until the program ends. */
static inline const char *sl_tree_new(void) {
    static char roots[64][PATH_MAX];
    static int count;
    char *root = roots[count % 64];
    snprintf(root, PATH_MAX, "%s/tree%d", sl_test_dir(), count++);
    if (mkdir(root, 0700) != 0)
        sl_test_fail(__FILE__, __LINE__, "cannot make %s", root);
    return root;
}

/* Writes root + path with the folders on the way; returns the full path (until the next call). */
static inline const char *sl_tree_write(const char *root, const char *path, const char *text) {
    static char full[2 * PATH_MAX];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        sl_test_fail(__FILE__, __LINE__, "cannot write %s", full);
    return full;
}

/* One device of a fake PCI bus. */
static inline void sl_tree_pci(const char *root, const char *address, const char *vendor,
                               const char *device, const char *class_code) {
    char path[256];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/vendor", address);
    sl_tree_write(root, path, vendor);
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/device", address);
    sl_tree_write(root, path, device);
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/class", address);
    sl_tree_write(root, path, class_code);
}

#endif
