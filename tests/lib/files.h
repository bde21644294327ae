/* Files in a test's own folder. */
#ifndef SL_TESTS_FILES_H
#define SL_TESTS_FILES_H

#include "tests/lib/test.h"

/* The path of `name` in the test's folder; good for the next seven calls. */
static inline char *sl_test_path(const char *name) {
    static char paths[8][256];
    static int next;
    char *path = paths[next++ % 8];
    if (snprintf(path, 256, "%s/%s", sl_test_dir(), name) >= 256)
        sl_test_fail(__FILE__, __LINE__, "too long a path: %s", path);
    return path;
}

/* What is in a file, at most 64 KiB, until the next call; "" when there is none. */
static inline const char *sl_test_content(const char *path) {
    static char bytes[65536];
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(bytes, 1, sizeof bytes - 1, file) : 0;
    bytes[size] = 0;
    if (file)
        fclose(file);
    return bytes;
}

#endif
