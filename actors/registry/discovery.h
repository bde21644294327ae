/* Inside discovery: what its steps share. Not for other rooms. */
#ifndef SL_REGISTRY_DISCOVERY_H
#define SL_REGISTRY_DISCOVERY_H

#include <stdio.h>

#include "actors/registry/hardware.h"
#include "kernels/cuda_plugin.h"

typedef struct sl_discovery {
    const sl_hardware_source *source;
    const char *root;            /* never NULL */
    bool system_files;           /* /sys and /proc under `root` may be read */
    bool this_machine;           /* no root, no captured topology: the CPU itself may be asked */
    double hwloc_clock_ghz;      /* from hwloc's cpukinds, 0 none */
    uint64_t hwloc_memory_bytes; /* 0 none */
    bool gpus_by_cuda; /* the plug-in listed the GPUs: CUDA_VISIBLE_DEVICES is applied already */
    sl_hardware *hardware; /* being filled */
} sl_discovery;

typedef struct sl_pci_device {
    char address[16]; /* "0000:17:00.0" */
    uint32_t vendor, device, class_code;
} sl_pci_device;

#define SL_PCI_NVIDIA 0x10de
#define SL_PCI_GOOGLE 0x1ae0

/* Opens a file under the root for reading; NULL when it is not there or not to be read. */
FILE *sl_system_open(const sl_discovery *discovery, const char *format, ...) SL_PRINTF(2, 3);

/* The first line of a file under the root, without its newline, cut at size; false when there is
 * none. */
bool sl_system_line(const sl_discovery *discovery, char *line, size_t size, const char *format, ...)
    SL_PRINTF(4, 5);

/* A file that is one whole number (base 10, or 0x…). */
bool sl_system_number(const sl_discovery *discovery, uint64_t *value, const char *format, ...)
    SL_PRINTF(3, 4);

bool sl_system_exists(const sl_discovery *discovery, const char *path);

/* The environment variable, NULL when unset. */
const char *sl_discovery_env(const sl_discovery *discovery, const char *name);

/* Cores, PUs, packages, caches, NUMA nodes, model: by hwloc, inside the allowed cpuset. */
sl_err sl_topology_discover(sl_discovery *discovery) SL_CHECKED;

/* The value of "key : value" in /proc/cpuinfo, of the first processor; false when there is none. */
bool sl_cpuinfo_text(const sl_discovery *discovery, const char *key, char *value, size_t size);

/* Sets clock_ghz and clock_source by the first step of the chain that answers. */
void sl_clock_discover(sl_discovery *discovery);

/* Sets memory_bytes and memory_source: the least of what the kernel has and what cgroups allow. */
void sl_memory_discover(sl_discovery *discovery);

/* Lists the PCI devices of NVIDIA (display class) and Google, by address; returns how many. */
uint32_t sl_pci_scan(const sl_discovery *discovery, sl_pci_device *devices, uint32_t capacity);

/* GPUs by the CUDA plug-in, else from the PCI list. */
void sl_gpu_discover(sl_discovery *discovery, const sl_pci_device *devices, uint32_t count);

/* GPUs as a plug-in's table tells them; false when it says that there are none, or failed (a
 * warning). */
bool sl_gpu_discover_cuda(sl_discovery *discovery, const sl_cuda_plugin_table *plugin);

/* A plug-in that stays loaded for the life of the process, or NULL: none, or not this version (a
 * warning). */
const sl_cuda_plugin_table *sl_gpu_plugin_load(sl_discovery *discovery);

/* TPUs from the PCI list. */
void sl_tpu_discover(sl_discovery *discovery, const sl_pci_device *devices, uint32_t count);

/* Corrects and adds what the spec file says. */
void sl_spec_apply(sl_discovery *discovery);

/* Keeps only the devices CUDA_VISIBLE_DEVICES and TPU_VISIBLE_CHIPS leave, and names how to grant
 * each. */
void sl_visible_apply(sl_discovery *discovery);

/* Room for one more accelerator, zeroed; NULL when the list is full (a warning is left). */
sl_accelerator *sl_accelerator_add(sl_hardware *hardware);

/* Fills what follows from other fields where it is still unknown: CUDA cores from SMs, mem_gb from
 * bytes. */
void sl_gpu_complete(sl_accelerator *gpu);

#endif
