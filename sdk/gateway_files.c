#include "sdk/gateway_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK "lock"

/* HEX.out or HEX.err: nobody else's files are touched. */
static bool is_output(const char *name) {
    size_t digits = 0;
    while (isxdigit((unsigned char)name[digits]))
        digits++;
    return digits && (strcmp(name + digits, ".out") == 0 || strcmp(name + digits, ".err") == 0);
}

static void delete_outputs(const char *path) {
    DIR *directory = opendir(path);
    if (!directory)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (is_output(entry->d_name))
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
}

static sl_err lock(const char *path, int *fd) {
    char name[4200];
    snprintf(name, sizeof name, "%.4090s/" LOCK, path);
    *fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*fd < 0)
        return sl_fail(SL_ERR_IO, "%s: cannot be made: %s", name, strerror(errno));
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return SL_OK;
    close(*fd);
    *fd = -1;
    return sl_fail(SL_ERR_EXISTS,
                   "%s: another gateway keeps the output of commands there: give "
                   "--gateway-output another directory",
                   path);
}

sl_err sl_gateway_files_open(const char *directory, sl_gateway_files *files) {
    *files = (sl_gateway_files){.lock_fd = -1};
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return sl_fail(SL_ERR_IO, "%s: cannot be made: %s", directory, strerror(errno));
    char *path = realpath(directory, NULL);
    if (!path || strlen(path) > 4000) {
        free(path);
        return sl_fail(SL_ERR_IO, "%s: is no directory that can be used", directory);
    }
    sl_err err = lock(path, &files->lock_fd);
    if (err != SL_OK) {
        free(path);
        return err;
    }
    files->path = path;
    delete_outputs(path);
    return SL_OK;
}

void sl_gateway_files_close(sl_gateway_files *files) {
    if (files->path) {
        delete_outputs(files->path);
        close(files->lock_fd);
    }
    free(files->path);
    *files = (sl_gateway_files){.lock_fd = -1};
}
