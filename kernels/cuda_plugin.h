/* The door to libstarlane_cuda.so: a table of functions behind one exported symbol,
 * `sl_cuda_plugin`, so that Starlane itself needs neither CUDA nor a GPU to build or start. Plain C
 * on both sides; no function throws, prints or keeps global state of its own. */
#ifndef SL_KERNELS_CUDA_PLUGIN_H
#define SL_KERNELS_CUDA_PLUGIN_H

#include <stdint.h>

#define SL_CUDA_PLUGIN_SYMBOL "sl_cuda_plugin"
#define SL_CUDA_PLUGIN_FILE   "libstarlane_cuda.so"
#define SL_CUDA_PLUGIN_VERSION                                                                     \
    1 /* changes whenever the structs below do; no other version is accepted */

/* cudaError_t values that only say that there is no GPU to use. */
#define SL_CUDA_NO_DRIVER 35
#define SL_CUDA_NO_DEVICE 100

typedef struct sl_cuda_device {
    char name[256];
    char pci_bus_id[32]; /* "0000:17:00.0" */
    uint8_t uuid[16];
    uint32_t sms;
    uint32_t compute_major, compute_minor;
    uint32_t clock_mhz; /* 0 unknown */
    uint64_t memory_bytes;
} sl_cuda_device;

typedef struct sl_cuda_plugin_table {
    uint32_t version;         /* SL_CUDA_PLUGIN_VERSION it was built with */
    uint32_t runtime_version; /* CUDART_VERSION, 13000 = 13.0 */

    /* Number of devices the process may use (CUDA_VISIBLE_DEVICES applied). Returns a cudaError_t:
     * 0 is success, SL_CUDA_NO_DRIVER and SL_CUDA_NO_DEVICE mean none. */
    int (*device_count)(int *count);

    /* Describes device `index` without creating a context on it. Returns a cudaError_t. */
    int (*device_probe)(int index, sl_cuda_device *device);

    /* The text of a cudaError_t. Static storage. */
    const char *(*error_text)(int error);
} sl_cuda_plugin_table;

#endif
