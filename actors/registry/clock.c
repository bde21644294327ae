/* The processor's clock: a chain of sources, the first that answers counts and is named. */
#include "actors/registry/discovery.h"

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "runtime/clock.h"

/* What a clock can be; outside it the source is broken (virtual machines report 0, or kHz for MHz).
 */
#define CLOCK_MIN_GHZ 0.05
#define CLOCK_MAX_GHZ 20.0

static bool from_user(sl_discovery *discovery, double *ghz) {
    *ghz = discovery->source->clock_ghz;
    return *ghz > 0;
}

/* The mean over the allowed cores whose file can be read (big and little cores differ). */
static bool from_cpufreq(const sl_discovery *discovery, const char *file, double *ghz) {
    const sl_hardware *hardware = discovery->hardware;
    double sum = 0;
    uint32_t read = 0;
    for (uint32_t i = 0; i < hardware->cpu.cores; i++) {
        uint64_t khz;
        if (sl_system_number(discovery, &khz, "/sys/devices/system/cpu/cpu%d/cpufreq/%s",
                             hardware->cores[i].id, file))
            sum += (double)khz / 1e6, read++;
        else if (i == 0)
            return false; /* not there at all: do not look for thousands of files */
    }
    *ghz = sum / read;
    return read > 0;
}

static bool from_base_frequency(sl_discovery *discovery, double *ghz) {
    return from_cpufreq(discovery, "base_frequency", ghz);
}

static bool from_cpuinfo_max_freq(sl_discovery *discovery, double *ghz) {
    return from_cpufreq(discovery, "cpuinfo_max_freq", ghz);
}

static bool from_cpukinds(sl_discovery *discovery, double *ghz) {
    *ghz = discovery->hwloc_clock_ghz;
    return *ghz > 0;
}

/* Leaf 16h, EAX bits 15-0: the base frequency in MHz (Intel SDM, volume 2A, CPUID). */
static uint32_t cpuid_mhz(void) {
#if defined(__x86_64__) || defined(__i386__)
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid_count(0x16, 0, &eax, &ebx, &ecx, &edx))
        return eax & 0xffff;
#endif
    return 0;
}

static bool from_cpuid(sl_discovery *discovery, double *ghz) {
    uint32_t mhz = discovery->source->cpuid_mhz;
    if (mhz == 0 && discovery->this_machine)
        mhz = cpuid_mhz();
    *ghz = mhz / 1e3;
    return mhz > 0;
}

/* "Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz" */
static bool from_model(sl_discovery *discovery, double *ghz) {
    const char *at = strrchr(discovery->hardware->cpu.model, '@');
    char *end;
    if (!at)
        return false;
    double value = strtod(at + 1, &end);
    if (strncmp(end, "GHz", 3) == 0)
        *ghz = value;
    else if (strncmp(end, "MHz", 3) == 0)
        *ghz = value / 1e3;
    else
        return false;
    return true;
}

/* If `line` is "key<blanks>: value", its value; else NULL. */
static const char *cpuinfo_value(const char *line, const char *key) {
    size_t length = strlen(key);
    if (strncmp(line, key, length) != 0)
        return NULL;
    line += length;
    line += strspn(line, " \t");
    return *line == ':' ? line + 1 + strspn(line + 1, " \t") : NULL;
}

bool sl_cpuinfo_text(const sl_discovery *discovery, const char *key, char *value, size_t size) {
    char line[4096]; /* the flags line of new processors nears 2 kB; the rest of a longer one
                        matches no key */
    bool found = false;
    FILE *file = sl_system_open(discovery, "/proc/cpuinfo");
    while (file && !found && fgets(line, sizeof line, file)) {
        const char *text = cpuinfo_value(line, key);
        if (text)
            sl_hardware_text(value, size, text), found = true;
    }
    if (file)
        fclose(file);
    return found;
}

/* The mean of "cpu MHz" over the allowed PUs. It moves with the governor, hence its late place. */
static bool from_cpuinfo_mhz(sl_discovery *discovery, double *ghz) {
    char line[4096];
    double sum = 0;
    long processor = -1, read = 0;
    FILE *file = sl_system_open(discovery, "/proc/cpuinfo");
    bool *allowed = calloc(SL_HARDWARE_PUS_MAX, sizeof *allowed);
    for (uint32_t i = 0; allowed && i < discovery->hardware->cpu.pus; i++)
        allowed[discovery->hardware->pus[i]] = true;
    while (file && allowed && fgets(line, sizeof line, file)) {
        const char *text = cpuinfo_value(line, "processor");
        if (text)
            processor = strtol(text, NULL, 10);
        text = cpuinfo_value(line, "cpu MHz");
        if (text && processor >= 0 && processor < SL_HARDWARE_PUS_MAX && allowed[processor])
            sum += strtod(text, NULL), read++;
    }
    free(allowed);
    if (file)
        fclose(file);
    *ghz = read ? sum / (double)read / 1e3 : 0;
    return read > 0;
}

/* A chain of dependent additions advances one a cycle on every processor of today. */
__attribute__((noinline)) static void add_chain(uint64_t steps) {
    uint64_t value = 0;
    for (uint64_t i = 0; i < steps / 16; i++) {
#define ADD                                                                                        \
    __asm__ volatile("" : "+r"(value));                                                            \
    value += 3;
        ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD
#undef ADD
    }
    __asm__ volatile("" : : "r"(value));
}

/* The best of several short runs: others' load only makes a run slower. */
static bool from_timed_loop(sl_discovery *discovery, double *ghz) {
    const uint64_t steps = 1u << 20;
    (void)discovery;
    *ghz = 0;
    for (int run = 0; run < 16; run++) {
        uint64_t start_ns = sl_clock_now_ns();
        add_chain(steps);
        uint64_t spent_ns = sl_clock_now_ns() - start_ns;
        if (spent_ns > 0 && (double)steps / (double)spent_ns > *ghz)
            *ghz = (double)steps / (double)spent_ns; /* a step a cycle: steps per ns are GHz */
    }
    return *ghz > 0;
}

static const struct {
    const char *name;
    bool (*find)(sl_discovery *discovery, double *ghz);
} chain[] = {
    {"configuration", from_user},
    {"cpufreq base_frequency", from_base_frequency},
    {"cpufreq cpuinfo_max_freq", from_cpuinfo_max_freq},
    {"hwloc cpukinds", from_cpukinds},
    {"CPUID leaf 16h", from_cpuid},
    {"model name", from_model},
    {"/proc/cpuinfo cpu MHz", from_cpuinfo_mhz},
    {"timed loop", from_timed_loop},
};

void sl_clock_discover(sl_discovery *discovery) {
    sl_hardware *hardware = discovery->hardware;
    for (size_t i = 0; i < sizeof chain / sizeof *chain; i++) {
        double ghz = 0;
        if (!chain[i].find(discovery, &ghz))
            continue;
        if (ghz >= CLOCK_MIN_GHZ && ghz <= CLOCK_MAX_GHZ) {
            hardware->cpu.clock_ghz = ghz;
            sl_hardware_text(hardware->cpu.clock_source, sizeof hardware->cpu.clock_source,
                             chain[i].name);
            return;
        }
        sl_hardware_warn(hardware, "clock of %g GHz by %s is not believed", ghz, chain[i].name);
    }
    sl_hardware_text(hardware->cpu.clock_source, sizeof hardware->cpu.clock_source, "unknown");
    sl_hardware_warn(hardware, "the clock is unknown: CPU UCU is 0 until clock_ghz is configured");
}
