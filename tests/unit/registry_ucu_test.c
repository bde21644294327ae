/* The formulae of record, exact, and what stands in them. */
#include <float.h>

#include "actors/registry/ucu.h"
#include "tests/lib/test.h"

static double ucu_of(sl_ucu_device device) {
    double ucu = -1;
    CHECK(sl_ucu_compute(&device, &ucu) == SL_OK);
    return ucu;
}

TEST(gpus_are_cores_and_memory) {
    CHECK_DOUBLE(
        ucu_of((sl_ucu_device){.type = SL_HARDWARE_GPU, .cuda_cores = 16896, .mem_gb = 80}),
        13532.8, 1e-9);
    CHECK_DOUBLE(ucu_of((sl_ucu_device){.type = SL_HARDWARE_GPU, .cuda_cores = 2560, .mem_gb = 16}),
                 2051.2, 1e-9);
    CHECK_DOUBLE(ucu_of((sl_ucu_device){.type = SL_HARDWARE_GPU}), 0, 0);
}

TEST(tpus_are_tflops) {
    CHECK_DOUBLE(ucu_of((sl_ucu_device){.type = SL_HARDWARE_TPU, .tflops = 275}), 330, 1e-9);
    CHECK_DOUBLE(ucu_of((sl_ucu_device){.type = SL_HARDWARE_TPU, .tflops = 197}), 236.4, 1e-9);
}

TEST(cpus_are_cores_and_clock) {
    CHECK_DOUBLE(ucu_of((sl_ucu_device){.type = SL_HARDWARE_CPU, .cores = 2, .clock_ghz = 2.445}),
                 2.445, 1e-12);
    CHECK_DOUBLE(ucu_of((sl_ucu_device){.type = SL_HARDWARE_CPU, .cores = 64, .clock_ghz = 2.25}),
                 72, 1e-12);
}

TEST(only_the_inputs_of_the_type_are_read) {
    const sl_ucu_device device = {SL_HARDWARE_TPU, NAN, -1, INFINITY, -2, 100};
    CHECK_DOUBLE(ucu_of(device), 120, 1e-9);
}

TEST(other_types_are_unsupported) {
    double ucu = 42;
    const sl_ucu_device device = {.type = (sl_hardware_type)7, .tflops = 5};
    CHECK_INT(sl_ucu_compute(&device, &ucu), SL_ERR_UNSUPPORTED);
    CHECK_CONTAINS(sl_err_detail(), "Unsupported hardware type");
    CHECK_STR(sl_err_text(SL_ERR_UNSUPPORTED), "Unsupported hardware type");
    static const char *const names[] = {"FPGA", "", "GPUs", "gpu ", "CP", "quantum"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK_INT(sl_ucu_compute_named(names[i], &device, &ucu), SL_ERR_UNSUPPORTED);
        CHECK_CONTAINS(sl_err_detail(), "Unsupported hardware type");
        CHECK_CONTAINS(sl_err_detail(), names[i]);
    }
    CHECK_DOUBLE(ucu, 42, 0);
}

TEST(names_choose_the_formula) {
    double ucu = 0;
    const sl_ucu_device device = {.cores = 4, .clock_ghz = 3, .cuda_cores = 10, .tflops = 1};
    CHECK(sl_ucu_compute_named("CPU", &device, &ucu) == SL_OK);
    CHECK_DOUBLE(ucu, 6, 0);
    CHECK(sl_ucu_compute_named("gpu", &device, &ucu) == SL_OK);
    CHECK_DOUBLE(ucu, 8, 1e-12);
    CHECK(sl_ucu_compute_named("Tpu", &device, &ucu) == SL_OK);
    CHECK_DOUBLE(ucu, 1.2, 1e-12);
}

