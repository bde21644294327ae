/* Unified compute units by the formulae of record:
 *   GPU: cuda_cores * 0.8 + mem_gb * 0.2      TPU: tflops * 1.2      CPU: cores * clock_ghz / 2
 * The three are not measured in a common unit: they are an agreed currency, kept exact. */
#ifndef SL_REGISTRY_UCU_H
#define SL_REGISTRY_UCU_H

#include "actors/registry/hardware.h"

/* One device's inputs; only those of its type are read. */
typedef struct sl_ucu_device {
    sl_hardware_type type;
    double cores;      /* CPU: physical cores; a share of a core counts as that fraction */
    double clock_ghz;  /* CPU */
    double cuda_cores; /* GPU */
    double mem_gb;     /* GPU: nominal, see sl_gpu_nominal_gb() */
    double tflops;     /* TPU */
} sl_ucu_device;

/* One device's value. UNSUPPORTED ("Unsupported hardware type …") for a type without a formula;
 * INVALID for an input that is negative or not finite. Pure, any thread. */
sl_err sl_ucu_compute(const sl_ucu_device *device, double *ucu) SL_CHECKED;

/* The same from the type's name, as users write it ("GPU"); device->type is ignored. */
sl_err sl_ucu_compute_named(const char *type, const sl_ucu_device *device, double *ucu) SL_CHECKED;

typedef struct sl_ucu_term {
    sl_ucu_device device;
    int accelerator; /* index in hardware->accelerators, -1 for the CPU */
    double ucu;      /* 0 when an input is unknown: the accelerator's warning says which */
} sl_ucu_term;

typedef struct sl_ucu {
    double cpu_ucu, gpu_ucu, tpu_ucu, total_ucu;
    uint32_t term_count;
    sl_ucu_term
        terms[1 + SL_HARDWARE_ACCELERATORS_MAX]; /* the CPU first, then accelerators in order */
} sl_ucu;

/* Every term of a machine and their sums. An accelerator that is not usable, or a GPU whose CUDA
 * cores are unknown, is a term of 0. */
sl_err sl_ucu_of_hardware(const sl_hardware *hardware, sl_ucu *ucu) SL_CHECKED;

/* Writes the term as a formula with its numbers, "16896 CUDA cores * 0.8 + 80 GB * 0.2", cut at
 * size. */
void sl_ucu_formula(const sl_ucu_device *device, char *text, size_t size);

#endif
