/* What is known of NVIDIA's GPUs without asking them. */
#include "actors/registry/gpu_table.h"

#include <math.h>

/* CUDA cores per SM: one row per range of compute capabilities, `from` to the next row's. */
static const struct {
    uint32_t major, minor, cores;
} cores_table[] = {
    {3, 0, 192}, {5, 0, 128}, {6, 0, 64}, {6, 1, 128}, {7, 0, 64}, {8, 0, 64}, {8, 6, 128},
};

#define NEWEST_MAJOR 12

uint32_t sl_gpu_cores_per_sm(uint32_t major, uint32_t minor, bool *known) {
    uint32_t cores = 0;
    for (size_t i = 0; i < sizeof cores_table / sizeof *cores_table; i++)
        if (major > cores_table[i].major ||
            (major == cores_table[i].major && minor >= cores_table[i].minor))
            cores = cores_table[i].cores;
    *known = cores != 0 && major != 4 && major <= NEWEST_MAJOR;
    return *known ? cores : 128;
}

/* GB printed on cards and on MIG slices large enough to count. */
static const double nominal_gb[] = {1,  2,  3,  4,  6,  8,  10,  11,  12,  16,  20,  24,  32, 40,
                                    48, 64, 72, 80, 94, 96, 128, 141, 144, 180, 186, 192, 288};

double sl_gpu_nominal_gb(uint64_t memory_bytes) {
    double gib = (double)memory_bytes / (double)(1u << 30);
    for (size_t i = 0; i < sizeof nominal_gb / sizeof *nominal_gb; i++)
        if (nominal_gb[i] >= gib)
            return gib >= 0.9 * nominal_gb[i] ? nominal_gb[i] : ceil(gib);
    return ceil(gib);
}

/* PCI device ids: pci-ids.ucw.cz. SMs and memory: NVIDIA's data sheets and architecture white
 * papers. Only products whose id settles the number of SMs are listed. */
static const sl_gpu_model models[] = {
    {0x102d, "Tesla K80", 13, 3, 7, 12},
    {0x15f8, "Tesla P100 PCIe 16GB", 56, 6, 0, 16},
    {0x15f9, "Tesla P100 SXM2 16GB", 56, 6, 0, 16},
    {0x1db1, "Tesla V100 SXM2 16GB", 80, 7, 0, 16},
    {0x1db4, "Tesla V100 PCIe 16GB", 80, 7, 0, 16},
    {0x1db5, "Tesla V100 SXM2 32GB", 80, 7, 0, 32},
    {0x1db6, "Tesla V100 PCIe 32GB", 80, 7, 0, 32},
    {0x1db8, "Tesla V100 SXM3 32GB", 80, 7, 0, 32},
    {0x1e04, "GeForce RTX 2080 Ti", 68, 7, 5, 11},
    {0x1eb8, "Tesla T4", 40, 7, 5, 16},
    {0x20b0, "A100 SXM4 40GB", 108, 8, 0, 40},
    {0x20b2, "A100 SXM4 80GB", 108, 8, 0, 80},
    {0x20b5, "A100 PCIe 80GB", 108, 8, 0, 80},
    {0x20b7, "A30", 56, 8, 0, 24},
    {0x20f1, "A100 PCIe 40GB", 108, 8, 0, 40},
    {0x2204, "GeForce RTX 3090", 82, 8, 6, 24},
    {0x2230, "RTX A6000", 84, 8, 6, 48},
    {0x2235, "A40", 84, 8, 6, 48},
    {0x2236, "A10", 72, 8, 6, 24},
    {0x2330, "H100 SXM5 80GB", 132, 9, 0, 80},
    {0x2331, "H100 PCIe 80GB", 114, 9, 0, 80},
    {0x2335, "H200 SXM 141GB", 132, 9, 0, 141},
    {0x233b, "H200 NVL 141GB", 132, 9, 0, 141},
    {0x2684, "GeForce RTX 4090", 128, 8, 9, 24},
    {0x26b1, "RTX 6000 Ada", 142, 8, 9, 48},
    {0x26b5, "L40", 142, 8, 9, 48},
    {0x26b9, "L40S", 142, 8, 9, 48},
    {0x27b8, "L4", 58, 8, 9, 24},
    {0x2901, "B200", 148, 10, 0, 180},
    {0x2b85, "GeForce RTX 5090", 170, 12, 0, 32},
};

const sl_gpu_model *sl_gpu_model_find(uint32_t pci_device) {
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (models[i].pci_device == pci_device)
            return &models[i];
    return NULL;
}
