/* A topology file of any bytes: refused with a cause that names it, or rules within their bounds,
 * which any host may be held against. The last line of the input is the host. */
#include "mpi/topology_file.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

static void check_rule(const sl_topology_rule *rule) {
    require(rule->line >= 1);
    require(sl_region_name_valid(rule->region));
    require(!rule->zone[0] || sl_region_name_valid(rule->zone));
    require(memchr(rule->pattern, '\0', sizeof rule->pattern) != NULL);
    if (rule->has_coordinates)
        require(fabs(rule->latitude) <= 90 && fabs(rule->longitude) <= 180);
}

static void find(const sl_topology_file *file, const char *host) {
    const sl_topology_rule *rule = sl_topology_file_find(file, host);
    if (rule)
        check_rule(rule);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *newline = size ? memrchr(data, '\n', size) : NULL;
    size_t length = newline ? (size_t)(newline - data) + 1 : size;
    char *text = malloc(length + 1);
    char *host = strndup((const char *)data + length, size - length);
    require(text && host);
    memcpy(text, data, length);
    sl_topology_file *file = NULL;
    sl_err err = sl_topology_file_parse(text, length, "topology.txt", &file);
    if (err == SL_OK) {
        find(file, host);
        find(file, "n1.fra.example");
        sl_topology_file_destroy(file);
    } else {
        require(file == NULL && strncmp(sl_err_detail(), "topology.txt", 12) == 0);
    }
    free(host);
    free(text);
    return 0;
}
