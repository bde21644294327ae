/* The directory for what commands of clients write. */
#ifndef SL_SDK_GATEWAY_FILES_H
#define SL_SDK_GATEWAY_FILES_H

#include "runtime/err.h"

typedef struct sl_gateway_files {
    char *path;  /* absolute; NULL: not open */
    int lock_fd; /* held while the gateway is up */
} sl_gateway_files;

/* Makes `directory`, if need be, and deletes what an earlier gateway has left there. Blocks for the
 * disk. SL_ERR_EXISTS: another gateway has it; SL_ERR_IO. */
sl_err sl_gateway_files_open(const char *directory, sl_gateway_files *files) SL_CHECKED;
/* Deletes what is left, and gives it up. One that is not open is fine. */
void sl_gateway_files_close(sl_gateway_files *files);

#endif
