/* A CUDA plug-in of the next version, whose functions must never be called. */
#include <stdlib.h>

#include "kernels/cuda_plugin.h"

static int count_devices(int *count) {
    (void)count;
    abort();
}

static int probe_device(int index, sl_cuda_device *device) {
    (void)index, (void)device;
    abort();
}

static const char *text_of(int error) {
    (void)error;
    abort();
}

__attribute__((visibility("default"))) const sl_cuda_plugin_table sl_cuda_plugin = {
    SL_CUDA_PLUGIN_VERSION + 1, 0, count_devices, probe_device, text_of};
