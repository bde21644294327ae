#include "actors/scheduler/estimate.h"

#include <stdlib.h>
#include <string.h>

static const double weight = 1.0 / 8;
static const double speed_most =
    1024;                           /* and least: its inverse. What measures more measures chance,
                                       and speeds and means would drive each other apart */
static const double least_s = 1e-9; /* a clock that did not move still measured something */

sl_err sl_estimates_init(sl_estimates *estimates, uint32_t nodes) {
    memset(estimates, 0, sizeof *estimates);
    estimates->capacity = 16;
    estimates->table_size = 64;
    estimates->groups = calloc(estimates->capacity, sizeof *estimates->groups);
    estimates->table = calloc(estimates->table_size, sizeof *estimates->table);
    estimates->speed = calloc(nodes, sizeof *estimates->speed);
    if (!estimates->groups || !estimates->table || !estimates->speed)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the estimates of %u nodes", nodes);
    estimates->count = 1;
    estimates->nodes = nodes;
    for (uint32_t i = 0; i < nodes; i++)
        estimates->speed[i] = 1;
    return SL_OK;
}

void sl_estimates_fini(sl_estimates *estimates) {
    for (uint32_t i = 1; i < estimates->count; i++)
        free(estimates->groups[i].name);
    free(estimates->groups);
    free(estimates->table);
    free(estimates->speed);
    memset(estimates, 0, sizeof *estimates);
}

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
static uint64_t hash_of(const char *text, size_t bytes) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    return hash;
}

static bool is_named(const sl_group *group, sl_text name) {
    return group->name_bytes == name.bytes && memcmp(group->name, name.data, name.bytes) == 0;
}

/* 0 in the table is an empty place: group 0 is never looked up there. */
static uint32_t *place_of(const sl_estimates *estimates, sl_text name) {
    for (uint64_t at = hash_of(name.data, name.bytes);; at++) {
        uint32_t *place = &estimates->table[at & (estimates->table_size - 1)];
        if (!*place || is_named(&estimates->groups[*place], name))
            return place;
    }
}

static bool grow(sl_estimates *estimates) {
    uint32_t capacity = 2 * estimates->capacity;
    sl_group *groups = realloc(estimates->groups, capacity * sizeof *groups);
    if (!groups)
        return false;
    estimates->groups = groups;
    uint32_t *table = calloc(4 * (size_t)capacity, sizeof *table);
    if (!table)
        return false;
    free(estimates->table);
    estimates->table = table;
    estimates->table_size = 4 * capacity;
    estimates->capacity = capacity;
    for (uint32_t i = 1; i < estimates->count; i++)
        *place_of(estimates, (sl_text){groups[i].name, groups[i].name_bytes}) = i;
    return true;
}

uint32_t sl_estimates_group(sl_estimates *estimates, sl_text name) {
    if (!name.bytes)
        return 0;
    if (estimates->last && is_named(&estimates->groups[estimates->last], name))
        return estimates->last;
    if (estimates->count == estimates->capacity &&
        (estimates->count >= SL_MAX_GROUPS || !grow(estimates)))
        return 0;
    uint32_t *place = place_of(estimates, name);
    if (!*place) {
        char *copy = malloc((size_t)name.bytes + 1); /* there may be NULs in it */
        if (!copy)
            return 0;
        memcpy(copy, name.data, name.bytes);
        copy[name.bytes] = '\0';
        estimates->groups[estimates->count] = (sl_group){.name = copy, .name_bytes = name.bytes};
        *place = estimates->count++;
    }
    return estimates->last = *place;
}

double sl_estimate_s(const sl_estimates *estimates, uint32_t group, uint32_t node) {
    const sl_group *of = &estimates->groups[group];
    return of->samples ? of->mean_s / estimates->speed[node] : 0;
}

static void learn_speed(double *speed, double measured) {
    *speed += weight * (measured - *speed);
    if (*speed > speed_most)
        *speed = speed_most;
    else if (*speed < 1 / speed_most)
        *speed = 1 / speed_most;
}

void sl_estimates_learn(sl_estimates *estimates, uint32_t group, uint32_t node, double seconds) {
    sl_group *of = &estimates->groups[group];
    seconds = seconds > least_s ? seconds : least_s;
    if (of->samples && group) /* only alike tasks say something about a node */
        learn_speed(&estimates->speed[node], of->mean_s / seconds);
    double at_speed_one = seconds * (group ? estimates->speed[node] : 1);
    of->mean_s = of->samples ? of->mean_s + weight * (at_speed_one - of->mean_s) : at_speed_one;
    of->samples++;
}
