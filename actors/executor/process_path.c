#include "actors/executor/process_path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_program(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0)
        return errno;
    if (S_ISDIR(info.st_mode))
        return EISDIR;
    if (!S_ISREG(info.st_mode))
        return EACCES;
    return access(path, X_OK) == 0 ? 0 : errno;
}

/* Writes "part/name", or the name alone for an empty part. */
static int join(const char *part, size_t part_bytes, const char *name,
                char out[SL_PROCESS_PATH_MAX_BYTES]) {
    int wrote = snprintf(out, SL_PROCESS_PATH_MAX_BYTES, "%.*s%s%s", (int)part_bytes, part,
                         part_bytes ? "/" : "./", name);
    return wrote < 0 || wrote >= SL_PROCESS_PATH_MAX_BYTES ? ENAMETOOLONG : 0;
}

int sl_process_find_program(const char *name, const char *path,
                            char found[SL_PROCESS_PATH_MAX_BYTES]) {
    int worst = ENOENT;
    if (!name[0])
        return ENOENT;
    if (strlen(name) >= SL_PROCESS_PATH_MAX_BYTES)
        return ENAMETOOLONG;
    if (strchr(name, '/')) {
        strcpy(found, name);
        return check_program(found);
    }
    for (const char *part = path ? path : "/usr/local/bin:/usr/bin:/bin"; part;) {
        size_t part_bytes = strcspn(part, ":");
        int failed = part_bytes < SL_PROCESS_PATH_MAX_BYTES ? join(part, part_bytes, name, found)
                                                            : ENAMETOOLONG;
        if (!failed)
            failed = check_program(found);
        if (!failed)
            return 0;
        if (failed == EACCES)
            worst = EACCES;
        part = part[part_bytes] ? part + part_bytes + 1 : NULL;
    }
    return worst;
}
