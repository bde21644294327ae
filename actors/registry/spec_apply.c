/* What the spec file says of this host, laid over what was discovered. */
#include "actors/registry/discovery.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "actors/registry/spec.h"

static sl_accelerator *find_by_address(sl_hardware *hardware, const sl_accelerator *stated) {
    for (uint32_t i = 0; stated->pci_bus_id[0] && i < hardware->accelerator_count; i++)
        if (hardware->accelerators[i].type == stated->type &&
            strcasecmp(hardware->accelerators[i].pci_bus_id, stated->pci_bus_id) == 0)
            return &hardware->accelerators[i];
    return NULL;
}

/* A stated number of SMs, or a stated capability, makes the CUDA cores found before meaningless. */
static void correct_gpu(sl_accelerator *device, const sl_accelerator *stated) {
    if (stated->sms || stated->compute_major || stated->cuda_cores)
        device->cuda_cores = stated->cuda_cores;
    if (stated->sms)
        device->sms = stated->sms;
    if (stated->compute_major) {
        device->compute_major = stated->compute_major;
        device->compute_minor = stated->compute_minor;
    }
}

static void correct(sl_accelerator *device, const sl_accelerator *stated) {
    char found[sizeof device->found];
    correct_gpu(device, stated);
    if (stated->name[0])
        snprintf(device->name, sizeof device->name, "%s", stated->name);
    if (stated->memory_bytes) {
        device->memory_bytes = stated->memory_bytes;
        device->memory_gb = stated->memory_gb;
    }
    if (stated->clock_mhz)
        device->clock_mhz = stated->clock_mhz;
    if (stated->tflops > 0)
        device->tflops = stated->tflops;
    snprintf(found, sizeof found, "%.80s, corrected by the spec file", device->found);
    snprintf(device->found, sizeof device->found, "%s", found);
    device->usable = true;
    device->warning[0] = '\0'; /* what is still wrong is said again below */
}

static void apply_accelerator(sl_hardware *hardware, const sl_accelerator *stated) {
    sl_accelerator *device = find_by_address(hardware, stated);
    if (device) {
        correct(device, stated);
    } else {
        device = sl_accelerator_add(hardware);
        if (!device)
            return;
        *device = *stated;
        if (!device->name[0])
            snprintf(device->name, sizeof device->name, "%s", sl_hardware_type_name(device->type));
    }
    if (device->type == SL_HARDWARE_GPU)
        sl_gpu_complete(device);
    else if (device->tflops <= 0)
        snprintf(device->warning, sizeof device->warning, "tflops unknown: UCU is 0");
}

static void apply_memory(sl_hardware *hardware, uint64_t bytes) {
    if (bytes == 0)
        return;
    if (hardware->memory_bytes != 0 && bytes > hardware->memory_bytes)
        sl_hardware_warn(hardware,
                         "the spec file says %.1f GB of memory, %s says %.1f: the former is used",
                         (double)bytes / (double)SL_SPEC_BYTES_PER_GB, hardware->memory_source,
                         (double)hardware->memory_bytes / (double)SL_SPEC_BYTES_PER_GB);
    hardware->memory_bytes = bytes;
    snprintf(hardware->memory_source, sizeof hardware->memory_source, "spec file");
}

/* A clock given by flag stays above the file's. */
static void apply_cpu(sl_discovery *discovery, const sl_spec_node *spec) {
    sl_cpu *cpu = &discovery->hardware->cpu;
    if (spec->cpu_model[0])
        sl_hardware_text(cpu->model, sizeof cpu->model, spec->cpu_model);
    if (spec->clock_ghz > 0 && !(discovery->source->clock_ghz > 0)) {
        cpu->clock_ghz = spec->clock_ghz;
        snprintf(cpu->clock_source, sizeof cpu->clock_source, "spec file");
    }
}

void sl_spec_apply(sl_discovery *discovery) {
    const sl_spec_node *spec = discovery->source->spec;
    if (!spec)
        return;
    apply_cpu(discovery, spec);
    apply_memory(discovery->hardware, spec->memory_bytes);
    for (uint32_t i = 0; i < spec->accelerator_count; i++)
        apply_accelerator(discovery->hardware, &spec->accelerators[i]);
}