TEST(inputs_that_cannot_be_are_refused) {
    const sl_ucu_device bad[] = {
        {.type = SL_HARDWARE_CPU, .cores = -1, .clock_ghz = 2},
        {.type = SL_HARDWARE_CPU, .cores = 1, .clock_ghz = NAN},
        {.type = SL_HARDWARE_GPU, .cuda_cores = INFINITY},
        {.type = SL_HARDWARE_GPU, .mem_gb = -DBL_MIN},
        {.type = SL_HARDWARE_TPU, .tflops = -1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double ucu = 42;
        CHECK_INT(sl_ucu_compute(&bad[i], &ucu), SL_ERR_INVALID);
        CHECK_DOUBLE(ucu, 42, 0);
    }
}

TEST(cuda_cores_per_sm_follow_the_capability) {
    static const struct {
        uint32_t major, minor, cores;
        bool known;
    } rows[] = {
        {3, 0, 192, true},  {3, 5, 192, true},   {3, 7, 192, true},   {5, 0, 128, true},
        {5, 3, 128, true},  {6, 0, 64, true},    {6, 1, 128, true},   {6, 2, 128, true},
        {7, 0, 64, true},   {7, 2, 64, true},    {7, 5, 64, true},    {8, 0, 64, true},
        {8, 6, 128, true},  {8, 7, 128, true},   {8, 9, 128, true},   {9, 0, 128, true},
        {10, 0, 128, true}, {10, 3, 128, true},  {11, 0, 128, true},  {12, 0, 128, true},
        {12, 1, 128, true}, {13, 0, 128, false}, {99, 9, 128, false}, {4, 0, 128, false},
        {2, 1, 128, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool known = !rows[i].known;
        CHECK_INT(sl_gpu_cores_per_sm(rows[i].major, rows[i].minor, &known), rows[i].cores);
        CHECK_INT(known, rows[i].known);
    }
}

TEST(memory_is_the_size_on_the_card) {
    static const struct {
        double reported_gib, nominal_gb;
    } rows[] = {
        {79.10, 80},  {79.65, 80}, {78.0, 80},  {80.0, 80}, {139.8, 141}, {140.4, 141}, {39.39, 40},
        {31.74, 32},  {15.77, 16}, {14.74, 16}, {22.2, 24}, {23.69, 24},  {44.5, 48},   {47.5, 48},
        {10.75, 11},  {11.17, 12}, {93.1, 94},  {95.0, 96}, {178.4, 180}, {268.6, 288}, {5.1, 6},
        {400.5, 401}, {50.0, 50},  {7.0, 7},    {0.5, 1},
    };
    CHECK_DOUBLE(sl_gpu_nominal_gb(0), 0, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_DOUBLE(sl_gpu_nominal_gb((uint64_t)(rows[i].reported_gib * 1073741824.0)),
                     rows[i].nominal_gb, 0);
    double before = 0;
    for (uint64_t mib = 0; mib < 400 * 1024; mib += 100) { /* more memory is never worth less */
        double now = sl_gpu_nominal_gb(mib << 20);
        CHECK(now >= before);
        before = now;
    }
}

TEST(a_machine_is_the_sum_of_its_terms) {
    static sl_hardware hardware = {.cpu = {.cores = 16, .clock_ghz = 2.5}, .accelerator_count = 5};
    hardware.accelerators[0] = (sl_accelerator){
        .type = SL_HARDWARE_GPU, .usable = true, .cuda_cores = 16896, .memory_gb = 80};
    hardware.accelerators[1] =
        (sl_accelerator){.type = SL_HARDWARE_TPU, .usable = true, .tflops = 100};
    hardware.accelerators[2] = (sl_accelerator){
        .type = SL_HARDWARE_GPU, .usable = true, .memory_gb = 80}; /* cores unknown */
    hardware.accelerators[3] = (sl_accelerator){
        .type = SL_HARDWARE_GPU, .usable = false, .cuda_cores = 1000, .memory_gb = 80};
    hardware.accelerators[4] = (sl_accelerator){
        .type = SL_HARDWARE_GPU, .usable = true, .cuda_cores = 1000, .memory_gb = 10};
    sl_ucu ucu;
    REQUIRE(sl_ucu_of_hardware(&hardware, &ucu) == SL_OK);
    CHECK_INT(ucu.term_count, 6);
    CHECK_DOUBLE(ucu.cpu_ucu, 20, 1e-9);
    CHECK_DOUBLE(ucu.gpu_ucu, 13532.8 + 802, 1e-9);
    CHECK_DOUBLE(ucu.tpu_ucu, 120, 1e-9);
    CHECK_DOUBLE(ucu.total_ucu, 20 + 13532.8 + 802 + 120, 1e-9);
    CHECK_DOUBLE(ucu.terms[3].ucu, 0, 0);
    CHECK_DOUBLE(ucu.terms[4].ucu, 0, 0);
    CHECK_INT(ucu.terms[0].accelerator, -1);
    CHECK_INT(ucu.terms[5].accelerator, 4);
    hardware.accelerators[1].type = (sl_hardware_type)9;
    CHECK_INT(sl_ucu_of_hardware(&hardware, &ucu), SL_ERR_UNSUPPORTED);
}

TEST(formulae_show_their_numbers) {
    char text[96];
    sl_ucu_device device = {SL_HARDWARE_GPU, 2, 2.445, 16896, 80, 197};
    sl_ucu_formula(&device, text, sizeof text);
    CHECK_STR(text, "16896 CUDA cores * 0.8 + 80 GB * 0.2");
    device.type = SL_HARDWARE_CPU;
    sl_ucu_formula(&device, text, sizeof text);
    CHECK_STR(text, "2 cores * 2.445 GHz / 2");
    device.type = SL_HARDWARE_TPU;
    sl_ucu_formula(&device, text, sizeof text);
    CHECK_STR(text, "197 TFLOPS * 1.2");
}
