/* Where a rank is, from words of a person and of Slurm. The input is lines: the value of --regions
 * (empty: not given), then NAME=VALUE of the environment; its first byte is the number of ranks. */
#include "mpi/regions.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES_MOST = 12 };

typedef struct lines {
    char *at[LINES_MOST];
    unsigned count;
} lines;

static void require(bool holds) {
    if (!holds)
        abort();
}

static lines split(char *text) {
    lines found = {.count = 0};
    for (char *line; found.count < LINES_MOST && (line = strsep(&text, "\n"));)
        found.at[found.count++] = line;
    return found;
}

static const char *look_up(void *context, const char *name) {
    const lines *all = context;
    size_t length = strlen(name);
    for (unsigned i = 1; i < all->count; i++)
        if (strncmp(all->at[i], name, length) == 0 && all->at[i][length] == '=')
            return all->at[i] + length + 1;
    return NULL;
}

static void check(sl_err err, const sl_regions_place *place) {
    if (err != SL_OK) {
        require(err == SL_ERR_SYNTAX || err == SL_ERR_INVALID);
        require(sl_err_detail()[0]);
        return;
    }
    require(sl_region_name_valid(place->region));
    require(!place->zone[0] || sl_region_name_valid(place->zone));
    require(memchr(place->source, '\0', sizeof place->source) != NULL && place->source[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size)
        return 0;
    char *text = strndup((const char *)data + 1, size - 1);
    require(text != NULL);
    lines all = split(text);
    sl_env env = {look_up, &all};
    sl_regions_query query = {.flag = all.at[0][0] ? all.at[0] : NULL,
                              .host = "n1.fra.example",
                              .count = 1 + data[0] % 16,
                              .rank = data[0] / 16,
                              .env = &env};
    query.rank %= query.count;
    sl_regions_place place;
    sl_err err = sl_regions_locate(&query, &place);
    check(err, &place);
    if (query.flag && err == SL_OK)
        require(sl_regions_check(query.flag) == SL_OK);
    free(text);
    return 0;
}
