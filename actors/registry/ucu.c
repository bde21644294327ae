#include "actors/registry/ucu.h"

#include <math.h>
#include <stdio.h>

static bool sound(double value) {
    return isfinite(value) && value >= 0;
}

static sl_err refuse(const sl_ucu_device *device) {
    return sl_fail(SL_ERR_INVALID, "a %s has an input for UCU that is negative or not a number",
                   sl_hardware_type_name(device->type));
}

sl_err sl_ucu_compute(const sl_ucu_device *device, double *ucu) {
    switch (device->type) {
    case SL_HARDWARE_GPU:
        if (!sound(device->cuda_cores) || !sound(device->mem_gb))
            return refuse(device);
        *ucu = device->cuda_cores * 0.8 + device->mem_gb * 0.2;
        return SL_OK;
    case SL_HARDWARE_TPU:
        if (!sound(device->tflops))
            return refuse(device);
        *ucu = device->tflops * 1.2;
        return SL_OK;
    case SL_HARDWARE_CPU:
        if (!sound(device->cores) || !sound(device->clock_ghz))
            return refuse(device);
        *ucu = device->cores * device->clock_ghz / 2;
        return SL_OK;
    }
    return sl_fail(SL_ERR_UNSUPPORTED, "Unsupported hardware type %d (CPU, GPU and TPU are known)",
                   (int)device->type);
}

sl_err sl_ucu_compute_named(const char *type, const sl_ucu_device *device, double *ucu) {
    sl_ucu_device typed = *device;
    SL_TRY(sl_hardware_type_parse(type, &typed.type));
    return sl_ucu_compute(&typed, ucu);
}

static sl_err add_term(sl_ucu *sum, const sl_ucu_device *device, int accelerator, bool counts) {
    sl_ucu_term term = {*device, accelerator, 0};
    if (counts)
        SL_TRY(sl_ucu_compute(device, &term.ucu));
    sum->terms[sum->term_count++] = term;
    double *part = device->type == SL_HARDWARE_CPU   ? &sum->cpu_ucu
                   : device->type == SL_HARDWARE_GPU ? &sum->gpu_ucu
                                                     : &sum->tpu_ucu;
    *part += term.ucu;
    sum->total_ucu += term.ucu;
    return SL_OK;
}

static sl_ucu_device device_of(const sl_accelerator *accelerator) {
    return (sl_ucu_device){.type = accelerator->type,
                           .cuda_cores = accelerator->cuda_cores,
                           .mem_gb = accelerator->memory_gb,
                           .tflops = accelerator->tflops};
}

sl_err sl_ucu_of_hardware(const sl_hardware *hardware, sl_ucu *ucu) {
    sl_ucu sum = {0};
    sl_ucu_device cpu = {.type = SL_HARDWARE_CPU,
                         .cores = hardware->cpu.cores,
                         .clock_ghz = hardware->cpu.clock_ghz};
    SL_TRY(add_term(&sum, &cpu, -1, true));
    for (uint32_t i = 0; i < hardware->accelerator_count; i++) {
        const sl_accelerator *accelerator = &hardware->accelerators[i];
        sl_ucu_device device = device_of(accelerator);
        bool known = accelerator->type != SL_HARDWARE_GPU || accelerator->cuda_cores != 0;
        SL_TRY(add_term(&sum, &device, (int)i, accelerator->usable && known));
    }
    *ucu = sum;
    return SL_OK;
}

void sl_ucu_formula(const sl_ucu_device *device, char *text, size_t size) {
    switch (device->type) {
    case SL_HARDWARE_CPU:
        snprintf(text, size, "%g cores * %g GHz / 2", device->cores, device->clock_ghz);
        return;
    case SL_HARDWARE_GPU:
        snprintf(text, size, "%.0f CUDA cores * 0.8 + %g GB * 0.2", device->cuda_cores,
                 device->mem_gb);
        return;
    case SL_HARDWARE_TPU:
        snprintf(text, size, "%g TFLOPS * 1.2", device->tflops);
        return;
    }
    snprintf(text, size, "Unsupported hardware type %d", (int)device->type);
}
