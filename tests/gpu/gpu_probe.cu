// What the tests hold against what Starlane says: the CUDA driver's own word, and the GPU at work.
//
//   gpu_probe facts   every GPU as the driver API describes it, a JSON array
//   gpu_probe sms     how many SMs of GPU 0 blocks ran on, by the number each block read off its SM
//   gpu_probe run S   computes for S seconds on GPU 0 and checks the result; prints how many GPUs
//                     it may use and which one it was: "1 GPU-... ok"
//
// Exit code 3: no GPU here (how that is known is on standard error); 1: something is wrong.
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NO_GPU = 3, THREADS = 256, SM_IDS_MAX = 4096 };

// ---- the driver API, loaded by hand: a program linked with it does not start without it ----

typedef struct driver_api {
    CUresult (*init)(unsigned);
    CUresult (*count)(int *);
    CUresult (*name)(char *, int, CUdevice);
    CUresult (*attribute)(int *, CUdevice_attribute, CUdevice);
    CUresult (*memory)(size_t *, CUdevice);
    CUresult (*uuid)(CUuuid *, CUdevice);
} driver_api;

static void load(void *library, const char *symbol, void *function) {
    void *found = dlsym(library, symbol);
    if (!found) {
        fprintf(stderr, "libcuda.so.1 has no %s\n", symbol);
        exit(1);
    }
    memcpy(function, &found, sizeof found);
}

static driver_api driver_open(void) {
    driver_api api;
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) {
        fprintf(stderr, "no CUDA driver: %s\n", dlerror());
        exit(NO_GPU);
    }
    load(library, "cuInit", &api.init);
    load(library, "cuDeviceGetCount", &api.count);
    load(library, "cuDeviceGetName", &api.name);
    load(library, "cuDeviceGetAttribute", &api.attribute);
    load(library, "cuDeviceTotalMem_v2", &api.memory);
    load(library, "cuDeviceGetUuid", &api.uuid);
    return api;
}

static void driver_must(CUresult result, const char *what) {
    if (result == CUDA_SUCCESS)
        return;
    fprintf(stderr, "the CUDA driver: %s: error %d\n", what, (int)result);
    exit(result == CUDA_ERROR_NO_DEVICE ? NO_GPU : 1);
}

static int attribute(const driver_api *api, CUdevice_attribute which, CUdevice device) {
    int value = 0;
    driver_must(api->attribute(&value, which, device), "cuDeviceGetAttribute");
    return value;
}

static void uuid_print(const char bytes[16]) {
    printf("GPU");
    for (int i = 0; i < 16; i++)
        printf("%s%02x", i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
               (unsigned char)bytes[i]);
}

static void facts_print(const driver_api *api, CUdevice device) {
    char name[256] = "";
    size_t memory = 0;
    CUuuid uuid;
    driver_must(api->name(name, sizeof name, device), "cuDeviceGetName");
    driver_must(api->memory(&memory, device), "cuDeviceTotalMem");
    driver_must(api->uuid(&uuid, device), "cuDeviceGetUuid");
    printf("{\"name\": \"%s\", \"memory_bytes\": %zu, \"uuid\": \"", name, memory);
    uuid_print(uuid.bytes);
    printf("\", \"sms\": %d, \"compute_capability\": \"%d.%d\", \"clock_mhz\": %d, ",
           attribute(api, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device),
           attribute(api, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device),
           attribute(api, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device),
           attribute(api, CU_DEVICE_ATTRIBUTE_CLOCK_RATE, device) / 1000);
    printf("\"pci_bus_id\": \"%04x:%02x:%02x.0\"}",
           attribute(api, CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, device),
           attribute(api, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, device),
           attribute(api, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, device));
}

