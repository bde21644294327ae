#include "mpi/regions.h"

#include <stdio.h>
#include <string.h>

#include "mpi/hostlist.h"

/* Components of a het job that are looked at; Slurm itself stops at 128. */
enum { HET_GROUPS_MAX = 128, VARIABLE_BYTES = 64 };

/* One item of --regions. */
typedef struct item {
    char region[SL_REGION_NAME_BYTES];
    uint32_t ranks; /* 0: no number given */
} item;

/* What the whole flag says. */
typedef struct shape {
    uint32_t items;
    uint32_t numbered;   /* items with a number */
    uint64_t ranks;      /* their sum */
    bool last_is_number; /* the last item has one */
} shape;

static sl_err parse_count(const char *text, size_t length, uint32_t *ranks) {
    uint32_t sum = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || i == 9)
            return sl_fail(SL_ERR_SYNTAX, "--regions: \"%.*s\" is not a number of ranks",
                           (int)(length < 40 ? length : 40), text);
        sum = sum * 10 + (uint32_t)(text[i] - '0');
    }
    if (!sum)
        return sl_fail(SL_ERR_SYNTAX, "--regions: a region needs at least one rank");
    *ranks = sum;
    return SL_OK;
}

/* Reads the item at *at and moves *at behind it and its comma. */
static sl_err next_item(const char **at, item *out) {
    size_t length = strcspn(*at, ","), name = strcspn(*at, ",:");
    item found = {.ranks = 0};
    if (name >= sizeof found.region)
        return sl_fail(SL_ERR_SYNTAX, "--regions: \"%.80s\": a name has at most %zu bytes", *at,
                       sizeof found.region - 1);
    memcpy(found.region, *at, name);
    if (!sl_region_name_valid(found.region))
        return sl_fail(SL_ERR_SYNTAX,
                       "--regions: \"%s\" is not a region's name (letters, digits, - _ ., "
                       "a letter or digit first)",
                       found.region);
    if (name < length)
        SL_TRY(parse_count(*at + name + 1, length - name - 1, &found.ranks));
    *at += length;
    *out = found;
    return SL_OK;
}

static sl_err read_shape(const char *flag, shape *out) {
    shape found = {0};
    for (const char *at = flag;; at++) {
        item next;
        if (found.items == SL_REGIONS_MAX)
            return sl_fail(SL_ERR_TOO_LARGE, "--regions: more than %d items", SL_REGIONS_MAX);
        SL_TRY(next_item(&at, &next));
        found.items++;
        found.numbered += next.ranks > 0;
        found.ranks += next.ranks;
        found.last_is_number = next.ranks > 0;
        if (!*at)
            break;
    }
    if (found.numbered && found.items - found.numbered > (found.last_is_number ? 0u : 1u))
        return sl_fail(SL_ERR_SYNTAX,
                       "--regions: give every region a number of ranks, or none (the last may go "
                       "without: it takes the rest)");
    *out = found;
    return SL_OK;
}

sl_err sl_regions_check(const char *flag) {
    shape ignored;
    return read_shape(flag, &ignored);
}

/* Whether the flag fits that many ranks. */
static sl_err check_fit(const shape *given, uint32_t count) {
    if (!given->numbered && given->items > count)
        return sl_fail(SL_ERR_INVALID,
                       "--regions names %u regions for %u ranks: each needs one at least",
                       given->items, count);
    if (given->last_is_number && given->ranks != count)
        return sl_fail(SL_ERR_INVALID, "--regions places %llu ranks, and there are %u",
                       (unsigned long long)given->ranks, count);
    if (given->numbered && !given->last_is_number && given->ranks >= count)
        return sl_fail(
            SL_ERR_INVALID,
            "--regions places %llu of %u ranks before the last region: none is left for it",
            (unsigned long long)given->ranks, count);
    return SL_OK;
}

/* How many ranks item number `index` has. */
static uint64_t item_ranks(const shape *given, const item *at, uint32_t index, uint32_t count) {
    if (at->ranks)
        return at->ranks;
    if (given->numbered)
        return count - given->ranks;
    return count / given->items + (index < count % given->items);
}

static sl_err locate_by_flag(const sl_regions_query *query, sl_regions_place *place) {
    shape given;
    SL_TRY(read_shape(query->flag, &given));
    SL_TRY(check_fit(&given, query->count));
    uint64_t first = 0;
    const char *at = query->flag;
    for (uint32_t index = 0; index < given.items; index++, at++) {
        item next;
        SL_TRY(next_item(&at, &next));
        uint64_t ranks = item_ranks(&given, &next, index, query->count);
        if (query->rank < first + ranks) {
            memcpy(place->region, next.region, sizeof place->region);
            snprintf(place->source, sizeof place->source, "--regions");
            return SL_OK;
        }
        first += ranks;
    }
    return sl_fail(SL_ERR_INVALID, "rank %u is not one of %u", query->rank, query->count);
}

/* Takes `length` bytes as the region if they can be one. */
static bool take(sl_regions_place *place, const char *name, size_t length, const char *source) {
    char region[SL_REGION_NAME_BYTES] = "";
    if (length >= sizeof region)
        return false;
    memcpy(region, name, length);
    if (!sl_region_name_valid(region))
        return false;
    memcpy(place->region, region, sizeof region);
    snprintf(place->source, sizeof place->source, "%s", source);
    return true;
}

