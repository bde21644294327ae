/* What the guard reads: the address of a PMIx server, and a line of /proc/net/tcp, with a line feed
 * between them. */
#include "mpi/guard.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *address) {
    if (strlen(address) != 13 || address[8] != ':')
        abort();
    for (int i = 0; i < 13; i++)
        if (i != 8 && !isxdigit((unsigned char)address[i]))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char address[14] = "0100007F:1267";
    char *uri = strndup((const char *)data, size);
    if (!uri)
        abort();
    char *line = strchr(uri, '\n');
    if (line)
        *line++ = '\0';
    if (sl_mpi_guard_address(uri, address))
        check(address);
    if (line)
        (void)sl_mpi_guard_inode(line, address);
    free(uri);
    return 0;
}
