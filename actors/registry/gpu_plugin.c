/* Finds and loads libstarlane_cuda.so. */
#include "actors/registry/discovery.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The folder of the library or program that holds this code, with its last slash; "" unknown. */
static void own_folder(char folder[PATH_MAX]) {
    Dl_info info;
    char path[PATH_MAX];
    folder[0] = '\0';
    if (!dladdr((void *)own_folder, &info) || !info.dli_fname || !realpath(info.dli_fname, path))
        return;
    char *slash = strrchr(path, '/');
    if (slash)
        snprintf(folder, PATH_MAX, "%.*s", (int)(slash - path + 1), path);
}

static void *open_plugin(sl_discovery *discovery, const char *path, bool expected) {
    if (strchr(path, '/') && access(path, F_OK) != 0 && !expected)
        return NULL;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const char *why = library ? NULL : dlerror();
    if (!library && expected)
        sl_hardware_warn(discovery->hardware, "the CUDA plug-in cannot be loaded: %s",
                         why ? why : path);
    return library;
}

/* Beside this library, in lib/ beside its folder (the build tree), then where the loader looks. */
static void *search_plugin(sl_discovery *discovery) {
    char folder[PATH_MAX], path[PATH_MAX + 64];
    void *library = NULL;
    own_folder(folder);
    static const char *const places[] = {"", "../lib/"};
    for (size_t i = 0; folder[0] && !library && i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s%s%s", folder, places[i], SL_CUDA_PLUGIN_FILE);
        library = open_plugin(discovery, path, false);
    }
    return library ? library : open_plugin(discovery, SL_CUDA_PLUGIN_FILE, false);
}

static void *find_plugin(sl_discovery *discovery) {
    const char *path = discovery->source->cuda_plugin;
    if (!path && !discovery->this_machine)
        return NULL;
    if (!path)
        path = sl_discovery_env(discovery, "STARLANE_CUDA_PLUGIN");
    if (!path)
        return search_plugin(discovery);
    return path[0] ? open_plugin(discovery, path, true) : NULL; /* "": the user wants none */
}

const sl_cuda_plugin_table *sl_gpu_plugin_load(sl_discovery *discovery) {
    void *library = find_plugin(discovery);
    if (!library)
        return NULL;
    const sl_cuda_plugin_table *plugin = dlsym(library, SL_CUDA_PLUGIN_SYMBOL);
    if (plugin && plugin->version == SL_CUDA_PLUGIN_VERSION)
        return plugin;
    if (plugin)
        sl_hardware_warn(discovery->hardware,
                         "the CUDA plug-in has version %u, not %d: it is not used", plugin->version,
                         SL_CUDA_PLUGIN_VERSION);
    else
        sl_hardware_warn(discovery->hardware, "the CUDA plug-in has no symbol %s: it is not used",
                         SL_CUDA_PLUGIN_SYMBOL);
    dlclose(library);
    return NULL;
}
