/* A command's spec as bytes: a fixed head, the cpus, then each string with its NUL. */
#include <stdlib.h>
#include <string.h>

#include "actors/executor/process_wire.h"

enum {
    HAS_CWD = 1,
    HAS_STDIN_PATH = 2,
    HAS_STDOUT_PATH = 4,
    HAS_STDERR_PATH = 8,
    HAS_CUDA = 16,
    OUTPUTS_ANEW = 32,
    HAS_ALL = 63
};

typedef struct head {
    uint64_t timeout_ns, kill_grace_ns;
    uint32_t argument_count, variable_count, cpu_count, present;
} head;

static uint32_t count_of(const char *const *strings) {
    uint32_t count = 0;
    while (strings && strings[count])
        count++;
    return count;
}

static uint32_t present_of(const sl_process_spec *spec) {
    return (spec->cwd ? HAS_CWD : 0) | (spec->stdin_path ? HAS_STDIN_PATH : 0) |
           (spec->stdout_path ? HAS_STDOUT_PATH : 0) | (spec->stderr_path ? HAS_STDERR_PATH : 0) |
           (spec->cuda_visible_devices ? HAS_CUDA : 0) | (spec->outputs_anew ? OUTPUTS_ANEW : 0);
}

/* Counts with `out` NULL, else also writes. */
typedef struct writer {
    unsigned char *out;
    size_t size;
} writer;

static void put(writer *w, const void *bytes, size_t size) {
    if (w->out && size)
        memcpy(w->out + w->size, bytes, size);
    w->size += size;
}

static void put_string(writer *w, const char *text) {
    if (text)
        put(w, text, strlen(text) + 1);
}

static void put_spec(writer *w, const sl_process_spec *spec) {
    const head h = {.timeout_ns = spec->timeout_ns,
                    .kill_grace_ns = spec->kill_grace_ns,
                    .argument_count = count_of(spec->argv),
                    .variable_count = count_of(spec->env),
                    .cpu_count = (uint32_t)spec->cpu_count,
                    .present = present_of(spec)};
    put(w, &h, sizeof h);
    put(w, spec->cpus, h.cpu_count * sizeof *spec->cpus);
    for (uint32_t i = 0; i < h.argument_count; i++)
        put_string(w, spec->argv[i]);
    for (uint32_t i = 0; i < h.variable_count; i++)
        put_string(w, spec->env[i]);
    put_string(w, spec->cwd);
    put_string(w, spec->stdin_path);
    put_string(w, spec->stdout_path);
    put_string(w, spec->stderr_path);
    put_string(w, spec->cuda_visible_devices);
}

sl_err sl_process_spec_encode(const sl_process_spec *spec, unsigned char **bytes, size_t *size) {
    writer w = {0};
    put_spec(&w, spec);
    if (w.size > SL_SPAWNER_SPEC_MAX_BYTES)
        return sl_fail(SL_ERR_TOO_LARGE, "the command and its environment take %zu bytes, over %u",
                       w.size, SL_SPAWNER_SPEC_MAX_BYTES);
    *size = w.size;
    w = (writer){.out = malloc(w.size)};
    if (!w.out)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a command of %zu bytes", *size);
    put_spec(&w, spec);
    *bytes = w.out;
    return SL_OK;
}

typedef struct reader {
    const unsigned char *at;
    size_t left;
} reader;

/* The next string, or NULL when none ends within the bytes. */
static const char *get_string(reader *r) {
    const char *text = (const char *)r->at;
    const unsigned char *end = r->left ? memchr(r->at, 0, r->left) : NULL;
    if (!end)
        return NULL;
    r->left -= (size_t)(end + 1 - r->at);
    r->at = end + 1;
    return text;
}

static bool get_strings(reader *r, const char **strings, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!(strings[i] = get_string(r)))
            return false;
    strings[count] = NULL;
    return true;
}

static bool get_optional(reader *r, bool there, const char **text) {
    *text = there ? get_string(r) : NULL;
    return !there || *text;
}

static bool get_head(reader *r, head *h) {
    if (r->left < sizeof *h)
        return false;
    memcpy(h, r->at, sizeof *h);
    r->at += sizeof *h;
    r->left -= sizeof *h;
    /* A string takes a byte at least, a cpu four: the arrays made from these counts stay in bounds.
     */
    return h->argument_count > 0 && h->argument_count <= r->left && h->variable_count <= r->left &&
           h->cpu_count <= r->left / sizeof(uint32_t) && !(h->present & ~(uint32_t)HAS_ALL);
}

static bool get_rest(reader *r, const head *h, sl_process_spec *spec, const char **strings,
                     uint32_t *cpus) {
    memcpy(cpus, r->at, h->cpu_count * sizeof *cpus);
    r->at += h->cpu_count * sizeof *cpus;
    r->left -= h->cpu_count * sizeof *cpus;
    *spec = (sl_process_spec){.argv = strings,
                              .env = strings + h->argument_count + 1,
                              .timeout_ns = h->timeout_ns,
                              .kill_grace_ns = h->kill_grace_ns,
                              .outputs_anew = (h->present & OUTPUTS_ANEW) != 0,
                              .cpus = cpus,
                              .cpu_count = h->cpu_count};
    return get_strings(r, strings, h->argument_count) &&
           get_strings(r, strings + h->argument_count + 1, h->variable_count) &&
           get_optional(r, h->present & HAS_CWD, &spec->cwd) &&
           get_optional(r, h->present & HAS_STDIN_PATH, &spec->stdin_path) &&
           get_optional(r, h->present & HAS_STDOUT_PATH, &spec->stdout_path) &&
           get_optional(r, h->present & HAS_STDERR_PATH, &spec->stderr_path) &&
           get_optional(r, h->present & HAS_CUDA, &spec->cuda_visible_devices) && r->left == 0;
}

sl_err sl_process_spec_decode(const unsigned char *bytes, size_t size, sl_process_spec *spec,
                              void **arrays) {
    reader r = {bytes, size};
    sl_process_spec decoded;
    head h;
    if (!get_head(&r, &h))
        return sl_fail(SL_ERR_DECODE, "a command's first bytes do not decode");
    size_t string_count = (size_t)h.argument_count + h.variable_count + 2;
    const char **strings =
        malloc(string_count * sizeof *strings + h.cpu_count * sizeof *decoded.cpus);
    if (!strings)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a command of %zu bytes", size);
    uint32_t *cpus = (uint32_t *)(void *)(strings + string_count);
    if (!get_rest(&r, &h, &decoded, strings, cpus)) {
        free(strings);
        return sl_fail(SL_ERR_DECODE, "a command's strings do not decode");
    }
    sl_err err = sl_process_check(&decoded);
    if (err != SL_OK) {
        free(strings);
        return err;
    }
    *spec = decoded;
    *arrays = strings;
    return SL_OK;
}
