/* The modules of tests/modules/, built, as files and in memory. */
#ifndef SL_TESTS_MODULE_FILES_H
#define SL_TESTS_MODULE_FILES_H

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where NAME.so lies: in modules/ beside the program. Static storage, until the next call. */
static inline const char *module_path(const char *name) {
    static char path[PATH_MAX + 64];
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (length <= 0)
        abort();
    path[length] = '\0';
    sprintf(strrchr(path, '/') + 1, "modules/%s.so", name);
    return path;
}

/* Its bytes, to be freed. */
static inline uint8_t *module_bytes(const char *name, size_t *size) {
    FILE *file = fopen(module_path(name), "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        abort();
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size);
    if (!bytes || fread(bytes, 1, *size, file) != *size)
        abort();
    fclose(file);
    return bytes;
}

/* Writes bytes to a file of a test's own. */
static inline void write_module(const char *path, const uint8_t *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        abort();
}

#endif
