/* One machine as this process may use it: cores inside the allowed cpuset, memory under the
 * cgroup's limit, accelerators that are visible. Every figure that has several possible sources
 * names the one used. */
#ifndef SL_REGISTRY_HARDWARE_H
#define SL_REGISTRY_HARDWARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

#define SL_HARDWARE_NAME_MAX         96  /* bytes with the NUL: models, device names */
#define SL_HARDWARE_SOURCE_MAX       128 /* bytes with the NUL: where a figure came from */
#define SL_HARDWARE_PUS_MAX          4096 /* OS cpu numbers at or above it are left out, with a warning */
#define SL_HARDWARE_ACCELERATORS_MAX 32 /* more are left out, with a warning */
#define SL_HARDWARE_VISIBLE_MAX      64 /* bytes with the NUL */
#define SL_HARDWARE_WARNINGS_MAX     16
#define SL_HARDWARE_WARNING_MAX      192 /* bytes with the NUL */

typedef enum sl_hardware_type {
    SL_HARDWARE_CPU,
    SL_HARDWARE_GPU,
    SL_HARDWARE_TPU
} sl_hardware_type;

/* A physical core, or the part of it that the allowed cpuset leaves. Its OS cpu numbers are
 * hardware->pus[pu_first] … hardware->pus[pu_first + pu_count - 1], ascending. */
typedef struct sl_core {
    int32_t id; /* lowest allowed OS cpu number in it: the same in every process that may use it
                   whole */
    int32_t package; /* OS index, -1 unknown */
    int32_t numa;    /* OS index of its NUMA node, -1 unknown */
    uint32_t pu_first;
    uint32_t pu_count;
} sl_core;

typedef struct sl_cpu {
    char model[SL_HARDWARE_NAME_MAX];
    uint32_t packages;      /* with at least one allowed PU */
    uint32_t numa_nodes;    /* with at least one allowed PU */
    uint32_t cores;         /* physical, with at least one allowed PU */
    uint32_t pus;           /* allowed */
    uint32_t machine_cores; /* what hwloc sees before the process's own binding is applied */
    uint32_t machine_pus;
    uint64_t l1_bytes, l2_bytes,
        l3_bytes;     /* one data cache as seen from the first allowed core; 0: none */
    double clock_ghz; /* mean over the allowed cores where the source is per core */
    char clock_source[SL_HARDWARE_SOURCE_MAX];
} sl_cpu;

typedef struct sl_accelerator {
    sl_hardware_type type; /* SL_HARDWARE_GPU or SL_HARDWARE_TPU */
    bool usable;           /* a driver or the spec file vouches for it: only these are offered */
    char name[SL_HARDWARE_NAME_MAX];
    char pci_bus_id[16];                      /* "0000:17:00.0", "" unknown */
    char uuid[48];                            /* "GPU-…", "" unknown */
    char visible_id[SL_HARDWARE_VISIBLE_MAX]; /* what to write into CUDA_VISIBLE_DEVICES
                                                 (TPU_VISIBLE_CHIPS) to grant it */
    uint64_t id;         /* the same for the same device in every process of the machine */
    uint32_t sms;        /* GPU: 0 unknown */
    uint32_t cuda_cores; /* GPU: 0 unknown */
    uint32_t compute_major, compute_minor; /* GPU: 0.0 unknown */
    uint64_t memory_bytes;                 /* as the driver reports; 0 unknown */
    double memory_gb;   /* the `mem_gb` of the UCU formula: see sl_gpu_nominal_gb() */
    uint32_t clock_mhz; /* 0 unknown */
    double tflops;      /* TPU: peak bf16 TFLOPS of the chip */
    char found[SL_HARDWARE_SOURCE_MAX]; /* "cuda", "pci", "pci, name from driver", "spec file", … */
    char warning[SL_HARDWARE_WARNING_MAX]; /* "" or why a figure is missing or doubtful */
} sl_accelerator;