static int facts(void) {
    driver_api api = driver_open();
    int count = 0;
    driver_must(api.init(0), "cuInit");
    driver_must(api.count(&count), "cuDeviceGetCount");
    if (count == 0) {
        fprintf(stderr, "the CUDA driver lists no GPU\n");
        return NO_GPU;
    }
    printf("[");
    for (int i = 0; i < count; i++) {
        printf("%s", i ? ",\n " : "");
        facts_print(&api, i); // without a context, a CUdevice is its index
    }
    printf("]\n");
    return 0;
}

// ---- kernels ----

static void must(cudaError_t error, const char *what) {
    if (error == cudaSuccess)
        return;
    fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
    exit(error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver ? NO_GPU : 1);
}

// Blocks stay long enough for the next one to find this SM taken.
__global__ void mark_sm(unsigned *seen, long long cycles) {
    unsigned sm;
    asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
    long long begin = clock64();
    while (clock64() - begin < cycles)
        ;
    if (threadIdx.x == 0 && sm < SM_IDS_MAX)
        atomicAdd(&seen[sm], 1u);
}

static int sms(void) {
    static unsigned seen[SM_IDS_MAX];
    unsigned *device_seen;
    int ran_on = 0;
    must(cudaMalloc((void **)&device_seen, sizeof seen), "cudaMalloc");
    must(cudaMemset(device_seen, 0, sizeof seen), "cudaMemset");
    for (int i = 0; i < 20; i++)
        mark_sm<<<SM_IDS_MAX, THREADS>>>(device_seen, 20000);
    must(cudaGetLastError(), "a launch");
    must(cudaMemcpy(seen, device_seen, sizeof seen, cudaMemcpyDeviceToHost), "cudaMemcpy");
    must(cudaFree(device_seen), "cudaFree");
    for (int i = 0; i < SM_IDS_MAX; i++)
        ran_on += seen[i] != 0;
    printf("%d\n", ran_on);
    return 0;
}

// A linear congruential generator in every element: integers, so the host gets the same.
__global__ void step(unsigned *values, unsigned count) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        values[i] = values[i] * 1664525u + 1013904223u;
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static unsigned compute(unsigned *values, unsigned count, double seconds) {
    unsigned *device_values, steps = 0;
    double end = now_s() + seconds;
    must(cudaMalloc((void **)&device_values, count * sizeof *values), "cudaMalloc");
    must(cudaMemcpy(device_values, values, count * sizeof *values, cudaMemcpyHostToDevice),
         "cudaMemcpy");
    do {
        step<<<(count + THREADS - 1) / THREADS, THREADS>>>(device_values, count);
        must(cudaDeviceSynchronize(), "step");
        steps++;
    } while (now_s() < end);
    must(cudaMemcpy(values, device_values, count * sizeof *values, cudaMemcpyDeviceToHost),
         "cudaMemcpy");
    must(cudaFree(device_values), "cudaFree");
    return steps;
}

static unsigned expected(unsigned value, unsigned steps) {
    while (steps-- > 0)
        value = value * 1664525u + 1013904223u;
    return value;
}

static int run(double seconds) {
    enum { COUNT = 100003, CHECKED_EVERY = 1009 };
    static unsigned values[COUNT];
    cudaDeviceProp properties;
    int count = 0;
    must(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
    must(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    for (unsigned i = 0; i < COUNT; i++)
        values[i] = i;
    unsigned steps = compute(values, COUNT, seconds);
    for (unsigned i = 0; i < COUNT; i += CHECKED_EVERY)
        if (values[i] != expected(i, steps)) {
            fprintf(stderr, "element %u is %u after %u steps, not %u\n", i, values[i], steps,
                    expected(i, steps));
            return 1;
        }
    printf("%d ", count);
    uuid_print(properties.uuid.bytes);
    printf(" ok\n");
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "facts") == 0)
        return facts();
    if (argc == 2 && strcmp(argv[1], "sms") == 0)
        return sms();
    if (argc == 3 && strcmp(argv[1], "run") == 0)
        return run(atof(argv[2]));
    fprintf(stderr, "usage: gpu_probe facts | sms | run SECONDS\n");
    return 2;
}
