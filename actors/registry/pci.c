/* The PCI bus as /sys shows it: quicker than hwloc's I/O objects, and readable from a captured
 * tree. */
#include "actors/registry/discovery.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define PCI_ENTRIES_MAX 8192

/* "0000:17:00.0" and, with a long domain, "10000:17:00.0": hexadecimal digits between fixed marks.
 */
static bool is_address(const char *name) {
    size_t domain = strspn(name, "0123456789abcdefABCDEF");
    if (domain < 4 || domain > 7)
        return false;
    const char *rest = name + domain;
    return strlen(rest) == 8 && rest[0] == ':' && isxdigit((unsigned char)rest[1]) &&
           isxdigit((unsigned char)rest[2]) && rest[3] == ':' && isxdigit((unsigned char)rest[4]) &&
           isxdigit((unsigned char)rest[5]) && rest[6] == '.' && isxdigit((unsigned char)rest[7]);
}

static bool read_device(const sl_discovery *discovery, const char *address, sl_pci_device *out) {
    uint64_t vendor, device, class_code;
    const char *folder = "/sys/bus/pci/devices";
    if (!sl_system_number(discovery, &vendor, "%s/%s/vendor", folder, address) ||
        (vendor != SL_PCI_NVIDIA && vendor != SL_PCI_GOOGLE) ||
        !sl_system_number(discovery, &device, "%s/%s/device", folder, address) ||
        !sl_system_number(discovery, &class_code, "%s/%s/class", folder, address))
        return false;
    if (vendor == SL_PCI_NVIDIA && class_code >> 16 != 0x03) /* NVLink bridges, audio, NICs */
        return false;
    snprintf(out->address, sizeof out->address, "%.15s", address);
    out->vendor = (uint32_t)vendor;
    out->device = (uint32_t)device;
    out->class_code = (uint32_t)class_code;
    return true;
}

static int by_address(const void *left, const void *right) {
    return strcmp(((const sl_pci_device *)left)->address, ((const sl_pci_device *)right)->address);
}

uint32_t sl_pci_scan(const sl_discovery *discovery, sl_pci_device *devices, uint32_t capacity) {
    char path[PATH_MAX];
    uint32_t count = 0, seen = 0;
    int length = snprintf(path, sizeof path, "%s/sys/bus/pci/devices", discovery->root);
    DIR *folder = discovery->system_files && length < PATH_MAX ? opendir(path) : NULL;
    if (!folder)
        return 0;
    for (struct dirent *entry; (entry = readdir(folder)) && seen < PCI_ENTRIES_MAX; seen++) {
        sl_pci_device device;
        if (!is_address(entry->d_name) || !read_device(discovery, entry->d_name, &device))
            continue;
        if (count < capacity)
            devices[count++] = device;
        else
            sl_hardware_warn(discovery->hardware,
                             "too many accelerators on the PCI bus: %s is left out",
                             device.address);
    }
    closedir(folder);
    qsort(devices, count, sizeof *devices, by_address);
    return count;
}
