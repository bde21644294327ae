#include "actors/registry/hardware_json.h"

/* jansson's setters steal the value and fail on NULL, so one check at the end covers a whole
 * object. */
static void set_text(json_t *object, const char *key, const char *text, int *failed) {
    if (text[0])
        *failed |= json_object_set_new(object, key, json_string(text));
}

static void set_count(json_t *object, const char *key, uint64_t count, int *failed) {
    if (count != 0)
        *failed |= json_object_set_new(object, key, json_integer((json_int_t)count));
}

static void set_number(json_t *object, const char *key, double number, int *failed) {
    *failed |= json_object_set_new(object, key, json_real(number));
}

static json_t *finish(json_t *value, int failed) {
    if (!failed)
        return value;
    json_decref(value);
    return NULL;
}

static json_t *core_list(const sl_hardware *hardware) {
    json_t *list = json_array();
    int failed = 0;
    for (uint32_t i = 0; i < hardware->cpu.cores; i++) {
        const sl_core *core = &hardware->cores[i];
        json_t *pus = json_array();
        for (uint32_t k = 0; k < core->pu_count; k++)
            failed |= json_array_append_new(pus, json_integer(hardware->pus[core->pu_first + k]));
        failed |=
            json_array_append_new(list, json_pack("{si si si so}", "id", core->id, "package",
                                                  core->package, "numa", core->numa, "pus", pus));
    }
    return finish(list, failed);
}

static json_t *cpu_object(const sl_hardware *hardware) {
    const sl_cpu *cpu = &hardware->cpu;
    json_t *object = json_object();
    int failed = 0;
    set_text(object, "model", cpu->model, &failed);
    set_count(object, "packages", cpu->packages, &failed);
    set_count(object, "numa_nodes", cpu->numa_nodes, &failed);
    set_count(object, "cores", cpu->cores, &failed);
    set_count(object, "pus", cpu->pus, &failed);
    set_count(object, "machine_cores", cpu->machine_cores, &failed);
    set_count(object, "machine_pus", cpu->machine_pus, &failed);
    set_count(object, "l1_bytes", cpu->l1_bytes, &failed);
    set_count(object, "l2_bytes", cpu->l2_bytes, &failed);
    set_count(object, "l3_bytes", cpu->l3_bytes, &failed);
    if (cpu->clock_ghz > 0)
        set_number(object, "clock_ghz", cpu->clock_ghz, &failed);
    set_text(object, "clock_source", cpu->clock_source, &failed);
    failed |= json_object_set_new(object, "core_list", core_list(hardware));
    return finish(object, failed);
}

static json_t *accelerator_object(const sl_accelerator *device) {
    char capability[32] = "";
    json_t *object = json_object();
    int failed = 0;
    if (device->compute_major != 0)
        snprintf(capability, sizeof capability, "%u.%u", device->compute_major,
                 device->compute_minor);
    set_text(object, "type", sl_hardware_type_name(device->type), &failed);
    set_text(object, "name", device->name, &failed);
    set_text(object, "pci_bus_id", device->pci_bus_id, &failed);
    set_text(object, "uuid", device->uuid, &failed);
    set_text(object, "visible_id", device->visible_id, &failed);
    set_count(object, "sms", device->sms, &failed);
    set_count(object, "cuda_cores", device->cuda_cores, &failed);
    set_text(object, "compute_capability", capability, &failed);
    set_count(object, "memory_bytes", device->memory_bytes, &failed);
    if (device->memory_gb > 0)
        set_number(object, "memory_gb", device->memory_gb, &failed);
    set_count(object, "clock_mhz", device->clock_mhz, &failed);
    if (device->tflops > 0)
        set_number(object, "tflops", device->tflops, &failed);
    failed |= json_object_set_new(object, "usable", json_boolean(device->usable));
    set_text(object, "found", device->found, &failed);
    set_text(object, "warning", device->warning, &failed);
    return finish(object, failed);
}

