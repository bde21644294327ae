/* One entry of "accelerators". */
#include "actors/registry/spec_fields.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sl_err read_type(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *value,
                        sl_accelerator *device) {
    char text[SL_HARDWARE_NAME_MAX] = "";
    sl_spec_path where = sl_spec_path_key(path, "type");
    SL_TRY(sl_spec_text(reader, path, value, "type", text, sizeof text));
    if (!text[0])
        return sl_spec_fail(reader, path, SL_ERR_INVALID, "type is missing (\"GPU\" or \"TPU\")");
    sl_err err = sl_hardware_type_parse(text, &device->type);
    if (err != SL_OK)
        return sl_spec_fail(reader, &where, err,
                            "Unsupported hardware type \"%.64s\" (GPU and TPU are known)", text);
    if (device->type == SL_HARDWARE_CPU)
        return sl_spec_fail(reader, &where, SL_ERR_INVALID, "a CPU is described under \"cpu\"");
    return SL_OK;
}

static sl_err read_u32(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *value,
                       const char *key, int64_t most, uint32_t *number) {
    int64_t wide = *number;
    SL_TRY(sl_spec_integer(reader, path, value, key, 1, most, &wide));
    *number = (uint32_t)wide;
    return SL_OK;
}

/* One to three digits at *text, which moves past them. */
static bool take_digits(const char **text, uint32_t *number) {
    size_t count = strspn(*text, "0123456789");
    if (count < 1 || count > 3)
        return false;
    *number = (uint32_t)strtoul(*text, NULL, 10);
    *text += count;
    return true;
}

/* "9.0": a string, since the number 12.10 would be 12.1. */
static sl_err read_capability(const sl_spec_reader *reader, const sl_spec_path *path,
                              const json_t *value, sl_accelerator *gpu) {
    char text[16] = "";
    const char *at = text;
    uint32_t major = 0, minor = 0;
    sl_spec_path where = sl_spec_path_key(path, "compute_capability");
    SL_TRY(sl_spec_text(reader, path, value, "compute_capability", text, sizeof text));
    if (!text[0])
        return SL_OK;
    if (!take_digits(&at, &major) || *at++ != '.' || !take_digits(&at, &minor) || *at || major == 0)
        return sl_spec_fail(reader, &where, SL_ERR_INVALID, "\"%s\" is not of the form \"9.0\"",
                            text);
    gpu->compute_major = major;
    gpu->compute_minor = minor;
    return SL_OK;
}

static sl_err read_gpu(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *value,
                       sl_accelerator *gpu) {
    static const char *const keys[] = {
        "type",      "name", "count",      "pci_bus_id",         "memory_gb",
        "clock_mhz", "sms",  "cuda_cores", "compute_capability", NULL};
    SL_TRY(sl_spec_object(reader, path, value, keys));
    SL_TRY(read_u32(reader, path, value, "sms", 4096, &gpu->sms));
    SL_TRY(read_u32(reader, path, value, "cuda_cores", 1 << 24, &gpu->cuda_cores));
    SL_TRY(read_u32(reader, path, value, "clock_mhz", 100000, &gpu->clock_mhz));
    return read_capability(reader, path, value, gpu);
}

static sl_err read_tpu(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *value,
                       sl_accelerator *tpu) {
    static const char *const keys[] = {"type",      "name",      "count",  "pci_bus_id",
                                       "memory_gb", "clock_mhz", "tflops", NULL};
    SL_TRY(sl_spec_object(reader, path, value, keys));
    SL_TRY(read_u32(reader, path, value, "clock_mhz", 100000, &tpu->clock_mhz));
    return sl_spec_number(reader, path, value, "tflops", 1e-3, 1e6, &tpu->tflops);
}

static sl_err read_common(const sl_spec_reader *reader, const sl_spec_path *path,
                          const json_t *value, sl_accelerator *device, int64_t *count) {
    double memory_gb = 0;
    SL_TRY(sl_spec_integer(reader, path, value, "count", 1, SL_HARDWARE_ACCELERATORS_MAX, count));
    SL_TRY(sl_spec_text(reader, path, value, "name", device->name, sizeof device->name));
    SL_TRY(sl_spec_text(reader, path, value, "pci_bus_id", device->pci_bus_id,
                        sizeof device->pci_bus_id));
    SL_TRY(sl_spec_number(reader, path, value, "memory_gb", 1e-3, 1 << 20, &memory_gb));
    device->memory_gb = memory_gb; /* the user's word is nominal already */
    device->memory_bytes = (uint64_t)llround(memory_gb * (double)SL_SPEC_BYTES_PER_GB);
    if (*count > 1 && device->pci_bus_id[0])
        return sl_spec_fail(reader, path, SL_ERR_INVALID,
                            "count and pci_bus_id exclude each other");
    return SL_OK;
}

sl_err sl_spec_read_accelerator(const sl_spec_reader *reader, const sl_spec_path *path,
                                const json_t *value, sl_accelerator *device, int64_t *count) {
    if (!json_is_object(value))
        return sl_spec_fail(reader, path, SL_ERR_INVALID, "an object is wanted here");
    SL_TRY(read_type(reader, path, value, device));
    SL_TRY(device->type == SL_HARDWARE_GPU ? read_gpu(reader, path, value, device)
                                           : read_tpu(reader, path, value, device));
    SL_TRY(read_common(reader, path, value, device, count));
    snprintf(device->found, sizeof device->found, "spec file");
    device->usable = true;
    return SL_OK;
}
