/* TPUs from their PCI ids. */
#include "actors/registry/discovery.h"

#include <string.h>

/* PCI device ids: jax/_src/hardware_utils.py. Peak bf16 TFLOPS per chip: Google Cloud's "TPU
 * architecture" pages, one per version (v7: FP8 is given as 4614, bf16 is half of it). */
static const struct {
    uint32_t device;
    const char *name;
    double tflops;
} chips[] = {
    {0x0027, "TPU v2", 46},   {0x0027, "TPU v3", 123}, /* one id for both: v2 unless the environment
                                                          says v3 */
    {0x005e, "TPU v4", 275},  {0x0063, "TPU v5e", 197}, {0x0062, "TPU v5p", 459},
    {0x006f, "TPU v6e", 918}, {0x0076, "TPU v7", 2307},
};

static void add_chip(sl_discovery *discovery, const sl_pci_device *device, size_t chip,
                     bool ambiguous) {
    sl_accelerator *tpu = sl_accelerator_add(discovery->hardware);
    if (!tpu)
        return;
    tpu->type = SL_HARDWARE_TPU;
    tpu->usable = true;
    tpu->tflops = chips[chip].tflops;
    snprintf(tpu->name, sizeof tpu->name, "%s", chips[chip].name);
    snprintf(tpu->pci_bus_id, sizeof tpu->pci_bus_id, "%s", device->address);
    snprintf(tpu->found, sizeof tpu->found, "pci, peak bf16 TFLOPS by device id");
    if (ambiguous)
        sl_hardware_text(tpu->warning, sizeof tpu->warning,
                         "v2 and v3 share a PCI id: taken for v2; TPU_ACCELERATOR_TYPE=v3-… or the "
                         "spec file says otherwise");
}

static void add_tpu(sl_discovery *discovery, const sl_pci_device *device) {
    const char *type = sl_discovery_env(discovery, "TPU_ACCELERATOR_TYPE");
    bool told_v2 = type && strncmp(type, "v2", 2) == 0;
    bool told_v3 = type && strncmp(type, "v3", 2) == 0;
    for (size_t i = 0; i < sizeof chips / sizeof *chips; i++) {
        if (chips[i].device != device->device)
            continue;
        bool shared = device->device == 0x0027;
        add_chip(discovery, device, shared && told_v3 ? i + 1 : i, shared && !told_v2 && !told_v3);
        return;
    }
}

void sl_tpu_discover(sl_discovery *discovery, const sl_pci_device *devices, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (devices[i].vendor == SL_PCI_GOOGLE) /* its network and disk devices match no chip */
            add_tpu(discovery, &devices[i]);
}