static json_t *accelerator_list(const sl_hardware *hardware) {
    json_t *list = json_array();
    int failed = 0;
    for (uint32_t i = 0; i < hardware->accelerator_count; i++)
        failed |= json_array_append_new(list, accelerator_object(&hardware->accelerators[i]));
    return finish(list, failed);
}

static json_t *term_object(const sl_ucu_term *term) {
    char formula[128];
    sl_ucu_formula(&term->device, formula, sizeof formula);
    json_t *object = json_pack("{ss ss sf}", "type", sl_hardware_type_name(term->device.type),
                               "formula", formula, "ucu", term->ucu);
    int failed = 0;
    if (term->accelerator >= 0)
        failed |= json_object_set_new(object, "accelerator", json_integer(term->accelerator));
    return finish(object, failed);
}

static json_t *ucu_object(const sl_ucu *ucu) {
    json_t *terms = json_array();
    int failed = 0;
    for (uint32_t i = 0; i < ucu->term_count; i++)
        failed |= json_array_append_new(terms, term_object(&ucu->terms[i]));
    terms = finish(terms, failed);
    return terms ? json_pack("{sf sf sf sf so}", "cpu_ucu", ucu->cpu_ucu, "gpu_ucu", ucu->gpu_ucu,
                             "tpu_ucu", ucu->tpu_ucu, "total_ucu", ucu->total_ucu, "terms", terms)
                 : NULL;
}

static json_t *warning_list(const sl_hardware *hardware) {
    json_t *list = json_array();
    int failed = 0;
    for (uint32_t i = 0; i < hardware->warning_count && i < SL_HARDWARE_WARNINGS_MAX; i++)
        failed |= json_array_append_new(list, json_string(hardware->warnings[i]));
    return finish(list, failed);
}

json_t *sl_hardware_to_json(const sl_hardware *hardware, const sl_ucu *ucu) {
    json_t *object = json_object();
    int failed = 0;
    set_text(object, "hostname", hardware->hostname, &failed);
    failed |= json_object_set_new(object, "cpu", cpu_object(hardware));
    set_count(object, "memory_bytes", hardware->memory_bytes, &failed);
    set_text(object, "memory_source", hardware->memory_source, &failed);
    failed |= json_object_set_new(object, "accelerators", accelerator_list(hardware));
    failed |= json_object_set_new(object, "ucu", ucu_object(ucu));
    failed |= json_object_set_new(object, "warnings", warning_list(hardware));
    return finish(object, failed);
}

json_t *sl_offer_to_json(const sl_offer *offer, const sl_hardware *hardware) {
    json_t *cores = json_array(), *accelerators = json_array();
    int failed = 0;
    for (uint32_t i = 0; i < offer->core_count; i++)
        failed |= json_array_append_new(cores, json_integer(hardware->cores[offer->cores[i]].id));
    for (uint32_t i = 0; i < offer->accelerator_count; i++)
        failed |= json_array_append_new(accelerators, json_integer(offer->accelerators[i]));
    json_t *object =
        json_pack("{si so sf sb sI si si so sf sf sf sf sb}", "cpus", (int)offer->cpus, "core_ids",
                  cores, "core_shares", offer->core_shares, "oversubscribed", offer->oversubscribed,
                  "memory_bytes", (json_int_t)offer->memory_bytes, "gpus", (int)offer->gpus, "tpus",
                  (int)offer->tpus, "accelerators", accelerators, "cpu_ucu", offer->cpu_ucu,
                  "gpu_ucu", offer->gpu_ucu, "tpu_ucu", offer->tpu_ucu, "total_ucu",
                  offer->total_ucu, "ucu_overridden", offer->ucu_overridden);
    return finish(object, failed);
}

json_t *sl_location_to_json(const sl_location *location) {
    json_t *object = json_object();
    int failed = 0;
    set_text(object, "region", location->region, &failed);
    set_text(object, "zone", location->zone, &failed);
    if (location->has_coordinates) {
        set_number(object, "latitude", location->latitude, &failed);
        set_number(object, "longitude", location->longitude, &failed);
    }
    return finish(object, failed);
}