static sl_err locate_by_name(const sl_env *env, sl_regions_place *place, bool *found) {
    const char *name = sl_env_get(env, "STARLANE_NODE_REGION");
    *found = name && take(place, name, strlen(name), "STARLANE_NODE_REGION");
    if (name && !*found)
        return sl_fail(SL_ERR_SYNTAX,
                       "STARLANE_NODE_REGION is \"%.80s\": not a region's name (letters, digits, "
                       "- _ ., a letter or digit first, at most %d bytes)",
                       name, SL_REGION_NAME_BYTES - 1);
    return SL_OK;
}

static bool locate_by_rule(const sl_regions_query *query, const sl_topology_rule *rule,
                           sl_regions_place *place) {
    if (!rule)
        return false;
    memcpy(place->region, rule->region, sizeof place->region);
    snprintf(place->source, sizeof place->source, "%s:%d", sl_topology_file_name(query->topology),
             rule->line);
    return true;
}

/* How many "switch" a pattern such as "switch.switch.node" begins with. */
static int count_switches(const char *pattern) {
    int count = 0;
    for (; strncmp(pattern, "switch.", 7) == 0; pattern += 7)
        count++;
    return count;
}

static bool locate_by_topology(const sl_env *env, sl_regions_place *place) {
    const char *address = sl_env_get(env, "SLURM_TOPOLOGY_ADDR");
    const char *pattern = sl_env_get(env, "SLURM_TOPOLOGY_ADDR_PATTERN");
    if (!address || !pattern || count_switches(pattern) < 2)
        return false;
    const char *name = strchr(address, '.');
    size_t length = name ? strcspn(name + 1, ".") : 0;
    return name && name[1 + length] == '.' && take(place, name + 1, length, "SLURM_TOPOLOGY_ADDR");
}

static const char *het_variable(const sl_env *env, const char *stem, uint32_t group) {
    char name[VARIABLE_BYTES];
    snprintf(name, sizeof name, "%s_HET_GROUP_%u", stem, group);
    return sl_env_get(env, name);
}

/* The one component whose node list has `node`; false when none has, or several do. */
static bool find_het_group(const sl_env *env, const char *node, uint32_t *group) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < HET_GROUPS_MAX; i++) {
        const char *nodes = het_variable(env, "SLURM_JOB_NODELIST", i);
        if (!nodes)
            break;
        if (!sl_hostlist_has(nodes, node))
            continue;
        *group = i;
        found++;
    }
    return found == 1;
}

/* Whether `stem` tells the components apart: set for all, and not the same for all. */
static bool het_differs(const sl_env *env, const char *stem) {
    const char *first = het_variable(env, stem, 0);
    bool differs = false;
    for (uint32_t i = 1; first && i < HET_GROUPS_MAX && het_variable(env, "SLURM_JOB_NODELIST", i);
         i++) {
        const char *other = het_variable(env, stem, i);
        if (!other)
            return false;
        differs |= strcmp(first, other) != 0;
    }
    return differs;
}

static bool locate_by_het_group(const sl_env *env, const char *host, sl_regions_place *place) {
    static const char *const stems[] = {"SLURM_JOB_PARTITION", "SLURM_JOB_NAME"};
    const char *node = sl_env_get(env, "SLURMD_NODENAME");
    uint32_t group;
    char text[VARIABLE_BYTES];
    if (!find_het_group(env, node ? node : host, &group))
        return false;
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
        if (!het_differs(env, stems[i]))
            continue;
        const char *name = het_variable(env, stems[i], group);
        snprintf(text, sizeof text, "%s_HET_GROUP_%u", stems[i], group);
        if (take(place, name, strlen(name), text))
            return true;
    }
    snprintf(text, sizeof text, "het-group-%u", group);
    return take(place, text, strlen(text), "SLURM_JOB_NODELIST_HET_GROUP_*");
}

static void locate_by_slurm(const sl_regions_query *query, sl_regions_place *place) {
    const char *partition = sl_env_get(query->env, "SLURM_JOB_PARTITION");
    if (locate_by_topology(query->env, place) ||
        locate_by_het_group(query->env, query->host, place))
        return;
    if (partition && !sl_env_get(query->env, "SLURM_HET_SIZE") &&
        take(place, partition, strlen(partition), "SLURM_JOB_PARTITION"))
        return;
    take(place, "local", strlen("local"), "default");
}

sl_err sl_regions_locate(const sl_regions_query *query, sl_regions_place *place) {
    sl_regions_place answer = {.region = ""};
    const sl_topology_rule *rule = sl_topology_file_find(query->topology, query->host);
    bool found = query->flag != NULL;
    if (found)
        SL_TRY(locate_by_flag(query, &answer));
    else
        SL_TRY(locate_by_name(query->env, &answer, &found));
    if (!found && !locate_by_rule(query, rule, &answer))
        locate_by_slurm(query, &answer);
    if (rule && strcmp(rule->region, answer.region) == 0) {
        memcpy(answer.zone, rule->zone, sizeof answer.zone);
        answer.has_coordinates = rule->has_coordinates;
        answer.latitude = rule->latitude;
        answer.longitude = rule->longitude;
    }
    *place = answer;
    return SL_OK;
}
