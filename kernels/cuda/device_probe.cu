// What the CUDA runtime knows of each GPU, handed through the plug-in's table.
#include "kernels/cuda_plugin.h"

#include <cuda_runtime_api.h>
#include <stdio.h>
#include <string.h>

static int device_count(int *count) {
    int found = 0;
    cudaError_t error = cudaGetDeviceCount(&found);
    if (error == cudaSuccess)
        *count = found;
    (void)cudaGetLastError(); // it is sticky, and whoever calls CUDA next should not inherit it
    return (int)error;
}

// Attributes instead of the deprecated fields of cudaDeviceProp: CUDA 13 dropped clockRate there.
static cudaError_t probe_attributes(int index, sl_cuda_device *device) {
    int major = 0, minor = 0, sms = 0, clock_khz = 0;
    cudaError_t error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index);
    if (error == cudaSuccess)
        error = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index);
    if (error == cudaSuccess)
        error = cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, index);
    if (error != cudaSuccess)
        return error;
    if (cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, index) != cudaSuccess)
        clock_khz = 0;
    device->compute_major = (uint32_t)major;
    device->compute_minor = (uint32_t)minor;
    device->sms = (uint32_t)sms;
    device->clock_mhz = (uint32_t)(clock_khz / 1000);
    return cudaSuccess;
}

static int device_probe(int index, sl_cuda_device *out) {
    sl_cuda_device device;
    cudaDeviceProp properties;
    memset(&device, 0, sizeof device);
    cudaError_t error = cudaGetDeviceProperties(&properties, index);
    if (error == cudaSuccess)
        error = probe_attributes(index, &device);
    if (error == cudaSuccess)
        error = cudaDeviceGetPCIBusId(device.pci_bus_id, (int)sizeof device.pci_bus_id, index);
    (void)cudaGetLastError();
    if (error != cudaSuccess)
        return (int)error;
    snprintf(device.name, sizeof device.name, "%s", properties.name);
    memcpy(device.uuid, &properties.uuid, sizeof device.uuid);
    device.memory_bytes = (uint64_t)properties.totalGlobalMem;
    *out = device;
    return 0;
}

static const char *error_text(int error) {
    return cudaGetErrorString((cudaError_t)error);
}

extern "C" __attribute__((visibility("default"))) const sl_cuda_plugin_table sl_cuda_plugin = {
    SL_CUDA_PLUGIN_VERSION, CUDART_VERSION, device_count, device_probe, error_text};