typedef struct sl_hardware {
    char hostname[SL_HARDWARE_NAME_MAX];
    sl_cpu cpu;
    sl_core *cores; /* cpu.cores of them, by ascending id; owned */
    int32_t *pus;   /* cpu.pus OS cpu numbers, grouped by core; owned */
    uint64_t memory_bytes;
    char memory_source[SL_HARDWARE_SOURCE_MAX];
    uint32_t accelerator_count;
    sl_accelerator accelerators[SL_HARDWARE_ACCELERATORS_MAX];
    uint32_t warning_count; /* may exceed SL_HARDWARE_WARNINGS_MAX: the rest were not kept */
    char warnings[SL_HARDWARE_WARNINGS_MAX][SL_HARDWARE_WARNING_MAX];
} sl_hardware;

struct sl_spec_node;

/* Where discovery looks. All zero: this machine. With `synthetic` or `xml_path` and no `root`,
 * nothing but that topology is read, so that a captured machine is not mixed with this one. All
 * borrowed. */
typedef struct sl_hardware_source {
    const char *root;      /* prefix before /sys, /proc and /dev; NULL or "": none */
    const char *synthetic; /* an hwloc synthetic topology, "pack:2 numa:1 core:64 pu:2" */
    const char *xml_path;  /* an hwloc XML file */
    const char *affinity; /* OS cpus allowed, "0-3,8"; NULL: sched_getaffinity, or all of a captured
                             machine */
    const char *hostname; /* NULL: the system's */
    const char *cuda_plugin; /* path; NULL: searched (not with a root); "": none */
    uint32_t cpuid_mhz; /* stands for CPUID leaf 16h; 0: asked of the CPU, on this machine only */
    double clock_ghz;   /* the user's word, before every other source; 0: none */
    const struct sl_spec_node *spec; /* what the spec file says of this host; NULL: nothing */
    const char *(*environment)(const char *name); /* NULL: getenv */
} sl_hardware_source;

/* Describes the machine. `source` may be NULL (this machine, nothing overridden). On success *out
 * is to be given to sl_hardware_fini(). INVALID: bad topology, affinity or empty cpuset; NO_MEMORY.
 * What merely cannot be found is a warning, never an error. Call from one thread at a time, before
 * pool threads are bound: the calling thread's affinity is the one that counts. Takes ~5 ms without
 * a GPU. */
sl_err sl_hardware_discover(const sl_hardware_source *source, sl_hardware *out) SL_CHECKED;

/* Frees what *hardware owns; a zeroed one is fine. */
void sl_hardware_fini(sl_hardware *hardware);

/* The OS cpus of core `core` (an index below cpu.cores); *count is set. Borrowed. */
const int32_t *sl_hardware_core_pus(const sl_hardware *hardware, uint32_t core, uint32_t *count);

/* How many accelerators of a type that are usable. */
uint32_t sl_hardware_count(const sl_hardware *hardware, sl_hardware_type type);

/* "CPU", "GPU", "TPU" (any case) to a type. UNSUPPORTED, "Unsupported hardware type …", for
 * anything else. */
sl_err sl_hardware_type_parse(const char *text, sl_hardware_type *type) SL_CHECKED;

/* "CPU", "GPU", "TPU"; "unknown" out of range. Static storage. */
const char *sl_hardware_type_name(sl_hardware_type type);

/* Adds a warning (printf style). Texts are cut at SL_HARDWARE_WARNING_MAX. */
void sl_hardware_warn(sl_hardware *hardware, const char *format, ...) SL_PRINTF(2, 3);

/* Copies text from outside: at most size - 1 bytes, control and non-ASCII bytes become '?', blanks
 * at both ends are dropped. */
void sl_hardware_text(char *to, size_t size, const char *from);

/* CUDA cores per SM by compute capability. *known is false for one newer than the table (128 is
 * returned). Source: NVIDIA's "Arithmetic instructions" throughput table, CUDA C++ Programming
 * Guide (fp32 column). */
uint32_t sl_gpu_cores_per_sm(uint32_t major, uint32_t minor, bool *known);

/* The `mem_gb` of the GPU formula: the nominal size printed on the card. A driver reports less than
 * that, because ECC, page tables and firmware take their part (an 80 GB H100: 79.1 to 79.6 GiB; a
 * 16 GB T4: 14.7), and how much less differs by driver: the same card must not change its UCU with
 * a driver update. So: the smallest size ever sold that is >= the reported GiB, if at most 10 %
 * above; else whole GiB, rounded up. 0 for 0. */
double sl_gpu_nominal_gb(uint64_t memory_bytes);

#endif
