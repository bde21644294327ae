/* A list of hosts as Slurm writes it, and a name to look for, with a line feed between them. */
#include "mpi/hostlist.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A list without brackets is names with commas between: that can be looked up otherwise too. */
static bool among(const char *list, const char *host) {
    size_t length = strlen(host);
    for (const char *at = list;; at++) {
        size_t item = strcspn(at, ",");
        if (item == length && memcmp(at, host, length) == 0)
            return true;
        at += item;
        if (!*at)
            return false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *list = strndup((const char *)data, size);
    if (!list)
        abort();
    char *newline = strchr(list, '\n');
    const char *host = newline ? newline + 1 : "n07";
    if (newline)
        *newline = '\0';
    bool has = sl_hostlist_has(list, host);
    bool plain = !strpbrk(list, "[]") && *host && !strpbrk(host, ",[]") && strlen(host) < 256;
    if (plain && has != among(list, host))
        abort();
    free(list);
    return 0;
}
