#include "actors/executor/functions.h"

#include <stdlib.h>
#include <string.h>

typedef struct entry {
    sl_task_function function;
    void *user;
    bool slow;
    char name[SL_FUNCTION_NAME_MAX_BYTES + 1];
} entry;

struct sl_functions {
    entry *entries;
    size_t count, capacity;
    entry family;  /* its function is NULL when there is none */
    uint64_t hash; /* of the frozen table */
    bool frozen;
};

sl_err sl_functions_create(sl_functions **functions) {
    sl_functions *made = calloc(1, sizeof *made);
    if (!made)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the table of functions");
    *functions = made;
    return SL_OK;
}

void sl_functions_destroy(sl_functions *functions) {
    if (!functions)
        return;
    free(functions->entries);
    free(functions);
}

static sl_err check_name(const char *name) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:";
    if (!name || !name[0])
        return sl_fail(SL_ERR_INVALID, "a function needs a name");
    if (strnlen(name, SL_FUNCTION_NAME_MAX_BYTES + 1) > SL_FUNCTION_NAME_MAX_BYTES)
        return sl_fail(SL_ERR_INVALID, "function name \"%.20s...\" is longer than %u bytes", name,
                       SL_FUNCTION_NAME_MAX_BYTES);
    if (name[strspn(name, allowed)])
        return sl_fail(SL_ERR_INVALID,
                       "function name \"%s\" has other than letters, digits and _ - . :", name);
    return SL_OK;
}

static sl_err make_room(sl_functions *functions) {
    if (functions->count >= SL_FUNCTIONS_MAX)
        return sl_fail(SL_ERR_TOO_LARGE, "more than %u functions", SL_FUNCTIONS_MAX);
    if (functions->count < functions->capacity)
        return SL_OK;
    size_t capacity = functions->capacity ? functions->capacity * 2 : 16;
    entry *entries = realloc(functions->entries, capacity * sizeof *entries);
    if (!entries)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %zu functions", capacity);
    functions->entries = entries;
    functions->capacity = capacity;
    return SL_OK;
}

/* The place `name` has, or should be put at, in the entries, which are kept in order. */
static size_t place_of(const sl_functions *functions, const char *name, bool *found) {
    size_t low = 0, high = functions->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(functions->entries[middle].name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

static sl_err add(sl_functions *functions, const char *name, const entry *new_entry) {
    bool found;
    SL_TRY(check_name(name));
    if (!new_entry->function)
        return sl_fail(SL_ERR_INVALID, "function \"%s\" is NULL", name);
    if (functions->frozen)
        return sl_fail(SL_ERR_CLOSED, "function \"%s\" comes after the network was started", name);
    size_t place = place_of(functions, name, &found);
    if (found)
        return sl_fail(SL_ERR_EXISTS, "function \"%s\" is registered already", name);
    SL_TRY(make_room(functions));
    entry *at = functions->entries + place;
    memmove(at + 1, at, (functions->count - place) * sizeof *at);
    *at = *new_entry;
    strcpy(at->name, name);
    functions->count++;
    return SL_OK;
}

sl_err sl_functions_register(sl_functions *functions, const char *name, sl_task_function function,
                             void *user) {
    return add(functions, name, &(entry){.function = function, .user = user});
}

sl_err sl_functions_register_slow(sl_functions *functions, const char *name,
                                  sl_task_function function, void *user) {
    return add(functions, name, &(entry){.function = function, .user = user, .slow = true});
}

sl_err sl_functions_register_family(sl_functions *functions, sl_task_function function,
                                    void *user) {
    if (functions->frozen)
        return sl_fail(SL_ERR_CLOSED, "a family of functions comes after the network was started");
    if (functions->family.function)
        return sl_fail(SL_ERR_EXISTS, "there is a family of functions already");
    functions->family = (entry){.function = function, .user = user, .slow = true, .name = "…/…"};
    return SL_OK;
}

void sl_functions_freeze(sl_functions *functions) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < functions->count; i++) {
        const char *name = functions->entries[i].name;
        for (size_t c = 0; c <= strlen(name); c++)
            hash = (hash ^ (unsigned char)name[c]) * UINT64_C(0x100000001b3);
    }
    functions->hash = hash;
    functions->frozen = true;
}

size_t sl_functions_count(const sl_functions *functions) {
    return functions->count;
}

bool sl_functions_is_family(const sl_functions *functions, const char *name) {
    return functions->family.function && strchr(name, '/');
}

sl_err sl_functions_find(const sl_functions *functions, const char *name, uint32_t *id) {
    bool found;
    if (!functions->frozen)
        return sl_fail(SL_ERR_INVALID, "functions have no ids before the network is started");
    size_t place = place_of(functions, name, &found);
    if (!found)
        return sl_fail(SL_ERR_NOT_FOUND, "no function \"%.*s\" is registered",
                       (int)SL_FUNCTION_NAME_MAX_BYTES, name);
    *id = (uint32_t)place;
    return SL_OK;
}

const char *sl_functions_name(const sl_functions *functions, uint32_t id) {
    return functions->frozen && id < functions->count ? functions->entries[id].name : NULL;
}

bool sl_functions_may_be_inline(const sl_functions *functions, uint32_t id) {
    return id < functions->count && !functions->entries[id].slow;
}

uint64_t sl_functions_hash(const sl_functions *functions) {
    return functions->hash;
}

sl_err sl_functions_call(const sl_functions *functions, uint32_t id, const void *args,
                         size_t args_bytes, sl_task_output *output) {
    const entry *called = id < functions->count ? &functions->entries[id] : &functions->family;
    if (!functions->frozen || !called->function)
        return sl_fail(SL_ERR_NOT_FOUND, "no function has id %u", id);
    sl_err_clear(); /* so that an older cause is not taken for this function's */
    sl_err err = called->function(args, args_bytes, output, called->user);
    if ((unsigned)err >= SL_ERR_COUNT)
        return sl_fail(SL_ERR_FAILED, "function \"%s\" returned %d", called->name, (int)err);
    if (err != SL_OK && !sl_err_detail()[0])
        return sl_fail(err, "function \"%s\" failed: %s", called->name, sl_err_text(err));
    return err;
}
