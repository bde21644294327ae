#include "actors/registry/discovery.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

SL_PRINTF(3, 0)
static bool join_path(const sl_discovery *discovery, char *path, const char *format,
                      va_list arguments) {
    int root = snprintf(path, PATH_MAX, "%s", discovery->root);
    if (!discovery->system_files || root < 0 || root >= PATH_MAX)
        return false;
    int rest = vsnprintf(path + root, (size_t)(PATH_MAX - root), format, arguments);
    return rest >= 0 && rest < PATH_MAX - root;
}

FILE *sl_system_open(const sl_discovery *discovery, const char *format, ...) {
    char path[PATH_MAX];
    va_list arguments;
    va_start(arguments, format);
    bool joined = join_path(discovery, path, format, arguments);
    va_end(arguments);
    return joined ? fopen(path, "re") : NULL;
}

static bool read_line(const char *path, char *line, size_t size) {
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool read = fgets(line, (int)size, file) != NULL;
    fclose(file);
    if (read)
        line[strcspn(line, "\n")] = '\0';
    return read;
}

bool sl_system_line(const sl_discovery *discovery, char *line, size_t size, const char *format,
                    ...) {
    char path[PATH_MAX];
    va_list arguments;
    va_start(arguments, format);
    bool joined = join_path(discovery, path, format, arguments);
    va_end(arguments);
    return joined && read_line(path, line, size);
}

bool sl_system_number(const sl_discovery *discovery, uint64_t *value, const char *format, ...) {
    char path[PATH_MAX], line[64], *end;
    va_list arguments;
    va_start(arguments, format);
    bool joined = join_path(discovery, path, format, arguments);
    va_end(arguments);
    if (!joined || !read_line(path, line, sizeof line) || line[0] < '0' || line[0] > '9')
        return false;
    errno = 0;
    unsigned long long number = strtoull(line, &end, strncmp(line, "0x", 2) == 0 ? 16 : 10);
    if (errno || *end != '\0')
        return false;
    *value = number;
    return true;
}

bool sl_system_exists(const sl_discovery *discovery, const char *path) {
    char full[PATH_MAX];
    int length = snprintf(full, sizeof full, "%s%s", discovery->root, path);
    return discovery->system_files && length < PATH_MAX && access(full, F_OK) == 0;
}

const char *sl_discovery_env(const sl_discovery *discovery, const char *name) {
    return discovery->source->environment ? discovery->source->environment(name) : getenv(name);
}
