#include "actors/executor/environment.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool sl_environment_is_launcher(const char *variable) {
    static const char *const prefixes[] = {"OMPI_",
                                           "ORTE_",
                                           "PRTE_",
                                           "PMIX_",
                                           "PMI_",
                                           "PMI2_",
                                           "HYDI_",
                                           "HYDRA_",
                                           "MPI_LOCAL",
                                           "MV2_COMM_WORLD_",
                                           "SLURM_STEP",
                                           "SLURM_PMI",
                                           "SLURM_SRUN_COMM_",
                                           "SLURM_MPI_TYPE"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static size_t count_of(char *const *strings) {
    size_t count = 0;
    while (strings[count])
        count++;
    return count;
}

char **sl_environment_filter(char *const *environment) {
    char **kept = malloc((count_of(environment) + 1) * sizeof *kept);
    size_t count = 0;
    if (!kept)
        return NULL;
    for (; *environment; environment++)
        if (!sl_environment_is_launcher(*environment))
            kept[count++] = *environment;
    kept[count] = NULL;
    return kept;
}

static size_t name_bytes(const char *variable) {
    return strcspn(variable, "=");
}

bool sl_environment_is_valid(const char *variable) {
    return name_bytes(variable) > 0;
}

/* `variables` has room for one more. */
static void apply(char **variables, size_t *count, const char *addition) {
    size_t name = name_bytes(addition), kept = 0;
    for (size_t i = 0; i < *count; i++)
        if (strncmp(variables[i], addition, name) != 0 || name_bytes(variables[i]) != name)
            variables[kept++] = variables[i];
    if (addition[name] == '=')
        variables[kept++] = (char *)(uintptr_t)addition;
    variables[kept] = NULL;
    *count = kept;
}

char **sl_environment_merge(char *const *base, const char *const *additions, const char *last) {
    size_t count = count_of(base);
    size_t added = additions ? count_of((char *const *)(uintptr_t)additions) : 0;
    char **merged = malloc((count + added + 2) * sizeof *merged);
    if (!merged)
        return NULL;
    memcpy(merged, base, (count + 1) * sizeof *merged);
    for (size_t i = 0; i < added; i++)
        apply(merged, &count, additions[i]);
    if (last)
        apply(merged, &count, last);
    return merged;
}

const char *sl_environment_get(char *const *environment, const char *name) {
    size_t length = strlen(name);
    for (; *environment; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}
