/* Inside discovery: NVIDIA GPUs by PCI device id. The functions by compute capability are in
 * hardware.h. */
#ifndef SL_REGISTRY_GPU_TABLE_H
#define SL_REGISTRY_GPU_TABLE_H

#include "actors/registry/hardware.h"

typedef struct sl_gpu_model {
    uint32_t pci_device;
    const char *name;
    uint32_t sms, compute_major, compute_minor;
    uint32_t memory_gb; /* nominal */
} sl_gpu_model;

/* NULL: not in the table. */
const sl_gpu_model *sl_gpu_model_find(uint32_t pci_device);

#endif
