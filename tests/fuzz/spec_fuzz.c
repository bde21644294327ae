/* A spec file of any bytes: refused with a cause that names the file, or within its bounds and
 * usable. */
#include "actors/registry/spec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actors/registry/spec_reader.h"
#include "actors/registry/ucu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check_node(const sl_spec_node *node) {
    require(node->host_count >= 1 && node->host_count <= SL_SPEC_HOSTS_MAX);
    require(node->accelerator_count <= SL_HARDWARE_ACCELERATORS_MAX);
    require(fabs(node->location.latitude) <= 90 && fabs(node->location.longitude) <= 180);
    require(node->limits.cpus >= -1 && node->limits.cpus <= SL_OFFER_CPUS_MAX);
    for (uint32_t i = 0; i < node->accelerator_count; i++) {
        const sl_accelerator *device = &node->accelerators[i];
        const sl_ucu_device inputs = {.type = device->type,
                                      .cuda_cores = device->cuda_cores,
                                      .mem_gb = device->memory_gb,
                                      .tflops = device->tflops};
        double ucu;
        require(sl_ucu_compute(&inputs, &ucu) == SL_OK && ucu >= 0);
    }
}

/* The finder of lines must end within any text, also one that is no JSON. */
static void check_line(const char *text, size_t length) {
    static const char *const paths[] = {"", "nodes", "nodes[1].accelerators[2].type", "[0][1]",
                                        "a..b[x]"};
    unsigned most = 1;
    for (size_t i = 0; i < length; i++)
        most += text[i] == '\n';
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        unsigned line = sl_spec_line(text, length, paths[i]);
        require(line >= 1 && line <= most);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sl_spec *spec = NULL;
    char *text = malloc(size ? size : 1);
    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    check_line(text, size);
    if (sl_spec_parse(text, size, "spec.json", &spec) == SL_OK) {
        for (uint32_t i = 0; i < spec->node_count; i++)
            check_node(&spec->nodes[i]);
        (void)sl_spec_find(spec, "node-17.site.example");
        sl_spec_destroy(spec);
    } else {
        require(spec == NULL && strncmp(sl_err_detail(), "spec.json:", 10) == 0);
    }
    free(text);
    return 0;
}
