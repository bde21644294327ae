/* Where the spawner program is. The build tree is laid out like an installed prefix, so one search
 * serves both. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/executor/minder.h"

/* The folder of the file this code was loaded from: the library, or the program itself. */
static bool own_folder(char *folder, size_t capacity) {
    Dl_info info;
    char resolved[4096];
    if (!dladdr((const void *)(uintptr_t)sl_minder_find_spawner, &info) || !info.dli_fname)
        return false;
    ssize_t length = -1;
    if (!strchr(info.dli_fname, '/')) /* a program found through PATH */
        length = readlink("/proc/self/exe", resolved, sizeof resolved - 1);
    if (length >= 0)
        resolved[length] = 0;
    else if (strlen(info.dli_fname) < sizeof resolved)
        strcpy(resolved, info.dli_fname);
    else
        return false;
    char *slash = strrchr(resolved, '/');
    if (!slash)
        return false;
    *slash = 0;
    return snprintf(folder, capacity, "%s", resolved) < (int)capacity;
}

static bool is_there(const char *path, size_t capacity) {
    return strlen(path) + 1 < capacity && access(path, X_OK) == 0;
}

sl_err sl_minder_find_spawner(char *path, size_t capacity) {
    static const char *const from_folder[] = {"../libexec/starlane/starlane-spawner",
                                              "../../libexec/starlane/starlane-spawner"};
    const char *named = getenv("STARLANE_SPAWNER");
    char folder[4096];
    if (named && named[0]) {
        if (snprintf(path, capacity, "%s", named) < (int)capacity && is_there(path, capacity))
            return SL_OK;
        return sl_fail(SL_ERR_UNAVAILABLE, "STARLANE_SPAWNER names %s, which is no program", named);
    }
    bool known = own_folder(folder, sizeof folder);
    for (size_t i = 0; known && i < sizeof from_folder / sizeof *from_folder; i++)
        if (snprintf(path, capacity, "%s/%s", folder, from_folder[i]) < (int)capacity &&
            is_there(path, capacity))
            return SL_OK;
    if (snprintf(path, capacity, "%s", SL_SPAWNER_INSTALLED) < (int)capacity &&
        is_there(path, capacity))
        return SL_OK;
    return sl_fail(SL_ERR_UNAVAILABLE,
                   "starlane-spawner is neither at %s/%s nor at %s: install it, or name it in "
                   "STARLANE_SPAWNER",
                   known ? folder : "?", from_folder[0], SL_SPAWNER_INSTALLED);
}
