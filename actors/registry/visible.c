/* CUDA_VISIBLE_DEVICES and TPU_VISIBLE_CHIPS: which devices the launcher left to this process. */
#include "actors/registry/discovery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct visible_list {
    uint32_t count;
    char tokens[SL_HARDWARE_ACCELERATORS_MAX][SL_HARDWARE_VISIBLE_MAX];
} visible_list;

static bool split(const char *value, visible_list *list) {
    list->count = 0;
    while (*value && list->count < SL_HARDWARE_ACCELERATORS_MAX) {
        size_t length = strcspn(value, ",");
        if (length >= sizeof list->tokens[0])
            return false;
        char token[sizeof list->tokens[0]];
        snprintf(token, sizeof token, "%.*s", (int)length, value);
        sl_hardware_text(list->tokens[list->count++], sizeof list->tokens[0], token);
        value += length + (value[length] == ',');
    }
    return true;
}

/* The index a token names, or -1. */
static long token_index(const char *token) {
    char *end;
    errno = 0;
    long index = strtol(token, &end, 10);
    return end != token && *end == '\0' && errno == 0 && index >= 0 ? index : -1;
}

/* A token is an index among the machine's devices, or (the start of) a UUID. */
static long find_device(const char *token, const sl_accelerator *devices, uint32_t count) {
    long index = token_index(token);
    if (index >= 0)
        return index < (long)count ? index : -1;
    for (uint32_t i = 0; i < count && strncmp(token, "GPU-", 4) == 0; i++)
        if (strncmp(devices[i].uuid, token, strlen(token)) == 0)
            return (long)i;
    return -1;
}

/* As CUDA does: in the list's order, up to the first entry that names no device or names one again.
 */
static uint32_t choose(const visible_list *list, const sl_accelerator *devices, uint32_t count,
                       sl_accelerator *chosen) {
    bool taken[SL_HARDWARE_ACCELERATORS_MAX] = {false};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        long index = find_device(list->tokens[i], devices, count);
        if (index < 0 || taken[index])
            break;
        taken[index] = true;
        chosen[kept] = devices[index];
        snprintf(chosen[kept].visible_id, sizeof chosen[kept].visible_id, "%s", list->tokens[i]);
        kept++;
    }
    return kept;
}

/* The plug-in's devices are those of the list already, in its order: only the names are to be kept.
 */
static uint32_t name_all(const visible_list *list, sl_accelerator *devices, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (list && i < list->count)
            snprintf(devices[i].visible_id, sizeof devices[i].visible_id, "%s", list->tokens[i]);
        else
            snprintf(devices[i].visible_id, sizeof devices[i].visible_id, "%u", i);
    return count;
}

static void apply(sl_discovery *discovery, sl_hardware_type type, const char *variable,
                  bool applied_already, sl_accelerator *result, uint32_t *result_count) {
    sl_hardware *hardware = discovery->hardware;
    sl_accelerator devices[SL_HARDWARE_ACCELERATORS_MAX];
    visible_list list;
    uint32_t count = 0, kept;
    for (uint32_t i = 0; i < hardware->accelerator_count; i++)
        if (hardware->accelerators[i].type == type)
            devices[count++] = hardware->accelerators[i];
    const char *value = sl_discovery_env(discovery, variable);
    bool listed = value && split(value, &list);
    if (value && !listed)
        sl_hardware_warn(hardware, "%s is not a list of devices: it is not applied", variable);
    if (listed && !applied_already) {
        kept = choose(&list, devices, count, result + *result_count);
        if (kept < list.count && count > 0)
            sl_hardware_warn(hardware, "%s names %u devices, %u of them are found here", variable,
                             list.count, kept);
    } else {
        kept = name_all(listed ? &list : NULL, devices, count);
        memcpy(result + *result_count, devices, kept * sizeof *devices);
    }
    *result_count += kept;
}

void sl_visible_apply(sl_discovery *discovery) {
    sl_hardware *hardware = discovery->hardware;
    sl_accelerator kept[SL_HARDWARE_ACCELERATORS_MAX];
    uint32_t count = 0;
    apply(discovery, SL_HARDWARE_GPU, "CUDA_VISIBLE_DEVICES", discovery->gpus_by_cuda, kept,
          &count);
    apply(discovery, SL_HARDWARE_TPU, "TPU_VISIBLE_CHIPS", false, kept, &count);
    memcpy(hardware->accelerators, kept, count * sizeof *kept);
    hardware->accelerator_count = count;
}
