/* GPUs: by the CUDA plug-in where there is a driver, else as far as the PCI bus tells. */
#include "actors/registry/discovery.h"

#include <ctype.h>
#include <string.h>

#include "actors/registry/gpu_table.h"

#define SMS_MAX 4096 /* of one GPU; what is above is a broken report */

/* Says once per device why a figure is missing or doubtful; the first reason stays. */
static void doubt(sl_accelerator *gpu, const char *reason) {
    if (!gpu->warning[0])
        sl_hardware_text(gpu->warning, sizeof gpu->warning, reason);
}

void sl_gpu_complete(sl_accelerator *gpu) {
    bool known = true;
    if (gpu->sms > SMS_MAX)
        gpu->sms = 0;
    if (gpu->cuda_cores == 0 && gpu->sms != 0 && gpu->compute_major != 0)
        gpu->cuda_cores =
            gpu->sms * sl_gpu_cores_per_sm(gpu->compute_major, gpu->compute_minor, &known);
    if (!known)
        doubt(gpu, "compute capability is not in the table: 128 CUDA cores per SM are assumed");
    if (gpu->cuda_cores == 0)
        doubt(gpu, "CUDA cores unknown: UCU is 0 until the spec file gives sms or cuda_cores");
    if (gpu->memory_gb == 0 && gpu->memory_bytes != 0)
        gpu->memory_gb = sl_gpu_nominal_gb(gpu->memory_bytes);
}

/* "GPU-" and the 16 bytes as 8-4-4-4-12 hexadecimal digits, as CUDA_VISIBLE_DEVICES takes it. */
static void format_uuid(const uint8_t uuid[16], char *text, size_t size) {
    static const uint8_t none[16];
    if (memcmp(uuid, none, sizeof none) == 0)
        return;
    size_t length = (size_t)snprintf(text, size, "GPU");
    for (int i = 0; i < 16; i++)
        length +=
            (size_t)snprintf(text + length, size - length, "%s%02x",
                             i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

static void add_cuda(sl_discovery *discovery, sl_cuda_device *device) {
    sl_accelerator *gpu = sl_accelerator_add(discovery->hardware);
    if (!gpu)
        return;
    device->name[sizeof device->name - 1] = '\0';
    device->pci_bus_id[sizeof device->pci_bus_id - 1] = '\0';
    gpu->type = SL_HARDWARE_GPU;
    gpu->usable = true;
    sl_hardware_text(gpu->name, sizeof gpu->name, device->name);
    sl_hardware_text(gpu->pci_bus_id, sizeof gpu->pci_bus_id, device->pci_bus_id);
    for (char *digit = gpu->pci_bus_id; *digit; digit++)
        *digit = (char)tolower((unsigned char)*digit); /* as in /sys */
    format_uuid(device->uuid, gpu->uuid, sizeof gpu->uuid);
    gpu->sms = device->sms;
    gpu->compute_major = device->compute_major;
    gpu->compute_minor = device->compute_minor;
    gpu->memory_bytes = device->memory_bytes;
    gpu->clock_mhz = device->clock_mhz;
    snprintf(gpu->found, sizeof gpu->found, "cuda");
    sl_gpu_complete(gpu);
}

bool sl_gpu_discover_cuda(sl_discovery *discovery, const sl_cuda_plugin_table *plugin) {
    int count = 0;
    int error = plugin->device_count(&count);
    if (error == SL_CUDA_NO_DRIVER || error == SL_CUDA_NO_DEVICE)
        return false;
    if (error != 0) {
        sl_hardware_warn(discovery->hardware, "CUDA cannot list GPUs: %s (error %d)",
                         plugin->error_text(error), error);
        return false;
    }
    for (int i = 0; i < count && i < SL_HARDWARE_ACCELERATORS_MAX; i++) {
        sl_cuda_device device = {.name = ""};
        error = plugin->device_probe(i, &device);
        if (error == 0)
            add_cuda(discovery, &device);
        else
            sl_hardware_warn(discovery->hardware, "GPU %d cannot be used: %s (error %d)", i,
                             plugin->error_text(error), error);
    }
    return count > 0;
}

/* With the driver loaded its /proc folder knows the model and UUID even when the plug-in was not
 * built. Until a program has used the GPU for the first time, the UUID's digits are question marks:
 * the same for every GPU, so they must not pass for one. */
static void ask_driver(const sl_discovery *discovery, sl_accelerator *gpu) {
    char line[256];
    FILE *file =
        sl_system_open(discovery, "/proc/driver/nvidia/gpus/%s/information", gpu->pci_bus_id);
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "Model:", 6) == 0)
            sl_hardware_text(gpu->name, sizeof gpu->name, line + 6);
        else if (strncmp(line, "GPU UUID:", 9) == 0 && !strchr(line, '?'))
            sl_hardware_text(gpu->uuid, sizeof gpu->uuid, line + 9);
    }
    if (!file)
        return;
    gpu->usable = true;
    fclose(file);
}

static void apply_model(sl_accelerator *gpu, const sl_gpu_model *model) {
    snprintf(gpu->name, sizeof gpu->name, "NVIDIA %s", model->name);
    gpu->sms = model->sms;
    gpu->compute_major = model->compute_major;
    gpu->compute_minor = model->compute_minor;
    gpu->memory_gb = model->memory_gb;
    gpu->memory_bytes = (uint64_t)model->memory_gb << 30;
}

static void add_pci(sl_discovery *discovery, const sl_pci_device *device) {
    sl_accelerator *gpu = sl_accelerator_add(discovery->hardware);
    if (!gpu)
        return;
    const sl_gpu_model *model = sl_gpu_model_find(device->device);
    gpu->type = SL_HARDWARE_GPU;
    snprintf(gpu->pci_bus_id, sizeof gpu->pci_bus_id, "%s", device->address);
    snprintf(gpu->name, sizeof gpu->name, "NVIDIA GPU 10de:%04x", device->device & 0xffff);
    snprintf(gpu->found, sizeof gpu->found, model ? "pci, figures by device id" : "pci");
    if (model)
        apply_model(gpu, model);
    ask_driver(discovery, gpu);
    if (!gpu->usable)
        doubt(gpu, "no NVIDIA driver is loaded: not offered unless the spec file names it");
    sl_gpu_complete(gpu);
}

void sl_gpu_discover(sl_discovery *discovery, const sl_pci_device *devices, uint32_t count) {
    const sl_cuda_plugin_table *plugin = sl_gpu_plugin_load(discovery);
    discovery->gpus_by_cuda = plugin && sl_gpu_discover_cuda(discovery, plugin);
    for (uint32_t i = 0; i < count && !discovery->gpus_by_cuda; i++)
        if (devices[i].vendor == SL_PCI_NVIDIA)
            add_pci(discovery, &devices[i]);
}
