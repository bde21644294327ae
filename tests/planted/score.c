/* planted_score [NAME…]: switches on each defect of runtime/plants.def and counts the seeds until
 * the simulator finds it. All must be found, and half of them within 100 seeds. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/plant.h"
#include "sdk/simulation.h"

enum { NODES = 5, SEEDS_MOST = 3000, MEDIAN_MOST = 100 };

static const char *const names[] = {
    "",
#define SL_DEFECT(name, what) #name,
#include "runtime/plants.def"
#undef SL_DEFECT
};

/* The number of seeds it took, or 0: none of them found it. */
static uint32_t seeds_until_found(int plant, char *how, size_t size) {
    uint32_t found = 0;
    sl_planted = plant;
    for (uint32_t seed = 1; !found && seed <= SEEDS_MOST; seed++) {
        sl_simulation_options options = {.nodes = NODES, .seed = seed};
        sl_simulation_result result;
        if (sl_simulation_run(&options, &result) != SL_OK)
            break;
        snprintf(how, size, "%s", result.violation);
        found = result.failed ? seed : 0;
    }
    sl_planted = SL_PLANT_none;
    return found;
}

static bool is_wanted(const char *name, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return argc == 1;
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    uint32_t seeds[SL_PLANTS_COUNT], count = 0;
    bool all = true;
    for (int plant = 1; plant < SL_PLANTS_COUNT; plant++) {
        char how[SL_SIM_TEXT] = "";
        if (!is_wanted(names[plant], argc, argv))
            continue;
        uint32_t found = seeds_until_found(plant, how, sizeof how);
        printf("%-18s %5u  %s\n", names[plant], found, found ? how : "NOT FOUND");
        fflush(stdout);
        all &= found > 0;
        seeds[count++] = found ? found : SEEDS_MOST;
    }
    if (!count) {
        fputs("no such defect\n", stderr);
        return 2;
    }
    qsort(seeds, count, sizeof *seeds, by_number);
    printf("%u defects, %s; median %u seeds, at most %u\n", count,
           all ? "all found" : "some not found", seeds[count / 2], seeds[count - 1]);
    return all && seeds[count / 2] <= MEDIAN_MOST ? 0 : 1;
}
