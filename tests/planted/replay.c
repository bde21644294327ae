/* A seed that fails is told in a line that replays it, with no fault that is not needed. */
#include <stdlib.h>
#include <string.h>

#include "runtime/plant.h"
#include "starlane.h"

static int simulate(uint64_t seed, uint64_t seeds, const char *faults, char *text, size_t size) {
    FILE *file = fmemopen(text, size, "w");
    sl_simulate_request request = {
        .nodes = 5, .seed = seed, .seeds = seeds, .faults = faults, .messages = file};
    int code = -1;
    if (!file || sl_simulate(&request, &code) != 0)
        return -1;
    fclose(file);
    return code;
}

static int fail(const char *what, const char *text) {
    fprintf(stderr, "%s:\n%s\n", what, text);
    return 1;
}

int main(void) {
    static char all[65536], again[65536], without[65536];
    char faults[128];
    unsigned long long seed;
    sl_planted = SL_PLANT_sync_skipped;
    if (simulate(1, 30, NULL, all, sizeof all) != SL_RUN_FAILED)
        return fail("no seed failed", all);
    char *line = strstr(all, "starlane simulate --nodes 5 --seed ");
    if (!line || sscanf(line, "starlane simulate --nodes 5 --seed %llu --faults %127[^:]:", &seed,
                        faults) != 2)
        return fail("no line that replays", all);
    char *why = strchr(strchr(line, ':') + 1, ':');
    if (simulate(seed, 1, faults, again, sizeof again) != SL_RUN_FAILED || !why ||
        !strstr(again, strtok(why, "\n")))
        return fail("the replay is another run", again);
    if (simulate(seed, 1, "none", without, sizeof without) != SL_RUN_DONE)
        return fail("it fails without a fault, and the line names some", without);
    sl_planted = SL_PLANT_none;
    if (simulate(seed, 1, NULL, without, sizeof without) != SL_RUN_DONE)
        return fail("it fails without the defect", without);
    return 0;
}
