#include "actors/registry/discovery.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "actors/registry/spec.h"

static const char *const type_names[] = {"CPU", "GPU", "TPU"};

const char *sl_hardware_type_name(sl_hardware_type type) {
    return (unsigned)type < sizeof type_names / sizeof *type_names ? type_names[type] : "unknown";
}

sl_err sl_hardware_type_parse(const char *text, sl_hardware_type *type) {
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
        if (strcasecmp(text, type_names[i]) == 0) {
            *type = (sl_hardware_type)i;
            return SL_OK;
        }
    return sl_fail(SL_ERR_UNSUPPORTED,
                   "Unsupported hardware type \"%.64s\" (CPU, GPU and TPU are known)", text);
}

void sl_hardware_warn(sl_hardware *hardware, const char *format, ...) {
    uint32_t index = hardware->warning_count++;
    if (index >= SL_HARDWARE_WARNINGS_MAX)
        return;
    char text[SL_HARDWARE_WARNING_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sl_hardware_text(hardware->warnings[index], sizeof hardware->warnings[index], text);
}

void sl_hardware_text(char *to, size_t size, const char *from) {
    from += strspn(from, " \t\r\n");
    size_t length = strlen(from);
    while (length > 0 && strchr(" \t\r\n", from[length - 1]))
        length--;
    if (length >= size)
        length = size - 1;
    for (size_t i = 0; i < length; i++)
        to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
    to[length] = '\0';
}

sl_accelerator *sl_accelerator_add(sl_hardware *hardware) {
    if (hardware->accelerator_count >= SL_HARDWARE_ACCELERATORS_MAX) {
        sl_hardware_warn(hardware, "more than %d accelerators: the rest is not used",
                         SL_HARDWARE_ACCELERATORS_MAX);
        return NULL;
    }
    sl_accelerator *added = &hardware->accelerators[hardware->accelerator_count++];
    memset(added, 0, sizeof *added);
    return added;
}

const int32_t *sl_hardware_core_pus(const sl_hardware *hardware, uint32_t core, uint32_t *count) {
    *count = hardware->cores[core].pu_count;
    return hardware->pus + hardware->cores[core].pu_first;
}

uint32_t sl_hardware_count(const sl_hardware *hardware, sl_hardware_type type) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < hardware->accelerator_count; i++)
        count += hardware->accelerators[i].type == type && hardware->accelerators[i].usable;
    return count;
}

static void find_hostname(sl_discovery *discovery) {
    char name[256] = "";
    sl_hardware *hardware = discovery->hardware;
    if (discovery->source->hostname)
        snprintf(name, sizeof name, "%s", discovery->source->hostname);
    else if (discovery->this_machine)
        (void)!gethostname(name, sizeof name - 1);
    else
        (void)sl_system_line(discovery, name, sizeof name, "/proc/sys/kernel/hostname");
    sl_hardware_text(hardware->hostname, sizeof hardware->hostname, name[0] ? name : "unknown");
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo): names of one machine's few devices do not collide. */
static uint64_t hash_text(const char *text) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

/* The same device has the same id in every process, whatever index it has there. */
static void name_devices(sl_hardware *hardware) {
    for (uint32_t i = 0; i < hardware->accelerator_count; i++) {
        sl_accelerator *device = &hardware->accelerators[i];
        char text[256];
        const char *unique = device->uuid[0] ? device->uuid : device->pci_bus_id;
        snprintf(text, sizeof text, "%s/%s/%s", sl_hardware_type_name(device->type), unique,
                 unique[0] ? "" : device->visible_id);
        device->id = hash_text(text);
    }
}

static void find_accelerators(sl_discovery *discovery) {
    const sl_spec_node *spec = discovery->source->spec;
    if (!spec || spec->discover_accelerators) {
        sl_pci_device devices[2 * SL_HARDWARE_ACCELERATORS_MAX];
        uint32_t count = sl_pci_scan(discovery, devices, sizeof devices / sizeof *devices);
        sl_gpu_discover(discovery, devices, count);
        sl_tpu_discover(discovery, devices, count);
    }
    sl_spec_apply(discovery);
    sl_visible_apply(discovery);
    name_devices(discovery->hardware);
}

static sl_err discover(sl_discovery *discovery) {
    SL_TRY(sl_topology_discover(discovery));
    find_hostname(discovery);
    sl_clock_discover(discovery);
    sl_memory_discover(discovery);
    find_accelerators(discovery);
    return SL_OK;
}

sl_err sl_hardware_discover(const sl_hardware_source *source, sl_hardware *out) {
    static const sl_hardware_source this_machine;
    if (!source)
        source = &this_machine;
    sl_hardware *hardware = calloc(1, sizeof *hardware);
    if (!hardware)
        return sl_fail(SL_ERR_NO_MEMORY, "out of memory for a hardware description");
    bool rooted = source->root && source->root[0];
    bool captured = source->synthetic || source->xml_path;
    sl_discovery discovery = {.source = source,
                              .root = rooted ? source->root : "",
                              .system_files = rooted || !captured,
                              .this_machine = !rooted && !captured,
                              .hardware = hardware};
    sl_err err = discover(&discovery);
    if (err == SL_OK)
        *out = *hardware;
    else
        sl_hardware_fini(hardware);
    free(hardware);
    return err;
}

void sl_hardware_fini(sl_hardware *hardware) {
    free(hardware->cores);
    free(hardware->pus);
    memset(hardware, 0, sizeof *hardware);
}
